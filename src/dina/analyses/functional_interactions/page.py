"""Whether pairs of neurons carry more, or less, than the sum of both, on the page."""

import xarray as xr

from dina.analyses.functional_interactions.drawing import draw_functional_interactions
from dina.figures.finding_table import finding_table
from dina.figures.parts import FigurePart, Section
from dina.figures.words import number, percent
from dina.statistics.finding import Finding

MEASURES = {
    "interaction_size": "size of interactions relative to contributions",
    "net_interaction": "sum of interactions relative to contributions (negative: synergy)",
    "summed_contributions": "sum of contributions relative to what all carry (1: additive)",
}
WORDS = {
    **MEASURES,
    "coupled_pairs_fraction": "fraction of pairs whose noise is coupled",
    "interacting_pairs_fraction": "fraction of pairs coupled and interacting",
    "coupled_pairs_interaction": "interaction of coupled pairs relative to contributions",
    **{f"decoder_{name}": f"{words}, noise of the decoder" for name, words in MEASURES.items()},
}


def functional_interactions_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show interactions of all pairs, the surest couplings, and whether neurons add up."""
    found = {finding.name: finding for finding in findings}
    removed = str(dataset.attrs["removal"]) == "removed"
    how = "removed from the decoder" if removed else "silenced at their mean response"
    summed = found["summed_contributions"] if removed else found["interaction_size"]
    told = _told(found, removed)
    part = FigurePart(
        "functional_interactions",
        draw_functional_interactions(dataset, found),
        f"Interaction: margin lost with two neurons {how}, less the sum of what each alone takes; mean over {summed.n} test images."
        " a: fraction of randomly drawn pairs whose interaction is larger in size than each value, and the same with noise permuted,"
        " each neuron by itself. b: the surest couplings; orange: beyond doubt at a false discovery rate of 5\u202f%, with 95\u202f%"
        " intervals over test images. Above zero one neuron can stand in for the other; below they need each other. c: sum of all"
        " single contributions relative to what all neurons carry together; 1: neurons add up.",
        told,
        finding_table("Interactions between neurons.", WORDS, found),
    )
    return Section(
        "functional-interactions",
        "Interactions between neurons",
        paragraphs=(
            told,
            "Noise from repeats shows interactions of neurons; noise as the decoder fitted it also holds what its image model gets"
            " wrong for many neurons at once, in which they look redundant without sharing any noise.",
        ),
        figures=(part,),
        missing=tuple(dict.fromkeys(finding.reason for finding in findings if finding.reason)),
    )


def _told(found: dict[str, Finding], removed: bool) -> str:
    size, net = found["interaction_size"], found["net_interaction"]
    if not removed:
        return f"A typical interaction of two silenced neurons is {percent(size.value)} of a typical contribution."
    coupled, summed = found["coupled_pairs_fraction"], found["summed_contributions"]
    if summed.value != summed.value:
        other = found["decoder_summed_contributions"]
        return f"With the noise as the decoder fitted it, contributions sum to {number(other.value)} of what all neurons carry."
    beyond = "redundancy prevails" if net.value > net.null_high else "synergy prevails" if net.value < net.null_low else ""
    kind = beyond or "neither redundancy nor synergy prevails beyond chance"
    return (
        f"Contributions sum to {number(summed.value)} of what all neurons carry (permuted noise: {number(summed.null_low)} to"
        f" {number(summed.null_high)}); over all pairs {kind}. The noise of {percent(coupled.value)} of the pairs is"
        f" coupled beyond doubt; {percent(found['interacting_pairs_fraction'].value)} also interact in what they tell."
    )
