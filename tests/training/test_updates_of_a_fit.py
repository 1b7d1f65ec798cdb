"""Trainings that are compared make as many updates, however few their images."""

import torch

from dina.training.batches import RecordingPairs, TrainingBatches, updates_per_epoch
from dina.training.fit import FitSettings, fit_towers, with_updates
from dina.training.presets import RecordingShape, build_towers
from dina.training.presets.scratch import ScratchSettings


def test_updates_are_counted_as_batches_are_made(make_toy_pairs):
    for n_images, batch_size in ((40, 128), (90, 40), (41, 40), (3, 2)):
        train, _ = make_toy_pairs(n_images, 4, 6)
        batches = TrainingBatches(train, torch.arange(n_images).numpy(), batch_size, 0, torch.device("cpu"))
        made = [len(batch.images) for batch in batches.epoch(1)]
        assert updates_per_epoch([n_images], batch_size) == len(made)
        assert min(made) >= 2
    assert updates_per_epoch([90, 40], 40) == 4


def test_few_images_get_more_epochs_and_as_much_more_patience():
    fit = FitSettings(n_epochs=10, batch_size=40, patience=3, halve_after=2)
    longer = with_updates(fit, [30], 45)
    assert (longer.n_epochs, longer.patience, longer.halve_after) == (45, 14, 9)
    assert with_updates(fit, [90, 90], 45) is fit  # 60 already, and never fewer
    without = with_updates(fit.model_copy(update={"patience": None, "halve_after": None}), [30], 45)
    assert (without.n_epochs, without.patience, without.halve_after) == (45, None, None)
    assert with_updates(fit.model_copy(update={"n_epochs": 0}), [30], 45).n_epochs == 0


def test_a_history_tells_the_updates_that_were_made(make_toy_pairs):
    train, validation = make_toy_pairs(60, 20, 12)
    towers = build_towers("scratch", ScratchSettings(pathway_width=4, rank=4), RecordingShape.of(train), 0)
    history = fit_towers(
        [towers], [RecordingPairs(train, validation)], FitSettings(n_epochs=3, batch_size=20, patience=None), seed=0
    )
    assert history.updates() == {"n_updates": 9, "kept_updates": 3 * history.best_epoch}
