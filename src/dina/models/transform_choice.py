"""Which transform of the responses lets images be told apart best: chosen from training images alone."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from jaxtyping import Float, Int
from torch import Tensor

from dina.checks import DataError, check_choice
from dina.data.response_transform import IDENTITY, ResponseTransform
from dina.large_arrays import blocks_of, large_zeros
from dina.memory import give_back_memory
from dina.models.global_ridge import GLOBAL_PENALTIES, eigenvectors_of, leave_each_out, multiply_maps
from dina.models.noise import decompose_residuals
from dina.models.penalties import check_penalties
from dina.models.towers.image.gabor_energy import SMALLEST_IMAGE, GaborEnergy
from dina.recordings.recording import Recording
from dina.shapes import ContrastImages, Responses, StimulusResponses
from dina.statistics.mean_variance import MeanVarianceLaw, fit_mean_variance
from dina.statistics.repeats import sum_by_group

TransformName = Literal[
    "chosen",
    "identity",
    "power 0.67",
    "power 0.5",
    "power 0.25",
    "offset root",
    "per neuron",
    "gain",
    "power 0.67 with gain",
    "power 0.5 with gain",
    "power 0.25 with gain",
    "offset root with gain",
    "per neuron with gain",
]
"""Transforms by name; "chosen" for the best of the others."""

POWERS = {"identity": 1.0, "power 0.67": 2 / 3, "power 0.5": 1 / 2, "power 0.25": 1 / 4}
NEEDS_LAW = ("offset root", "per neuron")
NAMED = "The settings of the study name the transform."
MOST_IMAGES, MOST_NEURONS, MOST_SINGLE_TRIALS = 800, 1000, 1500
NEURONS_AT_ONCE = 4096  # of more, where the law of every neuron is fitted
FEWEST_IMAGES = 40
WINDOW = 0.8  # standard deviation of the window around a place of the Gabor map, in places
REACH = 3  # of the window, in places
PLACES_ALONG = 9  # of the Gabor map along the shorter side of the image
MOST_PIXELS = 5000  # images are averaged over square blocks until they have at most so many values
N_FOLDS = 4
COMPONENT_COUNTS = (0, 4, 16)
SHRINKAGE = 0.1
ANSCOMBE = 3 / 8


@dataclass(frozen=True, eq=False)
class TransformChoice:
    """The transform of a recording, and what it was chosen by.

    Parameters
    ----------
    transform
        What is done to single trials.
    log_rank
        Mean log rank of training images among each other under every transform that was tried; empty if none was.
    law
        How the variance of repeats grows with the mean; None where it cannot be estimated.
    reason
        Why there is no law, or why nothing was chosen, by the words "law" and "choice".
    standard_error
        Of the difference from the lowest mean log rank, paired by image, for every transform that was tried.
    """

    transform: ResponseTransform
    log_rank: Mapping[str, float] = field(default_factory=dict)
    law: MeanVarianceLaw | None = None
    reason: Mapping[str, str] = field(default_factory=dict)
    standard_error: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return name, mean log ranks, and the exponent of the population with its interval; None where it is unknown."""
        law = self.law
        exponent = (None, None, None) if law is None else (law.exponent, law.low, law.high)
        named = dict(zip(("exponent", "exponent_low", "exponent_high"), exponent, strict=True))
        reasons = {f"reason_{name}": words for name, words in self.reason.items()}
        tried = {"mean_log_rank": dict(self.log_rank), "standard_error": dict(self.standard_error)}
        return {"name": self.transform.name, **tried, **named, **reasons}

    def to_dataset(self) -> xr.Dataset:
        """Return the groups of images that the law was fitted to, and the law and transform as attributes."""
        attributes: dict[str, Any] = {"response_transform": self.transform.name}
        if self.law is None:
            return xr.Dataset(attrs=attributes | {"reason_mean_variance": self.reason.get("law", "")})
        law = self.law
        attributes |= {"mean_variance_exponent": law.exponent, "mean_variance_factor": law.factor}
        attributes |= {"mean_variance_low": law.low, "mean_variance_high": law.high}
        units = {"units": "1"}
        groups = {name: ("response_group", getattr(law, name), units) for name in ("bin_mean", "bin_variance")}
        return xr.Dataset({f"repeats_{name.removeprefix('bin_')}": one for name, one in groups.items()}, attrs=attributes)


