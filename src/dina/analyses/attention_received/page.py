"""The attention that neurons receive: who is kept or discarded by it, who receives most, tuning before and after, on the page."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dina.figures.canvas import CHANCE_LINE, finish_axes, in_style, new_figure, write_plain_numbers
from dina.figures.caption_words import SAME_GALLERY, responses_words
from dina.figures.finding_parts import draw_dots, finding_table, reasons
from dina.figures.finding_words import Scale, in_a_sentence
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.style import COLOURS
from dina.figures.words import number, percent
from dina.statistics.finding import Finding

OURS = "This is our reading of Figure 6 of the article; the article's caption is not known to us."
SELECTIONS = {
    "attended": ("most attended", "dina", "-"),
    "snr_matched": ("matched in signal-to-noise", "rival", (0.0, (4.0, 1.5))),
    "random": ("random", "muted", "-"),
}
MEASURES = {"ssim": "similarity to the map\nof all neurons (SSIM)", "accuracy": "top-1 accuracy\n(% of queries)"}
WAYS = {"kept": "Keeping these neurons alone", "discarded": "Discarding these neurons"}
HUB_WORDS = {
    "attention_skewness": "skewness of attention received",
    "attention_gini": "Gini coefficient of attention received",
    "attention_gini_beyond_untrained": "the same, minus that in untrained towers",
    **{f"share_of_top_{part}_percent": f"share that the most attended {part}\u202f% receive" for part in (1, 5, 10)},
    "attention_with_signal_to_noise": "rank correlation with signal-to-noise ratio",
    "attention_with_mean_response": "rank correlation with mean response",
}
SHARES = [name for name in HUB_WORDS if name.startswith("share")]
SWEEP_WORDS = {
    "accuracy_all": "top-1 accuracy of all neurons",
    "ssim_kept_10_percent": "similarity of maps, most attended 10\u202f% kept (SSIM)",
    **{
        f"{way}_attended_minus_{who}_{measure}": f"{title}, most attended {way}, minus {words}"
        for measure, title in (("ssim", "similarity of maps"), ("accuracy", "top-1 accuracy"))
        for way in WAYS
        for who, words in (("random", "random neurons"), ("snr_matched", "neurons matched in signal-to-noise"))
    },
}
POINTS = [name for name in SWEEP_WORDS if name.endswith("_accuracy")]
TUNING = {
    "signal_correlation": "signal correlation",
    "orientation_change": "change of orientation\n(degrees)",
    "frequency_change": "change of frequency\n(octaves)",
}
TUNING_WORDS = {
    f"{name}{tail}": f"{' '.join(words.split())}{more}"
    for name, words in TUNING.items()
    for tail, more in (("", ""), ("_minus_matched", ", minus matched neurons"))
} | {"attention_with_signal_correlation": "rank correlation of attention received with signal correlation"}
FITTED = {
    "all_neurons": "towers of the run",
    "other_seeds": "other seeds",
    "without_matched": "without matched neurons",
    "without_hubs": "without the hubs",
}
SUBSTITUTES = {
    "share_of_substitutes": "share that as many of the most attended remaining neurons receive",
    "substitutes_among_runners_up": "share of these that came next before",
}
SILENCED_WORDS = {
    "rank_agreement": "rank correlation of attention before and after, remaining neurons",
    **SUBSTITUTES,
    **{f"accuracy_{name}": f"top-1 accuracy, {words}" for name, words in FITTED.items()},
    "without_hubs_minus_matched_accuracy": "without the hubs minus without matched neurons",
    "without_hubs_minus_all_neurons_accuracy": "without the hubs minus all neurons, other seeds",
}
NEARLY_ONE = 0.9
ALIKE = " Maps of different images are hardly different here, so that their similarity says little."
BY_CHANCE = " All neurons together decode no better than chance, so that accuracies say nothing here."


def attention_received_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show maps and accuracies from neurons above thresholds of attention, how unequal attention is, and tuning."""
    found = {finding.name: finding for finding in findings}
    parts = [_sweep_part(dataset, found), _hub_part(dataset, found)]
    if any(np.isfinite(found[name].value) for name in TUNING):
        parts.append(_tuning_part(found))
    words = (
        f"{OURS} It follows an earlier public analysis of a similar layer by the same first author: neurons are kept or discarded by"
        " the attention that they receive from all neurons, on average over training trials. Attention says how much a neuron is"
        " attended to, not what is read from it.",
        "If the most attended neurons made the map, then those kept would rebuild it better than as many random neurons and than"
        " neurons of the same signal-to-noise ratios. Similarity of maps, kept:"
        f" {_beside_others(found, 'kept', 'ssim', '')}. Top-1 accuracy, kept: {_beside_others(found, 'kept', 'accuracy', 'points')}."
        + _limits(found),
    )
    every = HUB_WORDS | SWEEP_WORDS | TUNING_WORDS
    title, table = "Attention that neurons receive", _threshold_table(dataset)
    return Section("attention-received", title, words, parts, (table,), missing=reasons(every, found))


