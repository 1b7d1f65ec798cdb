"""Images rebuilt from maps: exact where the map holds them, above chance from responses, at chance without signal."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dina.analyses.decoded import Decoded
from dina.analyses.feature_maps.image_reconstruction import (
    METHODS,
    ConvolutionalReconstruction,
    Examples,
    ImageReconstructionSettings,
    LinearReconstruction,
    analyse_image_reconstruction,
    coarse_pixels,
)
from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.statistics.correlation import correlate_rows

QUICK = ImageReconstructionSettings(n_epochs=1, n_similarity=10)


def pixel_correlation(first, second):
    return correlate_rows(first.reshape(len(first), -1), second.reshape(len(second), -1))


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def planted(n, seed, reach=1):
    """Maps of which every pixel is a weighted sum of its place and the places around it, in 2 × 3 pixels a place."""
    maps = draw(n, 4, 5, 6, seed=seed)
    inputs = torch.nn.functional.unfold(maps, 2 * reach + 1, padding=reach).transpose(1, 2)
    pixels = (inputs @ draw(inputs.shape[2], 6, seed=99)).reshape(n, 5, 6, 2, 3).permute(0, 1, 3, 2, 4).reshape(n, 10, 18)
    return Examples(maps, pixels.numpy())


def test_a_linear_code_is_rebuilt_to_the_pixel() -> None:
    train, test = planted(40, 0), planted(10, 1)
    found = LinearReconstruction.learn(train, planted(10, 2))
    assert (found.reach, found.block) == (1, (2, 3))
    # the smallest penalty shrinks by a ten-thousandth
    np.testing.assert_allclose(found.apply(test.maps), test.pixels, atol=5e-3 * test.pixels.std())


def test_the_gain_fits_contrast_where_maps_are_noisy() -> None:
    train, heard = planted(60, 0), planted(30, 1)
    noisy = Examples(heard.maps + 2 * draw(*heard.maps.shape, seed=7), heard.pixels)
    found = LinearReconstruction.learn(train, noisy)
    rebuilt = found.apply(noisy.maps)
    # least squares: what is left has nothing in common with the reconstruction
    assert float((rebuilt * (heard.pixels - rebuilt)).sum()) == pytest.approx(0.0, abs=1e-3 * float((rebuilt**2).sum()))
    assert found.gain < 0.6


def test_a_convolutional_network_learns_what_is_not_linear() -> None:
    def bent(n, seed):
        maps = draw(n, 2, 6, 8, seed=seed)
        pixels = torch.nn.functional.interpolate((maps[:, :1] * maps[:, 1:]), scale_factor=2.0)[:, 0]
        return Examples(maps, pixels.numpy())

    train, validation, test = bent(200, 0), bent(40, 1), bent(40, 2)
    linear = LinearReconstruction.learn(train, validation).apply(test.maps)
    network = ConvolutionalReconstruction.learn(train, validation, 15, seed=0)
    assert pixel_correlation(network.apply_to(test.maps), test.pixels).mean() > 0.5
    assert abs(pixel_correlation(linear, test.pixels).mean()) < 0.1


def test_pixels_are_whole_numbers_for_each_place_and_few_enough() -> None:
    images = np.arange(2 * 68 * 270, dtype=np.float32).reshape(2, 1, 68, 270)
    found = coarse_pixels(images, (17, 68), 4000)
    assert found.shape == (2, 34, 136)
    np.testing.assert_allclose(found.mean(axis=(1, 2)), images.mean(axis=(1, 2, 3)), rtol=1e-3)


def test_images_are_rebuilt_from_responses_above_chance_and_better_from_their_own_maps(decoded: Decoded) -> None:
    result = analyse_image_reconstruction(decoded, QUICK)
    found = {finding.name: finding for finding in result.findings()}
    assert set(found) == {f"{measure}_{method}" for measure in ("pixel_correlation", "ssim", "two_way") for method in METHODS}
    for measure in ("pixel_correlation", "two_way"):
        assert found[f"{measure}_linear"].value > found[f"{measure}_linear"].null_high
        assert "Read from the maps of the images" in found[f"{measure}_linear_from_image_map"].reason
    assert found["pixel_correlation_linear_from_image_map"].low > found["pixel_correlation_linear"].high
    assert result.to_dataset()["pixels"].shape == (5, 24, 48)


def shuffled(pairs: Pairs, seed: int) -> Pairs:
    order = np.random.default_rng(seed).permutation(pairs.n_stimuli)
    return replace(pairs, stimulus_index=order[pairs.stimulus_index])


def test_shuffled_pairs_stay_inside_the_null(decoded: Decoded) -> None:
    beaten = 0
    for seed in range(6):
        result = analyse_image_reconstruction(replace(decoded, test=shuffled(decoded.test, seed), seed=seed), QUICK)
        beaten += result.findings()[0].beats_null
    # each is outside with probability 0.05: three of six happen once in 400
    assert beaten <= 2


def test_towers_of_one_place_are_read_linearly_and_the_network_says_why_not() -> None:
    train = Examples(draw(80, 12, 1, 1), (draw(80, 12) @ draw(12, 24, seed=3)).reshape(80, 4, 6).numpy())
    found = LinearReconstruction.learn(train, train)
    assert (found.reach, found.block) == (0, (4, 6))
    assert pixel_correlation(found.apply(train.maps), train.pixels).mean() > 0.99


def test_two_test_images_are_too_few(decoded: Decoded) -> None:
    few = replace(
        decoded.test,
        images=decoded.test.images[:2],
        stimulus_id=decoded.test.stimulus_id[:2],
        responses=decoded.test.responses[:2],
        stimulus_index=np.arange(2),
        n_presentations=np.ones(2, dtype=np.int64),
        labels=None,
    )
    with pytest.raises(DataError, match="at least three test images; there are 2"):
        analyse_image_reconstruction(replace(decoded, test=few))
