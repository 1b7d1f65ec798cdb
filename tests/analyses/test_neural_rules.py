"""The rules of the neural side give each answer for the findings that deserve it."""

import math
from dataclasses import replace

import pytest

from dina.analyses import RULES
from dina.analyses.verdict import Verdict, judge
from dina.statistics.finding import Finding

Findings = dict[str, dict[str, Finding]]


def found(name: str, value: float, spread: float = 0.01, null: float = 0.02) -> Finding:
    return Finding(name, value, "1", 100, value - spread, value + spread, -null, null, "chance")


def sparse_and_strong() -> Findings:
    """Give findings of a code that is sparse beyond its signal-to-noise ratio."""
    subsets = [
        found("accuracy_full", 0.6),
        found("half_fraction_top", 0.04),
        found("top_minus_random_area", 0.2),
        found("top_minus_snr_matched_area", 0.1),
        found("gini_excess_over_signal_to_noise", 0.3),
        found("snr_explained_share", 0.3),
    ]
    strength = found("corrected_correlation_with_mean_response", 0.7)
    return {"sparse_subsets": {f.name: f for f in subsets}, "contributions": {strength.name: strength}}


def change(findings: Findings, analysis: str, finding: Finding) -> Findings:
    return {**findings, analysis: {**findings[analysis], finding.name: finding}}


def verdict_of(claim: str, findings: Findings) -> Verdict:
    return judge([RULES[claim]], findings)[0]


def test_a_sparse_code_of_strong_neurons_is_called_so() -> None:
    assert verdict_of("sparse_subsets", sparse_and_strong()).verdict == "supported"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (found("half_fraction_top", 0.3), "more than a tenth"),
        (found("snr_explained_share", 0.9), "Signal-to-noise ratios explain"),
        (found("gini_excess_over_signal_to_noise", 0.011), "does not exceed"),
    ],
)
def test_what_signal_to_noise_or_many_neurons_explain_is_not_sparse(changed: Finding, words: str) -> None:
    verdict = verdict_of("sparse_subsets", change(sparse_and_strong(), "sparse_subsets", changed))
    assert verdict.verdict == "not supported"
    assert words in verdict.reason


def test_neurons_that_respond_weakly_are_not_strongly_responsive() -> None:
    weak = change(sparse_and_strong(), "contributions", found("corrected_correlation_with_mean_response", 0.04))
    assert verdict_of("sparse_subsets", weak).verdict == "not supported"


def test_a_correlation_with_strength_that_decides_nothing_names_its_bound() -> None:
    unsure = found("corrected_correlation_with_mean_response", 0.5, spread=0.2)
    verdict = verdict_of("sparse_subsets", change(sparse_and_strong(), "contributions", unsure))
    assert verdict.reason.endswith("the interval contains one half.")


@pytest.mark.parametrize("name", ["top_minus_random_area", "top_minus_snr_matched_area"])
def test_no_difference_from_the_null_is_no_proof_of_none(name: str) -> None:
    verdict = verdict_of("sparse_subsets", change(sparse_and_strong(), "sparse_subsets", found(name, 0.0)))
    assert verdict.verdict == "cannot tell"


def unknown(name: str, reason: str) -> Finding:
    return Finding(name, math.nan, "1", 100, reason=reason)


def without_interval(finding: Finding, reason: str) -> Finding:
    return replace(finding, low=math.nan, high=math.nan, reason=reason)


def test_of_a_decoder_at_chance_nothing_is_said() -> None:
    verdict = verdict_of("sparse_subsets", change(sparse_and_strong(), "sparse_subsets", found("accuracy_full", 0.025)))
    assert verdict.verdict == "cannot tell"
    assert "not certain that all neurons together decode better than chance" in verdict.reason


def test_of_an_accuracy_without_null_nothing_is_said() -> None:
    unknown = found("accuracy_full", 0.6).without_null("It is the same in every draw of its null, so that it has no null.")
    verdict = verdict_of("sparse_code", change(sparse_and_strong(), "sparse_subsets", unknown))
    assert verdict.verdict == "cannot tell"
    assert "same in every draw" in verdict.reason


@pytest.mark.parametrize(
    ("claim", "analysis", "name"),
    [
        ("sparse_code", "sparse_subsets", "accuracy_full"),
        ("sparse_subsets", "sparse_subsets", "accuracy_full"),
        ("functional_interactions", "noise_shuffle", "intact_top1"),
    ],
)
def test_an_accuracy_without_interval_is_not_called_chance(claim: str, analysis: str, name: str) -> None:
    findings = {**sparse_and_strong(), **shuffled(0.2)}
    verdict = verdict_of(claim, change(findings, analysis, without_interval(found(name, 0.6), "Two mice give no interval.")))
    assert verdict.verdict == "cannot tell"
    assert "Two mice give no interval" in verdict.reason
    assert "no better" not in verdict.reason


