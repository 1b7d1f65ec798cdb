"""Sparseness has known values for known distributions."""

import numpy as np
import pytest

from dina.checks import DataError
from dina.statistics.sparseness import gini_sparseness, treves_rolls_sparseness


def test_exponential_responses_have_sparseness_one_half():
    responses = np.random.default_rng(0).exponential(size=(200_000, 1))

    # ⟨r²⟩ = 2⟨r⟩², and a Gini coefficient of ½; standard errors below 0.003
    assert treves_rolls_sparseness(responses)[0] == pytest.approx(0.5, abs=0.01)
    assert gini_sparseness(responses)[0] == pytest.approx(0.5, abs=0.01)


def test_gini_agrees_with_the_mean_absolute_difference():
    responses = np.random.default_rng(1).exponential(size=(40, 3))

    expected = [np.abs(r[:, None] - r).mean() / (2 * r.mean()) for r in responses.T]
    np.testing.assert_allclose(gini_sparseness(responses), expected, rtol=1e-10)


def test_scale_does_not_matter_and_silence_is_unknown():
    responses = np.random.default_rng(2).exponential(size=(30, 2)) * np.array([1.0, 0.0])

    for measure in (treves_rolls_sparseness, gini_sparseness):
        np.testing.assert_allclose(measure(1000 * responses), measure(responses), rtol=1e-10)
        assert np.isnan(measure(responses)).tolist() == [False, True]


def test_negative_responses_are_refused():
    with pytest.raises(DataError, match="own units, not z-scores"):
        gini_sparseness(np.array([[1.0], [-1.0]]))
