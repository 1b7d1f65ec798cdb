"""Whether noise correlations help decoding, on the page."""

import math
from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dina.figures.canvas import CHANCE_LINE, finish_axes, in_style, new_figure
from dina.figures.caption_words import SAME_GALLERY
from dina.figures.finding_parts import draw_dots, finding_table, reasons
from dina.figures.finding_words import in_a_sentence
from dina.figures.parts import FigurePart, Section
from dina.figures.style import COLOURS
from dina.figures.words import percent
from dina.statistics.finding import Finding

DIFFERENCES = {
    "knowing_correlations": "knowing correlations",
    "knowing_covariance": "knowing covariances",
    "removing_correlations": "removing correlations",
    "unexpected_removal": "removing in test only",
}
TRAINED = {"intact": ("dina", "o"), "shuffled": ("rival", "s"), "independent": ("reference", "^")}
UNITS = {"top1": "top-1 accuracy", "log_rank": "log rank, nats (negative: better)"}
WORDS = {
    "intact_top1": "top-1 accuracy, trained and tested on intact trials",
    "correlations_left": "share of noise correlations that shuffling leaves in training",
    "correlations_left_test": "share of noise correlations that shuffling leaves in test",
    "slow_drift_share": "share of the variance of training trials about the means of images that slow drift explains, responses as they"
    " are decoded, mean of the null subtracted (removed only where above its null)",
    **{f"{what}_{name}": f"{words}: {units}" for name, units in UNITS.items() for what, words in DIFFERENCES.items()},
}
KNOWING = (
    " Knowing: learning from intact minus learning from shuffled trials (knowing covariances: from variances alone); both are tested on intact trials."
    " Removing: learning and testing on shuffled trials minus both on intact trials."
)
TESTED = " Removing in test only: testing on shuffled minus testing on intact trials, both after learning from intact ones."
BY_REPEATS = " (no interval: it follows from the number of repeats)"
SHARES = ("intact_top1", "correlations_left", "correlations_left_test", "slow_drift_share")


