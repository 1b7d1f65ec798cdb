"""Whether the geometry of the decoding is that of the population, on the page."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import leaves_list, linkage

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.caption_words import is_above_chance, over_whole, responses_words
from dina.figures.finding_parts import draw_dots, finding_table, reasons, write_across
from dina.figures.finding_words import in_a_sentence
from dina.figures.parts import FigurePart, Section
from dina.figures.style import COLOURS
from dina.figures.words import percent
from dina.statistics.finding import Finding
from dina.statistics.geometry import MEASURES

MEASURE_WORDS = {"rsa": "dissimilarities (RSA)", "cka": "kernel alignment (CKA)", "subspace": "principal subspaces"}
WORDS = {
    "accuracy_full": "top-1 accuracy of all neurons",
    **{
        f"{head}_{measure}": f"{words}: {MEASURE_WORDS[measure]}"
        for head, words in {
            "kept_without_top": "share of the geometry without the top tenth, corrected for noise",
            "kept_without_snr_matched": "the same without as many neurons of equal signal-to-noise",
            "kept_without_rate_matched": "the same without as many neurons of equal mean response",
            "corrected_top_with_all": "top tenth with all neurons, corrected for noise",
            "corrected_top_with_others": "top tenth with all others, corrected for noise",
            "top_with_all": "top tenth with all neurons, as measured",
            "others_with_all": "all others with all neurons, as measured",
            "top_with_others": "top tenth with all others, as measured",
            "reliability": "all neurons, one half of the repeats with the other",
        }.items()
        for measure in MEASURES
    },
    "overlap_snr_matched": "neurons of equal signal-to-noise that are in the top tenth themselves",
    "overlap_rate_matched": "neurons of equal mean response that are in the top tenth themselves",
}
KEPT = [name for name in WORDS if name.startswith("kept")]
SHARES = [name for name in WORDS if name.startswith(("accuracy", "kept", "overlap"))]
# Sequence → words, colour, line.
CURVES = {
    "top": ("best first", "dina", "-"),
    "snr_matched": ("matched in signal-to-noise", "rival", "-"),
    "random": ("random", "muted", "-"),
}
# Comparison → title, end of the finding at a tenth.
PANELS = {
    "rest_all": ("a  others with all", ""),
    "part_all": ("b  part with all", "corrected_top_with_all_rsa"),
    "part_rest": ("c  part with others", "corrected_top_with_others_rsa"),
}
MATRICES = {"all": "d  all neurons", "top": "e  top tenth", "others": "f  all others"}
INTERVALS = " Bars at a tenth: 95\u202f% intervals over images."
HALVES = (
    " Two halves: the geometry of all neurons in one half of the repeats, with the other half. It shares no trial and has half of them, so its"
    " noise is larger. The other rows are of averages over all repeats, and their noise is that of the same trials, so they may lie above it."
)
LEFT = (
    " b: the share of the geometry of all neurons that is left without a tenth of them, corrected for noise; grey: without a random"
    " tenth."
)
LEFT_WITHOUT = {
    "kept_without_top": "top",
    "kept_without_snr_matched": "equal s/n",
    "kept_without_rate_matched": "equal mean",
}
TITLE = "Is the geometry that of the population?"


def representative_geometry_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show whether the top contributors make another geometry than the other neurons."""
    found = {finding.name: finding for finding in findings}
    accuracy = found["accuracy_full"]
    n_neurons, n_tenth, n_images = (int(dataset.attrs[name]) for name in ("n_neurons", "n_tenth", "n_images"))
    is_corrected = bool(np.isfinite(found["kept_without_top_rsa"].value))
    how = "corrected for noise" if is_corrected else "as measured, noise included"
    geometry = FigurePart(
        "representative_geometry",
        _draw_geometry(dataset, found, is_corrected),
        f"How alike the geometries of {n_images} test images are (correlation of dissimilarities, {how}), by the share of the"
        f" {n_neurons:,} neurons in a part. a: all neurons outside the part, with all neurons. b: the part, with all. c: the part,"
        " with all others. Neurons are ranked by their contribution to decoding training images."
        f"{_drawn_again(dataset, 'corrected' if is_corrected else 'measured')}"
        f"{INTERVALS if is_corrected else ''} d to f: dissimilarities of all pairs of"
        f" images, {responses_words(dataset)}, images in one order; top tenth: the {n_tenth:,} neurons that contribute most. Dark: similar; each has a scale of its own, from its 2\u202f% to its 98\u202f% quantile.",
        _summary(found),
        finding_table(
            "Geometries of the top tenth of the neurons, of all others, and of all.",
            {name: words for name, words in WORDS.items() if name not in KEPT},
            found,
            SHARES,
        ),
    )
    measures = FigurePart(
        "representative_measures",
        _draw_measures(found),
        f"Three measures of the similarity of geometries: correlation of the dissimilarities of image pairs (RSA), centred kernel alignment (CKA),"
        f" and overlap of the principal subspaces. a: as measured, from {responses_words(dataset)}; grey: images of one geometry"
        f" permuted.{HALVES if _known(found, 'reliability') else ''}{LEFT if _known(found, *LEFT_WITHOUT) else ' b: not known here.'}"
        " Bars: 95\u202f% intervals over images.",
        _agreement(found),
        finding_table("What is left without a tenth of the neurons.", {name: WORDS[name] for name in KEPT}, found, SHARES),
    )
    if not is_above_chance(accuracy):
        words = f"All neurons together decode no better than chance: {in_a_sentence(accuracy)}. What follows is the geometry of no decoding."
    else:
        words = (
            "Similarities between images, as a decoder sees them, can rest on a few neurons that are unlike all others. So the map"
            " made by the tenth of the neurons that contributes most is compared with that of all others. A map describes each"
            f" response by its scores with {int(dataset.attrs['n_reference'])} training images."
        )
    missing = reasons(WORDS, found)
    return Section("representative-geometry", TITLE, (words, _summary(found)), (geometry, measures), missing=missing)


