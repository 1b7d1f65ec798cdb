"""Scores of layers: 1 where a layer makes the neurons, 0 where it does not, and honest about noise."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from dina.analyses.brain_score.compute import (
    BrainScoreSettings,
    analyse_brain_score,
    permuted_correlation,
    read_layers,
    weighted_correlation,
)
from dina.analyses.decoded import Decoded
from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.models.towers.image.frozen_encoder import FrozenEncoder
from dina.models.towers.image.frozen_network import FrozenNetwork
from dina.models.towers.neural.feedforward import LowRank
from dina.models.towers.tower import initialise
from dina.statistics.correlation import correlate_columns
from dina.training.aligned_towers import AlignedTowers
from dina.training.comparison import CosineComparison


def test_layers_of_a_gabor_tower_are_its_kinds_and_of_others_their_parts(decoded: Decoded, decoded_scratch: Decoded) -> None:
    images = decoded.test.images[:3]
    gabor, scratch = read_layers(decoded.towers, images), read_layers(decoded_scratch.towers, images)
    assert list(gabor) == ["pixels", "luminance", "energies", "phases", "whole map"]
    assert sum(gabor[name].shape[1] for name in ("luminance", "energies", "phases")) == gabor["whole map"].shape[1]
    assert list(scratch) == ["pixels", "local", "global", "whole map"]
    np.testing.assert_allclose(
        scratch["whole map"], decoded_scratch.towers.encode_images(images), atol=2e-2
    )  # half precision of values up to ten


def test_layers_of_a_frozen_network_are_those_of_its_longest_sequence() -> None:
    stack = nn.Sequential(*(nn.Sequential(nn.Conv2d(3 if n == 0 else 4, 4, 3, padding=1), nn.Tanh()) for n in range(9)))
    initialise(stack, torch.Generator().manual_seed(0))
    tower = FrozenEncoder((1, 12, 16), FrozenNetwork(stack, mean=(0.5,), deviation=(0.25,)))
    towers = AlignedTowers(tower, LowRank(5, tower.map_shape, rank=2), CosineComparison())
    images = np.random.default_rng(0).standard_normal((4, 1, 12, 16)).astype(np.float32)
    towers.encode_images(images)  # features that are kept must not hide the layers
    found = read_layers(towers, images)
    assert list(found) == ["pixels", "layer 1", "layer 3", "layer 4", "layer 6", "layer 7", "layer 9", "whole map"]
    pixels = (torch.from_numpy(images) * 64 / 255 / 0.25).expand(-1, 3, -1, -1)
    torch.testing.assert_close(found["layer 3"], stack[:3](pixels).half(), rtol=2e-3, atol=1e-3)  # half precision


def test_neurons_are_predicted_above_the_null_from_maps_and_better_than_from_pixels(decoded: Decoded) -> None:
    found = {finding.name: finding for finding in analyse_brain_score(decoded).findings()}
    assert set(found) == {f"brain_score_{name}" for name in ("pixels", "luminance", "energies", "phases", "whole_map")}
    assert found["brain_score_whole_map"].low > found["brain_score_whole_map"].null_high
    assert found["brain_score_whole_map"].value > found["brain_score_pixels"].value


def test_the_untrained_map_is_pooled_over_draws_of_weights(decoded_scratch: Decoded) -> None:
    one, several = (analyse_brain_score(decoded_scratch, BrainScoreSettings(n_untrained=n)) for n in (1, 4))
    bare = one.layers.index("whole map, untrained")
    assert several.resampled.shape == one.resampled.shape
    assert several.resampled[bare].std() > one.resampled[bare].std()
    np.testing.assert_array_equal(several.correlation[:bare], one.correlation[:bare])
    assert not np.allclose(several.correlation[bare], one.correlation[bare])


def with_responses(pairs: Pairs, mean: np.ndarray, noise: float, seed: int) -> Pairs:
    """Two trials of every image, with these mean responses and private noise."""
    n, n_neurons = mean.shape
    trials = np.tile(mean, (2, 1)) + noise * np.random.default_rng(seed).standard_normal((2 * n, n_neurons))
    index = np.tile(np.arange(n), 2)
    ones = np.ones(2 * n, dtype=np.int64)
    return replace(pairs, responses=trials.astype(np.float32), stimulus_index=index, n_presentations=ones)


def made_of_energies(decoded: Decoded, noise: float) -> Decoded:
    """Neurons that are noisy sums of a few energies of the tower itself."""
    parts = (decoded.train, decoded.test)
    maps = [read_layers(decoded.towers, pairs.images)["energies"].float().flatten(1).numpy() for pairs in parts]
    chosen = np.random.default_rng(0).choice(maps[0].shape[1], 20)
    deviation = maps[0][:, chosen].std(axis=0)
    train, test = (
        with_responses(pairs, values[:, chosen] / deviation, noise, seed)
        for seed, (pairs, values) in enumerate(zip(parts, maps, strict=True))
    )
    return replace(decoded, train=train, test=test)


def test_noise_lowers_the_correlation_but_not_the_score(decoded: Decoded) -> None:
    clean, noisy = (analyse_brain_score(made_of_energies(decoded, noise)) for noise in (0.01, 1.0))
    layer = clean.layers.index("energies")
    raw = [float(np.median(result.correlation[layer])) for result in (clean, noisy)]
    scores = [float(np.median(result.correlation[layer] / result.ceiling)) for result in (clean, noisy)]
    # two trials with as much noise as signal: a ceiling of √(2/3) = 0.82
    assert np.median(noisy.ceiling) == pytest.approx(0.816, abs=0.06)
    assert raw[0] - raw[1] > 0.15
    assert abs(scores[0] - scores[1]) < 0.5 * (raw[0] - raw[1])


def test_responses_to_other_images_stay_inside_the_null(decoded: Decoded) -> None:
    order = np.random.default_rng(0).permutation(decoded.test.n_stimuli)
    shuffled = replace(decoded.test, stimulus_index=order[decoded.test.stimulus_index])
    found = analyse_brain_score(replace(decoded, test=shuffled)).findings()
    # five correlated statistics, each outside with probability 0.05
    assert sum(finding.beats_null for finding in found) <= 2


def test_weighted_and_permuted_correlations_are_those_of_the_repeated_and_reordered_images() -> None:
    generator = np.random.default_rng(0)
    predicted, measured = generator.standard_normal((2, 9, 4))
    measured[:, 3] = 1.0
    counts = np.array([[1] * 9, [2, 0, 1, 1, 1, 1, 1, 1, 1]])
    rows = np.repeat(np.arange(9), counts[1])
    found = weighted_correlation(predicted, measured, counts)
    np.testing.assert_allclose(found[0, :3], correlate_columns(predicted, measured)[:3])
    np.testing.assert_allclose(found[1, :3], correlate_columns(predicted[rows], measured[rows])[:3])
    assert (found[:, 3] == 0).all()
    order = generator.permutation(9)[None]
    expected = correlate_columns(predicted, measured[order[0]])[:3]
    np.testing.assert_allclose(permuted_correlation(predicted, measured, order)[0, :3], expected)


def test_without_repeats_the_score_is_not_corrected_and_says_so(decoded: Decoded) -> None:
    train = decoded.train
    first = np.unique(train.stimulus_index, return_index=True)[1]
    result = analyse_brain_score(replace(decoded, train=train.select_trials(first)))
    assert "not corrected for noise" in result.reason
    assert np.isnan(result.ceiling).all()
    assert all(finding.name.startswith("uncorrected_score") for finding in result.findings())


def test_without_a_reliable_neuron_it_is_refused(decoded: Decoded) -> None:
    with pytest.raises(DataError, match="explain at least 99 %; there is none"):
        analyse_brain_score(decoded, BrainScoreSettings(least_signal=0.99))
