"""Neurons selected by the attention they receive, on the page."""

import xarray as xr

from dina.figures.finding_table import finding_table
from dina.figures.neuron_selection import draw_attention_subsets
from dina.figures.parts import FigurePart, Section
from dina.figures.words import number
from dina.statistics.finding import Finding

WORDS = {
    "ssim_all": "similarity of the neural map, all neurons, to the image's (SSIM)",
    "kept_attended_minus_random_ssim": "most attended kept less as many at random (SSIM, mean over sizes)",
    "attention_with_contribution": "rank correlation of attention with contribution",
}


def attention_subsets_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show whether the most attended neurons make the map."""
    found = {finding.name: finding for finding in findings}
    difference, agreement = found["kept_attended_minus_random_ssim"], found["attention_with_contribution"]
    part = FigurePart(
        "attention_subsets",
        draw_attention_subsets(dataset, found),
        "Structural similarity of neural maps to the maps of the images shown, when only the neurons that receive most attention"
        " respond and all others are at their mean, when these are at their mean, and for as many neurons at random (band: where one"
        " more draw would lie with a probability of 95\u202f%). Attention is that of training trials. Grey: all neurons, maps of"
        " other images.",
        f"Keeping attended instead of random neurons changes the similarity by {number(difference.value)}.",
        finding_table("Selection by attention.", WORDS, found),
    )
    return Section(
        "attention-subsets",
        "Neurons selected by attention",
        paragraphs=(
            "Neurons are kept or discarded by the attention they receive, as the published tower suggests; how the article selects"
            " them we do not know. Attention says how much a neuron is looked at, not what is read from it: it correlates with"
            f" contributions by {number(agreement.value)}.",
        ),
        figures=(part,),
        missing=tuple(dict.fromkeys(finding.reason for finding in findings if finding.reason)),
    )
