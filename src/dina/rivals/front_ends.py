"""Features of images that encoding rivals use: Gabor filters, with colour opponency, or a network trained on the neurons."""

import copy
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.models.field_centres import estimate_centres
from dina.models.towers.image.gabor_energy import PLACES_ALONG, GaborEnergy
from dina.models.towers.tower import initialise
from dina.progress import track
from dina.randomness import generator_for, seed_for
from dina.shapes import ContrastImages

IMAGES_AT_ONCE = 64

N_CHANNELS = (16, 24, 32)
FIRST_KERNEL = 7
SMALLEST_IMAGE = 16
N_EPOCHS = 32
PATIENCE = 4  # epochs without a lower validation error before the rate is lowered, and in the end before training stops
LOWERING = 0.3
N_LOWERINGS = 2
BATCH_SIZE = 32
LEARNING_RATE = 4e-3
WEIGHT_DECAY = 1e-3


@runtime_checkable
class FrontEnd(Protocol):
    """Feature maps whose every channel and place is standardised over the training images; ``chosen`` by validation."""

    chosen: dict[str, str | float]

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> Float[Tensor, "stimulus channel height width"]:
        """Learn from training pairs, choose by validation pairs, and return the maps of the training images."""
        ...

    def encode(self, images: ContrastImages) -> Iterator[Float[Tensor, "image channel height width"]]:
        """Yield the maps of images, some at a time, in order."""
        ...


class GaborFrontEnd:
    """Gabor energies, rectified phases and luminance; on colour images the energies of opponent planes as well."""

    def __init__(self) -> None:
        self.chosen: dict[str, str | float] = {}
        self.tower: GaborEnergy

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> Float[Tensor, "stimulus channel height width"]:
        """Learn the statistics of the channels, and return the maps of the training images in half precision."""
        channels, height, width = (int(extent) for extent in train.images.shape[1:])
        self.tower = GaborEnergy((channels, height, width), n_contrasts=0)
        return self.tower.learn_statistics(torch.from_numpy(train.images))

    def encode(self, images: ContrastImages) -> Iterator[Float[Tensor, "image channel height width"]]:
        """Yield standardised maps."""
        for first in range(0, len(images), IMAGES_AT_ONCE):
            yield self.tower(torch.from_numpy(images[first : first + IMAGES_AT_ONCE]))


class _OpponentFrontEnd(GaborFrontEnd):
    """As `GaborFrontEnd`, and the on and off halves of luminance and of each opponent colour plane (colour images only).

    A neuron that answers to red but not to green, or to dark but not to light, is linear in these halves, not in the planes.
    """

    def __init__(self) -> None:
        super().__init__()
        self._mean: Tensor
        self._deviation: Tensor

    @torch.no_grad()
    def learn(self, train: Pairs, validation: Pairs, seed: int) -> Float[Tensor, "stimulus channel height width"]:
        """Learn the statistics of all channels, and return the maps of the training images in half precision."""
        maps = super().learn(train, validation, seed)
        grid = self.tower.map_shape[1:]
        chunks = (train.images[i : i + IMAGES_AT_ONCE] for i in range(0, len(maps), IMAGES_AT_ONCE))
        halves = torch.cat([on_off_halves(chunk, grid) for chunk in chunks])
        self._mean = halves.mean(0)
        deviation = halves.std(0, correction=0)
        self._deviation = deviation.maximum(0.05 * deviation.mean(dim=(1, 2), keepdim=True) + 1e-6)
        return torch.cat([maps, ((halves - self._mean) / self._deviation).to(maps.dtype)], dim=1)

    def encode(self, images: ContrastImages) -> Iterator[Float[Tensor, "image channel height width"]]:
        """Yield standardised maps."""
        for number, maps in enumerate(super().encode(images)):
            first = number * IMAGES_AT_ONCE
            halves = on_off_halves(images[first : first + IMAGES_AT_ONCE], self.tower.map_shape[1:])
            yield torch.cat([maps, (halves - self._mean) / self._deviation], dim=1)


