"""Judge the decoders of one study on the same queries, and put those of several finished studies into one table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from dina.checks import DataError
from dina.data.pairs import QUERY_KINDS, QueryKind
from dina.progress import track
from dina.randomness import generator_for
from dina.retrieval.compare import compare
from dina.retrieval.evaluate import TRAINING, DecodingRow, evaluate_folds
from dina.retrieval.gallery_size import accuracy_by_gallery_size, choose_sizes
from dina.retrieval.hubness import CORRECTIONS
from dina.retrieval.pooled_folds import Ranks, are_paired
from dina.retrieval.ranks import DIRECTIONS, Direction, Retrieval
from dina.short_words import brief
from dina.statistics.p_values import control_false_discoveries
from dina.study.decoder_scores import DecoderScores
from dina.study.decoders import BEFORE_TRAINING, read_scores
from dina.study.environment import NOT_INSTALLED
from dina.study.run_directory import Run, read_several_finished
from dina.study.settings import settings_from_text
from dina.study.shown_once import was_shown_once
from dina.study.unfinished_run import differences

COMPARED = "dina"
MEASURES = ("top1", "top5", "mean_log_rank", "median_rank")
# Shown for every run; other decoders that score the same in several runs are shown once.
OF_EVERY_RUN = (COMPARED, BEFORE_TRAINING)
# Part of the preset `default` → decoder without it and decoder with it. Locality, noise and training change alone; with the likelihood
# comes the change from pixels to Gabor features, with further feature spaces the gain by contrast and the prior of weights.
PARTS = {
    "likelihood": ("ridge", "encoding_global"),
    "locality": ("encoding_global", "encoding_local"),
    "noise": ("encoding_independent", "encoding_local"),
    "features": ("encoding_local", BEFORE_TRAINING),
    "training": (BEFORE_TRAINING, COMPARED),
}


@dataclass(frozen=True, eq=False)
class JudgedDecoders:
    """A row per decoder, kind of query and direction; accuracy against gallery size; and paired differences dina − rival.

    ``gallery_size`` has the axes (decoder, queries, gallery_size) and is None where nothing could be scored; ``comparisons``
    has the axes (rival, queries), in variables ``part_…`` (part, queries) for what each of `PARTS` gives, and is None without
    dina. Of several folds there is no ``gallery_size``.
    """

    __repr__ = brief

    rows: tuple[DecodingRow, ...]
    gallery_size: xr.Dataset | None
    comparisons: xr.Dataset | None


def judge_decoders(
    decoders: Sequence[DecoderScores], seed: int, n_resamples: int, corrections: Sequence[str] = ()
) -> JudgedDecoders:
    """Judge, compare and tabulate decoders that were scored on the same test images, in the order of the table.

    Each of ``corrections`` (names in `dina.retrieval.hubness.CORRECTIONS`) gives every decoder of images a further row, which
    takes no part in comparisons.
    """
    return judge_folds([decoders], seed, n_resamples, corrections)


def judge_folds(
    folds: Sequence[Sequence[DecoderScores]], seed: int, n_resamples: int, corrections: Sequence[str] = ()
) -> JudgedDecoders:
    """Judge decoders by the queries of all folds together; arguments as `judge_decoders`, the same decoders in every fold.

    A decoder that a fold lacks, or could not fit, gets no number, and the reason from that fold.
    """
    by_name = [{one.decoder: one for one in [*fold, *_corrected(fold, corrections)]} for fold in folds]
    judged = [[fold.get(name, replace(one, scored={}, reason={})) for fold in by_name] for name, one in by_name[0].items()]
    places = [(decoder, kind, direction) for decoder in judged for kind in QUERY_KINDS for direction in DIRECTIONS]
    rows = tuple(_judge(*place, seed, n_resamples) for place in track(places, "Judging decoders"))
    forwards = {
        (row.decoder, row.queries): row.retrieval
        for row in rows
        if row.retrieval is not None and row.direction == "image_from_response" and row.reads != "queries"
    }
    of_one = {key: found for key, found in forwards.items() if isinstance(found, Retrieval)}
    return JudgedDecoders(rows, _gallery_sizes(of_one, seed), _comparisons(folds[0], forwards, seed, n_resamples))


def _corrected(decoders: Sequence[DecoderScores], corrections: Sequence[str]) -> list[DecoderScores]:
    """Return the scores of decoders of images, corrected by means of all queries, under other names."""
    return [
        DecoderScores(
            f"{decoder.decoder}_{name}",
            decoder.preset,
            "queries",
            {kind: replace(one, scores=CORRECTIONS[name](one.scores)) for kind, one in decoder.scored.items()},
            decoder.reason,
        )
        for decoder in decoders
        for name in corrections
        if decoder.reads == "images"
    ]


def _judge(folds: Sequence[DecoderScores], kind: QueryKind, direction: Direction, seed: int, n_resamples: int) -> DecodingRow:
    one = folds[0]
    name, preset, reads = one.decoder, one.preset, one.reads
    is_trained = name == COMPARED and len(folds) == 1  # every fold has a training of its own
    training: dict[str, Any] = {key: one.chosen[key] for key in TRAINING if is_trained and key in one.chosen}
    for number, fold in enumerate(folds, 1):
        scored = fold.scored.get(kind)
        if scored is None or len(np.unique(scored.target)) < 2:
            reason = fold.reason.get(kind, "It was not computed.")
            reason = reason if scored is None else "Retrieval needs at least two test images with such a query."
            reason = reason if len(folds) == 1 else f"Fold {number} of {len(folds)}: {reason}"
            return DecodingRow(name, preset, kind, direction, reason=reason, reads=reads, **training)
    scores = [(fold.scored[kind].scores, fold.scored[kind].target) for fold in folds]
    return replace(evaluate_folds(name, preset, reads, scores, kind, direction, seed, n_resamples), **training)


def _gallery_sizes(forwards: Mapping[tuple[str, str], Retrieval], seed: int) -> xr.Dataset | None:
    if not forwards:
        return None
    sizes = choose_sizes(max(found.n_gallery for found in forwards.values()))
    decoders = list(dict.fromkeys(decoder for decoder, _ in forwards))
    shape = (len(decoders), len(QUERY_KINDS), len(sizes))
    values = {name: np.full(shape, np.nan) for name in ("top1", "top1_low", "top1_high")}
    for (decoder, queries), found in forwards.items():
        fits = sizes <= found.n_gallery
        curve = accuracy_by_gallery_size(found, sizes[fits], generator_for(seed, "gallery size"))
        place = (decoders.index(decoder), list[str](QUERY_KINDS).index(queries), fits)
        for name in values:
            values[name][place] = getattr(curve, name)
    axes = ("decoder", "queries", "gallery_size")
    variables = {name: (axes, array, {"units": "1"}) for name, array in values.items()}
    names: dict[str, Any] = {"decoder": np.array(decoders, dtype=object), "queries": np.array(QUERY_KINDS, dtype=object)}
    return xr.Dataset({**variables, "chance": ("gallery_size", 1 / sizes)}, coords={**names, "gallery_size": sizes})


def _comparisons(
    decoders: Sequence[DecoderScores], forwards: Mapping[tuple[str, str], Ranks], seed: int, n_resamples: int
) -> xr.Dataset | None:
    """Compare dina with every rival on the same queries, and decoders with and without each of `PARTS`."""
    rivals = [decoder for decoder in decoders if decoder.decoder != COMPARED]
    if not rivals or not any(name == COMPARED for name, _ in forwards):
        return None
    pairs = [[(forwards.get((COMPARED, kind)), forwards.get((one.decoder, kind))) for kind in QUERY_KINDS] for one in rivals]
    values = _paired_differences(pairs, [one.reads for one in rivals], seed, n_resamples)
    variables = {name: (("rival", "queries"), array) for name, array in values.items()}
    steps = [
        [(forwards.get((after, kind)), forwards.get((before, kind))) for kind in QUERY_KINDS] for before, after in PARTS.values()
    ]
    of_parts = _paired_differences(steps, ["images"] * len(PARTS), seed, n_resamples, ("top1",))
    variables |= {f"part_{name}": (("part", "queries"), array) for name, array in of_parts.items()}
    names = {"rival": [one.decoder for one in rivals], "queries": QUERY_KINDS, "part": list(PARTS)}
    coordinates = {axis: np.array(words, dtype=object) for axis, words in names.items()}
    return xr.Dataset(variables, coords=coordinates, attrs={"meaning": "dina minus rival, image from response, paired by query"})


def _paired_differences(
    pairs: Sequence[Sequence[tuple[Ranks | None, Ranks | None]]],
    reads: Sequence[str],
    seed: int,
    n_resamples: int,
    measures: Sequence[str] = MEASURES,
    ends: str = "",
) -> dict[str, np.ndarray]:
    """Compare pairs (decoder, kind of query) on the same queries; NaN where one is missing or queries or gallery differ.

    The names of interval ends begin with ``ends``. The q-values of a measure are over all decoders that read images.
    """
    columns = {"difference": "difference", "low": f"{ends}low", "high": f"{ends}high", "p_value": "p_value"}
    shape = (len(pairs), len(QUERY_KINDS))
    values = {f"{measure}_{name}": np.full(shape, np.nan) for measure in measures for name in columns.values()}
    for row, column in track(list(np.ndindex(shape)), "Comparing decoders"):
        one, other = pairs[row][column]
        if one is None or other is None or not are_paired(one, other):
            continue
        for difference in compare(one, other, seed, n_resamples):
            if difference.measure in measures:
                for field, name in columns.items():
                    values[f"{difference.measure}_{name}"][row, column] = getattr(difference, field)
    is_rival = np.array([each == "images" for each in reads])[:, None]
    tested = {measure: np.where(is_rival, values[f"{measure}_p_value"], np.nan) for measure in measures}
    return values | {f"{measure}_q_value": control_false_discoveries(p_values) for measure, p_values in tested.items()}


@dataclass(frozen=True, eq=False)
class _Entry:
    """One decoder of one run."""

    run: Run
    folds: tuple[DecoderScores, ...]  # one without folds
    label: str

    @property
    def scores(self) -> DecoderScores:
        """The scores of the first fold; name, preset and what is read are those of all."""
        return self.folds[0]


def compare_runs(
    runs: Sequence[Path],
    reference: str | None = None,
    seed: int = 0,
    n_resamples: int = 10_000,
    *,
    mixed: bool = False,
    any_network: bool = False,
) -> xr.Dataset:
    """Put the decoders of several runs side by side, with the paired differences of one of them from each.

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
    any_network
        Whether the trained network may have been installed for some runs and not for others.

    Returns
    -------
    comparison
        Axes (entry, queries). ``top1`` with its interval, ``top5``, ``median_rank``, ``hubness``, ``chance_top1``,
        ``n_gallery``, and in words the ``reason`` where these are NaN; for top1 and mean_log_rank ``…_difference`` (reference
        minus entry, as the page of a run has dina minus rival) with its interval, ``…_p_value`` and ``…_q_value``, NaN where there is nothing to compare. The
        coordinate task numbers recordings and splits; ``is_reference`` marks the reference of each task. The attribute
        ``trained_network`` says which runs had which network, and is "" where it was the same for all.

    Raises
    ------
    DataError
        If a run is not finished, two have one name, they differ in recording or split and ``mixed`` is not given, they
        differ in the trained network and ``any_network`` is not given, or there is no such reference.
    """
    opened = read_several_finished(runs, may_have_folds=True)
    _check(opened, mixed=mixed)
    _check_network(opened, any_network=any_network)
    entries = _entries(opened)
    tasks = list(dict.fromkeys(_task(entry.run) for entry in entries))
    task_of = [tasks.index(_task(entry.run)) for entry in entries]
    places = [(i, kind) for i in range(len(entries)) for kind in QUERY_KINDS]
    rows = {(i, kind): _judge(entries[i].folds, kind, "image_from_response", seed, n_resamples) for i, kind in places}
    found = {place: row.retrieval for place, row in rows.items()}
    references = _references(entries, task_of, reference)
    others = [references[task] for task in task_of]
    pairs = [[(found[other, k] if i != other else None, found[i, k]) for k in QUERY_KINDS] for i, other in enumerate(others)]
    reads = [entry.scores.reads for entry in entries]
    values = _tabulate(rows, len(entries))
    values |= _paired_differences(pairs, reads, seed, n_resamples, ("top1", "mean_log_rank"), "difference_")
    columns: dict[str, Any] = {
        "label": [entry.label for entry in entries],
        "run": [entry.run.path.name for entry in entries],
        "decoder": [entry.scores.decoder for entry in entries],
        "preset": [entry.scores.preset for entry in entries],
        "reads": reads,
        "recording": [_recording_name(entry.run) for entry in entries],
        "task": task_of,
        "is_reference": [i in references for i in range(len(entries))],
    }
    coordinates = {
        name: ("entry", np.array(column, dtype=object if isinstance(column[0], str) else None))
        for name, column in columns.items()
    }
    compared = xr.Dataset(
        {name: (("entry", "queries"), array) for name, array in values.items()},
        coords={**coordinates, "queries": np.array(QUERY_KINDS, dtype=object)},
        attrs={
            "differs": json.dumps(_name_differences(opened), ensure_ascii=False),
            "trained_network": _name_networks(opened),
            "n_resamples": n_resamples,
            "seed": seed,
        },
    )
    # averages of images that were shown once are their single trials
    return compared.sel(queries=["single_trial"]) if all(was_shown_once(run) for run in opened) else compared


def _task(run: Run) -> tuple[str, str]:
    """Return recording and split: runs in which both are the same answered the same queries among the same images."""
    return str(run.identity["recording"]), str(run.split["sha256"])


def _recording_name(run: Run) -> str:
    return str(run.summary["recording"]["name"])


def _preset(run: Run) -> str:
    return str(run.identity["settings"]["preset"])


def _check(runs: Sequence[Run], *, mixed: bool) -> None:
    first = runs[0]
    other = next((run for run in runs if _task(run) != _task(first)), None)
    if other is not None and not mixed:
        same_recording = _task(other)[0] == _task(first)[0]
        what = "another split" if same_recording else f"another recording ({_recording_name(other)})"
        if len({type(run.identity["recording"]) for run in (first, other)}) > 1:
            what = f"a recording written down by another version of dina ({_recording_name(other)}), perhaps the same,"
        raise DataError(
            f"Runs must share recording and split to be compared query by query; {other.path.name} has {what} than"
            f" {first.path.name}. Leave it out, or give --mixed to see them side by side."
        )


def _network(run: Run) -> str:
    """Return which trained network a run could use; older releases could use none."""
    return str(run.identity.get("environment", {}).get("trained_network", NOT_INSTALLED))


def _check_network(runs: Sequence[Run], *, any_network: bool) -> None:
    if not any_network and (said := _name_networks(runs)):
        raise DataError(
            f"Runs must share the trained network to be compared; found {said}. Repeat a run in the other's environment (the"
            " network is the extra encoders-small), or give --any-network to compare them nevertheless."
        )


def _name_networks(runs: Sequence[Run]) -> str:
    """Say which runs had which trained network; "" if it was the same for all."""
    found: dict[str, list[str]] = {}
    for run in runs:
        found.setdefault(_network(run), []).append(run.path.name)
    return "; ".join(f"{network}: {', '.join(names)}" for network, names in found.items()) if len(found) > 1 else ""


def _entries(runs: Sequence[Run]) -> list[_Entry]:
    """List what is shown: dina of each run, then every other decoder once for each different answer."""
    shown: list[tuple[Run, tuple[DecoderScores, ...]]] = []
    for run in runs:
        for folds in _scores_of(run):
            name = folds[0].decoder
            is_known = any(two[0].decoder == name and _task(one) == _task(run) and _is_same(two, folds) for one, two in shown)
            if name in OF_EVERY_RUN or not is_known:
                shown.append((run, folds))
    tasks = list(dict.fromkeys(_task(run) for run in runs))
    shown.sort(
        key=lambda pair: (tasks.index(_task(pair[0])), pair[1][0].decoder not in OF_EVERY_RUN, pair[1][0].reads != "images")
    )
    decoders = [folds[0].decoder for _, folds in shown]
    differ_in_preset = len({_preset(run) for run in runs}) == len(runs)
    entries = []
    for run, folds in shown:
        words = folds[0].decoder
        if decoders.count(words) > 1:
            words += f" ({_preset(run) if differ_in_preset and words in OF_EVERY_RUN else run.path.name})"
        entries.append(_Entry(run, folds, words))
    return entries


def _scores_of(run: Run) -> list[tuple[DecoderScores, ...]]:
    """Read the scores of every decoder that all folds of a run hold, in the order of the table."""
    by_name = [
        {scores.decoder: scores for scores in read_scores(fold.path, settings_from_text(fold.settings))}
        for fold in run.folds or (run,)
    ]
    return [tuple(fold[name] for fold in by_name) for name in by_name[0] if all(name in fold for fold in by_name)]


def _is_same(some: Sequence[DecoderScores], others: Sequence[DecoderScores]) -> bool:
    return all(
        one.scored.keys() == other.scored.keys()
        and all(np.array_equal(one.scored[k].scores, other.scored[k].scores) for k in one.scored)
        for one, other in zip(some, others, strict=True)
    )


def _references(entries: Sequence[_Entry], task_of: Sequence[int], wanted: str | None) -> list[int]:
    """Return the reference of each task: the wanted one, else dina, else the first."""
    labels = [entry.label for entry in entries]
    if wanted is not None and wanted not in labels:
        raise DataError(f"The reference must be a decoder of the table; got {wanted!r}. Choose from: {', '.join(labels)}.")
    chosen = []
    for task in range(max(task_of) + 1):
        candidates = [i for i, one in enumerate(task_of) if one == task]
        named = [i for i in candidates if labels[i] == wanted]
        chosen.append((named or [i for i in candidates if entries[i].scores.decoder == COMPARED] or candidates)[0])
    return chosen


def _tabulate(rows: Mapping[tuple[int, QueryKind], DecodingRow], n_entries: int) -> dict[str, np.ndarray]:
    """Return the numbers of every entry; where there are none, the reason why."""
    names = ("top1", "top1_low", "top1_high", "top5", "median_rank", "hubness", "chance_top1", "n_gallery")
    shape = (n_entries, len(QUERY_KINDS))
    values = {name: np.full(shape, np.nan) for name in names} | {"reason": np.full(shape, "", dtype=object)}
    for (i, kind), row in rows.items():
        place = (i, QUERY_KINDS.index(kind))
        for name in names:
            value = getattr(row, name)
            values[name][place] = np.nan if value is None else value
        values["reason"][place] = row.reason if row.retrieval is None else ""
    return values


def _name_differences(runs: Sequence[Run]) -> dict[str, str]:
    """Name for every run the differences from the first; where the preset differs, its settings are left out."""

    def described(run: Run, *, with_settings: bool) -> dict[str, Any]:
        settings = {key: value for key, value in run.identity["settings"].items() if with_settings or key != "dina"}
        return {**run.identity, "settings": settings, "split": _task(run)[1]}

    found = {}
    for run in runs[1:]:
        is_same = _preset(run) == _preset(runs[0])
        pair = (runs[0], run)
        old, new = (described(one, with_settings=is_same) for one in pair)
        found[run.path.name] = differences(old, new, (f"in {runs[0].path.name}", f"in {run.path.name}"))
    return found