def _limits(found: Mapping[str, Finding]) -> str:
    """Say where accuracies, or similarities, tell nothing; an accuracy that is the same in every draw of its null is chance."""
    whole, other = found["accuracy_all"], found["ssim_kept_10_percent"]
    said = "" if whole.value > whole.null_high else BY_CHANCE
    return said + (ALIKE if other.null_low > NEARLY_ONE else "")


def _beside_others(found: Mapping[str, Finding], way: str, measure: str, scale: Scale) -> str:
    """Say by how much attended neurons differ from random and from matched ones."""
    random, matched = (found[f"{way}_attended_minus_{who}_{measure}"] for who in ("random", "snr_matched"))
    return f"attended minus random neurons {in_a_sentence(random, scale)}, attended minus matched ones {in_a_sentence(matched, scale)}"


def _sweep_part(dataset: xr.Dataset, found: Mapping[str, Finding]) -> FigurePart:
    has_matched = "snr_matched" in dataset["selection"]
    lines = " (band), or neurons matched in signal-to-noise ratio (between the thin lines)" if has_matched else " (band)"
    return FigurePart(
        "attention_sweep",
        _draw_sweep(dataset, found),
        f"{OURS} Neurons are ranked by the attention they receive in training trials. Above: structural similarity of the map with"
        f" that of all neurons, for {responses_words(dataset)} to the same test images; grey: maps of all neurons for other images. Below:"
        " top-1 accuracy; line: all neurons, dashes: chance. Left: all others are silenced at their mean response; right: these are. One more draw of random neurons"
        f"{lines} would lie there with a probability of 95\u202f%. {SAME_GALLERY}",
        f"The most attended tenth alone gives a map that is similar to that of all neurons by"
        f" {in_a_sentence(found['ssim_kept_10_percent'], '')}.",
        finding_table(
            "Neurons kept or discarded by the attention they receive; differences are means over thresholds.",
            SWEEP_WORDS,
            found,
            ["accuracy_all"],
            POINTS,
        ),
    )


def _hub_part(dataset: xr.Dataset, found: Mapping[str, Finding]) -> FigurePart:
    return FigurePart(
        "attention_hubs",
        _draw_hubs(dataset),
        f"{OURS} Left: attention that each neuron receives, relative to equal attention, the most attended first; grey: central"
        " 95\u202f% of the same rank if the attended neurons are permuted, for each attending neuron by itself. Right: the same attention"
        " and each neuron's signal-to-noise ratio.",
        f"The most attended 5\u202f% of the neurons receive {in_a_sentence(found['share_of_top_5_percent'])} of all attention.",
        finding_table("How unequal the attention received is.", HUB_WORDS, found, SHARES),
    )


def _tuning_part(found: Mapping[str, Finding]) -> FigurePart:
    return FigurePart(
        "attention_tuning",
        _draw_tuning(found),
        f"{OURS} What the tower reads back for each neuron after attention, compared with the response of the same neuron. Signal"
        " correlation: over test images, from different trials, by its size, because the sign of what is read back is arbitrary;"
        " mean over neurons. Changes of preferred orientation and spatial frequency: medians over neurons whose fields predict"
        " responses to other images both before and after. Grey: what is read back for other neurons, drawn at random; below: the"
        " same minus its mean for other neurons of about the same signal-to-noise ratio.",
        f"Signal correlation before and after attention is {in_a_sentence(found['signal_correlation'], '')}.",
        finding_table("Tuning before and after attention.", TUNING_WORDS, found),
    )


