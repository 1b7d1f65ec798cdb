"""When the geometry of the decoding is that of the population, and when it rests on a few neurons."""

import math

from dina.analyses.verdict import HALF, MARGIN, Answer, FindingKey, Found, Rule, place_of, reads_nothing, says


def _geometry(finding: str) -> FindingKey:
    return ("representative_geometry", finding)


WHOLE, KNOWN = _geometry("accuracy_full"), _geometry("reliability_rsa")
KEPT, KEPT_BY_CKA = _geometry("kept_without_top_rsa"), _geometry("kept_without_top_cka")
MATCHED, OVERLAP = _geometry("kept_without_snr_matched_rsa"), _geometry("overlap_snr_matched")


def population_geometry(found: Found) -> tuple[Answer, str]:
    """Decide whether the geometry of the decoding is that of the population, not of a few neurons."""
    nothing = reads_nothing(found[WHOLE], "all neurons together decode")
    if nothing:
        return "cannot tell", nothing
    known = found[KNOWN]
    if not (known.low > known.null_high and known.beats_null):
        return "cannot tell", f"Two halves of the repeats do not agree on the geometry: correlation {says(known)}."
    kept, by_cka = found[KEPT], found[KEPT_BY_CKA]
    if math.isnan(kept.value) or math.isnan(by_cka.value):
        return "cannot tell", f"The geometry of the other neurons is not known. {kept.reason or by_cka.reason}"
    where = (
        "Without the tenth of the neurons that contributes most, the others have"
        f" {says(kept, '%')} of the geometry of all (by kernel alignment {says(by_cka, '%')}).{_as_strong(found)}"
    )
    most, few = 1 - MARGIN, HALF
    if place_of(kept, most) == "above" and place_of(by_cka, few) != "below":
        return "supported", where
    if place_of(kept, few) == "below" and kept.value < kept.null_low and place_of(by_cka, most) != "above":
        return "not supported", f"{where} Without a random tenth they have at least {100 * kept.null_low:.0f}\u202f%."
    if place_of(kept, few) == "above" and place_of(kept, most) == "below":
        return "cannot tell", f"{where} So these few make a part of it, but not most of it."
    return (
        "cannot tell",
        f"{where} To decide, the first interval must lie above {100 * most:.0f}\u202f%, or below {100 * few:.0f}\u202f%.",
    )


def _as_strong(found: Found) -> str:
    """Say what is left without as many neurons of equal signal-to-noise ratio, where this is known."""
    matched, overlap = found.get(MATCHED), found.get(OVERLAP)
    if matched is None or overlap is None:
        return ""
    return (
        f" Without as many neurons of equal signal-to-noise ratio, {100 * overlap.value:.0f}\u202f% of which are the same, they have"
        f" {says(matched, '%')}."
    )


# Claims by name; ``docs/verdicts.md`` says the rules in words and argues for them.
RULES: dict[str, Rule] = {
    "population_geometry": Rule(
        "The geometry of the decoding is that of the population, not of a few neurons.",
        "neural",
        "Share of the similarities between images, corrected for noise, that is left without the tenth of the neurons that contributes"
        " most; compared with random tenths.",
        (WHOLE, KNOWN),
        population_geometry,
        (MATCHED, OVERLAP),
        asks_why=(KEPT, KEPT_BY_CKA),
    )
}
