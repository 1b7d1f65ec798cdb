"""Category and low-level structure predict responses from labelled training images alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dina.analyses.decoded import Decoded
from dina.analyses.semantics.category_models import categorise, draw_categories
from dina.analyses.semantics.linear_models import (
    PENALTIES,
    fit_category_effects,
    fit_linear_part,
    fit_low_level,
    fit_posterior,
    left_out_effects,
)
from dina.checks import DataError


def test_images_without_a_category_and_rare_categories_stay_out(decoded: Decoded) -> None:
    labels = decoded.recording.labels
    assert labels is not None
    changed = labels.copy()
    changed[decoded.train.stimulus_id[:3]] = "rare"
    changed[decoded.test.stimulus_id[:2]] = ""
    changed[decoded.test.stimulus_id[2]] = "never trained on"

    parts = categorise(replace(decoded, recording=replace(decoded.recording, labels=changed)))

    assert parts.train.n_stimuli == decoded.train.n_stimuli - 3
    np.testing.assert_array_equal(parts.test.stimulus_id, decoded.test.stimulus_id[3:])
    assert [parts.names[code] for code in parts.test_category] == changed[parts.test.stimulus_id].tolist()
    np.testing.assert_array_equal(parts.test.averaged(), decoded.test.averaged()[3:])


def test_a_recording_without_labels_is_refused_with_a_remedy(decoded: Decoded) -> None:
    with pytest.raises(DataError, match=r"has no labels\. Add them"):
        categorise(replace(decoded, recording=replace(decoded.recording, labels=None)))


def test_too_few_labelled_images_are_refused(decoded: Decoded) -> None:
    labels = np.full(decoded.recording.n_stimuli, "")
    labels[decoded.train.stimulus_id] = "a"

    with pytest.raises(DataError, match="got 1 and 0"):
        categorise(replace(decoded, recording=replace(decoded.recording, labels=labels)))


def test_ten_labelled_test_images_are_too_few(decoded: Decoded) -> None:
    labels = np.where(np.arange(decoded.recording.n_stimuli) % 2, "a", "b")
    labels[decoded.test.stimulus_id[10:]] = ""

    with pytest.raises(DataError, match="got 2 and 10"):
        categorise(replace(decoded, recording=replace(decoded.recording, labels=labels)))


def test_effects_of_category_are_class_means_where_neurons_know_it_and_vanish_where_they_do_not() -> None:
    generator = torch.Generator().manual_seed(0)
    known = torch.eye(4)[torch.randint(4, (400,), generator=generator)]
    means = torch.tensor([[0.0, 0.0], [4.0, 0.0], [8.0, 0.0], [-4.0, 0.0]])
    responses = known @ means + torch.randn(400, 2, generator=generator)

    effects = fit_category_effects(known, responses)

    sample = torch.stack([responses[known[:, k] == 1, 0].mean() for k in range(4)])
    # shrinkage of F = 2,000 or so moves a mean by less than a thousandth of its distance from the overall one
    torch.testing.assert_close(effects.predict(torch.eye(4))[:, 0], sample, rtol=0, atol=0.02)
    assert effects.shrinkage[0] > 0.99
    assert effects.shrinkage[1] < 0.7  # F is near 1


def test_effects_left_out_are_those_of_a_fit_without_the_image() -> None:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(30, 3, generator=generator)
    responses = features @ torch.randn(3, 2, generator=generator) * 3 + torch.randn(30, 2, generator=generator)
    effects = fit_category_effects(features, responses)

    found = left_out_effects(features, responses, effects)

    kept = torch.arange(30) != 7
    design = torch.cat([torch.ones(29, 1), features[kept]], dim=1)
    solved = torch.linalg.lstsq(design, responses[kept]).solution
    unseen = torch.cat([torch.ones(1), features[7]]) @ solved
    expected = effects.intercept + effects.shrinkage * (unseen - effects.intercept)
    torch.testing.assert_close(found[7], expected, rtol=1e-4, atol=1e-4)  # single precision


def test_the_linear_part_left_out_is_ridge_regression_without_the_image() -> None:
    generator = torch.Generator().manual_seed(2)
    statistics = torch.randn(40, 5, generator=generator)
    columns = statistics[:, :1] * 2 + 0.5 * torch.randn(40, 1, generator=generator)

    part = fit_linear_part(statistics, columns)

    scaled = (statistics - part.mean) / part.deviation
    kept = torch.arange(40) != 3
    design = torch.cat([torch.ones(39, 1), scaled[kept]], dim=1)
    tried = []
    for penalty in PENALTIES:  # the same penalty for 40 images; the intercept is free
        free = torch.diag(torch.tensor([0.0, *[penalty * 40] * 5]))
        weights = torch.linalg.solve(design.T @ design + free, design.T @ columns[kept])
        tried.append(float(torch.cat([torch.ones(1), scaled[3]]) @ weights[:, 0]))
    assert min(abs(float(part.left_out[3, 0]) - value) for value in tried) < 1e-4  # single precision


def test_columns_that_no_statistic_predicts_get_no_weight() -> None:
    generator = torch.Generator().manual_seed(3)
    statistics = torch.randn(200, 40, generator=generator)

    part = fit_linear_part(statistics, torch.randn(200, 30, generator=generator))

    # some penalty beats the mean by luck in fewer than half of the columns
    assert ((part.weights == 0).all(0)).float().mean() > 0.4


def test_probabilities_of_categories_are_calibrated_and_drawn_categories_follow_them() -> None:
    generator = np.random.default_rng(0)
    category = generator.integers(2, size=2000)
    statistics = torch.from_numpy((category[:, None] * 1.5 + generator.standard_normal((2000, 3))).astype(np.float32))

    posterior = fit_posterior(statistics, category, 2)
    drawn = draw_categories(posterior.train, 400, generator)

    for low in (0.2, 0.5, 0.8):
        near = np.abs(posterior.train[:, 1] - low) < 0.1
        # a standard error of a fraction among more than 100 images is below 0.05
        assert abs(category[near].mean() - posterior.train[near, 1].mean()) < 0.12
    np.testing.assert_allclose(drawn.mean(0), posterior.train[:, 1], atol=0.1)  # four standard errors of 400 draws
    np.testing.assert_allclose(posterior.predict(statistics).sum(1), 1.0)


def test_probabilities_of_training_images_are_as_good_as_those_of_new_ones() -> None:
    generator = np.random.default_rng(2)
    category = generator.integers(2, size=600)
    noise = generator.standard_normal((600, 150))
    statistics = torch.from_numpy((noise + 0.6 * category[:, None] * (np.arange(150) < 3)).astype(np.float32))

    posterior = fit_posterior(statistics[:300], category[:300], 2)

    losses = [
        -np.log(probability[np.arange(300), true]).mean()
        for probability, true in ((posterior.train, category[:300]), (posterior.predict(statistics[300:]), category[300:]))
    ]
    assert abs(losses[0] - losses[1]) < 0.15  # three standard errors; seen images would come out at half the loss
    assert losses[1] < np.log(2) + 0.05


def test_statistics_without_category_leave_it_at_its_frequency() -> None:
    generator = np.random.default_rng(1)
    category = (generator.random(500) < 0.3).astype(np.int64)
    statistics = torch.from_numpy(generator.standard_normal((500, 10)).astype(np.float32))

    posterior = fit_posterior(statistics, category, 2)

    # the standard error of the frequency is 0.02, and the classifier adds what it overfits
    np.testing.assert_allclose(posterior.train[:, 1], 0.3, atol=0.15)


def test_the_low_level_model_predicts_new_images_as_well_as_those_it_left_out(decoded: Decoded) -> None:
    responses = torch.from_numpy(decoded.train.averaged())

    model = fit_low_level(decoded.train.images, responses)

    predicted, statistics = model.predict(decoded.test.images)
    test = torch.from_numpy(decoded.test.averaged())
    explained = [
        float(1 - (truth - guess).square().sum() / (truth - responses.mean(0)).square().sum())
        for truth, guess in ((responses, model.left_out), (test, predicted))
    ]
    assert min(explained) > 0.1
    assert abs(explained[0] - explained[1]) < 0.1  # 50 test images; what was fitted on would be explained far better
    assert statistics.shape == (50, model.statistics.shape[1])
