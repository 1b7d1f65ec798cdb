"""Feature spaces that are read as a whole: principal components of some features, and ridge weights on all of them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from dina.large_arrays import blocks_of
from dina.models.global_ridge import GLOBAL_PENALTIES, eigenvectors_of, leave_each_out
from dina.models.penalties import check_penalties
from dina.models.spaces.space import FeatureSpace, SpaceFit
from dina.models.towers.tower import MapShape
from dina.neuron_blocks import divide_neurons, join_neurons, large_like, on_workers

MOST_COMPONENTS = 512
MANY_IMAGES = 4096  # of more training images, components are learnt from as many evenly spaced ones
SMALLEST = 1e-6  # variance of a component that is kept, relative to the largest
IMAGES_AT_ONCE = 64
NEURONS_AT_ONCE = 4096
MOST_PIXELS = 4096  # of larger images, means over neighbouring pixels are taken
PLACES_ALONG = 7  # of the coarse map of Gabor channels, along its shorter side


@dataclass(frozen=True, eq=False)
class _Components:
    """Components of the features of training images, the largest first."""

    values: Float[Tensor, "component"]
    vectors: Float[Tensor, "stimulus component"]  # of unit length
    scale: Float[Tensor, ""]  # by which a direction is shorter than one of unit length
    typical: float  # mean value of all components, those left out too


class ComponentSpace(FeatureSpace):
    """Principal components of ``raw`` features over the training images, read by ridge regression.

    A space of your own writes `raw`. Every neuron takes the penalty that predicts left-out training images best.
    """

    mean: Tensor
    directions: Tensor

    def __init__(self, image_shape: MapShape, map_shape: MapShape) -> None:
        super().__init__(image_shape, map_shape)
        self.register_buffer("mean", torch.zeros(0))
        self.register_buffer("directions", torch.zeros(0, 0))

    @property
    def n_features(self) -> int:
        """Number of components; 0 before `fit`."""
        return int(self.directions.shape[1])

    def raw(self, images: Tensor, maps: Tensor) -> Float[Tensor, "batch raw_feature"]:
        """Return the features of which components are taken."""
        raise NotImplementedError

    def forward(self, images: Tensor, maps: Tensor) -> Float[Tensor, "batch feature"]:
        """Return the components of images, with a mean variance of 1 over the training images."""
        return (self.raw(images, maps) - self.mean) @ self.directions

    def fit(self, images: Tensor, maps: Tensor, responses: Float[Tensor, "stimulus neuron"]) -> SpaceFit:
        """Learn the components, then ridge weights."""
        return self.fit_some(some_images(len(images)), images, maps, responses)

    def fit_some(
        self, rows: Int[Tensor, "some"] | None, images: Tensor, maps: Tensor, responses: Float[Tensor, "stimulus neuron"]
    ) -> SpaceFit:
        """Learn the components from the images ``rows``, None for all, and ridge weights from all."""
        if rows is None:
            return self.fit_raw(in_chunks(self.raw, images, maps), responses)
        self.fit_raw(in_chunks(self.raw, images[rows], maps[rows]), responses[rows])
        features = in_chunks(self, images, maps)
        return self._fit_features(features, responses)

    def fit_raw(self, raw: Float[Tensor, "stimulus raw_feature"], responses: Float[Tensor, "stimulus neuron"]) -> SpaceFit:
        """Do the same from the ``raw`` features of the training images."""
        found = self.find_components(raw)
        weights, predicted = _fit_ridge(found.values, found.vectors, found.typical, responses)
        return SpaceFit(weights.mul_(found.scale).T.contiguous(), predicted, (raw - self.mean) @ self.directions)

    def find_components(self, raw: Float[Tensor, "stimulus raw_feature"]) -> "_Components":
        """Learn the mean of the ``raw`` features of training images and the directions of their components."""
        self.mean = raw.mean(0)
        raw = raw - self.mean
        values, vectors = eigenvectors_of(raw @ raw.T)
        kept = torch.where(values > SMALLEST * values[-1])[0][-MOST_COMPONENTS:].flip(0)
        scale = (values[kept].sum() / (len(raw) * max(1, len(kept)))).sqrt().clamp_min(1e-12)
        self.directions = raw.T @ (vectors[:, kept] / (values[kept].sqrt() * scale))
        return _Components(values[kept], vectors[:, kept], scale, float(values.clamp_min(0).mean()))

    def _fit_features(self, features: Float[Tensor, "stimulus feature"], responses: Float[Tensor, "stimulus neuron"]) -> SpaceFit:
        """Learn ridge weights on components that were learnt from some of the images, and centre the features on all images."""
        offset = features.mean(0)
        features -= offset
        # directions are orthogonal and of one length, so that a shift of the features is one of the raw features
        self.mean = self.mean + self.directions @ offset / self.directions.square().sum(0).mean().clamp_min(1e-12)
        values, vectors = eigenvectors_of(features.T @ features)
        kept = values > SMALLEST * values[-1]
        values, vectors = values[kept], vectors[:, kept]
        typical = float(features.square().sum() / len(features))
        weights, predicted = _fit_ridge(values, features @ (vectors / values.sqrt()), typical, responses)
        return SpaceFit((vectors @ weights).T.contiguous(), predicted, features)


def some_images(n_images: int) -> Int[Tensor, "some"] | None:
    """Return the images from which components are learnt; None for all."""
    return None if n_images <= MANY_IMAGES else torch.linspace(0, n_images - 1, MANY_IMAGES).round().long()


def in_chunks(compute: Callable[[Tensor, Tensor], Tensor], images: Tensor, maps: Tensor) -> Float[Tensor, "stimulus feature"]:
    """Return features of many images and their maps, computed from a few at a time."""
    chunks = zip(torch.split(images, IMAGES_AT_ONCE), torch.split(maps, IMAGES_AT_ONCE), strict=True)
    return torch.cat([compute(some.to(maps.device), of_some) for some, of_some in chunks])


def _fit_ridge(
    values: Float[Tensor, "component"],
    vectors: Float[Tensor, "stimulus component"],
    typical: float,
    responses: Float[Tensor, "stimulus neuron"],
) -> tuple[Float[Tensor, "component neuron"], Float[Tensor, "stimulus neuron"]]:
    """Return ridge weights on components of unit length times √value, and leave-one-out predictions, without the mean responses."""
    neurons = divide_neurons(torch.arange(responses.shape[1], device=responses.device)[:, None])
    if len(neurons) > 1:
        found = on_workers(_fit_block, (values, vectors, typical), [(responses[:, some],) for some in neurons])
        weights, predicted = (join_neurons(parts, neurons, axis=1) for parts in zip(*found, strict=True))
        return weights, predicted
    weights, predicted = values.new_empty(len(values), responses.shape[1]), large_like(responses)
    for some in blocks_of(responses.shape[1], NEURONS_AT_ONCE):
        weights[:, some], predicted[:, some] = _fit_block(values, vectors, typical, responses[:, some])
    return weights, predicted


def _fit_block(values: Tensor, vectors: Tensor, typical: float, responses: Tensor) -> tuple[Tensor, Tensor]:
    centred = responses - responses.mean(0)
    power = centred.square().mean(0)
    projected = vectors.T @ centred
    weights, predicted = torch.zeros_like(projected), torch.zeros_like(centred)
    lowest = power.clone()  # a neuron that no penalty predicts better than its mean has no weights
    for penalty in check_penalties(GLOBAL_PENALTIES).tolist():
        shrunk = values / (values + penalty * typical)
        left_out = leave_each_out(vectors, shrunk, projected, centred)
        error = (centred - left_out).square_().mean(0)
        better = error < lowest
        lowest[better], predicted[:, better] = error[better], left_out[:, better]
        weights[:, better] = (values.sqrt() / (values + penalty * typical))[:, None] * projected[:, better]
        del left_out  # before the next is made
    return weights, predicted


class Pixels(ComponentSpace):
    """The pixels of the whole image: neurons without a local receptive field, and whatever Gabor channels do not hold."""

    label = "pixels, whole image"

    def raw(self, images: Tensor, maps: Tensor) -> Float[Tensor, "batch raw_feature"]:
        """Return pixels, averaged over neighbours until there are at most 4,096 for each colour."""
        height, width = images.shape[2:]
        shrink = min(1.0, (MOST_PIXELS / (height * width)) ** 0.5)
        return F.adaptive_avg_pool2d(images, (max(1, int(height * shrink)), max(1, int(width * shrink)))).flatten(1)


class GlobalGabors(ComponentSpace):
    """All Gabor channels on a coarse map of the whole image: neurons with large or scattered receptive fields."""

    label = "Gabor channels, whole image"

    def raw(self, images: Tensor, maps: Tensor) -> Float[Tensor, "batch raw_feature"]:
        """Return the local channels, averaged to about seven places along the shorter side."""
        shrink = min(1.0, PLACES_ALONG / min(maps.shape[2:]))
        grid = [max(1, round(extent * shrink)) for extent in maps.shape[2:]]
        return F.adaptive_avg_pool2d(maps.contiguous().float(), (grid[0], grid[1])).flatten(1)
