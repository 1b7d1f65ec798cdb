"""The contract of both towers: something observed goes in, feature maps (channel, height, width) come out."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dina.checks import DataError, check_choice
from dina.models.towers.divided_batch import place_of_rows

# (channels, height, width) of feature maps or images.
MapShape = tuple[int, int, int]

# Maps of either tower, dimensionless.
FeatureMaps = Float[Tensor, "batch map_channel map_height map_width"]

# Images in units of contrast.
ImageBatch = Float[Tensor, "batch channel height width"]

# Population responses, standardised as in training.
ResponseBatch = Float[Tensor, "batch neuron"]


class ImageTower(nn.Module):
    """An encoder of images to feature maps, made of named pathways.

    A tower of one's own derives from this class, calls ``super().__init__`` and writes `forward`. It needs no
    entry in any table to be trained.

    Parameters
    ----------
    image_shape
        (channels, height, width) of the images, in pixels.
    map_shape
        (channels, height, width) of the feature maps.
    pathways
        Names of the parts that `forward` can leave out.
    """

    def __init__(self, image_shape: MapShape, map_shape: MapShape, pathways: tuple[str, ...]) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.map_shape = map_shape
        self.pathways = pathways

    def forward(self, images: ImageBatch, masked: tuple[str, ...] = ()) -> FeatureMaps:
        """Return the feature maps of ``images`` (units of contrast); pathways named in ``masked`` contribute nothing."""
        raise NotImplementedError

    def check_input(self, images: Tensor, masked: tuple[str, ...]) -> None:
        """Refuse images of another shape than the tower was built for, and unknown pathways.

        Raises
        ------
        DataError
            If the shape differs or a name in ``masked`` is none of ``pathways``.
        """
        if tuple(images.shape[1:]) != self.image_shape:
            raise DataError(
                f"images must be (n_images, {', '.join(map(str, self.image_shape))}), as the image tower was built for;"
                f" got {tuple(images.shape)}. Build a tower for these images, or resize them."
            )
        for name in masked:
            check_choice("pathway", name, self.pathways)


class NeuralTower(nn.Module):
    """An encoder of population responses to feature maps.

    Parameters
    ----------
    n_neurons
        Number of neurons.
    map_shape
        (channels, height, width) of the feature maps.
    """

    def __init__(self, n_neurons: int, map_shape: MapShape) -> None:
        super().__init__()
        self.n_neurons = n_neurons
        self.map_shape = map_shape

    def forward(self, responses: ResponseBatch) -> FeatureMaps:
        """Return the feature maps of ``responses`` (standardised, dimensionless)."""
        raise NotImplementedError

    def check_input(self, responses: Tensor) -> None:
        """Refuse responses of another number of neurons than the tower was built for.

        Raises
        ------
        DataError
            If the number of neurons differs.
        """
        if responses.ndim != 2 or responses.shape[1] != self.n_neurons:
            raise DataError(
                f"responses must be (n_trials, n_neurons) with n_neurons = {self.n_neurons}, as the neural tower was built"
                f" for; got {tuple(responses.shape)}. Fit a tower for this recording, or select the same neurons."
            )


def check_image_size(image_shape: MapShape, smallest: int, tower: str) -> None:
    """Refuse images too small for a tower.

    Raises
    ------
    DataError
        If height or width is below ``smallest`` pixels.
    """
    _, height, width = image_shape
    if min(height, width) < smallest:
        raise DataError(
            f"The {tower} image tower needs images of at least {smallest} x {smallest} pixels; got {height} x {width}."
            " Enlarge the images, or choose another preset."
        )


@torch.no_grad()
def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Draw all weights anew from ``generator``, with the distributions that torch uses by default.

    Linear and convolutional layers draw weights and biases uniformly within ±1/√fan_in; normalisation layers start
    at weight 1 and bias 0. A module with parameters of another kind defines ``draw_parameters(generator)``. Modules, which must
    still be on the CPU, are visited in the order of their names, so that the same generator always gives the same weights.

    Raises
    ------
    TypeError
        If a module holds parameters of a kind that nothing here draws.
    """
    for name, part in sorted(module.named_modules()):
        if hasattr(part, "draw_parameters"):
            part.draw_parameters(generator)
        elif isinstance(part, nn.Linear | nn.Conv2d):
            bound = 1 / math.sqrt(part.weight[0].numel())
            part.weight.uniform_(-bound, bound, generator=generator)
            if part.bias is not None:
                part.bias.uniform_(-bound, bound, generator=generator)
        elif isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm | nn.GroupNorm):
            part.reset_parameters()
        elif any(True for _ in part.parameters(recurse=False)):
            raise TypeError(f"{name or type(part).__name__} holds parameters but has no draw_parameters(generator).")


class NeuronDropout(nn.Module):
    """Silence each neuron of each sample with a probability while training, and scale up the others.

    Parameters
    ----------
    probability
        Of being silenced, in [0, 1).

    Raises
    ------
    DataError
        If ``probability`` is outside [0, 1).
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        if not 0 <= probability < 1:
            raise DataError(f"dropout must be at least 0 and below 1; got {probability}. 0.5 is usual; 0 switches it off.")
        self.probability = probability
        self.generator: torch.Generator | None = None

    def forward(self, responses: ResponseBatch) -> ResponseBatch:
        """Return responses with some neurons at 0 (training), or unchanged (evaluation, or before `seed_dropout`)."""
        if not self.training or self.probability == 0 or self.generator is None:
            return responses
        # where processes divide a batch, each draws for all of it and takes its rows: the same neurons as in one process
        first, n_rows = place_of_rows(len(responses))
        # in memory, so that all devices silence the same neurons
        drawn = torch.rand(n_rows, responses.shape[1], generator=self.generator)
        stays = drawn[first : first + len(responses)].to(responses.device) >= self.probability
        return responses * stays / (1 - self.probability)


def seed_dropout(module: nn.Module, generator: torch.Generator) -> None:
    """Give every `NeuronDropout` in ``module`` the generator of its masks, one of the CPU whatever the device."""
    for part in module.modules():
        if isinstance(part, NeuronDropout):
            part.generator = generator
