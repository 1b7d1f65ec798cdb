"""When category, low-level structure, or both carry the decoding."""

import math

from dina.analyses.verdict import HALF, MARGIN, Answer, FindingKey, Found, Rule, place_of, rises_above, says


def _category(finding: str) -> FindingKey:
    return ("semantics", finding)


CATEGORY_SHARE, LOW_LEVEL_SHARE = _category("category_share"), _category("low_level_unique_share")
CATEGORY_GAIN, LOW_LEVEL_GAIN = _category("category_gain_bits"), _category("low_level_gain_bits")
PARTIALLED = _category("category_accuracy_partialled")
CATEGORY_NEEDS = (CATEGORY_SHARE, LOW_LEVEL_SHARE, CATEGORY_GAIN, LOW_LEVEL_GAIN, PARTIALLED)
LAYERS_GAIN, BEST_LAYER = ("layer_depth", "gain_trained"), ("layer_depth", "best_layer_depth")
TOWER_NOTES = tuple(_category(f"{name}_towers") for name in ("same_class_cost", "same_class_rivals", "low_level_cost"))


def _category_answer(found: Found) -> tuple[Answer, str]:
    """Decide whether responses follow the residual of category on low-level structure."""
    share = found[CATEGORY_SHARE]
    lines = {
        "the gain in bits": rises_above(found[CATEGORY_GAIN]),
        "the accuracy of category read from the residuals of low-level structure": rises_above(found[PARTIALLED]),
    }
    agreeing = [name for name, is_above in lines.items() if is_above]
    where = f"The share of category in the explained variance is {says(share, '%')}"
    where += ", estimated where low-level structure does not determine category"
    place = place_of(share, MARGIN)
    if place == "above" and share.beats_null and agreeing:
        return "supported", f"{where}. This lies above a tenth and above its null. Also above its null: {' and '.join(agreeing)}."
    if place == "below" and len(agreeing) < len(lines):
        return "not supported", f"{where}. This is less than a tenth, although the models could use category."
    above = f"Above its null: {' and '.join(agreeing) or 'no other statistic'}"
    bounds = "The claim needs a share above a tenth and its null, and one such statistic; a share below a tenth speaks against it"
    return "cannot tell", f"{where}. {above}. {bounds}."


def _low_level_answer(found: Found) -> tuple[Answer, str]:
    """Decide whether low-level structure explains responses beyond category."""
    share, gain = found[LOW_LEVEL_SHARE], found[LOW_LEVEL_GAIN]
    where = f"The share of low-level structure alone in the explained variance is {says(share, '%')}"
    bits = f"Added to category, it changes the information about the image by {says(gain)} bits."
    place = place_of(share, MARGIN)
    if place == "above" and share.beats_null and rises_above(gain):
        return "supported", f"{where}. {bits} The share lies above a tenth, and both lie above their nulls."
    if place == "below":
        return "not supported", f"{where}. This is less than a tenth."
    return "cannot tell", f"{where}. {bits} The claim needs a share above a tenth, and both above their nulls."


def _late_layers(found: Found) -> tuple[bool, str]:
    """Say whether late layers of a trained network may predict the neurons by a tenth better than Gabor channels do."""
    gain, best = found[LAYERS_GAIN], found.get(BEST_LAYER)
    if math.isnan(gain.value):
        return False, f"Layers of a trained network were not compared. {gain.reason}"
    where = f"Layers of a trained network, added to Gabor channels, change what is explained by {says(gain, '%')} of the variance"
    if best is None:
        return False, f"{where}, not more than with permuted weights."
    where += f", more than with permuted weights, and the best layer is at {says(best, '%')} of the depth"
    if place_of(gain, MARGIN) == "below":
        return False, f"{where}. This is less than a tenth."
    if best.high <= HALF:
        return False, f"{where}, not in the later half."
    return True, f"{where}, perhaps in the later half. So there may be more than low-level structure."


def _low_level_not_semantic(found: Found) -> tuple[Answer, str]:
    """Decide the published claim: low-level structure and not category, and no late layer that goes beyond Gabor channels."""
    (low_level, why_low), (category, why_category) = _low_level_answer(found), _category_answer(found)
    may_be_late, why_layers = _late_layers(found)
    reason = f"{why_low} {why_category} {why_layers}"
    if low_level == "supported" and category == "not supported":
        return "cannot tell" if may_be_late else "supported", reason
    if low_level == "not supported" or category == "supported":
        return "not supported", reason
    return "cannot tell", reason


# Claims by name; ``docs/verdicts.md`` says the rules in words and argues for them.
RULES: dict[str, Rule] = {
    "low_level_not_semantic": Rule(
        "The decoding rests on low-level structure of the images, not on their semantic category.",
        "image",
        "Share of the explained variance that each explains beyond the other; information about the image that each adds to the other;"
        " gain of late layers of a trained network over Gabor channels, where it was computed.",
        CATEGORY_NEEDS,
        _low_level_not_semantic,
        (*TOWER_NOTES, BEST_LAYER),
        (LAYERS_GAIN,),
    ),
    "semantic": Rule(
        "Responses carry the semantic category of images beyond their low-level structure.",
        "image",
        "Share of category in the explained variance; bits that it adds; accuracy of category after low-level structure is removed.",
        CATEGORY_NEEDS,
        _category_answer,
        TOWER_NOTES,
    ),
    "low_level": Rule(
        "Responses carry the low-level structure of images beyond their semantic category.",
        "image",
        "Share of low-level structure alone in the explained variance; bits that it adds to category.",
        CATEGORY_NEEDS,
        _low_level_answer,
        TOWER_NOTES,
    ),
}
