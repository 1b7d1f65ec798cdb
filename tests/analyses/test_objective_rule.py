"""The rule about the contrastive objective says yes, no, or neither, as it was written down."""

import pytest

from dina.analyses.objectives.compute import CONTRASTIVE, LOSS, OBJECTIVE_RULE, RESPONSES, SEMANTIC
from dina.analyses.verdict import judge
from dina.statistics.finding import Finding

NONE, MUCH, UNCLEAR = (0.0, -0.05, 0.05), (0.8, 0.7, 0.9), (0.1, -0.1, 0.3)


def answer(*numbers: tuple[float, float, float]) -> tuple[str, str]:
    found: dict[str, dict[str, Finding]] = {}
    for (analysis, name), (value, low, high) in zip((RESPONSES, CONTRASTIVE, SEMANTIC, LOSS), numbers, strict=True):
        found.setdefault(analysis, {})[name] = Finding(name, value, "1", 100, low, high, -0.06, 0.06, "drawn")
    verdict = judge((OBJECTIVE_RULE,), found)[0]
    return verdict.verdict, verdict.reason


@pytest.mark.parametrize(
    ("numbers", "expected", "because"),
    [
        ((NONE, NONE, NONE, NONE), "not supported", "information that is not there"),
        ((NONE, NONE, MUCH, MUCH), "cannot tell", "less than a tenth; yet"),
        ((MUCH, NONE, MUCH, MUCH), "supported", "share lost"),
        ((MUCH, MUCH, MUCH, NONE), "not supported", "share lost"),
        ((MUCH, MUCH, MUCH, UNCLEAR), "cannot tell", "share lost"),
        ((MUCH, NONE, NONE, NONE), "cannot tell", "under no objective"),
        ((UNCLEAR, NONE, MUCH, MUCH), "cannot tell", "Responses"),
    ],
)
def test_the_rule_answers_as_it_was_written_down(
    numbers: tuple[tuple[float, float, float], ...], expected: str, because: str
) -> None:
    verdict, reason = answer(*numbers)

    assert verdict == expected
    assert because in reason


def test_a_negative_share_is_said_as_a_share_with_a_minus_sign() -> None:
    _, reason = answer(MUCH, (-0.033, -0.1, 0.02), MUCH, MUCH)

    assert "−3.3\u202f% (−10.0 to 2.0\u202f%) in contrastive ones" in reason
    assert "by −" not in reason


def test_without_an_objective_trained_by_category_nothing_can_be_told() -> None:
    found = {RESPONSES[0]: {RESPONSES[1]: Finding(RESPONSES[1], 0.8, "1", 100, 0.7, 0.9, -0.1, 0.1, "drawn")}}

    verdict = judge((OBJECTIVE_RULE,), found)[0]

    assert verdict.verdict == "cannot tell"
    assert "category objectives was not done" in verdict.reason
