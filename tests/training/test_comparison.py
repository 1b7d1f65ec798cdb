"""The cosine comparison: range of its temperature, behaviour at zero, precision."""

import math

import pytest
import torch

from dina.checks import DataError
from dina.training.comparison import CosineComparison


def some_maps(n, seed, dtype=torch.float32):
    return torch.randn(n, 2, 3, 5, generator=torch.Generator().manual_seed(seed)).to(dtype)


def test_the_score_is_the_cosine_over_the_temperature():
    neural, image = some_maps(4, 0), some_maps(6, 1)
    expected = torch.nn.functional.cosine_similarity(neural.flatten(1)[:, None], image.flatten(1)[None], dim=-1) / 0.2
    # the floor inside the root is 1e-6 beside squared norms of about 30
    torch.testing.assert_close(CosineComparison(0.2)(neural, image, torch.ones(4)), expected, atol=1e-5, rtol=1e-5)


def test_swapping_the_towers_transposes_the_scores():
    comparison = CosineComparison(0.1, is_centred=True)
    neural, image = some_maps(4, 0), some_maps(6, 1)
    torch.testing.assert_close(comparison(neural, image, torch.ones(4)), comparison(image, neural, torch.ones(6)).T)


def test_a_centred_score_ignores_an_offset_and_is_a_correlation():
    neural, image = some_maps(1, 0), some_maps(1, 1)
    comparison = CosineComparison(1.0, is_centred=True)
    expected = torch.corrcoef(torch.stack((neural.flatten(), image.flatten())))[0, 1]
    torch.testing.assert_close(comparison(neural + 7, image, torch.ones(1))[0, 0], expected, atol=1e-5, rtol=1e-5)


def test_a_map_of_zeros_scores_zero_with_a_finite_gradient():
    neural = torch.zeros(1, 1, 2, 2, requires_grad=True)
    score = CosineComparison(0.01)(neural, torch.ones(1, 1, 2, 2), torch.ones(1))
    score.sum().backward()
    assert float(score.detach()) == 0
    # 1 / (temperature x root of the floor) times a unit vector: 1e5 x 1/2 per entry, where `F.normalize` gives 1e12
    assert float(neural.grad.abs().max()) == pytest.approx(5e4, rel=1e-3)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, 1e-9, 1e3, math.inf])
def test_temperatures_out_of_range_are_refused(temperature):
    with pytest.raises(DataError, match=r"temperature must be between 0\.001 and 100; got"):
        CosineComparison(temperature)


def test_a_learnt_temperature_cannot_run_away():
    comparison = CosineComparison(0.05, is_learnt=True)
    with torch.no_grad():
        comparison.log_temperature.fill_(-50.0)
    assert float(comparison.temperature.detach()) == pytest.approx(0.001, rel=1e-5)
    assert "held at 0.001; it would have become 1.93e-22" in comparison.bound_reached()
    assert CosineComparison(0.001, is_learnt=True).bound_reached() == CosineComparison(0.05).bound_reached() == ""


def test_scores_are_single_precision_under_autocast_and_do_not_overflow():
    maps = torch.full((2, 1, 190, 190), 30.0)  # 36,100 entries: their squared norm overflows half precision
    with torch.autocast("cpu", torch.bfloat16):
        score = CosineComparison(0.01)(maps, maps, torch.ones(2))
    assert score.dtype == torch.float32
    # rounding of a sum of 36,100 equal terms
    torch.testing.assert_close(score, torch.full((2, 2), 100.0), atol=0.02, rtol=0)
