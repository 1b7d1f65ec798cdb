"""Whether pairs of neurons carry more, or less, than the sum of both, on the page."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from dina.analyses.couplings.page import coupled_in_words
from dina.figures.canvas import finish_axes, in_style, new_figure, write_plain_numbers
from dina.figures.finding_parts import draw_dots, finding_table, reasons, write_across
from dina.figures.finding_words import in_a_sentence
from dina.figures.parts import FigurePart, Section
from dina.figures.style import COLOURS
from dina.figures.words import percent
from dina.statistics.finding import Finding

SUMMARY = {"summed_contributions": "noise of repeats", "decoder_summed_contributions": "noise of the decoder"}
DISCOVERY = 0.05
SUMS = (
    "sum of the contributions of single neurons relative to the information of all neurons together; 100\u202f%: neurons add up"
)
ADD_UP = "Neurons that add up reach 100\u202f%, those that replace each other less, those that need each other more."
# What it means to lie below, or above, the null of permuted noise.
OF_SUM = ("less than if noise is permuted", "more than if noise is permuted")
OF_PAIRS = ("so synergy prevails beyond its null", "so redundancy prevails beyond its null")
TESTED = dict.fromkeys(
    ("coupled_pairs_fraction", "interacting_pairs_fraction"),
    "none: each pair is tested, at most 5\u202f% of those found being false in expectation",
)
UNKNOWN_SUMS = "the sum of the contributions of single neurons, which is not known here"
PERMUTED = " Grey: the same with noise permuted, each neuron by itself."
SIZES = " a: how many of {} have an interaction that is larger in size than each value."
RELATIVE = (
    " Sizes are relative to the contributions of single neurons (their root mean square), observed and under the null each to its own. The"
    " table gives the root mean square of these sizes, less what the noise of the test images adds."
)
SIGNS = " Above zero, one neuron can replace the other; below zero, they need each other."
# Interactions → what they are divided by, colour, words.
CURVES = (
    ("null_interaction", "null_contribution_size", "chance", "null"),
    ("sampled_interaction", "contribution_size", "dina", "observed"),
)
MEASURES = {
    "interaction_size": "size of interactions relative to contributions",
    "net_interaction": "sum of interactions relative to contributions (negative: synergy)",
    "summed_contributions": "sum of contributions relative to the information of all neurons together (100\u202f%: additive)",
}
WORDS = {
    **MEASURES,
    "coupled_pairs_fraction": "pairs whose noise is coupled",
    "interacting_pairs_fraction": "pairs coupled and interacting",
    "coupled_pairs_interaction": "interaction of coupled pairs relative to contributions",
    **{f"decoder_{name}": f"{words}, noise of the decoder" for name, words in MEASURES.items()},
}


def functional_interactions_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show interactions of all pairs, the surest couplings, and whether neurons add up."""
    found = {finding.name: finding for finding in findings}
    removed = str(dataset.attrs["removal"]) == "removed"
    how = "removed from the decoder" if removed else "silenced at their mean response"
    summed = found["summed_contributions"] if removed else found["interaction_size"]
    summary = _summary(found, removed)
    is_sure = bool((dataset["coupling_p"].to_numpy() <= DISCOVERY).any())
    surest = "the pairs whose noise is most surely coupled;"
    marks = f"{surest} none significantly." if _has_couplings(dataset) else "couplings are not known here."
    if is_sure:
        marks = f"{surest} orange: significant, with an expected share of false findings of at most 5\u202f%, and 95\u202f% intervals over test images."
    part = FigurePart(
        "functional_interactions",
        _draw(dataset, found),
        f"Interaction: margin lost if both neurons are {how}, minus the sum of the margins lost if each is {how} alone; mean over"
        f" {summed.n} test images."
        f"{_sizes_in_words(dataset) if _are_known(dataset) else ' a: interactions of all pairs are not known here.'}"
        f"{PERMUTED if np.isfinite(dataset['null_interaction']).any() else ''} b: {marks}{SIGNS if _has_couplings(dataset) else ''} c: {SUMS if _summed(found) else UNKNOWN_SUMS}.",
        summary,
        finding_table("Interactions between neurons.", WORDS, found, WORDS, instead=TESTED),
    )
    words = (
        "Noise estimated from repeats shows interactions between neurons. The noise that the decoder fitted also contains errors of its"
        " image model. Many neurons share these errors, so neurons can look redundant without sharing noise."
    )
    title, missing = "Interactions between neurons", reasons(WORDS, found)
    return Section("functional-interactions", title, (summary, words), (part,), missing=missing)