def _known(found: Mapping[str, Finding], *heads: str) -> bool:
    """Say whether a statistic has a number by any measure."""
    return any(np.isfinite(found[f"{head}_{measure}"].value) for head in heads for measure in MEASURES)


def _drawn_again(dataset: xr.Dataset, name: str) -> str:
    """Say where further draws of random and matched parts would lie, as far as they are drawn."""
    ends = dataset[f"{name}_low"].sel(measure="rsa")
    known = {one for one in ends["sequence"].to_numpy() if np.isfinite(ends.sel(sequence=one)).any()}
    places = {"random": "in the band (random)", "snr_matched": "between the thin lines (matched)"}
    where = [words for one, words in places.items() if one in known]
    if not where:
        return ""
    return f" 95 of 100 further draws would lie {' or '.join(where)}; none is shown where noise hides a geometry in some draw."


def _summary(found: Mapping[str, Finding]) -> str:
    kept, matched, overlap = (
        found[name] for name in ("kept_without_top_rsa", "kept_without_snr_matched_rsa", "overlap_snr_matched")
    )
    if not np.isfinite(kept.value):
        return f"It is not known how much of the geometry is left without the top tenth of the neurons: {kept.reason}"
    words = (
        "Without the tenth of the neurons that contributes most, the others have"
        f" {in_a_sentence(kept)} of the geometry of all neurons, corrected for noise."
    )
    if np.isfinite(matched.value):
        words += (
            f" Without as many neurons of equal signal-to-noise ratio, of which {percent(overlap.value)} are the same neurons, they"
            f" have {in_a_sentence(matched)}."
        )
    return words + over_whole("Noise is corrected for on average only", kept, matched)


def _agreement(found: Mapping[str, Finding]) -> str:
    known = [(words, found[f"kept_without_top_{name}"]) for name, words in MEASURE_WORDS.items()]
    known = [(words, one) for words, one in known if np.isfinite(one.value)]
    if not known:
        return "What is left without the top tenth of the neurons is not known."
    return f"What is left without the top tenth of the neurons: {', '.join(f'{in_a_sentence(one)} by {words}' for words, one in known)}."


