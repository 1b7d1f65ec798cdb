"""How few neurons decoding needs, which they are, and whether towers fitted on them alone do as well, on the page."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dina.figures.canvas import CHANCE_LINE, finish_axes, in_style, new_figure, write_plain_numbers
from dina.figures.caption_words import SAME_GALLERY, is_above_chance, over_whole
from dina.figures.finding_parts import draw_dots, finding_table, reasons
from dina.figures.finding_words import in_a_sentence, inside_null
from dina.figures.line_names import name_lines
from dina.figures.parts import FigurePart, Section
from dina.figures.style import COLOURS, QUERIES
from dina.figures.words import number, percent
from dina.statistics.finding import Finding

Line = str | tuple[float, tuple[float, ...]]

# Sequence → words, colour, line.
CURVES: dict[str, tuple[str, str, Line]] = {
    "top": ("best first", "dina", "-"),
    "snr_matched": ("matched in signal-to-noise", "rival", "-"),
    "rate_matched": ("matched in mean response", "reference", (0.0, (4.0, 1.5))),
    "random": ("random", "muted", "-"),
    "bottom": ("worst first", "ink", (0.0, (1.0, 1.2))),
}
# Sequence → words in the table, and in the figure.
COMPARED = {
    "random": ("random", "best − random"),
    "snr_matched": ("matched in signal-to-noise", "best − matched in s/n"),
    "rate_matched": ("matched in mean response", "best − matched in mean"),
}
# Surrogate → words in the figure, and in the table.
EXCESS = {
    "equal": ("over equal contributions", "over equal contributions"),
    "rates": ("over mean responses", "over contributions as mean responses"),
    "signal_to_noise": ("over signal-to-noise", "over contributions as signal-to-noise ratios"),
}
SPARSE_WORDS = {
    "accuracy_full": "top-1 accuracy of all neurons",
    **{
        f"{word}_fraction_{name}": f"neurons for {share}\u202f% of the accuracy, {words}"
        for word, share in (("half", 50), ("most", 90))
        for name, words in {"top": "best first", **{name: words for name, (words, _) in COMPARED.items()}}.items()
    },
    **{
        f"{head}top_minus_{name}_area": f"area, best minus {words}{tail}"
        for head, tail in (("", ""), ("removal_", " (of the remaining neurons)"), ("silenced_", " (others silenced)"))
        for name, (words, _) in COMPARED.items()
    },
    "snr_explained_share": "share of the advantage explained by signal-to-noise",
    "rate_explained_share": "share of the advantage explained by mean response",
    **{
        name: words
        for measure, title in (("gini", "Gini coefficient"), ("treves_rolls", "Treves–Rolls sparseness"))
        for name, words in {
            f"contribution_{measure}": f"{title} of contributions",
            **{
                f"{measure}_excess_over_{name}": f"excess of the {title} of contributions {words}"
                for name, (_, words) in EXCESS.items()
            },
        }.items()
    },
}
ROUNDED = (
    "Scores have double precision here. Where images fit equally well but for rounding, as near-identical ones do, the accuracy of"
    " all neurons may therefore differ a little from that in the table of all decoders."
)
MATCHED = {"snr_matched": "signal-to-noise ratio", "rate_matched": "mean response"}
# Said only where they are missing.
SILENCED = {"silenced_snr_explained_share": "share of the advantage explained by signal-to-noise (others silenced)"}
CURVES_POINTS = 165  # height of the curves, about
# Neurons on which towers were fitted → words.
FITTED = {"top": "best", "random": "random", "bottom": "worst"}


MATCHED_BETTER = "Such neurons can by luck do better than the best ones"


def sparse_subsets_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show accuracy by number of neurons for best, random and matched subsets."""
    found = {finding.name: finding for finding in findings}
    n_neurons, n_gallery = int(dataset["n_kept"].to_numpy()[-1]), int(dataset.attrs["n_gallery"])
    title, full = "How few neurons suffice", found["accuracy_full"]
    if not is_above_chance(full):
        return Section(
            "sparse-subsets", title, missing=(f"All neurons together decode no better than chance: {in_a_sentence(full)}.",)
        )
    queries = QUERIES.get(str(dataset.attrs.get("queries")), "queries")
    sequences = [name for name in MATCHED if name in dataset["sequence"]]
    matched = f" Matched: each of the best replaced by a neuron of about the same {', or '.join(MATCHED[n] for n in sequences)}."
    statistics = {**SPARSE_WORDS, "accuracy_full": f"top-1 accuracy of all neurons, {queries}"}
    treatment = str(dataset["treatment"].to_numpy()[0])
    how = "removed from the decoder" if treatment == "removed" else "silenced at their mean response"
    top, random = found["half_fraction_top"], found["half_fraction_random"]
    part = FigurePart(
        "sparse_subsets",
        _draw_sparse_subsets(dataset, found),
        f"Top-1 accuracy of {queries} from subsets of {n_neurons:,} neurons among {n_gallery} test images, all others {how}. Neurons are"
        " ranked by their contribution to decoding training images. Random and matched neurons are drawn several times; 95 of 100 further draws"
        f" would lie in the band (random) or between the thin lines (matched).{matched if sequences else ''} Dotted: worst first; dotted across: 50 and 90\u202f% of the accuracy of all. Below,"
        " left: area under the addition curves, where each doubling counts the same; right: how much more unequal contributions are"
        " than those of surrogate populations (Gini coefficient: 0 if all neurons contribute the same, near 1 if one contributes all). Bars are 95\u202f% intervals over images, grey bands the null of each."
        f" {SAME_GALLERY}",
        f"Half of the accuracy of all neurons needs {percent(top.value)} of them, best first, and {percent(random.value)} at random.",
        finding_table(
            "Subsets of neurons. Areas are mean accuracies over subsets of growing size.",
            statistics,
            found,
            [name for name in SPARSE_WORDS if name == "accuracy_full" or "fraction" in name or name.endswith("share")],
            [name for name in SPARSE_WORDS if name.endswith("area")],
        ),
    )
    words = (_summary(found, queries), _control(found))
    return Section("sparse-subsets", title, words, (part,), missing=reasons(statistics | SILENCED, found))


