"""How dina differs from every other decoder, query by query, and whether both directions agree."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.difference_words import p_words, signed
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.style import COLOURS, QUERIES, style_of
from dina.figures.words import percent
from dina.report.accuracy import MARKS_IN_WORDS, OFFSET, accuracy_table, draw_directions, draw_mark, reasons
from dina.study.run_directory import Run

DIRECTIONS = {"image_from_response": "image from response", "response_from_image": "response from image"}


@dataclass(frozen=True)
class _Difference:
    """One paired difference dina − rival. ``low`` and ``high`` bound it; any may be NaN."""

    rival: str
    queries: str
    value: float
    low: float
    high: float
    p_value: float
    q_value: float = math.nan


@dataclass(frozen=True)
class _Measure:
    """One measure compared: its words and unit, the factor that gives this unit, and the sign that is better for dina."""

    name: str
    words: str
    unit: str
    scale: float
    digits: int
    better: str


MEASURES = (
    _Measure("top1", "top-1 accuracy", "percentage points", 100.0, 1, "positive"),
    _Measure("mean_log_rank", "mean log rank", "nats", 1.0, 3, "negative"),
)


def differences(run: Run) -> Section:
    """Show the paired differences between dina and every other decoder."""
    title = "Paired differences"
    if run.comparisons is None:
        return Section("differences", title, missing=("No comparison was made: the run holds no results/comparisons.nc.",))
    found = [(measure, _read_differences(run.comparisons, measure)) for measure in MEASURES]
    parts = [_difference_figure(run, measure, several) for measure, several in found if several]
    words = (
        "The same queries are hard for all decoders. The difference query by query removes this common part, so it separates two"
        " decoders better than their separate intervals do. The intervals are not corrected for the number of comparisons. The q"
        " values are corrected: if all rivals with q up to 0.05 are called different, the share of false findings among them"
        " is at most one in twenty in expectation, over many such studies; in one study it may be larger."
    )
    if parts:
        words += (
            " p exchanges the two decoders image by image, among these candidates; the interval also counts which images are"
            " candidates. So p may be below 0.05 where the interval includes 0; then the difference is not certain for other candidates."
        )
    compared = {difference.rival for _, several in found for difference in several}
    if any(style_of(rival, run.reads(rival)).kind == "reference" for rival in compared):
        words += " Reference levels are no rivals: they have a p value of their own and no q."
    missing = () if parts else ("No other decoder has the same queries and images as dina.",)
    return Section("differences", title, (words,), parts, missing=missing)


def _read_differences(comparisons: xr.Dataset, measure: _Measure) -> list[_Difference]:
    """Read the paired differences of one measure that could be computed."""
    result = []
    for rival in map(str, comparisons["rival"].to_numpy()):
        for queries in map(str, comparisons["queries"].to_numpy()):
            one = comparisons.sel(rival=rival, queries=queries)
            value, low, high = (measure.scale * float(one[f"{measure.name}_{word}"]) for word in ("difference", "low", "high"))
            if math.isfinite(value):
                p_value = float(one[f"{measure.name}_p_value"])
                q_value = float(one.get(f"{measure.name}_q_value", math.nan))  # older runs hold none
                result.append(_Difference(rival, queries, value, low, high, p_value, q_value))
    return result


def _difference_figure(run: Run, measure: _Measure, found: list[_Difference]) -> FigurePart:
    reads = {d.rival: run.reads(d.rival) for d in found}

    def cells(d: _Difference) -> tuple[str, ...]:
        value, low, high = (signed(one, measure.digits) for one in (d.value, d.low, d.high))
        label = style_of(d.rival, reads[d.rival]).label
        return (label, QUERIES.get(d.queries, d.queries), value, f"{low} to {high}", p_words(d.p_value), p_words(d.q_value))

    rows = tuple(map(cells, found))
    words = (
        f"Paired differences dina − other of {measure.words}, {measure.unit}; {measure.better} is better for dina. p is two-sided; q is p adjusted for the"
        " number of rivals tested."
    )
    table = Table(words, ("compared with", "queries", "difference", "95\u202f% interval", "p", "q"), rows, n_words=2)
    kinds = {d.queries for d in found}
    caption = (
        f"Paired differences of {measure.words}, dina minus each other decoder, on the same queries, {MARKS_IN_WORDS[len(kinds) > 1 or min(kinds)]};"
        f" {measure.better}: dina is better. Bars: 95\u202f% intervals over queries and candidates. Each interval is for one comparison alone; of several"
        " rivals, the q value in the table decides."
    )
    values = "; ".join(f"{name}, {queries}: {value}" for name, queries, value, *_ in rows)
    spoken = (
        f"Paired differences dina − other of {measure.words} in {measure.unit}, {measure.better} where dina is better: {values}."
    )
    label = f"dina − other, {measure.words} ({measure.unit})"
    drawing = _draw_differences(found, label, reads, is_more_better=measure.better == "positive")
    return FigurePart(f"differences_{measure.name}", drawing, caption, spoken, table)


@in_style
def _draw_differences(
    differences: Sequence[_Difference], axis_label: str, reads: Mapping[str, str], *, is_more_better: bool
) -> Figure:
    """Draw paired differences as dots with intervals beside a line at zero: averaged queries filled, single trials hollow."""
    kinds = {d.rival: style_of(d.rival, reads.get(d.rival, "images")) for d in differences}
    names = sorted(kinds, key=lambda name: (kinds[name].kind == "reference", list(kinds).index(name)))
    queries = {d.queries for d in differences}
    figure = new_figure(130, 18 + 7.0 * len(names))
    axes = figure.add_subplot()
    axes.axvline(0, color=COLOURS["ink"][0], linewidth=0.8, zorder=1)
    for difference in differences:
        numbers = (difference.value, difference.low, difference.high)
        place = names.index(difference.rival) + OFFSET.get(difference.queries, 0.0) * (len(queries) > 1)
        draw_mark(axes, place, numbers, difference.queries, kinds[difference.rival])
    axes.set_yticks(range(len(names)), [kinds[name].short for name in names])
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        label.set_color(kinds[name].colour)
    axes.set(ylim=(len(names) - 0.4, -0.6), xlabel=axis_label)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    low, high = axes.get_xlim()
    reach = max(-low, high)
    axes.set_xlim(min(low, -reach / 2), max(high, reach / 2))  # both words have room beside zero
    look: Any = {
        "xycoords": ("data", "axes fraction"),
        "textcoords": "offset points",
        "va": "bottom",
        "color": COLOURS["muted"][0],
    }
    left, right = ("the other", "dina") if is_more_better else ("dina", "the other")
    axes.annotate(f"←\u2002{left} is better", (0, 1), (-6, 3), ha="right", **look)
    axes.annotate(f"{right} is better\u2002→", (0, 1), (6, 3), ha="left", **look)
    finish_axes(axes, "x", has_named_rows=True)
    return figure


def directions(run: Run) -> Section:
    """Show both directions: naming the image from a response, and the response from an image."""
    reads = {row.decoder: run.reads(row.decoder) for row in run.rows}
    there, back = ([row for row in run.rows if row.direction == direction] for direction in DIRECTIONS)
    parts = []
    for queries, words in QUERIES.items():
        rows = [row for row in run.rows if row.queries == queries and row.top1 is not None]
        backward = [row for row in rows if row.direction == "response_from_image"]
        if not backward:
            continue
        caption = (
            f"Top-1 accuracy in both directions, {words}. Circle: which image belongs to this response? Square: which response belongs"
            " to this image? Bars: 95\u202f% intervals over queries and candidates; dashed: chance."
        )
        spoken = "; ".join(
            f"{style_of(row.decoder, reads[row.decoder]).label}, {DIRECTIONS.get(row.direction, row.direction)} {percent(row.top1)}"
            for row in rows
        )
        drawing = draw_directions([row for row in rows if reads[row.decoder] != "queries"], queries, reads)
        table = accuracy_table(backward, reads, f"Response from image, {words}")
        parts.append(FigurePart(f"directions_{queries}", drawing, caption, f"Both directions, {words}: {spoken}.", table))
    missing = tuple(reason for reason in reasons(back) if reason not in reasons(there))
    missing = missing or (() if parts else ("The run holds no row for the direction from image to response.",))
    words = (
        "The same scores answer a second question: given an image, which of the responses belongs to it? A decoder that prefers a few"
        " images or responses for all queries does well in one direction and badly in the other."
    )
    return Section("directions", "Both directions", (words,), parts, missing=missing)
