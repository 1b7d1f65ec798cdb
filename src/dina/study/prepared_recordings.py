"""A recording before anything is decoded: description, quality, thumbnails, the split of its images, and pairs of each part."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from PIL import Image

from dina.analyses.slow_drift import find_drift
from dina.checks import DataError
from dina.data.pairs import Pairs, learn_standardiser, make_pairs
from dina.data.response_transform import IDENTITY, ResponseTransform
from dina.data.splits import Split, group_near_identical, merge_groups, split_by_stimulus, split_into_folds
from dina.randomness import generator_for
from dina.recordings.oddities import find_oddities
from dina.recordings.recording import KIND_FACTS, Recording
from dina.statistics.reliability import signal_variance_fraction, split_half_reliability
from dina.statistics.repeats import pick_two_repeats
from dina.statistics.spectrum import VarianceSpectrum, cross_validated_spectrum, fit_power_law
from dina.study.likeness import judge_likeness
from dina.study.settings import SplitSettings

MAX_WIDTH, MAX_HEIGHT = 135, 96  # of thumbnails, in pixels
_Ids = Int[np.ndarray, "_"]  # each part has another number of images


@dataclass(frozen=True, eq=False)
class SplitPairs:
    """Pairs of one recording; decoders learn from the first part, choose by the second, and are tested once on the third."""

    train: Pairs
    validation: Pairs
    test: Pairs

    @classmethod
    def of(
        cls, recording: Recording, train: _Ids, validation: _Ids, test: _Ids, transform: ResponseTransform = IDENTITY
    ) -> "SplitPairs":
        """Make the pairs of the images of each part, every trial transformed first.

        Mean and deviation of each neuron come from training trials alone.
        """
        standardiser = learn_standardiser(recording, train, transform)
        return cls(*(make_pairs(recording, ids, standardiser) for ids in (train, validation, test)))


def draw_splits(recordings: Sequence[Recording], settings: SplitSettings, seeds: Sequence[int], n_folds: int = 1) -> list[Split]:
    """Draw one split of the images for each seed, jointly for all recordings of one image set, or one for each of several folds.

    Images that are near-identical in any of the recordings (pixels may differ between conditions) stay together. Folds test every
    image once, so ``settings.test_fraction`` does not count.

    Raises
    ------
    DataError
        If folds are asked for in blocks, or there are too few images for a split.
    """
    if n_folds > 1 and settings.in_blocks:
        raise DataError("Folds are drawn image by image; got split.in_blocks = true with folds. Leave one of them out.")
    # most recordings hold the same pixels, and grouping them takes a while
    different = {hashlib.sha256(np.ascontiguousarray(each.images).data).digest(): each.images for each in recordings}
    group = merge_groups([group_near_identical(images, settings.near_identical) for images in different.values()])
    if n_folds > 1:
        return [
            split for seed in seeds for split in split_into_folds(recordings, group, seed, n_folds, settings.validation_fraction)
        ]
    fractions = (settings.validation_fraction, settings.test_fraction)
    return [split_by_stimulus(recordings, group, seed, *fractions, in_blocks=settings.in_blocks) for seed in seeds]


@dataclass(frozen=True, eq=False)
class Quality:
    """Quality of a recording: arrays for ``quality.nc``, medians and power law for ``summary.json``, and warnings in words.

    Attributes ``reason_<name>`` of the dataset say why a variable is absent; numbers that cannot be computed are None.
    """

    dataset: xr.Dataset
    numbers: Mapping[str, Any]
    warnings: tuple[str, ...]

    def with_drift(self, recording: Recording, train: _Ids, seed: int, *, in_blocks: bool = False) -> "Quality":
        """Add slow drift of the trials of training images, or why it was not measured; warn where there is some.

        ``in_blocks`` says that test images are a run of images shown one after the other already.
        """
        try:
            drift = find_drift(recording, make_pairs(recording, train, learn_standardiser(recording, train)), seed)
        except DataError as error:
            return replace(self, numbers={**self.numbers, "reason_slow_drift": str(error)})
        found = {"share": drift.share, "null_high": drift.null_high, "p_value": drift.p_value}
        warning = (
            f"Responses drift slowly over the recording: drift explains {100 * drift.share:.0f} % of the variance of training trials"
            " about the means of images. It is removed before noise correlations are spoken of"
        )
        warning += (
            "."
            if in_blocks
            else "; but test images may share it with training images shown close by: where images were shown in blocks,"
            " split.in_blocks=true keeps them apart."
        )
        return replace(
            self,
            numbers={**self.numbers, **{f"slow_drift_{name}": value for name, value in found.items()}},
            warnings=(*self.warnings, warning) if drift.is_sure else self.warnings,
        )

    def with_likeness(self, recording: Recording, split: Split) -> "Quality":
        """Add how like the nearest training image test images are; warn where they are nearly the same."""
        median, warning = judge_likeness(recording.images, split)
        return replace(
            self,
            numbers={**self.numbers, "nearest_training_image": round(median, 4)},
            warnings=(*self.warnings, warning) if warning else self.warnings,
        )


def describe_recording(recording: Recording) -> dict[str, Any]:
    """Return what ``summary.json`` says of a recording: name, animal, condition, counts, and its fingerprint."""
    counts = recording.repeats_per_stimulus()
    shown = counts[counts > 0]
    same = bool((shown == shown[0]).all())
    return {
        "name": recording.name,
        "animal": recording.animal,
        **{name: word for name in (*KIND_FACTS, "response_units") if (word := getattr(recording, name)) is not None},
        "condition": recording.condition,
        "is_simulated": recording.is_simulated,
        "n_neurons": recording.n_neurons,
        "n_stimuli": len(shown),
        "n_trials": recording.n_trials,
        "n_repeats": int(shown[0]) if same else None,
        "n_repeats_range": [int(shown.min()), int(shown.max())],
        "n_presentations": int(recording.n_presentations.sum()),
        # a recording made in Python comes without them
        "notes": list(dict.fromkeys((*recording.notes, *find_oddities(recording)))),
        "sha256": recording.fingerprint(),
    }


def assess_quality(recording: Recording, seed: int) -> Quality:
    """Measure the quality of a recording over all its trials; no decoder sees these numbers.

    What needs repeats is left out, with a reason, where there are none. ``seed`` is that of swapped repeats and the bootstrap.
    """
    responses, stimulus = recording.responses, recording.stimulus_id
    constant = responses.max(axis=0) == responses.min(axis=0)
    variables: dict[str, Any] = {
        "mean_response": ("neuron", responses.mean(axis=0, dtype=np.float64), {"units": "arbitrary"}),
        "zero_fraction": ("neuron", 1 - sum(row != 0 for row in responses) / len(responses), {"units": "1"}),
        "n_trials": ("stimulus", recording.repeats_per_stimulus(), {"units": "1"}),
    }
    reasons: dict[str, str] = {}
    per_neuron: dict[str, Callable[[], np.ndarray]] = {
        "reliability": lambda: split_half_reliability(responses, stimulus),
        "signal_variance": lambda: signal_variance_fraction(responses, stimulus),
    }
    numbers: dict[str, Any] = {"n_constant_neurons": int(constant.sum())}
    for name, measure in per_neuron.items():
        try:
            variables[name] = ("neuron", measure(), {"units": "1"})
            numbers[f"median_{name}"] = _median(variables[name][1])
        except DataError as error:
            reasons[f"reason_{name}"] = str(error)
            numbers[f"median_{name}"] = None
    spectrum, law = _spectrum(recording, seed, reasons)
    if spectrum is not None:
        variables["variance_spectrum"] = ("rank", spectrum.variance, {"units": "arbitrary"})
    dataset = xr.Dataset(variables, attrs={**law, **reasons})
    numbers |= {name: law.get(name) for name in ("power_law_exponent", "power_law_low", "power_law_high")}
    return Quality(dataset, {**numbers, **reasons}, _warnings(constant, numbers))


def _median(values: Float[np.ndarray, "neuron"]) -> float | None:
    return float(np.nanmedian(values)) if np.isfinite(values).any() else None


def _spectrum(recording: Recording, seed: int, reasons: dict[str, str]) -> tuple[VarianceSpectrum | None, dict[str, float | int]]:
    """Return the spectrum and its power law, each only where the data allow it; add the reasons why not."""
    generator = generator_for(seed, "spectrum")
    try:
        first, second, _ = pick_two_repeats(recording.responses, recording.stimulus_id)
        spectrum = cross_validated_spectrum(first, second, generator)
    except DataError as error:
        reasons["reason_variance_spectrum"] = str(error)
        return None, {}
    try:
        fit = fit_power_law(spectrum, generator)
    except DataError as error:
        reasons["reason_power_law_exponent"] = str(error)
        return spectrum, {}
    law: dict[str, float | int] = {"power_law_exponent": fit.exponent, "power_law_low": fit.low, "power_law_high": fit.high}
    return spectrum, law | {"power_law_first_rank": fit.first_rank, "power_law_last_rank": fit.last_rank}


def _warnings(constant: np.ndarray, numbers: Mapping[str, Any]) -> tuple[str, ...]:
    warnings = []
    if constant.any():
        warnings.append(f"{int(constant.sum())} of {len(constant)} neurons never change; they carry nothing.")
    signal = numbers.get("median_signal_variance")
    if signal is not None and signal < 0.01:
        warnings.append("The image explains less than 1 % of the variance of the median neuron: expect little of any decoder.")
    return tuple(warnings)


def gallery_dataset(recording: Recording, test: Int[np.ndarray, "n_test"]) -> xr.Dataset:
    """Return the shown test images as 8-bit thumbnails with identity, label ("" where unknown) and, where there is one, name.

    The pixel values of the whole gallery are stretched together to 0 … 255, so that contrasts stay comparable;
    8-bit images are not changed.
    """
    shown = test[np.isin(test, recording.stimulus_id)]
    pixels = recording.images[shown]
    if pixels.dtype != np.uint8:
        low, high = float(pixels.min()), float(pixels.max())
        pixels = np.round((pixels - low) * (255 / (high - low if high > low else 1.0))).astype(np.uint8)
    height, width = pixels.shape[2:]
    shrink = min(1.0, MAX_HEIGHT / height, MAX_WIDTH / width)
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    pictures = np.moveaxis(pixels, 1, -1)
    pictures = pictures[..., 0] if pictures.shape[-1] == 1 else pictures
    thumbnails = np.stack([_resize(picture, size) for picture in pictures])
    axes = ("gallery", "thumbnail_height", "thumbnail_width", "colour")[: thumbnails.ndim]
    labels = np.full(len(shown), "", dtype=object) if recording.labels is None else recording.labels[shown].astype(object)
    named = {"thumbnail": (axes, thumbnails), "stimulus_id": ("gallery", shown), "label": ("gallery", labels)}
    if recording.image_names is not None:
        named["image_name"] = ("gallery", recording.image_names[shown].astype(object))
    return xr.Dataset(named)


def _resize(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if picture.shape[1::-1] == size:
        return picture
    return np.asarray(Image.fromarray(np.ascontiguousarray(picture)).resize(size, Image.Resampling.BOX))
