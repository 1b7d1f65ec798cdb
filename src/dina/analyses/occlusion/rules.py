"""When the decoding draws on many regions of the image."""

from dina.analyses.verdict import HALF, Answer, Found, Rule, place_of, says

NORMALISED, COVERAGE = ("occlusion", "participation_normalised"), ("occlusion", "participation_coverage")
LOST, RANK_LOST = ("occlusion", "score_loss"), ("occlusion", "log_rank_loss")


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


RULES: dict[str, Rule] = {
    "distributed_regions": Rule(
        "The decoding draws on many regions of what the neurons see.",
        "image",
        "Fraction of the covered area over which the loss under a window is spread, after division by coverage; what hiding places costs.",
        (NORMALISED, COVERAGE, LOST, RANK_LOST),
        _distributed,
        (("occlusion", "participation_score"),),
    )
}
"""Claims by name; ``docs/verdicts.md`` says the rules in words and argues for them."""
