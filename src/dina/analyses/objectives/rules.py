"""The rule that decides whether a low-level bias is made by the contrastive objective; ``docs/objectives.md`` says it in words."""

from collections.abc import Mapping

from dina.analyses.verdict import MARGIN, Answer, FindingKey, Rule, place_of, rises_above, says
from dina.statistics.finding import Finding

BEYOND, MATCHED = "category_beyond_low_level", "category_matched_beyond_low_level"
RESPONSES: FindingKey = ("responses", BEYOND)
CONTRASTIVE: FindingKey = ("contrastive", MATCHED)
SEMANTIC: FindingKey = ("category objectives", MATCHED)
LOSS: FindingKey = ("category objectives", f"{MATCHED}_minus_contrastive")


def _decide(found: Mapping[FindingKey, Finding]) -> tuple[Answer, str]:
    held, kept, semantic, loss = (found[key] for key in (RESPONSES, CONTRASTIVE, SEMANTIC, LOSS))
    where = f"Responses carry a share of {says(held)} of the category information that low-level structure lacks"
    others = (
        f"best-matching images keep a share of {says(semantic)} in towers trained by category, of {says(kept)} in"
        " contrastive ones"
    )
    is_semantic = rises_above(semantic) and place_of(semantic, MARGIN) == "above"
    if place_of(held, MARGIN) == "below":
        if is_semantic:
            return "cannot tell", f"{where}, less than a tenth; yet {others}."
        return "not supported", f"{where}, less than a tenth: no objective could keep information that is not there ({others})."
    if place_of(held, MARGIN) != "above" or not rises_above(held):
        return "cannot tell", f"{where}; {others}."
    if not (is_semantic or (rises_above(kept) and place_of(kept, MARGIN) == "above")):
        return "cannot tell", f"{where}, but these towers keep it under no objective: {others}."
    if place_of(loss, MARGIN) == "above":
        return (
            "supported",
            f"{where}; {others}: the contrastive objective withholds a share of {says(loss)}, more than a tenth.",
        )
    if place_of(loss, MARGIN) == "below":
        return (
            "not supported",
            f"{where}; {others}: the contrastive objective withholds a share of {says(loss)}, less than a tenth.",
        )
    return "cannot tell", f"{where}; {others}: the contrastive objective withholds a share of {says(loss)}."


OBJECTIVE_RULE = Rule(
    claim="The low-level bias of the maps is made by the contrastive objective.",
    side="image",
    statistic="Balanced accuracy of category among the training images that a held-out response matches best, less that of"
    " responses made from low-level structure alone, as a share of what is possible; category objectives against the"
    " contrastive one.",
    needs=(RESPONSES, CONTRASTIVE, SEMANTIC, LOSS),
    decide=_decide,
)
"""Needs the responses themselves, the contrastive objective and at least one objective trained by category."""
