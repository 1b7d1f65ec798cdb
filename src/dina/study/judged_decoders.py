"""From the scores of all decoders to the decoding table, the curves over gallery size and the paired comparisons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from dina.data.pairs import QUERY_KINDS, QueryKind
from dina.progress import track
from dina.randomness import generator_for
from dina.retrieval.compare import compare
from dina.retrieval.evaluate import TRAINING, DecodingRow, evaluate
from dina.retrieval.gallery_size import accuracy_by_gallery_size, choose_sizes
from dina.retrieval.hubness import CORRECTIONS
from dina.retrieval.ranks import DIRECTIONS, Direction, Retrieval
from dina.statistics.p_values import control_false_discoveries
from dina.study.decoder_scores import DecoderScores

COMPARED = "dina"
MEASURES = ("top1", "top5", "mean_log_rank", "median_rank")


@dataclass(frozen=True, eq=False)
class JudgedDecoders:
    """A row per decoder, kind of query and direction; accuracy against gallery size; and paired differences dina − rival.

    ``gallery_size`` has the axes (decoder, queries, gallery_size) and is None where nothing could be scored; ``comparisons``
    has the axes (rival, queries) and is None without dina.
    """

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
    judged = [*decoders, *_corrected(decoders, corrections)]
    places = [(decoder, kind, direction) for decoder in judged for kind in QUERY_KINDS for direction in DIRECTIONS]
    rows = tuple(_judge(*place, seed, n_resamples) for place in track(places, "Judging decoders"))
    forwards = {
        (row.decoder, row.queries): row.retrieval
        for row in rows
        if row.retrieval is not None and row.direction == "image_from_response" and row.reads != "queries"
    }
    return JudgedDecoders(rows, _gallery_sizes(forwards, seed), _comparisons(decoders, forwards, seed, n_resamples))


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


def _judge(decoder: DecoderScores, kind: QueryKind, direction: Direction, seed: int, n_resamples: int) -> DecodingRow:
    name, preset, scored = decoder.decoder, decoder.preset, decoder.scored.get(kind)
    training: dict[str, Any] = {key: decoder.chosen[key] for key in TRAINING if key in decoder.chosen and name == COMPARED}
    if scored is None or len(np.unique(scored.target)) < 2:
        reason = decoder.reason.get(kind, "It was not computed.")
        reason = reason if scored is None else "Retrieval needs at least two test images with such a query."
        return DecodingRow(name, preset, kind, direction, reason=reason, reads=decoder.reads, **training)
    row = evaluate(name, preset, decoder.reads, scored.scores, scored.target, kind, direction, seed, n_resamples=n_resamples)
    return replace(row, **training)


# Where targets stand, image from response, by decoder and kind of query.
Forwards = Mapping[tuple[str, str], Retrieval]


def _gallery_sizes(forwards: Forwards, seed: int) -> xr.Dataset | None:
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


def _comparisons(decoders: Sequence[DecoderScores], forwards: Forwards, seed: int, n_resamples: int) -> xr.Dataset | None:
    """Compare dina with every rival on the same queries; NaN where the queries or the gallery are not the same."""
    rivals = [decoder.decoder for decoder in decoders if decoder.decoder != COMPARED]
    if not rivals or not any(name == COMPARED for name, _ in forwards):
        return None
    columns = ("difference", "low", "high", "p_value")
    shape = (len(rivals), len(QUERY_KINDS))
    values = {f"{measure}_{column}": np.full(shape, np.nan) for measure in MEASURES for column in columns}
    for place in track(list(np.ndindex(shape)), "Comparing decoders"):
        one, other = (forwards.get((name, QUERY_KINDS[place[1]])) for name in (COMPARED, rivals[place[0]]))
        if one is None or other is None or not one.is_paired_with(other):
            continue
        for difference in compare(one, other, seed, n_resamples):
            for column in columns:
                values[f"{difference.measure}_{column}"][place] = getattr(difference, column)
    # one family of tests for each measure: rivals that read images, both kinds of query
    is_rival = np.array([decoder.reads == "images" for decoder in decoders if decoder.decoder != COMPARED])[:, None]
    tested = {m: np.where(is_rival, values[f"{m}_p_value"], np.nan) for m in MEASURES}
    adjusted = {f"{m}_q_value": control_false_discoveries(p_values) for m, p_values in tested.items()}
    variables = {name: (("rival", "queries"), array) for name, array in (values | adjusted).items()}
    names = {"rival": np.array(rivals, dtype=object), "queries": np.array(QUERY_KINDS, dtype=object)}
    return xr.Dataset(variables, coords=names, attrs={"meaning": "dina minus rival, image from response, paired by query"})
