"""Every rule of the image side can say supported, not supported and cannot tell."""

import math
from dataclasses import replace

import pytest

from dina.analyses import RULES
from dina.analyses.verdict import judge, says
from dina.statistics.finding import Finding


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


def layers(gain: float, depth: tuple[float, float] | None, null_high: float = 0.05) -> dict[str, dict[str, Finding]]:
    """Findings of layers: what all together add to Gabor channels, and the interval of the depth of the best one."""
    best = Finding("best_layer_depth", math.nan, "1", 50, reason="No layer is the best.")
    if depth is not None:
        best = replace(finding("best_layer_depth", sum(depth) / 2), low=depth[0], high=depth[1])
    return table("layer_depth", finding("gain_trained", gain, null_high=null_high), best)


@pytest.mark.parametrize(
    ("of_layers", "expected", "said"),
    [
        ({}, "supported", "The analysis layer_depth was not done."),
        (layers(0.03, None), "supported", "3.0\u202f% (1.0 to 5.0\u202f%) of the variance, not more than with permuted weights."),
        (layers(0.3, None, null_high=0.4), "supported", "not more than with permuted weights."),
        (layers(0.07, (0.8, 1.0), null_high=0.02), "supported", "This is less than a tenth."),
        (layers(0.3, (0.2, 0.5)), "supported", "not in the later half."),
        (layers(0.3, (0.4, 0.7)), "cannot tell", "perhaps in the later half."),
        (layers(0.3, (0.8, 1.0)), "cannot tell", "perhaps in the later half."),
    ],
)
def test_late_layers_that_go_beyond_gabors_speak_against_low_level_structure_alone(
    of_layers: dict[str, dict[str, Finding]], expected: str, said: str
) -> None:
    verdict = judge([RULES["low_level_not_semantic"]], semantics(0.0, 1.0) | of_layers)[0]

    assert verdict.verdict == expected
    assert said in verdict.reason


@pytest.mark.parametrize(
    ("category", "low_level", "expected"), [(0.7, 0.0, "not supported"), (0.4, 0.4, "not supported"), (0.11, 0.9, "cannot tell")]
)
def test_layers_never_decide_where_category_has_decided(category: float, low_level: float, expected: str) -> None:
    for of_layers in (layers(0.3, (0.8, 1.0)), layers(0.3, (0.0, 0.2)), layers(0.0, None)):
        assert answer("low_level_not_semantic", semantics(category, low_level) | of_layers) == expected


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


def capacity(numbers: float, places: float | None, half_width: float = 0.02) -> dict[str, dict[str, Finding]]:
    """Slopes of an edge on the size of maps; their nulls reach as far as those of few fits do."""
    slopes = [finding("edge_per_capacity", numbers, half_width, null_high=0.6)]
    if places is not None:
        slopes.append(finding("edge_per_places", places, half_width, null_high=0.6))
    return table("map_capacity", *slopes)


@pytest.mark.parametrize(
    ("slopes", "expected"),
    [
        (capacity(0.0, 0.0), "supported"),
        (capacity(-0.3, -0.3), "supported"),
        (capacity(0.0, None), "supported"),  # all maps have as many places
        (capacity(0.4, 0.5), "cannot tell"),
        (capacity(0.05, 0.3), "cannot tell"),
        (capacity(0.3, 0.05), "cannot tell"),
        (capacity(0.0, 0.0, half_width=0.2), "cannot tell"),  # a test that failed shows nothing
        ({}, "cannot tell"),
        (table("map_capacity"), "cannot tell"),
    ],
)
def test_coarse_is_believed_only_where_maps_of_other_sizes_are_known_to_read_the_same(
    slopes: dict[str, dict[str, Finding]], expected: str
) -> None:
    found = frequencies(0.8, 0.99, 0.05) | slopes

    assert answer("coarse", found) == expected
    assert answer("not_fine_detail", found) == expected


def test_a_slope_that_could_not_be_had_gives_its_own_reason() -> None:
    few = Finding("edge_per_capacity", math.nan, "1", 50, reason="Three fits make no line.")
    places = Finding("edge_per_places", math.nan, "1", 50, reason="All places are alike.")
    found = frequencies(0.8, 0.99, 0.05)

    reasons = [
        judge([RULES["coarse"]], found | table("map_capacity", few))[0].reason,
        judge([RULES["coarse"]], found | table("map_capacity", finding("edge_per_capacity", 0.0), places))[0].reason,
        judge([RULES["coarse"]], found)[0].reason,
        judge([RULES["coarse"]], found, {"map_capacity": "Too few images."})[0].reason,
    ]

    for reason, words in zip(
        reasons, ("Three fits make no line.", "All places are alike.", "was not done", "Too few images."), strict=True
    ):
        assert words in reason


def test_detail_that_is_missed_speaks_against_coarse_whatever_the_capacity() -> None:
    found = frequencies(0.2, 0.5, 0.3)

    assert answer("coarse", found) == "not supported"
    assert answer("not_fine_detail", found) == "not supported"


def regions(spread: float, lost: float, rank_lost: float = 0.5) -> dict[str, dict[str, Finding]]:
    places = finding("participation_normalised", spread), finding("participation_coverage", 0.3)
    return table("occlusion", *places, finding("score_loss", lost), finding("log_rank_loss", rank_lost))