def choose_transform(recording: Recording, train: Int[np.ndarray, "n_train"], name: TransformName = "chosen") -> TransformChoice:
    """Choose the transform under which training images are best told apart by the responses to them.

    Every training image is predicted by ridge regression without it: each neuron from Gabor channels around one place, or from
    Gabor channels and pixels of the whole image, whichever predicts it better. Noise is estimated on three quarters of the
    images, and the others are ranked among all training images by the likelihood of their averaged responses and of their
    single trials. A gain is tried with the two best transforms. Of those whose mean log rank is within one standard error
    (paired by image) of the lowest, the first is chosen; the order is that of `TransformName`, simple ones first.

    Parameters
    ----------
    recording, train
        Only trials of the images ``train`` are read. At most 800 images, 1,000 neurons and 1,500 single trials take part,
        evenly spaced.
    name
        A transform to take without any choice.

    Raises
    ------
    DataError
        If the name is unknown, or a transform was named that needs the law of the repeats, which cannot be estimated.
    """
    check_choice("response transform", name, get_args(TransformName))
    if name == "identity":
        return TransformChoice(IDENTITY, reason={"choice": NAMED, "law": NAMED})
    shown = np.asarray(train)[np.isin(train, recording.stimulus_id)]
    if len(shown) < FEWEST_IMAGES:
        few = f"A choice needs at least {FEWEST_IMAGES} training images; there are {len(shown)}."
        made = IDENTITY if name == "chosen" else _make(name, None, few, _mean_root(recording, shown, name))
        return TransformChoice(made, reason={"choice": few, "law": few})
    contest = _Contest.prepare(recording, shown)
    law, why = contest.fit_law()
    reasons = {"law": why} if why else {}
    of_image: dict[str, Float[np.ndarray, "image"]] = {}
    errors: dict[str, float] = {}
    chosen: str = name
    if name == "chosen":
        for each in (*POWERS, *(NEEDS_LAW if law is not None else ())):
            of_image[each] = contest.log_ranks(_make(each, law, why, None))
        best = sorted(of_image, key=lambda each: float(of_image[each].mean()))[:2]  # the first of equals
        for each in best:
            of_image[_with_gain(each)] = contest.log_ranks(_make(_with_gain(each), law, why, contest.mean_root))
        errors = _errors_beside_lowest(of_image)
        chosen = _simplest(of_image, errors)
    else:
        reasons["choice"] = NAMED
    if law is not None and recording.n_neurons > len(law.neuron_exponent):  # the law of every neuron
        law, why = contest.fit_law(recording.responses)
    log_rank = {each: float(values.mean()) for each, values in of_image.items()}
    return TransformChoice(_make(chosen, law, why, contest.mean_root), log_rank, law, reasons, errors)


def _errors_beside_lowest(of_image: Mapping[str, Float[np.ndarray, "image"]]) -> dict[str, float]:
    """Return the standard error of each transform's difference from the one with the lowest mean, paired by image."""
    lowest = min(of_image.values(), key=lambda values: float(values.mean()))
    return {name: float((values - lowest).std(ddof=1) / math.sqrt(len(values))) for name, values in of_image.items()}


def _simplest(of_image: Mapping[str, Float[np.ndarray, "image"]], errors: Mapping[str, float]) -> str:
    """Return the first transform that is no worse than the best by more than the standard error of their difference."""
    mean = {name: float(values.mean()) for name, values in of_image.items()}
    best = min(mean, key=lambda name: mean[name])
    known = (str(name) for name in get_args(TransformName) if name in mean)
    return next((name for name in known if mean[name] - mean[best] <= errors[name]), best)


def _with_gain(name: str) -> str:
    return "gain" if name == "identity" else f"{name} with gain"


