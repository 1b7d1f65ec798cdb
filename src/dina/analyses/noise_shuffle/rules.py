"""When functional interactions between neurons contribute to the decoding."""

from dina.analyses.verdict import BESIDE, MARGIN, Answer, FindingKey, Found, Rule, place_of, reads_nothing, says
from dina.statistics.finding import Finding

READ = ("noise_shuffle", "intact_top1")
KNOWING, LEFT = ("noise_shuffle", "knowing_correlations_log_rank"), ("noise_shuffle", "correlations_left")
DRIFT = ("noise_shuffle", "slow_drift_share")
REMOVING = ("noise_shuffle", "removing_correlations_log_rank")
SUMMED, COUPLED = ("functional_interactions", "summed_contributions"), ("functional_interactions", "coupled_pairs_interaction")


def interactions_contribute(found: Found) -> tuple[Answer, str]:
    """Decide whether a decoder that models the interactions of neurons is better than one that ignores them.

    A decoder loses a share s of the correlations. Its loss is smallest at s = 0 and grows at least in proportion to s. An effect
    above s times the margin therefore shows that all correlations together have an effect above the margin. The loss may grow
    with the square of s, so only an effect below s² times the margin shows an effect below the margin. Where slow drift was
    removed, shared noise as slow as the drift was removed too, and no effect below the margin can be shown.
    """
    nothing = reads_nothing(found[READ], "single trials are decoded")
    if nothing:
        return "cannot tell", nothing
    knowing, removed = found[KNOWING], 1 - found[LEFT].value
    if knowing.low == 0 == knowing.high:
        return "cannot tell", "Every image has the same rank with and without noise correlations, so no benefit could show."
    much, little = MARGIN * removed, MARGIN * removed**2
    where = f"Learning noise correlations changes the log rank by {says(knowing.negated())} nats (negative: better)"
    where += f". Shuffling training trials removes {100 * removed:.0f}\u202f% of them" if removed < 1 else ""
    drifts = DRIFT in found and found[DRIFT].value > found[DRIFT].null_high
    notes = " ".join(_note(key, found[key]) for key in NOTES if key in found)
    further = f"{BESIDE}{notes}" if notes else ""
    if place_of(knowing, much) == "above" and knowing.value > knowing.null_high:
        return "supported", f"{where}. The benefit is above {much:.2g} nats.{further}"
    if place_of(knowing, little) == "below" and drifts:
        return (
            "cannot tell",
            f"{where}. Any benefit is below {little:.2g} nats, but removing drift may have removed shared noise.{further}",
        )
    if place_of(knowing, little) == "below":
        return "not supported", f"{where}. Any benefit is below {little:.2g} nats.{further}"
    bounds = f"A benefit above {much:.2g} nats would show that they matter, one below {little:.2g} that they do not"
    return "cannot tell", f"{where}. {bounds}.{further}"


REMAINS = "; this is not above its null, so no drift was removed."
# Findings that the reason mentions but the rule does not use.
NOTES: dict[FindingKey, str] = {
    REMOVING: "Shuffling training and test trials changes the log rank by {value} nats (negative: better{beyond}).",
    SUMMED: "The contributions of single neurons sum to {value} of the information of all neurons together.",
    DRIFT: "In the responses as they are decoded, slow drift explains {value} of the variance of training trials about the means of images{null}",
    COUPLED: "The mean interaction of the {n} coupled pairs, relative to their contributions, is {value}.",
}


def _note(key: FindingKey, finding: Finding) -> str:
    drifts = "; this is above its null, and the drift was removed." if finding.value > finding.null_high else REMAINS
    words = {"null": drifts, "beyond": "; beyond its null" if finding.beats_null else ""}
    said = finding.negated() if key == REMOVING else finding
    return NOTES[key].format(n=finding.n, value=says(said, "%" if key in (SUMMED, DRIFT, COUPLED) else ""), **words)


# Claims by name; ``docs/verdicts.md`` says the rules in words and argues for them.
RULES: dict[str, Rule] = {
    "functional_interactions": Rule(
        "Functional interactions between neurons contribute to the decoding.",
        "neural",
        "Single trials: log rank of a decoder that learnt from intact repeats, compared with one that learnt from shuffled repeats.",
        (READ, KNOWING, LEFT),
        interactions_contribute,
        (REMOVING, SUMMED, COUPLED, DRIFT),
    )
}
