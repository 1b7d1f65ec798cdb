"""What decoding loses without each neuron, on the page."""

import numpy as np
import xarray as xr

from dina.analyses.contributions.drawing import draw_contributions
from dina.figures.finding_table import finding_table
from dina.figures.parts import FigurePart, Section
from dina.figures.words import number, percent
from dina.statistics.finding import Finding

WORDS = {
    "helpful_fraction": "fraction of neurons whose contribution is above zero",
    "top_tenth_share": "share of all contributions held by the best tenth (ranked on training images)",
    "agreement_between_halves": "rank correlation between halves of the test images",
    "agreement_with_training": "rank correlation with training images",
    "agreement_with_shapley": "rank correlation with Shapley values",
    "agreement_with_silencing": "rank correlation with silencing",
    "agreement_with_exact": "rank correlation of first order with exact silencing",
    "first_order_error": "error of first order relative to exact silencing (root mean squares)",
    "correlation_with_signal_to_noise": "rank correlation with signal-to-noise ratio",
    "correlation_with_mean_response": "rank correlation with mean response",
    "corrected_correlation_with_mean_response": "rank correlation with mean response, errors of contributions allowed for",
    "planted_informative_area": "area under the ROC curve, planted informative neurons",
}


def contributions_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show contributions of single neurons and what they agree with."""
    found = {finding.name: finding for finding in findings}
    own = dataset["contribution"].to_numpy()
    how = "removed from the decoder" if dataset.attrs["treatment"] == "removed" else "silenced at its mean response"
    helpful, tenth = found["helpful_fraction"], found["top_tenth_share"]
    part = FigurePart(
        "contributions",
        draw_contributions(dataset, found),
        f"Margin (score of the image shown less the mean score of the others) that test trials lose when one of {len(own):,}"
        f" neurons is {how}. Left: in falling order, with 95\u202f% of each over images. Middle: each neuron on training and on test"
        " images. Right: rank correlations over neurons with 95\u202f% intervals; grey: neurons permuted.",
        f"{percent(helpful.value)} of the neurons contribute more than zero; the median contribution is {number(float(np.median(own)))}.",
        finding_table("Contributions of single neurons.", WORDS, found),
    )
    held = (
        ""
        if tenth.value != tenth.value
        else f" The tenth of the neurons that ranks best on training images holds {percent(tenth.value)} of all contributions."
    )
    return Section(
        "contributions",
        "What each neuron contributes",
        paragraphs=(
            f"One neuron is taken out at a time and all others stay, so that neurons that carry the same seem to contribute"
            f" little; Shapley values, which average over all orders of joining, are the second opinion.{held}",
        ),
        figures=(part,),
        missing=tuple(dict.fromkeys(finding.reason for finding in findings if finding.reason)),
    )
