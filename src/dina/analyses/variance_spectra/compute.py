"""Variance spectra: how fast variance falls with rank in images, responses and the maps of both towers."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from jaxtyping import Float, Float32, Int
from pydantic import Field
from scipy.special import ndtri

from dina.analyses.analysis import AnalysisSettings, PlainResult
from dina.analyses.comparable_maps import ComparableMaps
from dina.analyses.decoded import Decoded
from dina.analyses.untrained import NOT_LEARNT, draw_untrained, is_image_map_learnt
from dina.checks import DataError
from dina.progress import track
from dina.randomness import generator_for, seed_for
from dina.shapes import ContrastImages
from dina.statistics.finding import Finding
from dina.statistics.repeats import UnequalRepeats, pick_two_repeats
from dina.statistics.resampling import LEVEL, percentile_interval
from dina.statistics.spectrum import cross_validated_spectrum, fit_moments, fit_power_law

SOURCES = ("images", "responses", "image_maps", "neural_maps", "untrained_image_maps", "untrained_neural_maps", "random_filters")
OF_TOWERS = ("image_maps", "neural_maps")
NO_NULL = "Fitting changes it whatever the responses are, so that it has no null; towers with random weights stand beside it."
ESTIMATORS = ("rank", "moment")
N_RANDOM_FILTERS = 16
ROUNDING = 1e-6  # shares of the variance below this are rounding errors of single precision
FEWEST_IMAGES = 40
N_QUANTILES = 1000  # by which the error of each draw of weights enters the pooled interval
NO_REPEATS = "Signal variance needs images shown twice; no validation or test image was. Record repeats."

Halves = tuple[Float32[np.ndarray, "stimulus variable"], Float32[np.ndarray, "stimulus variable"]]


class VarianceSpectraSettings(AnalysisSettings):
    """On what, and over which ranks, power laws are fitted.

    Parameters
    ----------
    n_images
        At most so many images of validation and test are used.
    first_rank, last_rank
        Ranks fitted, as published; the last is at most half the number of images, because with few images the tail of a
        sample spectrum falls too slowly and then too fast.
    n_untrained
        Untrained towers, each with weights of its own.
    unequal_repeats
        What to do where images differ in their number of trials: "refuse" spectra of responses, or take the "first_two" of each.
    """

    n_images: int = Field(560, ge=40)
    first_rank: int = Field(11, ge=1)
    last_rank: int = Field(500, ge=11)
    n_untrained: int = Field(3, ge=1)
    unequal_repeats: UnequalRepeats = "refuse"


def analyse_variance_spectra(decoded: Decoded, settings: VarianceSpectraSettings = VarianceSpectraSettings()) -> PlainResult:
    """Fit power laws to the variance of images, responses and maps, on images that the towers were not fitted on.

    These are the images and trials of validation and test; means and the prior of maps are learnt from training images. It raises
    `DataError` where there are fewer than 40 such images, or no fitted towers.

    ``variance`` is the fraction of the signal variance by rank: NaN where the source has no such rank or is missing, and negative
    where there is no signal. ``exponent`` is that of its power law with interval, by two estimators; ``fitted_ranks`` are the first
    and last that the rank estimator fitted, 0 where it could not. Findings are ``exponent_<source>`` and
    ``moment_exponent_<source>``; those of maps stand beside the untrained towers'.
    """
    images, halves = _held_out(decoded, settings.n_images, settings.unequal_repeats)
    fit = partial(_measure, decoded, (settings.first_rank, min(settings.last_rank, len(images) // 2)))
    found = {"images": fit("images", _same(images)), "responses": fit("responses", halves)}
    form = ""
    draws: dict[str, list[_Spectrum]] = {name: [] for name in ("untrained_image_maps", "untrained_neural_maps")}
    is_learnt = is_image_map_learnt(decoded.towers)
    bare = draw_untrained(decoded.towers, decoded.seed, settings.n_untrained)
    for number, towers in enumerate(track([decoded.towers, *bare], "Spectra of maps")):
        reader = ComparableMaps(towers, decoded.train, decoded.validation, decoded.seed)
        form = form or reader.form
        # where images have the same map whatever the weights, one draw is all
        made = _same(reader.of_images(images)) if number < 2 or is_learnt else ""
        neural = (
            halves if isinstance(halves, str) else (_flat(reader.of_responses(halves[0])), _flat(reader.of_responses(halves[1])))
        )
        if number == 0:
            found |= {"image_maps": fit("image_maps", made), "neural_maps": fit("neural_maps", neural)}
            continue
        if made:
            draws["untrained_image_maps"].append(fit("untrained_image_maps", made))
        draws["untrained_neural_maps"].append(fit("untrained_neural_maps", neural))
    found |= {source: _pool(spectra) for source, spectra in draws.items()}
    if not is_learnt:
        for estimator in ESTIMATORS:
            found["image_maps"].reasons.setdefault(estimator, NOT_LEARNT)
    height, width = decoded.towers.image_tower.map_shape[1:]
    found["random_filters"] = fit("random_filters", _same(_random_filters(images, (height, width), decoded.seed)))
    n_ranks = max(len(spectrum.shares) for spectrum in found.values())
    padded = [
        np.pad(found[source].shares, (0, n_ranks - len(found[source].shares)), constant_values=np.nan) for source in SOURCES
    ]
    exponents = np.stack([found[source].exponent for source in SOURCES])
    variables = {
        "variance": (("source", "rank"), np.stack(padded), {"units": "1", "long_name": "fraction of signal variance"}),
        "exponent": (("source", "estimator", "statistic"), exponents, {"units": "1"}),
        "fitted_ranks": (("source", "end"), np.stack([found[source].ranks for source in SOURCES]), {"units": "1"}),
    }
    coordinates = {
        "source": list(SOURCES),
        "rank": ("rank", np.arange(1, n_ranks + 1), {"units": "1"}),
        "estimator": list(ESTIMATORS),
        "statistic": ["value", "low", "high"],
        "end": ["first", "last"],
    }
    arrays = xr.Dataset(variables, coordinates, {"n_images": len(images), "form": form})
    return PlainResult(arrays, _exponent_findings(found, len(images)))


def _exponent_findings(found: dict[str, "_Spectrum"], n_images: int) -> tuple[Finding, ...]:
    findings = []
    for source in SOURCES:
        for column, (estimator, prefix) in enumerate(zip(ESTIMATORS, ("", "moment_"), strict=True)):
            value, low, high = map(float, found[source].exponent[column])
            reason = found[source].reasons.get(estimator, NO_NULL if source in OF_TOWERS else "")
            findings.append(Finding(f"{prefix}exponent_{source}", value, "1", n_images, low, high, reason=reason))
    return tuple(findings)


@dataclass(frozen=True, eq=False)
class _Spectrum:
    """Shares of variance by rank and power-law exponents of one source; ``reasons`` say by estimator why there is none."""

    shares: Float[np.ndarray, "rank"]
    exponent: Float[np.ndarray, "estimator statistic"]
    ranks: Int[np.ndarray, "end"]
    reasons: dict[str, str]


def _measure(decoded: Decoded, ranks: tuple[int, int], source: str, halves: Halves | str) -> _Spectrum:
    """Fit both power laws to one source, or give the reason for having none; an exponent that cannot be estimated is NaN, with a reason."""
    exponent, fitted = np.full((2, 3), np.nan), np.zeros(2, dtype=np.int64)
    if isinstance(halves, str):
        return _Spectrum(np.full(1, np.nan), exponent, fitted, dict.fromkeys(ESTIMATORS, halves))
    first, second = _coordinates(*halves)
    spectrum = cross_validated_spectrum(first, second, generator_for(decoded.seed, f"spectrum of {source}"))
    shares = spectrum.variance / spectrum.variance.sum()
    known = int(np.argmax(shares < ROUNDING)) if (shares < ROUNDING).any() else len(shares)
    ranks, reasons = (ranks[0], min(ranks[1], known)), {}
    try:
        fit = fit_power_law(spectrum, generator_for(decoded.seed, f"power law of {source}"), ranks, decoded.n_resamples)
        exponent[0], fitted[:] = (fit.exponent, fit.low, fit.high), (fit.first_rank, fit.last_rank)
    except DataError as error:
        reasons["rank"] = str(error)
    try:
        moment = fit_moments(first, second, generator_for(decoded.seed, f"moments of {source}"), halves[0].shape[1])
        exponent[1] = moment.exponent, moment.low, moment.high
    except DataError as error:
        reasons["moment"] = str(error)
    return _Spectrum(shares, exponent, fitted, reasons)


def _pool(draws: list[_Spectrum]) -> _Spectrum:
    """Return the mean of several draws, with the interval that holds 95 % of all of them and of the errors of each."""
    n_ranks = min(len(draw.shares) for draw in draws)
    exponent, reasons = np.full((2, 3), np.nan), {}
    for row, estimator in enumerate(ESTIMATORS):
        known = np.array([draw.exponent[row] for draw in draws if np.isfinite(draw.exponent[row]).all()])
        if len(known) <= len(draws) / 2:
            reasons[estimator] = next(draw.reasons[estimator] for draw in draws if estimator in draw.reasons)
            continue
        error = (known[:, 2] - known[:, 1]) / (2 * ndtri(0.5 + LEVEL / 2))
        spread = known[:, :1] + error[:, None] * ndtri((np.arange(N_QUANTILES) + 0.5) / N_QUANTILES)
        exponent[row] = known[:, 0].mean(), *percentile_interval(spread.ravel())
    shares = np.mean([draw.shares[:n_ranks] for draw in draws], axis=0)
    return _Spectrum(shares, exponent, draws[0].ranks, reasons)


def _held_out(decoded: Decoded, n_images: int, unequal: UnequalRepeats) -> tuple[ContrastImages, Halves | str]:
    """Return images of validation and test, and two averages of the responses to them, or why there are none."""
    parts = (decoded.validation, decoded.test)
    images = np.concatenate([part.images for part in parts])
    index = np.concatenate([parts[0].stimulus_index, parts[1].stimulus_index + parts[0].n_stimuli])
    repeated = np.flatnonzero(np.bincount(index, minlength=len(images)) >= 2)
    usable = repeated if len(repeated) else np.arange(len(images))
    if len(usable) < FEWEST_IMAGES:
        raise DataError(
            f"Variance spectra need at least {FEWEST_IMAGES} images for validation and test; there are {len(usable)}."
            " Record more images, or keep more of them for testing."
        )
    order = generator_for(decoded.seed, "images of spectra").permutation(len(usable))[:n_images]
    chosen = usable[np.sort(order)]
    if not len(repeated):
        return images[chosen], NO_REPEATS
    try:
        first, second, stimulus = pick_two_repeats(np.concatenate([part.responses for part in parts]), index, unequal)
    except DataError as error:
        return images[chosen], str(error)
    rows = np.searchsorted(stimulus, chosen)
    return images[chosen], (first[rows], second[rows])


def _flat(values: np.ndarray) -> Float32[np.ndarray, "stimulus variable"]:
    return np.asarray(values.reshape(len(values), -1), dtype=np.float32)


def _same(values: np.ndarray) -> Halves:
    """Return what has no noise as two equal halves: cross-validated components are then the ordinary ones."""
    flat = _flat(values)
    return flat, flat


def _coordinates(first: np.ndarray, second: np.ndarray) -> Halves:
    """Return rows with the same inner products in as few columns as there are rows: the spectrum needs no more."""
    both = first[None] if first is second else np.stack([first, second])
    rows = torch.from_numpy(both.reshape(-1, both.shape[2]) - both.mean(axis=(0, 1)))
    if rows.shape[1] <= rows.shape[0]:
        return first, second
    values, vectors = torch.linalg.eigh((rows @ rows.T).double())
    turned = (vectors * values.clamp_min(0).sqrt()).float().numpy()
    return turned[: len(first)], turned[-len(first) :]


def _random_filters(
    images: ContrastImages, grid: tuple[int, int], seed: int
) -> Float32[np.ndarray, "stimulus filter map_height map_width"]:
    """Return rectified responses of filters of white noise, two places of the map across, averaged on its grid."""
    generator = torch.Generator().manual_seed(seed_for(seed, "random filters"))
    extent = 2 * max(1, round(images.shape[2] / grid[0])) + 1
    filters = torch.randn(N_RANDOM_FILTERS, images.shape[1], extent, extent, generator=generator)
    filters -= filters.mean(dim=(1, 2, 3), keepdim=True)
    maps = [
        F.adaptive_avg_pool2d(F.relu(F.conv2d(batch, filters, padding=extent // 2)), grid)
        for batch in torch.split(torch.from_numpy(images), 64)
    ]
    return np.asarray(torch.cat(maps).numpy())
