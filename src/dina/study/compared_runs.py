"""Several finished studies in one table: who decodes best on the same queries, by how much, and whether that could be luck."""

import json
from collections.abc import Mapping, Sequence
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
from dina.study.decoder_scores import DecoderScores
from dina.study.decoders import BEFORE_TRAINING, read_scores
from dina.study.run_directory import SETTINGS, Run, check_names, read_finished
from dina.study.settings import read_settings
from dina.study.unfinished_run import differences

MEASURES = ("top1", "mean_log_rank")
COLUMNS = {"difference": "difference", "low": "difference_low", "high": "difference_high", "p_value": "p_value"}
# Shown for every run; other decoders that score the same in several runs are shown once.
OF_EVERY_RUN = ("dina", BEFORE_TRAINING)

# Where targets stand, by entry of the table and kind of query.
Found = Mapping[tuple[int, QueryKind], Retrieval | None]


@dataclass(frozen=True, eq=False)
class _Entry:
    """One decoder of one run."""

    run: Run
    scores: DecoderScores
    label: str

    @property
    def task(self) -> tuple[str, str]:
        return _task(self.run)


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
        Label of the decoder with which all others of its recording and split are compared; None for dina of the first run
        (or the first decoder there).
    seed, n_resamples
        Of bootstraps and exchanges.
    mixed
        Whether runs may be of different recordings or splits; between those nothing is paired.

    Returns
    -------
    comparison
        Axes (entry, queries). ``top1`` with Wilson's interval, ``top5``, ``median_rank``, ``hubness``, ``chance_top1``,
        ``n_gallery``, and in words the ``reason`` where these are NaN; for top1 and mean_log_rank ``…_difference`` (entry
        minus reference) with its interval, ``…_p_value`` and ``…_q_value``, NaN where there is nothing to compare. The
        coordinate task numbers recordings and splits; ``is_reference`` marks the reference of each task.

    Raises
    ------
    DataError
        If a run is not finished, two have one name, they differ in recording or split and ``mixed`` is not given, or
        there is no such reference.
    """
    opened = [read_finished(path) for path in dict.fromkeys(Path(run).resolve() for run in runs)]
    _check(opened, mixed=mixed)
    entries = _entries(opened)
    tasks = list(dict.fromkeys(entry.task for entry in entries))
    found = {(i, kind): _retrieval(entry, kind) for i, entry in enumerate(entries) for kind in QUERY_KINDS}
    references = _references(entries, tasks, reference)
    values = _measure(found, entries)
    values |= _compare(found, [references[tasks.index(entry.task)] for entry in entries], seed, n_resamples)
    is_rival = np.array([entry.scores.reads == "images" for entry in entries])
    for measure in MEASURES:
        p_values = np.where(is_rival[:, None], values[f"{measure}_p_value"], np.nan)
        values[f"{measure}_q_value"] = control_false_discoveries(p_values)
    columns: dict[str, Any] = {
        "label": [entry.label for entry in entries],
        "run": [entry.run.path.name for entry in entries],
        "decoder": [entry.scores.decoder for entry in entries],
        "preset": [entry.scores.preset for entry in entries],
        "reads": [entry.scores.reads for entry in entries],
        "recording": [_recording_name(entry.run) for entry in entries],
        "task": [tasks.index(entry.task) for entry in entries],
        "is_reference": [i in references for i in range(len(entries))],
    }
    coordinates = {
        name: ("entry", np.array(column, dtype=object if isinstance(column[0], str) else None))
        for name, column in columns.items()
    }
    return xr.Dataset(
        {name: (("entry", "queries"), array) for name, array in values.items()},
        coords={**coordinates, "queries": np.array(QUERY_KINDS, dtype=object)},
        attrs={"differs": json.dumps(_differences(opened), ensure_ascii=False), "n_resamples": n_resamples, "seed": seed},
    )


def _task(run: Run) -> tuple[str, str]:
    """Return recording and split: runs in which both are the same answered the same queries among the same images."""
    return str(run.identity["recording"]), str(run.split["sha256"])


def _recording_name(run: Run) -> str:
    return str(run.summary["recording"]["name"])


def _preset(run: Run) -> str:
    return str(run.identity["settings"]["preset"])


def _check(runs: Sequence[Run], *, mixed: bool) -> None:
    check_names([run.path for run in runs])
    first = runs[0]
    other = next((run for run in runs if _task(run) != _task(first)), None)
    if other is not None and not mixed:
        same_recording = _task(other)[0] == _task(first)[0]
        what = "another split" if same_recording else f"another recording ({_recording_name(other)})"
        raise DataError(
            f"Runs must share recording and split to be compared query by query; {other.path.name} has {what} than"
            f" {first.path.name}. Leave it out, or give --mixed to see them side by side."
        )


def _entries(runs: Sequence[Run]) -> list[_Entry]:
    """List what is shown: dina of each run, then every other decoder once for each different answer."""
    shown: list[tuple[Run, DecoderScores]] = []
    for run in runs:
        for scores in read_scores(run.path, read_settings(run.path / SETTINGS)):
            is_known = any(
                two.decoder == scores.decoder and _task(one) == _task(run) and _is_same(two, scores) for one, two in shown
            )
            if scores.decoder in OF_EVERY_RUN or not is_known:
                shown.append((run, scores))
    tasks = list(dict.fromkeys(_task(run) for run in runs))
    shown.sort(key=lambda pair: (tasks.index(_task(pair[0])), pair[1].decoder not in OF_EVERY_RUN, pair[1].reads != "images"))
    decoders = [scores.decoder for _, scores in shown]
    differ_in_preset = len({_preset(run) for run in runs}) == len(runs)
    entries = []
    for run, scores in shown:
        words = scores.decoder
        if decoders.count(scores.decoder) > 1:
            words += f" ({_preset(run) if differ_in_preset and scores.decoder in OF_EVERY_RUN else run.path.name})"
        entries.append(_Entry(run, scores, words))
    return entries


def _is_same(one: DecoderScores, other: DecoderScores) -> bool:
    kinds = one.scored.keys()
    return kinds == other.scored.keys() and all(np.array_equal(one.scored[k].scores, other.scored[k].scores) for k in kinds)


def _retrieval(entry: _Entry, kind: QueryKind) -> Retrieval | None:
    scored = entry.scores.scored.get(kind)
    if scored is None or len(np.unique(scored.target)) < 2:
        return None
    return retrieve(scored.scores, scored.target, "image_from_response")


def _references(entries: Sequence[_Entry], tasks: Sequence[tuple[str, str]], wanted: str | None) -> list[int]:
    labels = [entry.label for entry in entries]
    if wanted is not None and wanted not in labels:
        raise DataError(f"The reference must be a decoder of the table; got {wanted!r}. Choose from: {', '.join(labels)}.")
    chosen = []
    for task in tasks:
        candidates = [i for i, entry in enumerate(entries) if entry.task == task]
        named = [i for i in candidates if labels[i] == wanted]
        chosen.append((named or [i for i in candidates if entries[i].scores.decoder == "dina"] or candidates)[0])
    return chosen


def _measure(found: Found, entries: Sequence[_Entry]) -> dict[str, np.ndarray]:
    """Return the numbers of every entry; where there are none, the reason why."""
    names = ("top1", "top1_low", "top1_high", "top5", "median_rank", "hubness", "chance_top1", "n_gallery")
    shape = (len(entries), len(QUERY_KINDS))
    values = {name: np.full(shape, np.nan) for name in names} | {"reason": np.full(shape, "", dtype=object)}
    for (i, kind), one in found.items():
        place, scores = (i, QUERY_KINDS.index(kind)), entries[i].scores
        if one is None:
            values["reason"][place] = scores.reason.get(kind, "Fewer than two images have such a query.")
            continue
        top1 = float(one.top(1).mean())
        top5 = float(one.top(5).mean()) if one.n_gallery >= 5 else np.nan
        hubness = measure_hubness(scores.scored[kind].scores, min(HUB_PLACES, one.n_gallery))
        interval = wilson_interval(top1, len(np.unique(one.image)))
        numbers = (top1, *interval, top5, float(np.median(one.rank())), hubness, 1 / one.n_gallery, float(one.n_gallery))
        for name, value in zip(names, numbers, strict=True):
            values[name][place] = value
    return values


def _compare(found: Found, reference: Sequence[int], seed: int, n_resamples: int) -> dict[str, np.ndarray]:
    """Return paired differences between every entry and its reference; NaN where the queries or the gallery differ."""
    shape = (len(reference), len(QUERY_KINDS))
    values = {f"{measure}_{name}": np.full(shape, np.nan) for measure in MEASURES for name in COLUMNS.values()}
    for i, k in track(list(np.ndindex(shape)), "Comparing runs"):
        one, other = found[i, QUERY_KINDS[k]], found[reference[i], QUERY_KINDS[k]]
        if one is None or other is None or i == reference[i] or not one.is_paired_with(other):
            continue
        for difference in compare(one, other, seed, n_resamples):
            if difference.measure in MEASURES:
                for field, name in COLUMNS.items():
                    values[f"{difference.measure}_{name}"][i, k] = getattr(difference, field)
    return values


def _differences(runs: Sequence[Run]) -> dict[str, str]:
    """Name for every run the differences from the first; where the preset differs, its settings are left out."""

    def described(run: Run, *, with_settings: bool) -> dict[str, Any]:
        settings = {key: value for key, value in run.identity["settings"].items() if with_settings or key != "dina"}
        return {**run.identity, "settings": settings, "split": _task(run)[1]}

    found = {}
    for run in runs[1:]:
        is_same = _preset(run) == _preset(runs[0])
        found[run.path.name] = differences(*(described(one, with_settings=is_same) for one in (runs[0], run)))
    return found
