"""Every rule of the image side can say supported, not supported and cannot tell."""

from dataclasses import replace

import pytest

from dina.interpretation.verdicts import RULES, judge
from dina.interpretation.verdicts.image_rules import IMAGE_RULES
from dina.measures.finding import Finding


def finding(name: str, value: float, half_width: float = 0.02, null_high: float = 0.0) -> Finding:
    """A finding whose null reaches up to ``null_high``."""
    return Finding(name, value, "1", 50, value - half_width, value + half_width, null_high - 0.1, null_high, "nothing to find")


def table(analysis: str, *findings: Finding) -> dict[str, dict[str, Finding]]:
    return {analysis: {one.name: one for one in findings}}


def answer(claim: str, found: dict[str, dict[str, Finding]]) -> str:
    return judge([RULES[claim]], found)[0].verdict


def semantics(category: float, low_level: float) -> dict[str, dict[str, Finding]]:
    """Findings of a population in which these shares, and nothing else, are known by one description alone."""
    return table(
        "semantics",
        finding("category_share", category),
        finding("low_level_unique_share", low_level),
        finding("category_gain_bits", 2 * category - 0.05),
        finding("low_level_gain_bits", 3 * low_level - 0.05),
        finding("category_accuracy_partialled", 0.1 + category, null_high=0.2),
    )


@pytest.mark.parametrize(
    ("category", "low_level", "expected"),
    [
        (0.0, 1.0, ("supported", "not supported", "supported")),
        (0.7, 0.0, ("not supported", "supported", "not supported")),
        (0.4, 0.4, ("not supported", "supported", "supported")),
        (0.11, 0.9, ("cannot tell", "cannot tell", "supported")),  # the interval crosses a tenth
        (0.0, 0.0, ("not supported", "not supported", "not supported")),
    ],
)
def test_shares_of_category_and_low_level_structure_decide_three_claims(
    category: float, low_level: float, expected: tuple[str, str, str]
) -> None:
    found = semantics(category, low_level)

    assert tuple(answer(claim, found) for claim in ("low_level_not_semantic", "semantic", "low_level")) == expected


def test_category_judged_on_too_few_images_cannot_be_told() -> None:
    found = semantics(0.7, 0.0)
    found["semantics"]["category_share"] = finding("category_share", 0.7, half_width=0.65)

    assert answer("semantic", found) == "cannot tell"


def test_a_large_share_without_any_gain_in_decoding_is_not_believed() -> None:
    found = semantics(0.5, 0.0)
    for name in ("category_gain_bits", "category_accuracy_partialled"):
        found["semantics"][name] = finding(name, 0.0, null_high=0.2)

    assert answer("semantic", found) == "cannot tell"


def frequencies(lowest: float, without_highest: float, highest: float) -> dict[str, dict[str, Finding]]:
    return table(
        "spatial_frequency",
        finding("kept_lowest_octaves", lowest),
        finding("kept_without_highest_octave", without_highest),
        finding("kept_highest_octave", highest),
    )


@pytest.mark.parametrize(("slope", "expected"), [(0.0, "supported"), (0.4, "cannot tell"), (None, "cannot tell")])
def test_coarse_is_believed_only_where_it_does_not_follow_the_capacity_of_the_map(slope: float | None, expected: str) -> None:
    found = frequencies(0.8, 0.99, 0.05)
    if slope is not None:
        found |= table("map_capacity", finding("edge_per_capacity", slope, null_high=0.05))

    assert answer("coarse", found) == expected
    assert answer("not_fine_detail", found) == expected


def test_detail_that_is_missed_speaks_against_coarse_whatever_the_capacity() -> None:
    found = frequencies(0.2, 0.5, 0.3)

    assert answer("coarse", found) == "not supported"
    assert answer("not_fine_detail", found) == "not supported"


def regions(spread: float, lost: float) -> dict[str, dict[str, Finding]]:
    places = finding("participation_normalised", spread), finding("participation_coverage", 0.3)
    return table("occlusion", *places, finding("score_loss", lost))


@pytest.mark.parametrize(("spread", "expected"), [(0.7, "supported"), (0.3, "not supported"), (0.5, "cannot tell")])
def test_regions_are_many_if_the_covered_area_is_mostly_used(spread: float, expected: str) -> None:
    found = regions(spread, lost=2.0)

    assert answer("distributed_regions", found) == expected


def test_a_decoder_that_loses_nothing_when_places_are_hidden_has_no_regions() -> None:
    assert answer("distributed_regions", regions(0.7, lost=0.0)) == "cannot tell"


@pytest.mark.parametrize(
    ("shape", "texture", "expected"),
    [
        ((0.5, 0.4, 0.0), (0.3, 0.0, 0.3), "supported"),
        ((0.5, 0.4, 0.0), (0.0, 0.0, 0.0), "not supported"),
        ((0.5, 0.0, 0.0), (0.3, 0.0, 0.3), "cannot tell"),
    ],
)
def test_two_of_three_alterations_make_a_cue(shape: tuple, texture: tuple, expected: str) -> None:
    names = ("phase_only", "silhouette", "contours", "amplitude_only", "texture", "local_texture")
    kept = (finding(f"kept_{name}_beyond_contrast", value) for name, value in zip(names, (*shape, *texture), strict=True))

    assert answer("shape_and_texture", table("shape_texture", *kept)) == expected


@pytest.mark.parametrize(
    ("local", "whole", "expected"), [(0.5, 0.3, "supported"), (0.7, 0.0, "not supported"), (0.7, 0.08, "cannot tell")]
)
def test_both_pathways_carry_decoding_if_each_is_worth_a_tenth(local: float, whole: float, expected: str) -> None:
    found = table("pathway_masking", finding("shapley_local", local), finding("shapley_global", whole))

    assert answer("local_and_global", found) == expected


def test_without_any_analysis_nothing_can_be_told() -> None:
    verdicts = judge(list(IMAGE_RULES.values()), {})

    assert {verdict.verdict for verdict in verdicts} == {"cannot tell"}
    assert all("was not done" in verdict.reason for verdict in verdicts)


def test_answers_do_not_depend_on_findings_that_a_rule_does_not_read() -> None:
    found = semantics(0.0, 1.0)
    disturbed = {"semantics": {**found["semantics"], "noise": replace(finding("noise", 9.0), null="other")}}

    assert judge([RULES["semantic"]], found) == judge([RULES["semantic"]], disturbed)
