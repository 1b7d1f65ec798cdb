"""How neurons gate and read one another in a tower with attention, on the page."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from dina.analyses.attention_interactions.compute import MEANING
from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.finding_parts import finding_table, reasons
from dina.figures.finding_words import in_a_sentence
from dina.figures.parts import FigurePart, Section
from dina.figures.style import COLOURS
from dina.figures.words import percent
from dina.statistics.finding import Finding

TITLES = {
    "P": "P  both respond",
    "Q": "Q  attending responds",
    "R": "R  attended responds",
    "T": "T  no response",
    "G": "G  read, response",
    "H": "H  read, constant",
}
CUT = 99  # percentile of the size of weights at which colours end
WORDS = {f"asymmetry_{name}": f"asymmetry of {name} ({meaning})" for name, meaning in MEANING.items()}
ATTENTION_WORDS = {
    "ssim_all": "similarity of the neural map, all neurons, to the image's (SSIM)",
    "kept_attended_minus_random_ssim": "most attended kept less as many at random (SSIM, mean over sizes)",
    "attention_with_contribution": "rank correlation of attention with contribution",
}
SELECTIONS = {
    "kept": ("most attended kept", "dina", "-"),
    "discarded": ("most attended discarded", "rival", "-"),
    "random": ("as many kept at random", "reference", "-"),
}


def attention_interactions_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show the six matrices among the most attended neurons."""
    found = {finding.name: finding for finding in findings}
    n_shown, n_neurons = dataset.sizes["asking"], dataset.sizes["neuron"]
    attention = dataset["received_attention"].to_numpy()
    share = float(attention[dataset["asked"].to_numpy()].sum())
    known = [one for one in findings if one.value == one.value]
    outside = [one.name[-1] for one in known if one.low > one.null_high or one.high < one.null_low]
    who = f"{', '.join(outside)} differ" if len(outside) > 1 else f"{outside[0]} differs" if outside else "No matrix differs"
    words = (
        f"{who} in asymmetry from the same weights with the attended neurons permuted."
        if known
        else "No asymmetry could be computed."
    )
    part = FigurePart(
        "attention_interactions",
        _draw(dataset, found),
        f"Weights among the {n_shown:,} of {n_neurons:,} neurons that receive most attention in training trials ({percent(share)} of"
        " all attention), the most attended first. Together, P, Q, R and T determine how strongly one neuron (row) attends to"
        " another (column): P weights the product of both responses, Q the response of the attending neuron, R that of the attended"
        " neuron; T needs no response. G and H are what the attending neuron then reads: G in proportion to the response of the"
        " attended neuron, H whatever that response. Blue weights are"
        " positive, orange ones negative; each matrix has its own colour scale. Asymmetry: 0 if every pair acts equally in both directions,"
        " 0.5 for unrelated directions, 1 if they are opposed.",
        words,
        finding_table("Asymmetry of the interaction matrices.", WORDS, found),
    )
    typical = ", ".join(f"{one.name[-1]} {in_a_sentence(one, '')}" for one in known)
    paragraph = (
        "These are weights of the tower. They show what it computes from pairs of neurons; only an intervention can show whether"
        f" decoding needs this. {words}" + (f" Asymmetries: {typical}." if typical else "")
    )
    title, missing = "How neurons gate and read one another", reasons(WORDS, found)
    return Section("attention-interactions", title, (paragraph,), (part,), missing=missing)


@in_style
def _draw(dataset: xr.Dataset, found: Mapping[str, Finding]) -> Figure:
    """Draw the matrices, the most attended neuron first, each in its own colours, with the asymmetry below."""
    colours = LinearSegmentedColormap.from_list("signed", ["#a94c01", "#fefefe", "#0c60a6"])  # the same on dark paper
    figure = new_figure(180, 116)
    panels = figure.subplots(2, 3)
    n_shown = dataset.sizes["asking"]
    for axes, (name, words) in zip(panels.flat, TITLES.items(), strict=True):
        matrix = dataset[name].to_numpy()
        most = float(np.percentile(np.abs(matrix), CUT)) or 1.0
        norm = Normalize(-most, most)
        axes.imshow(matrix, cmap=colours, norm=norm, aspect="auto", interpolation="nearest",
                    extent=(0.5, n_shown + 0.5, n_shown + 0.5, 0.5))  # fmt: skip
        figure.colorbar(ScalarMappable(norm, colours), ax=axes, pad=0.03, extend="both", label="weight")
        axes.set_title(words, fontsize=8.5)
        one = found.get(f"asymmetry_{name}")
        if one is not None and np.isfinite(one.value):
            axes.set_xlabel(f"attended neuron\nasymmetry {one.value:.2f}")
        else:
            axes.set_xlabel("attended neuron")
        axes.set_ylabel("attending neuron")
    return figure


def attention_subsets_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show whether the most attended neurons make the map."""
    found = {finding.name: finding for finding in findings}
    difference, agreement = found["kept_attended_minus_random_ssim"], found["attention_with_contribution"]
    part = FigurePart(
        "attention_subsets",
        _draw_attention_subsets(dataset, found),
        "Structural similarity of neural maps to the maps of the images shown, when only the neurons that receive most attention"
        " respond and all others are at their mean, when these are at their mean, and for as many neurons at random (band: where one"
        " more draw would lie with a probability of 95\u202f%). Attention is that of training trials. Grey: all neurons, maps of"
        " other images.",
        f"Keeping attended instead of random neurons changes the similarity by {in_a_sentence(difference, '')}.",
        finding_table("Selection by attention.", ATTENTION_WORDS, found),
    )
    words = (
        "Neurons are kept or discarded by the attention they receive, as the published tower suggests; we do not know how the"
        " article selects them. Attention says how much a neuron is attended to, not what is read from it; its rank correlation"
        f" with contributions is {in_a_sentence(agreement, '')}."
    )
    return Section(
        "attention-subsets", "Neurons selected by attention", (words,), (part,), missing=reasons(ATTENTION_WORDS, found)
    )


@in_style
def _draw_attention_subsets(dataset: xr.Dataset, found: Mapping[str, Finding]) -> Figure:
    """Draw similarity of maps against the fraction of neurons selected by attention."""
    figure = new_figure(110, 72)
    axes = figure.add_subplot()
    share = 100 * dataset["fraction"].to_numpy()
    for name, (words, colour, line) in SELECTIONS.items():
        values = dataset["similarity"].sel(selection=name).to_numpy()
        axes.plot(share, values, line, color=COLOURS[colour][0], marker="o", markersize=3, label=words)
    axes.fill_between(share, dataset["random_low"], dataset["random_high"], color=COLOURS["reference"][0], alpha=0.2, linewidth=0)
    low, high = found["ssim_all"].null_low, found["ssim_all"].null_high
    if np.isfinite(low):
        axes.axhspan(low, high, color=COLOURS["chance"][0], alpha=0.18, linewidth=0, label="other images' maps")
    axes.set_xscale("log")
    axes.set_xticks([1, 2, 5, 10, 20, 50, 100], ["1", "2", "5", "10", "20", "50", "100"])
    axes.set_xticks([], minor=True)  # else labelled as powers where the axis is short
    axes.minorticks_off()
    axes.set(xlabel="neurons selected by attention (% of all, logarithmic)", ylabel="similarity to the image's map (SSIM)")
    figure.legend(loc="outside upper center", ncols=2)
    finish_axes(axes, "both")
    return figure
