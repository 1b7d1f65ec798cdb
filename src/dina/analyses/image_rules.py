"""The rules by which findings of the image side decide what in the image carries a decoding."""

import math
import re
from collections.abc import Mapping

from dina.analyses.verdict import Answer, FindingKey, Rule, place_of
from dina.statistics.finding import Finding

Found = Mapping[FindingKey, Finding]

MARGIN = 0.1
"""A share below a tenth counts as none: what an interval must lie above, or below, for a share to be (ir)relevant."""

HALF = 0.5
"""What "most of it" means for a share."""

MARGIN_SLOPE = 0.1
"""Octaves of a frequency edge for each octave of the size of maps; an edge that maps of two dimensions set moves by a half."""

SHAPES = ("phase_only", "silhouette", "contours")
TEXTURES = ("amplitude_only", "texture", "local_texture")


def _category(finding: str) -> FindingKey:
    return ("semantics", finding)


CATEGORY_SHARE, LOW_LEVEL_SHARE = _category("category_share"), _category("low_level_unique_share")
CATEGORY_GAIN, LOW_LEVEL_GAIN = _category("category_gain_bits"), _category("low_level_gain_bits")
PARTIALLED = _category("category_accuracy_partialled")
CATEGORY_NEEDS = (CATEGORY_SHARE, LOW_LEVEL_SHARE, CATEGORY_GAIN, LOW_LEVEL_GAIN, PARTIALLED)
TOWER_NOTES = tuple(_category(f"{name}_towers") for name in ("same_class_cost", "same_class_rivals", "low_level_cost"))

LOWEST, WITHOUT_HIGHEST = ("spatial_frequency", "kept_lowest_octaves"), ("spatial_frequency", "kept_without_highest_octave")
HIGHEST = ("spatial_frequency", "kept_highest_octave")
CAPACITY, PLACES = ("map_capacity", "edge_per_capacity"), ("map_capacity", "edge_per_places")
NORMALISED, COVERAGE = ("occlusion", "participation_normalised"), ("occlusion", "participation_coverage")
LOST, RANK_LOST = ("occlusion", "score_loss"), ("occlusion", "log_rank_loss")
LOCAL, GLOBAL = ("pathway_masking", "shapley_local"), ("pathway_masking", "shapley_global")
COSTS = ("pathway_masking", "top1_loss_local"), ("pathway_masking", "top1_loss_global")
ALONE = (("pathway_refits", "top1_loss_local_alone"), ("pathway_refits", "top1_loss_global_alone"))


def rises_above(finding: Finding) -> bool:
    """Say whether a statistic lies above its null, and its 95 % interval above 0."""
    return finding.value > finding.null_high and finding.low > 0


def says(finding: Finding) -> str:
    """Return value and interval in words of a reason, with two to four digits, as many as it takes to tell them apart.

    A value or an interval that cannot be had is said to be missing.

    Examples
    --------
    >>> says(Finding("kept", 0.52, "1", 50, low=0.4, high=0.61))
    '0.52 (0.4 to 0.61)'
    >>> says(Finding("kept", 0.998, "1", 50, low=0.996, high=1.0))
    '0.998 (0.996 to 1)'
    >>> says(Finding("lost", -0.01, "nats", 50, low=-0.02, high=-1e-6))
    '−0.01 (−0.02 to −1e-06)'
    >>> says(Finding("kept", 0.52, "1", 50))
    '0.52 (no interval)'
    """
    numbers = (finding.value, finding.low, finding.high)
    n_different = len({number for number in numbers if not math.isnan(number)})
    for digits in (2, 3, 4):
        words = [f"{number:.{digits}g}" for number in numbers]
        words = [re.sub(r"(?<!e)-", "\N{MINUS SIGN}", word) for word in words]
        if len(set(words) - {"nan"}) == n_different:
            break
    if math.isnan(finding.value):
        return "an unknown amount"
    return f"{words[0]} (no interval)" if "nan" in words else f"{words[0]} ({words[1]} to {words[2]})"


def _category_answer(found: Found) -> tuple[Answer, str]:
    """Decide whether responses follow category where low-level structure does not let expect it."""
    share = found[CATEGORY_SHARE]
    lines = {
        "the gain in bits": rises_above(found[CATEGORY_GAIN]),
        "the accuracy of reading category from what low-level structure leaves": rises_above(found[PARTIALLED]),
    }
    agreeing = [name for name, is_above in lines.items() if is_above]
    where = f"Category accounts for {says(share)} of the explained variance, judged where low-level structure leaves it open"
    place = place_of(share, MARGIN)
    if place == "above" and share.beats_null and agreeing:
        return "supported", f"{where}: above a tenth and its null. So is {' and '.join(agreeing)}."
    if place == "below" and len(agreeing) < len(lines):
        return "not supported", f"{where}: less than a tenth, by models that could have used it."
    return "cannot tell", f"{where}; {' and '.join(agreeing) or 'no other statistic'} lies above its null."


