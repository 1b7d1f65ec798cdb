"""Joint training: turns, the objective that takes over, the epoch that validation chooses, and an end before harm."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import dina.training.shared_fit as shared_fit
from dina.checks import DataError
from dina.training.aligned_towers import AlignedTowers
from dina.training.fit import FitSettings, Judge
from dina.training.image_facts import prepare_objective
from dina.training.objectives import OBJECTIVES
from dina.training.optimisers import OptimiserSettings
from dina.training.preset_settings import ScratchSettings
from dina.training.presets import RecordingShape, build_towers
from dina.training.shared_fit import JointObjective, fit_shared_towers
from dina.training.shared_towers import RecordingPairs, SharedTowers

FIT = FitSettings(n_epochs=4, batch_size=30, patience=None, image=OptimiserSettings(learning_rate=3e-3))


@pytest.fixture
def made(make_toy_pairs):
    """A recording of ninety training images and one of thirty, with towers that share the first one's image tower."""
    settings = ScratchSettings(pathway_width=8, rank=16)
    parts = {"large": make_toy_pairs(90, 30, 30), "small": make_toy_pairs(30, 30, 24, seed=1)}
    towers = [build_towers("scratch", settings, RecordingShape.of(train), 0) for train, _ in parts.values()]
    second = AlignedTowers(towers[0].image_tower, towers[1].neural_tower, towers[1].comparison)
    recordings = [RecordingPairs(name, *part) for name, part in parts.items()]
    return SharedTowers(list(parts), [towers[0], second]), recordings


@pytest.fixture
def seen(monkeypatch):
    """Who was encoded, with how many images and which objective, in order."""
    batches = []

    def encode(towers, batch, objective, facts, precision, mixtures):
        batches.append((towers.neural_tower.n_neurons, len(batch.images), type(objective).__name__))
        return encode_batch(towers, batch, objective, facts, precision, mixtures)

    encode_batch = shared_fit.encode_batch
    monkeypatch.setattr(shared_fit, "encode_batch", encode)
    return batches


def test_recordings_take_turns_and_every_image_is_visited_once(made, seen):
    fit_shared_towers(*made, FIT.model_copy(update={"n_epochs": 1}), seed=0)
    assert [n_neurons for n_neurons, *_ in seen] == [30, 24, 30, 30]
    assert sum(n_images for n_neurons, n_images, _ in seen if n_neurons == 30) == 90
    assert sum(n_images for n_neurons, n_images, _ in seen if n_neurons == 24) == 30


def test_the_later_objective_takes_over_after_its_share(made, seen):
    settings = FIT.model_copy(update={"n_epochs": 3, "objective": "bimixco"})
    fit_shared_towers(*made, settings, seed=0, asked=JointObjective("soft_clip", 1 / 3))
    assert [objective for *_, objective in seen] == ["BiMixCo"] * 4 + ["SoftClip"] * 8


def test_patience_waits_for_the_later_objective(made, monkeypatch):
    row_of = shared_fit._row

    def worse(epoch, *others):
        return replace(row_of(epoch, *others), validation_loss=float(epoch), validation_top1=0.0)

    monkeypatch.setattr(shared_fit, "_row", worse)
    monkeypatch.setattr(shared_fit, "_train_epoch", lambda *arguments, **options: 1.0)
    settings = FIT.model_copy(update={"n_epochs": 8, "patience": 1, "objective": "bimixco"})
    # three epochs of eight with the first objective, and one, the patience, with the later
    assert fit_shared_towers(*made, settings, seed=0, asked=JointObjective("soft_clip", 0.4)).n_epochs_done == 4
    assert fit_shared_towers(*made, settings, seed=0).n_epochs_done == 1


def test_the_temperature_is_learnt_only_where_the_objective_lets_it(made):
    towers, recordings = made
    comparisons = [towers.of(each.name).comparison for each in recordings]
    before = [comparison.temperature.item() for comparison in comparisons]
    for name, is_moved in (("contrastive_fixed_temperature", False), ("contrastive_learnt_temperature", True)):
        fit_shared_towers(towers, recordings, FIT.model_copy(update={"n_epochs": 1, "objective": name}), seed=0)
        assert [comparison.log_temperature.requires_grad for comparison in comparisons] == [is_moved, is_moved]
        if not is_moved:
            assert [comparison.temperature.item() for comparison in comparisons] == before


