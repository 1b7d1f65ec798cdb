"""From the scores of all decoders to the table, the curves over gallery size and the paired comparisons."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from dina.data.pairs import QUERY_KINDS, QueryKind
from dina.progress import track
from dina.randomness import generator_for
from dina.retrieval.compare import compare
from dina.retrieval.evaluate import RetrievalResult, Row, evaluate, unavailable_row
from dina.retrieval.gallery_size import accuracy_by_gallery_size, choose_sizes
from dina.retrieval.hubness import CORRECTIONS, measure_hubness
from dina.retrieval.ranks import DIRECTIONS, Direction, Retrieval
from dina.statistics.p_values import control_false_discoveries
from dina.study.retrieval_file import DecoderScores

COMPARED = "dina"
HUB_PLACES = 10
MEASURES = ("top1", "top5", "mean_log_rank", "median_rank")


@dataclass(frozen=True, eq=False)
class Analysis:
    """Everything that follows from the scores.

    Parameters
    ----------
    rows
        One per decoder, kind of query and direction, ready for ``summary.json``.
    results
        The same with all ranks, for those that could be computed.
    gallery_size
        Accuracy against gallery size, axes (decoder, queries, gallery_size).
    comparisons
        Paired differences dina − rival, axes (rival, queries); None without dina.
    """

    rows: list[Row]
    results: tuple[RetrievalResult, ...]
    gallery_size: xr.Dataset | None
    comparisons: xr.Dataset | None


def analyse(decoders: Sequence[DecoderScores], seed: int, n_resamples: int, corrections: Sequence[str] = ()) -> Analysis:
    """Judge, compare and tabulate decoders that were scored on the same test images.

    Parameters
    ----------
    decoders
        In the order of the table.
    seed
        Of bootstraps and permutations.
    n_resamples
        Their number.
    corrections
        Names in `dina.retrieval.hubness.CORRECTIONS`; each gives every decoder of images a further row, which takes no part
        in comparisons.
    """
    rows: list[Row] = []
    results: list[RetrievalResult] = []
    judged = [*decoders, *_corrected(decoders, corrections)]
    places = [(decoder, kind, direction) for decoder in judged for kind in QUERY_KINDS for direction in DIRECTIONS]
    for decoder, kind, direction in track(places, "Judging decoders"):
        result = _judge(decoder, kind, direction, seed, n_resamples)
        row = unavailable_row(decoder.decoder, decoder.preset, kind, direction, _reason(decoder, kind))
        if result is not None:
            results.append(result)
            row = result.to_row()
        further = {"hubness": _hubness(decoder, kind, direction), "reads": decoder.reads}
        rows.append({key: _plain(value) for key, value in (row | further).items()})
    forwards = [one for one in results if one.direction == "image_from_response" and one.reads != "queries"]
    return Analysis(rows, tuple(results), _gallery_sizes(forwards, seed), _comparisons(decoders, forwards, seed, n_resamples))


def _corrected(decoders: Sequence[DecoderScores], corrections: Sequence[str]) -> list[DecoderScores]:
    """Return what decoders of images would say if they knew all queries, under names of their own."""
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


def _hubness(decoder: DecoderScores, kind: QueryKind, direction: Direction) -> float | None:
    """Return how unevenly candidates crowd the ten best places; None without scores."""
    scored = decoder.scored.get(kind)
    if scored is None or min(scored.scores.shape) < 2:
        return None
    scores = scored.scores if direction == "image_from_response" else scored.scores.T
    return measure_hubness(scores, min(HUB_PLACES, scores.shape[1]))


def _reason(decoder: DecoderScores, kind: QueryKind) -> str:
    if kind in decoder.scored:
        return "Retrieval needs at least two test images with such a query."
    return decoder.reason.get(kind, "It was not computed.")


def _judge(decoder: DecoderScores, kind: QueryKind, direction: Direction, seed: int, n: int) -> RetrievalResult | None:
    scored = decoder.scored.get(kind)
    if scored is None or len(np.unique(scored.target)) < 2:
        return None
    return evaluate(
        decoder.decoder, decoder.preset, decoder.reads, scored.scores, scored.target, kind, direction, seed, n_resamples=n
    )


def _plain(value: Any) -> Any:
    """Return a number that JSON can hold: Python's own types, None for NaN."""
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def _gallery_sizes(results: Sequence[RetrievalResult], seed: int) -> xr.Dataset | None:
    if not results:
        return None
    largest = max(result.retrieval.n_gallery for result in results)
    sizes = choose_sizes(largest)
    decoders = list(dict.fromkeys(result.decoder for result in results))
    shape = (len(decoders), len(QUERY_KINDS), len(sizes))
    values = {name: np.full(shape, np.nan) for name in ("top1", "top1_low", "top1_high")}
    for result in results:
        fits = sizes <= result.retrieval.n_gallery
        curve = accuracy_by_gallery_size(result.retrieval, sizes[fits], generator_for(seed, "gallery size"))
        place = (decoders.index(result.decoder), QUERY_KINDS.index(result.queries), fits)
        for name in values:
            values[name][place] = getattr(curve, name)
    axes = ("decoder", "queries", "gallery_size")
    variables = {name: (axes, array, {"units": "1"}) for name, array in values.items()}
    names: dict[str, Any] = {"decoder": np.array(decoders, dtype=object), "queries": np.array(QUERY_KINDS, dtype=object)}
    return xr.Dataset({**variables, "chance": ("gallery_size", 1 / sizes)}, coords={**names, "gallery_size": sizes})


def _comparisons(
    decoders: Sequence[DecoderScores], results: Sequence[RetrievalResult], seed: int, n_resamples: int
) -> xr.Dataset | None:
    """Compare dina with every rival on the same queries; NaN where the queries or the gallery are not the same."""
    found: Mapping[tuple[str, str], Retrieval] = {(result.decoder, result.queries): result.retrieval for result in results}
    rivals = [decoder.decoder for decoder in decoders if decoder.decoder != COMPARED]
    if not rivals or not any(name == COMPARED for name, _ in found):
        return None
    columns = ("difference", "low", "high", "p_value")
    shape = (len(rivals), len(QUERY_KINDS))
    values = {f"{measure}_{column}": np.full(shape, np.nan) for measure in MEASURES for column in columns}
    for place in track(list(np.ndindex(shape)), "Comparing decoders"):
        own, other = (found.get((name, QUERY_KINDS[place[1]])) for name in (COMPARED, rivals[place[0]]))
        if own is None or other is None or not _are_paired(own, other):
            continue
        for difference in compare(own, other, seed, n_resamples):
            for column in columns:
                values[f"{difference.measure}_{column}"][place] = getattr(difference, column)
    # one family of tests for each measure: rivals proper (not reference levels), both kinds of query
    is_rival = np.array([decoder.reads == "images" for decoder in decoders if decoder.decoder != COMPARED])[:, None]
    tested = {m: np.where(is_rival, values[f"{m}_p_value"], np.nan) for m in MEASURES}
    adjusted = {f"{m}_q_value": control_false_discoveries(p_values) for m, p_values in tested.items()}
    variables = {name: (("rival", "queries"), array) for name, array in (values | adjusted).items()}
    names = {"rival": np.array(rivals, dtype=object), "queries": np.array(QUERY_KINDS, dtype=object)}
    return xr.Dataset(variables, coords=names, attrs={"meaning": "dina minus rival, image from response, paired by query"})


def _are_paired(first: Retrieval, second: Retrieval) -> bool:
    return first.n_gallery == second.n_gallery and np.array_equal(first.image, second.image)