def _mean_root(recording: Recording, shown: np.ndarray, name: str) -> float | None:
    trials = np.flatnonzero(np.isin(recording.stimulus_id, shown))
    return IDENTITY.with_gain(recording.responses, trials).mean_root if "gain" in name else None


def _make(name: str, law: MeanVarianceLaw | None, why: str, mean_root: float | None) -> ResponseTransform:
    """Make a transform by its name; ``mean_root`` counts only where the name has a gain."""
    plain = "identity" if name == "gain" else name.removesuffix(" with gain")
    mean_root = mean_root if name != plain else None
    if plain in POWERS:
        one = ResponseTransform.of_power(POWERS[plain])
        return replace(one, name=name, mean_root=mean_root)
    if law is None:
        raise DataError(f"The response transform {name!r} needs repeats of the training images. {why}")
    if plain == "per neuron":
        power = law.neuron_power().astype(np.float32)
        return ResponseTransform(name, power, np.zeros_like(power), mean_root)
    offset = np.nan_to_num(ANSCOMBE * law.neuron_ratio).astype(np.float32)
    return ResponseTransform(name, np.full_like(offset, 0.5), offset, mean_root)


@dataclass(frozen=True, eq=False)
class _Contest:
    """The training images, trials and neurons that take part, and the kernel between the images by its eigenvectors."""

    trials: Int[np.ndarray, "trial"]  # rows of the recording
    raw: Responses  # of the neurons that take part
    index: Int[np.ndarray, "trial"]
    n_presentations: Int[np.ndarray, "trial"]
    gain: Float[np.ndarray, "trial"]
    mean_root: float | None
    everywhere: "_Ridge"  # Gabor energies and pixels of the whole image
    places: "list[_Ridge]"  # Gabor channels around each place of the map; empty where images are small

    @classmethod
    def prepare(cls, recording: Recording, shown: Int[np.ndarray, "image"]) -> "_Contest":
        images = _evenly(np.sort(shown), MOST_IMAGES)
        trials = np.flatnonzero(np.isin(recording.stimulus_id, images))
        neurons = _evenly(np.arange(recording.n_neurons), MOST_NEURONS)
        whole = np.flatnonzero(np.isin(recording.stimulus_id, shown))
        # trials of zeros alone have no gain
        geared = (
            IDENTITY.with_gain(recording.responses, whole)
            if any(recording.responses[trial].any() for trial in whole)
            else IDENTITY
        )
        gain = geared.gain(recording.responses)
        gain = np.ones(len(trials), dtype=np.float32) if gain is None else gain[trials]
        raw, index = recording.responses[np.ix_(trials, neurons)], np.searchsorted(images, recording.stimulus_id[trials])
        everywhere, places = _describe(recording.contrast(images))
        return cls(trials, raw, index, recording.n_presentations[trials], gain, geared.mean_root, everywhere, places)

    def fit_law(self, responses: Responses | None = None) -> tuple[MeanVarianceLaw | None, str]:
        """Fit the law of the neurons that take part, or of all neurons of a recording, or say why it cannot be fitted."""
        single = self.n_presentations == 1
        try:
            if responses is None:
                predicted = self._predict(torch.from_numpy(self._average(self.raw)), self.place).numpy()
                return fit_mean_variance(self.raw[single], self.index[single], predicted), ""
            predicted = large_zeros((len(self.everywhere.vectors), responses.shape[1]))
            for some in blocks_of(responses.shape[1], NEURONS_AT_ONCE):
                raw = responses[self.trials, some]
                predicted[:, some] = self._predict(torch.from_numpy(self._average(raw)), self._find_places(raw)).numpy()
                give_back_memory()
            return fit_mean_variance(responses, self.index[single], predicted, self.trials[single]), ""
        except DataError as error:
            return None, str(error)

    def log_ranks(self, transform: ResponseTransform) -> Float[np.ndarray, "image"]:
        """Return the log rank of every image, by the number of noise components that is best for this transform.

        It is the mean of that of the averaged response and that of the single trials.
        """
        values = _standardise(transform.apply(self.raw, self.gain))
        averaged = torch.from_numpy(self._average(values))
        predicted = self._predict(averaged, self.place)
        queries, target = [averaged], [torch.arange(len(averaged))]
        if len(self.index) > len(averaged) and (self.n_presentations == 1).any():
            single = _evenly(np.flatnonzero(self.n_presentations == 1), MOST_SINGLE_TRIALS)
            queries.append(torch.from_numpy(values[single]))
            target.append(torch.from_numpy(self.index[single]))
        total, count = torch.zeros(len(COMPONENT_COUNTS), len(queries), len(averaged)), torch.zeros(len(queries), len(averaged))
        for fold in range(N_FOLDS):
            components = decompose_residuals((averaged - predicted)[torch.arange(len(averaged)) % N_FOLDS != fold])
            for row, n_components in enumerate(COMPONENT_COUNTS):
                noise = components.noise(n_components, SHRINKAGE if n_components else 0.0)
                for column, (some, shown) in enumerate(zip(queries, target, strict=True)):
                    kept = shown[shown % N_FOLDS == fold]
                    found = _log_ranks(noise.log_likelihood(some[shown % N_FOLDS == fold], predicted), kept)
                    total[row, column].index_add_(0, kept, found)
        for column, shown in enumerate(target):
            count[column] = torch.bincount(shown, minlength=len(averaged))
        # an image without single trials counts by its averaged response alone
        of_image = torch.where(count > 0, total / count.clamp_min(1), torch.nan).nanmean(dim=1)
        return np.asarray(of_image[of_image.mean(dim=1).argmin()].double().numpy())

    def _average(self, values: Responses) -> StimulusResponses:
        weight = self.n_presentations.astype(np.float32)
        n_images = len(self.everywhere.vectors)
        total = np.bincount(self.index, weights=weight, minlength=n_images).astype(np.float32)
        weighted = values if (weight == 1).all() else values * weight[:, None]
        return sum_by_group(np.ascontiguousarray(weighted), self.index, n_images) / total[:, None]

    @cached_property
    def place(self) -> Int[Tensor, "neuron"]:
        """Place of the map from which each neuron that takes part is predicted best."""
        return self._find_places(self.raw)

    def _find_places(self, raw: Responses) -> Int[Tensor, "neuron"]:
        roots = _standardise(ResponseTransform.of_power(0.5).apply(raw))
        averaged = torch.from_numpy(self._average(roots))
        if not self.places:
            return torch.zeros(averaged.shape[1], dtype=torch.long)
        losses = averaged.new_empty(len(self.places), averaged.shape[1])
        for of_place, place in zip(losses, self.places, strict=True):  # kept one by one, they would make holes in memory
            of_place.copy_(place.leave_out(averaged, (1.0,))[1])
        return losses.argmin(0)

    def _predict(self, averaged: Float[Tensor, "image neuron"], place: Int[Tensor, "neuron"]) -> Float[Tensor, "image neuron"]:
        """Predict every image's response from the others, each neuron from the whole image or from its place."""
        predicted, loss = self.everywhere.leave_out(averaged, GLOBAL_PENALTIES)
        for number in np.unique(place.numpy()) if self.places else ():
            members = torch.where(place == number)[0]
            local, local_loss = self.places[int(number)].leave_out(averaged[:, members], GLOBAL_PENALTIES)
            better = local_loss < loss[members]
            predicted[:, members[better]] = local[:, better]
        return predicted


