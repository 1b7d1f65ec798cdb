"""What decoding loses without each neuron, on the page."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from dina.figures.canvas import CHANCE_LINE, finish_axes, in_style, new_figure
from dina.figures.caption_words import over_whole
from dina.figures.finding_parts import draw_dots, finding_table, reasons
from dina.figures.finding_words import SCORE_UNITS, in_a_sentence
from dina.figures.histograms import dots_of
from dina.figures.parts import FigurePart, Section
from dina.figures.style import COLOURS
from dina.figures.words import number, percent
from dina.statistics.finding import Finding

AGREEMENTS = {
    "agreement_between_halves": "halves of test images",
    "agreement_with_training": "training images",
    "agreement_with_shapley": "Shapley values",
    "agreement_with_silencing": "silencing",
    "agreement_with_exact": "exact silencing",
    "correlation_with_signal_to_noise": "signal-to-noise",
    "correlation_with_mean_response": "mean response",
    "corrected_correlation_with_mean_response": "the same, corrected for errors",
}
WORDS = {
    "helpful_fraction": "neurons whose contribution is above zero by more than 1.96 standard errors",
    "top_tenth_share": "share of all contributions held by the best tenth (ranked on training images)",
    "agreement_between_halves": "rank correlation between halves of the test images",
    "agreement_with_training": "rank correlation with training images",
    "agreement_with_shapley": "rank correlation with Shapley values",
    "agreement_with_silencing": "rank correlation with silencing",
    "agreement_with_exact": "rank correlation of first order with exact silencing",
    "first_order_error": "error of first order relative to exact silencing (root mean squares)",
    "correlation_with_signal_to_noise": "rank correlation with signal-to-noise ratio",
    "correlation_with_mean_response": "rank correlation with mean response",
    "corrected_correlation_with_mean_response": "rank correlation with mean response, corrected for errors of contributions",
    "planted_informative_area": "area under the ROC curve, planted informative neurons",
}


def contributions_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show contributions of single neurons and what they agree with."""
    found = {finding.name: finding for finding in findings}
    contribution = dataset["contribution"].to_numpy()
    how = "removed from the decoder" if dataset.attrs["treatment"] == "removed" else "silenced at its mean response"
    helpful, tenth = found["helpful_fraction"], found["top_tenth_share"]
    part = FigurePart(
        "contributions",
        _draw(dataset, found),
        f"Margin (score of the image shown minus the mean score of all other images) lost in test trials if one of {len(contribution):,}"
        f" neurons is {how}. Left: neurons in falling order, with 95\u202f% intervals over images. Middle: each neuron on training and on test"
        " images. Right: rank correlations over neurons with 95\u202f% intervals; grey: neurons permuted.",
        f"{percent(helpful.value)} of the neurons contribute more than zero; the median contribution is {number(float(np.median(contribution)))}.",
        finding_table("Contributions of single neurons.", WORDS, found, ("helpful_fraction", "top_tenth_share")),
    )
    words = (
        "One neuron is left out at a time and all others stay. Neurons that carry the same information therefore seem to"
        " contribute little. Shapley values average over all orders in which neurons can join, so they show such information."
    )
    if tenth.value == tenth.value:
        words += f" The best tenth of the neurons (ranked on training images) makes {in_a_sentence(tenth)} of the sum of all contributions."
        words += over_whole("Contributions below zero make the sum smaller than the contributions above zero", tenth)
    return Section("contributions", "What each neuron contributes", (words,), (part,), missing=reasons(WORDS, found))


@in_style
def _draw(dataset: xr.Dataset, found: Mapping[str, Finding]) -> Figure:
    """Draw contributions in falling order, against those to training images, and their rank correlations."""
    mean, error, training = (dataset[name].to_numpy() for name in ("contribution", "contribution_error", "training_contribution"))
    unit = SCORE_UNITS[str(dataset.attrs["units"])]
    figure = new_figure(180, 62)
    ranked, compared, agreement = figure.subplots(1, 3, width_ratios=[1.0, 1.0, 0.95])
    order = np.argsort(-mean, kind="stable")
    share = 100 * (np.arange(len(mean)) + 0.5) / len(mean)
    low, high = mean[order] - 1.96 * error[order], mean[order] + 1.96 * error[order]
    ranked.fill_between(share, low, high, color=COLOURS["dina"][0], alpha=0.2, linewidth=0, rasterized=len(mean) > 3000)
    ranked.plot(share, mean[order], color=COLOURS["dina"][0])
    ranked.axhline(0, **CHANCE_LINE)
    ranked.set(xlabel="neurons (%), best first", ylabel=f"margin lost without it ({unit})", title="Ranked")
    finish_axes(ranked, "y")
    compared.plot(training, mean, ".", color=COLOURS["dina"][0], rasterized=len(mean) > 1000, **dots_of(len(mean)))
    compared.axhline(0, **CHANCE_LINE)
    compared.set(xlabel=f"training images ({unit})", ylabel=f"test images ({unit})", title="Training and test")
    finish_axes(compared, "both")
    rows = [(words, found[name]) for name, words in AGREEMENTS.items() if name in found]
    draw_dots(agreement, rows, "rank correlation")
    agreement.set(title="Agreement with", xlim=(min(-0.15, agreement.get_xlim()[0]), 1.03))
    return figure