def _low_level_answer(found: Found) -> tuple[Answer, str]:
    """Decide whether low-level structure tells something that category does not."""
    share, gain = found[LOW_LEVEL_SHARE], found[LOW_LEVEL_GAIN]
    where = f"Low-level structure alone explains {says(share)} of the explained variance"
    place = place_of(share, MARGIN)
    if place == "above" and share.beats_null and rises_above(gain):
        return "supported", f"{where} and adds {says(gain)} bits about the image to category."
    if place == "below":
        return "not supported", f"{where}, less than a tenth."
    return "cannot tell", f"{where}; it adds {says(gain)} bits to category."


def _low_level_not_semantic(found: Found) -> tuple[Answer, str]:
    """Decide the published claim: low-level structure and not category."""
    (low_level, why_low), (category, why_category) = _low_level_answer(found), _category_answer(found)
    reason = f"{why_low} {why_category}"
    if low_level == "supported" and category == "not supported":
        return "supported", reason
    if low_level == "not supported" or category == "supported":
        return "not supported", reason
    return "cannot tell", reason


def _coarse(found: Found) -> tuple[Answer, str]:
    """Decide whether low spatial frequencies carry most of the decoding."""
    kept = found[LOWEST]
    where = f"With everything above a quarter of the Nyquist limit foreign, {says(kept)} of the accuracy above chance is kept"
    if place_of(kept, HALF) == "above" and kept.beats_null:
        return _unless_capacity(found, f"{where}, more than half.")
    if place_of(kept, HALF) == "below":
        return "not supported", f"{where}, less than half."
    return "cannot tell", f"{where}."


def _not_fine_detail(found: Found) -> tuple[Answer, str]:
    """Decide whether the finest octave of the files can be spared."""
    kept, alone = found[WITHOUT_HIGHEST], found[HIGHEST]
    where = f"With the highest octave foreign, {says(kept)} of the accuracy above chance is kept, with all but it foreign {says(alone)}"
    if place_of(kept, 1 - MARGIN) == "above" and place_of(alone, HALF) == "below":
        return _unless_capacity(found, f"{where}: less than a tenth is lost.")
    if place_of(kept, 1 - MARGIN) == "below" or (place_of(alone, HALF) == "above" and alone.beats_null):
        return "not supported", f"{where}."
    return "cannot tell", f"{where}."


def _unless_capacity(found: Found, reason: str) -> tuple[Answer, str]:
    """Answer "supported" only where it is known that what is read hardly changes with the size of the maps."""
    slopes = [found[key] for key in (CAPACITY, PLACES) if key in found]
    unknown = [slope.reason or f"{slope.name} has no interval." for slope in slopes if math.isnan(slope.low)]
    if unknown or CAPACITY not in found:
        return (
            "cannot tell",
            f"{reason} Whether what is read follows the size of the maps is open: {' '.join(dict.fromkeys(unknown))}",
        )
    where = f"{says(slopes[0])} octaves per octave of numbers in a map"
    where += f", {says(slopes[1])} per octave of places" if PLACES in found else " (all maps tried have as many places)"
    places = [place_of(slope, MARGIN_SLOPE) for slope in slopes]
    if "above" in places:
        return "cannot tell", f"{reason} But what is read follows the size of the maps: by {where}."
    if set(places) != {"below"}:
        return (
            "cannot tell",
            f"{reason} But what is read may follow the size of the maps: by {where}; {MARGIN_SLOPE} would matter.",
        )
    return "supported", f"{reason} It follows the size of the maps by less than {MARGIN_SLOPE}: by {where}."


def _distributed(found: Found) -> tuple[Answer, str]:
    """Decide whether the decoding draws on most of what the receptive fields cover."""
    spread, coverage, lost, rank = found[NORMALISED], found[COVERAGE], found[LOST], found[RANK_LOST]
    if not lost.low > 0:
        return "cannot tell", f"Hiding places lowers the score of the right image by {says(lost)}: perhaps nothing is lost."
    if not rank.low > 0:
        change = f"raises the logarithm of the right image's rank by {says(rank)}"
        return "cannot tell", f"Hiding places lowers scores but {change}: perhaps no retrieval is lost."
    where = f"Divided by coverage, the loss under the window is spread over {says(spread)} of the covered area"
    limits = f" The fields themselves are spread over {coverage.value:.2g} of the image; of the rest nothing can be said."
    if place_of(spread, HALF) == "above":
        return "supported", f"{where}, more than half.{limits}"
    if place_of(spread, HALF) == "below":
        return "not supported", f"{where}, less than half.{limits}"
    return "cannot tell", f"{where}.{limits}"


