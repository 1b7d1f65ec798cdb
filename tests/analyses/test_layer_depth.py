"""Layers beyond Gabor channels: neurons of one layer are found at its depth, neurons of Gabors at none."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dina.analyses import ANALYSES, RULES
from dina.analyses.analysis import PlainResult
from dina.analyses.decoded import Decoded
from dina.analyses.layer_depth.compute import LayerDepthSettings, analyse_layer_depth
from dina.analyses.verdict import judge
from dina.checks import DataError
from dina.data.pairs import Pairs, learn_standardiser, make_pairs
from dina.models.spaces import trained_network
from dina.models.towers.image.efficientnet import LAYERS, encoder_identity, read_efficientnet
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.recordings.simulator import simulate
from dina.statistics.finding import Finding
from dina.training.presets.default import DefaultSettings
from dina.training.presets.frozen_encoders import feature_store

N_IMAGES, N_NEURONS, SHAPE = 80, 8, (1, 32, 48)
QUICK = LayerDepthSettings(n_permuted=1)


@pytest.fixture(scope="module")
def session() -> Decoded:
    small = {"n_neurons": N_NEURONS, "n_stimuli": N_IMAGES, "height": 32, "width": 48, "n_subunits": 30, "n_broad_factors": 4}
    recording = simulate("demo", seed=3, settings={**small, "n_spontaneous": 0})
    images = np.arange(N_IMAGES)
    pairs = make_pairs(recording, images, learn_standardiser(recording, images))
    return Decoded(recording, pairs, pairs, pairs, None, "default", DefaultSettings(), n_resamples=200)


def with_responses(decoded: Decoded, mean: np.ndarray) -> Decoded:
    """One trial of every training image: these responses with unit variance, and noise of a quarter of it."""
    noise = np.random.default_rng(1).standard_normal(mean.shape)
    responses = ((mean - mean.mean(axis=0)) / mean.std(axis=0) + 0.5 * noise).astype(np.float32)
    trial = np.arange(N_IMAGES)
    pairs: Pairs = replace(decoded.train, responses=responses, stimulus_index=trial, n_presentations=np.ones_like(trial))
    return replace(decoded, train=pairs)


def analyse_neurons_of(session: Decoded, name: str) -> PlainResult:
    layer = read_efficientnet(SHAPE).look_up(torch.from_numpy(session.train.images), feature_store())[name].flatten(1)
    scores = torch.linalg.svd(layer - layer.mean(0), full_matrices=False)[0][:, :20].numpy()
    return analyse_layer_depth(with_responses(session, scores @ np.random.default_rng(0).standard_normal((20, N_NEURONS))), QUICK)


@pytest.fixture(scope="module")
def of_block_7(session: Decoded) -> PlainResult:
    return analyse_neurons_of(session, "block_7")


@pytest.fixture(scope="module")
def of_block_14(session: Decoded) -> PlainResult:
    return analyse_neurons_of(session, "block_14")


@pytest.fixture(scope="module")
def of_gabors(session: Decoded) -> PlainResult:
    maps = GaborEnergy(SHAPE, n_contrasts=0).learn_statistics(torch.from_numpy(session.train.images)).float().numpy()
    generator = np.random.default_rng(0)
    places = zip(generator.integers(4, 12, N_NEURONS), generator.integers(4, 18, N_NEURONS), strict=True)
    means = [maps[:, :, row, column] @ generator.standard_normal(maps.shape[1]) for row, column in places]
    return analyse_layer_depth(with_responses(session, np.stack(means, axis=1)), QUICK)


def found_in(result: PlainResult) -> dict[str, Finding]:
    return {finding.name: finding for finding in result.findings()}


def test_neurons_of_a_middle_layer_are_found_at_its_depth_beyond_permuted_weights(of_block_7: PlainResult) -> None:
    found = found_in(of_block_7)
    assert list(found) == [*(f"gain_{name}" for name in LAYERS), "gain_trained", "best_layer_depth"]
    for name in ("gain_block_7", "gain_trained"):
        assert found[name].low > found[name].null_high + 0.1  # four fifths of the variance are this layer, a fifth is noise
    assert found["best_layer_depth"].value == 0.5  # the fourth of seven layers
    of_neurons = of_block_7.to_dataset()["best_depth"].to_numpy()
    certain = of_neurons[np.isfinite(of_neurons)]
    np.testing.assert_array_equal(certain, 0.5)
    assert len(certain) >= 3  # of eight; among neurons of Gabors there is at most one


@pytest.mark.long
def test_neurons_of_gabors_gain_nothing_beyond_permuted_weights(of_gabors: PlainResult) -> None:
    found = found_in(of_gabors)
    assert not any(one.low > one.null_high for one in found.values())
    assert np.isnan(found["best_layer_depth"].value)
    assert "no layer is the best" in found["best_layer_depth"].reason
    # by chance at most one of eight is three standard errors better at the best of seven layers
    assert np.isfinite(of_gabors.to_dataset()["best_depth"].to_numpy()).sum() <= 1
    assert of_gabors.to_dataset().attrs["explained_by_gabors"] > 0.3


@pytest.mark.long
def test_only_neurons_of_a_late_layer_speak_against_low_level_structure_alone(
    of_block_7: PlainResult, of_block_14: PlainResult, of_gabors: PlainResult
) -> None:
    by_category = {
        one.name: one
        for one in (
            Finding("category_share", 0.0, "1", 50, -0.02, 0.02, -0.1, 0.1),
            Finding("low_level_unique_share", 0.9, "1", 50, 0.8, 1.0, -0.1, 0.1),
            Finding("category_gain_bits", 0.0, "bits", 50, -0.1, 0.1, -0.1, 0.1),
            Finding("low_level_gain_bits", 2.0, "bits", 50, 1.5, 2.5, -0.1, 0.1),
            Finding("category_accuracy_partialled", 0.1, "1", 50, 0.05, 0.15, 0.0, 0.2),
        )
    }

    def answer(result: PlainResult) -> str:
        found = {"semantics": by_category, "layer_depth": found_in(result)}
        return judge([RULES["low_level_not_semantic"]], found)[0].verdict

    assert found_in(of_block_14)["best_layer_depth"].low > 0.5
    assert [answer(one) for one in (of_gabors, of_block_7, of_block_14)] == ["supported", "supported", "cannot tell"]


@pytest.mark.long
def test_the_page_says_whether_layers_go_beyond_permuted_weights(of_block_7: PlainResult, of_gabors: PlainResult) -> None:
    said = [ANALYSES["layer_depth"].draw(one.to_dataset(), one.findings()).paragraphs[0] for one in (of_block_7, of_gabors)]
    assert "The best single layer is block 7, at 50" in said[0]
    assert "not beyond" not in said[0]
    assert "not beyond" in said[1]
    assert "best single layer" not in said[1]


def test_without_the_network_or_with_small_images_the_reason_is_given(session: Decoded, monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(session, train=replace(session.train, images=session.train.images[:, :, :24]))
    with pytest.raises(DataError, match="at least 32 pixels along each side"):
        analyse_layer_depth(small)
    absent = replace(encoder_identity(), missing="The trained encoder is missing; install the extra.")
    monkeypatch.setattr(trained_network, "encoder_identity", lambda: absent)
    with pytest.raises(DataError, match=r"is missing; install the extra\."):
        analyse_layer_depth(session)