def _summary(found: dict[str, Finding], removed: bool) -> str:
    size, net = found["interaction_size"], found["net_interaction"]
    if not removed:
        return f"A typical interaction of two silenced neurons is {in_a_sentence(size)} of a typical contribution."
    summed = found["summed_contributions"]
    if summed.value != summed.value:
        other = found["decoder_summed_contributions"]
        return f"With the noise that the decoder fitted, contributions sum to {in_a_sentence(other)} of the information of all neurons{_beside_null(other, *OF_SUM)}. {ADD_UP}"
    return (
        f"Contributions sum to {in_a_sentence(summed)} of the information of all neurons{_beside_null(summed, *OF_SUM)}."
        f" {ADD_UP} Another question is how neurons interact two at a time: over all pairs, redundancy minus synergy is"
        f" {in_a_sentence(net)} of the contributions{_beside_null(net, *OF_PAIRS)}. Redundancy that many"
        f" neurons share shows in the first number and hardly in pairs. {_interacting_in_words(found)}"
    )


def _beside_null(one: Finding, low: str, high: str) -> str:
    """Say on which side of its null a number lies.

    Examples
    --------
    >>> _beside_null(Finding("sum", 0.97, "1", 50, null_low=0.99, null_high=1.01, null="noise permuted"), "less than if noise is permuted", "")
    ', less than if noise is permuted'
    """
    if not one.null:
        return ""
    way = low if one.value < one.null_low else high if one.value > one.null_high else ""
    return f", {way or 'which is within its null'}"


def _interacting_in_words(found: dict[str, Finding]) -> str:
    """Say how many pairs of coupled noise interact in decoding, too; "How pairs of neurons vary together" says what coupled means."""
    coupled, interacting = (found[name] for name in ("coupled_pairs_fraction", "interacting_pairs_fraction"))
    if not coupled.value > 0:
        return coupled_in_words(coupled)
    share = percent(interacting.value / coupled.value)
    how_many = (
        f"{share} interact in decoding, too ({percent(interacting.value)} of all)"
        if interacting.value > 0
        else "none interact in decoding"
    )
    return f"Of the pairs whose noise is coupled ({percent(coupled.value)} of all), {how_many}."


@in_style
def _draw(dataset: xr.Dataset, found: Mapping[str, Finding]) -> Figure:
    """Draw how often interactions exceed a size, the coupled pairs, and the sum of contributions."""
    figure = new_figure(180, 70)
    first, second, third = figure.subplots(1, 3, width_ratios=[1.15, 1.15, 1.0])
    _draw_sizes(first, dataset)
    _draw_coupled(second, dataset)
    rows = _summed(found)
    draw_dots(third, rows, "sum of contributions\n(% of all)", 100)
    third.axvline(100, color=COLOURS["ink"][0], linewidth=0.8, zorder=1)
    ends = [
        100 * end for _, one in rows for end in (one.value, one.low, one.high, one.null_low, one.null_high) if np.isfinite(end)
    ]
    low, high = min([100.0, *ends]), max([100.0, *ends])
    room = 0.15 * (high - low) + 1
    third.set_xlim(low - room, high + room)  # the differences between sums near 100 % matter, not their distance from 0
    third.set_title("c  adding up")
    return figure


def _summed(found: Mapping[str, Finding]) -> list[tuple[str, Finding]]:
    """Return the sums of contributions that are known, with the noise that they come from in words."""
    return [(words, found[name]) for name, words in SUMMARY.items() if name in found and np.isfinite(found[name].value)]


