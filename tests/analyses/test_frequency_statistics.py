"""Edges and cut-offs lie where a curve was made to have them."""

import numpy as np
import pytest

from dina.analyses.altered_gallery import first_places
from dina.analyses.paired_resampling import PairedResampling, curve_variables, kept
from dina.analyses.spatial_frequency.compute import SpatialFrequencyResult
from dina.analyses.spatial_frequency.frequency_curves import FrequencyCurves, frequency_reaching, upper_edge
from dina.analyses.verdict import place_of
from dina.statistics.finding import Finding

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
    finding = Finding.from_rows("top1", rows, "1", n, "shuffled")
    assert finding.value == pytest.approx(np.mean(scores.argmax(1) == np.arange(n)))
    assert finding.low < finding.value < finding.high
    # one image of forty is expected by chance; four or more have a probability of 0.02
    assert 0.0 <= finding.null_low <= 1 / n <= finding.null_high <= 4 / n
    assert finding.beats_null


@pytest.mark.parametrize(("n_defined", "has_interval"), [(20, False), (1890, False), (1910, True)])
def test_an_interval_needs_nearly_all_resamples(n_defined: int, has_interval: bool) -> None:
    resamples = np.where(np.arange(2000) < n_defined, np.linspace(0.4, 0.6, 2000), np.nan)
    rows = np.concatenate([[0.5], resamples, np.linspace(0.0, 0.1, 2000)])
    finding = Finding.from_rows("edge", rows, "1", 40, "shuffled")
    curve = curve_variables("edge", "place", rows[:, None], "edge")
    assert finding.value == 0.5
    assert np.isfinite(finding.low) == np.isfinite(finding.high) == np.isfinite(curve["edge_low"][1][0]) == has_interval
    assert ("resamples of the images define it" in finding.reason) != has_interval
    # without an interval no rule can put it on one side of a bound
    assert (place_of(finding, 0.1) == "undecided") != has_interval


def test_a_null_holds_where_the_statistic_is_defined() -> None:
    chance = np.where(np.arange(2000) < 39, np.arange(2000) / 100, np.nan)
    finding = Finding.from_rows("edge", np.concatenate([[0.5], np.full(2000, 0.5), chance]), "1", 40, "where defined")
    assert (finding.null_low, finding.null_high) == (0.0, 0.38)


def test_a_gallery_that_keeps_half_of_what_is_above_chance_keeps_half() -> None:
    full, half = np.array([0.9, 0.9, 0.1]), np.array([[0.5], [0.5], [0.1]])
    # rounding of a few sums
    np.testing.assert_allclose(kept(half, full, 10)[:, 0], [0.5, 0.5, 0.0], atol=1e-12)
    assert np.isnan(kept(half, np.full(3, 0.05), 10)).all()


def test_an_accuracy_above_chance_by_luck_has_no_shares() -> None:
    chance = np.linspace(0.05, 0.15, 39)
    for found, is_read in ((0.14, False), (0.16, True)):
        full = np.concatenate([[found], np.full(39, found), chance])
        assert np.isfinite(kept(full[:, None], full, 10)[0, 0]) == is_read


def fabricated(foreign: np.ndarray, kept: np.ndarray, full: np.ndarray) -> FrequencyCurves:
    """Return curves of galleries in which these images are found: all foreign, kept at every cut-off, and full."""
    n, n_cutoffs = len(full), len(FREQUENCY)
    rows = np.stack([foreign, *[kept] * (n_cutoffs - 1), full])
    tables = np.where(rows[:, :, None], np.eye(n), np.roll(np.eye(n), 1, axis=1))
    return FrequencyCurves(FREQUENCY, FREQUENCY[:2], 0.5, tables[1:], tables[:2], tables, tables[1], tables - 1 / n)


@pytest.mark.parametrize(("n_kept", "share"), [(36, 1.0), (12, 0.0)])
def test_all_or_nothing_kept_has_an_interval_with_width(n_kept: int, share: float) -> None:
    image, n = np.arange(40), 40
    rows = fabricated(image < 12, image < n_kept, image < 36).kept(PairedResampling.draw(n, 400, seed=0))[:, 0]
    kept = Finding.from_rows("kept", rows, "1", n, "exchanged")
    # one image in fourteen may differ (1 - 0.05 ** (1 / 40) of all): an eighth of the 24 in 40 found beyond contrast
    assert kept.value == pytest.approx(share)
    assert (share - kept.low, kept.high - share) == pytest.approx((0.13, 0.13), rel=0.25)


def test_what_foreign_images_find_is_not_kept() -> None:
    image = np.arange(40)
    draw = PairedResampling.draw(40, 200, seed=0)
    # 12 are found by contrast alone; of the 24 beyond that a third is kept
    kept = fabricated(image < 12, image < 20, image < 36).kept(draw)[0]
    # rounding of a few sums
    np.testing.assert_allclose(kept[[0, -2, -1]], [1 / 3, 1.0, 1 / 3], atol=1e-12)
    only_contrast = SpatialFrequencyResult(fabricated(image < 12, image < 12, image < 12), draw, "cycles/pixel").findings()
    found = {finding.name: finding for finding in only_contrast}
    assert np.isnan(found["kept_lowest_octaves"].value)
    assert "other images of the same contrast" in found["kept_lowest_octaves"].reason
    assert found["top1_full"].beats_null


def test_a_gallery_that_keeps_nothing_but_contrast_lies_inside_its_null() -> None:
    generator, n, n_sessions = np.random.default_rng(0), 60, 200
    draw = PairedResampling.draw(n, 200, seed=0)
    inside = 0
    for _ in range(n_sessions):
        by_contrast = generator.random((2, n)) < 0.4  # donors differ, and with them the images that contrast finds
        kept = fabricated(*by_contrast, generator.random(n) < 0.9).kept(draw)[:, 0]
        inside += not Finding.from_rows("kept", kept, "1", n, "exchanged").beats_null
    # 95 % are; of 200, 190 with a standard deviation of 3, and few resamples and whole images blur the ends
    assert 180 <= inside <= 199
