"""The closed-form start for several recordings: with one it is the old one, with several they teach each other."""

from dataclasses import replace

import numpy as np
import torch

from dina.training.closed_form_start import start_at_encoding_model
from dina.training.preset_settings import DefaultSettings
from dina.training.presets import RecordingShape, build_towers
from dina.training.shared_start import start_new_recording, start_sharing_images
from dina.training.shared_towers import RecordingPairs

WIDTHS = (0.75, 1.5)
SETTINGS = DefaultSettings(n_orientations=2, stride=3)


def built(pairs):
    return build_towers("default", SETTINGS, RecordingShape.of(pairs), 0)


def start_together(parts):
    towers = [built(train) for train, _ in parts]
    recordings = [RecordingPairs(str(place), *part) for place, part in enumerate(parts)]
    shared, chosen = start_sharing_images(towers[0].image_tower, [t.neural_tower for t in towers], recordings, WIDTHS)
    return towers, shared, chosen


def test_one_recording_starts_bit_by_bit_as_it_would_by_itself(make_toy_pairs):
    part = make_toy_pairs(100, 30, 30)
    (towers,), _, chosen = start_together([part])
    alone = built(part[0])
    told = start_at_encoding_model(alone.image_tower, alone.neural_tower, WIDTHS, *part)
    assert {name: told[name] for name in chosen} == chosen
    for name, tensor in alone.state_dict().items():
        assert torch.equal(tensor, towers.state_dict()[name]), name


def test_the_prior_rests_on_the_neurons_of_all_recordings(make_toy_pairs):
    parts = [make_toy_pairs(100, 30, n_neurons) for n_neurons in (30, 40)]
    priors = [start_together(chosen)[1].prior for chosen in (parts, parts[::-1], parts[:1])]
    # sums in another order: rounding of single precision
    torch.testing.assert_close(priors[0], priors[1], rtol=1e-3, atol=1e-4)
    assert not torch.allclose(priors[0], priors[2], rtol=1e-2, atol=1e-3)


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
    towers, shared, _ = start_together([make_toy_pairs(150, 30, n_neurons) for n_neurons in (50, 40)])
    image_tower = towers[0].image_tower
    before = {name: tensor.clone() for name, tensor in image_tower.state_dict().items()}
    train, validation = make_toy_pairs(40, 60, 30)
    joined = built(train)
    chosen = start_new_recording(image_tower, joined.neural_tower, shared, train, validation)
    assert chosen["prior"] in ("ignorant", "learnt")
    assert all(torch.equal(tensor, image_tower.state_dict()[name]) for name, tensor in before.items())
    with torch.no_grad():
        predicted = joined.neural_tower.predict(image_tower(torch.from_numpy(validation.images))).numpy()
    # a neuron that nothing predicts is expected to answer alike to all images; 0 ± 0.03 if nothing were known of any
    assert np.corrcoef(predicted.ravel(), validation.averaged().ravel())[0, 1] > 0.1
