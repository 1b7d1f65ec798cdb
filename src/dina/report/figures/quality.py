"""Quality of the data: distributions over neurons, the variance spectrum, and how often each image was shown."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.style import COLOURS


@in_style
def draw_histogram(values: np.ndarray, axis_label: str, zero: str | None) -> Figure:
    """Draw the distribution of one number over neurons, with its median.

    Parameters
    ----------
    values
        One per neuron; NaN is left out.
    axis_label
        What it is, with its unit.
    zero
        What zero means ("no shared signal"), marked where given.
    """
    values = values[np.isfinite(values)]
    figure = new_figure(110, 62)
    axes = figure.add_subplot()
    low, high = np.percentile(values, [0.5, 99.5]) if len(values) else (0.0, 1.0)
    if high <= low:
        pad = 0.1 * abs(low) or 0.05
        low, high = low - pad, high + pad
    axes.hist(np.clip(values, low, high), bins=40, range=(float(low), float(high)), color=COLOURS["dina"][0], linewidth=0)
    median = float(np.median(values)) if len(values) else float("nan")
    axes.axvline(median, color=COLOURS["ink"][0], linewidth=1.0)
    axes.annotate(
        f"median {median:.2g}",
        (median, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(0, 2),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=7.5,
    )
    if zero is not None and low < 0 < high:
        axes.axvline(0, color=COLOURS["chance"][0], linestyle=(0, (2, 1.5)), linewidth=1.0)
    axes.set_xlabel(axis_label)
    axes.set_ylabel("neurons")
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    finish_axes(axes, "y")
    return figure


@in_style
def draw_spectrum(variance: np.ndarray, exponent: float | None, first: int, last: int) -> Figure:
    """Draw the variance spectrum of the population on logarithmic axes, with its power law where one was fitted.

    Parameters
    ----------
    variance
        Cross-validated variance per rank, descending rank 1, 2 …; values at or below zero cannot be shown.
    exponent
        Decay α of variance ∝ rank^−α, or None.
    first, last
        Ranks over which α was fitted.
    """
    rank = np.arange(1, len(variance) + 1)
    seen = np.isfinite(variance) & (variance > 0)
    figure = new_figure(110, 62)
    axes = figure.add_subplot()
    axes.plot(rank[seen], variance[seen], color=COLOURS["dina"][0], linewidth=1.4, label="measured")
    if exponent is not None:
        fitted = (rank >= first) & (rank <= last) & seen
        if fitted.any():
            # the line has the fitted slope; its height is the mean of what it was fitted to, weighted by 1 / rank as the fit is
            height = np.average(np.log(variance[fitted]) + exponent * np.log(rank[fitted]), weights=1 / rank[fitted])
            ends = np.array([rank[fitted][0], rank[fitted][-1]], dtype=float)
            axes.plot(
                ends,
                np.exp(height) * ends**-exponent,
                color=COLOURS["ink"][0],
                linewidth=1.0,
                linestyle=(0, (4, 2)),
                label=f"power law, α = {exponent:.2f}",
            )
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("rank of component (logarithmic)")
    axes.set_ylabel("signal variance (logarithmic)")
    axes.legend(loc="upper right")
    finish_axes(axes, "both")
    return figure


@in_style
def draw_repeats(n_trials: np.ndarray) -> Figure:
    """Draw how many images were shown once, twice, … (``n_trials``: one count per image)."""
    count, images = np.unique(n_trials.astype(int), return_counts=True)
    figure = new_figure(110, 62)
    axes = figure.add_subplot()
    axes.bar(count, images, width=0.8, color=COLOURS["dina"][0])
    if len(count) <= 12:
        for at, number in zip(count, images, strict=True):
            axes.annotate(
                f"{number}", (at, number), xytext=(0, 1.5), textcoords="offset points", ha="center", va="bottom", fontsize=7.5
            )
    axes.set_xlim(min(count.min() - 1, 0), count.max() + 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_xlabel("trials per image")
    axes.set_ylabel("images")
    finish_axes(axes, "y")
    return figure
