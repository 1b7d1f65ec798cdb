"""How well each decoder reads the images out: the figure, the table of all numbers, and the ranks behind them."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.style import COLOURS, DecoderStyle, style_of
from dina.figures.words import DASH, interval, number, percent
from dina.report.read_run import DecodingRow, Run
from dina.retrieval.ranks import target_ranks

ROW_MM = 8.0
OFFSET = {"averaged": -0.17, "single_trial": 0.17}  # the two kinds of query share a line, one above the other
COLUMNS = {"averaged": 8.0, "single_trial": 60.0}  # of the numbers right of the axes, in points from their edge
HEADING = {"averaged": "averaged", "single_trial": "single trial"}


@in_style
def draw_accuracy(rows: Sequence[DecodingRow], reads: Mapping[str, str]) -> Figure:
    """Draw top-1 accuracy with intervals as dots, one line per decoder: averaged queries filled, single trials hollow.

    Parameters
    ----------
    rows
        Rows of one direction, both kinds of query.
    reads
        Decoder name → "images", "templates" or "truth"; the last two go to the reference levels below.
    """
    order = _order(rows, reads)
    n_reference = sum(style.kind == "reference" for style in order.values())
    gap = 0.9 if 0 < n_reference < len(order) else 0.0
    figure = new_figure(130, 17 + ROW_MM * (len(order) + gap))
    axes = figure.add_subplot()
    n_own = len(order) - n_reference
    place = {name: i + (gap if style.kind == "reference" else 0.0) for i, (name, style) in enumerate(order.items())}
    for row in rows:
        _draw_row(axes, row, order[row.decoder], place[row.decoder])
    bottom = max(place.values(), default=0.0) + 0.5
    if gap:
        axes.axhspan(n_own - 0.5 + 0.12, bottom + 0.1, color=COLOURS["band"][0], linewidth=0, zorder=0)
        axes.text(
            -0.015,
            n_own - 0.12,
            "reference levels",
            transform=axes.get_yaxis_transform(),
            ha="right",
            va="center",
            style="italic",
            color=COLOURS["reference"][0],
        )
    _draw_chance(axes, rows, place)
    axes.set_ylim(bottom + 0.1, -0.6)
    axes.set_xlim(0, _limit(rows))
    axes.set_yticks(list(place.values()), [style.short for style in order.values()])
    for label, style in zip(axes.get_yticklabels(), order.values(), strict=True):
        label.set_color(style.colour)
        label.set_fontweight("bold" if style.kind == "dina" else "normal")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("top-1 accuracy (% of queries), with 95\u202f% interval")
    _percent_axis(axes)
    _draw_headings(axes)
    finish_axes(axes, "x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return figure


@in_style
def draw_directions(rows: Sequence[DecodingRow], queries: str, reads: Mapping[str, str]) -> Figure:
    """Draw top-1 accuracy of both directions for one kind of query, as two marks per decoder.

    Parameters
    ----------
    rows
        Rows of both directions.
    queries
        "averaged" or "single_trial".
    reads
        As for `draw_accuracy`.
    """
    rows = [row for row in rows if row.queries == queries and row.top1 is not None]
    order = _order(rows, reads)
    figure = new_figure(130, 22 + 6.5 * len(order))
    axes = figure.add_subplot()
    for row in rows:
        style = order[row.decoder]
        is_first = row.direction == "image_from_response"
        y = list(order).index(row.decoder) + (-0.14 if is_first else 0.14)
        face = style.colour if is_first else COLOURS["paper"][0]
        axes.plot(
            100 * (row.top1 or 0.0),
            y,
            "o" if is_first else "s",
            color=style.colour,
            markerfacecolor=face,
            markersize=5,
            zorder=3,
            clip_on=False,
        )
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.set_xlim(0, _limit(rows))
    axes.set_yticks(range(len(order)), [style.short for style in order.values()])
    for label, style in zip(axes.get_yticklabels(), order.values(), strict=True):
        label.set_color(style.colour)
    _draw_chance(axes, rows, {name: float(i) for i, name in enumerate(order)})
    axes.set_xlabel("top-1 accuracy (% of queries)")
    marks = {"image from response": ("o", COLOURS["ink"][0]), "response from image": ("s", COLOURS["paper"][0])}
    handles = [
        Line2D([], [], linestyle="", marker=marker, color=COLOURS["ink"][0], markerfacecolor=face, markersize=5.5, label=words)
        for words, (marker, face) in marks.items()
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=2, handletextpad=0.2)
    _percent_axis(axes)
    finish_axes(axes, "x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return figure


def _order(rows: Sequence[DecodingRow], reads: Mapping[str, str]) -> dict[str, DecoderStyle]:
    """Put dina first, then the rivals from best to worst, then the reference levels from best to worst."""
    best: dict[str, float] = {}
    for queries in ("single_trial", "averaged"):  # by averaged queries where there are any
        best |= {
            row.decoder: -1.0 if row.top1 is None else row.top1
            for row in rows
            if row.queries == queries and (row.top1 is not None or row.decoder not in best)
        }
    styles = {name: style_of(name, reads.get(name, "images")) for name in best}
    rank = {"dina": 0, "rival": 1, "reference": 2}
    names = sorted(styles, key=lambda name: (rank[styles[name].kind], name != "dina", -best[name], name))
    return {name: styles[name] for name in names}


def _draw_row(axes: Axes, row: DecodingRow, style: DecoderStyle, position: float) -> None:
    y = position + OFFSET.get(row.queries, 0.0)
    colour = COLOURS["muted"][0] if row.top1 is None else style.colour
    _write_right(axes, percent(row.top1), position, COLUMNS.get(row.queries, 0.0), 0.0, colour)
    if row.top1 is None:
        return
    if row.top1_low is not None and row.top1_high is not None:
        axes.plot(
            [100 * row.top1_low, 100 * row.top1_high], [y, y], color=style.colour, linewidth=1.3, solid_capstyle="round", zorder=2
        )
    face = style.colour if row.queries == "averaged" else COLOURS["paper"][0]
    axes.plot(
        100 * row.top1,
        y,
        style.marker,
        color=style.colour,
        markerfacecolor=face,
        markersize=5.0,
        markeredgewidth=1.1,
        zorder=3,
        clip_on=False,
    )


def _draw_chance(axes: Axes, rows: Sequence[DecodingRow], place: Mapping[str, float]) -> None:
    """Mark chance: one line where it is the same for all, else a tick on each decoder's line."""
    levels = {row.decoder: row.chance_top1 for row in rows if row.chance_top1 is not None}
    if not levels:
        return
    for name, level in levels.items():
        y = place[name]
        axes.plot(
            [100 * level] * 2, [y - 0.45, y + 0.45], color=COLOURS["chance"][0], linewidth=1.0, linestyle=(0, (2, 1.5)), zorder=1
        )
    common = set(levels.values())
    text = f"chance {percent(common.pop())}" if len(common) == 1 else "chance (dashed)"
    first = max(levels.values())
    axes.annotate(
        text,
        (100 * first, -0.5),
        xytext=(3, 3),
        textcoords="offset points",
        color=COLOURS["chance"][0],
        ha="left",
        va="bottom",
        fontsize=7.5,
    )


