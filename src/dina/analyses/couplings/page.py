"""How pairs of neurons vary together, on the page."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.finding_parts import draw_dots, finding_table, reasons, write_across
from dina.figures.finding_words import in_a_sentence
from dina.figures.parts import FigurePart, Section
from dina.figures.style import COLOURS
from dina.figures.words import percent
from dina.statistics.finding import Finding

MEASURES = {
    "noise_correlation": ("noise correlation", "dina", "o"),
    "signal_correlation": ("signal correlation", "rival", "s"),
    "coupling": ("coupling", "reference", "^"),
}
WORDS = {
    "noise_correlation_mean": "mean noise correlation",
    "signal_correlation_mean": "mean signal correlation",
    "signal_noise_agreement": "correlation of the two over pairs, from different images",
    "coupled_pairs_fraction": "pairs with significantly coupled noise",
    "noise_correlation_near_minus_far": "noise correlation, near minus far",
    "signal_correlation_near_minus_far": "signal correlation, near minus far",
    "coupling_near_minus_far": "coupling, near minus far",
    "coupled_signal_correlation": "mean signal correlation of coupled pairs",
    "possible_duplicates_fraction": "neurons that are possible duplicate ROIs",
}
TESTED = {"coupled_pairs_fraction": "none: each pair is tested, at most 5\u202f% of those found being false in expectation"}


def couplings_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show correlations of pairs of neurons against distance and against each other."""
    found = {finding.name: finding for finding in findings}
    mean, coupled, agreement = (
        found[name] for name in ("noise_correlation_mean", "coupled_pairs_fraction", "signal_noise_agreement")
    )
    summary = f"The mean noise correlation is {in_a_sentence(mean, '')}. {coupled_in_words(coupled)}"
    if agreement.value == agreement.value:
        summary += f" Over pairs, noise and signal correlations correlate by {in_a_sentence(agreement, '')}."
    where = ""
    if dataset.sizes["bin"]:
        where = (
            f" a: means over pairs by distance. {_nearest_in_words(dataset)} b: each dot is a pair: noise correlation from one half of the"
            " images, signal correlation from the other; line: the mean noise correlation in this half. c: nearest quarter minus farthest quarter of the"
            " remaining pairs; grey: positions permuted over neurons."
        )
    part = FigurePart(
        "couplings",
        _draw(dataset, found),
        f"Pairs of {mean.n} neurons in training images. Noise correlation: between differences of repeats. Signal correlation:"
        f" between tuning, from different repeats. Coupling: partial correlation of noise given all other neurons.{where} Bars: 95\u202f%"
        " intervals over neurons.",
        summary,
        finding_table(
            "Correlations of pairs of neurons.",
            WORDS,
            found,
            [name for name in WORDS if name.endswith("fraction")],
            instead=TESTED,
        ),
    )
    return Section("couplings", "How pairs of neurons vary together", (summary,), (part,), missing=reasons(WORDS, found))


def coupled_in_words(coupled: Finding) -> str:
    r"""Say how many pairs have coupled noise.

    Examples
    --------
    >>> coupled_in_words(Finding("coupled_pairs_fraction", 0.0, "1", 80))
    'No pair has significantly coupled noise, given all other neurons.'
    """
    if coupled.value == 0:
        return "No pair has significantly coupled noise, given all other neurons."
    if coupled.value != coupled.value:
        return f"It is not known how many pairs have coupled noise: {coupled.reason}"
    return (
        f"The noise of {percent(coupled.value)} of the pairs is significantly coupled, given all other neurons (at most 5\u202f% of"
        " these are expected to be false)."
    )


def _nearest_in_words(dataset: xr.Dataset) -> str:
    """Say what became of the nearest pairs, which may be one neuron found twice."""
    nearest = float(dataset["distance_edges"][1])
    found = dataset["by_distance"].sel(measure=list(MEASURES)).to_numpy()
    if not np.isfinite(found[:, 0]).any():
        return f"No pair is less than {nearest:g} µm apart."
    bottom, top = _reach(found)
    is_cut = (found[:, 0, 1] < bottom).any() or (found[:, 0, 2] > top).any()
    return (
        f"Grey, at the left (hollow marks): pairs less than {nearest:g} µm apart. Under a microscope these share neuropil and may be one neuron found twice,"
        f" so everything else leaves them out.{' Arrowheads: the interval continues.' if is_cut else ''}"
    )


