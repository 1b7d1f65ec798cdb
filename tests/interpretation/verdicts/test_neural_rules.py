"""The rules of the neural side give each answer for the findings that deserve it."""

from dataclasses import replace

import pytest

from dina.interpretation.verdicts import RULES, Verdict, judge
from dina.measures.finding import Finding

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
    strength = found("correlation_with_mean_response", 0.7)
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
        (found("snr_explained_share", 0.9), "signal-to-noise ratio"),
        (found("gini_excess_over_signal_to_noise", 0.011), "no more unequal"),
    ],
)
def test_what_signal_to_noise_or_many_neurons_explain_is_not_sparse(changed: Finding, words: str) -> None:
    verdict = verdict_of("sparse_subsets", change(sparse_and_strong(), "sparse_subsets", changed))
    assert verdict.verdict == "not supported"
    assert words in verdict.reason


def test_neurons_that_respond_weakly_are_not_strongly_responsive() -> None:
    weak = change(sparse_and_strong(), "contributions", found("correlation_with_mean_response", 0.04))
    assert verdict_of("sparse_subsets", weak).verdict == "not supported"


@pytest.mark.parametrize("name", ["top_minus_random_area", "top_minus_snr_matched_area"])
def test_no_difference_from_the_null_is_no_proof_of_none(name: str) -> None:
    verdict = verdict_of("sparse_subsets", change(sparse_and_strong(), "sparse_subsets", found(name, 0.0)))
    assert verdict.verdict == "cannot tell"


def test_of_a_decoder_at_chance_nothing_is_said() -> None:
    verdict = verdict_of("sparse_subsets", change(sparse_and_strong(), "sparse_subsets", found("accuracy_full", 0.025)))
    assert verdict.verdict == "cannot tell"
    assert "no better than chance" in verdict.reason


def shuffled(value: float, spread: float = 0.01, left: float = 0.0) -> Findings:
    findings = [found("knowing_correlations_log_rank", value, spread), Finding("correlations_left", left, "1", 100)]
    return {"noise_shuffle": {f.name: f for f in findings}}


@pytest.mark.parametrize(
    ("findings", "answer"),
    [
        (shuffled(0.2), "supported"),
        (shuffled(0.03), "not supported"),
        (shuffled(-0.2), "not supported"),  # knowing what training trials shared by chance harms
        (shuffled(0.11, spread=0.05), "cannot tell"),
        (shuffled(0.07), "not supported"),
        (shuffled(0.07, left=0.5), "supported"),  # two repeats show half of it
    ],
)
def test_interactions_contribute_if_knowing_them_is_worth_a_tenth_of_the_rank(findings: Findings, answer: str) -> None:
    assert verdict_of("functional_interactions", findings).verdict == answer


def test_an_effect_inside_its_null_is_not_supported_by_its_size() -> None:
    findings = shuffled(0.2)
    wide = replace(findings["noise_shuffle"]["knowing_correlations_log_rank"], null_high=0.3)
    assert verdict_of("functional_interactions", change(findings, "noise_shuffle", wide)).verdict == "cannot tell"


def test_notes_stand_beside_the_decision() -> None:
    beside = {"functional_interactions": {"summed_contributions": found("summed_contributions", 0.9)}}
    verdict = verdict_of("functional_interactions", {**shuffled(0.2), **beside})
    assert "sum to a share" in verdict.reason


def test_without_repeats_nothing_can_be_told() -> None:
    verdict = judge([RULES["functional_interactions"]], {}, {"noise_shuffle": "Record repeats."})[0]
    assert verdict.verdict == "cannot tell"
    assert "Record repeats" in verdict.reason