def _draw_sizes(axes: Axes, dataset: xr.Dataset) -> None:
    """Draw the fraction of pairs beyond each size, of either sign, beside that of permuted noise."""
    smallest = np.inf
    for name, whole, colour, words in CURVES:
        size = np.sort(np.abs(dataset[name].to_numpy() / (dataset.attrs[whole] if _are_relative(dataset) else 1)))[::-1]
        size = size[np.isfinite(size) & (size > 0)]
        if not len(size):
            continue
        rank = np.unique(np.geomspace(1, len(size), 200).astype(int)) - 1
        axes.plot(size[rank], 100 * (rank + 1) / len(size), color=COLOURS[colour][0], label=words)
        smallest = min(smallest, float(size[int(0.95 * (len(size) - 1))]))
        axes.set(xscale="log", yscale="log")
        write_plain_numbers(axes.xaxis, axes.yaxis)
        axes.xaxis.set_major_locator(LogLocator(numticks=3))  # more would run into each other
    if axes.lines:
        axes.set_xlim(left=smallest)
        axes.legend(loc="lower left")
    else:
        words = "no pair interacts" if _are_known(dataset) else "not known"
        write_across(axes, words)
    axes.set(
        xlabel=f"size of interaction\n({'contribution of one neuron = 1' if _are_relative(dataset) else 'score'})",
        ylabel="pairs beyond it (%)",
        title=f"a  {_which_pairs(dataset)}",
    )
    finish_axes(axes, "both")


def _are_relative(dataset: xr.Dataset) -> bool:
    """Say whether sizes can be given relative to contributions: runs of earlier versions do not hold the size of those under the null."""
    return "contribution_size" in dataset.attrs


def _sizes_in_words(dataset: xr.Dataset) -> str:
    """Say which pairs are counted, and what their interactions are relative to."""
    return SIZES.format(_which_pairs(dataset)) + RELATIVE * _are_relative(dataset)


def _which_pairs(dataset: xr.Dataset) -> str:
    """Say whether all pairs of the neurons were examined or some that were drawn."""
    n_neurons = (
        len(np.unique(dataset["sampled_pairs"].to_numpy()))
        if np.isnan(dataset["contribution"]).any()
        else dataset.sizes["neuron"]
    )
    return "all pairs" if dataset.sizes["sampled"] == n_neurons * (n_neurons - 1) // 2 else "random pairs"


def _are_known(dataset: xr.Dataset) -> bool:
    """Say whether the interactions of the drawn pairs are known at all."""
    return bool(np.isfinite(dataset["sampled_interaction"].to_numpy()).any())


def _has_couplings(dataset: xr.Dataset) -> bool:
    """Say whether the coupling of any pair is known."""
    return bool(np.isfinite(dataset["coupling"].to_numpy()).any())


def _draw_coupled(axes: Axes, dataset: xr.Dataset) -> None:
    """Draw interaction against coupling, with intervals for significant couplings."""
    coupling, interaction = dataset["coupling"].to_numpy(), dataset["interaction"].to_numpy()
    if not np.isfinite(coupling * interaction).any():
        axes.set(title="b  surest couplings")
        write_across(axes, "not known")
        axes.set_axis_off()
        return
    sure = dataset["coupling_p"].to_numpy() <= DISCOVERY
    axes.axhline(0, color=COLOURS["ink"][0], linewidth=0.8, zorder=1)
    axes.plot(coupling[~sure], interaction[~sure], ".", color=COLOURS["chance"][0], markersize=2.5, zorder=2)
    low, high = dataset["interaction_low"].to_numpy()[sure], dataset["interaction_high"].to_numpy()[sure]
    axes.vlines(coupling[sure], low, high, color=COLOURS["rival"][0], linewidth=0.7, alpha=0.6, zorder=3)
    axes.plot(coupling[sure], interaction[sure], "o", color=COLOURS["rival"][0], markersize=2.8, zorder=4)
    axes.set(xlabel="coupling of noise\n(partial correlation)", ylabel="interaction (score)", title="b  surest couplings")
    for words, place, alignment in (("redundant", 0.98, "top"), ("synergistic", 0.02, "bottom")):
        axes.annotate(words, (0.02, place), xycoords="axes fraction", va=alignment, fontsize=7, color=COLOURS["muted"][0])
    finish_axes(axes, "both")
