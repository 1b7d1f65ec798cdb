"""What masking each part of the image tower does to maps and retrieval, beside random parts of the same size."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.style import COLOURS

PANELS = (
    ("ssim", "similarity of maps (SSIM)", 1.0),
    ("correlation", "correlation of maps", 1.0),
    ("top1_loss", "top-1 accuracy lost (points)", 100.0),
    ("log_rank_loss", "gain of mean log rank", 1.0),
)
"""Measure, label, factor."""


@in_style
def draw_pathway_masking(dataset: xr.Dataset, words: Mapping[str, str]) -> Figure:
    """Draw one line per masked part and one panel per measure: dot with interval on the band of random parts.

    Parameters
    ----------
    dataset
        From the analysis ``pathway_masking``.
    words
        Part → how it is called.
    """
    parts = [str(part) for part in dataset["masked"].to_numpy()]
    family = [str(name) for name in dataset["family"].to_numpy()]
    place = np.arange(len(parts)) + 0.6 * np.cumsum([0, *(a != b for a, b in pairwise(family))])
    figure = new_figure(185, 20 + 5.2 * (place[-1] + 1))
    panels = figure.subplots(1, len(PANELS), sharey=True)
    for axes, (measure, label, factor) in zip(panels, PANELS, strict=True):
        _draw_measure(axes, dataset.sel(measure=measure), place, factor)
        axes.set_xlabel(label)
    panels[0].set_yticks(place, [words[part] for part in parts])
    panels[0].set_ylim(place[-1] + 0.7, -0.7)
    return figure


@in_style
def draw_shapley(dataset: xr.Dataset) -> Figure:
    """Draw each pathway's share of the accuracy beside what it reaches alone.

    Parameters
    ----------
    dataset
        From the analysis ``pathway_masking``.
    """
    pathways = [str(name) for name in dataset["pathway"].to_numpy()]
    figure = new_figure(130, 24 + 9 * len(pathways))
    axes = figure.add_subplot()
    value, low, high, null_low, null_high = (100 * dataset["shapley"].to_numpy()).T
    place = np.arange(len(pathways))
    axes.barh(place, null_high - null_low, left=null_low, height=0.6, color=COLOURS["chance"][0], alpha=0.3, linewidth=0)
    axes.hlines(place, low, high, color=COLOURS["dina"][0], linewidth=1.4)
    axes.plot(value, place, "o", color=COLOURS["dina"][0], markersize=5, label="share of the accuracy (Shapley)")
    alone = 100 * dataset["top1_alone"].to_numpy()
    axes.plot(alone, place, "D", color=COLOURS["rival"][0], markersize=4.5, linestyle="", label="with all others masked")
    axes.axvline(100 * float(dataset.attrs["top1"]), color=COLOURS["ink"][0], linewidth=1.0, label="nothing masked")
    axes.set_yticks(place, pathways)
    axes.set_ylim(len(pathways) - 0.4, -0.6)
    axes.set_xlim(min(0.0, float(np.nanmin(low))), None)
    axes.set_xlabel("top-1 accuracy (percentage points)")
    figure.legend(loc="outside upper left", ncols=3, handletextpad=0.4, columnspacing=0.8, fontsize=6.5)
    finish_axes(axes, "x")
    return figure


def _draw_measure(axes: Axes, one: xr.Dataset, place: np.ndarray, factor: float) -> None:
    value, low, high, null_low, null_high = (
        factor * one[name].to_numpy() for name in ("values", "low", "high", "null_low", "null_high")
    )
    # a null as narrow as a line would not be seen
    seen = 0.008 * max(float(np.nanmax(high) - np.nanmin(low)), 1e-9)
    width = np.maximum(null_high - null_low, seen)
    axes.barh(
        place, width, left=(null_high + null_low - width) / 2, height=0.8, color=COLOURS["chance"][0], alpha=0.35, linewidth=0
    )
    axes.use_sticky_edges = False  # of the bars: a mark that lies at the end of one would be cut in half
    axes.hlines(place, low, high, color=COLOURS["dina"][0], linewidth=1.2)
    axes.plot(value, place, "o", color=COLOURS["dina"][0], markersize=3.5, zorder=3)
    if low.min() < 0 < high.max():
        axes.axvline(0, color=COLOURS["muted"][0], linewidth=0.6)
    finish_axes(axes, "x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
