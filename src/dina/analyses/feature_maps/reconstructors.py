"""From feature maps back to images: by linear regression around every place, or by a small convolutional network."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from torch import Tensor, nn

from dina.models.towers.map_geometry import resize_bilinear
from dina.models.towers.tower import initialise
from dina.randomness import generator_for, seed_for
from dina.shapes import ContrastImages
from dina.statistics.correlation import correlate_rows

# Ridge penalties relative to the mean eigenvalue; validation images choose.
PENALTIES = tuple(float(10.0**power) for power in np.arange(-4.0, 3.0, 0.5))

MOST_INPUTS = 1500
MOST_ROWS = 200_000
LEARNING_RATE = 3e-3
BATCH = 32
WIDTH = 16
MAPS_AT_ONCE = 64

Maps = Float[Tensor, "image channel map_height map_width"]
Pixels = Float32[np.ndarray, "image height width"]


@dataclass(frozen=True, eq=False)
class Examples:
    """Standardised maps with the images that they stand for, as deviations from the mean training image in units of contrast.

    Images have a whole number of pixels for each place of the map.
    """

    maps: Maps
    pixels: Pixels


@dataclass(frozen=True, eq=False)
class LinearReconstruction:
    """The pixels of each place are weighted sums of the map around it; the weights are the same at every place.

    ``penalty`` is relative to the mean eigenvalue and chosen by validation; ``gain`` fits the contrast of validation images best;
    ``reach`` places on either side are read: 1, or 0 for maps of many channels; ``block`` is the pixels of each place.
    """

    weights: Float[Tensor, "input pixel_of_place"]
    penalty: float
    gain: float
    reach: int
    block: tuple[int, int]

    @classmethod
    @torch.no_grad()
    def learn(cls, train: Examples, validation: Examples) -> Self:
        """Learn from ``train``; take the penalty with the highest mean pixel correlation on ``validation``."""
        n, n_channels, height, width = train.maps.shape
        reach = 1 if 9 * n_channels <= MOST_INPUTS and height * width > 1 else 0
        block = (train.pixels.shape[1] // height, train.pixels.shape[2] // width)
        rows = np.linspace(0, n - 1, max(1, min(n, MOST_ROWS // (height * width)))).round().astype(int)
        power, product = torch.zeros(()), torch.zeros(())
        for part in np.array_split(rows, -(-len(rows) // MAPS_AT_ONCE)):
            inputs = _around(train.maps[torch.from_numpy(part)], reach)
            power = power + (inputs.T @ inputs).double()
            product = product + (inputs.T @ _to_places(train.pixels[part], block)).double()
        values, vectors = torch.linalg.eigh(power)
        values, projected = values.clamp_min(0), vectors.T @ product
        shrunk = torch.stack([projected / (values + penalty * values.mean() + 1e-12)[:, None] for penalty in PENALTIES])
        weights = (vectors @ shrunk).float()
        rebuilt = _rebuild(validation.maps, weights, reach, block)
        best = int(np.argmax([pixel_correlation(raw, validation.pixels).mean() for raw in rebuilt]))
        raw = rebuilt[best]
        gain = max(0.0, float((raw * validation.pixels).sum() / max(float((raw**2).sum()), 1e-12)))
        return cls(weights[best], PENALTIES[best], gain, reach, block)

    @torch.no_grad()
    def apply(self, maps: Maps) -> Pixels:
        """Return the reconstructed deviations from the mean training image, in units of contrast."""
        rebuilt: Pixels = _rebuild(maps, self.gain * self.weights[None], self.reach, self.block)[0]
        return rebuilt


def _rebuild(
    maps: Maps, weights: Float[Tensor, "choice input pixel_of_place"], reach: int, block: tuple[int, int]
) -> Float32[np.ndarray, "choice image height width"]:
    """Return reconstructions by several weights: the surroundings of the places are gathered once for all."""
    height, width = maps.shape[2:]
    by_input = weights.transpose(0, 1).flatten(1)
    rebuilt = []
    for chunk in torch.split(maps, MAPS_AT_ONCE):
        found = (_around(chunk, reach) @ by_input).reshape(len(chunk), height, width, len(weights), *block)
        rebuilt.append(found.permute(3, 0, 1, 4, 2, 5).reshape(len(weights), len(chunk), height * block[0], width * block[1]))
    return np.asarray(torch.cat(rebuilt, dim=1).numpy())


def _around(maps: Maps, reach: int) -> Float[Tensor, "place_of_image input"]:
    """Return for every place of every map all channels there and up to ``reach`` places away; beyond the border 0."""
    inputs = F.unfold(maps.float(), 2 * reach + 1, padding=reach)
    return inputs.transpose(1, 2).flatten(0, 1)


def _to_places(pixels: Pixels, block: tuple[int, int]) -> Float[Tensor, "place_of_image pixel_of_place"]:
    n, height, width = pixels.shape
    parts = torch.from_numpy(pixels).reshape(n, height // block[0], block[0], width // block[1], block[1])
    return parts.permute(0, 1, 3, 2, 4).reshape(-1, block[0] * block[1])


class ConvolutionalReconstruction(nn.Module):
    """Two convolutions on the map, bilinear enlargement to the size of the image, one more convolution.

    It has a few thousand weights, the same at every place. So it cannot memorise images: it adds only what neighbouring places and
    channels say together.
    """

    def __init__(self, n_channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.mixing = nn.Conv2d(n_channels, WIDTH, 1)
        self.around = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.pixels = nn.Conv2d(WIDTH, 1, 5, padding=2)
        self.n_epochs = 0
        self.gain = 1.0

    @classmethod
    def learn(cls, train: Examples, validation: Examples, n_epochs: int, seed: int) -> "ConvolutionalReconstruction":
        """Learn from ``train`` by squared error; keep the epoch with the highest mean pixel correlation on ``validation``."""
        network = cls(train.maps.shape[1], (int(train.pixels.shape[1]), int(train.pixels.shape[2])))
        initialise(network, torch.Generator().manual_seed(seed_for(seed, "reconstruction weights")))
        optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=1e-3)
        pixels = torch.from_numpy(train.pixels)
        highest, best = -np.inf, {name: value.clone() for name, value in network.state_dict().items()}
        for epoch in range(1, n_epochs + 1):
            order = torch.from_numpy(generator_for(seed, f"reconstruction batches {epoch}").permutation(len(pixels)))
            for rows in torch.split(order, BATCH):
                optimiser.zero_grad(set_to_none=True)
                F.mse_loss(network(train.maps[rows].float()), pixels[rows]).backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            accuracy = float(pixel_correlation(network.apply_to(validation.maps), validation.pixels).mean())
            if accuracy > highest:
                highest, network.n_epochs = accuracy, epoch
                best = {name: value.clone() for name, value in network.state_dict().items()}
        network.load_state_dict(best)
        raw = network.apply_to(validation.maps)
        network.gain = max(0.0, float((raw * validation.pixels).sum() / max(float((raw**2).sum()), 1e-12)))
        return network

    def forward(self, maps: Maps) -> Float[Tensor, "image height width"]:
        """Return the reconstructed deviations from the mean training image, in units of contrast."""
        around = F.relu(self.around(F.relu(self.mixing(maps))))
        return self.gain * self.pixels(resize_bilinear(around, self.size))[:, 0]

    @torch.no_grad()
    def apply_to(self, maps: Maps) -> Pixels:
        """Return the reconstructions as an array, some maps at a time."""
        return np.asarray(torch.cat([self(chunk.float()) for chunk in torch.split(maps, MAPS_AT_ONCE)]).numpy())


def pixel_correlation(first: Pixels, second: Pixels) -> Float[np.ndarray, "image"]:
    """Return the correlation over pixels of each image with its counterpart; 0 where one of them is flat."""
    return np.nan_to_num(correlate_rows(first.reshape(len(first), -1), second.reshape(len(second), -1)))


def coarse_pixels(
    images: ContrastImages, grid: tuple[int, int], most: int
) -> Float32[np.ndarray, "stimulus coarse_height coarse_width"]:
    """Return grey images with a whole number of pixels for each place of a grid, about ``most`` in all or fewer.

    Examples
    --------
    >>> coarse_pixels(np.ones((1, 3, 8, 12), np.float32), (2, 3), 24).shape
    (1, 4, 6)
    """
    grey = torch.from_numpy(np.ascontiguousarray(images.mean(axis=1, keepdims=True)))
    height, width = grey.shape[2:]
    shrink = max(1.0, (height * width / most) ** 0.5)
    rows, columns = (max(1, round(extent / shrink / places)) for extent, places in zip((height, width), grid, strict=True))
    size = (rows * grid[0], columns * grid[1])
    return np.asarray(torch.cat([F.adaptive_avg_pool2d(part, size)[:, 0] for part in torch.split(grey, 256)]).numpy())
