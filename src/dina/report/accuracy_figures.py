"""Figures of accuracy: every decoder with interval and chance, both directions, and accuracy for every k."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.style import COLOURS, DecoderStyle, style_of
from dina.figures.words import percent
from dina.retrieval.evaluate import DecodingRow

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