@in_style
def _draw_geometry(dataset: xr.Dataset, found: Mapping[str, Finding], is_corrected: bool) -> Figure:
    """Draw similarity by size of the part, and the dissimilarities of all pairs of images."""
    figure = new_figure(180, 122)
    grid = figure.add_gridspec(2, 3, height_ratios=[1.0, 1.0])
    values = dataset.sel(measure="rsa")
    name = "corrected" if is_corrected else "measured"
    for column, (comparison, (title, end)) in enumerate(PANELS.items()):
        axes = figure.add_subplot(grid[0, column])
        _draw_curves(axes, values.sel(comparison=comparison), name)
        one = found.get(end)
        if is_corrected and one is not None and np.isfinite(one.low):
            axes.plot([10, 10], [one.low, one.high], color=COLOURS["dina"][0], linewidth=1.4, solid_capstyle="butt")
        axes.set_title(title)
        label = "neurons left out" if comparison == "rest_all" else "neurons in the part"
        axes.set_xlabel(f"{label} (% of all)")
        if not column:
            axes.set_ylabel("similarity of geometries")
            handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, columnspacing=1.2, handlelength=1.8)
    pairs = dataset["dissimilarity"]
    order = _order(pairs.sel(group="all").to_numpy())
    for column, (group, title) in enumerate(MATRICES.items()):
        axes = figure.add_subplot(grid[1, column])
        matrix = pairs.sel(group=group).to_numpy()[np.ix_(order, order)]
        np.fill_diagonal(matrix, np.nan)  # an image with itself says nothing
        low, high = np.nanpercentile(matrix, [2, 98]) if np.isfinite(matrix).any() else (0.0, 1.0)
        axes.imshow(matrix, cmap="cividis", vmin=low, vmax=max(high, low + 1e-12), interpolation="nearest")
        axes.set(title=title, xticks=[], yticks=[], xlabel="test image")
        if not column:
            axes.set_ylabel("test image")
    return figure


def _draw_curves(axes: Axes, values: xr.Dataset, name: str) -> None:
    share = 100 * values["part"].to_numpy()
    for sequence, (words, colour, line) in CURVES.items():
        if sequence not in values["sequence"]:
            continue
        one, shade = values.sel(sequence=sequence), COLOURS[colour][0]
        axes.plot(share, one[name], line, color=shade, marker="o", markersize=2.5, label=words)
        low, high = one[f"{name}_low"].to_numpy(), one[f"{name}_high"].to_numpy()
        if sequence == "random":
            axes.fill_between(share, low, high, color=COLOURS["chance"][0], alpha=0.2, linewidth=0)
        elif sequence != "top":
            for edge in (low, high):
                axes.plot(share, edge, color=shade, linewidth=0.5)
    axes.axhline(0, color=COLOURS["muted"][0], linewidth=0.6)
    axes.set_xscale("log")
    axes.set_xticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    axes.set_xticks([], minor=True)
    axes.minorticks_off()
    axes.set(xlim=(0.9 * share[0], 56), ylim=(-0.25, 1.25))
    finish_axes(axes, "both")


def _order(dissimilarity: np.ndarray) -> np.ndarray:
    """Return the images in an order in which similar ones lie together."""
    if not np.isfinite(dissimilarity).all():
        return np.arange(len(dissimilarity))
    above = np.triu_indices(len(dissimilarity), 1)
    return np.asarray(leaves_list(linkage(dissimilarity[above] - dissimilarity[above].min(), "average")))


@in_style
def _draw_measures(found: Mapping[str, Finding]) -> Figure:
    """Draw what is measured beside what two halves of the repeats share, and what is left without a tenth."""
    figure = new_figure(180, 74)
    first, second = figure.subplots(1, 2, width_ratios=[1.0, 1.0])
    short = {"rsa": "RSA", "cka": "CKA", "subspace": "subspaces"}
    measured = {"others_with_all": "others, all", "top_with_all": "top, all", "top_with_others": "top, others"}
    measured |= {"reliability": "two halves"}
    rows = [(f"{short[m]}: {words}", found[f"{head}_{m}"]) for m in MEASURES for head, words in measured.items()]
    draw_dots(first, [(words, one) for words, one in rows if np.isfinite(one.value)], "similarity")
    first.set_title("a  as measured")
    rows = [(f"{short[m]}: {words}", found[f"{head}_{m}"]) for m in MEASURES for head, words in LEFT_WITHOUT.items()]
    draw_dots(second, [(words, one) for words, one in rows if np.isfinite(one.value)], "share of the geometry left (%)", 100)
    second.set_title("b  without a tenth")
    if not _known(found, *LEFT_WITHOUT):
        second.clear()
        write_across(second, "not known")
        second.set(title="b  without a tenth")
        second.set_axis_off()
    return figure
