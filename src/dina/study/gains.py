"""What several recordings gain from one another: accuracies and gains by recording and over mice, spread, similarity of maps."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from dina.analyses.across_recordings import AcrossRecordings, RecordingFindings, combine_recordings, mouse_of
from dina.randomness import generator_for
from dina.statistics.finding import Finding
from dina.statistics.imagined_image import ImaginedImage
from dina.statistics.intervals import null_range
from dina.statistics.map_similarity import FEWEST_IMAGES, compare_by_cka
from dina.statistics.p_values import control_false_discoveries, paired_exchange_p_value, permutation_p_value
from dina.statistics.resampling import clustered_means, percentile_interval, resample_counts
from dina.statistics.variance_components import variance_components

# Results by number of fold and of seed.
Rounds = Mapping[tuple[int, int], xr.Dataset]

# Whose maps are compared between recordings: of neural towers trained together or alone, of image towers trained alone, and of
# those with which training alone began.
KINDS = ("neural_joint", "neural_alone", "neural_untrained", "image_alone", "image_untrained")


@dataclass(frozen=True, eq=False)
class RecordingRounds:
    """Everything that was written about one recording, by fold and seed; ``joining`` may be empty.

    ``animal`` is None where the recording does not state it; then it is guessed from the name.
    """

    name: str
    joint: Rounds
    alone: Rounds
    joining: Rounds
    animal: str | None = None


@dataclass(frozen=True, eq=False)
class Gains:
    """What a study of several recordings found: recording → findings and animal, and the findings over mice (None for one).

    ``p_values`` are by recording and gain over images, and by gain over mice; ``components`` are the sources of the variance of
    top-1 accuracy of joint towers; ``alignment`` is the linear kernel alignment of maps by kind of map and pair of recordings.
    """

    by_recording: dict[str, tuple[Finding, ...]]
    mice: dict[str, str]
    across: AcrossRecordings | None
    p_values: xr.Dataset
    components: tuple[Finding, ...]
    alignment: xr.Dataset
    alignment_findings: dict[tuple[str, str, str], Finding]

    def datasets(self) -> dict[str, xr.Dataset]:
        """Return the arrays by the name of their file."""
        across = {} if self.across is None else {"across_recordings": self.across.to_dataset()}
        return across | {"alignment": self.alignment, "p_values": self.p_values}

    def to_json(self) -> dict[str, Any]:
        """Return the numbers over all recordings for ``summary.json``; null with a reason where one cannot be computed."""
        gains = []
        for name in self.p_values["name"].values:
            one = self.p_values.sel(name=name)
            gain: dict[str, Any] = {key: _number(one[key].item()) for key in ("p_over_mice", "q_over_mice")}
            for key in ("p_over_images", "q_over_images"):
                gain[key] = {str(r): _number(one[key].sel(recording=r).item()) for r in one["recording"].values}
            gains.append({"name": str(name), **gain})
        return {
            "over_mice": [] if self.across is None else [finding.to_json() for finding in self.across.combined],
            "gains": gains,
            "variance_components": [finding.to_json() for finding in self.components],
            "alignment": [
                dict(zip(("maps", "recording", "other"), key, strict=True)) | finding.to_json()
                for key, finding in self.alignment_findings.items()
            ],
        }


def _number(value: float) -> float | None:
    return float(value) if value == value else None


def compare_together_and_alone(recordings: Sequence[RecordingRounds], seed: int, n_resamples: int) -> Gains:
    """Compute all statistics of a study of several recordings from the files of its fits.

    Within a recording images are resampled, all folds and seeds of an image together. Over recordings the mouse is the unit:
    hierarchical bootstrap for intervals, exchange of the two members of each pair for p-values, adjusted (Benjamini–Hochberg)
    over all gains that are tested.
    """
    found = {each.name: _findings_of(each, seed, n_resamples) for each in recordings}
    mice = {each.name: mouse_of(each.name, each.animal) for each in recordings}
    findings = {name: tuple(pair[0] for pair in pairs) for name, pairs in found.items()}
    by_name = {name: {"joint": {finding.name: finding for finding in some}} for name, some in findings.items()}
    each = [RecordingFindings(name, mice[name], some) for name, some in by_name.items()]
    across = combine_recordings(each, seed, n_resamples) if len(each) > 1 else None
    components = variance_components(_accuracies(recordings), ("seed", "fold", "recording"))
    alignment, compared = _alignments(recordings, seed, min(n_resamples, 1000))
    return Gains(findings, mice, across, _p_values(found, mice, seed), components, alignment, compared)


def _findings_of(recording: RecordingRounds, seed: int, n_resamples: int) -> list[tuple[Finding, float]]:
    """Return the findings of one recording, each with its p-value where it is a gain, else NaN."""

    def mean(name: str, queries: Queries, rounds: Rounds) -> tuple[Finding, float]:
        return _mean(name, queries, _null_of(rounds), "queries assigned to other images", seed, n_resamples), math.nan

    joint, alone = _stack(recording.joint, "top1"), _stack(recording.alone, "top1")
    found = [mean("top1_joint", joint, recording.joint), mean("top1_alone", alone, recording.alone)]
    found.append(_gain("gain_joint", joint, alone, seed, n_resamples))
    if not recording.joining:
        return found
    sizes = set.intersection(*(set(one["size"].to_numpy().tolist()) for one in recording.joining.values()))
    for size in sorted(sizes):
        at_size = {key: each.sel(size=size) for key, each in recording.joining.items()}
        shared, few = _stack(at_size, "top1_shared"), _stack(at_size, "top1_alone")
        # the null is that of all recordings together: the same number of test images, permuted in the same way
        found += [mean(f"top1_shared_{size}", shared, recording.joint), mean(f"top1_alone_{size}", few, recording.joint)]
        found.append(_gain(f"gain_shared_{size}", shared, few, seed, n_resamples))
    return found


def _stack(rounds: Rounds, name: str) -> "Queries":
    values = np.concatenate([one[name].to_numpy() for one in rounds.values()])
    return values, np.concatenate([one["stimulus_id"].to_numpy() for one in rounds.values()])


def _null_of(rounds: Rounds) -> tuple[float, float]:
    """Return the null range of one fold and seed: that of their mean is narrower, by how much depends on shared images."""
    return tuple(float(np.mean([one[name] for one in rounds.values()])) for name in ("null_low", "null_high"))  # type: ignore[return-value]


# A value for each query of all folds and seeds, and its image.
Queries = tuple[Float[np.ndarray, "query"], Int[np.ndarray, "query"]]


def _mean(
    name: str, queries: Queries, null: tuple[float, float], words: str, seed: int, n_resamples: int, worst: float = 0.0
) -> Finding:
    """Return a mean over queries of answers between ``worst`` and 1, with its interval over images."""
    values, image = queries
    _, cluster = np.unique(image, return_inverse=True)
    n_images = int(cluster.max()) + 1
    generator = generator_for(seed, f"images {name}")
    resampled = clustered_means(values, cluster, resample_counts(n_images, n_resamples, generator))
    low, high = percentile_interval(ImaginedImage.draw(n_images, n_resamples, generator).join(resampled, worst, 1.0))
    return Finding(name, float(values.mean()), "1", n_images, low, high, *null, null=words)


def _gain(name: str, first: Queries, second: Queries, seed: int, n_resamples: int) -> tuple[Finding, float]:
    """Return the paired difference over images, with its range under exchange and its p-value."""
    difference, image = first[0] - second[0], first[1]
    _, cluster = np.unique(image, return_inverse=True)
    by_image = np.bincount(cluster, weights=difference)
    signs = 1 - 2 * generator_for(seed, f"exchange {name}").integers(2, size=(n_resamples, len(by_image)))
    exchanged = signs @ by_image / len(difference)
    p_value = permutation_p_value(abs(float(difference.mean())), np.abs(exchanged), "large")
    words = "joint and alone exchanged at random, image by image"
    return _mean(name, (difference, image), null_range(exchanged), words, seed, n_resamples, worst=-1.0), p_value


def _accuracies(recordings: Sequence[RecordingRounds]) -> Float[np.ndarray, "seed fold recording"]:
    folds, repeats = (sorted({key[place] for each in recordings for key in each.joint}) for place in (0, 1))
    values = np.full((len(repeats), len(folds), len(recordings)), np.nan)
    for column, each in enumerate(recordings):
        for (fold, repeat), one in each.joint.items():
            values[repeats.index(repeat), folds.index(fold), column] = float(one["top1"].mean())
    return values


def _p_values(found: Mapping[str, Sequence[tuple[Finding, float]]], mice: Mapping[str, str], seed: int) -> xr.Dataset:
    """Return p-values of all gains over images and over mice, and the same adjusted for their number."""
    tested = [{f.name: (f.value, p) for f, p in pairs if f.name.startswith("gain_")} for pairs in found.values()]
    names = list(dict.fromkeys(name for each in tested for name in each))
    both = np.array([[each.get(name, (math.nan, math.nan)) for name in names] for each in tested])
    gains, over_images = both[..., 0], both[..., 1]
    animals = np.array([mice[name] for name in found])
    over_mice = np.full(len(names), np.nan)
    for column in range(len(names)):
        is_known = np.isfinite(gains[:, column])
        each = [gains[is_known & (animals == animal), column].mean() for animal in dict.fromkeys(animals[is_known])]
        over_mice[column] = paired_exchange_p_value(np.array(each), seed)
    variables = {
        "gain": (("recording", "name"), gains),
        "p_over_images": (("recording", "name"), over_images),
        "q_over_images": (("recording", "name"), control_false_discoveries(over_images)),
        "p_over_mice": (("name",), over_mice),
        "q_over_mice": (("name",), control_false_discoveries(over_mice)),
    }
    return xr.Dataset(variables, coords={"recording": list(found), "name": names})


def _alignments(
    recordings: Sequence[RecordingRounds], seed: int, n_permutations: int
) -> tuple[xr.Dataset, dict[tuple[str, str, str], Finding]]:
    """Compare the maps of every pair of recordings on the test images that both saw, in the first fold and seed."""
    values = np.full((len(KINDS), len(recordings), len(recordings)), np.nan)
    found = {}
    for kind_number, kind in enumerate(KINDS):
        maps, trained = kind.split("_")
        for row, first in enumerate(recordings):
            values[kind_number, row, row] = 1.0
            for column, second in enumerate(recordings[row + 1 :], row + 1):
                rounds = [(each.joint if trained == "joint" else each.alone)[0, 0] for each in (first, second)]
                gram = f"gram_{maps}_untrained" if trained == "untrained" else f"gram_{maps}"
                finding = _compare(f"cka_{kind}", rounds, gram, seed, n_permutations)
                values[kind_number, row, column] = values[kind_number, column, row] = finding.value
                found[kind, first.name, second.name] = finding
    names = [each.name for each in recordings]
    axes = ("kind", "recording", "other")
    return xr.Dataset({"alignment": (axes, values)}, {"kind": list(KINDS), "recording": names, "other": names}), found


def _compare(name: str, rounds: Sequence[xr.Dataset], gram: str, seed: int, n_permutations: int) -> Finding:
    one, other = (one["stimulus_id"].to_numpy() for one in rounds)
    common, *rows = np.intersect1d(one, other, return_indices=True)
    if len(common) <= FEWEST_IMAGES:
        return Finding(name, math.nan, "1", len(common), reason="The two recordings have too few test images in common.")
    first, second = (one[gram].to_numpy()[np.ix_(place, place)] for one, place in zip(rounds, rows, strict=True))
    return compare_by_cka(name, first, second, seed, n_permutations)


def count_updates(recordings: Sequence[RecordingRounds]) -> list[dict[str, Any]]:
    """Return for every kind of fit, and number of images (None for all), the median numbers of updates made and kept."""
    kinds = {"together": [each.joint for each in recordings], "alone": [each.alone for each in recordings]}
    rows = [_updates(name, None, [one.attrs for each in some for one in each.values()]) for name, some in kinds.items()]
    few = [one for each in recordings for one in each.joining.values()]
    for size in sorted({int(size) for one in few for size in one["size"].to_numpy()}):
        at_size = [one.sel(size=size) for one in few if size in one["size"]]
        for side, name in (("shared", "joining"), ("alone", "alone")):
            counts = [{part: int(one[f"{part}_{side}"]) for part in ("n_updates", "kept_updates")} for one in at_size]
            rows.append(_updates(name, size, counts))
    return rows


def _updates(name: str, size: int | None, fits: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    made, kept = (float(np.median([int(one[part]) for one in fits])) for part in ("n_updates", "kept_updates"))
    return {"fit": name, "size": size, "n_fits": len(fits), "made": made, "kept": kept}
