"""When a sparse subset of the neurons carries the decoding, for more reasons than its signal-to-noise ratio."""

import math

from dina.analyses.verdict import (
    HALF,
    MARGIN,
    Answer,
    FindingKey,
    Found,
    Rule,
    not_measured,
    place_of,
    reads_nothing,
    rises_above,
    says,
    why_open,
)


def _subsets(finding: str) -> FindingKey:
    return ("sparse_subsets", finding)


WHOLE, FEW = _subsets("accuracy_full"), _subsets("half_fraction_top")
OVER_RANDOM, OVER_MATCHED = _subsets("top_minus_random_area"), _subsets("top_minus_snr_matched_area")
UNEQUAL = _subsets("gini_excess_over_signal_to_noise")
EXPLAINED = _subsets("snr_explained_share")
STRENGTH = ("contributions", "corrected_correlation_with_mean_response")


def _unknown(found: Found, key: FindingKey) -> str:
    """Say why a finding is not known; "" if it is known."""
    finding = found.get(key)
    if finding is None:
        return not_measured(key[0])
    return (finding.reason or "A number that this claim rests on is not known.") if math.isnan(finding.value) else ""


def _lies(found: Found, key: FindingKey, bound: float) -> str:
    """Say on which side of a bound a finding lies, or "unknown"."""
    return "unknown" if _unknown(found, key) else place_of(found[key], bound)


def _rises(found: Found, key: FindingKey) -> bool:
    return not _unknown(found, key) and rises_above(found[key])


def sparse_subset(found: Found) -> tuple[Answer, str]:
    """Decide whether a small subset carries the decoding, for more reasons than its signal-to-noise ratio.

    One finding against the claim is enough, even if other findings are missing.
    """
    nothing = reads_nothing(found[WHOLE], "all neurons together decode")
    if nothing:
        return "cannot tell", nothing
    if _unknown(found, FEW):
        return "cannot tell", _unknown(found, FEW)
    where = f"The share of the neurons, best first, that gives half of the accuracy is {says(found[FEW], '%')}"
    if place_of(found[FEW], MARGIN) == "above":
        return "not supported", f"{where}: more than a tenth."
    if _lies(found, EXPLAINED, HALF) == "above":
        return (
            "not supported",
            f"{where}. Signal-to-noise ratios explain {says(found[EXPLAINED], '%')} of the advantage of the best neurons: more than half.",
        )
    if _lies(found, UNEQUAL, MARGIN) == "below" and not _rises(found, UNEQUAL):
        inequality = "The inequality of contributions does not exceed that predicted from signal-to-noise ratios"
        return "not supported", f"{where}. {inequality}: Gini excess {says(found[UNEQUAL])}."
    conditions = {
        "they are at most a tenth of all neurons": place_of(found[FEW], MARGIN) == "below",
        "they beat random subsets": _rises(found, OVER_RANDOM),
        "they beat subsets of equal signal-to-noise ratio": _rises(found, OVER_MATCHED),
        "contributions are more unequal than signal-to-noise ratios predict": _rises(found, UNEQUAL),
    }
    missing = [name for name, holds in conditions.items() if not holds]
    if missing:
        reasons = dict.fromkeys(_unknown(found, key) for key in (OVER_RANDOM, OVER_MATCHED, UNEQUAL))
        return "cannot tell", " ".join(
            [f"{where}. It is not certain that {', nor that '.join(missing)}.", *filter(None, reasons)]
        )
    beaten = "The area under their accuracy curve exceeds that of subsets of equal signal-to-noise ratio"
    return "supported", f"{where}. {beaten} by {says(found[OVER_MATCHED], 'points')}."


def strongly_responsive(found: Found) -> tuple[Answer, str]:
    """Decide whether strongly responsive neurons contribute most, after correction for the errors of contributions."""
    if _unknown(found, STRENGTH):
        return "cannot tell", f"It is not known whether strongly responsive neurons contribute most: {_unknown(found, STRENGTH)}"
    strength = found[STRENGTH]
    where = f"The correlation of contributions with mean responses, corrected for errors, is {says(strength)}"
    if place_of(strength, HALF) == "above" and strength.beats_null:
        return "supported", f"{where}: above one half."
    if place_of(strength, HALF) == "below":
        return "not supported", f"{where}: below one half."
    return "cannot tell", f"{where}; {why_open(strength, 'one half', place_of(strength, HALF))}."


def sparse_subset_of_strong_neurons(found: Found) -> tuple[Answer, str]:
    """Decide the published claim: sparse subsets, of strongly responsive neurons."""
    nothing = reads_nothing(found[WHOLE], "all neurons together decode")
    if nothing:
        return "cannot tell", nothing
    (sparse, why_sparse), (strong, why_strong) = sparse_subset(found), strongly_responsive(found)
    reason = f"First part, sparse subsets ({sparse}). {why_sparse} Second part, strong neurons ({strong}). {why_strong}"
    if sparse == strong == "supported":
        return "supported", reason
    return ("not supported" if "not supported" in (sparse, strong) else "cannot tell"), reason


NOT_DECISIVE = (_subsets("half_fraction_random"), _subsets("most_fraction_top"))


# Claims by name; ``docs/verdicts.md`` says the rules in words and argues for them.
RULES: dict[str, Rule] = {
    "sparse_code": Rule(
        "A sparse subset of the neurons carries the decoding, by more than its signal-to-noise ratio.",
        "neural",
        "Neurons needed for half of the accuracy, compared with random subsets and subsets of equal signal-to-noise ratio;"
        " inequality of contributions beyond that predicted from signal-to-noise ratios.",
        (WHOLE,),
        sparse_subset,
        NOT_DECISIVE,
        asks_why=(FEW, EXPLAINED, UNEQUAL, OVER_RANDOM, OVER_MATCHED),
    ),
    "sparse_subsets": Rule(
        "The maps are predominantly reconstructed by sparse subsets of strongly responsive neurons.",
        "neural",
        "Neurons needed for half of the accuracy, compared with random subsets and subsets of equal signal-to-noise ratio;"
        " inequality of contributions beyond that predicted from signal-to-noise ratios; correlation of contributions with mean"
        " responses, corrected for errors.",
        (WHOLE,),
        sparse_subset_of_strong_neurons,
        NOT_DECISIVE,
        asks_why=(FEW, EXPLAINED, UNEQUAL, OVER_RANDOM, OVER_MATCHED, STRENGTH),
    ),
}
