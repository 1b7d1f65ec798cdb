"""Folders in the schema of the Sensorium competition come in, with what is said of trials and neurons, and nothing is unpickled."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dina.checks import DataError
from dina.recordings import read

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (6, 1, 8, 9)).astype(np.float32)  # whole numbers as floats, as published
SHOWN = np.array([0, 1, 2, 3, 4, 5, 4, 5, 4, 5])
RESPONSES = RANDOM.random((10, 4)).astype(np.float32)
BEHAVIOUR = RANDOM.random((10, 3))
GAZE = RANDOM.random((10, 1, 2))
TRIALS = {
    "tiers": np.array(["train"] * 3 + ["validation"] + ["test"] * 6),
    "frame_image_id": 100 + SHOWN,
    "trial_idx": np.arange(10)[::-1] * 3,
}
NEURONS = {
    "area": np.array(["V1", "V1", "LM", "V1"]),
    "animal_ids": np.full(4, 21067),
    "cell_motor_coordinates": RANDOM.random((4, 3)) * 500,
}
NAME = "static21067-10-18-GrayImageNet-94c6ff995dac583098847cfecd43e7b6"


def write(folder: Path, images: np.ndarray = IMAGES[SHOWN], responses: np.ndarray = RESPONSES) -> Path:
    """Write a folder as it is unzipped."""
    trials = {"images": images, "responses": responses, "behavior": BEHAVIOUR, "pupil_center": GAZE}
    for name, values in trials.items():
        (folder / "data" / name).mkdir(parents=True)
        for number, value in enumerate(values):
            np.save(folder / "data" / name / f"{number}.npy", value)
    for name, values in (("trials", TRIALS), ("neurons", NEURONS)):
        (folder / "meta" / name).mkdir(parents=True)
        for key, array in values.items():
            np.save(folder / "meta" / name / f"{key}.npy", array)
    return folder


def test_every_part_of_a_folder_arrives_in_order_of_presentation(tmp_path: Path) -> None:
    recording = read(write(tmp_path / NAME))
    backwards = np.arange(10)[::-1]  # as trial_idx says
    np.testing.assert_array_equal(recording.responses, RESPONSES[backwards])
    np.testing.assert_array_equal(recording.images[recording.stimulus_id], IMAGES[SHOWN[backwards]])
    assert recording.images.dtype == np.uint8
    assert recording.repeats_per_stimulus().tolist() == [3, 3, 1, 1, 1, 1]
    assert recording.image_names is not None
    assert recording.image_names.tolist() == ["105", "104", "103", "102", "101", "100"]
    assert (recording.name, recording.animal, recording.species, recording.area) == (NAME, "21067", "mouse", None)
    np.testing.assert_allclose(recording.neuron_position_um, NEURONS["cell_motor_coordinates"], rtol=1e-6)
    np.testing.assert_allclose(recording.covariates, np.c_[BEHAVIOUR, GAZE[:, 0]][backwards], rtol=1e-6)
    assert recording.covariate_names is not None
    assert recording.covariate_names.tolist() == ["pupil_size", "pupil_size_change", "running_speed", "pupil_x", "pupil_y"]
    notes = " ".join(recording.notes)
    assert "The tiers of the folder (3 train, 1 validation, 6 test trials) are not used" in notes
    assert (
        "Images are numbered from 0 in the order in which they were first shown, not by frame_image_id, which names them."
        in notes
    )


def test_a_written_recording_keeps_what_the_animal_did(tmp_path: Path) -> None:
    recording = replace(read(write(tmp_path / NAME)), response_units="dF/F")
    recording.write(tmp_path / "m.nc")
    again = read(tmp_path / "m.nc")
    assert again.response_units == again.to_dataset()["responses"].attrs["units"] == "dF/F"
    np.testing.assert_array_equal(again.covariates, recording.covariates)
    assert again.covariate_names is not None
    assert again.covariate_names.tolist() == recording.covariate_names.tolist()  # type: ignore[union-attr]
    assert again.fingerprint() == recording.fingerprint()
    keep = recording.stimulus_id < 2
    np.testing.assert_array_equal(recording.select_trials(keep, "").covariates, recording.covariates[keep])  # type: ignore[index]


def test_tiers_areas_and_channels_are_chosen_in_a_description(tmp_path: Path) -> None:
    write(tmp_path / NAME, images=np.concatenate([IMAGES, IMAGES[::-1]], axis=1)[SHOWN])
    (tmp_path / "m.toml").write_text(
        f'format = "sensorium"\ndata = "{NAME}"\n[options]\ntiers = ["test"]\nchannels = [1]\nwhere = {{area = "V1"}}\n'
    )
    recording = read(tmp_path / "m.toml")
    np.testing.assert_array_equal(recording.responses, RESPONSES[:3:-1, [0, 1, 3]])
    np.testing.assert_array_equal(recording.images[recording.stimulus_id], IMAGES[::-1][SHOWN[:3:-1]])
    assert recording.area == "V1"
    both = read(tmp_path / NAME)
    assert both.images.shape[1] == 1
    assert "two colour channels of the images were averaged to grey" in " ".join(both.notes)
    with pytest.raises(DataError, match="tiers must be among those of the folder"):
        read(tmp_path / NAME, options={"tiers": ("live",)})
    with pytest.raises(DataError, match=r"meta/neurons/arae\.npy must say .*; meta/neurons holds .*area"):
        read(tmp_path / NAME, options={"where": {"arae": "V1"}})


def test_gaps_of_neurons_that_are_left_out_cost_no_trial(tmp_path: Path) -> None:
    responses = RESPONSES.copy()
    responses[3, 2] = np.nan  # neuron 2 lies in LM
    folder = write(tmp_path / NAME, responses=responses)
    assert len(read(folder).responses) == 9
    recording = read(folder, options={"where": {"area": "V1"}})
    np.testing.assert_array_equal(recording.responses, RESPONSES[::-1][:, [0, 1, 3]])
    assert "gaps" not in " ".join(recording.notes)


def test_withheld_responses_and_behaviour_are_left_out(tmp_path: Path) -> None:
    responses = RESPONSES.copy()
    responses[4:] = 0
    folder = write(tmp_path / NAME, responses=responses)
    for number in range(10):
        np.save(folder / "data" / "behavior" / f"{number}.npy", np.zeros(3))
    recording = read(folder)
    assert recording.n_trials == 4
    assert recording.covariate_names is not None
    assert recording.covariate_names.tolist() == ["pupil_x", "pupil_y"]
    notes = " ".join(recording.notes)
    assert "6 of 10 trials have no responses (all 0, as withheld ones are); they were dropped." in notes
    assert "data/behavior is 0 throughout" in notes


def test_objects_are_never_loaded_and_hashed_trials_have_no_order(tmp_path: Path) -> None:
    folder = write(tmp_path / NAME)
    np.save(folder / "meta" / "trials" / "frame_image_id.npy", np.array([{"a": 1}] * 10, dtype=object), allow_pickle=True)
    np.save(folder / "meta" / "trials" / "trial_idx.npy", np.array([f"{i:032x}" for i in range(10)]))
    np.save(folder / "meta" / "neurons" / "area.npy", np.full((4, 2), 0x110000, dtype=np.uint32).view("<U2")[:, 0])
    recording = read(folder)
    np.testing.assert_array_equal(recording.responses, RESPONSES)
    notes = " ".join(recording.notes)
    assert "frame_image_id.npy was passed over: frame_image_id.npy contains Python objects; they are refused" in notes
    assert "need not be that of presentation" in notes
    assert "meta/neurons/area.npy was passed over: its words hold numbers that are no letters" in notes


def test_ids_that_contradict_the_pixels_are_doubted(tmp_path: Path) -> None:
    folder = write(tmp_path / NAME)
    np.save(folder / "meta" / "trials" / "frame_image_id.npy", np.arange(10))
    assert "frame_image_id.npy and pixels disagree about 2 images; pixels decided" in " ".join(read(folder).notes)


def test_damage_is_named_by_its_file(tmp_path: Path) -> None:
    folder = write(tmp_path / NAME)
    np.save(folder / "data" / "responses" / "7.npy", np.zeros(3))
    with pytest.raises(DataError, match=r"data/responses/7\.npy must have 4 numbers, as others have; it has 3"):
        read(folder)
    np.save(folder / "data" / "responses" / "7.npy", np.ones(4))
    np.save(folder / "data" / "images" / "5.npy", np.zeros((1, 8, 8), np.float32))
    with pytest.raises(DataError, match=r"images must agree in size; trial 5 has \(1, 8, 8\), others \(1, 8, 9\)"):
        read(folder)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    np.save(tmp_path / "secret.npy", np.ones(4))
    folder = write(tmp_path / NAME)
    (folder / "data" / "responses" / "7.npy").unlink()
    (folder / "data" / "responses" / "7.npy").symlink_to(tmp_path / "secret.npy")
    with pytest.raises(DataError, match=r"7\.npy leads out of .*, and links out of a recording are not followed"):
        read(folder)
