"""When functional interactions between neurons contribute to the decoding."""

from dina.analyses.verdict import MARGIN, Answer, FindingKey, Found, Rule, place_of, reads_nothing, says
from dina.statistics.finding import Finding

READ = ("noise_shuffle", "intact_top1")
KNOWING, LEFT = ("noise_shuffle", "knowing_correlations_log_rank"), ("noise_shuffle", "correlations_left")
REMOVING = ("noise_shuffle", "removing_correlations_log_rank")
SUMMED, COUPLED = ("functional_interactions", "summed_contributions"), ("functional_interactions", "coupled_pairs_interaction")


def interactions_contribute(found: Found) -> tuple[Answer, str]:
    """Decide whether a decoder that knows the interactions of neurons reads more than one that does not.

    Of a decoder that lost the share s of the correlations the loss grows at least in proportion to s, being least where nothing
    is lost: an effect above the margin times s shows one above the margin for all of them. It may grow with the square of s:
    only an effect below the margin times the square of s shows one below the margin.
    """
    nothing = reads_nothing(found[READ], "single trials are decoded")
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


RULES: dict[str, Rule] = {
    "functional_interactions": Rule(
        "Functional interactions between neurons contribute to the decoding.",
        "neural",
        "What a decoder gains on single trials by knowing noise correlations, over one that learnt from shuffled repeats.",
        (READ, KNOWING, LEFT),
        interactions_contribute,
        (REMOVING, SUMMED, COUPLED),
    )
}
"""Claims by name; ``docs/verdicts.md`` says the rules in words and argues for them."""
