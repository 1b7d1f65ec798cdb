"""From accuracies at one size and at halves of it to the accuracy at any other size, with an interval for one new study."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import numpy as np
import xarray as xr
from jaxtyping import Float
from scipy.stats import norm

from dina.checks import DataError, check_choice
from dina.randomness import generator_for
from dina.short_words import brief

AXES = ("images", "neurons", "repeats")
N_DRAWS = 4000
LEVEL = 0.9
# Kind of query → what is recorded more of → range of the share of u that no more of it removes, and the least power; see `foretell`.
FLOORS = {
    "averaged": {"images": (0.56, 0.76), "neurons": (0.32, 0.46), "repeats": (0.38, 0.58)},
    "single_trial": {"images": (0.56, 0.76), "neurons": (0.15, 0.35), "repeats": (0.65, 0.93)},
}
LEAST_POWER = 0.7
MOST = 32.0  # times as much as there is: farther, nothing is foretold
_DISTANCES = np.linspace(0.0, 12.0, 1201)
_BEYOND_COUNT = 10**12  # test images, so many that sampling them adds nothing
_LOWEST = 0.05  # distance of scores at which there is nothing to extrapolate


@dataclass(frozen=True, eq=False)
class Pilot:
    """What was measured of a recording by leaving images out.

    Parameters
    ----------
    by_image
        Kind of query → "all", "images", "neurons" or "repeats" (what was halved) → what each image adds to top-1 accuracy
        (`dina.retrieval.gallery_size.accuracy_by_image`).
    by_half
        Accuracy with each random half of the neurons.
    gallery
        Number of candidates in all of these.
    n_images
        Images from which each fit learnt, without those that choose.
    n_neurons, n_repeats
        Of the recording.
    """

    __repr__ = brief

    by_image: Mapping[str, Mapping[str, Float[np.ndarray, "image"]]]
    by_half: Float[np.ndarray, "half"]
    gallery: int
    n_images: int
    n_neurons: int
    n_repeats: float

    @property
    def sizes(self) -> dict[str, float]:
        """How many images to learn from, neurons and repeats there are."""
        return {"images": float(self.n_images), "neurons": float(self.n_neurons), "repeats": self.n_repeats}

    def draw(self, queries: str, generator: np.random.Generator) -> dict[str, Float[np.ndarray, "draw"]]:
        """Return the accuracies measured, first as they are, then as other images would give them; halves vary together with all."""
        rows = self.by_image[queries]
        values = np.stack(list(rows.values()))
        spread = np.linalg.cholesky(np.atleast_2d(np.cov(values)) / values.shape[1] + 1e-12 * np.eye(len(rows)))
        drawn = values.mean(axis=1) + generator.standard_normal((N_DRAWS, len(rows))) @ spread.T
        return {name: np.concatenate([[values[at].mean()], drawn[:, at]]) for at, name in enumerate(rows)}

    def to_dataset(self) -> xr.Dataset:
        """Return what was measured as arrays with named axes."""
        variables: dict[str, Any] = {
            f"{kind}_{name}": ("image", values, {"units": "1"})
            for kind, rows in self.by_image.items()
            for name, values in rows.items()
        }
        variables["by_half"] = ("half", self.by_half, {"units": "1"})
        return xr.Dataset(
            variables, attrs={name: getattr(self, name) for name in ("gallery", "n_images", "n_neurons", "n_repeats")}
        )

    @classmethod
    def from_dataset(cls, dataset: xr.Dataset) -> Self:
        """Return the pilot that `to_dataset` gave."""
        by_image: dict[str, dict[str, np.ndarray]] = {}
        for variable in map(str, dataset.data_vars):
            kind, _, name = variable.rpartition("_")
            if name in ("all", *AXES):
                by_image.setdefault(kind, {})[name] = dataset[variable].to_numpy()
        gallery, n_images, n_neurons = (int(dataset.attrs[name]) for name in ("gallery", "n_images", "n_neurons"))
        return cls(by_image, dataset["by_half"].to_numpy(), gallery, n_images, n_neurons, float(dataset.attrs["n_repeats"]))


@dataclass(frozen=True)
class Forecast:
    """Top-1 accuracy foretold for a study of another size; all accuracies lie in [0, 1].

    Parameters
    ----------
    n_images, n_neurons, n_repeats
        Images to learn from (without those that choose), neurons and repeats of that study.
    n_test, gallery
        Test images of that study, and candidates.
    queries
        "averaged" or "single_trial".
    top1
        Foretold.
    low, high
        Ends of the 90 % prediction interval for what one such study finds; sampling of its test images is in it.
    """

    n_images: float
    n_neurons: float
    n_repeats: float
    n_test: int
    gallery: int
    queries: str
    top1: float
    low: float
    high: float


def foretell(
    pilot: Pilot, times: Mapping[str, float], n_test: int, gallery: int, queries: str = "averaged", seed: int = 0
) -> Forecast:
    r"""Foretell top-1 accuracy of a study with other numbers of images to learn from, neurons or repeats.

    Parameters
    ----------
    pilot
        What was measured.
    times
        How many times as many "images", "neurons" and "repeats" as in the pilot; 1 for those left out.
    n_test
        Test images of that study.
    gallery
        Candidates among which each is sought.
    queries
        "averaged" or "single_trial".
    seed
        Of the draws behind the interval.

    Raises
    ------
    DataError
        If a name is unknown, the pilot does not tell about it, or a size is out of range.

    Notes
    -----
    An accuracy in galleries of g is the chance that the largest of g - 1 standard normal numbers stays below a normal number with
    mean d. This distance d stands for the information in a response; :math:`u = 1/d^2` falls towards a floor as :math:`a + b x^{-p}`
    with the size x. The share of the floor, :math:`f = a/u`, is what is assumed (`FLOORS`); what halving costs,
    :math:`g = u(x/2)/u(x) - 1`, then gives :math:`p = \log_2(1 + g/(1 - f))`, and :math:`u(kx)/u(x) = 1 - g(1 - k^{-p})/(2^p - 1)`.
    Doubling therefore takes :math:`1/(1/g + 1/(1 - f))` of u away. Changes of several sizes are multiplied. Draws: images of the
    pilot, f, the neurons, and the test images of the new study.
    """
    check_choice("queries", queries, pilot.by_image)
    known, generator = pilot.by_image[queries], generator_for(seed, "forecast")
    measured = pilot.draw(queries, generator)
    inverse = _inverse(measured["all"], pilot.gallery)
    later = inverse.copy()
    for axis, factor in times.items():
        check_choice("what is recorded more of", axis, AXES)
        if axis not in known and factor != 1:
            raise DataError(f"This recording cannot tell about {axis}: they could not be halved. Ask for other sizes.")
        if not 1 / MOST <= factor <= MOST:
            raise DataError(f"A forecast reaches from 1/{MOST:g} to {MOST:g} times the size; got {factor:g} times the {axis}.")
        if factor == 1:
            continue
        floor = generator.uniform(*FLOORS[queries][axis], N_DRAWS + 1)
        floor[0] = np.mean(FLOORS[queries][axis])
        gained = np.maximum(_inverse(measured[axis], pilot.gallery) / inverse - 1, 0.0)
        power = np.maximum(np.log2(1 + gained / (1 - floor)), LEAST_POWER)
        change = np.maximum(1 - gained * (1 - factor**-power) / (2**power - 1), 0.02)
        later *= change
        if axis == "neurons" and factor > 1 and len(pilot.by_half) > 1:
            spread = np.log(_inverse(pilot.by_half, pilot.gallery)).std(ddof=1)
            # which neurons come in matters as much less than which half is kept as a doubling gains less than halving costs
            sensitive = np.clip(-np.log(change) / np.log2(factor) / np.log1p(np.maximum(gained, 1e-9)), 0.0, 1.0)[1:]
            later[1:] *= np.exp(spread * sensitive * np.sqrt(1 - 1 / factor) * generator.standard_normal(N_DRAWS))
    foretold = _accuracy(later**-0.5, gallery)
    # of the images of a new study; an accuracy near 0 or 1 varies less
    now = float(np.clip(measured["all"][0], 0.02, 0.98))
    spread_of_images = known["all"].std(ddof=1) * np.sqrt(foretold * (1 - foretold) / (now * (1 - now)) / n_test)
    found = foretold[1:] + spread_of_images[1:] * generator.standard_normal(N_DRAWS)
    low, high = np.clip(np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]), 0.0, 1.0)
    images, neurons, repeats = (pilot.sizes[axis] * times.get(axis, 1.0) for axis in AXES)
    top1 = float(np.median(foretold[1:]))
    return Forecast(images, neurons, repeats, n_test, gallery, queries, top1, float(low), float(high))


def size_needed(
    pilot: Pilot,
    accuracy: float,
    axis: str,
    gallery: int,
    queries: str = "averaged",
    start: Mapping[str, float] | None = None,
) -> tuple[float | None, float | None]:
    """Return how many times as many images, neurons or repeats reach an accuracy: as foretold, and at the lower end of its interval.

    The accuracy is the one to expect, a mean over test images, so that the number of these does not count.

    Parameters
    ----------
    pilot, gallery, queries
        As in `foretell`.
    accuracy
        To reach.
    axis
        What is recorded more of.
    start
        Times of the other sizes; None for the pilot's.

    Returns
    -------
    times, times_sure
        None where no size up to 32 times reaches it.

    Raises
    ------
    DataError
        As `foretell`.
    """
    reached: list[float | None] = []
    grid = np.geomspace(0.5, MOST, 49)
    found = [foretell(pilot, {**(start or {}), axis: float(times)}, _BEYOND_COUNT, gallery, queries) for times in grid]
    for name in ("top1", "low"):
        enough = [times for times, one in zip(grid, found, strict=True) if getattr(one, name) >= accuracy]
        reached.append(float(min(enough)) if enough else None)
    return reached[0], reached[1]


@cache
def _table(gallery: int) -> Float[np.ndarray, "distance"]:
    """Return the accuracy of every distance of the table in galleries of a size."""
    steps = np.linspace(-8.0, 20.0, 2801)
    below = norm.cdf(steps) ** (gallery - 1)
    return np.array([float((norm.pdf(steps - distance) * below).sum() * (steps[1] - steps[0])) for distance in _DISTANCES])


def _accuracy(distance: Float[np.ndarray, "draw"], gallery: int) -> Float[np.ndarray, "draw"]:
    return np.asarray(np.interp(distance, _DISTANCES, _table(gallery)))


def _inverse(accuracy: Float[np.ndarray, "draw"], gallery: int) -> Float[np.ndarray, "draw"]:
    """Return one over the squared distance that gives each accuracy."""
    table = _table(gallery)
    distance = np.interp(np.clip(accuracy, table[0], 0.9995), table, _DISTANCES)
    return np.asarray(np.maximum(distance, _LOWEST) ** -2)
