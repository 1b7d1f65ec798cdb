"""Subunits that are units of a convolutional network with random weights: tuning that no Gabor bank contains."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch.nn.functional import avg_pool2d, conv2d

from dina.recordings.simulator.settings import SyntheticSettings
from dina.recordings.simulator.tuning_gabor import field_limits

CHUNK = 200  # images passed through the network together
FIRST_CHANNELS, SECOND_CHANNELS = 24, 48
KERNEL_DEG = 11.0  # width of the first layer's kernels
POOL = 4  # grid of the second layer, in degrees


@dataclass(frozen=True, eq=False)
class NetworkSubunits:
    """Units of the second layer of a random network, at places drawn at random.

    Parameters
    ----------
    row, column
        Centre of each unit's field in pixels, shape ``(n_subunits,)``.
    channel
        Its channel, shape ``(n_subunits,)``.
    first, second
        Kernels of the two layers, shape ``(channel, input channel, height, width)``.
    pool
        Pooling between the layers, in pixels.
    """

    row: Float[np.ndarray, "subunit"]
    column: Float[np.ndarray, "subunit"]
    channel: Int[np.ndarray, "subunit"]
    first: Float32[np.ndarray, "first 1 kernel kernel"]
    second: Float32[np.ndarray, "second first 3 3"]
    pool: int

    @classmethod
    def draw(cls, settings: SyntheticSettings, generator: np.random.Generator) -> "NetworkSubunits":
        """Draw the network and the places of its units."""
        n = settings.n_subunits
        top, bottom, left, right = field_limits(settings)
        kernel = max(3, 2 * round(KERNEL_DEG / settings.deg_per_pixel / 2) + 1)
        pool = max(1, round(POOL / settings.deg_per_pixel))
        place = np.linspace(-1, 1, kernel)
        window = np.exp(-3 * (place[:, None] ** 2 + place**2))
        # noise smoothed over a few degrees: random outlines without a preferred orientation or frequency
        smooth = np.exp(-((place[:, None] - place) ** 2) / (2 * 0.22**2))
        first = (smooth @ generator.standard_normal((FIRST_CHANNELS, 1, kernel, kernel)) @ smooth) * window
        first -= window * (first.sum((2, 3), keepdims=True) / window.sum())
        first /= np.sqrt((first**2).sum((1, 2, 3), keepdims=True)) * kernel / 3
        second = generator.standard_normal((SECOND_CHANNELS, FIRST_CHANNELS, 3, 3)) / np.sqrt(9 * FIRST_CHANNELS)
        return cls(
            row=generator.uniform(top, bottom, n),
            column=generator.uniform(left, right, n),
            channel=generator.integers(0, SECOND_CHANNELS, n),
            first=first.astype(np.float32),
            second=second.astype(np.float32),
            pool=pool,
        )

    def respond(self, contrast: Float32[np.ndarray, "stimulus height width"]) -> Float32[np.ndarray, "stimulus subunit"]:
        """Return the rectified, divisively normalised second layer at each unit's place."""
        first, second = torch.from_numpy(self.first), torch.from_numpy(self.second)
        kernel, channel = first.shape[-1], torch.from_numpy(self.channel)
        result = np.empty((len(contrast), len(self.row)), dtype=np.float32)
        for start in range(0, len(contrast), CHUNK):
            images = torch.from_numpy(contrast[start : start + CHUNK])[:, None]
            # a stride of half the pooling width samples the smooth kernels finely enough
            stride = max(1, self.pool // 2)
            layer = conv2d(images, first, stride=stride, padding=kernel // 2).relu()
            layer = avg_pool2d(layer, self.pool // stride)
            layer = layer / (0.3 + layer.mean(1, keepdim=True))
            layer = conv2d(layer, second, padding=1).relu()
            height, width = layer.shape[2:]
            rows = torch.from_numpy((self.row / self.pool).astype(int).clip(0, height - 1))
            columns = torch.from_numpy((self.column / self.pool).astype(int).clip(0, width - 1))
            result[start : start + CHUNK] = layer[:, channel, rows, columns]
        return result