@pytest.mark.parametrize(("spread", "expected"), [(0.7, "supported"), (0.3, "not supported"), (0.5, "cannot tell")])
def test_regions_are_many_if_the_covered_area_is_mostly_used(spread: float, expected: str) -> None:
    found = regions(spread, lost=2.0)

    assert answer("distributed_regions", found) == expected


def test_a_decoder_that_loses_nothing_when_places_are_hidden_has_no_regions() -> None:
    assert answer("distributed_regions", regions(0.7, lost=0.0)) == "cannot tell"


def test_scores_that_fall_while_the_right_image_is_still_found_say_nothing_of_the_decoding() -> None:
    verdict = judge([RULES["distributed_regions"]], regions(0.7, lost=2.0, rank_lost=0.0))[0]

    assert verdict.verdict == "cannot tell"
    assert "Retrieval may lose nothing" in verdict.reason


@pytest.mark.parametrize(
    ("shape", "texture", "expected"),
    [
        ((0.5, 0.4, 0.0), (0.3, 0.0, 0.3), "supported"),
        ((0.5, 0.4, 0.0), (0.0, 0.0, 0.0), "not supported"),
        ((0.5, 0.0, 0.0), (0.3, 0.0, 0.3), "cannot tell"),
        ((0.5, 0.4, 0.0), (0.11, 0.0, 0.3), "cannot tell"),  # above nothing, but perhaps less than a tenth
    ],
)
def test_two_of_three_alterations_make_a_cue(shape: tuple, texture: tuple, expected: str) -> None:
    names = ("phase_only", "silhouette", "contours", "amplitude_only", "texture", "local_texture")
    kept = (finding(f"kept_{name}_beyond_contrast", value) for name, value in zip(names, (*shape, *texture), strict=True))

    verdict = judge([RULES["shape_and_texture"]], table("shape_texture", *kept))[0]
    assert verdict.verdict == expected
    n_open = sum(value + 0.02 > 0.1 for value in shape)  # what keeps an answer open is said: upper ends that reach a tenth
    assert (
        f"certainly keep more than a tenth of the accuracy beyond the part due to contrast (lower end of the interval); {n_open} of"
        in verdict.reason
    )
    assert ("all upper ends are below a tenth" in verdict.reason) == (not any(texture))


def pathways(local: float, whole: float, cost_local: float, cost_whole: float) -> dict[str, dict[str, Finding]]:
    shares = finding("shapley_local", local), finding("shapley_global", whole)
    return table("pathway_masking", *shares, finding("top1_loss_local", cost_local), finding("top1_loss_global", cost_whole))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (pathways(0.5, 0.3, 0.4, 0.2), "supported"),
        (pathways(0.7, 0.0, 0.7, 0.0), "not supported"),
        (pathways(0.7, 0.08, 0.7, 0.1), "cannot tell"),
        (pathways(0.4, 0.3, 0.2, 0.0), "cannot tell"),  # redundant: Shapley values divide what either gives alone
    ],
)
def test_both_pathways_carry_decoding_if_each_contributes_a_tenth_and_neither_can_be_spared(
    found: dict[str, dict[str, Finding]], expected: str
) -> None:
    assert answer("local_and_global", found) == expected


def test_pathways_that_can_be_spared_one_by_one_are_said_to_replace_each_other() -> None:
    reason = judge([RULES["local_and_global"]], pathways(0.4, 0.3, 0.0, 0.0))[0].reason

    assert "may replace each other" in reason
    assert "trained on photographs" not in reason


def test_a_trained_network_in_the_global_pathway_is_named_where_the_verdict_is_given() -> None:
    found = pathways(0.5, 0.3, 0.4, 0.2)
    network = finding("top1_loss_space_trained_network", 0.1)
    found["pathway_masking"] |= table("pathway_masking", network)["pathway_masking"]
    assert "trained on photographs; masking it alone loses +10.0" in judge([RULES["local_and_global"]], found)[0].reason


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((0.52, 0.4, 0.61), "0.52 (0.40 to 0.61)"),
        ((0.5234, 0.4123, 0.6123), "0.523 (0.412 to 0.612)"),
        ((0.998, 0.996, 1.0), "0.998 (0.996 to 1.000)"),
        ((0.9996, 0.9991, 1.0), "0.9996 (0.9991 to 1.0000)"),
        ((0.12345, 0.12341, 0.12349), "0.12345 (0.12341 to 0.12349)"),
        ((1.0, 1.0, 1.0), "1 (the same in every resample)"),
        ((0.5, math.nan, math.nan), "0.5 (no interval)"),
        ((math.nan, math.nan, math.nan), "an unknown amount"),
        ((-0.5, -1.0, -1e-5), "−0.50 (−1.00 to 0.00)"),
    ],
)
def test_digits_are_as_many_as_it_takes_to_see_an_interval(numbers: tuple[float, float, float], words: str) -> None:
    value, low, high = numbers

    assert says(Finding("kept", value, "1", 50, low, high)) == words


def test_without_any_analysis_nothing_can_be_told() -> None:
    verdicts = judge([rule for rule in RULES.values() if rule.side == "image"], {})

    assert {verdict.verdict for verdict in verdicts} == {"cannot tell"}
    assert all("was not done" in verdict.reason for verdict in verdicts)


def test_answers_do_not_depend_on_findings_that_a_rule_does_not_read() -> None:
    found = semantics(0.0, 1.0)
    disturbed = {"semantics": {**found["semantics"], "noise": replace(finding("noise", 9.0), null="other")}}

    assert judge([RULES["semantic"]], found) == judge([RULES["semantic"]], disturbed)
