"""The transform is chosen by training images alone: powers for heavy tails, gains for arousal, none for Gaussian noise."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dina.checks import DataError
from dina.models.transform_choice import choose_transform
from dina.recordings.recording import Recording

N_IMAGES, N_NEURONS, SIZE = 160, 120, (24, 32)


def session(noise: str, seed: int = 0) -> Recording:
    """Give a session whose neurons follow local patches of smooth images, with noise of one kind, shown twice."""
    generator = np.random.default_rng(seed)
    images = gaussian_filter(generator.standard_normal((N_IMAGES, 1, *SIZE)), (0, 0, 1.5, 1.5)).astype(np.float32)
    images /= images.std()
    fields = np.zeros((N_NEURONS, *SIZE))
    for field in fields:
        field[generator.integers(4, SIZE[0] - 4), generator.integers(4, SIZE[1] - 4)] = 1
    drive = images.reshape(N_IMAGES, -1) @ gaussian_filter(fields, (0, 1.5, 1.5)).reshape(N_NEURONS, -1).T
    drive = np.tile(drive / drive.std(axis=0), (2, 1))
    shape = drive.shape
    if noise == "gaussian":
        responses = 5 + drive + 3 * generator.standard_normal(shape)
    elif noise == "heavy tails":
        responses = drive + generator.standard_t(1.5, size=shape)
    elif noise == "arousal":
        arousal = np.exp(1.2 * np.sin(np.linspace(0, 20, len(drive))))[:, None]
        responses = np.maximum(3 + drive + 2 * generator.standard_normal(shape), 0) * arousal
    else:  # multiplied with the response
        responses = np.exp(0.6 * drive) * generator.gamma(0.7, size=shape)
    return Recording(
        name=noise, images=images, stimulus_id=np.tile(np.arange(N_IMAGES), 2), responses=responses.astype(np.float32)
    )


TRAIN = np.arange(128)


def test_gaussian_noise_leaves_responses_nearly_as_they_are():
    chosen = choose_transform(session("gaussian"), TRAIN)

    assert chosen.log_rank[chosen.transform.name] > chosen.log_rank["identity"] - 0.05
    assert "0.25" not in chosen.transform.name


def test_heavy_tails_are_drawn_in_by_a_power():
    chosen = choose_transform(session("heavy tails"), TRAIN)

    assert chosen.transform.name.startswith("power 0.")
    assert chosen.log_rank[chosen.transform.name] < chosen.log_rank["identity"] - 0.1
    assert chosen.law is None
    assert "above zero" in chosen.reason["law"]


def test_arousal_is_divided_out():
    chosen = choose_transform(session("arousal"), TRAIN)

    assert "gain" in chosen.transform.name


def test_noise_that_grows_with_the_response_gives_a_power_below_one():
    chosen = choose_transform(session("multiplied"), TRAIN)

    assert chosen.transform.power.mean() < 0.7
    assert chosen.law is not None
    assert chosen.law.low < 2 < chosen.law.high + 0.2


def test_trials_of_other_images_are_never_read():
    recording = session("multiplied")
    poisoned = recording.responses.copy()
    poisoned[~np.isin(recording.stimulus_id, TRAIN)] = 1e6

    one, other = (choose_transform(each, TRAIN) for each in (recording, replace(recording, responses=poisoned)))

    assert one.log_rank == other.log_rank
    assert one.transform.name == other.transform.name
    np.testing.assert_array_equal(one.transform.power, other.transform.power)


def test_a_named_transform_is_taken_and_few_images_take_none():
    recording = session("multiplied")

    named = choose_transform(recording, TRAIN, "offset root with gain")

    assert named.transform.name == "offset root with gain"
    assert named.transform.mean_root is not None
    assert named.transform.offset.shape == (N_NEURONS,)
    assert not named.log_rank
    assert choose_transform(recording, TRAIN[:20]).transform.is_identity
    assert choose_transform(recording, TRAIN, "identity").transform.is_identity
    with pytest.raises(DataError, match="needs repeats of the training images"):
        choose_transform(recording.select_trials(np.arange(len(recording.stimulus_id)) < N_IMAGES, ""), TRAIN, "per neuron")


def test_images_too_small_for_gabor_filters_are_described_by_pixels():
    recording = session("multiplied")
    small = replace(recording, images=np.ascontiguousarray(recording.images[:, :, 5:17, 5:21]))

    assert choose_transform(small, TRAIN).log_rank
