"""Joint training: turns, the objective that takes over, the epoch that validation chooses, and an end before harm."""

import numpy as np
import pytest
import torch

from dina.checks import DataError
from dina.training.aligned_towers import AlignedTowers
from dina.training.batches import RecordingPairs
from dina.training.fit import FitSettings, TrainingPlan, fit_towers
from dina.training.objectives import OBJECTIVES
from dina.training.objectives.contrastive import Contrastive
from dina.training.presets import RecordingShape, build_towers
from dina.training.presets.scratch import ScratchSettings
from dina.training.state import OptimiserSettings

FIT = FitSettings(n_epochs=4, batch_size=30, patience=None, image=OptimiserSettings(learning_rate=3e-3))


@pytest.fixture
def made(make_toy_pairs):
    """A recording of ninety training images and one of thirty, with towers that share the first one's image tower."""
    settings = ScratchSettings(pathway_width=8, rank=16)
    parts = {"large": make_toy_pairs(90, 30, 30), "small": make_toy_pairs(30, 30, 24, seed=1)}
    towers = [build_towers("scratch", settings, RecordingShape.of(train), 0) for train, _ in parts.values()]
    second = AlignedTowers(towers[0].image_tower, towers[1].neural_tower, towers[1].comparison)
    recordings = [RecordingPairs(*part, name) for name, part in parts.items()]
    return [towers[0], second], recordings


def weights_of(towers):
    return {f"{number}.{name}": t.clone() for number, each in enumerate(towers) for name, t in each.state_dict().items()}


def test_recordings_take_turns_and_every_image_is_visited_once(made):
    towers, recordings = made
    seen = []
    for each in towers:
        each.neural_tower.register_forward_hook(
            lambda tower, inputs, maps: seen.append((tower.n_neurons, len(maps))) if tower.training else None
        )
    fit_towers(towers, recordings, FIT.model_copy(update={"n_epochs": 1}), seed=0)
    assert [n_neurons for n_neurons, _ in seen] == [30, 24, 30, 30]
    assert sum(n_images for n_neurons, n_images in seen if n_neurons == 30) == 90
    assert sum(n_images for n_neurons, n_images in seen if n_neurons == 24) == 30


def test_the_later_objective_takes_over_after_its_share(made, monkeypatch):
    seen = []
    for name in ("bimixco", "soft_clip"):
        objective = OBJECTIVES[name]

        class Noted(objective):
            def forward(self, batch):
                if self.training:
                    seen.append(type(self).__base__.__name__)
                return super().forward(batch)

        monkeypatch.setitem(OBJECTIVES, name, Noted)
    settings = FIT.model_copy(update={"n_epochs": 3, "objective": "bimixco"})
    fit_towers(*made, settings, seed=0, plan=TrainingPlan("soft_clip", 1 / 3))
    assert seen == ["BiMixCo"] * 4 + ["SoftClip"] * 8


