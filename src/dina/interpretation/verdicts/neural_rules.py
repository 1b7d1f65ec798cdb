"""The rules by which findings of the neural side decide whether few neurons, or their interactions, carry a decoding."""

from collections.abc import Mapping

from dina.interpretation.verdicts.image_rules import HALF, MARGIN, rises_above, says
from dina.interpretation.verdicts.verdict import Answer, FindingKey, Rule, place_of
from dina.measures.finding import Finding

Found = Mapping[FindingKey, Finding]


def _subsets(finding: str) -> FindingKey:
    return ("sparse_subsets", finding)


WHOLE, FEW = _subsets("accuracy_full"), _subsets("half_fraction_top")
NOTHING_READ = "All neurons together decode no better than chance."
OVER_RANDOM, OVER_MATCHED = _subsets("top_minus_random_area"), _subsets("top_minus_snr_matched_area")
UNEQUAL = _subsets("gini_excess_over_signal_to_noise")
EXPLAINED = _subsets("snr_explained_share")
STRENGTH = ("contributions", "correlation_with_mean_response")

KNOWING, LEFT = ("noise_shuffle", "knowing_correlations_log_rank"), ("noise_shuffle", "correlations_left")
REMOVING = ("noise_shuffle", "removing_correlations_log_rank")
SUMMED, COUPLED = ("functional_interactions", "summed_contributions"), ("functional_interactions", "coupled_pairs_interaction")


def sparse_subset(found: Found) -> tuple[Answer, str]:
    """Decide whether a small, chosen subset carries the decoding by more than its signal-to-noise ratio."""
    if not found[WHOLE].low > found[WHOLE].null_high:
        return "cannot tell", NOTHING_READ
    few, over_matched, unequal = found[FEW], found[OVER_MATCHED], found[UNEQUAL]
    where = f"The best {says(few)} of the neurons give half of the accuracy"
    if place_of(few, MARGIN) == "above":
        return "not supported", f"{where}, more than a tenth."
    explained = found.get(EXPLAINED)
    if explained is not None and place_of(explained, HALF) == "above":
        return "not supported", f"{where}; {says(explained)} of their advantage is their signal-to-noise ratio."
    if place_of(unequal, MARGIN) == "below" and not rises_above(unequal):
        inequality = "contributions are no more unequal than signal-to-noise ratios make them"
        return "not supported", f"{where}; {inequality}: Gini excess {says(unequal)}."
    conditions = {
        "they are a tenth at most": place_of(few, MARGIN) == "below",
        "they beat random subsets": rises_above(found[OVER_RANDOM]),
        "they beat subsets of equal signal-to-noise ratio": rises_above(over_matched),
        "contributions are more unequal than signal-to-noise ratios make them": rises_above(unequal),
    }
    missing = [name for name, holds in conditions.items() if not holds]
    if missing:
        return "cannot tell", f"{where}; it is not sure that {', nor that '.join(missing)}."
    return "supported", f"{where} and beat subsets of equal signal-to-noise ratio by {says(over_matched)} of accuracy."


def strongly_responsive(found: Found) -> tuple[Answer, str]:
    """Decide whether neurons that respond strongly are those that contribute."""
    strength = found[STRENGTH]
    where = f"Contributions correlate with mean responses by {says(strength)}"
    if place_of(strength, HALF) == "above" and strength.beats_null:
        return "supported", f"{where}, above one half."
    if place_of(strength, HALF) == "below":
        return "not supported", f"{where}, below one half."
    return "cannot tell", f"{where}."


def sparse_subset_of_strong_neurons(found: Found) -> tuple[Answer, str]:
    """Decide the published claim: sparse subsets, of strongly responsive neurons."""
    (sparse, why_sparse), (strong, why_strong) = sparse_subset(found), strongly_responsive(found)
    if why_sparse == NOTHING_READ:
        return "cannot tell", NOTHING_READ
    reason = f"{why_sparse} {why_strong}"
    if sparse == strong == "supported":
        return "supported", reason
    return ("not supported" if "not supported" in (sparse, strong) else "cannot tell"), reason


def interactions_contribute(found: Found) -> tuple[Answer, str]:
    """Decide whether a decoder that knows the interactions of neurons reads more than one that does not."""
    knowing, left = found[KNOWING], found[LEFT].value
    margin = MARGIN * (1 - left)
    where = f"Knowing noise correlations is worth {says(knowing)} nats of rank"
    where += f", where shuffling repeats removes {1 - left:.0%} of them" if left > 0 else ""
    further = "".join(f" {words} {says(found[key])}." for key, words in NOTES.items() if key in found)
    if place_of(knowing, margin) == "above" and knowing.value > knowing.null_high:
        return "supported", f"{where}, more than {margin:.2g}.{further}"
    if place_of(knowing, margin) == "below":
        return "not supported", f"{where}, less than {margin:.2g}.{further}"
    return "cannot tell", f"{where}; {margin:.2g} would matter.{further}"


NOTES: dict[FindingKey, str] = {
    REMOVING: "Without any of them single trials would gain",
    SUMMED: "Contributions sum to a share of what all carry of",
    COUPLED: "Coupled pairs interact, relative to their contributions, by",
}
"""What stands beside the decision on interactions, and in which words."""

NEURAL_RULES: dict[str, Rule] = {
    "sparse_code": Rule(
        "A sparse subset of the neurons carries the decoding, by more than its signal-to-noise ratio.",
        "neural",
        "Neurons needed for half of the accuracy, beside random subsets and subsets of equal signal-to-noise ratio; inequality of"
        " contributions beyond that of signal-to-noise ratios.",
        (WHOLE, FEW, OVER_RANDOM, OVER_MATCHED, UNEQUAL),
        sparse_subset,
        (EXPLAINED, _subsets("half_fraction_random"), _subsets("most_fraction_top")),
    ),
    "sparse_subsets": Rule(
        "The maps are predominantly reconstructed by sparse subsets of strongly responsive neurons.",
        "neural",
        "Neurons needed for half of the accuracy, beside random subsets and subsets of equal signal-to-noise ratio; inequality of"
        " contributions beyond that of signal-to-noise ratios; their correlation with mean responses.",
        (WHOLE, FEW, OVER_RANDOM, OVER_MATCHED, UNEQUAL, STRENGTH),
        sparse_subset_of_strong_neurons,
        (EXPLAINED, _subsets("half_fraction_random"), _subsets("most_fraction_top")),
    ),
    "functional_interactions": Rule(
        "Functional interactions between neurons contribute to the decoding.",
        "neural",
        "What a decoder gains on single trials by knowing noise correlations, over one that learnt from shuffled repeats.",
        (KNOWING, LEFT),
        interactions_contribute,
        (REMOVING, SUMMED, COUPLED),
    ),
}
"""Claims about the neural side by name; ``docs/verdicts.md`` says the rules in words and argues for them."""
