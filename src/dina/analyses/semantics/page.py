"""Whether the decoding rests on low-level structure or on the category of images, on the page."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.caption_words import responses_words
from dina.figures.finding_parts import finding_table, reasons
from dina.figures.finding_words import in_a_sentence
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.style import COLOURS
from dina.figures.words import percent
from dina.statistics.finding import Finding

NAMES = {
    "explained_variance": "variance of the responses explained by the best model",
    "low_level_unique_share": "share of it: low-level structure alone",
    "category_unique_share": "share of it: category alone",
    "common_share": "share of it: shared, either explains it",
    "category_share": "share of it: category in total, extrapolated from images whose category low-level structure does not determine",
    "low_level_bits": "information, low-level structure (bits)",
    "category_bits": "information, category (bits)",
    "joint_bits": "information, both (bits)",
    "low_level_gain_bits": "added by low-level structure to category (bits)",
    "category_gain_bits": "added by category to low-level structure (bits)",
    "category_accuracy_responses": "category from responses",
    "category_accuracy_partialled": "category from responses minus their low-level part",
    "category_accuracy_low_level": "category from the image's low-level structure",
    "category_accuracy_luminance": "category from luminance and contrast",
    "category_uncertainty": "entropy of the categories that low-level structure does not explain",
}
DECODERS = {"towers": "these towers", "low_level": "decoder of low-level structure", "joint": "decoder of both"}
BY_DECODER = {
    "same_class_cost": "cost of distractors of the same category at equal low-level distance",
    "low_level_cost": "cost of distractors near in low-level structure",
    "same_class_rivals": "best wrong candidate of the same category",
    "same_class_errors": "wrong retrievals of the same category",
}
LOW_LEVEL, CATEGORY, BOTH = COLOURS["rival"][0], COLOURS["reference"][0], COLOURS["dina"][0]
SHARES = (
    ("low_level_unique_share", "low-level\nstructure alone", LOW_LEVEL, "s"),
    ("category_unique_share", "category alone", CATEGORY, "D"),
    ("common_share", "shared by both", COLOURS["muted"][0], "o"),
    ("category_share", "category in total,\nextrapolated", CATEGORY, "d"),
)
BITS = (
    ("low_level_bits", "low-level structure", LOW_LEVEL, "s"),
    ("category_bits", "category", CATEGORY, "D"),
    ("joint_bits", "both", BOTH, "o"),
)
SOURCES = (
    ("category_accuracy_responses", "responses", BOTH, "o"),
    ("category_accuracy_partialled", "responses minus\nlow-level part", CATEGORY, "D"),
    ("category_accuracy_low_level", "image: low-level\nstructure", LOW_LEVEL, "s"),
    ("category_accuracy_luminance", "image: luminance,\ncontrast", COLOURS["muted"][0], "^"),
)
SCORED_BY = {
    "towers": ("these towers", COLOURS["ink"][0], "^"),
    "low_level": ("low-level structure", LOW_LEVEL, "s"),
    "joint": ("both", BOTH, "o"),
}
MARGIN = 10.0  # %, below which a share counts as none


def semantics_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show what category and low-level structure explain beyond one another."""
    found = {finding.name: finding for finding in findings}
    n, n_categories = int(dataset.attrs["n_images"]), int(dataset.attrs["n_categories"])
    low_level, category = found["low_level_unique_share"], found["category_unique_share"]
    part = FigurePart(
        "semantics",
        _draw(dataset, found),
        f"Low-level structure (Gabor channels in place, statistics of the whole image) against category ({n_categories} in the recording{_of_test(dataset)}),"
        f" {n} test images, {responses_words(dataset)}. Top left: variance that only one of them explains, that either explains, and that category accounts for in total; dotted: a tenth, below which it"
        " counts as none. Top right: information about the image in decoders that use one or both. Bottom left: the category read from"
        " responses and from images (balanced: mean over the categories of the test images; grey: chance or the null, as in the table). Bottom right: how often a single distractor beats the right image, for distractors of the same"
        " and, at equal low-level distance, of other categories; without any information it would be half of them (chance); nulls of the differences between them are in the table. Bars: 95\u202f% intervals"
        " over images; grey: central 95\u202f% if there is no effect; a band beyond the left end of its axis stands in the table alone.",
        f"Shares of the explained variance: low-level structure alone {percent(low_level.value)}, category alone"
        f" {percent(category.value)}. Category is read with {percent(found['category_accuracy_responses'].value)} balanced accuracy"
        f" from responses, {percent(found['category_accuracy_partialled'].value)} after their low-level part is removed.",
        _table(found),
    )
    return Section(
        "semantics",
        "Low-level structure or semantic category",
        paragraphs=(
            f"Of the variance of the responses that the models explain, low-level structure alone explains {in_a_sentence(low_level)},"
            f" category alone {in_a_sentence(category)}.{_beyond_whole(low_level, category)}",
            "The decoders receive category, so category could matter. We regress category on low-level features and add only the"
            " residual. In the null, categories are drawn from the probabilities that low-level features predict.",
            f"Low-level structure does not explain {in_a_sentence(found['category_uncertainty'])} of the entropy of the categories. Image"
            " structure that no Gabor channel describes would count as category if it correlated with category.",
        ),
        figures=(part,),
        missing=reasons(_words(), found),
    )


def _of_test(dataset: xr.Dataset) -> str:
    """Say how many categories the test images have; runs of earlier versions do not hold it."""
    n = dataset.attrs.get("n_test_categories")
    return "" if n is None else f", {int(n)} among the test images"


