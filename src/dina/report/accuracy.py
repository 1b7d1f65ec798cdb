"""How well each decoder names the image shown: figures of accuracy and of both directions, and the table of all numbers."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from dina.figures.canvas import CHANCE_LINE, finish_axes, in_style, new_figure, write_plain_numbers
from dina.figures.difference_words import p_words
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.style import COLOURS, QUERIES, DecoderStyle, style_of
from dina.figures.words import DASH, interval, number, percent
from dina.report.accuracy_curves import rank_curves
from dina.report.network_readers import readers_in_words
from dina.retrieval.evaluate import DecodingRow
from dina.study.run_directory import Run

ROW_MM = 8.0
OFFSET = {"averaged": -0.17, "single_trial": 0.17}  # two kinds of query share a line, one above the other; one alone lies on it
COLUMNS = {"averaged": 8.0, "single_trial": 60.0}  # of the numbers right of the axes, in points from their edge
HEADING = {"averaged": "● averaged", "single_trial": "○ single trial"}
REFERENCES = {
    "nearest_repeat": "the nearest repeat compares a response with other responses to the very same images, which no decoder of new images may use",
    "ideal_observer": "the ideal observer knows the truth of the simulation",
}
MARKS_IN_WORDS: dict[bool | str, str] = {
    True: "filled marks: averaged responses; hollow: single trials",
    "averaged": "averaged responses",
    "single_trial": "single trials",
}
AT_THE_END = "penalty_at_the_end_of_its_grid"
KINDS = {"dina": "decoder", "rival": "decoder", "reference": "reference level"}


def all_decoders(run: Run) -> Section:
    """Show top-1 accuracy of all decoders beside chance and intervals, and the table of all numbers."""
    rows = [row for row in run.rows if row.direction == "image_from_response"]
    reads = {row.decoder: run.reads(row.decoder) for row in rows}
    figures = [_accuracy_figure(rows, reads, is_widened=bool(run.folds))] if any(row.top1 is not None for row in rows) else []
    corrected = (
        "Rows of the kind “sees all queries” correct the scores of a decoder with all test queries at once (CSLS, Sinkhorn). A decoder"
        " that sees one response cannot do this. These rows show how much accuracy hubs cost; they are not compared with any row."
    )
    paragraphs = (
        "Each query is a population response; each decoder ranks all test images by how well they fit it, and is right if the image truly"
        " shown comes first. Every decoder got the same training images, the same queries and the same gallery, unless the table says"
        " otherwise.",
        *filter(None, (readers_in_words(run),)),
        *_references(rows),
        *_ends_of_grids(run),
        *([corrected] if "queries" in reads.values() else []),
    )
    figures += rank_curves(run, rows, reads)
    return Section("accuracy", "Accuracy of all decoders", paragraphs, figures, missing=reasons(rows))


def _references(rows: Sequence[DecodingRow]) -> list[str]:
    """Say why reference levels are no rivals: only those that have a number."""
    known = {row.decoder for row in rows if row.top1 is not None}
    why = [words for name, words in REFERENCES.items() if any(decoder.startswith(name) for decoder in known)]
    return [f"Reference levels are not rivals: {', and '.join(why)}."] if why else []


def _ends_of_grids(run: Run) -> list[str]:
    """Name the decoders whose penalty lies at the end of what was tried, as their fits report it."""
    fits = run.summary.get("fits")
    known = fits.items() if isinstance(fits, dict) else ()
    ends = [f"{style_of(name).label} ({fit[AT_THE_END]})" for name, fit in known if isinstance(fit, dict) and AT_THE_END in fit]
    if not ends:
        return []
    return [
        f"Penalties at the end of the grid that was tried: {'; '.join(ends)}. Other penalties might make {'this decoder' if len(ends) == 1 else 'these decoders'} better."
    ]


def _accuracy_figure(rows: list[DecodingRow], reads: dict[str, str], *, is_widened: bool) -> FigurePart:
    counts = sorted({row.n_gallery for row in rows if row.n_gallery is not None})
    gallery = f"{counts[0]} images" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} images (see the table)"
    kinds = {row.queries for row in rows if row.top1 is not None}
    rows = [row for row in rows if row.queries in kinds]  # what no decoder could do is said in words alone
    measured = {row.decoder for row in rows if row.top1 is not None}
    shown = [
        row
        for row in rows
        if reads[row.decoder] != "queries"  # corrections stand in the table only
        and (row.decoder in measured or style_of(row.decoder, reads[row.decoder]).kind != "reference")
    ]
    spoken = "; ".join(
        f"{style_of(row.decoder, reads[row.decoder]).label}, {QUERIES.get(row.queries, row.queries)} {percent(row.top1)}"
        for row in shown
        if row.top1 is not None
    )
    below = any(style_of(row.decoder, reads[row.decoder]).kind == "reference" for row in shown)
    caption = (
        f"Top-1 accuracy of naming the image shown among {gallery}, {MARKS_IN_WORDS[len(kinds) > 1 or min(kinds)]}; bars: 95\u202f% intervals"
        f" over queries and candidates{', widened for folds' if is_widened else ''}; dashed: chance."
        f"{' Decoders above, reference levels in the shaded part below.' if below else ''}"
    )
    table = accuracy_table(rows, reads, "Image from response")
    return FigurePart("accuracy", draw_accuracy(shown, reads), caption, f"Top-1 accuracy: {spoken}.", table)


def accuracy_table(rows: Sequence[DecodingRow], reads: dict[str, str], title: str) -> Table:
    """Return the table of all numbers, with intervals; the last lines are chance, one for each size of gallery."""

    def cells(row: DecodingRow) -> tuple[str, ...]:
        style = style_of(row.decoder, reads.get(row.decoder, "images"))
        return (
            style.label + (f" ({row.preset})" if row.preset else ""),
            "sees all queries" if reads.get(row.decoder) == "queries" else KINDS[style.kind],
            QUERIES.get(row.queries, row.queries),
            number(row.n_gallery),
            percent(row.top1),
            interval(row.top1_low, row.top1_high),
            percent(row.top5),
            percent(row.top10),
            number(row.median_rank),
            p_words(row.p_value),
            number(row.hubness, 2),
        )

    known = [row for row in rows if row.top1 is not None]  # why others are not is said where what is missing stands
    sizes = dict.fromkeys((row.n_gallery, row.chance_top1) for row in known if row.n_gallery and row.chance_top1)
    chance = [
        (
            "chance",
            "guessing",
            DASH,
            number(n),
            percent(one),
            DASH,
            *(percent(min(1.0, k * one)) for k in (5, 10)),
            number((n + 1) / 2, 4),
            DASH,
            DASH,
        )
        for n, one in sizes
    ]
    caption = (
        f"{title}; the last {'line is' if len(sizes) == 1 else 'lines are'} chance. Intervals are 95 %; p is the permutation p-value of the mean log rank."
        " Images of one score share their ranks, so that a rank may end in a half."
        " Hubness: skewness of how often each candidate is among the ten best; 0 without hubs."
    )
    accuracies = ("top-1", "95\u202f% interval", "top-5", "top-10")
    columns = ("decoder", "kind", "queries", "gallery size", *accuracies, "median rank", "p", "hubness")
    return Table(caption, columns, (*map(cells, known), *chance), n_words=3)


def reasons(rows: Sequence[DecodingRow]) -> tuple[str, ...]:
    """Say why rows have no number, or how to read them; equal reasons are given once."""
    everybody = {kind: {row.decoder for row in rows if row.queries == kind} for kind in QUERIES}
    known: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.reason:
            known.setdefault((row.queries, row.reason), []).append(style_of(row.decoder).label)
    return tuple(
        f"{'all decoders' if 1 < len(names) == len(everybody.get(kind, ())) else ', '.join(names)}, {QUERIES.get(kind, kind)}: {reason}"
        for (kind, reason), names in known.items()
    )


@in_style
def draw_accuracy(rows: Sequence[DecodingRow], reads: Mapping[str, str]) -> Figure:
    """Draw top-1 accuracy of one direction with intervals, one line per decoder: averaged queries filled, single trials hollow.

    Decoders that read "templates" or "truth" are reference levels and stand below the others.
    """
    order = _order(rows, reads)
    n_reference = sum(style.kind == "reference" for style in order.values())
    gap = 0.9 if 0 < n_reference < len(order) else 0.0
    figure = new_figure(130, 17 + ROW_MM * (len(order) + gap))
    axes = figure.add_subplot()
    place = {name: i + (gap if style.kind == "reference" else 0.0) for i, (name, style) in enumerate(order.items())}
    kinds = {row.queries for row in rows}
    for row in rows:
        _draw_row(axes, row, order[row.decoder], place[row.decoder], kinds)
    bottom = max(place.values(), default=0.0) + 0.5
    if gap:
        first, colour = len(order) - n_reference, COLOURS["reference"][0]
        axes.axhspan(first - 0.5 + 0.12, bottom + 0.1, color=COLOURS["band"][0], linewidth=0, zorder=0)
        where: Any = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "center"}
        axes.text(-0.015, first - 0.12, "reference levels", style="italic", color=colour, **where)
    _draw_chance(axes, rows, place)
    axes.set(ylim=(bottom + 0.1, -0.6), xlabel="top-1 accuracy (% of queries)")
    _name_rows(axes, rows, place, order)
    for label, style in zip(axes.get_yticklabels(), order.values(), strict=True):
        label.set_fontweight("bold" if style.kind == "dina" else "normal")
    for queries in [kind for kind in HEADING if kind in kinds]:
        _write_right(axes, HEADING[queries], -0.5, _column(queries, kinds), 8.0, COLOURS["ink"][0])
    return figure


@in_style
def draw_directions(rows: Sequence[DecodingRow], queries: str, reads: Mapping[str, str]) -> Figure:
    """Draw top-1 accuracy of both directions for one kind of query, as two marks with intervals per decoder."""
    rows = [row for row in rows if row.queries == queries and row.top1 is not None]
    order = _order(rows, reads)
    place = {name: float(i) for i, name in enumerate(order)}
    figure = new_figure(130, 22 + 6.5 * len(order))
    axes = figure.add_subplot()
    ink, paper = COLOURS["ink"][0], COLOURS["paper"][0]
    for row in rows:
        colour = order[row.decoder].colour
        shift, mark, face = (-0.14, "o", colour) if row.direction == "image_from_response" else (0.14, "s", paper)
        at = (100 * (row.top1 or 0.0), place[row.decoder] + shift)
        if row.top1_low is not None and row.top1_high is not None:
            axes.plot([100 * row.top1_low, 100 * row.top1_high], [at[1]] * 2, color=colour, linewidth=1.2, zorder=2)
        axes.plot(*at, mark, color=colour, markerfacecolor=face, markersize=5, zorder=3, clip_on=False)
    axes.set(ylim=(len(order) - 0.4, -0.6), xlabel="top-1 accuracy (% of queries)")
    _name_rows(axes, rows, place, order)
    _draw_chance(axes, rows, place)
    handles = [
        Line2D([], [], linestyle="", marker=mark, color=ink, markerfacecolor=face, markersize=5.5, label=words)
        for words, mark, face in (("image from response", "o", ink), ("response from image", "s", paper))
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=2, handletextpad=0.2)
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


def _draw_row(axes: Axes, row: DecodingRow, style: DecoderStyle, position: float, kinds: Collection[str]) -> None:
    colour = COLOURS["muted"][0] if row.top1 is None else style.colour
    _write_right(axes, percent(row.top1), position, _column(row.queries, kinds), 0.0, colour)
    value, low, high = (math.nan if one is None else 100 * one for one in (row.top1, row.top1_low, row.top1_high))
    draw_mark(axes, position + OFFSET.get(row.queries, 0.0) * (len(kinds) > 1), (value, low, high), row.queries, style)


def _column(queries: str, kinds: Collection[str]) -> float:
    return COLUMNS.get(queries, 0.0) if len(kinds) > 1 else min(COLUMNS.values())


def draw_mark(axes: Axes, y: float, numbers: tuple[float, float, float], queries: str, style: DecoderStyle) -> None:
    """Draw a value with the ends of its interval, NaN for nothing: filled for averaged queries, else hollow."""
    face = style.colour if queries == "averaged" else COLOURS["paper"][0]
    axes.plot(numbers[1:], [y, y], color=style.colour, linewidth=1.3, solid_capstyle="round", zorder=2)
    look: Any = {"color": style.colour, "markerfacecolor": face, "markersize": 5.0, "markeredgewidth": 1.1}
    axes.plot(numbers[0], y, style.marker, zorder=3, clip_on=False, **look)


def _draw_chance(axes: Axes, rows: Sequence[DecodingRow], place: Mapping[str, float]) -> None:
    """Mark chance: one line where it is the same for all, else a tick on each decoder's line."""
    levels = {row.decoder: row.chance_top1 for row in rows if row.chance_top1 is not None}
    if not levels:
        return
    for name, level in levels.items():
        axes.plot([100 * level] * 2, [place[name] - 0.45, place[name] + 0.45], zorder=1, **CHANCE_LINE)
    text = f"chance {percent(max(levels.values()))}" if len(set(levels.values())) == 1 else "chance (dashed)"
    where: Any = {"xytext": (3, 3), "textcoords": "offset points", "ha": "left", "va": "bottom"}
    axes.annotate(text, (100 * max(levels.values()), -0.5), color=COLOURS["chance"][0], fontsize=7.5, **where)


def _name_rows(axes: Axes, rows: Sequence[DecodingRow], place: Mapping[str, float], order: Mapping[str, DecoderStyle]) -> None:
    """Write the names of decoders in their colours, and an axis in per cent that ends at 100, or before where all are below."""
    highest = max((100 * (row.top1_high or row.top1 or 0.0) for row in rows), default=0.0)
    axes.set_xlim(0, next(limit for limit in (2.0, 5.0, 10.0, 25.0, 50.0, 101.5) if highest <= 0.95 * limit or limit > 100))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    write_plain_numbers(axes.xaxis)
    axes.set_yticks(list(place.values()), [style.short for style in order.values()])
    for label, style in zip(axes.get_yticklabels(), order.values(), strict=True):
        label.set_color(style.colour)
    finish_axes(axes, "x", has_named_rows=True)


def _write_right(axes: Axes, text: str, y: float, right: float, up: float, colour: str) -> None:
    """Write at height ``y`` of the data, so many points right of the axes and up."""
    where: Any = {"xycoords": axes.get_yaxis_transform(), "xytext": (right, up), "textcoords": "offset points"}
    axes.annotate(text, (1.0, y), va="center", color=colour, fontsize=7.5 if up else 8.0, **where)
