"""Single-trial decoding with and without noise correlations in training and test, and the paired differences."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.finding_dots import draw_dots
from dina.figures.style import COLOURS
from dina.statistics.finding import Finding

DIFFERENCES = {
    "knowing_correlations": "knowing correlations",
    "knowing_covariance": "knowing all covariance",
    "removing_correlations": "removing correlations",
    "unexpected_removal": "removing in test alone",
}
TRAINED = {"intact": ("dina", "o"), "shuffled": ("rival", "s"), "independent": ("reference", "^")}


@in_style
def draw_noise_shuffle(dataset: xr.Dataset, found: Mapping[str, Finding]) -> Figure:
    """Draw accuracy by training and test condition, and paired differences in accuracy and log rank.

    Parameters
    ----------
    dataset
        From the analysis ``noise_shuffle``.
    found
        Findings by name.
    """
    figure = new_figure(180, 66)
    first, second, third = figure.subplots(1, 3, width_ratios=[1.0, 1.45, 1.0])
    _draw_conditions(first, dataset)
    for axes, name, label, title in (
        (second, "top1", "difference (fraction of trials)", "b  top-1 accuracy"),
        (third, "log_rank", "difference (nats)", "c  log rank"),
    ):
        rows = [(words, found[f"{what}_{name}"]) for what, words in DIFFERENCES.items() if f"{what}_{name}" in found]
        known = [(words, finding) for words, finding in rows if finding.value == finding.value]
        draw_dots(axes, known, label)
        axes.set_title(title)
    third.set_yticklabels([])
    return figure


def _draw_conditions(axes: Axes, dataset: xr.Dataset) -> None:
    """Draw mean accuracy of every shuffle, tested on intact and on shuffled trials."""
    trained, tested = (dataset[name].to_numpy().astype(str) for name in ("trained", "tested"))
    values = 100 * dataset["top1"].to_numpy()
    for number, (name, (colour, marker)) in enumerate(TRAINED.items()):
        means = []
        for place, where in enumerate(("intact", "shuffled")):
            rows = np.flatnonzero((trained == name) & (tested == where))
            if not len(rows):
                continue
            x = np.full(values.shape[1], place + 0.12 * (number - 1))
            axes.plot(x, values[rows[0]], marker, color=COLOURS[colour][0], markersize=3, alpha=0.5, linestyle="none")
            means.append((x[0], values[rows[0]].mean()))
        if means:
            axes.plot(*zip(*means, strict=True), color=COLOURS[colour][0], marker=marker, markersize=4.5, label=name)
    axes.axhline(100 * dataset["top1"].attrs["chance"], color=COLOURS["chance"][0], linestyle=(0, (2, 1.5)), linewidth=1.0)
    axes.set_xticks([0, 1], ["intact", "shuffled"])
    axes.set_xlim(-0.4, 1.4)
    axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
    axes.set_xlabel("tested on")
    axes.set_ylabel("top-1 accuracy (% of trials)")
    axes.set_title("a  single trials")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 0.04), title="noise learnt from", title_fontsize=7.5, fontsize=7.5)
    finish_axes(axes, "y")