def on_off_halves(images: ContrastImages, grid: tuple[int, int]) -> Float[Tensor, "stimulus half row column"]:
    """Return the on and off halves of luminance and of each opponent colour plane, averaged over the places of a grid."""
    values = torch.from_numpy(np.ascontiguousarray(images))
    planes = [values.mean(1)]
    if values.shape[1] == 3:  # red–green and blue–yellow, as in the Gabor channels
        planes += [values[:, 0] - values[:, 1], values[:, 2] - 0.5 * (values[:, 0] + values[:, 1])]
    halves = torch.stack([part for plane in planes for part in (F.relu(plane), F.relu(-plane))], dim=1)
    return F.adaptive_avg_pool2d(halves, grid)


class _Core(nn.Module):
    """Three convolutions to maps on a grid of about 17 places along the shorter side of the image."""

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        n_channels, height, width = image_shape
        step = max(1, round(min(height, width) / PLACES_ALONG))
        self.strides = (2 if step > 1 else 1, max(1, step // 2))
        self.first = nn.Conv2d(n_channels, N_CHANNELS[0], FIRST_KERNEL, stride=self.strides[0], padding=FIRST_KERNEL // 2)
        self.second = nn.Conv2d(N_CHANNELS[0], N_CHANNELS[1], 3, padding=1)
        self.third = nn.Conv2d(N_CHANNELS[1], N_CHANNELS[2], 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        maps = F.avg_pool2d(F.elu(self.first(images)), self.strides[1], ceil_mode=True)
        return F.elu(self.third(F.elu(self.second(maps))))


class _Readout(nn.Module):
    """Each neuron reads the channels of the core at the one place where its receptive field is."""

    place: Tensor

    def __init__(self, place: Tensor) -> None:
        super().__init__()
        self.register_buffer("place", place)
        self.weight = nn.Parameter(torch.zeros(N_CHANNELS[-1], len(place)))
        self.bias = nn.Parameter(torch.zeros(len(place)))

    def draw_parameters(self, generator: torch.Generator) -> None:
        self.weight.normal_(0, N_CHANNELS[-1] ** -0.5, generator=generator)
        self.bias.zero_()

    def forward(self, maps: Tensor) -> Tensor:
        return (maps.flatten(2).index_select(2, self.place) * self.weight).sum(1) + self.bias


@torch.no_grad()
def find_places(images: Tensor, responses: Tensor, grid: tuple[int, int]) -> Tensor:
    """Find the place of the grid where each neuron's receptive field is, by Gabor energies; counted row by row."""
    channels, height, width = (int(extent) for extent in images.shape[1:])
    tower = GaborEnergy((channels, height, width), n_contrasts=0, has_phases=False)
    centre = estimate_centres(tower.learn_statistics(images), responses)
    scale = torch.tensor([grid[0] / tower.map_shape[1], grid[1] / tower.map_shape[2]])
    place = ((centre + 0.5) * scale).floor().long()
    return place[:, 0].clamp_max(grid[0] - 1) * grid[1] + place[:, 1].clamp_max(grid[1] - 1)


class NetworkTraining:
    """Trains a network epoch by epoch, and keeps the weights that predict the validation images best.

    ``errors`` are mean squared errors on averaged validation responses by epoch, in squared deviations of a neuron;
    ``best_epoch``, whose weights are kept, counts from 1.
    """

    def __init__(self, core: _Core, readout: _Readout, seed: int) -> None:
        self.core = core
        self.network = nn.ModuleList([core, readout])
        self.seed = seed
        self.errors: list[float] = []
        self.best_epoch = 0
        self.stop_reason = f"all {N_EPOCHS} epochs were done"
        core.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def start(
        cls, images: Float[Tensor, "stimulus channel height width"], responses: Float[Tensor, "stimulus neuron"], seed: int
    ) -> "NetworkTraining":
        """Draw the first weights; each neuron reads the place of its receptive field."""
        channels, height, width = (int(extent) for extent in images.shape[1:])
        core = _Core((channels, height, width))
        with torch.no_grad():
            rows, columns = core(images[:1]).shape[2:]
        readout = _Readout(find_places(images, responses, (int(rows), int(columns))))
        generator = torch.Generator().manual_seed(seed_for(seed, "encoding network weights"))
        for part in (core, readout):
            initialise(part, generator)
        return cls(core, readout, seed)

    @torch.enable_grad()  # encoding models are fitted without gradients
    def run(self, train: tuple[Tensor, Tensor], validation: tuple[Tensor, Tensor]) -> None:
        """Train; the rate is lowered, from the best weights so far, when the validation error stops falling."""
        optimiser = torch.optim.AdamW(self.network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        n_lowered = since = 0
        for epoch in track(range(1, N_EPOCHS + 1), "Training encoding network"):
            self._go_over(train, optimiser, epoch)
            self.errors.append(self._validate(*validation))
            since += 1
            if self.best_epoch == 0 or self.errors[-1] < self.errors[self.best_epoch - 1]:
                self.best_epoch, since = epoch, 0
                best = copy.deepcopy(self.network.state_dict())
            elif since == PATIENCE:
                if n_lowered == N_LOWERINGS:
                    self.stop_reason = f"the validation error did not fall for {PATIENCE} epochs at the lowest rate"
                    break
                self.network.load_state_dict(best)
                n_lowered, since = n_lowered + 1, 0
                optimiser.param_groups[0]["lr"] *= LOWERING
        self.network.load_state_dict(best)

    def _go_over(self, train: tuple[Tensor, Tensor], optimiser: torch.optim.Optimizer, epoch: int) -> None:
        images, responses = train
        order = torch.from_numpy(generator_for(self.seed, f"encoding network order {epoch}").permutation(len(images)))
        for rows in torch.tensor_split(order, -(-len(images) // BATCH_SIZE)):
            optimiser.zero_grad(set_to_none=True)
            self._error(images.index_select(0, rows), responses.index_select(0, rows)).backward()  # type: ignore[no-untyped-call]
            optimiser.step()

    def _error(self, images: Tensor, responses: Tensor) -> Tensor:
        core, readout = self.network
        return (readout(core(images.contiguous(memory_format=torch.channels_last))) - responses).square().mean()

    @torch.no_grad()
    def _validate(self, images: Tensor, responses: Tensor) -> float:
        parts = zip(torch.split(images, IMAGES_AT_ONCE), torch.split(responses, IMAGES_AT_ONCE), strict=True)
        return sum(float(self._error(*part)) * len(part[0]) for part in parts) / len(images)


class NetworkFrontEnd:
    """The last maps of a network that was trained to predict every neuron, standardised over the training images.

    All neurons share three layers of convolutions; each reads the one place of its receptive field. That readout serves
    training alone: the encoding model fits weights of its own on the maps. Training is on averaged responses, by mean squared
    error, for at most 32 epochs; the epoch with the lowest validation error is kept. When the error has not fallen for four
    epochs, training goes on from the best epoch with a third of the rate; after the third time it ends. ``chosen`` says how.

    References
    ----------
    Klindt et al. (2017), https://doi.org/10.48550/arXiv.1711.02653 (shared core, factorised readout); Lurz et al. (2021),
    https://doi.org/10.1101/2020.10.05.326256 (readout at one place). Here the place is not learnt but estimated.
    """

    def __init__(self) -> None:
        self.chosen: dict[str, str | float] = {}
        self._core: _Core
        self._mean: Tensor
        self._deviation: Tensor

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> Float[Tensor, "stimulus channel height width"]:
        """Train the network, keep its best epoch, and return the maps of the training images in half precision.

        Raises
        ------
        DataError
            If the images are smaller than 16 × 16 pixels.
        """
        height, width = (int(extent) for extent in train.images.shape[2:])
        if min(height, width) < SMALLEST_IMAGE:
            raise DataError(
                f"The network front end needs images of at least {SMALLEST_IMAGE} x {SMALLEST_IMAGE} pixels; got"
                f" {height} x {width}. Enlarge the images."
            )
        images, responses = torch.from_numpy(train.images), torch.from_numpy(train.averaged())
        training = NetworkTraining.start(images, responses, seed)
        training.run((images, responses), (torch.from_numpy(validation.images), torch.from_numpy(validation.averaged())))
        self._core = training.core
        self.chosen = {
            "epochs_done": len(training.errors),
            "epochs_budget": N_EPOCHS,
            "chosen_epoch": training.best_epoch,
            "stop_reason": training.stop_reason,
        }
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


# Front ends by name.
FRONT_ENDS: dict[str, type[GaborFrontEnd] | type[_OpponentFrontEnd] | type[NetworkFrontEnd]] = {
    "gabor": GaborFrontEnd,
    "opponent": _OpponentFrontEnd,
    "network": NetworkFrontEnd,
}
