"""Whether decoding profits from noise correlations, on the page."""

import xarray as xr

from dina.analyses.noise_shuffle.drawing import DIFFERENCES, draw_noise_shuffle
from dina.figures.finding_table import finding_table
from dina.figures.parts import FigurePart, Section
from dina.figures.words import number, percent
from dina.statistics.finding import Finding

UNITS = {"top1": "top-1 accuracy", "log_rank": "log rank, nats"}
WORDS = {
    "intact_top1": "top-1 accuracy, trained and tested on intact trials",
    "correlations_left": "share of noise correlations that shuffling leaves in training",
    "correlations_left_test": "share of noise correlations that shuffling leaves in test",
    **{f"{what}_{name}": f"{words}: {units}" for name, units in UNITS.items() for what, words in DIFFERENCES.items()},
}


def noise_shuffle_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show what shuffling repeats in training and test does to single-trial decoding."""
    found = {finding.name: finding for finding in findings}
    told = _told(found)
    part = FigurePart(
        "noise_shuffle",
        draw_noise_shuffle(dataset, found),
        f"Single trials of {found['intact_top1'].n} test images. Shuffled: the repeats of each image exchanged for each neuron by"
        " itself, which keeps tuning and removes noise correlations. a: accuracy by what the noise model was learnt from; each small"
        " mark is one shuffle; dashed: chance. b, c: paired differences; more is better. Knowing: learnt from intact less learnt"
        " from shuffled trials (or from variances alone), both tested on intact ones. Removing: learnt and tested on shuffled trials"
        " less intact ones. Bars: 95\u202f% intervals over images; grey: how far one shuffle strays from others.",
        told,
        finding_table("Decoding with and without noise correlations.", WORDS, found),
    )
    return Section(
        "noise-shuffle",
        "Do noise correlations matter?",
        paragraphs=(told,),
        figures=(part,),
        missing=tuple(dict.fromkeys(finding.reason for finding in findings if finding.reason)),
    )


def _told(found: dict[str, Finding]) -> str:
    left, knowing = found["correlations_left"], found["knowing_correlations_log_rank"]
    if knowing.value != knowing.value:
        tested, change = found.get("correlations_left_test", left), found["unexpected_removal_log_rank"]
        return (
            f"Shuffling removes {percent(1 - tested.value)} of the noise correlations of tested trials. Tested without them, the rank"
            f" of the right image changes by {number(change.value)} nats."
        )
    return (
        f"Shuffling removes {percent(1 - left.value)} of the noise correlations that the noise model learns from. A decoder that knows them is better than one that does not by {number(knowing.value)} nats of rank"
        f" ({number(knowing.low)} to {number(knowing.high)}; chance: {number(knowing.null_low)} to {number(knowing.null_high)})."
    )
