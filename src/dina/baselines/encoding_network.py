"""A small convolutional network trained end to end on the neurons, as the front end of an encoding model."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dina.checks import DataError
from dina.dataset.pairs import Pairs
from dina.encoding.receptive_fields import estimate_centres
from dina.progress import track
from dina.randomness import generator_for, seed_for
from dina.shapes import ContrastImages
from dina.towers.image.gabor_energy import PLACES_ALONG, GaborEnergy
from dina.towers.tower import initialise

WIDTHS = (16, 24, 32)
FIRST_KERNEL = 7
SMALLEST_IMAGE = 16
N_EPOCHS = 8
BATCH_SIZE = 32
LEARNING_RATE = 4e-3
WEIGHT_DECAY = 1e-3
IMAGES_AT_ONCE = 64


class _Core(nn.Module):
    """Three convolutions to maps on a grid of about 17 places along the shorter side of the image."""

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        n_channels, height, width = image_shape
        step = max(1, round(min(height, width) / PLACES_ALONG))
        self.strides = (2 if step > 1 else 1, max(1, step // 2))
        self.first = nn.Conv2d(n_channels, WIDTHS[0], FIRST_KERNEL, stride=self.strides[0], padding=FIRST_KERNEL // 2)
        self.second = nn.Conv2d(WIDTHS[0], WIDTHS[1], 3, padding=1)
        self.third = nn.Conv2d(WIDTHS[1], WIDTHS[2], 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        maps = F.avg_pool2d(F.elu(self.first(images)), self.strides[1], ceil_mode=True)
        return F.elu(self.third(F.elu(self.second(maps))))


class _Readout(nn.Module):
    """Each neuron reads the channels of the core at the one place where its receptive field is."""

    place: Tensor

    def __init__(self, place: Tensor) -> None:
        super().__init__()
        self.register_buffer("place", place)
        self.weight = nn.Parameter(torch.zeros(WIDTHS[-1], len(place)))
        self.bias = nn.Parameter(torch.zeros(len(place)))

    def draw_parameters(self, generator: torch.Generator) -> None:
        self.weight.normal_(0, WIDTHS[-1] ** -0.5, generator=generator)
        self.bias.zero_()

    def forward(self, maps: Tensor) -> Tensor:
        return (maps.flatten(2).index_select(2, self.place) * self.weight).sum(1) + self.bias


class NetworkFrontEnd:
    """The last maps of a network that was trained to predict every neuron, standardised over the training images.

    Three layers of convolutions are shared by all neurons; each neuron reads one place, that of its receptive field. The
    readout serves for training alone: the encoding model fits its own weights on the maps, with a window around
    the field. Trained for eight epochs on averaged responses, mean squared error.

    References
    ----------
    Klindt et al. (2017), https://doi.org/10.48550/arXiv.1711.02653 (shared core, factorised readout); Lurz et al. (2021),
    https://doi.org/10.1101/2020.10.05.326256 (readout at one place). Here the place is not learnt but estimated.
    """

    def __init__(self) -> None:
        self._core: _Core
        self._mean: Tensor
        self._deviation: Tensor

    def learn(self, train: Pairs, seed: int) -> Float[Tensor, "stimulus channel height width"]:
        """Train the network, and return the maps of the training images in half precision.

        Raises
        ------
        DataError
            If the images are smaller than 16 × 16 pixels.
        """
        channels, height, width = (int(extent) for extent in train.images.shape[1:])
        if min(height, width) < SMALLEST_IMAGE:
            raise DataError(
                f"The network front end needs images of at least {SMALLEST_IMAGE} x {SMALLEST_IMAGE} pixels; got"
                f" {height} x {width}. Enlarge the images."
            )
        images, responses = torch.from_numpy(train.images), torch.from_numpy(train.averaged())
        self._core = _Core((channels, height, width))
        with torch.no_grad():
            grid = (int(self._core(images[:1]).shape[2]), int(self._core(images[:1]).shape[3]))
        readout = _Readout(_places(images, responses, grid))
        generator = torch.Generator().manual_seed(seed_for(seed, "encoding network weights"))
        for part in (self._core, readout):
            initialise(part, generator)
        _train(self._core, readout, images, responses, seed)
        return self._standardise(images)

    @torch.no_grad()
    def encode(self, images: ContrastImages) -> Iterator[Float[Tensor, "image channel height width"]]:
        """Yield standardised maps."""
        for first in range(0, len(images), IMAGES_AT_ONCE):
            yield (self._core(torch.from_numpy(images[first : first + IMAGES_AT_ONCE])) - self._mean) / self._deviation

    @torch.no_grad()
    def _standardise(self, images: Tensor) -> Tensor:
        maps = torch.cat([self._core(chunk) for chunk in torch.split(images, IMAGES_AT_ONCE)])
        self._mean = maps.mean(0)
        deviation = maps.std(0, correction=0)
        # a place that hardly varies is divided by a typical deviation, not by nothing
        self._deviation = deviation.maximum(0.05 * deviation.mean(dim=(1, 2), keepdim=True) + 1e-6)
        return ((maps - self._mean) / self._deviation).half()


@torch.no_grad()
def _places(images: Tensor, responses: Tensor, grid: tuple[int, int]) -> Tensor:
    """Find the place of the grid where each neuron's receptive field is, by Gabor energies."""
    channels, height, width = (int(extent) for extent in images.shape[1:])
    tower = GaborEnergy((channels, height, width), n_contrasts=0, has_phases=False)
    centre = estimate_centres(tower.learn_statistics(images), responses)
    scale = torch.tensor([grid[0] / tower.map_shape[1], grid[1] / tower.map_shape[2]])
    place = ((centre + 0.5) * scale).floor().long()
    return place[:, 0].clamp_max(grid[0] - 1) * grid[1] + place[:, 1].clamp_max(grid[1] - 1)


@torch.enable_grad()  # encoding models are fitted without gradients
def _train(core: _Core, readout: _Readout, images: Tensor, responses: Tensor, seed: int) -> None:
    parameters = [*core.parameters(), *readout.parameters()]
    optimiser = torch.optim.AdamW(parameters, LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    n_batches = -(-len(images) // BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=N_EPOCHS * n_batches)
    core.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for epoch in track(range(N_EPOCHS), "Training encoding network"):
        order = torch.from_numpy(generator_for(seed, f"encoding network order {epoch}").permutation(len(images)))
        for rows in torch.tensor_split(order, n_batches):
            optimiser.zero_grad(set_to_none=True)
            shown = images.index_select(0, rows).contiguous(memory_format=torch.channels_last)
            loss = (readout(core(shown)) - responses.index_select(0, rows)).square().mean()
            loss.backward()
            optimiser.step()
            schedule.step()
