"""Correlations of contributions are freed of errors, and their intervals count images as well as neurons."""

import numpy as np
import pytest
import xarray as xr

from dina.analyses.contributions.compute import describe_contributions
from dina.analyses.decoded import Decoded
from dina.analyses.neuron_strength import NeuronStrength
from dina.statistics.finding import Finding

N_NEURONS, N_IMAGES = 200, 60


def describe(decoded: Decoded, association: float, noise: float, seed: int, rate_reason: str = "") -> dict[str, Finding]:
    """Contributions of a log-normal code, the logarithm of which correlates with the mean response by ``association``."""
    generator = np.random.default_rng(seed)
    logarithm = 0.9 * generator.standard_normal(N_NEURONS)
    rates = association * logarithm / 0.9 + np.sqrt(1 - association**2) * generator.standard_normal(N_NEURONS)
    by_image = np.exp(logarithm) + noise * generator.standard_normal((N_IMAGES, N_NEURONS))
    columns = {"contribution": by_image.mean(0), "contribution_error": by_image.std(0, ddof=1) / np.sqrt(N_IMAGES)}
    columns |= dict.fromkeys(("shapley", "margin_lost_silenced", "margin_lost_removed"), by_image.mean(0))
    columns["training_contribution"] = np.exp(logarithm)
    dataset = xr.Dataset({name: ("neuron", values) for name, values in columns.items()})
    shuffled = [(generator.standard_normal(N_NEURONS) / 8, np.full(N_NEURONS, 0.125)) for _ in range(10)]
    strength = NeuronStrength(rates, rates, np.exp(rates), "", rate_reason)
    found = describe_contributions(decoded, dataset, by_image, shuffled, strength)
    return {finding.name: finding for finding in found}


@pytest.mark.long
def test_errors_of_contributions_are_allowed_for(decoded: Decoded) -> None:
    raw, corrected, covered = [], [], []
    expected = 6 / np.pi * np.arcsin(0.6 / 2)  # rank correlation of normal variables that correlate by 0.6
    for seed in range(12):
        found = describe(decoded, 0.6, 5.0, seed)
        raw.append(found["correlation_with_mean_response"].value)
        finding = found["corrected_correlation_with_mean_response"]
        corrected.append(finding.value)
        covered.append(finding.low <= expected <= finding.high)
    assert np.mean(raw) < expected - 0.08
    # twelve sessions of 200 neurons: a standard error of 0.07 each, 0.02 together
    assert np.mean(corrected) == pytest.approx(expected, abs=0.05)
    assert sum(covered) >= 10


def test_intervals_know_that_other_images_would_give_other_contributions(decoded: Decoded) -> None:
    found = describe(decoded, 0.6, 3.0, 0)
    for name in ("agreement_between_halves", "agreement_with_training", "corrected_correlation_with_mean_response"):
        finding = found[name]
        # Bonett and Wright's interval, for neurons alone
        reach = 1.96 * np.sqrt((1 + finding.value**2 / 2) / (N_NEURONS - 3))
        low, high = np.tanh(np.arctanh(finding.value) + np.array([-reach, reach]))
        assert finding.high - finding.low > 1.15 * (high - low), name
        assert finding.low <= finding.value <= finding.high, name
    # Wilson's interval of neurons alone would be 0.14 at most
    helpful = found["helpful_fraction"]
    assert helpful.high - helpful.low > 0.14


def test_mean_responses_without_meaning_are_not_correlated(decoded: Decoded) -> None:
    found = describe(decoded, 0.6, 1.0, 0, "Some responses lie below zero.")
    for name in ("correlation_with_mean_response", "corrected_correlation_with_mean_response"):
        assert np.isnan(found[name].value)
        assert "below zero" in found[name].reason
    assert np.isfinite(found["correlation_with_signal_to_noise"].value)
