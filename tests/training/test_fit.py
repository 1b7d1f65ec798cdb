"""Training: above chance on held-out images, at chance on shuffled ones, selected by validation, stopped by faults."""

import numpy as np
import pytest
import torch

from dina.checks import DataError
from dina.data.pairs import make_task
from dina.training.batches import RecordingPairs
from dina.training.dina_decoder import DinaDecoder
from dina.training.fit import FitSettings, fit_towers
from dina.training.presets import RecordingShape, build_towers
from dina.training.presets.paper import PaperSettings
from dina.training.presets.scratch import ScratchSettings
from dina.training.state import EpochRow, OptimiserSettings, PlateauRule, TrainingState

QUICK = FitSettings(
    n_epochs=4, batch_size=60, image=OptimiserSettings(learning_rate=3e-3), neural=OptimiserSettings(learning_rate=3e-3)
)


def small_towers(pairs, seed=0, dropout=0.5):
    settings = ScratchSettings(pathway_width=8, rank=32, map_channels=4, dropout=dropout)
    return build_towers("scratch", settings, RecordingShape.of(pairs), seed)


def top1(scores, target):
    return float((scores.argmax(1) == target).mean())


def test_a_few_epochs_find_held_out_images_far_above_chance(make_toy_pairs):
    train, rest = make_toy_pairs(n_validation=120)
    towers = small_towers(train)
    history = fit_towers([towers], [RecordingPairs(train, rest)], QUICK.model_copy(update={"batch_size": 40}), seed=0)
    task = make_task(rest, "averaged")
    # chance is 1 / 120; choosing the best of five epochs adds a few hits at most
    assert top1(towers.score(task.queries, task.gallery), task.target) > 0.3
    assert history.rows[-1].train_loss < history.rows[1].train_loss