def _threshold_table(dataset: xr.Dataset) -> Table:
    one = dataset.sel(selection="attended")
    rows = []
    for fraction in dataset["fraction"].to_numpy():
        here = one.sel(fraction=fraction)
        ssim, accuracy = ([float(here[name].sel(way=way)) for way in WAYS] for name in MEASURES)
        rows.append((percent(fraction), number(float(here["threshold"])), *map(number, ssim), *map(percent, accuracy)))
    columns = (
        "neurons at or above the threshold", "threshold (1: equal attention)", "SSIM, kept", "SSIM, discarded",
        "top-1 accuracy, kept", "top-1 accuracy, discarded",
    )  # fmt: skip
    return Table("Thresholds of attention received, and what the neurons above them give.", columns, tuple(rows))


@in_style
def _draw_sweep(dataset: xr.Dataset, found: Mapping[str, Finding]) -> Figure:
    """Draw both measures against the share of neurons kept, and discarded."""
    figure = new_figure(180, 118)
    panels = figure.subplots(len(MEASURES), len(WAYS), sharex=True, sharey="row")
    for row, (measure, label) in zip(panels, MEASURES.items(), strict=True):
        for axes, (way, title) in zip(row, WAYS.items(), strict=True):
            _draw_curves(axes, dataset.sel(way=way), measure)
            if measure == "ssim":
                axes.set_title(title)
                other = found["ssim_kept_10_percent"]
                if np.isfinite(other.null_low):
                    axes.axhspan(other.null_low, other.null_high, color=COLOURS["chance"][0], alpha=0.18, linewidth=0)
            else:
                if np.isfinite(found["accuracy_all"].value):
                    axes.axhline(100 * found["accuracy_all"].value, color=COLOURS["ink"][0], linewidth=0.8)
                axes.axhline(100 / int(dataset.attrs["n_gallery"]), **CHANCE_LINE)
                axes.set_xlabel("neurons, the most attended first\n(% of all, logarithmic)")
            finish_axes(axes, "both")
        row[0].set_ylabel(label)
    axes.set_xscale("log")
    axes.set_xticks([1, 2, 5, 10, 20, 50])
    write_plain_numbers(axes.xaxis)
    axes.minorticks_off()
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure


def _draw_curves(axes: Axes, one: xr.Dataset, measure: str) -> None:
    scale = 100.0 if measure == "accuracy" else 1.0
    share = 100 * one["fraction"].to_numpy()
    for name, (words, colour, line) in SELECTIONS.items():
        if name not in one["selection"]:
            continue
        here = one.sel(selection=name)
        mean, low, high = (scale * here[f"{measure}{end}"].to_numpy() for end in ("", "_low", "_high"))
        if name == "random":
            axes.fill_between(share, low, high, color=COLOURS[colour][0], alpha=0.18, linewidth=0)
        elif name == "snr_matched":
            axes.plot(share, np.transpose([low, high]), color=COLOURS[colour][0], linestyle=line, linewidth=0.5, alpha=0.7)
        axes.plot(share, mean, color=COLOURS[colour][0], linestyle=line, marker="o", markersize=3, label=words)


@in_style
def _draw_hubs(dataset: xr.Dataset) -> Figure:
    """Draw the attention received by rank beside its null, and against signal-to-noise ratios where these are known."""
    attention, ratio = dataset["attention"].to_numpy(), dataset["signal_to_noise"].to_numpy()
    is_known = bool(np.isfinite(ratio).any())
    figure = new_figure(180 if is_known else 100, 70)
    by_rank, *others = figure.subplots(1, 2 if is_known else 1, sharey=True, squeeze=False)[0]
    rank = dataset["rank"].to_numpy()
    low, high = dataset["permuted_low"].to_numpy(), dataset["permuted_high"].to_numpy()
    by_rank.fill_between(rank, low, high, color=COLOURS["chance"][0], alpha=0.3, linewidth=0)
    by_rank.plot(rank, -np.sort(-attention), color=COLOURS["dina"][0], marker="o", markersize=2)
    by_rank.set(xlabel="neurons, the most attended first (rank)", ylabel="attention received\n(1: equal attention)")
    finish_axes(by_rank, "both")
    for axes in others:
        axes.plot(np.maximum(ratio, 1e-3), attention, "o", color=COLOURS["dina"][0], markersize=2.5, alpha=0.6)
        axes.set_xscale("log")
        write_plain_numbers(axes.xaxis)
        axes.set_xlabel("signal-to-noise ratio (logarithmic)")
        finish_axes(axes, "both")
    return figure


