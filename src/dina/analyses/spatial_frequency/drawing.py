"""Retrieval against spatial frequency: from part of the frequencies, with foreign content above, and octave by octave."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.style import COLOURS

DASHED = (0.0, (3.0, 1.5))


@in_style
def draw_spatial_frequency(dataset: xr.Dataset, edge: tuple[float, float, float]) -> Figure:
    """Draw accuracy and matched signal against the cut-off, and accuracy by octave.

    Parameters
    ----------
    dataset
        From the analysis ``spatial_frequency``.
    edge
        Frequency above which hardly anything is matched, and its interval; NaN where unknown.
    """
    figure = new_figure(180, 72)
    first, second, third = figure.subplots(1, 3)
    _draw_curve(first, dataset, "cutoff", "replaced_top1", 100)
    cutoff = dataset["cutoff"].to_numpy()
    low_pass, low, high = (100 * dataset[f"low_pass_top1{end}"].to_numpy() for end in ("", "_low", "_high"))
    first.fill_between(cutoff, low, high, color=COLOURS["rival"][0], alpha=0.12, linewidth=0, zorder=2)
    first.plot(cutoff, low_pass, color=COLOURS["rival"][0], linestyle=DASHED, linewidth=1.2, zorder=3)
    first.set_ylabel("top-1 accuracy (% of queries)")
    first.set_title("a  below the cut-off")
    end = float(dataset["cutoff"][-1])
    first.annotate("foreign above", (0.04, 0.93), xycoords="axes fraction", color=COLOURS["dina"][0], fontsize=7.5)
    first.annotate("nothing above", (0.04, 0.85), xycoords="axes fraction", color=COLOURS["rival"][0], fontsize=7.5)
    _draw_curve(second, dataset, "cutoff", "matched_signal", 1)
    second.set_ylabel("share of the matched signal below")
    second.set_title("b  matched signal")
    _draw_curve(third, dataset, "band", "band_top1", 100)
    third.set_ylabel("top-1 accuracy (% of queries)")
    third.set_title("c  one octave alone")
    lowest = min(float(dataset["band"][0]), float(dataset["cutoff"][0]))
    for axes, what in ((first, "cut-off"), (second, "cut-off"), (third, "octave's centre")):
        _finish(axes, dataset, lowest, end)
        axes.set_xlabel(f"{what} ({dataset['cutoff'].attrs['units']})")
    if np.isfinite(edge[0]):
        for axes in (first, second):
            axes.axvspan(edge[1], edge[2], color=COLOURS["reference"][0], alpha=0.18, linewidth=0, zorder=1)
            axes.axvline(edge[0], color=COLOURS["reference"][0], linewidth=1.0, zorder=2)
    second.set_ylim(-0.1, 1.15)
    ticks = [tick for tick in first.get_yticks() if tick <= 100]
    first.set_ylim(0, 1.28 * first.get_ylim()[1])  # room for the names of the curves
    first.set_yticks(ticks)
    return figure


@in_style
def draw_spatial_frequency_refit(dataset: xr.Dataset) -> Figure:
    """Draw accuracy of towers fitted on low-passed images against the cut-off.

    Parameters
    ----------
    dataset
        From the analysis ``spatial_frequency_refit``.
    """
    figure = new_figure(100, 72)
    axes = figure.add_subplot()
    _draw_curve(axes, dataset, "cutoff", "refit_top1", 100)
    axes.set_ylabel("top-1 accuracy (% of queries)")
    axes.set_xlabel(f"cut-off ({dataset['cutoff'].attrs['units']})")
    _finish(axes, dataset, float(dataset["cutoff"][0]), float(dataset["cutoff"][-1]))
    return figure


def _draw_curve(axes: Axes, dataset: xr.Dataset, axis: str, name: str, scale: float) -> None:
    """Draw one curve with its interval, above the range of its null."""
    place = dataset[axis].to_numpy()
    value, low, high, null_low, null_high = (
        scale * dataset[name + end].to_numpy() for end in ("", "_low", "_high", "_null_low", "_null_high")
    )
    # the null of a share has no bounds: where it leaves the panel it is cut off
    axes.fill_between(place, null_low, null_high, color=COLOURS["chance"][0], alpha=0.25, linewidth=0, zorder=1)
    axes.fill_between(place, low, high, color=COLOURS["dina"][0], alpha=0.15, linewidth=0, zorder=2)
    axes.plot(place, value, color=COLOURS["dina"][0], linewidth=1.6, marker="o", markersize=2.8, zorder=4)


def _finish(axes: Axes, dataset: xr.Dataset, lowest: float, highest: float) -> None:
    """Give the axis its octaves and the Nyquist limit."""
    axes.set_xscale("log", base=2)
    axes.set_xlim(lowest / 1.15, highest * 1.15)
    ticks = dataset.attrs["nyquist"] / 2.0 ** np.arange(0, 12, 2)
    axes.set_xticks(ticks[ticks >= lowest / 1.15])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.axvline(dataset.attrs["nyquist"], color=COLOURS["muted"][0], linestyle=(0.0, (1.0, 1.5)), linewidth=1.0, zorder=1)
    if "signal" not in axes.get_ylabel():
        axes.set_ylim(bottom=0)
    finish_axes(axes, "y")