def _shape_and_texture(found: Found) -> tuple[Answer, str]:
    """Decide whether both kinds of cue carry decoding beyond contrast."""
    answers, words = [], []
    for kind, names in (("shape", SHAPES), ("texture", TEXTURES)):
        kept = [found[("shape_texture", f"kept_{name}_beyond_contrast")] for name in names]
        n_carrying = sum(rises_above(finding) and place_of(finding, MARGIN) == "above" for finding in kept)
        is_none = all(place_of(finding, MARGIN) == "below" for finding in kept)
        answers.append("yes" if n_carrying >= 2 else "no" if is_none else "unclear")
        words.append(f"{n_carrying} of 3 alterations that keep {kind} keep a tenth of the accuracy beyond contrast")
    reason = " and ".join(words) + "."
    if answers == ["yes", "yes"]:
        return "supported", reason
    return ("not supported" if "no" in answers else "cannot tell"), reason


def _both_pathways(found: Found) -> tuple[Answer, str]:
    """Decide whether the local and the global pathway both carry the decoding of these towers."""
    shares, costs = (found[LOCAL], found[GLOBAL]), [found[key] for key in COSTS]
    margin = MARGIN * (shares[0].value + shares[1].value)
    places = [place_of(share, margin) for share in shares]
    reason = f"Of the accuracy the local pathway is worth {says(shares[0])}, the global one {says(shares[1])}"
    reason += f"; masking them costs {says(costs[0])} and {says(costs[1])}"
    refits = [found[key] for key in ALONE if key in found]
    notes = "".join(f" Towers with the {finding.name.split('_')[2]} pathway alone lose {says(finding)}." for finding in refits)
    if margin > 0 and "below" in places:
        return "not supported", f"{reason}: one is worth less than a tenth.{notes}"
    if not margin > 0 or places != ["above", "above"]:
        return "cannot tell", f"{reason}.{notes}"
    if not all(cost.low > 0 for cost in costs):
        return "cannot tell", f"{reason}: perhaps the pathways can stand in for each other.{notes}"
    return "supported", f"{reason}.{notes}"


IMAGE_RULES: dict[str, Rule] = {
    "low_level_not_semantic": Rule(
        "The decoding rests on low-level structure of the images, not on their semantic category.",
        "image",
        "What each explains of the responses beyond the other, and adds to retrieval by a decoder that can use both.",
        CATEGORY_NEEDS,
        _low_level_not_semantic,
        TOWER_NOTES,
    ),
    "semantic": Rule(
        "Responses know the semantic category of images beyond their low-level structure.",
        "image",
        "Share of the explained variance that category accounts for; bits it adds; its accuracy with low-level structure removed.",
        CATEGORY_NEEDS,
        _category_answer,
        TOWER_NOTES,
    ),
    "low_level": Rule(
        "Responses know the low-level structure of images beyond their semantic category.",
        "image",
        "Share of the explained variance that low-level structure alone explains, and the bits it adds to category.",
        CATEGORY_NEEDS,
        _low_level_answer,
        TOWER_NOTES,
    ),
    "coarse": Rule(
        "The decoding rests on coarse structure: low spatial frequencies.",
        "image",
        "Accuracy kept if all above a quarter of the Nyquist limit is foreign; whether what is read follows the size of the maps.",
        (LOWEST,),
        _coarse,
        asks_why=(CAPACITY, PLACES),
    ),
    "not_fine_detail": Rule(
        "The decoding does without fine detail.",
        "image",
        "Accuracy kept without the octave below the Nyquist limit, and by it alone; whether what is read follows the size of the maps.",
        (WITHOUT_HIGHEST, HIGHEST),
        _not_fine_detail,
        asks_why=(CAPACITY, PLACES),
    ),
    "distributed_regions": Rule(
        "The decoding draws on many regions of what the neurons see.",
        "image",
        "Fraction of the covered area over which the loss under a window is spread, after division by coverage; what hiding places costs.",
        (NORMALISED, COVERAGE, LOST, RANK_LOST),
        _distributed,
        (("occlusion", "participation_score"),),
    ),
    "shape_and_texture": Rule(
        "Both shape and texture carry the decoding.",
        "image",
        "Accuracy that altered images keep beyond what their contrast gives, for three alterations of each kind.",
        tuple(("shape_texture", f"kept_{name}_beyond_contrast") for name in (*SHAPES, *TEXTURES)),
        _shape_and_texture,
        (("shape_texture", "phase_over_amplitude"), ("shape_texture", "shape_minus_texture")),
    ),
    "local_and_global": Rule(
        "The local and the global pathway of the image tower both carry the decoding.",
        "image",
        "Share of each pathway in the accuracy, averaged over the orders in which pathways can join; accuracy lost if it is masked.",
        (LOCAL, GLOBAL, *COSTS),
        _both_pathways,
        ALONE,
    ),
}
"""Claims about the image side by name; ``docs/verdicts.md`` says the rules in words and argues for them."""
