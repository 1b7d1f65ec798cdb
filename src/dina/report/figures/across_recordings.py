"""Findings of several recordings side by side: each recording, and the mean over mice with its interval."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.style import COLOURS

COLUMNS = 3


@in_style
def draw_across_recordings(dataset: xr.Dataset, chosen: Sequence[int], words: Sequence[str]) -> Figure:
    """Draw some findings, one small panel each: recordings as dots, ordered by mouse, the mean over mice as a bar.

    Parameters
    ----------
    dataset
        From `dina.analyses.across_recordings`.
    chosen
        Positions of the findings.
    words
        Title of each panel.
    """
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
    _, number = np.unique(mice[order], return_inverse=True)
    values = one["value"].to_numpy()[order]
    # recordings of one mouse stand together, half a place apart
    x = np.arange(len(values)) * 0.5 + number * 0.5
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
    axes.set_xticks([float(x.mean()), end], ["recordings", "mice"])
    axes.set_xlim(-0.5, end + 0.6)
    axes.tick_params(axis="x", length=0)
    units = str(one["units"].item())
    axes.set_ylabel("" if units == "1" else units)
    finish_axes(axes, "y")
