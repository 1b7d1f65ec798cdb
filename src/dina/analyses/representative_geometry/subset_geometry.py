"""The geometry of test images as parts of the neurons give it, beside that of all neurons and that of all others."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from dina.analyses.closed_readouts import Treatment
from dina.analyses.decoded import Decoded
from dina.analyses.neuron_readout import NeuronReadout
from dina.analyses.neuron_subsets.subset_curves import Orders
from dina.checks import DataError
from dina.progress import track
from dina.statistics.geometry import FEWEST_IMAGES, geometry_of
from dina.statistics.repeats import average_halves

TENTH = 0.1
FRACTIONS = (0.01, 0.02, 0.05, TENTH, 0.2, 0.35, 0.5)  # of the neurons in a part
# What is compared with what; "part" are the first neurons of a sequence, "rest" all others.
COMPARISONS = {"part_all": ("part", "all"), "rest_all": ("rest", "all"), "part_rest": ("part", "rest")}
ALONE = {"part_part": ("part", "part"), "rest_rest": ("rest", "rest")}

# Geometries of the average response and, where there are repeats, of its two halves.
Geometries = Float[np.ndarray, "set measure image image"]
Products = Float[np.ndarray, "inner measure image image"]


@dataclass(frozen=True, eq=False)
class ImageResponses:
    """Responses to test images: averages over all repeats, then over either half of the repeats of each image."""

    sets: Float[Tensor, "set image neuron"]
    images: Int[np.ndarray, "image"]  # their positions in the test part
    reason: str  # why there are no halves; "" where there are

    @classmethod
    def of(cls, decoded: Decoded, n_images: int) -> "ImageResponses":
        """Return the responses to at most so many test images, evenly spaced; those with two trials alone, if there are enough.

        Raises
        ------
        DataError
            If there are fewer than eight test images.
        """
        test = decoded.test
        single = test.n_presentations == 1
        averaged, reason = test.averaged(), ""
        try:
            first, second, images = average_halves(test.responses[single], test.stimulus_index[single])
            if len(images) < FEWEST_IMAGES:
                reason = f"Only {len(images)} test images have two single trials; {FEWEST_IMAGES} are needed."
        except DataError:
            reason = "No test image has two single trials, so that noise cannot be told from geometry."
        kept = np.arange(test.n_stimuli) if reason else images
        if len(kept) < FEWEST_IMAGES:
            raise DataError(f"A geometry needs at least {FEWEST_IMAGES} test images; got {len(kept)}. Test with more images.")
        chosen = np.linspace(0, len(kept) - 1, min(n_images, len(kept))).round().astype(np.int64)
        sets = [averaged[kept]] + ([] if reason else [first, second])
        return cls(torch.from_numpy(np.stack([one[chosen] for one in sets]).astype(np.float64)), kept[chosen], reason)


@dataclass(frozen=True, eq=False)
class GeometryReader:
    """The decoder, and how a geometry is made of its scores."""

    readout: NeuronReadout
    responses: ImageResponses
    treatment: Treatment
    n_components: int

    def of_all(self) -> Geometries:
        """Return the geometry from all neurons."""
        return self._of(self.readout.scores(self.responses.sets.flatten(0, 1)))

    def of_subsets(self, order: Int[np.ndarray, "neuron"], sizes: tuple[int, ...]) -> Iterator[Geometries]:
        """Yield the geometry from the first ``sizes[0]``, ``sizes[1]`` … neurons of a sequence."""
        sequence = torch.from_numpy(np.ascontiguousarray(order))
        for scores in self.readout.subset_scores(self.responses.sets.flatten(0, 1), sequence, sizes, self.treatment):
            yield self._of(scores)

    def _of(self, scores: Float[Tensor, "query reference"]) -> Geometries:
        by_set = scores.reshape(len(self.responses.sets), -1, scores.shape[1]).numpy()
        return np.stack([geometry_of(one, self.n_components) for one in by_set])


@dataclass(frozen=True, eq=False)
class SubsetGeometry:
    """Inner products of the geometries of parts, of the rest, and of all neurons, by sequence of neurons.

    ``measured`` holds those of average responses: similarities as they are, in the order of `COMPARISONS`. ``crossed`` holds those
    across halves of the repeats, in the order of `COMPARISONS` and `ALONE`; it is empty where there are no halves. At the size
    ``tenth`` the products of all pairs of images are kept, averaged over draws, so that images can be resampled.
    """

    sizes: tuple[int, ...]  # neurons in a part, rising
    n_neurons: int
    whole: Geometries  # of all neurons
    measured: Mapping[str, Float[np.ndarray, "_ size comparison measure"]]  # the first axis counts draws
    crossed: Mapping[str, Float[np.ndarray, "_ size inner measure"]]
    tenth_crossed: Mapping[str, Products]
    tenth_geometry: Mapping[str, Geometries]  # at this size: "top", and all "others"

    @property
    def tenth(self) -> int:
        """Position of the size of a tenth."""
        return self.sizes.index(size_of_tenth(self.n_neurons))


def size_of_tenth(n_neurons: int) -> int:
    """Return a tenth of the neurons, at least one."""
    return max(1, round(TENTH * n_neurons))


def part_sizes(n_neurons: int) -> tuple[int, ...]:
    """Return sizes of parts, from a hundredth to half of the neurons, two neurons at least; a tenth is among them.

    Examples
    --------
    >>> part_sizes(400)
    (4, 8, 20, 40, 80, 140, 200)
    """
    sizes = (round(fraction * n_neurons) for fraction in FRACTIONS)
    return tuple(sorted({*(size for size in sizes if 2 <= size < n_neurons), size_of_tenth(n_neurons)}))


def compare_parts(reader: GeometryReader, orders: Orders) -> SubsetGeometry:
    """Compare the geometries of the first neurons of every sequence with those of all others and of all neurons.

    At any time the geometries of one sequence are held, each of images × images.
    """
    whole = reader.of_all()
    n_neurons = reader.readout.n_neurons
    sizes = part_sizes(n_neurons)
    tenth = sizes.index(size_of_tenth(n_neurons))
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in orders}
    sums: dict[str, np.ndarray] = {}
    kept: dict[str, Geometries] = {}
    for name, order in track([(name, one) for name, several in orders.items() for one in several], "Comparing geometries"):
        parts = list(reader.of_subsets(order, sizes))
        rests = list(reader.of_subsets(order[::-1], tuple(n_neurons - size for size in reversed(sizes))))[::-1]
        measured, crossed = [], []
        for place, (part, rest) in enumerate(zip(parts, rests, strict=True)):
            named = {"part": part, "rest": rest, "all": whole}
            products = _crossed(named)
            measured.append(_measured(named))
            crossed.append(products.sum(axis=(-2, -1)))
            if place == tenth:
                sums[name] = sums.get(name, 0.0) + products / len(orders[name])
                kept = {"top": part, "others": rest} if name == "top" else kept
        found[name].append((np.stack(measured), np.stack(crossed)))
    measured_by, crossed_by = ({name: np.stack([one[at] for one in draws]) for name, draws in found.items()} for at in (0, 1))
    return SubsetGeometry(sizes, n_neurons, whole, measured_by, crossed_by, sums, kept)


def _measured(named: Mapping[str, Geometries]) -> Float[np.ndarray, "comparison measure"]:
    return np.stack([np.einsum("mij,mij->m", named[one][0], named[other][0]) for one, other in COMPARISONS.values()])


def _crossed(named: Mapping[str, Geometries]) -> Products:
    if len(named["all"]) == 1:
        return np.zeros((0, *named["all"].shape[1:]))
    pairs = (*COMPARISONS.values(), *ALONE.values())
    return np.stack([(named[a][1] * named[b][2] + named[a][2] * named[b][1]) / 2 for a, b in pairs])