def _summary(found: dict[str, Finding], queries: str) -> str:
    top, random = found["most_fraction_top"], found["most_fraction_random"]
    return (
        f"All neurons reach a top-1 accuracy of {in_a_sentence(found['accuracy_full'])} with {queries} among {found['accuracy_full'].n:,} test images. Ninety percent of it is reached with {in_a_sentence(top)} of the neurons, best first,"
        f" and with {in_a_sentence(random)} drawn at random.{' The first of these lies inside its null.' if inside_null(top) else ''}"
        f" {ROUNDED} These numbers alone say little, because they depend on how similar the images of the gallery are."
    )


def _control(found: dict[str, Finding]) -> str:
    share = found["snr_explained_share"]
    if share.value != share.value:
        return (
            f"It is not known how much of the advantage of the best neurons their signal-to-noise ratios explain: {share.reason}"
        )
    return (
        f"Neurons of the same signal-to-noise ratios, otherwise drawn at random, have {in_a_sentence(share)} of the"
        f" advantage of the best neurons over random ones.{over_whole(MATCHED_BETTER, share)}{_rest(share)}"
    )


def _rest(share: Finding) -> str:
    """Say what of the advantage is left to tuning, if its interval leaves anything."""
    if share.high < 1:
        return " The rest may come from tuning, or from anything else in which the best neurons differ."
    return " This may be the whole advantage, so it is not certain that any of it comes from tuning."


@in_style
def _draw_sparse_subsets(dataset: xr.Dataset, found: Mapping[str, Finding]) -> Figure:
    """Draw addition and removal curves of the first treatment, and by how much contributions exceed surrogates."""
    one = dataset.isel(treatment=0)
    kept = one["n_kept"].to_numpy().astype(float)
    n_neurons = kept[-1]
    figure = new_figure(180, 118)
    grid = figure.add_gridspec(2, 2, height_ratios=[2.1, 1.0])
    added, removed = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1])
    for name, (words, colour, line) in CURVES.items():
        if name not in one["sequence"]:
            continue
        _draw_curve(added, one.sel(sequence=name), kept, (words, COLOURS[colour][0], line))
        left = {"top": "bottom", "bottom": "top", "random": "random"}.get(name, f"{name}_bottom")
        _draw_curve(removed, one.sel(sequence=left), n_neurons - kept, (words, COLOURS[colour][0], line))
    added.set_xscale("log")
    for axes, label in ((added, "neurons kept (logarithmic)"), (removed, "neurons left out")):
        _finish(axes, label, int(dataset.attrs["n_gallery"]))
    full, chance = 100 * float(one["accuracy"].sel(sequence="top").to_numpy()[-1]), 100 / int(dataset.attrs["n_gallery"])
    named = [(chance, "chance", COLOURS["chance"][0])]
    name_lines(removed, named, CURVES_POINTS, 7)
    for share in (0.5, 0.9):
        added.axhline(share * full, color=COLOURS["muted"][0], linewidth=0.6, linestyle=(0, (1, 2)))
        named.append((share * full, f"{100 * share:.0f}\u202f% of all", COLOURS["muted"][0]))
    name_lines(added, named, CURVES_POINTS, 7)
    added.set_title("Keeping")
    removed.set_title("Leaving out")
    handles, labels = added.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=5, columnspacing=1.2, handlelength=1.8)
    areas = [(words, f"top_minus_{name}_area") for name, (_, words) in COMPARED.items()]
    excess = [(words, f"gini_excess_over_{name}") for name, (words, _) in EXCESS.items()]
    names = (("difference in area (points)", 100), ("excess of Gini coefficient", 1))
    for column, (rows, (label, scale)) in enumerate(zip((areas, excess), names, strict=True)):
        known = [(words, found[name]) for words, name in rows if name in found]
        draw_dots(figure.add_subplot(grid[1, column]), known, label, scale)
    return figure


