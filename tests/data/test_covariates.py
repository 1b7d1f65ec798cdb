"""Covariates are regressed out by training trials only, and what belongs to the images stays."""

from dataclasses import replace

import numpy as np
import pytest

from dina.checks import DataError
from dina.data.covariates import regress_out
from dina.recordings import Recording

RANDOM = np.random.default_rng(0)
N_IMAGES, N_REPEATS, N_NEURONS = 30, 4, 6
IDS = np.tile(np.arange(N_IMAGES), N_REPEATS)
TUNING = RANDOM.normal(size=(N_IMAGES, N_NEURONS))
SPEED = RANDOM.normal(size=len(IDS)) + TUNING[IDS, 0]  # the animal runs more at some images
PUPIL = RANDOM.normal(size=len(IDS))
GAIN = np.array([0.0, 1.0, -2.0, 0.5, 0.0, 3.0])
NOISE = 0.01 * RANDOM.normal(size=(len(IDS), N_NEURONS))
TRAIN = np.arange(20)


def recording(ids: np.ndarray = IDS) -> Recording:
    """Tuning plus speed times a weight of each neuron; the second covariate means nothing."""
    covariates = np.c_[SPEED, PUPIL]
    images = np.random.default_rng(1).integers(0, 256, (len(IDS), 1, 8, 9)).astype(np.uint8)
    responses = (TUNING[IDS] + np.outer(SPEED, GAIN) + NOISE).astype(np.float32)
    return Recording(
        "m", images, ids, responses, covariates=covariates, covariate_names=np.array(["running_speed", "pupil_size"])
    )


def test_what_the_animal_did_goes_and_what_images_do_stays() -> None:
    cleaned, effect = regress_out(recording(), ["running_speed"], TRAIN)
    left = cleaned.responses - TUNING[IDS]
    np.testing.assert_allclose(
        left - left.mean(axis=0), NOISE - NOISE.mean(axis=0), atol=0.02
    )  # weights are known to 0.01 / sqrt(60)
    assert effect.is_within_images
    assert effect.largest_share > 0.999
    assert effect.chance_share == 1 / 60
    assert "running speed" in cleaned.notes[-1]


def test_no_response_to_a_test_image_decides_a_weight() -> None:
    before, effect = regress_out(recording(), ["running_speed", "pupil_size"], TRAIN)
    poisoned = recording()
    is_test = ~np.isin(IDS, TRAIN)
    responses = poisoned.responses.copy()
    responses[is_test] = 1e6
    covariates = poisoned.covariates.copy()  # type: ignore[union-attr]
    covariates[is_test] = 1e3
    after, again = regress_out(
        replace(poisoned, responses=responses, covariates=covariates), ["running_speed", "pupil_size"], TRAIN
    )
    np.testing.assert_array_equal(after.responses[~is_test], before.responses[~is_test])
    assert again == effect
    assert before.notes == after.notes


def test_without_repeats_all_deviations_count_and_the_words_say_so() -> None:
    _, effect = regress_out(recording(np.arange(len(IDS))), ["running_speed"], np.arange(60))
    assert not effect.is_within_images
    assert "too few repeats to keep images apart" in effect.in_words()


def test_unknown_values_count_as_the_mean_and_the_rest_is_refused() -> None:
    known = recording()
    covariates = known.covariates.copy()  # type: ignore[union-attr]
    covariates[5] = np.nan
    cleaned, effect = regress_out(replace(known, covariates=covariates), ["running_speed"], TRAIN)
    np.testing.assert_array_equal(cleaned.responses[5], known.responses[5])
    assert effect.n_unknown == 1
    with pytest.raises(DataError, match="Unknown covariate 'speed'"):
        regress_out(known, ["speed"], TRAIN)
    covariates[:, 1] = 2.0
    with pytest.raises(DataError, match="pupil_size does not"):
        regress_out(replace(known, covariates=covariates), ["running_speed", "pupil_size"], TRAIN)
    of_image = np.c_[np.random.default_rng(3).normal(size=N_IMAGES)[IDS % 7], PUPIL]
    with pytest.raises(DataError, match="must vary between trials of one image to be regressed out; running_speed does not"):
        regress_out(replace(recording(IDS % 7), covariates=of_image), ["running_speed"], np.arange(5))
    with pytest.raises(DataError, match="m has no covariates to regress out"):
        regress_out(replace(known, covariates=None, covariate_names=None), ["running_speed"], TRAIN)
