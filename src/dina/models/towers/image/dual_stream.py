"""The published image tower: two stages of a dual-stream network, then one coarse feature map."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dina.models.towers.image.mixed_block import PATHWAYS, MixedBlock
from dina.models.towers.map_geometry import Centring, centre_maps, resize_bilinear
from dina.models.towers.tower import ImageTower, MapShape, check_image_size

SMALLEST_IMAGE = 16


class DualStream(ImageTower):
    """Stages 1 and 2 of the dual-stream network DS-Net (small), read out by a 1 × 1 convolution.

    Patches of 4 × 4 pixels become 64 channels and pass three mixed blocks; patches of 2 × 2 of these become 128
    channels and pass four. A 68 × 270 image gives 17 × 67 and then 8 × 33 places, and 2 × 8 = 16 places in the
    global pathway of either stage. The result is resized to ``map_shape``. About 1.07 million parameters.

    Parameters
    ----------
    image_shape
        (channels, height, width) of the images in pixels; at least 16 × 16. Rows and columns that fill no whole
        patch are not seen, as in the published network.
    map_shape
        (channels, height, width) of the feature maps; published: (1, 16, 64).
    residual_cross_attention
        True: cross-attention is added to what a pathway has, with 2 heads in stage 1 and 4 in stage 2 (the published
        DS-Net). False: it replaces it, with one head (the released code of the method).
    is_backbone_trained
        False: only the 1 × 1 convolution learns, as in the released code, whose feature is detached.
    centring
        "min_max" per sample as published, or "centred".
    stage
        After which stage the map is read out: 2 as published, or 1, whose 17 × 67 places see finer detail.

    Raises
    ------
    DataError
        If the images are smaller than 16 × 16 pixels.

    References
    ----------
    Mao et al. (2021), Dual-stream Network for Visual Recognition, NeurIPS 34. https://doi.org/10.48550/arXiv.2105.14734
    Wang et al. (2026), https://doi.org/10.48550/arXiv.2605.04309
    """

    def __init__(
        self,
        image_shape: MapShape,
        map_shape: MapShape = (1, 16, 64),
        *,
        residual_cross_attention: bool = True,
        is_backbone_trained: bool = True,
        centring: Centring = "min_max",
        stage: Literal[1, 2] = 2,
    ) -> None:
        super().__init__(image_shape, map_shape, PATHWAYS)
        check_image_size(image_shape, SMALLEST_IMAGE, "dual-stream")
        self.is_backbone_trained = is_backbone_trained
        self.centring = centring
        cross_heads = (2, 4) if residual_cross_attention else (1, 1)
        self.embed1 = nn.Conv2d(image_shape[0], 64, 4, stride=4)
        self.stage1 = nn.ModuleList(MixedBlock(64, 8, 1, cross_heads[0], residual_cross_attention) for _ in range(3))
        if stage == 2:
            self.embed2: nn.Module = nn.Conv2d(64, 128, 2, stride=2)
            self.stage2 = nn.ModuleList(MixedBlock(128, 4, 2, cross_heads[1], residual_cross_attention) for _ in range(4))
        else:
            self.embed2, self.stage2 = nn.Identity(), nn.ModuleList()
        self.readout = nn.Conv2d(128 if stage == 2 else 64, map_shape[0], 1)
        if not is_backbone_trained:
            for part in (self.embed1, self.stage1, self.embed2, self.stage2):
                part.requires_grad_(False)

    def forward(
        self, images: Float[Tensor, "batch channel height width"], masked: tuple[str, ...] = ()
    ) -> Float[Tensor, "batch map_channel map_height map_width"]:
        """Return feature maps; a pathway named in ``masked`` ("local", "global") contributes 0 in every block."""
        self.check_input(images, masked)
        maps = self.embed1(images)
        for block in self.stage1:
            maps = block(maps, masked)
        maps = self.embed2(maps)
        for block in self.stage2:
            maps = block(maps, masked)
        maps = resize_bilinear(self.readout(maps), (self.map_shape[1], self.map_shape[2]))
        # differences between maps are small beside their level, so centring needs full precision
        return centre_maps(maps.float() if maps.dtype == torch.bfloat16 else maps, self.centring)
