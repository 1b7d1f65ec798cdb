"""Simulated mice that see the same images with other neurons."""

import numpy as np

from dina.recordings.simulator import simulate

SMALL = {"n_neurons": 30, "n_stimuli": 60, "height": 16, "width": 32, "n_subunits": 40, "n_spontaneous": 0}


def made(mouse, condition=None, seed=0):
    return simulate("demo", seed, settings=SMALL, condition=condition, mouse=mouse)


def test_mice_see_the_same_images_under_the_same_word():
    for condition in (None, "white"):
        first, second = made(0, condition), made(1, condition)
        np.testing.assert_array_equal(first.images, second.images)
        np.testing.assert_array_equal(first.labels, second.labels)
        assert first.image_set == second.image_set
        assert first.name != second.name


def test_their_neurons_and_trials_are_others():
    first, second = made(0), made(1)
    assert not np.array_equal(first.stimulus_id, second.stimulus_id)
    assert not np.allclose(first.truth.planted["field_row"], second.truth.planted["field_row"])
    # thirty neurons of one mouse and those of another: unrelated but for the contrast that drives both
    tuning = [each.truth.mean - each.truth.mean.mean(0) for each in (first, second)]
    across = np.corrcoef(tuning[0].T, tuning[1].T)[:30, 30:]
    assert np.abs(across).max() < 0.95
    np.testing.assert_array_equal(second.responses, made(1).responses)
    assert not np.array_equal(second.responses, made(2).responses)


def test_the_first_mouse_is_the_session_itself():
    np.testing.assert_array_equal(made(0).responses, simulate("demo", 0, settings=SMALL).responses)
    assert not np.array_equal(made(1, seed=1).images, made(1).images)


def test_an_animal_is_a_mouse_of_a_seed_under_any_condition():
    assert made(0).animal == made(0, "white").animal
    assert len({made(0).animal, made(1).animal, made(0, seed=1).animal}) == 3
