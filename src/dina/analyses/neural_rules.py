"""The rules by which findings of the neural side decide whether few neurons, or their interactions, carry a decoding."""

import math
from collections.abc import Mapping

from dina.analyses.image_rules import HALF, MARGIN, rises_above, says
from dina.analyses.verdict import Answer, FindingKey, Rule, place_of
from dina.statistics.finding import Finding

Found = Mapping[FindingKey, Finding]


def _subsets(finding: str) -> FindingKey:
    return ("sparse_subsets", finding)


WHOLE, FEW = _subsets("accuracy_full"), _subsets("half_fraction_top")
OVER_RANDOM, OVER_MATCHED = _subsets("top_minus_random_area"), _subsets("top_minus_snr_matched_area")
UNEQUAL = _subsets("gini_excess_over_signal_to_noise")
EXPLAINED = _subsets("snr_explained_share")
STRENGTH = ("contributions", "corrected_correlation_with_mean_response")

READ = ("noise_shuffle", "intact_top1")
KNOWING, LEFT = ("noise_shuffle", "knowing_correlations_log_rank"), ("noise_shuffle", "correlations_left")
REMOVING = ("noise_shuffle", "removing_correlations_log_rank")
SUMMED, COUPLED = ("functional_interactions", "summed_contributions"), ("functional_interactions", "coupled_pairs_interaction")


def _nothing_read(accuracy: Finding, who: str) -> str:
    """Say why a decoder may read nothing at all; "" where it does better than chance beyond doubt."""
    if math.isnan(accuracy.low):
        return f"Whether {who} better than chance is open: {accuracy.reason or 'the accuracy has no interval.'}"
    if place_of(accuracy, accuracy.null_high) == "above":
        return ""
    return f"It is not sure that {who} better than chance: {says(accuracy)}, chance {accuracy.null_high:.2g}."


def _unknown(found: Found, key: FindingKey) -> str:
    """Say why a finding cannot be had; "" where it is known."""
    finding = found.get(key)
    if finding is None:
        return f"The analysis {key[0]} has no finding {key[1]}."
    return (finding.reason or f"{key[1]} is not known.") if math.isnan(finding.value) else ""


def _lies(found: Found, key: FindingKey, bound: float) -> str:
    """Say on which side of a bound a finding lies; "unknown" where there is none."""
    return "unknown" if _unknown(found, key) else place_of(found[key], bound)


def _rises(found: Found, key: FindingKey) -> bool:
    return not _unknown(found, key) and rises_above(found[key])


def sparse_subset(found: Found) -> tuple[Answer, str]:
    """Decide whether a small, chosen subset carries the decoding by more than its signal-to-noise ratio.

    What speaks against it is enough by itself, whatever else is not known.
    """
    nothing = _nothing_read(found[WHOLE], "all neurons together decode")
    if nothing:
        return "cannot tell", nothing
    if _unknown(found, FEW):
        return "cannot tell", _unknown(found, FEW)
    where = f"The best {says(found[FEW])} of the neurons give half of the accuracy"
    if place_of(found[FEW], MARGIN) == "above":
        return "not supported", f"{where}, more than a tenth."
    if _lies(found, EXPLAINED, HALF) == "above":
        return "not supported", f"{where}; {says(found[EXPLAINED])} of their advantage is their signal-to-noise ratio."
    if _lies(found, UNEQUAL, MARGIN) == "below" and not _rises(found, UNEQUAL):
        inequality = "contributions are no more unequal than signal-to-noise ratios make them"
        return "not supported", f"{where}; {inequality}: Gini excess {says(found[UNEQUAL])}."
    conditions = {
        "they are a tenth at most": place_of(found[FEW], MARGIN) == "below",
        "they beat random subsets": _rises(found, OVER_RANDOM),
        "they beat subsets of equal signal-to-noise ratio": _rises(found, OVER_MATCHED),
        "contributions are more unequal than signal-to-noise ratios make them": _rises(found, UNEQUAL),
    }
    missing = [name for name, holds in conditions.items() if not holds]
    if missing:
        reasons = dict.fromkeys(_unknown(found, key) for key in (OVER_RANDOM, OVER_MATCHED, UNEQUAL))
        return "cannot tell", " ".join([f"{where}; it is not sure that {', nor that '.join(missing)}.", *filter(None, reasons)])
    beaten = f"beat subsets of equal signal-to-noise ratio by {says(found[OVER_MATCHED])} of accuracy"
    return "supported", f"{where} and {beaten}."


