"""What is reported about a recording without refusing it."""

import numpy as np

from dina.recordings.reading import find_oddities
from dina.recordings.recording import Recording


def recording_with(responses: np.ndarray, images: np.ndarray | None = None) -> Recording:
    usual = np.random.default_rng(0).integers(0, 256, (6, 1, 8, 9)).astype(np.uint8)
    return Recording("example", usual if images is None else images, np.tile(np.arange(6), 2), responses)


def plain() -> np.ndarray:
    return np.random.default_rng(1).random((12, 5)).astype(np.float32)


def test_an_ordinary_recording_has_nothing_to_report() -> None:
    assert find_oddities(recording_with(plain())) == ()


def test_silent_and_constant_neurons_are_counted_apart() -> None:
    responses = plain()
    responses[:, 0], responses[:, 3] = 0, 2
    (sentence,) = find_oddities(recording_with(responses))
    assert sentence.startswith("2 of 5 neurons never change (1 are always 0)")


def test_a_copied_neuron_is_named_with_its_original() -> None:
    responses = plain()
    responses[:, 4] = responses[:, 1]
    (sentence,) = find_oddities(recording_with(responses))
    assert sentence.startswith("1 neurons are exact copies of another (first: 4 of 1)")


def test_a_neuron_in_other_units_is_named() -> None:
    responses = plain()
    responses[:, 2] *= 1e6
    (sentence,) = find_oddities(recording_with(responses))
    assert "first: neuron 2" in sentence


def test_negative_responses_are_reported_by_their_share() -> None:
    responses = plain()
    responses[0, :3] = -1  # 3 of 60
    (sentence,) = find_oddities(recording_with(responses))
    assert sentence.startswith("5.0 % of the responses are negative")


def test_blank_images_and_images_never_shown_are_counted() -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, 1, 8, 9)).astype(np.uint8)
    images[5] = 128
    blank, unseen = find_oddities(recording_with(plain(), images))
    assert blank.startswith("1 of 8 images are blank")
    assert "first: image 5" in blank
    assert unseen == "2 of 8 images were never shown."