def noise_shuffle_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show what shuffling repeats in training and test does to single-trial decoding."""
    # files hold what a log rank gains; here, as everywhere on the page, a lower one is better
    found = {one.name: one.negated() if one.name.endswith("_log_rank") else one for one in findings}
    summary, knows = _summary(found), math.isfinite(found["knowing_correlations_log_rank"].value)
    part = FigurePart(
        "noise_shuffle",
        _draw(dataset, found),
        f"Single trials of {found['intact_top1'].n} test images. Shuffled: the repeats of each image exchanged for each neuron by"
        " itself, which keeps tuning and removes noise correlations. a: accuracy by what the noise model was learnt from; each small"
        " mark is one shuffle; dashed: chance. b, c: paired differences; right of 0 is better in b,"
        " left of 0 in c: the right image stands further in front. summary.json has the opposite sign in c: what is gained."
        f"{KNOWING if knows else TESTED} Bars: 95\u202f% intervals over images; grey: differences between shuffles. {SAME_GALLERY}",
        summary,
        finding_table(
            "Decoding with and without noise correlations.", WORDS, found, SHARES, [f"{what}_top1" for what in DIFFERENCES]
        ),
    )
    return Section("noise-shuffle", "Noise correlations", (summary,), (part,), missing=reasons(WORDS, found))


def _summary(found: dict[str, Finding]) -> str:
    left, knowing = found["correlations_left"], found["knowing_correlations_log_rank"]
    if knowing.value != knowing.value:
        tested, change = found.get("correlations_left_test", left), found["unexpected_removal_log_rank"]
        return (
            f"Shuffling removes {percent(1 - tested.value)} of the noise correlations of the test trials{BY_REPEATS}. This changes the log rank of the"
            f" right image by {_change(change)}.{_beyond(found, change.name)}"
        )
    return (
        f"Shuffling removes {percent(1 - left.value)} of the noise correlations in the training trials{BY_REPEATS}. Learning them changes the log"
        f" rank of the right image by {_change(knowing)}.{_beyond(found, knowing.name)}"
    )


def _change(change: Finding) -> str:
    """Say by how many nats a log rank changes, and whether that is within its null.

    Examples
    --------
    >>> _change(Finding("change", -0.05, "nat", 50, low=-0.1, high=-0.01, null_low=-0.2, null_high=0.2, null="halves exchanged"))
    '−0.05 nats (negative: better; −0.10 to −0.01; null: −0.2 to 0.2), which is within its null'
    """
    value, rest = in_a_sentence(change, "").split(" (", 1)
    place = "" if not change.null else ", which is beyond its null" if change.beats_null else ", which is within its null"
    return f"{value} nats (negative: better; {rest}{place}"


def _beyond(found: Mapping[str, Finding], said: str) -> str:
    """Say all differences but the one that was ``said`` that lie beyond their nulls."""
    names = {f"{what}_{name}": (words, name) for name in UNITS for what, words in DIFFERENCES.items()}
    told = [
        f" {words[0].upper()}{words[1:]} changes "
        + (
            f"the log rank by {_change(found[key])}."
            if name == "log_rank"
            else f"top-1 accuracy by {in_a_sentence(found[key], 'points')}, which is beyond its null."
        )
        for key, (words, name) in names.items()
        if key in found and key != said and found[key].beats_null
    ]
    return "".join(told) or " No other difference lies beyond its null."


@in_style
def _draw(dataset: xr.Dataset, found: Mapping[str, Finding]) -> Figure:
    """Draw accuracy by training and test condition, and paired differences in accuracy and log rank."""
    figure = new_figure(180, 66)
    first, second, third = figure.subplots(1, 3, width_ratios=[1.0, 1.45, 1.0])
    _draw_conditions(first, dataset)
    for axes, name, label, title in (
        (second, "top1", "change (points): + better", "b  top-1 accuracy"),
        (third, "log_rank", "change (nats): − better", "c  log rank"),
    ):
        rows = [(words, found[f"{what}_{name}"]) for what, words in DIFFERENCES.items() if f"{what}_{name}" in found]
        known = [(words, finding) for words, finding in rows if finding.value == finding.value]
        draw_dots(axes, known, label, 100.0 if name == "top1" else 1.0)
        axes.set_title(title)
    third.set_yticklabels([])
    figure.legend(loc="outside upper left", ncols=3, fontsize=7.5)
    return figure


def _draw_conditions(axes: Axes, dataset: xr.Dataset) -> None:
    """Draw mean accuracy of every shuffle, tested on intact and on shuffled trials."""
    trained, tested = (dataset[name].to_numpy().astype(str) for name in ("trained", "tested"))
    values = 100 * dataset["top1"].to_numpy()
    for row, (name, (colour, marker)) in enumerate(TRAINED.items()):
        means = []
        for place, where in enumerate(("intact", "shuffled")):
            rows = np.flatnonzero((trained == name) & (tested == where))
            if not len(rows):
                continue
            x = np.full(values.shape[1], place + 0.12 * (row - 1))
            axes.plot(x, values[rows[0]], marker, color=COLOURS[colour][0], markersize=3, alpha=0.5, linestyle="none")
            means.append((x[0], values[rows[0]].mean()))
        if means:
            axes.plot(
                *zip(*means, strict=True),
                color=COLOURS[colour][0],
                marker=marker,
                markersize=4.5,
                label=f"noise learnt from {name} trials" if name != "independent" else "variances alone",
            )
    axes.axhline(100 * dataset["top1"].attrs["chance"], **CHANCE_LINE)
    axes.set_xticks([0, 1], ["intact", "shuffled"])
    axes.set(xlim=(-0.4, 1.4), ylim=(0, 1.1 * axes.get_ylim()[1]), xlabel="tested on", title="a  single trials")
    axes.set_ylabel("top-1 accuracy (% of trials)")
    finish_axes(axes, "y")
