"""Several finished studies in one table: who decodes best on the same queries, by how much, and whether that could be luck."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from dina.checks import DataError
from dina.data.pairs import QUERY_KINDS, QueryKind
from dina.progress import track
from dina.retrieval.compare import compare
from dina.retrieval.evaluate import HUB_PLACES
from dina.retrieval.hubness import measure_hubness
from dina.retrieval.ranks import Retrieval, retrieve
from dina.statistics.intervals import wilson_interval
from dina.statistics.p_values import control_false_discoveries
from dina.study.decoder_scores import DecoderScores, Scored
from dina.study.decoders import read_scores
from dina.study.dina_step import BEFORE_TRAINING
from dina.study.run_directory import SETTINGS, read_finished
from dina.study.settings import read_settings
from dina.study.unfinished_run import differences

MEASURES = ("top1", "mean_log_rank")
OWN = ("dina", BEFORE_TRAINING)
"""What every run has of its own; other decoders that score alike in several runs are shown once."""


@dataclass(frozen=True, eq=False)
class _Told:
    """One finished study: what it was, and what its decoders said."""

    name: str
    task: tuple[str, str]
    recording: str
    identity: dict[str, Any]
    scores: list[DecoderScores]


@dataclass(frozen=True, eq=False)
class _Entry:
    """One decoder of one run."""

    run: _Told
    scores: DecoderScores
    label: str


def compare_runs(
    runs: Sequence[Path], reference: str | None = None, seed: int = 0, n_resamples: int = 10_000, *, mixed: bool = False
) -> xr.Dataset:
    """Put the decoders of several runs side by side, with paired differences to one of them.

    Runs that share recording and split answered the same queries among the same images: they are compared query by query.

    Parameters
    ----------
    runs
        Finished run directories; one given twice counts once.
    reference
        The label in the table of the decoder with which all others are compared; None for dina of the first run (or the
        first decoder there). With several recordings or splits each has its own reference.
    seed
        Of bootstraps and exchanges.
    n_resamples
        Their number.
    mixed
        Whether runs may be of different recordings or splits; between those nothing is paired.

    Returns
    -------
    comparison
        Axes (entry, queries). ``top1`` with Wilson's interval, ``top5``, ``median_rank``, ``hubness`` (skewness of how often
        each candidate is among the ten best), ``chance_top1``, ``n_gallery``; ``reason``, in words, where these are NaN; and for top1 and mean_log_rank ``…_difference`` (entry minus reference) with ``…_difference_low``, ``…_difference_high``, ``…_p_value`` and
        ``…_q_value``. NaN where there is nothing to compare. Coordinates say label, run, decoder, preset, what the
        decoder reads, recording, task (a number for each recording and split) and whether an entry is the reference of
        its task.

    Raises
    ------
    DataError
        If a run is not finished, two have one name, they differ in recording or split and ``mixed`` is not given, or
        there is no such reference.
    """
    told = [_read(path) for path in dict.fromkeys(Path(run).resolve() for run in runs)]
    _check(told, mixed=mixed)
    entries = _entries(told)
    tasks = list(dict.fromkeys(entry.run.task for entry in entries))
    found = {(i, kind): _retrieval(entry, kind) for i, entry in enumerate(entries) for kind in QUERY_KINDS}
    references = _references(entries, tasks, reference)
    values = _measure(found, entries)
    values["reason"] = _reasons(found, entries)
    values |= _compare(found, [references[tasks.index(entry.run.task)] for entry in entries], seed, n_resamples)
    is_rival = np.array([entry.scores.reads == "images" for entry in entries])
    for measure in MEASURES:
        p_values = np.where(is_rival[:, None], values[f"{measure}_p_value"], np.nan)
        values[f"{measure}_q_value"] = control_false_discoveries(p_values)
    coords: dict[str, Any] = {
        "label": [entry.label for entry in entries],
        "run": [entry.run.name for entry in entries],
        "decoder": [entry.scores.decoder for entry in entries],
        "preset": [entry.scores.preset for entry in entries],
        "reads": [entry.scores.reads for entry in entries],
        "recording": [entry.run.recording for entry in entries],
        "task": [tasks.index(entry.run.task) for entry in entries],
        "is_reference": [i in references for i in range(len(entries))],
    }
    variables = {name: (("entry", "queries"), array) for name, array in values.items()}
    places = {
        name: ("entry", np.array(column, dtype=object if isinstance(column[0], str) else None)) for name, column in coords.items()
    }
    attributes = {"differs": json.dumps(_differences(told), ensure_ascii=False), "n_resamples": n_resamples, "seed": seed}
    return xr.Dataset(variables, coords={**places, "queries": np.array(QUERY_KINDS, dtype=object)}, attrs=attributes)


def _read(run: Path) -> _Told:
    content = read_finished(run)
    scores = read_scores(run, read_settings(run / SETTINGS))
    task = (str(content.identity["recording"]), str(content.split["sha256"]))
    return _Told(run.name, task, str(content.summary["recording"]["name"]), content.identity, scores)


def _check(told: Sequence[_Told], *, mixed: bool) -> None:
    names = [run.name for run in told]
    if len(set(names)) < len(names):
        raise DataError(f"Runs must have different names to stand side by side; got {', '.join(names)}. Rename one.")
    other = next((run for run in told if run.task != told[0].task), None)
    if other is not None and not mixed:
        what = "another split" if other.task[0] == told[0].task[0] else f"another recording ({other.recording})"
        raise DataError(
            f"Runs must share recording and split to be compared query by query; {other.name} has {what} than {told[0].name}."
            " Leave it out, or give --mixed to see them side by side."
        )


def _entries(told: Sequence[_Told]) -> list[_Entry]:
    """List what is shown: all that dina did in each run, then every other decoder once for each different answer."""
    shown: list[tuple[_Told, DecoderScores]] = []
    for run in told:
        for scores in run.scores:
            same = (one for one, two in shown if two.decoder == scores.decoder and one.task == run.task and _is_same(two, scores))
            if scores.decoder in OWN or next(same, None) is None:
                shown.append((run, scores))
    tasks = list(dict.fromkeys(run.task for run in told))
    shown.sort(key=lambda pair: (tasks.index(pair[0].task), pair[1].decoder not in OWN, pair[1].reads != "images"))
    decoders = [scores.decoder for _, scores in shown]
    presets = [run.identity["settings"]["preset"] for run in told]
    is_told_by_preset = len(set(presets)) == len(presets)
    entries = []
    for run, scores in shown:
        words = scores.decoder
        if decoders.count(scores.decoder) > 1:
            words += f" ({run.identity['settings']['preset'] if is_told_by_preset and scores.decoder in OWN else run.name})"
        entries.append(_Entry(run, scores, words))
    return entries


def _is_same(one: DecoderScores, other: DecoderScores) -> bool:
    kinds = one.scored.keys()
    return kinds == other.scored.keys() and all(np.array_equal(one.scored[k].scores, other.scored[k].scores) for k in kinds)


def _retrieval(entry: _Entry, kind: QueryKind) -> Retrieval | None:
    scored: Scored | None = entry.scores.scored.get(kind)
    if scored is None or len(np.unique(scored.target)) < 2:
        return None
    return retrieve(scored.scores, scored.target, "image_from_response")


def _references(entries: Sequence[_Entry], tasks: Sequence[tuple[str, str]], wanted: str | None) -> list[int]:
    labels = [entry.label for entry in entries]
    if wanted is not None and wanted not in labels:
        raise DataError(f"The reference must be a decoder of the table; got {wanted!r}. Choose from: {', '.join(labels)}.")
    chosen = []
    for task in tasks:
        own = [i for i, entry in enumerate(entries) if entry.run.task == task]
        named = [i for i in own if labels[i] == wanted]
        chosen.append((named or [i for i in own if entries[i].scores.decoder == "dina"] or own)[0])
    return chosen


def _reasons(found: dict[tuple[int, QueryKind], Retrieval | None], entries: Sequence[_Entry]) -> np.ndarray:
    reasons = np.full((len(entries), len(QUERY_KINDS)), "", dtype=object)
    for (i, kind), one in found.items():
        if one is None:
            told = entries[i].scores.reason.get(kind, "Fewer than two images have such a query.")
            reasons[i, QUERY_KINDS.index(kind)] = told
    return reasons


def _measure(found: dict[tuple[int, QueryKind], Retrieval | None], entries: Sequence[_Entry]) -> dict[str, np.ndarray]:
    names = ("top1", "top1_low", "top1_high", "top5", "median_rank", "hubness", "chance_top1", "n_gallery")
    values = {name: np.full((len(entries), len(QUERY_KINDS)), np.nan) for name in names}
    for (i, kind), one in found.items():
        if one is None:
            continue
        place = (i, QUERY_KINDS.index(kind))
        top1 = float(one.top(1).mean())
        low, high = wilson_interval(top1, len(np.unique(one.image)))
        top5 = float(one.top(5).mean()) if one.n_gallery >= 5 else np.nan
        scores = entries[i].scores.scored[kind].scores
        hubness = measure_hubness(scores, min(HUB_PLACES, scores.shape[1]))
        told = (top1, low, high, top5, float(np.median(one.rank())), hubness, 1 / one.n_gallery, float(one.n_gallery))
        for name, value in zip(names, told, strict=True):
            values[name][place] = value
    return values


def _compare(
    found: dict[tuple[int, QueryKind], Retrieval | None], reference: Sequence[int], seed: int, n_resamples: int
) -> dict[str, np.ndarray]:
    columns = {"difference": "difference", "low": "difference_low", "high": "difference_high", "p_value": "p_value"}
    shape = (len(reference), len(QUERY_KINDS))
    values = {f"{measure}_{name}": np.full(shape, np.nan) for measure in MEASURES for name in columns.values()}
    for i, k in track(list(np.ndindex(shape)), "Comparing runs"):
        own, other = found[i, QUERY_KINDS[k]], found[reference[i], QUERY_KINDS[k]]
        if own is None or other is None or i == reference[i]:
            continue
        if own.n_gallery != other.n_gallery or not np.array_equal(own.image, other.image):
            continue
        for difference in compare(own, other, seed, n_resamples):
            if difference.measure in MEASURES:
                for field, name in columns.items():
                    values[f"{difference.measure}_{name}"][i, k] = getattr(difference, field)
    return values


def _differences(told: Sequence[_Told]) -> dict[str, str]:
    """Say of every run in what it differs from the first one; where the preset does, its settings are no news."""

    def described(run: _Told, *, with_settings: bool) -> dict[str, Any]:
        settings = {key: value for key, value in run.identity["settings"].items() if with_settings or key != "dina"}
        return {**run.identity, "settings": settings, "split": run.task[1]}

    found = {}
    for run in told[1:]:
        alike = run.identity["settings"]["preset"] == told[0].identity["settings"]["preset"]
        found[run.name] = differences(*(described(one, with_settings=alike) for one in (told[0], run)))
    return found
