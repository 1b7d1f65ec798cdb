"""Decoders of several runs side by side: accuracies with chance on the left, paired differences to the reference on the right."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.style import COLOURS, DecoderStyle, style_of

OFFSET = {"averaged": -0.17, "single_trial": 0.17}
WORDS = {"averaged": "averaged responses", "single_trial": "single trials"}
GAP = 0.7  # between recordings or splits, in rows
ROW_MM, ROOM_MM = 6.5, 24


@in_style
def draw_compared_runs(comparison: xr.Dataset) -> Figure:
    """Draw the decoders of several runs, one line each; those of one recording and split stand together.

    Parameters
    ----------
    comparison
        From `dina.study.compared_runs.compare_runs`.
    """
    styles = _styles(comparison)
    tasks = comparison["task"].to_numpy()
    order = np.argsort(tasks, kind="stable")
    place = np.empty(len(order))
    place[order] = np.arange(len(order)) + GAP * tasks[order]
    figure = new_figure(180, ROOM_MM + ROW_MM * (place.max() + 1))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.15, 1))
    for queries in OFFSET:
        one = comparison.sel(queries=queries)
        ends = ("top1", "top1_low", "top1_high"), tuple(f"top1_difference{end}" for end in ("", "_low", "_high"))
        for axes, names in zip((left, right), ends, strict=True):
            value, low, high = (100 * one[name].to_numpy() for name in names)
            for i, style in enumerate(styles):
                _dot(axes, place[i] + OFFSET[queries], (value[i], low[i], high[i]), style, is_filled=queries == "averaged")
        chance = 100 * one["chance_top1"].to_numpy()
        known = np.isfinite(chance)
        y = place[known] + OFFSET[queries]
        left.plot(chance[known], y, "|", color=COLOURS["chance"][0], markersize=7, markeredgewidth=1.2, zorder=1)
    _label(left, right, comparison, styles, place)
    return figure


def _styles(comparison: xr.Dataset) -> list[DecoderStyle]:
    names = zip(comparison["decoder"].to_numpy(), comparison["reads"].to_numpy(), strict=True)
    return [style_of(str(decoder), str(reads)) for decoder, reads in names]


def _dot(axes: Axes, y: float, numbers: tuple[float, float, float], style: DecoderStyle, *, is_filled: bool) -> None:
    value, low, high = numbers
    if not np.isfinite(value):
        return
    axes.plot([low, high], [y, y], color=style.colour, linewidth=1.3, zorder=2)
    face = style.colour if is_filled else COLOURS["paper"][0]
    axes.plot(value, y, style.marker, color=style.colour, markerfacecolor=face, markersize=4.6, markeredgewidth=1.0, zorder=3)


def _label(left: Axes, right: Axes, comparison: xr.Dataset, styles: list[DecoderStyle], place: np.ndarray) -> None:
    decoders, labels = ([str(word) for word in comparison[name].to_numpy()] for name in ("decoder", "label"))
    words = [style.label + label.removeprefix(decoder) for style, label, decoder in zip(styles, labels, decoders, strict=True)]
    left.set_yticks(place, [_short(word) for word in words])
    is_reference = comparison["is_reference"].to_numpy()
    for tick, style, is_one in zip(left.get_yticklabels(), styles, is_reference, strict=True):
        tick.set_color(style.colour)
        tick.set_fontweight("bold" if is_one else "normal")
    left.set_ylim(place.max() + 0.6, -0.6)
    left.set_xlim(left=0)
    left.set_xlabel("top-1 accuracy (%)")
    right.axvline(0, color=COLOURS["ink"][0], linewidth=0.8, zorder=1)
    right.set_xlabel("difference to the decoder in bold\n(percentage points)")
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(6))
        finish_axes(axes, "x")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    for mark in place[is_reference]:
        right.text(
            0, mark, " reference ", ha="center", va="center", fontsize=7, color=COLOURS["muted"][0], backgroundcolor="white"
        )
    ink, paper = COLOURS["ink"][0], COLOURS["paper"][0]
    handles = [
        Line2D([], [], linestyle="", marker="o", color=ink, markerfacecolor=ink if kind == "averaged" else paper, label=text)
        for kind, text in WORDS.items()
    ]
    handles.append(Line2D([], [], linestyle="", marker="|", color=COLOURS["chance"][0], markersize=7, label="chance"))
    left.figure.legend(handles=handles, loc="outside upper right", ncols=3, handletextpad=0.2)


def _short(words: str) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in words)
    return printable if len(printable) <= 38 else printable[:37] + "…"
