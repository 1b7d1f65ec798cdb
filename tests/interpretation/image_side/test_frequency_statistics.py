"""Edges and cut-offs lie where a curve was made to have them."""

import numpy as np
import pytest

from dina.interpretation.image_side.frequency_statistics import frequency_reaching, upper_edge
from dina.interpretation.image_side.paired_galleries import PairedResampling, first_places
from dina.interpretation.image_side.resampled_finding import resampled_finding
from dina.interpretation.image_side.shares import kept

FREQUENCY = 0.5 * 2.0 ** (-np.arange(18, -1, -1) / 3)


@pytest.mark.parametrize("limit", [0.05, 0.083, 0.2])
def test_the_edge_lies_where_a_curve_stops_to_rise(limit: float) -> None:
    gathered = np.clip(np.log2(FREQUENCY / 0.01) / np.log2(limit / 0.01), 0, 1)
    # a sixth of an octave is half the distance between cut-offs
    assert abs(np.log2(float(upper_edge(FREQUENCY, gathered)) / limit)) < 1 / 6


def test_a_curve_that_rises_to_the_end_has_no_edge() -> None:
    assert np.isnan(upper_edge(FREQUENCY, np.arange(19) / 18.0))


def test_resamples_are_treated_one_by_one() -> None:
    curves = np.stack([np.clip((np.arange(19) - k) / 6, 0, 1) for k in (2, 5, 8)])
    together = upper_edge(FREQUENCY, curves)
    np.testing.assert_array_equal(together, [float(upper_edge(FREQUENCY, curve)) for curve in curves])
    assert (np.diff(together) > 0).all()


def test_a_dip_after_the_level_was_reached_moves_the_cut_off_behind_the_dip() -> None:
    frequency = np.array([1.0, 2.0, 4.0, 8.0])
    assert float(frequency_reaching(frequency, np.array([0.0, 1.0, 0.0, 1.0]), np.array(1.0))) == pytest.approx(8.0)
    assert np.isnan(frequency_reaching(frequency, np.array([0.0, 1.0, 1.0, 0.0]), np.array(0.5)))
    assert float(frequency_reaching(frequency, np.ones(4), np.array(0.5))) == 1.0


def test_value_interval_and_null_come_from_the_same_formula() -> None:
    n = 40
    scores = 3.0 * np.eye(n) + np.random.default_rng(0).standard_normal((n, n))
    table = first_places(scores)
    rows = PairedResampling.draw(n, 500, seed=0).over_tables(table[None])[:, 0]
    finding = resampled_finding("top1", rows, "1", n, "shuffled")
    assert finding.value == pytest.approx(np.mean(scores.argmax(1) == np.arange(n)))
    assert finding.low < finding.value < finding.high
    # one image of forty is expected by chance; four or more have a probability of 0.02
    assert 0.0 <= finding.null_low <= 1 / n <= finding.null_high <= 4 / n
    assert finding.beats_null


def test_a_gallery_that_keeps_half_of_what_is_above_chance_keeps_half() -> None:
    full, half = np.array([0.9, 0.9, 0.1]), np.array([[0.5], [0.5], [0.1]])
    # rounding of a few sums
    np.testing.assert_allclose(kept(half, full, 10)[:, 0], [0.5, 0.5, 0.0], atol=1e-12)
    assert np.isnan(kept(half, np.full(3, 0.05), 10)).all()
