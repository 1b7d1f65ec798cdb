"""What decoding loses without each neuron: ranked, test against training images, and agreement with other measures."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.finding_dots import draw_dots
from dina.figures.style import COLOURS
from dina.statistics.finding import Finding

AGREEMENTS = {
    "agreement_between_halves": "halves of test images",
    "agreement_with_training": "training images",
    "agreement_with_shapley": "Shapley values",
    "agreement_with_silencing": "silencing",
    "agreement_with_exact": "exact silencing",
    "correlation_with_signal_to_noise": "signal-to-noise",
    "correlation_with_mean_response": "mean response",
    "corrected_correlation_with_mean_response": "the same, errors allowed for",
}


@in_style
def draw_contributions(dataset: xr.Dataset, found: Mapping[str, Finding]) -> Figure:
    """Draw contributions in falling order, against those to training images, and their rank correlations.

    Parameters
    ----------
    dataset
        ``contribution``, ``contribution_error``, ``training_contribution`` (neuron); attribute ``units``.
    found
        Findings by name.
    """
    own, error, training = (dataset[name].to_numpy() for name in ("contribution", "contribution_error", "training_contribution"))
    unit = str(dataset.attrs["units"]).replace("1", "units of the score")
    figure = new_figure(180, 62)
    grid = figure.add_gridspec(1, 3, width_ratios=[1.0, 1.0, 0.95])
    ranked, compared, agreement = (figure.add_subplot(grid[0, number]) for number in range(3))
    order = np.argsort(-own, kind="stable")
    share = 100 * (np.arange(len(own)) + 0.5) / len(own)
    low, high = own[order] - 1.96 * error[order], own[order] + 1.96 * error[order]
    ranked.fill_between(share, low, high, color=COLOURS["dina"][0], alpha=0.2, linewidth=0, rasterized=len(own) > 3000)
    ranked.plot(share, own[order], color=COLOURS["dina"][0])
    ranked.axhline(0, color=COLOURS["chance"][0], linestyle=(0, (2, 1.5)), linewidth=1.0)
    ranked.set_xlabel("neurons (%), best first")
    ranked.set_ylabel(f"margin lost without it ({unit})")
    ranked.set_title("Ranked")
    finish_axes(ranked, "y")
    compared.plot(
        training,
        own,
        ".",
        color=COLOURS["dina"][0],
        markersize=2.5,
        markeredgewidth=0,
        alpha=0.5,
        rasterized=len(own) > 1000,
    )
    compared.axhline(0, color=COLOURS["chance"][0], linestyle=(0, (2, 1.5)), linewidth=1.0)
    compared.set_xlabel(f"training images ({unit})")
    compared.set_ylabel(f"test images ({unit})")
    compared.set_title("Training and test")
    finish_axes(compared, "both")
    rows = [(words, found[name]) for name, words in AGREEMENTS.items() if name in found]
    draw_dots(agreement, rows, "rank correlation over neurons")
    agreement.set_title("Agreement with")
    agreement.set_xlim(min(-0.15, agreement.get_xlim()[0]), 1.03)
    return figure
