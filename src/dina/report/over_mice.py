"""Findings of several recordings with the mouse as the unit: the clearest in a figure, all in a table."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dina.analyses.across_recordings import AcrossRecordings
from dina.artifacts import write_dataset, write_text
from dina.figures.canvas import finish_axes, in_style, new_figure, svg_of
from dina.figures.finding_parts import reasons
from dina.figures.finding_words import finding_columns, statistic_words
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.style import COLOURS
from dina.safe_words import table_text
from dina.statistics.finding import Finding

MOST_PANELS, COLUMNS = 12, 3


def across_recordings_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show findings of `dina.analyses.across_recordings`: the clearest in a figure, all in a table."""
    analyses = [str(name) for name in dataset["analysis"].to_numpy()]
    n_mice = len(np.unique(dataset["mouse"].to_numpy().astype(str)))
    clear = [i for i, finding in enumerate(findings) if finding.low > finding.null_high or finding.high < finding.null_low]
    shown = clear[:MOST_PANELS]
    words = (
        f"{dataset.sizes['recording']} recordings of {n_mice} {'animal' if n_mice == 1 else 'animals'}. The intervals of {len(clear)} of {len(findings)} findings lie"
        " outside their nulls; without any effect, one in forty lies above and one in forty below."
    )
    rows = []
    for analysis, one in zip(analyses, findings, strict=True):
        rows.append((analysis.replace("_", " "), statistic_words(one.name), str(one.n), *finding_columns(one)))
    columns = ("analysis", "statistic", "animals", "mean over animals", "95\u202f% interval", "null")
    table = Table(
        "All findings over animals. Accuracies, shares and their differences are fractions of 1 here.",
        columns,
        tuple(rows),
        n_words=2,
    )
    figures: tuple[FigurePart, ...] = ()
    if shown:
        titles = [statistic_words(findings[i].name) for i in shown]
        caption = (
            "Findings whose interval lies outside the null, in the order of the table, at most"
            f" {MOST_PANELS}. Dots: recordings, those of one animal side by side; diamond: mean over animals, each animal counting the"
            " same; bar: 95\u202f% interval by drawing animals, recordings within animals, and each recording's own error; grey: central 95\u202f%"
            " of the mean if there is no effect."
        )
        part = FigurePart("across_recordings", draw_across_recordings(dataset, shown, titles), caption, words, table)
        figures = (part,)
    return Section(
        "across-recordings",
        "Several recordings",
        paragraphs=(words, "Recordings of one animal are not independent, so the animal is the unit."),
        figures=figures,
        tables=() if figures else (table,),
        missing=reasons({}, {finding.name: finding for finding in findings}),
    )


def write_across(across: AcrossRecordings, folder: Path) -> Path:
    """Write findings over recordings into a folder as arrays, table and figures, and return the path of the table."""
    dataset = across.to_dataset()
    place = folder / "across_recordings.csv"
    write_dataset(folder / "across_recordings.nc", dataset)
    write_text(place, table_text(dataset.to_dataframe().reset_index()))
    for part in across_recordings_section(dataset, across.findings()).figures:
        write_text(folder / f"{part.name}.svg", svg_of(part.figure, part.name))
    return place


@in_style
def draw_across_recordings(dataset: xr.Dataset, chosen: Sequence[int], words: Sequence[str]) -> Figure:
    """Draw the findings at some positions, one panel each: recordings as dots, ordered by mouse, the mean over mice as a bar."""
    n_rows = -(-len(chosen) // COLUMNS)
    figure = new_figure(180, 8 + 34 * n_rows)
    panels = figure.subplots(n_rows, COLUMNS, squeeze=False).ravel()
    for axes, position, title in zip(panels, chosen, words, strict=False):
        _draw_one(axes, dataset.isel(finding=position))
        axes.set_title(title, fontsize=7.5, fontweight="normal")
    for axes in panels[len(chosen) :]:
        axes.set_visible(False)
    return figure


def _draw_one(axes: Axes, one: xr.Dataset) -> None:
    mice = one["mouse"].to_numpy().astype(str)
    order = np.argsort(mice, kind="stable")
    _, place = np.unique(mice[order], return_inverse=True)
    values = one["value"].to_numpy()[order]
    # recordings of one mouse stand together, half a place apart
    x = np.arange(len(values)) * 0.5 + place * 0.5
    null_low, null_high = float(one["combined_null_low"]), float(one["combined_null_high"])
    if np.isfinite(null_low):
        axes.axhspan(null_low, null_high, color=COLOURS["chance"][0], alpha=0.25, linewidth=0, zorder=1)
    axes.axhline(0, color=COLOURS["muted"][0], linewidth=0.6, zorder=1)
    axes.plot(x, values, "o", color=COLOURS["rival"][0], markersize=3.2, zorder=3)
    end = x[-1] + 1.2
    low, high = float(one["combined_low"]), float(one["combined_high"])
    if np.isfinite(low):
        axes.plot([end, end], [low, high], color=COLOURS["dina"][0], linewidth=1.6, zorder=3)
    axes.plot(end, float(one["combined"]), "D", color=COLOURS["dina"][0], markersize=4.5, zorder=4)
    axes.set_xticks([float(x.mean()), end], ["recordings", "animals"])
    axes.set_xlim(-0.5, end + 0.6)
    axes.tick_params(axis="x", length=0)
    units = str(one["units"].item())
    axes.set_ylabel("" if units == "1" else units)
    finish_axes(axes, "y")
