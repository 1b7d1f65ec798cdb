"""The closed-form start for several recordings: they learn from each other, and a further one from all."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dina.training.batches import RecordingPairs
from dina.training.presets import RecordingShape, build_towers
from dina.training.presets.default import DefaultSettings
from dina.training.start import start_at_encoding_models, start_new_recording

WIDTHS = (0.75, 1.5)
SETTINGS = DefaultSettings(spaces=(), n_orientations=2, stride=3)


def built(pairs):
    return build_towers("default", SETTINGS, RecordingShape.of(pairs), 0)


def start_together(parts):
    towers = [built(train) for train, _ in parts]
    recordings = [RecordingPairs(*part, str(place)) for place, part in enumerate(parts)]
    prior, chosen = start_at_encoding_models(towers[0].image_tower, [t.neural_tower for t in towers], recordings, WIDTHS)
    return towers, prior, chosen


def test_a_recording_starts_as_it_would_alone_where_the_other_is_the_same(make_toy_pairs):
    part = make_toy_pairs(100, 30, 30)
    (alone,), _, of_one = start_together([part])
    twins, _, of_both = start_together([part, part])
    assert of_both.items() <= of_one.items()
    assert set(of_one) - set(of_both) == {"prior", "noise_components", "noise_shrinkage"}
    for name, tensor in alone.image_tower.state_dict().items():
        # the gain is a mean of two equal ones: rounding of single precision
        torch.testing.assert_close(tensor, twins[0].image_tower.state_dict()[name], rtol=1e-5, atol=1e-6)


@pytest.mark.long
def test_the_prior_rests_on_the_neurons_of_all_recordings(make_toy_pairs):
    parts = [make_toy_pairs(100, 30, n_neurons) for n_neurons in (30, 40)]
    priors = [start_together(chosen)[1].weights for chosen in (parts, parts[::-1], parts[:1])]
    # sums in another order: rounding of single precision
    torch.testing.assert_close(priors[0], priors[1], rtol=1e-3, atol=1e-4)
    assert not torch.allclose(priors[0], priors[2], rtol=1e-2, atol=1e-3)


@pytest.mark.long
def test_statistics_come_from_the_images_of_all_recordings_once_each(make_toy_pairs):
    first, second = make_toy_pairs(100, 30, 30), make_toy_pairs(100, 30, 40)
    seen = second[0].stimulus_index < 40
    fewer = replace(
        second[0],
        images=second[0].images[:40],
        stimulus_id=second[0].stimulus_id[:40],
        responses=second[0].responses[seen],
        stimulus_index=second[0].stimulus_index[seen],
        n_presentations=second[0].n_presentations[seen],
    )
    twice, _, _ = start_together([first, (fewer, second[1])])
    once, _, _ = start_together([first])
    # the second mouse saw forty images that the first saw, too: nothing new, and none counts twice
    torch.testing.assert_close(twice[0].image_tower.mean, once[0].image_tower.mean, rtol=0, atol=0)
    more, _, _ = start_together([first, make_toy_pairs(100, 30, 40, seed=5)])
    assert not torch.allclose(more[0].image_tower.mean, once[0].image_tower.mean, rtol=1e-3)


def test_a_new_recording_leaves_the_image_tower_and_predicts_with_few_images(make_toy_pairs):
    towers, prior, _ = start_together([make_toy_pairs(150, 30, n_neurons) for n_neurons in (50, 40)])
    image_tower = towers[0].image_tower
    before = {name: tensor.clone() for name, tensor in image_tower.state_dict().items()}
    train, validation = make_toy_pairs(40, 60, 30)
    joined = built(train)
    chosen = start_new_recording(image_tower, joined.neural_tower, prior, train, validation)
    assert chosen["prior"] in ("ignorant", "learnt")
    assert all(torch.equal(tensor, image_tower.state_dict()[name]) for name, tensor in before.items())
    with torch.no_grad():
        predicted = joined.neural_tower.predict(image_tower(torch.from_numpy(validation.images))).numpy()
    # a neuron that nothing predicts is expected to answer alike to all images; 0 ± 0.03 if nothing were known of any
    assert np.corrcoef(predicted.ravel(), validation.averaged().ravel())[0, 1] > 0.1