def _draw_curve(axes: Axes, curve: xr.Dataset, count: np.ndarray, look: tuple[str, str, Line]) -> None:
    words, colour, line = look
    order = np.argsort(count)
    x = count[order]
    mean, low, high = (100 * curve[name].to_numpy()[order] for name in ("accuracy", "accuracy_low", "accuracy_high"))
    if (high > low).any() and words == "random":
        axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    elif (high > low).any():  # bands of several colours over each other would look like a further one
        axes.plot(x, np.transpose([low, high]), color=colour, linestyle=line, linewidth=0.5, alpha=0.7)
    axes.plot(x, mean, color=colour, linestyle=line, linewidth=1.6 if words == "best first" else 1.2, label=words)


def _finish(axes: Axes, label: str, n_gallery: int) -> None:
    axes.axhline(100 / n_gallery, **CHANCE_LINE)
    write_plain_numbers(axes.xaxis)
    axes.set(ylim=(0, None), xlabel=label, ylabel="top-1 accuracy (% of queries)")
    finish_axes(axes, "both")


def refitted_subsets_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show accuracy of towers fitted on the best, on random and on the worst neurons."""
    found = {finding.name: finding for finding in findings}
    seeds, folds = (number(found[f"agreement_across_{name}"].value) for name in ("seeds", "folds"))
    part = FigurePart(
        "refitted_subsets",
        _draw_refitted_subsets(dataset, found),
        "Top-1 accuracy of towers fitted anew on part of the neurons (dots, 95\u202f% intervals over images) and of the fitted towers with"
        " all other neurons taken out (diamonds). Right: the difference; grey: central 95\u202f% if the two are exchanged at random."
        f" {SAME_GALLERY}",
        f"Contributions correlate by {seeds} between towers fitted with two seeds, and by {folds} between towers fitted on either half of"
        " the training images.",
        finding_table(
            "Fitted anew.",
            _refitted_words(found),
            found,
            [name for name in found if name.startswith("refitted") and "minus" not in name],
            [name for name in found if "minus" in name],
        ),
    )
    words = (
        "If neurons are taken out of fitted towers, the towers still use weights that were learnt from all neurons together. Such subsets"
        f" can be trusted if towers fitted on these neurons alone do as well.{_doing_as_well(found)}"
    )
    return Section(
        "refitted-subsets",
        "Fitted anew on part of the neurons",
        (words,),
        (part,),
        missing=reasons(_refitted_words(found), found),
    )


def _doing_as_well(found: Mapping[str, Finding]) -> str:
    """Say of how many subsets towers fitted anew do better or worse than towers with the other neurons taken out."""
    known = [one for name, one in found.items() if name.startswith("refitted_minus") and np.isfinite(one.value)]
    if not known:
        return ""
    words = {f"{n_beyond} {how}": n_beyond for how, n_beyond in (
        ("better", sum(one.beats_null and one.value > 0 for one in known)),
        ("worse", sum(one.beats_null and one.value < 0 for one in known)),
    )}  # fmt: skip
    apart = " and ".join(said for said, n_beyond in words.items() if n_beyond)
    if not apart:
        return f" Here none of {len(known)} differences between the two lies beyond its null."
    return f" Here, of {len(known)} fits, {apart} than that beyond the null; the others lie within their nulls."


def _refitted_words(found: dict[str, Finding]) -> dict[str, str]:
    words = {
        "agreement_across_seeds": "rank correlation of contributions with those under another seed",
        "agreement_across_folds": "rank correlation of contributions, towers fitted on either half of the training images",
    }
    for name in found:
        head = "refitted_minus_taken_out_" if name.startswith("refitted_minus") else "refitted_"
        if name.startswith(head):
            sequence, share, _ = name.removeprefix(head).split("_")
            what = "fitted anew minus taken out" if "minus" in head else "top-1 accuracy, fitted anew"
            words[name] = f"{what}, {FITTED[sequence]} {share}\u202f%"
    return words


@in_style
def _draw_refitted_subsets(dataset: xr.Dataset, found: Mapping[str, Finding]) -> Figure:
    """Draw accuracy of towers fitted on part of the neurons beside the others taken out, and the differences."""
    names = [
        (sequence, float(fraction), f"{FITTED[sequence]} {100 * float(fraction):g}\u202f%")
        for fraction in dataset["fraction"].to_numpy()
        for sequence in map(str, dataset["sequence"].to_numpy())
    ]
    figure = new_figure(180, 22 + 8 * len(names))
    accuracy, difference = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    again, change = (
        [(words, found[f"{head}_{s}_{100 * f:g}_percent"]) for s, f, words in names]
        for head in ("refitted", "refitted_minus_taken_out")
    )
    draw_dots(accuracy, again, "top-1 accuracy (% of queries)", 100)
    before = [100 * float(dataset["taken_out"].sel(sequence=sequence, fraction=fraction)) for sequence, fraction, _ in names]
    accuracy.plot(before, range(len(names)), "D", color=COLOURS["rival"][0], markersize=4.5, markerfacecolor="none",
                  label="others taken out")  # fmt: skip
    accuracy.axvline(100 / again[0][1].n, label="chance", **CHANCE_LINE)
    accuracy.set_xlim(0, None)
    draw_dots(difference, change, "fitted anew − others taken out (points)", 100)
    figure.legend(loc="outside upper left", ncols=2)
    return figure
