"""Correlations agree with numpy and scipy."""

import numpy as np
import pytest
from scipy.stats import pearsonr

from dina.checks import DataError
from dina.statistics.correlation import correlate_all_rows, correlate_columns, correlate_rows


@pytest.fixture
def pair():
    generator = np.random.default_rng(0)
    first = generator.standard_normal((30, 600)).astype(np.float32) + 100
    return first, first + 2 * generator.standard_normal((30, 600)).astype(np.float32)


def test_columns_and_rows_agree_with_scipy(pair):
    first, second = pair

    # both float64 on the same float32 data
    expected = [pearsonr(a.astype(float), b.astype(float)).statistic for a, b in zip(first.T, second.T, strict=True)]
    np.testing.assert_allclose(correlate_columns(first, second), expected, atol=1e-10)
    np.testing.assert_allclose(correlate_rows(first.T, second.T), expected, atol=1e-10)


def test_all_rows_agree_with_numpy(pair):
    first, second = pair

    expected = np.corrcoef(first.astype(float), second[:11].astype(float))[:30, 30:]
    np.testing.assert_allclose(correlate_all_rows(first, second[:11]), expected, atol=1e-10)


def test_a_constant_column_has_no_correlation():
    # the mean of fifty times 0.7 differs from 0.7 by rounding, which must not pass for variance
    first = np.full((50, 1), 0.7)
    second = np.arange(50.0)[:, None]

    np.testing.assert_array_equal(correlate_columns(first, second), [np.nan])
    np.testing.assert_array_equal(correlate_all_rows(second.T, first.T), [[np.nan]])


def test_different_shapes_are_refused():
    with pytest.raises(DataError, match="shapes"):
        correlate_columns(np.zeros((3, 2)), np.zeros((4, 2)))
    with pytest.raises(DataError, match="same variables; got 2 and 3"):
        correlate_all_rows(np.zeros((3, 2)), np.zeros((3, 3)))
