"""How pairs of neurons vary together, on the page."""

import xarray as xr

from dina.analyses.couplings.drawing import draw_couplings
from dina.figures.finding_table import finding_table
from dina.figures.parts import FigurePart, Section
from dina.figures.words import number, percent
from dina.statistics.finding import Finding

WORDS = {
    "noise_correlation_mean": "mean noise correlation",
    "signal_correlation_mean": "mean signal correlation",
    "signal_noise_agreement": "correlation of the two over pairs, from different images",
    "coupled_pairs_fraction": "fraction of pairs coupled beyond doubt",
    "noise_correlation_near_minus_far": "noise correlation, near less far",
    "signal_correlation_near_minus_far": "signal correlation, near less far",
    "coupling_near_minus_far": "coupling, near less far",
    "coupled_signal_correlation": "mean signal correlation of coupled pairs",
    "possible_duplicates_fraction": "fraction of neurons that may be another one again",
}


def couplings_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show correlations of pairs of neurons against distance and against each other."""
    found = {finding.name: finding for finding in findings}
    mean, coupled, agreement = (
        found[name] for name in ("noise_correlation_mean", "coupled_pairs_fraction", "signal_noise_agreement")
    )
    told = (
        f"Noise correlations are {number(mean.value)} on average ({number(mean.low)} to {number(mean.high)}). The noise of"
        f" {percent(coupled.value)} of the pairs is coupled beyond doubt, given all other neurons."
    )
    if agreement.value == agreement.value:
        told += f" Noise and signal correlations of pairs correlate by {number(agreement.value)}."
    where = ""
    if dataset.sizes["bin"]:
        nearest = float(dataset["distance_edges"][1])
        where = (
            f" a: means over pairs by distance; grey, at the left: pairs less than {nearest:g} µm apart, which share neuropil and may be"
            " one neuron twice, left out of everything else (hollow marks; arrowheads where an interval goes on). b: each dot is a"
            " pair, with noise correlation from one half of the images and signal correlation from the other. c: nearest quarter of"
            " the other pairs less farthest quarter; grey: positions permuted over neurons."
        )
    part = FigurePart(
        "couplings",
        draw_couplings(dataset, found),
        f"Pairs of {mean.n} neurons in training images. Noise correlation: of differences between repeats; signal correlation: of"
        f" tuning from different repeats; coupling: partial correlation of noise given all other neurons.{where} Bars: 95\u202f%"
        " intervals over neurons.",
        told,
        finding_table("Correlations of pairs of neurons.", WORDS, found),
    )
    return Section(
        "couplings",
        "How pairs of neurons vary together",
        paragraphs=(told,),
        figures=(part,),
        missing=tuple(dict.fromkeys(finding.reason for finding in findings if finding.reason)),
    )