def _draw_headings(axes: Axes) -> None:
    for queries, mark in (("averaged", "●"), ("single_trial", "○")):
        _write_right(axes, f"{mark} {HEADING[queries]}", -0.5, COLUMNS[queries], 8.0, COLOURS["ink"][0])


def _write_right(axes: Axes, text: str, y: float, right: float, up: float, colour: str) -> None:
    """Write at height ``y`` of the data, so many points right of the axes and up."""
    axes.annotate(
        text,
        (1.0, y),
        xycoords=axes.get_yaxis_transform(),
        xytext=(right, up),
        textcoords="offset points",
        va="center",
        color=colour,
        fontsize=7.5 if up else 8.0,
    )


def _limit(rows: Sequence[DecodingRow]) -> float:
    """Return the end of the axis in per cent: 100, or less where everything is far below."""
    highest = max((100 * (row.top1_high or row.top1 or 0.0) for row in rows), default=0.0)
    return next(limit for limit in (2.0, 5.0, 10.0, 25.0, 50.0, 101.5) if highest <= 0.95 * limit or limit > 100)


def _percent_axis(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


@in_style
def draw_ranks(ranks: Mapping[str, np.ndarray], n_gallery: Mapping[str, int], reads: Mapping[str, str]) -> Figure:
    """Draw the fraction of queries whose target is among the best k, against k, with chance k / n_gallery.

    Parameters
    ----------
    ranks
        Decoder name → rank of the target of each query, 1 = best.
    n_gallery
        Decoder name → number of candidates; chance is drawn for the first.
    reads
        Decoder name → "images", "templates" or "truth".
    """
    figure = new_figure(130, 92)
    axes = figure.add_subplot()
    largest = max(n_gallery.values())
    k = np.unique(np.geomspace(1, largest, 200).round().astype(int))
    for name, rank in ranks.items():
        style = style_of(name, reads.get(name, "images"))
        fraction = np.searchsorted(np.sort(rank), k, side="right") / len(rank)
        axes.step(
            k,
            100 * fraction,
            where="post",
            color=style.colour,
            linestyle=style.line,
            linewidth=2.2 if name == "dina" else 1.2,
            label=style.short,
        )
    chance = np.minimum(k / next(iter(n_gallery.values())), 1.0)
    axes.plot(k, 100 * chance, color=COLOURS["chance"][0], linestyle=(0, (2, 1.5)), linewidth=1.0, label="chance")
    axes.set_xscale("log")
    axes.set_xlim(1, largest)
    axes.set_ylim(0, 101)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("k (number of best images looked at, logarithmic)")
    axes.set_ylabel("right image among the best k (% of queries)")
    figure.legend(loc="outside lower center", ncols=3, handlelength=2.6)
    finish_axes(axes, "both")
    return figure


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
            number(row.others.get("hubness"), 2),
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
        if row.queries == "averaged" and "scores_averaged" in run.retrieval.get(row.decoder, xr.Dataset())
    ]
    if not names:
        return []
    ranks, sizes = {}, {}
    for name in dict.fromkeys(names):
        scores, target = (run.retrieval[name][f"{word}_averaged"].to_numpy() for word in ("scores", "target"))
        ranks[name], sizes[name] = target_ranks(scores, target.astype(np.int64)), scores.shape[1]
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