def test_towers_end_with_the_epoch_that_validation_found_best(made, monkeypatch):
    towers, recordings = made
    row_of, kept = shared_fit._row, {}

    def praise_the_second_epoch(epoch, train_loss, members, state):
        kept[epoch] = {name: tensor.clone() for name, tensor in towers.state_dict().items()}
        return replace(row_of(epoch, train_loss, members, state), validation_loss=float(abs(epoch - 2)))

    monkeypatch.setattr(shared_fit, "_row", praise_the_second_epoch)
    history = fit_shared_towers(towers, recordings, FIT.model_copy(update={"select_by": "loss"}), seed=0)
    assert (history.best_epoch, history.n_epochs_done) == (2, 4)
    assert all(torch.equal(tensor, kept[2][name]) for name, tensor in towers.state_dict().items())
    assert not all(torch.equal(tensor, kept[4][name]) for name, tensor in towers.state_dict().items())


def test_validation_is_the_mean_over_recordings(made):
    towers, recordings = made
    history = fit_shared_towers(towers, recordings, FIT.model_copy(update={"n_epochs": 0}), seed=0)
    found = []
    for each in recordings:
        own, objective = towers.of(each.name), OBJECTIVES["contrastive"]()
        shape = own.image_tower.map_shape
        _, facts = prepare_objective(objective, shape, each.train, each.validation, None, 0, torch.device("cpu"))
        found.append(Judge(each.validation, objective, own, facts).judge())
    loss, top1 = np.mean(found, axis=0)
    assert (history.rows[0].validation_loss, history.rows[0].validation_top1) == pytest.approx((loss, top1), rel=1e-6)


def test_only_the_recording_whose_turn_it_is_moves_besides_what_is_shared(made, monkeypatch):
    towers, recordings = made
    before = {name: tensor.clone() for name, tensor in towers.state_dict().items()}
    monkeypatch.setattr(shared_fit, "_turns", lambda members, epoch, is_later: ((0, b) for b in members[0].batches.epoch(epoch)))
    fit_shared_towers(towers, recordings, FIT.model_copy(update={"n_epochs": 1}), seed=0)
    moved = {name for name, tensor in towers.state_dict().items() if not torch.equal(tensor, before[name])}
    assert any(name.startswith("towers.0.neural_tower") for name in moved)
    assert any(name.startswith("towers.1.image_tower") for name in moved)  # the same as the first one's
    assert not any(name.startswith(("towers.1.neural_tower", "towers.1.comparison")) for name in moved)


def test_a_loss_that_is_not_finite_ends_training_with_the_best_weights(made, monkeypatch):
    towers, recordings = made
    encode_batch = shared_fit.encode_batch

    def spoil(*arguments):
        return (encoded := encode_batch(*arguments))._replace(scores=encoded.scores * torch.nan)

    monkeypatch.setattr(shared_fit, "encode_batch", spoil)
    with pytest.warns(UserWarning, match="stopped being finite in epoch 1"):
        history = fit_shared_towers(towers, recordings, FIT, seed=0)
    assert history.best_epoch == 0
    assert all(bool(torch.isfinite(weights).all()) for weights in towers.parameters())


def test_towers_that_share_nothing_are_refused(made):
    towers, recordings = made
    stranger = build_towers("scratch", ScratchSettings(pathway_width=8, rank=16), RecordingShape.of(recordings[1].train), 1)
    with pytest.raises(DataError, match="one image tower"):
        SharedTowers(["large", "small"], [towers.of("large"), stranger])
    with pytest.raises(TypeError, match="RebuildingTrunk"):
        fit_shared_towers(towers, recordings, FIT, seed=0, asked=JointObjective(rebuild_weight=1.0))