@in_style
def _draw(dataset: xr.Dataset, found: Mapping[str, Finding]) -> Figure:
    """Draw the measures against distance, noise against signal correlation, and near minus far with permuted positions."""
    figure = new_figure(180, 72)
    has_distance = dataset.sizes["bin"] > 0
    panels = figure.subplots(1, 3 if has_distance else 1, squeeze=False)[0]
    if has_distance:
        _draw_distance(panels[0], dataset)
    _draw_agreement(panels[1 if has_distance else 0], dataset)
    if has_distance:
        rows = [(words, found[f"{name}_near_minus_far"]) for name, (words, _, _) in MEASURES.items()]
        looks = [(colour, marker) for _, colour, marker in MEASURES.values()]
        draw_dots(panels[2], rows, "nearest − farthest\nquarter", looks=looks)
        panels[2].set_title("c  near − far")
        figure.legend(loc="outside upper left", ncols=3, fontsize=7.5)
    return figure


def _draw_distance(axes: Axes, dataset: xr.Dataset) -> None:
    edges, found = dataset["distance_edges"].to_numpy(), dataset["by_distance"].sel(measure=list(MEASURES)).to_numpy()
    middle = (edges[:-1] + edges[1:]) / 2
    width = 1.06 * middle[-1]
    bottom, top = _reach(found)
    for row, (words, colour, marker) in enumerate(MEASURES.values()):
        mean, low, high = found[row].T
        shown = np.isfinite(mean)
        shade = COLOURS[colour][0]
        place = np.append(width * (0.015 * row + 0.012), middle[1:])  # the nearest beside one another, before the others
        axes.vlines(place[shown], np.maximum(low, bottom)[shown], np.minimum(high, top)[shown], color=shade, linewidth=0.8)
        axes.plot(place[1:], mean[1:], color=shade, marker=marker, markersize=3.2, label=words)
        axes.plot(place[:1], mean[:1], marker, color=shade, markersize=3.2, markerfacecolor=COLOURS["paper"][0])
        for end, is_cut, tip in ((top, high[0] > top, "^"), (bottom, low[0] < bottom, "v")):
            if is_cut:
                axes.plot(place[0], end, tip, color=shade, markersize=3.0, markeredgewidth=0)
    axes.axvspan(0, 0.055 * width, color=COLOURS["grid"][0], alpha=0.7, linewidth=0)
    axes.axhline(0, color=COLOURS["ink"][0], linewidth=0.8, zorder=1)
    axes.set_ylim(bottom - 0.05 * (top - bottom), top + 0.05 * (top - bottom))
    axes.set(xlim=(0, width), xlabel="distance (µm)", ylabel="mean over pairs", title="a  distance")
    finish_axes(axes, "y")


def _reach(found: np.ndarray) -> tuple[float, float]:
    """Return how far intervals are drawn: those of the few nearest pairs at most twice as far as all others."""
    others = np.append(found[:, 1:].ravel(), [0.0, *found[:, 0, 0]])
    low, high = float(np.nanmin(others)), float(np.nanmax(others))
    nearest = found[:, 0][np.isfinite(found[:, 0])]
    span = high - low
    return max(min([low, *nearest]), low - span / 2), min(max([high, *nearest]), high + span / 2)


def _draw_agreement(axes: Axes, dataset: xr.Dataset) -> None:
    """Draw pairs as dots, both correlations from different images."""
    signal, noise = (dataset[name].to_numpy() for name in ("signal_correlation_of_other_half", "noise_correlation_of_half"))
    known = np.isfinite(signal) & np.isfinite(noise)
    signal, noise = signal[known], noise[known]
    axes.set(
        xlabel="signal correlation,\none half of images", ylabel="noise correlation,\nother half", title="b  tuning and noise"
    )
    if not len(signal):
        write_across(axes, "not known")
        return
    x, y = (np.quantile(values, [0.002, 0.998]) for values in (signal, noise))
    axes.plot(signal, noise, ".", color=COLOURS["chance"][0], markersize=1.0, alpha=0.25, rasterized=True)
    axes.set_xlim(*x)
    axes.set_ylim(*y)
    axes.axhline(float(noise.mean()), color=COLOURS["muted"][0], linewidth=0.8)
    axes.set_title("b  tuning and noise")
    finish_axes(axes, "both")