@dataclass(frozen=True, eq=False)
class _Ridge:
    """Ridge regression from some features of the images, by the eigenvectors of their kernel between images."""

    power: Float[Tensor, "component"]  # eigenvalues, at least 0
    vectors: Float[Tensor, "image component"]

    @classmethod
    def of_kernel(cls, kernel: Float[Tensor, "image image"]) -> "_Ridge":
        power, vectors = eigenvectors_of(kernel)
        return cls(power.clamp_min(0), vectors)

    @classmethod
    def of_features(cls, features: Float[Tensor, "image feature"]) -> "_Ridge":
        """Return the same from features, fewer than images, whose own products are quicker to decompose."""
        centred = features - features.mean(0)
        if len(centred) <= centred.shape[1]:
            return cls.of_kernel(centred @ centred.T)
        power, directions = eigenvectors_of(centred.T @ centred)
        kept = power > 1e-5 * power[-1].clamp_min(1e-12)
        return cls(power[kept], centred @ directions[:, kept] / power[kept].sqrt())

    def leave_out(
        self, averaged: Float[Tensor, "image neuron"], penalties: tuple[float, ...]
    ) -> tuple[Float[Tensor, "image neuron"], Float[Tensor, "neuron"]]:
        """Predict every image's response without it, each neuron with its best penalty; return the mean squared error, too."""
        mean = averaged.mean(0)
        centred, typical = averaged - mean, self.power.mean().clamp_min(1e-12)
        projected = self.vectors.T @ centred
        loss, predicted = torch.full_like(mean, torch.inf), torch.zeros_like(centred)
        for penalty in check_penalties(penalties).tolist():
            left_out = leave_each_out(self.vectors, self.power / (self.power + penalty * typical), projected, centred)
            loss_now = (centred - left_out).square().mean(0)
            better = loss_now < loss
            loss, predicted = torch.where(better, loss_now, loss), torch.where(better, left_out, predicted)
        return mean + predicted, loss


