"""The table of several runs as words, as Markdown and CSV for papers, and as a figure, each file whole or not at all."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from dina.artifacts import write_text
from dina.figures.canvas import finish_axes, in_style, new_figure, svg_of
from dina.figures.difference_words import signed
from dina.figures.parts import Table
from dina.figures.style import COLOURS, MARKS, QUERIES, REMARKS, DecoderStyle, style_of
from dina.figures.words import DASH, number, percent
from dina.report.accuracy import OFFSET, draw_mark
from dina.safe_words import one_line, shown_letters, table_text

SHORT = {"averaged": "averaged", "single_trial": "single trial"}
GAP = 0.7  # between recordings or splits, in rows
ROW_MM, ROOM_MM = 6.5, 24


@in_style
def draw_compared_runs(comparison: xr.Dataset) -> Figure:
    """Draw the decoders of `compare_runs`, one line each; those of one recording and split stand together."""
    styles = _styles(comparison)
    tasks = comparison["task"].to_numpy()
    order = np.argsort(tasks, kind="stable")
    place = np.empty(len(order))
    place[order] = np.arange(len(order)) + GAP * tasks[order]
    figure = new_figure(180, ROOM_MM + ROW_MM * (place.max() + 1))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.15, 1))
    for queries in _kinds(comparison):
        one = comparison.sel(queries=queries)
        for axes, name in ((left, "top1"), (right, "top1_difference")):
            value, low, high = (100 * one[f"{name}{end}"].to_numpy() for end in ("", "_low", "_high"))
            for i, style in enumerate(styles):
                draw_mark(axes, place[i], (value[i], low[i], high[i]), queries, style)
        chance = 100 * one["chance_top1"].to_numpy()
        known = np.isfinite(chance)
        y = place[known] + OFFSET[queries]
        left.plot(chance[known], y, "|", color=COLOURS["chance"][0], markersize=7, markeredgewidth=1.2, zorder=1)
    _label(left, right, comparison, styles, place)
    return figure


def _styles(comparison: xr.Dataset) -> list[DecoderStyle]:
    names = zip(comparison["decoder"].to_numpy(), comparison["reads"].to_numpy(), strict=True)
    return [style_of(str(decoder), str(reads)) for decoder, reads in names]


def _label(left: Axes, right: Axes, comparison: xr.Dataset, styles: list[DecoderStyle], place: np.ndarray) -> None:
    decoders, labels = ([str(word) for word in comparison[name].to_numpy()] for name in ("decoder", "label"))
    words = [style.label + label.removeprefix(decoder) for style, label, decoder in zip(styles, labels, decoders, strict=True)]
    left.set_yticks(place, [_short(word) for word in words])
    is_reference = comparison["is_reference"].to_numpy()
    for tick, style, is_one in zip(left.get_yticklabels(), styles, is_reference, strict=True):
        tick.set_color(style.colour)
        tick.set_fontweight("bold" if is_one else "normal")
    left.set(xlim=(0, None), ylim=(place.max() + 0.6, -0.6), xlabel="top-1 accuracy (%)")
    right.axvline(0, color=COLOURS["ink"][0], linewidth=0.8, zorder=1)
    right.set_xlabel("decoder in bold − it, top-1 accuracy\n(percentage points)")
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(6))
        finish_axes(axes, "x", has_named_rows=True)
    look: Any = {"ha": "center", "va": "center", "fontsize": 7, "color": COLOURS["muted"][0], "backgroundcolor": "white"}
    for mark in place[is_reference]:
        right.text(0, mark, " reference ", **look)
    ink, paper = COLOURS["ink"][0], COLOURS["paper"][0]
    handles = [
        Line2D([], [], linestyle="", marker="o", color=ink, markerfacecolor=ink if kind == "averaged" else paper, label=text)
        for kind, text in QUERIES.items()
        if kind in _kinds(comparison)
    ]
    handles.append(Line2D([], [], linestyle="", marker="|", color=COLOURS["chance"][0], markersize=7, label="chance"))
    left.figure.legend(handles=handles, loc="outside upper right", ncols=3, handletextpad=0.2)


def _short(words: str) -> str:
    shown = shown_letters(words)
    return shown if len(shown) <= 38 else shown[:37] + "…"


def _kinds(comparison: xr.Dataset) -> list[str]:
    """Return the kinds of queries that were compared: single trials alone where averages are the same."""
    return [kind for kind in SHORT if kind in comparison["queries"].to_numpy()]


def comparison_table(comparison: xr.Dataset) -> Table:
    """Return the table of several runs: accuracies with intervals, paired differences, q-values."""
    heads = [
        f"{words}, {what}" for words in (SHORT[kind] for kind in _kinds(comparison)) for what in ("top-1", "reference − it", "q")
    ]
    rows = []
    for entry in range(comparison.sizes["entry"]):
        one = comparison.isel(entry=entry)
        cells = [cell for queries in _kinds(comparison) for cell in _cells(one.sel(queries=queries))]
        galleries = {int(size) for size in one["n_gallery"].to_numpy() if math.isfinite(size)}
        rows.append((_entry_words(one), *cells, " / ".join(map(str, sorted(galleries))) or DASH))
    caption = (
        "Which image was shown? Top-1 accuracy in %, and paired differences in percentage points, with 95\u202f% intervals."
        " Differences are the reference minus the decoder of the line: positive where the reference is better."
    )
    return Table(caption, ("decoder", *heads, "gallery"), tuple(rows))


def _entry_words(one: xr.Dataset) -> str:
    """Return the name of an entry: its decoder in words, its run where needed, and the mark of a reference level."""
    label, decoder, reads = (str(one[name].item()) for name in ("label", "decoder", "reads"))
    words = style_of(decoder, reads).label + label.removeprefix(decoder)
    return words + MARKS.get(reads, "") + (" (reference)" if bool(one["is_reference"].item()) else "")


def _cells(one: xr.Dataset) -> tuple[str, str, str]:
    value, low, high = (100 * float(one[f"top1{end}"]) for end in ("", "_low", "_high"))
    accuracy = DASH if math.isnan(value) else f"{value:.1f} [{low:.1f}, {high:.1f}]"
    minus, *ends = (signed(100 * float(one[f"top1_difference{end}"]), 1) for end in ("", "_low", "_high"))
    return accuracy, minus if minus == DASH else f"{minus} [{', '.join(ends)}]", number(float(one["top1_q_value"]), 2)


def comparison_remarks(comparison: xr.Dataset) -> tuple[str, ...]:
    """Return remarks for the reader of the table: chance, pairing, marks, and how the runs differ."""
    chances = sorted({float(chance) for chance in comparison["chance_top1"].to_numpy().ravel() if math.isfinite(chance)})
    places = np.flatnonzero(comparison["is_reference"])
    references = [_entry_words(comparison.isel(entry=i)).removesuffix(" (reference)") for i in places]
    n_tasks = len(references)
    lines = [
        f"Chance: {', '.join(map(percent, chances))}. Differences are {' or '.join(references)} minus the decoder of the line, on the same queries; intervals are"
        f" over images as queries and candidates, p-values come from exchanging the two decoders image by image"
        f" ({comparison.attrs['n_resamples']:,} exchanges), over folds from Student's distribution, and q bounds the expected share of false findings over all decoders of the"
        " table that read images."
    ]
    if n_tasks > 1:
        lines.append(
            f"The runs are of {n_tasks} different recordings or splits: nothing is paired between them, and their accuracies"
            " differ by the data as well as by the decoder."
        )
    if networks := comparison.attrs["trained_network"]:
        lines.append(
            f"The trained network was not the same for all runs ({networks}): where decoders use it, their differences are also"
            " differences of the network."
        )
    reads = {str(word) for word in comparison["reads"].to_numpy()}
    lines += [remark for kind, remark in REMARKS.items() if kind in reads]
    lines += _empty(comparison)
    first = str(comparison["run"].to_numpy()[0])
    changes = json.loads(str(comparison.attrs["differs"]))
    return (*lines, *(f"{run} differs from {first} in: {change}." for run, change in changes.items()))


def _empty(comparison: xr.Dataset) -> list[str]:
    """Say which entries have no numbers, or none of one kind of query, and why; those of one reason together."""
    missing: dict[tuple[str, str], list[str]] = {}
    for entry in range(comparison.sizes["entry"]):
        one = comparison.isel(entry=entry)
        known = {
            words: str(one["reason"].sel(queries=queries).item())
            for queries, words in SHORT.items()
            if queries in _kinds(comparison)
        }
        empty = {words: reason for words, reason in known.items() if reason}
        where = "" if len(empty) == len(_kinds(comparison)) else ", ".join(empty)
        for reason in dict.fromkeys(empty.values()):
            missing.setdefault((where, reason), []).append(_entry_words(one))
    return [
        f"Left empty, {', '.join(names)}{f' ({where} queries)' if where else ''}: {reason}"
        for (where, reason), names in missing.items()
    ]


def comparison_markdown(comparison: xr.Dataset) -> str:
    """Return table and remarks as Markdown."""
    table = comparison_table(comparison)
    rule = ["---"] * table.n_words + ["---:"] * (len(table.columns) - table.n_words)
    rows = [_line(cells) for cells in (table.columns, rule, *table.rows)]
    lines = [table.caption, "", *rows, "", *(f"- {line}" for line in comparison_remarks(comparison))]
    return "".join(f"{one_line(line)}\n" for line in lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def write_comparison(comparison: xr.Dataset, folder: Path) -> tuple[Path, ...]:
    """Write ``comparison.csv``, ``comparison.md`` and ``comparison.svg`` into a folder, which is made, and return their paths."""
    texts = {
        "csv": table_text(comparison.to_dataframe().reset_index().drop(columns="entry")),
        "md": comparison_markdown(comparison),
        "svg": svg_of(draw_compared_runs(comparison), "comparison"),
    }
    paths = tuple(folder / f"comparison.{ending}" for ending in texts)
    for path, text in zip(paths, texts.values(), strict=True):
        write_text(path, text)
    return paths
