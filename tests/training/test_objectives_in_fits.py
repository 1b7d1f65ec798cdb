"""Objectives inside a fit: told what they need, trained with their heads, resumed to the bit, judged without leaks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dina.checks import DataError
from dina.training.batches import RecordingPairs
from dina.training.fit import FitSettings, fit_towers
from dina.training.objectives import OBJECTIVES
from dina.training.objectives.contrastive import Contrastive, MultiPositive
from dina.training.objectives.targets import Classification
from dina.training.presets import RecordingShape, build_towers
from dina.training.presets.scratch import ScratchSettings
from dina.training.state import OptimiserSettings

QUICK = FitSettings(
    n_epochs=3,
    batch_size=40,
    image=OptimiserSettings(learning_rate=3e-3),
    neural=OptimiserSettings(learning_rate=3e-3),
    select_by="loss",
)


def small_towers(pairs, seed=0):
    return build_towers("scratch", ScratchSettings(pathway_width=8, rank=32, map_channels=4), RecordingShape.of(pairs), seed)


def asking(name, n_epochs=3):
    return QUICK.model_copy(update={"objective": name, "n_epochs": n_epochs})


@pytest.fixture
def told(make_toy_pairs):
    """Pairs whose images are labelled by which side is brighter, and two features of every image."""
    parts = make_toy_pairs(n_train=80, n_validation=40, n_neurons=30)
    images = np.concatenate([part.images for part in parts])
    tilt = images[:, 0, :, 16:].mean((1, 2)) - images[:, 0, :, :16].mean((1, 2))
    features = np.stack([tilt, images.mean((1, 2, 3))], axis=1)
    labels = np.where(tilt > 0, "right", "left")
    return *(replace(part, labels=labels[part.stimulus_id]) for part in parts), features


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_trains_both_towers_and_falls_on_images_left_out(name, told):
    train, rest, features = told
    history = fit_towers([small_towers(train)], [RecordingPairs(train, rest, image_features=features)], asking(name, 8), seed=0)
    assert history.best_epoch > 0
    assert history.rows[history.best_epoch].validation_loss < history.rows[0].validation_loss


def test_categories_are_learnt_by_both_towers(told):
    train, rest, _ = told
    objective, towers = Classification(), small_towers(train)
    fit_towers(
        [towers], [RecordingPairs(train, rest)], asking("classification", 10), seed=0, objective=lambda made=objective: made
    )
    with torch.no_grad():
        for maps in (towers.encode_images(rest.images), towers.encode_responses(rest.averaged())):
            found = np.array(["left", "right"])[objective.head(torch.from_numpy(maps)).argmax(1).numpy()]
            # chance is one half: 30 or more of 40 come up once in a thousand
            assert (found == rest.labels).sum() >= 30


@pytest.mark.parametrize("name", ["classification", "category_contrastive"])
def test_without_categories_it_is_said_what_to_do(name, told):
    train, rest, _ = told
    for labels in (None, np.full(train.n_stimuli, ""), np.full(train.n_stimuli, "one")):
        with pytest.raises(
            DataError, match=r"at least 2 semantic categories among the training images; this recording has [01]\."
        ):
            fit_towers([small_towers(train)], [RecordingPairs(replace(train, labels=labels), rest)], asking(name), seed=0)


def test_without_features_of_every_image_it_is_said_what_to_do(told):
    train, rest, features = told
    cases = [
        (None, "none were given"),
        (features[:90], "got 90 rows, and image 119"),
        (features * np.nan, "80 values|160 values"),
    ]
    for given, words in cases:
        with pytest.raises(DataError, match=words):
            fit_towers(
                [small_towers(train)],
                [RecordingPairs(train, rest, image_features=given)],
                asking("privileged_regression"),
                seed=0,
            )


@pytest.mark.parametrize("name", ["siglip", "bimixco", "multi_positive", "classification", "privileged_contrastive"])
def test_resuming_equals_never_having_stopped_also_for_heads_blends_and_trials(name, told, tmp_path):
    train, rest, features = told
    weights = []
    for folder, budgets in (("whole", [3]), ("broken", [1, 3])):
        for n_epochs in budgets:
            towers, objective = small_towers(train), OBJECTIVES[name]()
            settings = asking(name, n_epochs)
            fit_towers(
                [towers],
                [RecordingPairs(train, rest, image_features=features)],
                settings,
                0,
                "cpu",
                tmp_path / folder,
                objective=lambda made=objective: made,
            )
        weights.append([tensor.clone() for tensor in (*towers.state_dict().values(), *objective.state_dict().values())])
    assert all(torch.equal(first, second) for first, second in zip(*weights, strict=True))
    last = "checkpoint_000003.safetensors"
    assert (tmp_path / "whole" / last).read_bytes() == (tmp_path / "broken" / last).read_bytes()


def test_checkpoints_of_other_features_are_refused(told, tmp_path):
    train, rest, features = told
    settings = asking("privileged_regression", 1)
    fit_towers([small_towers(train)], [RecordingPairs(train, rest, image_features=features)], settings, 0, "cpu", tmp_path)
    with pytest.raises(DataError, match=r"checkpoints of another fit \(different: objective\)"):
        fit_towers(
            [small_towers(train)], [RecordingPairs(train, rest, image_features=features[::-1])], settings, 0, "cpu", tmp_path
        )


@pytest.mark.parametrize(("temperature", "moves"), [("fixed", False), ("learnt", True), ("preset", True)])
def test_the_temperature_is_learnt_or_left_as_the_objective_says(temperature, moves, told):
    train, rest, _ = told
    towers = small_towers(train)
    before = float(towers.comparison.temperature.detach())
    # the last epoch is kept, whatever validation says: one epoch, lower training loss than none
    fit_towers([towers], [RecordingPairs(train, rest)], asking("contrastive"), seed=0, objective=lambda: Contrastive(temperature))
    assert (float(towers.comparison.temperature.detach()) != before) == moves


def test_labels_of_validation_images_reach_no_weight(told):
    train, rest, _ = told
    losses = []
    for labels in (rest.labels, np.where(rest.labels == "left", "right", "never seen")):
        history = fit_towers(
            [small_towers(train)], [RecordingPairs(train, replace(rest, labels=labels))], asking("classification"), seed=0
        )
        losses.append([row.train_loss for row in history.rows])
    assert losses[0] == losses[1]


def test_repeats_as_right_answers_visit_every_image_once_an_epoch(told, monkeypatch):
    train, rest, _ = told
    seen, towers = [], small_towers(train)
    forward, before = MultiPositive.forward, torch.from_numpy(towers.encode_images(train.images))

    def note(self, batch):
        if self.training:
            if not seen:  # before the first step; images are encoded once for both of their trials
                torch.testing.assert_close(batch.image_maps, before[batch.group], atol=1e-4, rtol=1e-3)
            seen.append(batch.group)
        return forward(self, batch)

    monkeypatch.setattr(MultiPositive, "forward", note)
    monkeypatch.setattr(MultiPositive, "reads_maps", True)  # it reads scores alone, but the test looks at maps
    history = fit_towers([towers], [RecordingPairs(train, rest)], asking("multi_positive", 1), seed=0)
    assert torch.bincount(torch.cat(seen)).tolist() == [2] * 80
    # the mean over images, however many rows a batch has: with two right answers near log(2 × 40) before much is learnt
    assert 3.0 < history.rows[1].train_loss < 5.5


def test_a_head_ends_with_the_weights_of_the_best_epoch_as_the_towers_do(told):
    train, rest, _ = told
    awful = OptimiserSettings(learning_rate=1.0, weight_decay=0.0)
    heads = []
    for settings in (
        asking("classification", 0),
        asking("classification", 2).model_copy(update={"image": awful, "neural": awful}),
    ):
        objective = Classification()
        history = fit_towers(
            [small_towers(train)], [RecordingPairs(train, rest)], settings, seed=0, objective=lambda made=objective: made
        )
        assert history.best_epoch == 0
        heads.append(objective.head.linear.weight.detach().clone())
    assert torch.equal(heads[0], heads[1])
