"""An image tower made of a network that never learns, with or without a head that does."""

from collections.abc import Callable
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dina.checks import DataError
from dina.models.towers.image.frozen_network import GaborFeatures, weight_digest
from dina.models.towers.image.kept_features import FeatureCache, FeatureStore
from dina.models.towers.tower import FeatureMaps, ImageBatch, ImageTower, MapShape

N_FOR_STATISTICS = 512
IMAGES_AT_ONCE = 32
MOST_KEPT_OTHERWISE = 1024  # images not learnt from whose features are written to disk: analyses change images without end


class FrozenEncoder(ImageTower):
    """Features of a frozen network, standardised, turned to their main directions, and optionally read by a trained head.

    Features are averaged to a grid, z-scored place by place and rotated to the directions of largest variance over images
    and places (`learn_statistics`); only these are learnt, from training images. Features of images are computed once and
    kept. The network's weights are not saved; a digest of them is, and towers refuse another network.

    Parameters
    ----------
    image_shape
        (channels, height, width) of the images, in pixels.
    encoder
        From images in units of contrast to maps, for example a `FrozenNetwork`; None for Gabor features.
    n_components, n_places
        Most channels and most places kept; neighbouring places are averaged until there are no more.
    n_outputs
        Length of the vector to which a trained linear head turns the map; 0 for the map itself and no head.
    store
        Where the network's features are kept on disk; None keeps the map in memory only.

    Raises
    ------
    DataError
        If the encoder does not give maps.
    """

    mean: Tensor
    deviation: Tensor
    directions: Tensor
    digest: Tensor

    def __init__(
        self,
        image_shape: MapShape,
        encoder: nn.Module | None = None,
        n_components: int = 64,
        n_places: int = 128,
        n_outputs: int = 0,
        store: FeatureStore | None = None,
    ) -> None:
        chosen = GaborFeatures(image_shape) if encoder is None else encoder
        chosen = chosen.eval().requires_grad_(False)
        with torch.no_grad():
            example = chosen(torch.zeros(1, *image_shape))
        if example.ndim != 4:
            raise DataError(
                f"An encoder must give (image, feature, height, width); this one gives {tuple(example.shape)}. Wrap it in a"
                " FrozenNetwork."
            )
        n_features, height, width = (int(extent) for extent in example.shape[1:])
        while height * width > n_places and height * width > 1:
            height, width = -(-height // 2), -(-width // 2)
        n_channels = min(n_components, n_features)
        map_shape = (n_outputs, 1, 1) if n_outputs else (n_channels, height, width)
        super().__init__(image_shape, map_shape, ("features",))
        self._encoder = (chosen,)  # in a tuple: neither saved nor trained nor drawn at random with the tower
        self._cache = FeatureCache()
        self._store = store
        self._n_kept_otherwise = 0
        self.grid = (height, width)
        self.head = nn.Linear(n_channels * height * width, n_outputs) if n_outputs else None
        self.register_buffer("mean", torch.zeros(n_features, height, width))
        self.register_buffer("deviation", torch.ones(n_features, height, width))
        self.register_buffer("directions", torch.eye(n_channels, n_features))
        self.register_buffer("digest", torch.frombuffer(bytearray(weight_digest(chosen)), dtype=torch.uint8).clone())
        self.register_load_state_dict_pre_hook(_refuse_another_network)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_post_hook(_forget)  # type: ignore[no-untyped-call]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move or convert the network along with the tower; every ``.to(…)`` of torch comes through here."""
        before = self.mean.dtype
        self._encoder[0]._apply(fn, recurse)  # type: ignore[no-untyped-call]
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.mean.dtype != before:  # what was kept on one device holds on another
            self._cache.clear()
        return self

    @property
    def encoder(self) -> nn.Module:
        """The network whose features are read."""
        return self._encoder[0]

    def forward(self, images: ImageBatch, masked: tuple[str, ...] = ()) -> FeatureMaps:
        """Return feature maps; masked "features" are those of the mean training image everywhere."""
        self.check_input(images, masked)
        if images.requires_grad or images.dtype != torch.float32:
            maps = self._project(self._features(images))
        else:
            maps = self._cache.look_up(images, self._project_frozen)
        if "features" in masked:
            maps = maps * 0.0
        return maps if self.head is None else self.head(maps.flatten(1))[:, :, None, None]

    @torch.no_grad()
    def learn_statistics(self, images: Float[Tensor, "stimulus channel height width"]) -> None:
        """Learn means, deviations and main directions from training images (at most 512, evenly spaced); keep all features."""
        rows = torch.from_numpy(
            np.unique(np.linspace(0, len(images) - 1, min(len(images), N_FOR_STATISTICS)).round().astype(int))
        )
        device = self.mean.device
        chunks = [self._frozen_features(images[part].to(device), keeps=True).half() for part in torch.split(rows, IMAGES_AT_ONCE)]
        known = torch.cat(chunks)
        total = sum((chunk.double().sum(0) for chunk in torch.split(known, IMAGES_AT_ONCE)), torch.zeros(()))
        mean = torch.as_tensor(total) / len(known)
        squares = [(chunk.double() - mean).square().sum(0) for chunk in torch.split(known, IMAGES_AT_ONCE)]
        deviation = (torch.stack(squares).sum(0) / len(known)).sqrt()
        # a place that hardly varies is divided by a typical deviation, not by nothing
        self.mean.copy_(mean)
        self.deviation.copy_(deviation.maximum(0.05 * deviation.mean(dim=(1, 2), keepdim=True) + 1e-6))
        n_features = len(self.mean)
        if len(self.directions) < n_features:
            shared = torch.zeros(n_features, n_features, dtype=torch.float64, device=device)
            for chunk in torch.split(known, IMAGES_AT_ONCE):
                rows_of = ((chunk - self.mean) / self.deviation).transpose(0, 1).flatten(1).double()
                shared += rows_of @ rows_of.T
            vectors = torch.linalg.eigh(shared).eigenvectors.flip(1)[:, : len(self.directions)]
            largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
            self.directions.copy_((vectors * largest.sign()).T)
        self._cache.clear()
        for chunk in torch.split(images, IMAGES_AT_ONCE):
            self._cache.look_up(chunk.to(device), lambda some: self._project_frozen(some, keeps=True))

    def _features(self, images: Tensor) -> Tensor:
        """Return the network's features on the grid."""
        return F.adaptive_avg_pool2d(self._encoder[0](images), self.grid)

    def _project(self, features: Tensor) -> Tensor:
        standard = (features - self.mean) / self.deviation
        return torch.einsum("kf,bfhw->bkhw", self.directions, standard)

    def _project_frozen(self, images: Tensor, *, keeps: bool = False) -> Tensor:
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            return self._project(self._frozen_features(images, keeps=keeps))

    def _frozen_features(self, images: Tensor, *, keeps: bool) -> Tensor:
        """Return the network's features, from disk where they are there; of images not learnt from, only some are written."""
        if self._store is None or images.dtype != torch.float32:
            return self._features(images)
        if not keeps:
            self._n_kept_otherwise += len(images)
        network = self.digest.cpu().numpy().tobytes() + str(self.grid).encode()
        writes = keeps or self._n_kept_otherwise <= MOST_KEPT_OTHERWISE
        return self._store.look_up(network, images, self._features, keeps=writes)


def _forget(tower: FrozenEncoder, incompatible: object) -> None:
    tower._cache.clear()


def _refuse_another_network(tower: FrozenEncoder, state: dict, prefix: str, *_: object) -> None:
    saved = state.get(f"{prefix}digest")
    if saved is not None and not torch.equal(saved.cpu(), tower.digest.cpu()):
        raise DataError(
            "These towers were trained on the features of another network, or of another layer or size of it. Point the"
            " setting encoder to the folder that was used then, or fit again."
        )
