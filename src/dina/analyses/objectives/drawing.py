"""Objectives beside one another: what each decodes and knows of category, and how alike the maps are that they lead to."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.style import COLOURS
from dina.statistics.finding import Finding

PANELS = {
    "top1_averaged": ("top-1 (%)", 100.0),
    "category_matched_beyond_low_level": ("category of best\nmatches, beyond\nlow level (share)", 1.0),
    "category_beyond_low_level": ("category read\nfrom maps, beyond\nlow level (share)", 1.0),
    "kept_lowest_octaves": ("accuracy kept below\na quarter of the\nNyquist limit (share)", 1.0),
}
REFERENCES = ("untrained", "responses", "category objectives")
"""Rows that are no objectives; they stand below and in another colour."""


@in_style
def draw_objectives(findings: Mapping[str, Mapping[str, Finding]]) -> Figure:
    """Draw statistics of every objective as dots with intervals, their nulls as bands behind them.

    Parameters
    ----------
    findings
        Objective → name → finding.
    """
    names = sorted(findings, key=lambda name: name in REFERENCES)
    panels = [name for name in PANELS if any(name in found for found in findings.values())]
    figure = new_figure(180, 26 + 5.6 * len(names))
    some = np.atleast_1d(figure.subplots(1, len(panels), sharey=True))
    for axes, panel in zip(some, panels, strict=True):
        label, scale = PANELS[panel]
        for y, name in enumerate(names):
            finding = findings[name].get(panel)
            if finding is not None and finding.value == finding.value:
                _dot(axes, y, finding, scale, COLOURS["reference" if name in REFERENCES else "dina"][0])
        if scale == 1.0:
            axes.axvline(0, color=COLOURS["ink"][0], linewidth=0.8, zorder=1)
        axes.set_xlabel(label)
        axes.locator_params(axis="x", nbins=4)
        finish_axes(axes, "x")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    some[0].set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    some[0].set_ylim(len(names) - 0.4, -0.6)
    return figure


def _dot(axes: Axes, y: float, finding: Finding, scale: float, colour: str) -> None:
    low, high = finding.null_low, finding.null_high
    if high > low:
        axes.plot([scale * low, scale * high], [y, y], color=COLOURS["grid"][0], linewidth=7, solid_capstyle="butt", zorder=0)
    elif low == low:
        axes.plot(scale * low, y, "|", color=COLOURS["chance"][0], markersize=8, markeredgewidth=1.2, zorder=1)
    axes.plot([scale * finding.low, scale * finding.high], [y, y], color=colour, linewidth=1.3, zorder=2)
    axes.plot(scale * finding.value, y, "o", color=colour, markersize=4.4, zorder=3)


@in_style
def draw_map_likeness(similarity: xr.DataArray) -> Figure:
    """Draw the linear kernel alignment of maps between objectives as two matrices, maps of images and of responses.

    Parameters
    ----------
    similarity
        Axes (side, first, second), 1 on the diagonal.
    """
    names = [str(name).replace("_", " ") for name in similarity["first"].to_numpy()]
    figure = new_figure(180, 40 + 4.6 * len(names))
    some = figure.subplots(1, 2, sharey=True)
    for axes, side in zip(some, similarity["side"].to_numpy(), strict=True):
        image = axes.imshow(similarity.sel(side=side).to_numpy(), vmin=0, vmax=1, cmap="cividis", aspect="auto")
        axes.set_title(f"maps of {side}s")
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.tick_params(length=0)
    some[0].set_yticks(range(len(names)), names)
    figure.colorbar(image, ax=some, label="linear kernel alignment", shrink=0.8)
    return figure
