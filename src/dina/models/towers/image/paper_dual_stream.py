"""The published image tower: two stages of a dual-stream network, then one coarse feature map."""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dina.models.towers.batch_norm import BatchNorm2d
from dina.models.towers.map_geometry import Centring, centre_maps, resize_bilinear, resize_places
from dina.models.towers.tower import FeatureMaps, ImageBatch, ImageTower, MapShape, check_image_size

PATHWAYS = ("local", "global")
SMALLEST_IMAGE = 16
PLACES_AT_ONCE = 1024


class Attention(nn.Module):
    """Multi-head attention of one set of places to another; the number of heads divides ``width``, the channels of both sets."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.output = nn.Linear(width, width)

    def forward(
        self, asking: Float[Tensor, "batch place width"], asked: Float[Tensor, "batch other_place width"]
    ) -> Float[Tensor, "batch place width"]:
        """Return for each place of ``asking`` what it reads from ``asked``."""
        query, key, value = (
            layer(places).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for layer, places in ((self.query, asking), (self.key, asked), (self.value, asked))
        )
        read = F.scaled_dot_product_attention(query, key, value)
        return self.output(read.transpose(1, 2).flatten(2))


class MixedBlock(nn.Module):
    """Positional convolution, two pathways of half the channels with cross-attention, and a two-layer perceptron at each place.

    The global pathway sees one place in ``coarseness`` along each axis. With ``residual_cross_attention`` a pathway adds what it
    reads from the other (as published), else that replaces its channels (as released).
    """

    def __init__(self, width: int, coarseness: int, n_heads: int, n_cross_heads: int, residual_cross_attention: bool) -> None:
        super().__init__()
        half = width // 2
        self.coarseness = coarseness
        self.residual_cross_attention = residual_cross_attention
        self.position = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.entrance = nn.Sequential(BatchNorm2d(width), nn.Conv2d(width, width, 1))
        self.local = nn.Conv2d(half, half, 3, padding=1, groups=half)
        self.norm = nn.LayerNorm(half)
        self.self_attention = Attention(half, n_heads)
        self.local_reads_global, self.global_reads_local = Attention(half, n_cross_heads), Attention(half, n_cross_heads)
        self.merge = nn.Conv2d(width, width, 1)
        self.perceptron = nn.Sequential(
            BatchNorm2d(width), nn.Conv2d(width, 4 * width, 1), nn.GELU(), nn.Conv2d(4 * width, width, 1)
        )

    def forward(
        self, maps: Float[Tensor, "batch width height columns"], masked: tuple[str, ...] = ()
    ) -> Float[Tensor, "batch width height columns"]:
        """Return the block's maps; a masked pathway is 0 before and after the exchange."""
        maps = maps + self.position(maps)
        weight, bias = _at_each_place(self.entrance[1])
        half = len(bias) // 2
        normed = self.entrance[0](maps).permute(0, 2, 3, 1)  # channels come last, as in memory
        fine = F.linear(normed, weight[:half], bias[:half]).permute(0, 3, 1, 2)
        fine = fine + self.local(fine)
        coarse = F.linear(_thin_out(normed, self.coarseness), weight[half:], bias[half:])
        size, coarse_size = (maps.shape[2], maps.shape[3]), (coarse.shape[1], coarse.shape[2])
        fine, coarse = fine.flatten(2).transpose(1, 2), coarse.flatten(1, 2)
        normed = self.norm(coarse)
        coarse = coarse + self.self_attention(normed, normed)
        # multiplying by 0 keeps the graph whole, so that gradients of a masked tower are 0 rather than absent
        keep_local, keep_global = float("local" not in masked), float("global" not in masked)
        fine, coarse = keep_local * fine, keep_global * coarse
        to_fine, to_coarse = self.local_reads_global(fine, coarse), self.global_reads_local(coarse, fine)
        if self.residual_cross_attention:
            to_fine, to_coarse = fine + to_fine, coarse + to_coarse
        # both pathways are merged by one linear layer: the global one before it is enlarged, where it has few places
        weight, bias = _at_each_place(self.merge)
        merged = F.linear(keep_local * to_fine, weight[:, :half], bias)
        merged = merged + resize_places(F.linear(keep_global * to_coarse, weight[:, half:]), coarse_size, size)
        maps = maps + merged.view(len(maps), *size, -1).permute(0, 3, 1, 2)
        return maps + self._perceive(maps)

    def _perceive(self, maps: Float[Tensor, "batch width height columns"]) -> Float[Tensor, "batch width height columns"]:
        """Apply the perceptron; on a CPU to few places at once, so that what is between its layers stays in the cache."""
        norm, first, bend, second = self.perceptron
        places = norm(maps).permute(0, 2, 3, 1).flatten(0, 2)
        into, out = _at_each_place(first), _at_each_place(second)
        at_once = PLACES_AT_ONCE if maps.device.type == "cpu" else len(places)
        done = torch.cat([F.linear(bend(F.linear(some, *into)), *out) for some in torch.split(places, at_once)])
        return done.view(len(maps), *maps.shape[2:], -1).permute(0, 3, 1, 2)


def _at_each_place(convolution: nn.Module) -> tuple[Float[Tensor, "channel_out channel_in"], Float[Tensor, "channel_out"]]:
    """Return weights and bias of a 1 × 1 convolution as those of a linear layer."""
    return convolution.get_parameter("weight").flatten(1), convolution.get_parameter("bias")


def _thin_out(places: Float[Tensor, "batch height columns width"], coarseness: int) -> Tensor:
    """Keep one place in ``coarseness`` along height and columns (nearest neighbour), but at least two where there are two."""
    for axis in (1, 2):
        extent = places.shape[axis]
        n_kept = max(min(2, extent), extent // coarseness)
        step = min(coarseness, extent // n_kept)
        places = places.index_select(axis, torch.arange(n_kept, device=places.device) * step)
    return places


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
        True: cross-attention is added to a pathway's channels, with 2 heads in stage 1 and 4 in stage 2 (the published
        DS-Net). False: it replaces them, with one head (the released code of the method).
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

    def forward(self, images: ImageBatch, masked: tuple[str, ...] = ()) -> FeatureMaps:
        """Return feature maps; a pathway named in ``masked`` ("local", "global") contributes 0 in every block."""
        self.check_input(images, masked)
        maps = self.embed1(images).contiguous(memory_format=torch.channels_last)
        for block in self.stage1:
            maps = block(maps, masked)
        maps = self.embed2(maps).contiguous(memory_format=torch.channels_last)
        for block in self.stage2:
            maps = block(maps, masked)
        maps = resize_bilinear(self.readout(maps), (self.map_shape[1], self.map_shape[2]))
        # differences between maps are small beside their level, so centring needs full precision
        return centre_maps(maps.float() if maps.dtype == torch.bfloat16 else maps, self.centring)