def strongly_responsive(found: Found) -> tuple[Answer, str]:
    """Decide whether neurons that respond strongly are those that contribute, the errors of contributions allowed for."""
    if _unknown(found, STRENGTH):
        return "cannot tell", f"Whether neurons that respond strongly contribute is open: {_unknown(found, STRENGTH)}"
    strength = found[STRENGTH]
    where = f"Contributions freed of their errors correlate with mean responses by {says(strength)}"
    if place_of(strength, HALF) == "above" and strength.beats_null:
        return "supported", f"{where}, above one half."
    if place_of(strength, HALF) == "below":
        return "not supported", f"{where}, below one half."
    return "cannot tell", f"{where}."


def sparse_subset_of_strong_neurons(found: Found) -> tuple[Answer, str]:
    """Decide the published claim: sparse subsets, of strongly responsive neurons."""
    nothing = _nothing_read(found[WHOLE], "all neurons together decode")
    if nothing:
        return "cannot tell", nothing
    (sparse, why_sparse), (strong, why_strong) = sparse_subset(found), strongly_responsive(found)
    reason = f"{why_sparse} {why_strong}"
    if sparse == strong == "supported":
        return "supported", reason
    return ("not supported" if "not supported" in (sparse, strong) else "cannot tell"), reason


def interactions_contribute(found: Found) -> tuple[Answer, str]:
    """Decide whether a decoder that knows the interactions of neurons reads more than one that does not.

    Of a decoder that lost the share s of the correlations the loss grows at least in proportion to s, being least where nothing
    is lost: an effect above the margin times s shows one above the margin for all of them. It may grow with the square of s:
    only an effect below the margin times the square of s shows one below the margin.
    """
    nothing = _nothing_read(found[READ], "single trials are decoded")
    if nothing:
        return "cannot tell", nothing
    knowing, removed = found[KNOWING], 1 - found[LEFT].value
    much, little = MARGIN * removed, MARGIN * removed**2
    where = f"Knowing noise correlations is worth {says(knowing)} nats of rank"
    where += f", where shuffling training trials removes {removed:.0%} of them" if removed < 1 else ""
    further = "".join(f" {_note(key, found[key])}." for key in NOTES if key in found)
    if place_of(knowing, much) == "above" and knowing.value > knowing.null_high:
        return "supported", f"{where}, more than {much:.2g}.{further}"
    if place_of(knowing, little) == "below":
        return "not supported", f"{where}, less than {little:.2g}.{further}"
    bounds = f"above {much:.2g} would show that it matters, below {little:.2g} that it does not"
    return "cannot tell", f"{where}; {bounds}.{further}"


NOTES: dict[FindingKey, str] = {
    REMOVING: "Without any of them single trials would gain",
    SUMMED: "Contributions sum to a share of what all carry of",
    COUPLED: "Coupled pairs ({n}) interact, relative to their contributions, by",
}
"""What stands beside the decision on interactions, and in which words."""


def _note(key: FindingKey, finding: Finding) -> str:
    return f"{NOTES[key].format(n=finding.n)} {says(finding)}"


NOT_DECISIVE = (_subsets("half_fraction_random"), _subsets("most_fraction_top"))

NEURAL_RULES: dict[str, Rule] = {
    "sparse_code": Rule(
        "A sparse subset of the neurons carries the decoding, by more than its signal-to-noise ratio.",
        "neural",
        "Neurons needed for half of the accuracy, beside random subsets and subsets of equal signal-to-noise ratio; inequality of"
        " contributions beyond that of signal-to-noise ratios.",
        (WHOLE,),
        sparse_subset,
        NOT_DECISIVE,
        asks_why=(FEW, EXPLAINED, UNEQUAL, OVER_RANDOM, OVER_MATCHED),
    ),
    "sparse_subsets": Rule(
        "The maps are predominantly reconstructed by sparse subsets of strongly responsive neurons.",
        "neural",
        "Neurons needed for half of the accuracy, beside random subsets and subsets of equal signal-to-noise ratio; inequality of"
        " contributions beyond that of signal-to-noise ratios; their correlation with mean responses, freed of errors.",
        (WHOLE,),
        sparse_subset_of_strong_neurons,
        NOT_DECISIVE,
        asks_why=(FEW, EXPLAINED, UNEQUAL, OVER_RANDOM, OVER_MATCHED, STRENGTH),
    ),
    "functional_interactions": Rule(
        "Functional interactions between neurons contribute to the decoding.",
        "neural",
        "What a decoder gains on single trials by knowing noise correlations, over one that learnt from shuffled repeats.",
        (READ, KNOWING, LEFT),
        interactions_contribute,
        (REMOVING, SUMMED, COUPLED),
    ),
}
"""Claims about the neural side by name; ``docs/verdicts.md`` says the rules in words and argues for them."""