def measured_as(monkeypatch, name, loss_of):
    """Let an objective's validation loss be what ``loss_of`` returns for the number of the epoch, in a fit of two recordings."""

    class Measured(OBJECTIVES[name]):
        n_measured = 0

        def forward(self, batch):
            if self.training:
                return super().forward(batch)
            Measured.n_measured += 1
            return torch.tensor(float(loss_of((Measured.n_measured - 1) // 2)))

    monkeypatch.setitem(OBJECTIVES, name, Measured)


def test_patience_waits_for_the_later_objective(made, monkeypatch):
    for name in ("bimixco", "soft_clip"):
        measured_as(monkeypatch, name, lambda number: number)
    settings = FIT.model_copy(update={"n_epochs": 8, "patience": 1, "objective": "bimixco", "select_by": "loss"})
    # three epochs of eight with the first objective, and one, the patience, with the later
    assert fit_towers(*made, settings, seed=0, plan=TrainingPlan("soft_clip", 0.4)).n_epochs_done == 4
    assert fit_towers(*made, settings, seed=0).n_epochs_done == 1


def test_the_temperature_is_learnt_only_where_the_objective_lets_it(made):
    towers, recordings = made
    comparisons = [each.comparison for each in towers]
    before = [comparison.temperature.item() for comparison in comparisons]
    for name, is_moved in (("contrastive_fixed_temperature", False), ("contrastive_learnt_temperature", True)):
        fit_towers(towers, recordings, FIT.model_copy(update={"n_epochs": 1, "objective": name}), seed=0)
        assert [comparison.log_temperature.requires_grad for comparison in comparisons] == [is_moved, is_moved]
        if not is_moved:
            assert [comparison.temperature.item() for comparison in comparisons] == before


def test_towers_end_with_the_epoch_that_validation_found_best(made, monkeypatch):
    towers, recordings = made
    kept = {}

    def praise_the_second_epoch(number):
        kept[number] = weights_of(towers)
        return abs(number - 2)

    measured_as(monkeypatch, "contrastive", praise_the_second_epoch)
    history = fit_towers(towers, recordings, FIT.model_copy(update={"select_by": "loss"}), seed=0)
    assert (history.best_epoch, history.n_epochs_done) == (2, 4)
    assert all(torch.equal(tensor, kept[2][name]) for name, tensor in weights_of(towers).items())
    assert not all(torch.equal(tensor, kept[4][name]) for name, tensor in weights_of(towers).items())


def test_validation_is_the_mean_over_recordings(made):
    towers, recordings = made
    history = fit_towers(towers, recordings, FIT.model_copy(update={"n_epochs": 0}), seed=0)
    alone = [fit_towers([t], [r], FIT.model_copy(update={"n_epochs": 0}), seed=0) for t, r in zip(towers, recordings)]
    for name in ("validation_loss", "validation_top1"):
        assert getattr(history.rows[0], name) == pytest.approx(np.mean([getattr(each.rows[0], name) for each in alone]), rel=1e-6)


def test_only_the_recording_whose_turn_it_is_moves_besides_the_shared_tower(made):
    towers, recordings = made
    before = weights_of(towers)

    def stop(tower, inputs):
        if tower.training:  # the second batch is the first one of the second recording
            raise KeyboardInterrupt

    towers[1].neural_tower.register_forward_pre_hook(stop)
    with pytest.raises(KeyboardInterrupt):
        fit_towers(towers, recordings, FIT.model_copy(update={"n_epochs": 1}), seed=0)
    moved = {name for name, tensor in weights_of(towers).items() if not torch.equal(tensor, before[name])}
    assert any(name.startswith("0.neural_tower") for name in moved)
    assert any(name.startswith("1.image_tower") for name in moved)  # the same as the first one's
    assert not any(name.startswith(("1.neural_tower", "1.comparison")) for name in moved)


def test_a_loss_that_is_not_finite_ends_training_with_the_best_weights(made, monkeypatch):
    towers, recordings = made

    class Spoilt(Contrastive):
        def forward(self, batch):
            return super().forward(batch) * (torch.nan if self.training else 1.0)

    monkeypatch.setitem(OBJECTIVES, "contrastive", Spoilt)
    with pytest.warns(UserWarning, match="stopped being finite in epoch 1"):
        history = fit_towers(towers, recordings, FIT, seed=0)
    assert history.best_epoch == 0
    assert all(bool(torch.isfinite(weights).all()) for weights in weights_of(towers).values())


def test_towers_that_share_nothing_are_refused(made):
    towers, recordings = made
    stranger = build_towers("scratch", ScratchSettings(pathway_width=8, rank=16), RecordingShape.of(recordings[1].train), 1)
    with pytest.raises(DataError, match="one image tower"):
        fit_towers([towers[0], stranger], recordings, FIT, seed=0)
    with pytest.raises(TypeError, match="RebuildingTrunk"):
        fit_towers(towers, recordings, FIT, seed=0, plan=TrainingPlan(rebuild_weight=1.0))


def test_a_stopped_training_of_several_recordings_goes_on_bit_for_bit(made, tmp_path):
    towers, recordings = made
    before, weights = weights_of(towers), []
    for folder, budgets in (("whole", [4]), ("broken", [2, 4])):
        for n_epochs in budgets:
            for number, each in enumerate(towers):
                each.load_state_dict({name: before[f"{number}.{name}"] for name in each.state_dict()})
            plan = TrainingPlan("soft_clip", 0.0)
            fit_towers(towers, recordings, FIT.model_copy(update={"n_epochs": n_epochs}), 0, "cpu", tmp_path / folder, plan)
        weights.append(weights_of(towers))
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())
    with pytest.raises(DataError, match=r"checkpoints of another fit .*plan"):
        fit_towers(towers, recordings, FIT, 0, "cpu", tmp_path / "whole", TrainingPlan("siglip", 0.0))