@in_style
def _draw_tuning(found: Mapping[str, Finding]) -> Figure:
    """Draw signal correlation and changes of preference beside other neurons, and minus matched ones."""
    figure = new_figure(180, 42)
    panels = figure.subplots(1, len(TUNING))
    for axes, (name, label) in zip(panels, TUNING.items(), strict=True):
        rows = (("same neuron", found[name]), ("− matched", found[f"{name}_minus_matched"]))
        draw_dots(axes, rows if axes is panels[0] else [("", one) for _, one in rows], label)
    return figure


def silenced_hubs_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show who receives attention without the most attended neurons, and what is lost."""
    found = {finding.name: finding for finding in findings}
    n_hubs, n_neurons = dataset.sizes["hub"], dataset.sizes["neuron"]
    accuracies = [name for name in SILENCED_WORDS if name.startswith("accuracy")]
    lost = [name for name in SILENCED_WORDS if name.endswith("_accuracy")]
    part = FigurePart(
        "silenced_hubs",
        _draw_silenced(dataset, found),
        f"{OURS} Left: attention that each neuron receives, relative to equal attention, in the towers of the run and in towers fitted"
        f" anew without the {n_hubs:,} most attended of {n_neurons:,} neurons; orange: in towers fitted on all neurons with another seed."
        f" Right: top-1 accuracy of {responses_words(dataset)}, 95\u202f% intervals over images; grey: queries assigned to other images. {SAME_GALLERY}",
        f"Attention before and after correlates by {in_a_sentence(found['rank_agreement'], '')} over the remaining neurons.",
        finding_table(
            "Towers fitted without the most attended neurons.", SILENCED_WORDS, found, [*accuracies, *SUBSTITUTES], lost
        ),
    )
    words = (
        "If some neurons were attended for what they respond to, then towers fitted with other random weights would attend to them, too,"
        " and towers fitted without them would attend to the next. Of the most attended neurons without the hubs,"
        f" {in_a_sentence(found['substitutes_among_runners_up'])} had come next before. They receive"
        f" {in_a_sentence(found['share_of_substitutes'])} of all attention. Fitted without the hubs, towers differ in top-1 accuracy"
        f" from towers fitted without other neurons of the same signal-to-noise ratios by"
        f" {in_a_sentence(found['without_hubs_minus_matched_accuracy'], 'points')}."
    )
    return Section(
        "silenced-hubs", "Towers fitted without the most attended neurons", (OURS, words), (part,),
        missing=reasons(SILENCED_WORDS, found),
    )  # fmt: skip


@in_style
def _draw_silenced(dataset: xr.Dataset, found: Mapping[str, Finding]) -> Figure:
    """Draw attention before and after, and accuracies."""
    figure = new_figure(180, 74)
    attention, accuracy = figure.subplots(1, 2)
    before = dataset["before"].to_numpy()
    for name, values, colour, marker in (
        ("another seed", dataset["other_seeds"].to_numpy()[0], "rival", "x"),
        ("without the hubs", dataset["without_hubs"].to_numpy(), "dina", "o"),
    ):
        attention.plot(before, values, marker, color=COLOURS[colour][0], markersize=3, alpha=0.7, linestyle="", label=name)
    attention.set(xlabel="attention received, towers of the run\n(1: equal attention)", ylabel="attention received, fitted anew")
    finish_axes(attention, "both")
    rows = [(words, found[f"accuracy_{name}"]) for name, words in FITTED.items()]
    draw_dots(accuracy, rows, "top-1 accuracy (% of queries)", 100)
    accuracy.set_xlim(0, None)
    figure.legend(loc="outside upper left", ncols=2)
    return figure
