"""How few neurons decoding needs, and whether the few are more than the strongest, on the page."""

import xarray as xr

from dina.analyses.sparse_subsets.drawing import draw_sparse_subsets
from dina.figures.finding_table import finding_table
from dina.figures.parts import FigurePart, Section
from dina.figures.words import interval, number, percent
from dina.statistics.finding import Finding

SEQUENCES = {
    "top": "best first",
    "random": "random",
    "snr_matched": "matched in signal-to-noise",
    "rate_matched": "matched in mean response",
}
FRACTIONS = {
    f"{word}_fraction_{name}": f"fraction of neurons for {share}\u202f% of the accuracy, {words}"
    for word, share in (("half", 50), ("most", 90))
    for name, words in SEQUENCES.items()
}
AREAS = {
    f"{head}top_minus_{name}_area": f"area, best less {words}{tail}"
    for head, tail in (("", ""), ("removal_", " (of what is left)"), ("silenced_", " (others silenced)"))
    for name, words in list(SEQUENCES.items())[1:]
}
SHARES = {
    "snr_explained_share": "share of the advantage explained by signal-to-noise",
    "rate_explained_share": "share of the advantage explained by mean response",
    "contribution_gini": "Gini coefficient of contributions",
    "gini_excess_over_equal": "its excess over equal contributions",
    "gini_excess_over_rates": "its excess over contributions as mean responses",
    "gini_excess_over_signal_to_noise": "its excess over contributions as signal-to-noise ratios",
    "contribution_treves_rolls": "Treves–Rolls sparseness of contributions",
    "treves_rolls_excess_over_equal": "its excess over equal contributions",
    "treves_rolls_excess_over_rates": "its excess over contributions as mean responses",
    "treves_rolls_excess_over_signal_to_noise": "its excess over contributions as signal-to-noise ratios",
}
WORDS = {"accuracy_full": "top-1 accuracy of all neurons", **FRACTIONS, **AREAS, **SHARES}


def sparse_subsets_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show accuracy by number of neurons for best, random and matched subsets."""
    found = {finding.name: finding for finding in findings}
    n_neurons, n_gallery = int(dataset["n_kept"].to_numpy()[-1]), int(dataset.attrs["n_gallery"])
    treatment = str(dataset["treatment"].to_numpy()[0])
    how = "removed from the decoder" if treatment == "removed" else "silenced at their mean response"
    top, random = found["half_fraction_top"], found["half_fraction_random"]
    part = FigurePart(
        "sparse_subsets",
        draw_sparse_subsets(dataset, found),
        f"Top-1 accuracy from subsets of {n_neurons:,} neurons among {n_gallery} test images, all others {how}. Neurons are"
        " ranked by what they contribute to decoding training images. Bands: where one more draw would lie with a probability of"
        " 95\u202f%. Matched: each of the best replaced by a neuron of about the same signal-to-noise ratio, or mean response. Below,"
        " left: area under the addition curves, where each doubling counts the same; right: how much more unequal contributions are"
        " than those of surrogate populations. Bars are 95\u202f% intervals over images, grey bands the null of each.",
        f"Half of the accuracy of all neurons needs {percent(top.value)} of them, best first, and {percent(random.value)} at random.",
        finding_table("Subsets of neurons.", WORDS, found),
    )
    return Section(
        "sparse-subsets",
        "How few neurons suffice",
        paragraphs=(_summary(found), _control(found)),
        figures=(part,),
        missing=tuple(dict.fromkeys(finding.reason for finding in findings if finding.reason)),
    )


def _summary(found: dict[str, Finding]) -> str:
    top, random = found["most_fraction_top"], found["most_fraction_random"]
    return (
        f"Ninety percent of the accuracy of all neurons is reached with {percent(top.value)} of the neurons, best first"
        f" ({interval(top.low, top.high)}), and with {percent(random.value)} drawn at random ({interval(random.low, random.high)})."
        " That few suffice says little by itself: it depends on how hard the gallery is."
    )


def _control(found: dict[str, Finding]) -> str:
    share = found["snr_explained_share"]
    if share.value != share.value:
        return (
            "How much of the advantage of the best neurons their signal-to-noise ratios explain cannot be told: " + share.reason
        )
    return (
        f"Neurons of the same signal-to-noise ratios, otherwise drawn at random, have {number(100 * share.value)}\u202f% of the"
        f" advantage that the best have over random ones ({interval(share.low, share.high)}). Only the rest belongs to what these"
        " neurons are tuned to."
    )