def test_shuffled_pairs_stay_at_chance_on_images_never_used(make_toy_pairs):
    train, rest = make_toy_pairs(n_validation=60, is_shuffled=True)
    _, unseen = make_toy_pairs(n_validation=100, seed=1, is_shuffled=True)
    towers = small_towers(train)
    fit_towers([towers], [RecordingPairs(train, rest)], QUICK, seed=0)
    task = make_task(unseen, "averaged")
    # at chance the number of hits of 100 is binomial with mean 1: six or more come up once in 2,000 times
    assert top1(towers.score(task.queries, task.gallery), task.target) < 0.06


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(make_toy_pairs):
    train, rest = make_toy_pairs(n_train=60, n_validation=20)
    weights = []
    for seed in (0, 0, 1):
        towers = small_towers(train)
        torch.rand(3)  # the global generator plays no part
        fit_towers(
            [towers], [RecordingPairs(train, rest)], QUICK.model_copy(update={"n_epochs": 2, "select_by": "loss"}), seed=seed
        )
        weights.append(torch.cat([p.detach().flatten() for p in towers.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_no_epochs_leave_the_towers_as_they_were(make_toy_pairs):
    train, rest = make_toy_pairs(n_train=20, n_validation=5)
    towers = small_towers(train)
    before = {name: tensor.clone() for name, tensor in towers.state_dict().items()}
    history = fit_towers([towers], [RecordingPairs(train, rest)], QUICK.model_copy(update={"n_epochs": 0}), seed=0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in towers.state_dict().items())
    assert history.n_epochs_done == 0
    assert history.best_epoch == 0


def test_training_that_only_harms_keeps_epoch_zero_and_stops_early(make_toy_pairs):
    train, rest = make_toy_pairs(n_train=60, n_validation=30)
    towers = small_towers(train)
    fit_towers([towers], [RecordingPairs(train, rest)], QUICK, seed=0)
    good = {name: tensor.clone() for name, tensor in towers.state_dict().items()}

    awful = OptimiserSettings(learning_rate=1.0, weight_decay=0.0)
    settings = QUICK.model_copy(update={"image": awful, "neural": awful, "patience": 2, "n_epochs": 50})
    history = fit_towers([towers], [RecordingPairs(train, rest)], settings, seed=0)

    assert history.best_epoch == 0
    assert history.n_epochs_done == 2
    assert history.stop_reason == "Validation did not improve for 2 epochs."
    assert all(torch.equal(tensor, good[name]) for name, tensor in towers.state_dict().items())
    hasty = fit_towers([towers], [RecordingPairs(train, rest)], settings.model_copy(update={"patience": 1}), seed=0)
    assert hasty.stop_reason == "Validation did not improve for 1 epoch."


def test_a_loss_that_is_not_finite_ends_training_with_the_last_good_weights(make_toy_pairs):
    train, rest = make_toy_pairs(n_train=60, n_validation=20)
    towers = small_towers(train)
    calls = 0

    def poison(module, inputs, output):
        nonlocal calls
        calls += module.training
        return output * float("nan") if calls == 3 else output

    towers.neural_tower.register_forward_hook(poison)
    settings = QUICK.model_copy(update={"batch_size": 30, "select_by": "loss"})
    with pytest.warns(UserWarning, match=r"stopped being finite in epoch 2 .*weights of epoch 1; use a lower learning rate"):
        history = fit_towers([towers], [RecordingPairs(train, rest)], settings, seed=0)
    assert history.n_epochs_done == 1
    assert history.best_epoch == 1
    assert all(tensor.isfinite().all() for tensor in towers.state_dict().values())


def test_bfloat16_learns_as_well(make_toy_pairs):
    train, rest = make_toy_pairs(n_validation=100)
    towers = small_towers(train)
    history = fit_towers([towers], [RecordingPairs(train, rest)], QUICK.model_copy(update={"precision": "bfloat16"}), seed=0)
    assert history.rows[history.best_epoch].validation_top1 > 0.2  # chance is 1 / 100
    assert all(p.dtype == torch.float32 for p in towers.parameters())


def test_test_responses_cannot_reach_the_weights(make_toy_pairs):
    train, rest = make_toy_pairs(n_train=40, n_validation=10)
    weights = []
    for poison in (0.0, 1e6):
        towers = small_towers(train)
        poisoned = rest.__class__(**{**vars(rest), "responses": rest.responses + np.float32(poison)})
        settings = QUICK.model_copy(update={"n_epochs": 1, "patience": None})
        history = fit_towers([towers], [RecordingPairs(train, poisoned)], settings, seed=0)
        weights.append(history.rows[1].train_loss)
    assert weights[0] == weights[1]


def test_learning_rates_are_halved_after_a_plateau():
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.8)
    rule = PlateauRule(2)
    rates = []
    for loss in (1.0, 0.9, 0.95, 0.9, 0.91, 0.8, 0.81):
        rule.after_epoch(loss, [optimiser])
        rates.append(optimiser.param_groups[0]["lr"])
    # three epochs (0.95, 0.9, 0.91) without a loss below 0.9: one more than tolerated
    assert rates == [0.8, 0.8, 0.8, 0.8, 0.4, 0.4, 0.4]


def test_the_history_is_a_table(make_toy_pairs):
    train, rest = make_toy_pairs(n_train=20, n_validation=5)
    frame = fit_towers(
        [small_towers(train)], [RecordingPairs(train, rest)], QUICK.model_copy(update={"n_epochs": 2}), seed=0
    ).to_frame()
    assert frame["epoch"].tolist() == [0, 1, 2]
    assert np.isnan(frame["train_loss"][0])
    assert (frame["learning_rate_neural"] == 3e-3).all()


def test_a_collapsed_model_scores_chance_on_validation(make_toy_pairs):
    train, rest = make_toy_pairs(n_train=20, n_validation=8)
    towers = small_towers(train)
    for parameter in (*towers.image_tower.parameters(), *towers.neural_tower.parameters()):
        parameter.data.zero_()
    history = fit_towers([towers], [RecordingPairs(train, rest)], QUICK.model_copy(update={"n_epochs": 0}), seed=0)
    assert history.rows[0].validation_top1 == pytest.approx(1 / 8)
    assert history.rows[0].validation_loss == pytest.approx(np.log(8))
    assert history.rows[0].validation_log_rank == pytest.approx(np.log(4.5))  # the middle of ranks 1 to 8


@pytest.mark.parametrize(("select_by", "best"), [("top1", 1), ("loss", 2), ("log_rank", 3)])
def test_validation_decides_by_what_was_asked(make_toy_pairs, select_by, best):
    train, _ = make_toy_pairs(n_train=20, n_validation=5)
    state = TrainingState([small_towers(train)], [], OptimiserSettings(), OptimiserSettings(), None)
    for epoch, (loss, top1, log_rank) in enumerate([(3.0, 0.1, 2.0), (2.9, 0.3, 1.9), (2.0, 0.2, 1.8), (2.5, 0.2, 1.5)]):
        state.note_epoch(EpochRow(epoch, None, loss, top1, 1e-3, 1e-3, log_rank), select_by)
    assert state.best_row.epoch == best


def test_every_epoch_silences_other_neurons(make_toy_pairs):
    train, rest = make_toy_pairs(n_train=20, n_validation=5)
    towers = small_towers(train)
    silenced = []

    def note(module, inputs, output):
        if module.training:
            silenced.append(output == 0)

    towers.neural_tower.dropout.register_forward_hook(note)
    fit_towers([towers], [RecordingPairs(train, rest)], QUICK.model_copy(update={"n_epochs": 2}), seed=0)
    assert len(silenced) == 2
    # two independent masks of probability 1/2 agree in half of 1,200 entries
    assert 0.4 < float((silenced[0] == silenced[1]).float().mean()) < 0.6


@pytest.mark.parametrize("preset", ["paper", "scratch"])
def test_a_decoder_of_each_preset_fits_and_scores(preset, make_toy_pairs, tmp_path):
    train, rest = make_toy_pairs(n_train=24, n_validation=6, n_neurons=20, size=(16, 24))
    settings = (PaperSettings if preset == "paper" else ScratchSettings)(fit=FitSettings(n_epochs=1, batch_size=12))
    decoder = DinaDecoder(preset, settings, seed=0, folder=tmp_path)
    task = make_task(rest, "single_trial")
    with pytest.raises(DataError, match="fitted before it can score"):
        decoder.score(task.queries, task.gallery)
    scores = decoder.fit(train, rest).score(task.queries, task.gallery)
    assert scores.shape == (12, 6)
    assert decoder.score_before_training(task.queries, task.gallery) is None
    assert decoder.history.n_epochs_done == 1


def test_settings_of_another_preset_and_unknown_presets_are_refused():
    with pytest.raises(DataError, match="Preset 'paper' takes PaperSettings; got ScratchSettings"):
        DinaDecoder("paper", ScratchSettings())
    with pytest.raises(DataError, match=r"Unknown preset 'papper'\. Did you mean 'paper'"):
        DinaDecoder("papper")
