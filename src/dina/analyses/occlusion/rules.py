"""When the decoding draws on many regions of the image."""

from dina.analyses.verdict import HALF, Answer, Found, Rule, place_of, says, why_open

NORMALISED, COVERAGE = ("occlusion", "participation_normalised"), ("occlusion", "participation_coverage")
LOST, RANK_LOST = ("occlusion", "score_loss"), ("occlusion", "log_rank_loss")


def _distributed(found: Found) -> tuple[Answer, str]:
    """Decide whether the decoding draws on most of what the receptive fields cover."""
    spread, coverage, lost, rank = found[NORMALISED], found[COVERAGE], found[LOST], found[RANK_LOST]
    if not lost.low > 0:
        return "cannot tell", f"The right image loses {says(lost)} nats of score when places are hidden. It may lose nothing."
    if not rank.low > 0:
        change = f"the log rank of the right image changes by {says(rank)} nats (negative: better)"
        return "cannot tell", f"Hiding places lowers scores, but {change}. Retrieval may lose nothing."
    where = f"After division by coverage, the loss under the window is spread over {says(spread, '%')} of the covered area"
    limits = f" The receptive fields are spread over {100 * coverage.value:.2g}\u202f% of the image."
    if place_of(spread, HALF) == "above":
        return "supported", f"{where}: more than half.{limits}"
    if place_of(spread, HALF) == "below":
        return "not supported", f"{where}: less than half.{limits}"
    return "cannot tell", f"{where}; {why_open(spread, 'one half', place_of(spread, HALF))}.{limits}"


# Claims by name; ``docs/verdicts.md`` says the rules in words and argues for them.
RULES: dict[str, Rule] = {
    "distributed_regions": Rule(
        "The decoding draws on many regions of what the neurons see.",
        "image",
        "Fraction of the covered area over which the loss under a window is spread, after division by coverage; loss of score and of rank.",
        (NORMALISED, COVERAGE, LOST, RANK_LOST),
        _distributed,
        (("occlusion", "participation_score"),),
    )
}
