"""The figures of the quality of a recording: distributions over neurons, repeats, variance spectrum, growth of noise."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from dina.figures.canvas import CHANCE_LINE, finish_axes, in_style, new_figure, write_plain_numbers
from dina.figures.histograms import n_bars
from dina.figures.style import COLOURS


@in_style
def draw_histogram(values: np.ndarray, axis_label: str, zero: str | None) -> Figure:
    """Draw the distribution of one number over neurons (NaN is left out), with its median; zero is marked where it has a meaning."""
    values = values[np.isfinite(values)]
    figure = new_figure(110, 62)
    axes = figure.add_subplot()
    low, high = np.percentile(values, [0.5, 99.5]) if len(values) else (0.0, 1.0)
    if high - low <= 1e-6 * max(abs(low), abs(high)):  # one value, or bars too narrow for numbers to tell apart
        pad = 0.1 * abs(low) or 0.05
        low, high = low - pad, high + pad
    axes.hist(
        np.clip(values, low, high),
        bins=n_bars(len(values)),
        range=(float(low), float(high)),
        color=COLOURS["dina"][0],
        linewidth=0,
    )
    median = float(np.median(values)) if len(values) else float("nan")
    axes.axvline(median, color=COLOURS["ink"][0], linewidth=1.0)
    place: Any = {"xycoords": ("data", "axes fraction"), "xytext": (0, 2), "textcoords": "offset points"}
    axes.annotate(f"median {median:.2g}", (median, 1.0), ha="center", va="bottom", fontsize=7.5, **place)
    if zero is not None and low < 0 < high:
        axes.axvline(0, **CHANCE_LINE)
    axes.set(xlabel=axis_label, ylabel="neurons")
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    finish_axes(axes, "y")
    return figure


@in_style
def draw_spectrum(variance: np.ndarray, exponent: float | None, first: int, last: int) -> Figure:
    """Draw the cross-validated variance spectrum on logarithmic axes, with the power law rank^−α where one was fitted.

    Values at or below zero cannot be shown; ``first`` and ``last`` are the ranks over which α was fitted.
    """
    rank = np.arange(1, len(variance) + 1)
    seen = np.isfinite(variance) & (variance > 0)
    figure = new_figure(110, 62)
    axes = figure.add_subplot()
    axes.plot(rank[seen], variance[seen], color=COLOURS["dina"][0], linewidth=1.4, label="measured")
    if exponent is not None:
        fitted = (rank >= first) & (rank <= last) & seen
        if fitted.any():
            # the line has the fitted slope; its height is the mean of the fitted values, weighted by 1 / rank as in the fit
            height = np.average(np.log(variance[fitted]) + exponent * np.log(rank[fitted]), weights=1 / rank[fitted])
            ends = np.array([rank[fitted][0], rank[fitted][-1]], dtype=float)
            look: Any = {"color": COLOURS["ink"][0], "linewidth": 1.0, "linestyle": (0, (4, 2))}
            axes.plot(ends, np.exp(height) * ends**-exponent, label=f"power law, α = {exponent:.2f}", **look)
    axes.set(xscale="log", xlabel="rank of component (logarithmic)")
    axes.set(yscale="log", ylabel="signal variance (logarithmic)")
    write_plain_numbers(axes.xaxis, axes.yaxis)
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
    place: Any = {"xytext": (0, 1.5), "textcoords": "offset points", "ha": "center", "va": "bottom"}
    if len(count) <= 12:
        for at, height in zip(count, images, strict=True):
            axes.annotate(f"{height}", (at, height), fontsize=7.5, **place)
    axes.set(xlim=(min(count.min() - 1, 0), count.max() + 1), xlabel="trials per image", ylabel="images")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    finish_axes(axes, "y")
    return figure


@in_style
def draw_mean_variance(mean: np.ndarray, variance: np.ndarray, factor: float, exponent: float) -> Figure:
    """Draw the variance over repeats against the mean response on logarithmic axes, with the fitted law."""
    figure = new_figure(110, 62)
    axes = figure.add_subplot()
    axes.plot(mean, variance, "o", color=COLOURS["dina"][0], markersize=4, label="groups of images")
    ends = np.array([mean.min(), mean.max()])
    look: Any = {"color": COLOURS["ink"][0], "linewidth": 1.0, "linestyle": (0, (4, 2))}
    axes.plot(ends, factor * ends**exponent, label=f"variance ∝ mean to the power {exponent:.2f}", **look)
    axes.set(xscale="log", xlabel="mean response (the neuron's mean = 1, logarithmic)")
    axes.set(yscale="log", ylabel="variance over repeats (logarithmic)")
    axes.minorticks_off()
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        # between two powers of ten there would be no number at all
        axis.set_major_locator(MaxNLocator(4) if high < 10 * low else LogLocator(subs=(1, 2, 5)))
    write_plain_numbers(axes.xaxis, axes.yaxis)
    axes.legend(loc="upper left")
    finish_axes(axes, "both")
    return figure
