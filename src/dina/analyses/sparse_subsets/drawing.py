"""Accuracy against the number of neurons kept or removed, beside random and matched subsets; inequality of contributions."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.finding_dots import draw_dots
from dina.figures.style import COLOURS
from dina.statistics.finding import Finding

Line = str | tuple[float, tuple[float, ...]]

SEQUENCES: dict[str, tuple[str, str, Line]] = {
    "top": ("best first", "dina", "-"),
    "snr_matched": ("matched in signal-to-noise", "rival", "-"),
    "rate_matched": ("matched in mean response", "reference", (0.0, (4.0, 1.5))),
    "random": ("random", "muted", "-"),
    "bottom": ("worst first", "ink", (0.0, (1.0, 1.2))),
}
"""Sequence → words, colour, line."""
EXCESS = {
    "gini_excess_over_equal": "over equal contributions",
    "gini_excess_over_rates": "over mean responses",
    "gini_excess_over_signal_to_noise": "over signal-to-noise",
}


@in_style
def draw_sparse_subsets(dataset: xr.Dataset, found: Mapping[str, Finding]) -> Figure:
    """Draw addition and removal curves of the first treatment, and by how much contributions exceed surrogates.

    Parameters
    ----------
    dataset
        ``accuracy``, ``accuracy_low``, ``accuracy_high`` (treatment, sequence, n_kept), fractions; attribute
        ``n_gallery``.
    found
        Findings by name.
    """
    one = dataset.isel(treatment=0)
    kept = one["n_kept"].to_numpy().astype(float)
    n_neurons = kept[-1]
    figure = new_figure(180, 118)
    grid = figure.add_gridspec(2, 2, height_ratios=[2.1, 1.0])
    added, removed = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1])
    for name, (words, colour, line) in SEQUENCES.items():
        if name not in one["sequence"]:
            continue
        _draw_curve(added, one.sel(sequence=name), kept, (words, COLOURS[colour][0], line))
        left = {"top": "bottom", "bottom": "top", "random": "random"}.get(name, f"{name}_bottom")
        _draw_curve(removed, one.sel(sequence=left), n_neurons - kept, (words, COLOURS[colour][0], line))
    added.set_xscale("log")
    added.xaxis.set_minor_formatter(NullFormatter())
    # curves begin at chance when neurons are kept, and end there when they are left out: the word stands at the other end
    for axes, label, side in ((added, "neurons kept (logarithmic)", "right"), (removed, "neurons left out", "left")):
        _finish(axes, label, int(dataset.attrs["n_gallery"]), side)
    full = float(one["accuracy"].sel(sequence="top").to_numpy()[-1])
    for share in (0.5, 0.9):
        added.axhline(100 * share * full, color=COLOURS["muted"][0], linewidth=0.6, linestyle=(0, (1, 2)))
        added.annotate(
            f"{100 * share:.0f}\u202f% of all",
            (0.0, 100 * share * full),
            xycoords=added.get_yaxis_transform(),
            xytext=(3, 2),
            textcoords="offset points",
            fontsize=7,
            color=COLOURS["muted"][0],
        )
    added.set_title("Keeping")
    removed.set_title("Leaving out")
    handles, labels = added.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=5, columnspacing=1.2, handlelength=1.8)
    differences = [
        (words, found[f"top_minus_{name}_area"])
        for name, words in (
            ("random", "best − random"),
            ("snr_matched", "best − matched in s/n"),
            ("rate_matched", "best − matched in mean"),
        )
        if f"top_minus_{name}_area" in found
    ]
    draw_dots(figure.add_subplot(grid[1, 0]), differences, "difference in area under addition curve")
    excess = [(words, found[name]) for name, words in EXCESS.items() if name in found]
    draw_dots(figure.add_subplot(grid[1, 1]), excess, "excess of Gini coefficient")
    return figure


def _draw_curve(axes: Axes, curve: xr.Dataset, count: np.ndarray, look: tuple[str, str, Line]) -> None:
    words, colour, line = look
    order = np.argsort(count)
    x = count[order]
    mean, low, high = (100 * curve[name].to_numpy()[order] for name in ("accuracy", "accuracy_low", "accuracy_high"))
    if (high > low).any():
        axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(x, mean, color=colour, linestyle=line, linewidth=1.6 if words == "best first" else 1.2, label=words)


def _finish(axes: Axes, label: str, n_gallery: int, side: str) -> None:
    axes.axhline(100 / n_gallery, color=COLOURS["chance"][0], linestyle=(0, (2, 1.5)), linewidth=1.0)
    axes.annotate(
        "chance",
        (float(side == "right"), 100 / n_gallery),
        xycoords=axes.get_yaxis_transform(),
        xytext=(-3 if side == "right" else 3, 2),
        textcoords="offset points",
        horizontalalignment=side,
        fontsize=7,
        color=COLOURS["chance"][0],
    )
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_ylim(0, None)
    axes.set_xlabel(label)
    axes.set_ylabel("top-1 accuracy (% of queries)")
    finish_axes(axes, "both")
