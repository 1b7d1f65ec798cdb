"""Maps of responses resemble the maps of their own images, in one form for all towers, and not where pairs are shuffled."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from dina.analyses.comparable_maps import ComparableMaps
from dina.analyses.decoded import Decoded
from dina.analyses.feature_maps.compute import FeatureMapsSettings, analyse_feature_maps
from dina.checks import DataError
from dina.data.pairs import Pairs, make_pairs

SMALL = FeatureMapsSettings(n_similarity=20)


def shuffled(pairs: Pairs, seed: int) -> Pairs:
    """Give every image the responses to another one."""
    order = np.random.default_rng(seed).permutation(pairs.n_stimuli)
    return replace(pairs, stimulus_index=order[pairs.stimulus_index])


def test_maps_of_responses_resemble_those_of_their_images_more_than_others(decoded: Decoded) -> None:
    found = {finding.name: finding for finding in analyse_feature_maps(decoded, SMALL).findings()}

    assert set(found) == {"map_correlation", "map_ssim", "map_two_way"}
    assert all(finding.value > finding.null_high for finding in found.values())
    assert (found["map_correlation"].n, found["map_ssim"].n) == (50, 20)


def test_shuffled_pairs_stay_inside_the_null(decoded: Decoded) -> None:
    beaten = 0
    for seed in range(6):
        result = analyse_feature_maps(replace(decoded, test=shuffled(decoded.test, seed), seed=seed), SMALL)
        beaten += result.findings()[0].beats_null
    # each is outside with probability 0.05: three of six happen once in 400
    assert beaten <= 2


def test_the_posterior_mean_is_that_of_a_gaussian_model_written_down_with_whole_matrices(decoded: Decoded) -> None:
    towers, responses = decoded.towers, decoded.test.averaged()[:5]
    train = decoded.train.averaged()
    reader = ComparableMaps(towers, decoded.train, decoded.validation, 0)

    maps = towers.encode_images(decoded.train.images).reshape(len(train), -1).astype(float)
    with torch.no_grad():
        evoked = towers.neural_tower.predict(torch.from_numpy(towers.encode_images(decoded.train.images))).double().numpy()
        inverse_noise = towers.neural_tower.whiten(torch.eye(evoked.shape[1])).double().numpy()
    centred = maps - maps.mean(axis=0)
    evoked -= evoked.mean(axis=0)
    # φ̂ = S W (Wᵀ S W + Σ)⁻¹ r with S the covariance of the training maps
    weights = evoked.T @ evoked / len(train) + np.linalg.inv(inverse_noise)
    expected = (responses - train.mean(axis=0)) @ np.linalg.solve(weights, evoked.T @ centred / len(train))

    found = reader.of_responses(responses)
    n = len(reader.channels)
    expected = expected.reshape(5, *towers.image_tower.map_shape)[:, :n]
    scale = found.std(axis=(0, 2, 3)) / expected.std(axis=(0, 2, 3))
    # up to the deviation of each channel; maps and whitening are in single precision
    np.testing.assert_allclose(found, expected * scale[:, None, None], atol=5e-3)


def test_a_map_common_to_all_images_counts_for_nothing(decoded_scratch: Decoded) -> None:
    before = analyse_feature_maps(decoded_scratch, SMALL).to_dataset()["correlation"]
    towers = deepcopy(decoded_scratch.towers)
    pattern = torch.randn(towers.image_tower.map_shape, generator=torch.Generator().manual_seed(0))
    for tower in (towers.image_tower, towers.neural_tower):
        tower.register_forward_hook(lambda module, given, maps: maps + pattern)

    after = analyse_feature_maps(replace(decoded_scratch, fitted=towers), SMALL).to_dataset()["correlation"]

    # without centring both maps would hold the pattern, and all pairs correlate near 1; single precision otherwise
    np.testing.assert_allclose(after, before, atol=1e-4)


def test_two_test_images_are_refused(decoded: Decoded) -> None:
    two = make_pairs(decoded.recording, decoded.test.stimulus_id[:2], decoded.train.standardiser)
    with pytest.raises(DataError, match="at least three test images; there are 2"):
        analyse_feature_maps(replace(decoded, test=two))
