"""When coarse structure, or all but fine detail, carries the decoding."""

import math

from dina.analyses.verdict import HALF, MARGIN, Answer, Found, Rule, place_of, says, why_open

# Octaves of the frequency edge per octave of map size. If the map limits the edge, the slope is about one half.
MARGIN_SLOPE = 0.1

FOREIGN = "that with foreign images alone"
BOUNDS = "The claim needs intervals above 90\u202f% for the first number and below 50\u202f% for the second."

LOWEST, WITHOUT_HIGHEST = ("spatial_frequency", "kept_lowest_octaves"), ("spatial_frequency", "kept_without_highest_octave")
HIGHEST = ("spatial_frequency", "kept_highest_octave")
CAPACITY, PLACES = ("map_capacity", "edge_per_capacity"), ("map_capacity", "edge_per_places")


def _coarse(found: Found) -> tuple[Answer, str]:
    """Decide whether low spatial frequencies carry most of the decoding."""
    kept = found[LOWEST]
    where = f"If everything above a quarter of the Nyquist limit comes from another image, {says(kept, '%')} of the accuracy above {FOREIGN} is kept"
    if place_of(kept, HALF) == "above" and kept.beats_null:
        return _unless_capacity(found, f"{where}: more than half.")
    if place_of(kept, HALF) == "below":
        return "not supported", f"{where}: less than half."
    return "cannot tell", f"{where}; {why_open(kept, 'one half', place_of(kept, HALF))}."


def _not_fine_detail(found: Found) -> tuple[Answer, str]:
    """Decide whether decoding works without the finest octave of the files."""
    kept, alone = found[WITHOUT_HIGHEST], found[HIGHEST]
    where = (
        f"If the highest octave comes from another image, {says(kept, '%')} of the accuracy above {FOREIGN} is kept."
        f" If everything except the highest octave comes from another image, {says(alone, '%')} is kept."
    )
    if place_of(kept, 1 - MARGIN) == "above" and place_of(alone, HALF) == "below":
        return _unless_capacity(found, f"{where} Without the highest octave less than a tenth is lost.")
    if place_of(kept, 1 - MARGIN) == "below" or (place_of(alone, HALF) == "above" and alone.beats_null):
        return "not supported", f"{where} {BOUNDS}"
    return "cannot tell", f"{where} {BOUNDS}"


def _unless_capacity(found: Found, reason: str) -> tuple[Answer, str]:
    """Answer "supported" only if the frequencies that the towers read are known to change little with the size of the maps."""
    slopes = [found[key] for key in (CAPACITY, PLACES) if key in found]
    unknown = [
        slope.reason or "How the frequency edge follows the size of the maps has no interval."
        for slope in slopes
        if math.isnan(slope.low)
    ]
    if unknown or CAPACITY not in found:
        why = " ".join(dict.fromkeys(unknown))
        return (
            "cannot tell",
            f"{reason} It is not known whether the frequencies that the towers read depend on the size of the maps. {why}",
        )
    where = f"the frequency edge changes by {says(slopes[0])} octaves per doubling of the numbers in a map"
    where += (
        f" and by {says(slopes[1])} per doubling of its places" if PLACES in found else " (all maps have equally many places)"
    )
    places = [place_of(slope, MARGIN_SLOPE) for slope in slopes]
    if "above" in places:
        return "cannot tell", f"{reason} But the frequencies that the towers read depend on the size of the maps: {where}."
    if set(places) != {"below"}:
        may = (
            f"But the frequencies that the towers read may depend on the size of the maps: {where}; {MARGIN_SLOPE} would matter."
        )
        return "cannot tell", f"{reason} {may}"
    return "supported", f"{reason} The size of the maps does not matter: {where}, less than {MARGIN_SLOPE}."


# Claims by name; ``docs/verdicts.md`` says the rules in words and argues for them.
RULES: dict[str, Rule] = {
    "coarse": Rule(
        "The decoding rests on coarse structure: low spatial frequencies.",
        "image",
        "Accuracy kept if everything above a quarter of the Nyquist limit comes from another image; slope of the frequency edge on map size.",
        (LOWEST,),
        _coarse,
        asks_why=(CAPACITY, PLACES),
    ),
    "not_fine_detail": Rule(
        "The decoding does without fine detail.",
        "image",
        "Accuracy kept if the octave below the Nyquist limit comes from another image, and if everything else does; slope of the frequency edge on map size.",
        (WITHOUT_HIGHEST, HIGHEST),
        _not_fine_detail,
        asks_why=(CAPACITY, PLACES),
    ),
}
