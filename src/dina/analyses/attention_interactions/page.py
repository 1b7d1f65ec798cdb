"""How neurons gate and read one another in a tower with attention, on the page."""

import xarray as xr

from dina.analyses.attention_interactions.drawing import draw_attention_interactions
from dina.figures.finding_table import finding_table
from dina.figures.parts import FigurePart, Section
from dina.figures.words import number, percent
from dina.statistics.finding import Finding

WORDS = {
    "asymmetry_P": "asymmetry of P (gate: product of both responses)",
    "asymmetry_Q": "asymmetry of Q (gate: response of the asking neuron)",
    "asymmetry_R": "asymmetry of R (gate: response of the asked neuron)",
    "asymmetry_T": "asymmetry of T (gate: whatever the responses)",
    "asymmetry_G": "asymmetry of G (read: response of the asked neuron)",
    "asymmetry_H": "asymmetry of H (read: whatever the response)",
}


def attention_interactions_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show the six matrices among the most attended neurons."""
    found = {finding.name: finding for finding in findings}
    n_shown, n_neurons = dataset.sizes["asking"], dataset.sizes["neuron"]
    attention = dataset["received_attention"].to_numpy()
    share = float(attention[dataset["asked"].to_numpy()].sum())
    known = [one for one in findings if one.value == one.value]
    outside = [one.name[-1] for one in known if one.low > one.null_high or one.high < one.null_low]
    one_sided = (
        f"{', '.join(outside)} differ" if len(outside) > 1 else f"{outside[0]} differs" if outside else "No matrix differs"
    )
    told = (
        f"{one_sided} in asymmetry from the same weights with the asked neurons permuted." if known else "No asymmetry is known."
    )
    part = FigurePart(
        "attention_interactions",
        draw_attention_interactions(dataset, found),
        f"Weights among the {n_shown:,} of {n_neurons:,} neurons that receive most attention in training trials ({percent(share)} of"
        " all attention), the most attended first. P, Q, R and T add up to how strongly one neuron (row) attends to another"
        " (column): weights for the product of their responses, for the response of either, and without any response. G and H are"
        " what it then reads from the other: in proportion to the other's response, and whatever that is. Blue weights are"
        " positive, orange ones negative; each matrix has colours of its own. Asymmetry: 0 if every pair acts both ways alike,"
        " 0.5 for unrelated directions, 1 if they are opposed.",
        told,
        finding_table("Asymmetry of the interaction matrices.", WORDS, found),
    )
    typical = ", ".join(f"{one.name[-1]} {number(one.value)}" for one in known)
    return Section(
        "attention-interactions",
        "How neurons gate and read one another",
        paragraphs=(
            "These are weights of the tower: they say what it computes from pairs of neurons. Whether decoding needs that, only an"
            f" intervention says. {told}" + (f" Asymmetries: {typical}." if typical else ""),
        ),
        figures=(part,),
        missing=tuple(dict.fromkeys(finding.reason for finding in findings if finding.reason)),
    )
