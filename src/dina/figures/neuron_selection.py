"""Two checks of subsets of neurons: selected by attention, and fitted anew."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.finding_dots import draw_dots
from dina.figures.style import COLOURS
from dina.statistics.finding import Finding

SELECTIONS = {
    "kept": ("most attended kept", "dina", "-"),
    "discarded": ("most attended discarded", "rival", "-"),
    "random": ("as many kept at random", "muted", "-"),
}
SEQUENCES = {"top": "best", "random": "random", "bottom": "worst"}


@in_style
def draw_attention_subsets(dataset: xr.Dataset, found: Mapping[str, Finding]) -> Figure:
    """Draw similarity of maps against the fraction of neurons selected by attention.

    Parameters
    ----------
    dataset
        ``similarity`` (selection, fraction), ``random_low``, ``random_high`` (fraction).
    found
        Findings by name; the null of ``ssim_all`` is drawn.
    """
    figure = new_figure(110, 72)
    axes = figure.add_subplot()
    share = 100 * dataset["fraction"].to_numpy()
    for name, (words, colour, line) in SELECTIONS.items():
        values = dataset["similarity"].sel(selection=name).to_numpy()
        axes.plot(share, values, line, color=COLOURS[colour][0], marker="o", markersize=3, label=words)
    low, high = (dataset[name].to_numpy() for name in ("random_low", "random_high"))
    axes.fill_between(share, low, high, color=COLOURS["muted"][0], alpha=0.2, linewidth=0)
    whole = found["ssim_all"]
    if np.isfinite(whole.null_low):
        axes.axhspan(
            whole.null_low, whole.null_high, color=COLOURS["chance"][0], alpha=0.18, linewidth=0, label="other images' maps"
        )
    axes.set_xscale("log")
    axes.set_xticks([1, 2, 5, 10, 20, 50, 100], ["1", "2", "5", "10", "20", "50", "100"])
    axes.set_xticks([], minor=True)  # else labelled as powers where the axis is short
    axes.minorticks_off()
    axes.set_xlabel("neurons selected by attention (% of all, logarithmic)")
    axes.set_ylabel("similarity to the image's map (SSIM)")
    figure.legend(loc="outside upper center", ncols=2)
    finish_axes(axes, "both")
    return figure


@in_style
def draw_refitted_subsets(dataset: xr.Dataset, found: Mapping[str, Finding]) -> Figure:
    """Draw accuracy of towers fitted on part of the neurons beside the others taken out, and the differences.

    Parameters
    ----------
    dataset
        ``refitted``, ``taken_out`` (sequence, fraction), fractions.
    found
        Findings by name.
    """
    names = [
        (sequence, float(fraction), f"{SEQUENCES[sequence]} {100 * float(fraction):g}\u202f%")
        for fraction in dataset["fraction"].to_numpy()
        for sequence in map(str, dataset["sequence"].to_numpy())
    ]
    figure = new_figure(180, 22 + 8 * len(names))
    accuracy, difference = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    for place, (sequence, fraction, _) in enumerate(names):
        one = found[f"refitted_{sequence}_{100 * fraction:g}_percent"]
        before = float(dataset["taken_out"].sel(sequence=sequence, fraction=fraction))
        colour = COLOURS["dina"][0]
        accuracy.plot([100 * one.low, 100 * one.high], [place, place], color=colour, linewidth=1.4)
        accuracy.plot(100 * one.value, place, "o", color=colour, markersize=5, label="fitted anew" if place == 0 else None)
        accuracy.plot(100 * before, place, "D", color=COLOURS["rival"][0], markersize=4.5, markerfacecolor="none",
                      label="others taken out" if place == 0 else None)  # fmt: skip
    chance = 100 * next(iter(found.values())).null_low
    accuracy.axvline(chance, color=COLOURS["chance"][0], linestyle=(0, (2, 1.5)), linewidth=1.0, label="chance")
    accuracy.set_yticks(range(len(names)), [words for _, _, words in names])
    accuracy.set_ylim(len(names) - 0.4, -0.6)
    accuracy.set_xlim(0, None)
    accuracy.set_xlabel("top-1 accuracy (% of queries)")
    finish_axes(accuracy, "x")
    rows = [(words, found[f"refitted_minus_taken_out_{s}_{100 * f:g}_percent"]) for s, f, words in names]
    draw_dots(difference, rows, "fitted anew − others taken out")
    figure.legend(loc="outside upper left", ncols=3)
    return figure
