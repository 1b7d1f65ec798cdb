"""How well each decoder reads the images out: the figure, the table of all numbers, and the ranks behind them."""

import math
from collections.abc import Sequence

import numpy as np

from dina.figures.parts import FigurePart, Section, Table
from dina.figures.style import style_of
from dina.figures.words import DASH, interval, number, percent
from dina.report.accuracy_figures import draw_accuracy, draw_ranks
from dina.retrieval.evaluate import DecodingRow
from dina.retrieval.ranks import target_ranks
from dina.study.run_directory import Run

QUERIES = {"averaged": "averaged responses", "single_trial": "single trials"}
KINDS = {"dina": "decoder", "rival": "decoder", "reference": "reference level"}


def all_decoders(run: Run) -> Section:
    """Show top-1 accuracy of all decoders beside chance and intervals, and the table of all numbers."""
    rows = [row for row in run.rows if row.direction == "image_from_response"]
    reads = {row.decoder: run.reads(row.decoder) for row in rows}
    figures = [_accuracy_figure(rows, reads)] if any(row.top1 is not None for row in rows) else []
    ranks = _ranks_figure(run, rows, reads)
    corrected = (
        "Rows that see all queries correct the scores of a decoder with the help of all other test queries at once (CSLS, Sinkhorn). A"
        " decoder that is asked about one response cannot do so: they show what hubs cost, and are compared with nothing.",
    )
    return Section(
        "accuracy",
        "Accuracy of all decoders",
        paragraphs=(
            "Each query is a population response; each decoder ranks all test images by how well they fit it, and is right if the image truly"
            " shown comes first. Every decoder got the same training images, the same queries and the same gallery, unless the table says"
            " otherwise.",
            "Reference levels are not rivals: the nearest repeat compares a response with other responses to the very same images, which no"
            " decoder of new images may use, and the ideal observer reads the truth of the simulation.",
            *(corrected if "queries" in reads.values() else ()),
        ),
        figures=[*figures, *ranks],
        missing=reasons(rows),
    )


def accuracy_table(rows: Sequence[DecodingRow], reads: dict[str, str], title: str) -> Table:
    """Return the table of all numbers, each beside its chance level, interval and gallery size."""

    def cells(row: DecodingRow) -> tuple[str, ...]:
        style = style_of(row.decoder, reads.get(row.decoder, "images"))
        n = row.n_gallery

        def beside(value: float | None, k: int) -> str:
            return (
                DASH if value is None else f"{percent(value)}\n(chance\u00a0{percent(min(1.0, k / n))})" if n else percent(value)
            )

        middle = "" if row.median_rank is None or not n else f"\n(chance\u00a0{number((n + 1) / 2, 4)})"
        return (
            style.label + (f" ({row.preset})" if row.preset else ""),
            "sees all queries" if reads.get(row.decoder) == "queries" else KINDS[style.kind],
            QUERIES.get(row.queries, row.queries),
            number(n),
            percent(row.top1),
            interval(row.top1_low, row.top1_high),
            percent(row.chance_top1),
            beside(row.top5, 5),
            beside(row.top10, 10),
            number(row.median_rank) + middle,
            p_words(row.p_value),
            number(row.hubness, 2),
        )

    return Table(
        f"{title}: every number beside its chance level. Intervals are 95 %; p is the permutation p-value of the mean log rank. Hubness: skewness of how often each candidate is among the ten best; 0 without hubs.",
        (
            "decoder",
            "kind",
            "queries",
            "gallery size",
            "top-1",
            "95\u202f% interval",
            "chance top-1",
            "top-5",
            "top-10",
            "median rank",
            "p",
            "hubness",
        ),
        tuple(cells(row) for row in rows),
        n_words=3,
    )


def _accuracy_figure(rows: list[DecodingRow], reads: dict[str, str]) -> FigurePart:
    counts = sorted({row.n_gallery for row in rows if row.n_gallery is not None})
    gallery = f"{counts[0]} images" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} images (see the table)"
    own = [row for row in rows if reads[row.decoder] != "queries"]  # corrections stand in the table only
    shown = [row for row in own if row.top1 is not None]
    return FigurePart(
        "accuracy",
        draw_accuracy(own, reads),
        f"Top-1 accuracy of naming the image shown among {gallery}. Filled marks: averaged responses; hollow: single trials; bars: 95\u202f% intervals"
        " (Wilson, over distinct images); dashed: chance. Decoders above, reference levels in the shaded part below.",
        "Top-1 accuracy: "
        + "; ".join(
            f"{style_of(row.decoder, reads[row.decoder]).label}, {QUERIES.get(row.queries, row.queries)} {percent(row.top1)}"
            for row in shown
        )
        + ".",
        accuracy_table(rows, reads, "Image from response"),
    )


def _ranks_figure(run: Run, rows: list[DecodingRow], reads: dict[str, str]) -> list[FigurePart]:
    names = [
        row.decoder
        for row in rows
        if row.queries == "averaged" and row.decoder in run.retrieval and "averaged" in run.retrieval[row.decoder].scored
    ]
    if not names:
        return []
    ranks, sizes = {}, {}
    for name in dict.fromkeys(names):
        scored = run.retrieval[name].scored["averaged"]
        ranks[name], sizes[name] = target_ranks(scored.scores, scored.target.astype(np.int64)), scored.scores.shape[1]
    steps = [k for k in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if k <= max(sizes.values())]
    table = Table(
        "Fraction of averaged queries whose image is among the best k.",
        ("decoder", *(f"k = {k}" for k in steps)),
        (
            *(
                (style_of(name, reads[name]).label, *(percent(float((rank <= k).mean())) for k in steps))
                for name, rank in ranks.items()
            ),
            ("chance", *(percent(min(1.0, k / next(iter(sizes.values())))) for k in steps)),
        ),
    )
    return [
        FigurePart(
            "ranks",
            draw_ranks(ranks, sizes, reads),
            f"How often the right image is among the best k of {max(sizes.values())}, averaged responses, {len(next(iter(ranks.values())))} queries. Its left end is top-1 accuracy; a miss near the left was a near miss.",
            "Fraction of queries whose image is among the best k, for every k and decoder; the numbers are in the table.",
            table,
        )
    ]


def p_words(p_value: float | None) -> str:
    """Write a p-value: three decimals, or an upper bound; a dash where there is none.

    Examples
    --------
    >>> p_words(0.0421), p_words(0.0001), p_words(None)
    ('0.042', '< 0.001', '–')
    """
    if p_value is None or not math.isfinite(p_value):
        return DASH
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def reasons(rows: Sequence[DecodingRow]) -> tuple[str, ...]:
    """Say for the rows without a number, or with a remark, what the study gave as reason; equal reasons are told once."""
    told: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.reason:
            told.setdefault((row.queries, row.reason), []).append(style_of(row.decoder).label)
    return tuple(f"{' and '.join(names)}, {QUERIES.get(queries, queries)}: {reason}" for (queries, reason), names in told.items())
