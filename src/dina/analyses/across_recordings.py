"""Findings of several recordings combined: the mouse is the unit, since recordings of one mouse are not independent."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from dina.checks import DataError
from dina.randomness import generator_for
from dina.statistics.finding import Finding
from dina.statistics.resampling import percentile_interval

FEWEST_MICE = 3
Z = 1.959964  # standard deviations from the middle of a normal distribution to the end of its central 95 %
Key = tuple[str, str]


@dataclass(frozen=True)
class RecordingFindings:
    """Findings of one recording (analysis → name → finding); recordings with the same ``mouse`` count as one animal."""

    name: str
    mouse: str
    findings: Mapping[str, Mapping[str, Finding]]


@dataclass(frozen=True, eq=False)
class AcrossRecordings:
    """Every finding, by (analysis, name), in each recording (NaN where it could not be computed), and its mean over mice.

    The interval and null of ``combined`` are for the population of mice; its ``n`` counts mice.
    """

    recordings: tuple[str, ...]
    mice: tuple[str, ...]
    keys: tuple[Key, ...]
    values: Float[np.ndarray, "finding recording"]
    combined: tuple[Finding, ...]

    def by_analysis(self) -> dict[str, dict[str, Finding]]:
        """Return the combined findings as verdicts read them."""
        table: dict[str, dict[str, Finding]] = {}
        for (analysis, name), finding in zip(self.keys, self.combined, strict=True):
            table.setdefault(analysis, {})[name] = finding
        return table

    def to_dataset(self) -> xr.Dataset:
        """Return values of recordings and combined findings with named axes."""
        parts = {"combined": "value", "combined_low": "low", "combined_high": "high"}
        parts |= {"combined_null_low": "null_low", "combined_null_high": "null_high", "n_mice": "n"}
        variables: dict[str, Any] = {"value": (("finding", "recording"), self.values)}
        variables |= {name: ("finding", np.array([getattr(row, part) for row in self.combined])) for name, part in parts.items()}
        coordinates: dict[str, Any] = {"recording": list(self.recordings), "mouse": ("recording", list(self.mice))}
        coordinates |= {name: ("finding", [key[at] for key in self.keys]) for at, name in enumerate(("analysis", "name"))}
        coordinates["units"] = ("finding", [finding.units for finding in self.combined])
        return xr.Dataset(variables, coordinates)

    def findings(self) -> tuple[Finding, ...]:
        """Return the combined findings, in the order of ``keys``."""
        return self.combined


def combine_recordings(recordings: Sequence[RecordingFindings], seed: int = 0, n_resamples: int = 10_000) -> AcrossRecordings:
    """Average every finding over mice, with an interval for the population from which the mice come.

    Each mouse counts the same, whatever its number of recordings. A finding may be missing or NaN in some recordings; the mean is
    NaN, with a reason, where recordings have it in different units.

    Raises
    ------
    DataError
        If there are fewer than two recordings, or two have the same name.

    Notes
    -----
    Hierarchical bootstrap: mice are drawn with replacement, then as many recordings within each, then a normal error with the
    width of the recording's own interval. The interval errs on the wide side: values of recordings spread by these errors already.
    Fewer than three mice say nothing about how mice differ, and give no interval. The null of the mean follows from the nulls
    of the recordings, taken as independent: where recordings share test images it is too narrow, at most by the square root of
    their number.

    References
    ----------
    Saravanan, Berman & Sober (2020), Neurons Behav. Data Anal. Theory 3(5). https://doi.org/10.48550/arXiv.2007.07797

    Examples
    --------
    >>> def of(name, value):
    ...     return RecordingFindings(name, mouse_of(name), {"occlusion": {"area": Finding("area", value, "1", 50)}})
    >>> across = combine_recordings([of("MP031_a", 0.1), of("MP031_b", 0.3), of("MP032_a", 0.4)])
    >>> round(across.combined[0].value, 3), across.combined[0].reason
    (0.3, 'Two animals say nothing about how animals differ; an interval needs three.')
    """
    names = [recording.name for recording in recordings]
    if len(names) < 2 or len(set(names)) < len(names):
        raise DataError(
            f"Recordings can be combined if there are at least two with different names; got {', '.join(names) or 'none'}."
            " Give runs of different recordings."
        )
    mice = [recording.mouse for recording in recordings]
    found = {(analysis, name): None for r in recordings for analysis, of in r.findings.items() for name in of}
    keys = tuple(found)
    rows = [[recording.findings.get(analysis, {}).get(name) for recording in recordings] for analysis, name in keys]
    generators = [generator_for(seed, f"mice {analysis} {name}") for analysis, name in keys]
    combined = [_combine(row, mice, one, n_resamples) for row, one in zip(rows, generators, strict=True)]
    values = np.array([[math.nan if finding is None else finding.value for finding in row] for row in rows])
    return AcrossRecordings(tuple(names), tuple(mice), keys, values.reshape(len(keys), len(names)), tuple(combined))


def mouse_of(recording: str, animal: str | None = None) -> str:
    """Return the animal of a recording as stated, else as its name has it: "MP032" or "M160825" in it, else the whole name.

    Examples
    --------
    >>> mouse_of("natimg2800_M170714_MP032_2017-09-14"), mouse_of("natimg2800_M160825_2016-12-14"), mouse_of("201025")
    ('MP032', 'M160825', '201025')
    >>> mouse_of("201025", "PE")
    'PE'
    """
    if animal is not None:
        return animal
    for form in (r"MP\d+", r"M\d+"):
        match = re.search(rf"(?<![A-Za-z0-9]){form}(?![A-Za-z0-9])", recording)
        if match:
            return match[0]
    return recording


def explain_guesses(stated: Mapping[str, str | None]) -> str:
    """Say which animals were taken from names of recordings, where none is stated (None); empty where all were stated.

    Examples
    --------
    >>> explain_guesses({"201025": "PE", "M31_day2": None}).split(".")[0]
    'Animals taken from names: M31 (M31_day2)'
    """
    guessed = [(name, mouse_of(name)) for name, animal in stated.items() if animal is None]
    if not guessed:
        return ""
    names = ", ".join(name if mouse == name else f"{mouse} ({name})" for name, mouse in guessed)
    return (
        f"Animals taken from names: {names}. An animal under two names counts twice: set animal = … in the description of its"
        " recordings (recording.toml) and study them again."
    )


def _combine(row: Sequence[Finding | None], mice: Sequence[str], generator: np.random.Generator, n_resamples: int) -> Finding:
    """Combine one finding over recordings."""
    named = next(finding for finding in row if finding is not None)
    units = {finding.units for finding in row if finding is not None}
    if len(units) > 1:
        reason = f"It has units {' and '.join(sorted(units))}: some recordings do not say how many degrees a pixel has."
        return Finding(named.name, math.nan, named.units, 0, reason=reason)
    known = [(f, m) for f, m in zip(row, mice, strict=True) if f is not None and math.isfinite(f.value)]
    if not known:
        reason = named.reason or "It could not be had in any recording."
        return Finding(named.name, math.nan, named.units, 0, reason=reason)
    _, animal = np.unique([mouse for _, mouse in known], return_inverse=True)
    values = np.array([finding.value for finding, _ in known])
    counts = np.bincount(animal)
    weight = 1 / counts[animal] / len(counts)
    null_low, null_high = _null([finding for finding, _ in known], weight)
    value = float(weight @ values)
    if len(counts) < FEWEST_MICE:
        number = {1: "One animal says", 2: "Two animals say"}[len(counts)]
        reason = f"{number} nothing about how animals differ; an interval needs three."
        return Finding(named.name, value, named.units, len(counts), math.nan, math.nan, null_low, null_high, named.null, reason)
    errors = np.array([(finding.high - finding.low) / (2 * Z) for finding, _ in known])
    low, high = percentile_interval(_draw_means(values, np.nan_to_num(errors), animal, generator, n_resamples))
    return Finding(named.name, value, named.units, len(counts), low, high, null_low, null_high, named.null)


def _draw_means(
    values: Float[np.ndarray, "recording"],
    errors: Float[np.ndarray, "recording"],
    animal: Int[np.ndarray, "recording"],
    generator: np.random.Generator,
    n_resamples: int,
) -> Float[np.ndarray, "resample"]:
    """Draw mice, recordings within mice, and errors of recordings; return the mean over mice of every resample."""
    n_mice = int(animal.max()) + 1
    members = [np.flatnonzero(animal == mouse) for mouse in range(n_mice)]
    total = np.zeros(n_resamples)
    drawn = generator.integers(n_mice, size=(n_resamples, n_mice))
    for place in range(n_mice):
        for mouse, rows in enumerate(members):
            taken = np.flatnonzero(drawn[:, place] == mouse)
            chosen = generator.choice(rows, size=(len(taken), len(rows)))
            noise = generator.standard_normal(chosen.shape) * errors[chosen]
            total[taken] += (values[chosen] + noise).mean(axis=1)
    return total / n_mice


def _null(findings: Sequence[Finding], weight: Float[np.ndarray, "recording"]) -> tuple[float, float]:
    """Return the central 95 % of the weighted mean of independent nulls; NaN where one is unknown."""
    middle = np.array([(finding.null_low + finding.null_high) / 2 for finding in findings])
    spread = np.array([(finding.null_high - finding.null_low) / (2 * Z) for finding in findings])
    centre, reach = float(weight @ middle), Z * math.sqrt(float(weight**2 @ spread**2))
    return centre - reach, centre + reach
