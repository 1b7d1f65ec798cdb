"""Whether the decoding rests on low-level structure or on the category of images, on the page."""

import xarray as xr

from dina.analyses.semantics.drawing import draw_semantics
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.words import DASH, interval, number, percent, signed
from dina.statistics.finding import Finding

NAMES = {
    "explained_variance": "variance of the responses explained at all",
    "low_level_unique_share": "share of it: low-level structure alone",
    "category_unique_share": "share of it: category alone",
    "common_share": "share of it: either",
    "category_share": "share of it: category in all, extrapolated from where low-level structure leaves it open",
    "low_level_bits": "information, low-level structure (bits)",
    "category_bits": "information, category (bits)",
    "joint_bits": "information, both (bits)",
    "low_level_gain_bits": "added by low-level structure to category (bits)",
    "category_gain_bits": "added by category to low-level structure (bits)",
    "category_accuracy_responses": "category from responses",
    "category_accuracy_partialled": "category from responses less their low-level part",
    "category_accuracy_low_level": "category from the image's low-level structure",
    "category_accuracy_luminance": "category from luminance and contrast",
    "category_uncertainty": "entropy of the categories left by low-level structure",
}
DECODERS = {"towers": "these towers", "low_level": "decoder of low-level structure", "joint": "decoder of both"}
BY_DECODER = {
    "same_class_cost": "cost of distractors of the own category at equal low-level distance",
    "low_level_cost": "cost of distractors near in low-level structure",
    "same_class_rivals": "best wrong candidate of the own category",
    "same_class_errors": "wrong retrievals of the own category",
}


def semantics_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show what category and low-level structure explain beyond one another."""
    found = {finding.name: finding for finding in findings}
    n, n_categories = int(dataset.attrs["n_images"]), int(dataset.attrs["n_categories"])
    low_level, category = found["low_level_unique_share"], found["category_unique_share"]
    part = FigurePart(
        "semantics",
        draw_semantics(dataset, found),
        f"Low-level structure (Gabor channels in place, statistics of the whole image) against category ({n_categories} of them),"
        f" {n} test images, averaged responses. Top left: variance that only one of them explains; dotted: a tenth, below which it"
        " counts as none. Top right: what decoders that know one or both tell about the image. Bottom left: the category read from"
        " responses and from images. Bottom right: how often a single distractor beats the right image, for distractors of the own"
        " and, at equal low-level distance, of other categories. Bars: 95\u202f% intervals over images; grey: 95\u202f% of the same where there is"
        " nothing to find.",
        f"Of the explained variance, low-level structure alone explains {percent(low_level.value)}, category alone"
        f" {percent(category.value)}. Category is read with {percent(found['category_accuracy_responses'].value)} balanced accuracy"
        f" from responses, {percent(found['category_accuracy_partialled'].value)} after removal of their low-level part.",
        _table(found),
    )
    reasons = tuple(dict.fromkeys(finding.reason for finding in findings if finding.reason))
    return Section(
        "semantics",
        "Low-level structure or semantic category",
        paragraphs=(
            "Category is given to decoders that can use it, so that it could have mattered. It counts only where low-level structure"
            " does not let expect it; its null draws categories anew from what low-level structure lets expect.",
            f"Low-level structure leaves {percent(found['category_uncertainty'].value)} of the categories' entropy open. What no Gabor"
            " channel describes, in place or averaged, would count as category if it went with it.",
        ),
        figures=(part,),
        missing=reasons,
    )


def _table(found: dict[str, Finding]) -> Table:
    rows = [_row(words, found[name]) for name, words in NAMES.items()]
    for decoder, who in DECODERS.items():
        rows += [
            _row(f"{words}, {who}", found[f"{name}_{decoder}"])
            for name, words in BY_DECODER.items()
            if f"{name}_{decoder}" in found
        ]
    return Table(
        "Statistics of category and low-level structure.", ("statistic", "value", "95\u202f% interval", "null"), tuple(rows)
    )


def _row(words: str, one: Finding) -> tuple[str, str, str, str]:
    if one.units != "bit":
        return words, percent(one.value), interval(one.low, one.high), interval(one.null_low, one.null_high)
    ends = [signed(end, 2) for end in (one.low, one.high, one.null_low, one.null_high)]
    return words, number(one.value), f"{ends[0]} to {ends[1]}", DASH if ends[2] == DASH else f"{ends[2]} to {ends[3]}"