def _standardise(values: Responses) -> Responses:
    """Return responses with mean 0 and deviation 1; 0 where a neuron never changes."""
    scale = values.std(axis=0, dtype=np.float64)
    scale = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0).astype(np.float32)
    return (values - values.mean(axis=0, dtype=np.float64).astype(np.float32)) * scale


def _log_ranks(scores: Float[Tensor, "query image"], target: Int[Tensor, "query"]) -> Float[Tensor, "query"]:
    of_target = scores.gather(1, target[:, None])
    return (1 + (scores > of_target).sum(1) + ((scores == of_target).sum(1) - 1) / 2).log()


def _evenly(values: np.ndarray, most: int) -> np.ndarray:
    return values if len(values) <= most else values[np.linspace(0, len(values) - 1, most).round().astype(int)]


@torch.no_grad()
def _describe(images: ContrastImages) -> tuple[_Ridge, list[_Ridge]]:
    """Return ridge regressions from whole images, pixels and Gabor channels with equal weight, and from each place of the map.

    Images too small for Gabor filters have pixels alone.
    """
    pictures = torch.from_numpy(images)
    n_channels, height, width = (int(extent) for extent in images.shape[1:])
    block = max(1, math.ceil(math.sqrt(n_channels * height * width / MOST_PIXELS)))
    pixels = F.avg_pool2d(pictures, block, ceil_mode=True).flatten(1)
    pixels = pixels - pixels.mean(0)
    kernel, places = _unit_trace(pixels @ pixels.T), []
    if min(height, width) >= SMALLEST_IMAGE:
        stride = max(1, round(min(height, width) / PLACES_ALONG))
        maps = GaborEnergy((n_channels, height, width), stride, n_contrasts=0).learn_statistics(pictures)
        kernel = (kernel + _unit_trace(multiply_maps(maps, maps))) / 2
        rows, columns = (torch.arange(extent, dtype=torch.float32) for extent in maps.shape[2:])
        for row in rows:
            # rows beyond the reach of the window are left out
            near = torch.where((rows - row).abs() <= REACH)[0]
            down = torch.exp(-0.5 * ((rows[near] - row) / WINDOW) ** 2)
            band = torch.einsum("nchw,h->ncw", maps[:, :, near].contiguous().float(), down)
            for column in columns:
                across = torch.exp(-0.5 * ((columns - column) / WINDOW) ** 2)
                places.append(_Ridge.of_features(band @ across))
    return _Ridge.of_kernel(kernel), places


def _unit_trace(kernel: Float[Tensor, "image image"]) -> Float[Tensor, "image image"]:
    # images that are all the same have a kernel of zeros
    return kernel / kernel.diagonal().mean().clamp_min(1e-12)
