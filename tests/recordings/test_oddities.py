"""What is reported about a recording without refusing it."""

from dataclasses import replace

import numpy as np

from dina.recordings.oddities import find_oddities
from dina.recordings.recording import Recording
from dina.study.prepared_recordings import describe_recording


def recording_with(responses: np.ndarray, images: np.ndarray | None = None, ids: np.ndarray | None = None) -> Recording:
    usual = np.random.default_rng(0).integers(0, 256, (6, 1, 8, 9)).astype(np.uint8)
    shown = np.tile(np.arange(6), 2) if ids is None else ids
    return Recording("example", usual if images is None else images, shown, responses)


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
    assert sentence.startswith("1 neuron is an exact copy of another (first: 4 of 1)")


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


def test_negative_responses_are_expected_of_changes_of_fluorescence() -> None:
    assert find_oddities(replace(recording_with(plain() - 0.5), response_units="dF/F")) == ()


def test_blank_images_and_images_never_shown_are_counted() -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, 1, 8, 9)).astype(np.uint8)
    images[5] = 128
    blank, unseen = find_oddities(recording_with(plain(), images))
    assert blank.startswith("1 of 8 images are blank")
    assert "first: image 5" in blank
    assert unseen == "2 of 8 images were never shown."


def test_trials_that_are_copies_or_padding_are_counted() -> None:
    responses = plain()
    responses[6:9] = responses[:3]
    responses[11], responses[10] = 0, 0.25
    padding, copies = find_oddities(recording_with(responses))
    assert padding.startswith("2 of 12 trials are the same in every neuron (1 are 0; first: trial 10)")
    assert copies.startswith("3 of 12 trials equal another trial in every neuron (first: 6 and 0)")


def test_a_number_that_may_stand_for_missing_values_is_named() -> None:
    responses = plain()
    responses[2, :4] = -999
    assert any(
        "All are -999: if that stands for missing values" in sentence for sentence in find_oddities(recording_with(responses))
    )
    responses[2, :4] = 1e20
    assert any("4 responses are above 1e+15" in sentence for sentence in find_oddities(recording_with(responses)))


def test_a_baseline_that_hides_the_variation_is_named() -> None:
    responses = plain()
    responses[:, 3] += 3e5
    (sentence,) = find_oddities(recording_with(responses))
    assert sentence.startswith("1 neuron varies by less than 1/10,000 of the mean (first: neuron 3)")


def test_ids_that_seem_to_count_from_one_are_doubted() -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, 1, 8, 9)).astype(np.uint8)
    _, doubt = find_oddities(recording_with(plain(), images, np.tile(np.arange(1, 7), 2)))
    assert doubt.startswith("The first image was never shown. If stimulus ids count from 1 and nothing says so")


def test_pixels_on_one_side_of_grey_are_named() -> None:
    images = np.random.default_rng(0).integers(0, 100, (6, 1, 8, 9)).astype(np.uint8)
    (sentence,) = find_oddities(recording_with(plain(), images))
    assert sentence.startswith("All pixels lie below mid grey (0 to 99; mid_grey is 128)")


def test_an_axis_of_pixels_in_the_place_of_images_is_doubted() -> None:
    smooth = np.cumsum(np.random.default_rng(0).normal(size=(40, 6, 30)), axis=0)  # rows of pixels first, images last
    images = np.clip(128 + 20 * smooth, 0, 255).astype(np.uint8)[:, None]
    found = find_oddities(recording_with(plain(), images))
    assert any("check the order of the axes of the images" in sentence for sentence in found)
    turned = np.moveaxis(images, 0, -1)[:, 0].transpose(1, 0, 2)[:, None]
    assert not any("order of the axes" in sentence for sentence in find_oddities(recording_with(plain(), turned)))


def test_a_recording_made_in_python_is_described_with_what_is_odd() -> None:
    responses = plain()
    responses[:, 1] = 0
    recording = recording_with(responses)
    assert recording.notes == ()
    assert describe_recording(recording)["notes"] == list(find_oddities(recording)) != []