@pytest.mark.parametrize(
    "against",
    [
        ("sparse_subsets", found("half_fraction_top", 0.3)),
        ("sparse_subsets", found("snr_explained_share", 0.9)),
        ("contributions", found("corrected_correlation_with_mean_response", 0.04)),
    ],
)
def test_what_is_decided_stays_so_where_other_findings_are_missing(against: tuple[str, Finding]) -> None:
    findings = sparse_and_strong()
    for name in ("top_minus_snr_matched_area", "gini_excess_over_signal_to_noise", "snr_explained_share"):
        findings = change(findings, "sparse_subsets", unknown(name, "Record repeats."))
    assert verdict_of("sparse_subsets", change(findings, *against)).verdict == "not supported"
    open_still = verdict_of("sparse_subsets", findings)
    assert open_still.verdict == "cannot tell"
    assert open_still.reason.count("Record repeats.") == 1


def test_without_contributions_the_sparse_part_can_still_decide() -> None:
    findings = change(sparse_and_strong(), "sparse_subsets", found("half_fraction_top", 0.3))
    del findings["contributions"]
    assert verdict_of("sparse_subsets", findings).verdict == "not supported"
    del findings["sparse_subsets"]["half_fraction_top"]
    assert "The analysis sparse_subsets did not measure" in verdict_of("sparse_subsets", findings).reason


def shuffled(value: float, spread: float = 0.01, left: float = 0.0) -> Findings:
    findings = [
        found("intact_top1", 0.3),
        found("knowing_correlations_log_rank", value, spread),
        Finding("correlations_left", left, "1", 100),
    ]
    return {"noise_shuffle": {f.name: f for f in findings}}


@pytest.mark.parametrize(
    ("findings", "answer"),
    [
        (shuffled(0.2), "supported"),
        (shuffled(0.03), "not supported"),
        (shuffled(-0.2), "not supported"),  # knowing what training trials shared by chance harms
        (shuffled(0.11, spread=0.05), "cannot tell"),
        (shuffled(0.07), "not supported"),
        (shuffled(0.07, left=0.5), "supported"),  # of half of the correlations; of all it is twice as much at least
        (shuffled(0.035, left=0.5), "cannot tell"),  # a loss may grow with the square of what is lost
        (shuffled(0.01, left=0.5), "not supported"),
    ],
)
def test_interactions_contribute_if_learning_them_improves_the_rank_by_a_tenth(findings: Findings, answer: str) -> None:
    assert verdict_of("functional_interactions", findings).verdict == answer


def test_an_effect_inside_its_null_is_not_supported_by_its_size() -> None:
    findings = shuffled(0.2)
    wide = replace(findings["noise_shuffle"]["knowing_correlations_log_rank"], null_high=0.3)
    assert verdict_of("functional_interactions", change(findings, "noise_shuffle", wide)).verdict == "cannot tell"


def test_where_no_image_changes_its_rank_no_benefit_could_show() -> None:
    verdict = verdict_of("functional_interactions", shuffled(0.0, spread=0.0))
    assert verdict.verdict == "cannot tell"
    assert "same rank" in verdict.reason


def test_trials_read_at_chance_say_nothing_about_interactions() -> None:
    verdict = verdict_of("functional_interactions", change(shuffled(0.0), "noise_shuffle", found("intact_top1", 0.025)))
    assert verdict.verdict == "cannot tell"
    assert "better than chance" in verdict.reason


def test_notes_stand_beside_the_decision_with_the_number_of_pairs() -> None:
    notes = [found("summed_contributions", 0.9), replace(found("coupled_pairs_interaction", -0.1), n=7)]
    beside = {"functional_interactions": {note.name: note for note in notes}}
    verdict = verdict_of("functional_interactions", {**shuffled(0.2), **beside})
    assert "sum to 90.0\u202f%" in verdict.reason
    assert "interaction of the 7 coupled pairs" in verdict.reason


def test_drift_within_its_null_is_not_said_to_be_removed() -> None:
    for share, said in ((0.001, "so no drift was removed"), (0.2, "the drift was removed")):
        drift = Finding("slow_drift_share", share, "1", 800, null_low=-0.01, null_high=0.01, null="trials exchanged")
        removing = Finding("removing_correlations_log_rank", 0.2, "1", 100, 0.1, 0.3, -0.1, 0.1, "shuffles")
        reason = verdict_of(
            "functional_interactions", change(change(shuffled(-0.2), "noise_shuffle", drift), "noise_shuffle", removing)
        ).reason
        assert said in reason
        assert "Any benefit is below 0.1 nats" in reason
        assert "nats (negative: better; beyond its null)" in reason


def test_without_repeats_nothing_can_be_told() -> None:
    verdict = judge([RULES["functional_interactions"]], {}, {"noise_shuffle": "Record repeats."})[0]
    assert verdict.verdict == "cannot tell"
    assert "Record repeats" in verdict.reason