def _beyond_whole(*shares: Finding) -> str:
    """Explain shares that no part can have, where there are any."""
    is_beyond = any(one.value > 1 or one.value < 0 for one in shares)
    return " A share slightly above 100\u202f% or below 0 means that the other adds nothing." if is_beyond else ""


@in_style
def _draw(dataset: xr.Dataset, found: Mapping[str, Finding]) -> Figure:
    """Draw four panels: shares of variance, bits, accuracy for category, accuracy against matched distractors."""
    figure = new_figure(180, 132)
    axes = figure.subplots(2, 2)
    _draw_rows(axes[0, 0], [(found[name], label, colour, marker) for name, label, colour, marker in SHARES], 100.0)
    axes[0, 0].axvline(MARGIN, color=COLOURS["muted"][0], linestyle=(0.0, (1.0, 1.5)), linewidth=1.0, zorder=1)
    axes[0, 0].set_xlabel("share of the explained variance (%)")
    axes[0, 0].set_title("What explains the responses")
    _draw_rows(axes[0, 1], [(found[name], label, colour, marker) for name, label, colour, marker in BITS], 1.0)
    axes[0, 1].set_xlabel("information (bits)")
    axes[0, 1].set_title("Information about the image")
    _draw_rows(axes[1, 0], [(found[name], label, colour, marker) for name, label, colour, marker in SOURCES], 100.0)
    axes[1, 0].set_xlabel("balanced accuracy (% of images)")
    axes[1, 0].set_xlim(-2, 102)
    axes[1, 0].set_title("Category read from")
    _draw_distractors(axes[1, 1], dataset)
    return figure


def _draw_rows(axes: Axes, rows: Sequence[tuple[Finding, str, str, str]], scale: float) -> None:
    """Draw one row per finding: dot, interval, and the range of its null as a grey bar, clipped to the panel."""
    shown = [scale * value for one, *_ in rows for value in (one.value, one.low, one.high) if np.isfinite(value)]
    left, right = min([0.0, *shown]), max([0.0, *shown])
    pad = 0.06 * max(right - left, 1e-6)
    for place, (one, _, colour, marker) in enumerate(rows):
        null_low, null_high = (scale * float(np.clip(end, (left - pad) / scale, None)) for end in (one.null_low, one.null_high))
        if np.isfinite(null_low) and null_high > null_low:
            axes.barh(place, null_high - null_low, left=null_low, height=0.5, color=COLOURS["chance"][0], alpha=0.3, linewidth=0)
            right = max(right, null_high)
        axes.hlines(place, scale * one.low, scale * one.high, color=colour, linewidth=1.4, zorder=2)
        axes.plot(scale * one.value, place, marker, color=colour, markersize=4.5, zorder=3)
    axes.axvline(0, color=COLOURS["ink"][0], linewidth=0.8, zorder=1)
    axes.set_yticks(range(len(rows)), [label for _, label, *_ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(left - pad, right + pad)
    finish_axes(axes, "x")
    axes.tick_params(axis="y", length=0)


def _draw_distractors(axes: Axes, dataset: xr.Dataset) -> None:
    """Draw how often a single distractor wins: of the same category or another, near or far in low-level structure."""
    names = [str(name) for name in dataset["scored_by"].to_numpy()]
    highest = 0.0
    for offset, name in zip(0.2 * (np.arange(len(names)) - (len(names) - 1) / 2), names, strict=True):
        label, colour, marker = SCORED_BY[name]
        cells = dataset.sel(scored_by=name).transpose("distance", "category", ...)
        lost, high, low = (100 - 100 * cells["two_way" + end].to_numpy().ravel() for end in ("", "_low", "_high"))
        place = np.arange(4) + offset
        axes.vlines(place, low, high, color=colour, linewidth=1.2, zorder=2)
        axes.plot(place, lost, marker, color=colour, markersize=4.5, zorder=3, label=label)
        highest = max(highest, float(np.nanmax([*high, *lost, 1.0])))
    axes.set_ylim(-0.02 * highest, 1.05 * highest)
    if highest > 40:
        axes.axhline(50, color=COLOURS["chance"][0], linestyle=(0, (2, 1.5)), linewidth=1.0, zorder=1)
        axes.annotate("chance", (3.4, 50), (0, 2), textcoords="offset points", color=COLOURS["chance"][0], fontsize=7, ha="right")
    else:  # a line at chance would leave a few pixels to the marks
        words = "chance, 50\u202f%, lies above ↑"
        axes.annotate(words, (0.98, 0.97), xycoords="axes fraction", color=COLOURS["chance"][0], fontsize=7, ha="right", va="top")
        axes.set_ylim(top=1.15 * axes.get_ylim()[1])
    axes.axvline(1.5, color=COLOURS["grid"][0], linewidth=0.8, zorder=0)
    axes.set_xticks(range(4), ["near,\nsame", "near,\nother", "far,\nsame", "far,\nother"])
    axes.set_xlim(-0.5, 3.5)
    axes.set_xlabel("distance and category of the distractor")
    axes.set_ylabel("lost to single distractors (%)")
    axes.set_title("Distractors that win, by decoder")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=3, fontsize=7, handletextpad=0.2, columnspacing=0.8)
    finish_axes(axes, "y")


def _words() -> dict[str, str]:
    """Return what each finding is called."""
    by_decoder = {f"{name}_{key}": f"{words}, {who}" for key, who in DECODERS.items() for name, words in BY_DECODER.items()}
    return NAMES | by_decoder


def _table(found: dict[str, Finding]) -> Table:
    words = _words()
    points = [name for name in words if name.startswith(("same_class_cost", "low_level_cost"))]
    percent = [name for name in words if name not in points and name in found and found[name].units != "bit"]
    return finding_table("Statistics of category and low-level structure.", words, found, percent, points)
