"""Output of Suite2p comes in with a table of presentations, and its pickled files are never opened."""

from pathlib import Path

import numpy as np
import pytest

from array_folders import N_NEURONS, write_folder
from dina.checks import DataError
from dina.recordings import read
from onset_folders import IMAGES, ONSET_S, SHOWN, SPEED, write_plane, write_presentations

OPTIONS = {"frame_rate_hz": 30.0, "window_s": (0.0, 0.4)}


def means(traces: np.ndarray) -> np.ndarray:
    """Average the twelve frames after each onset, one by one."""
    return np.array([traces[:, int(30 * onset) : int(30 * onset) + 12].mean(axis=1) for onset in ONSET_S])


def test_deconvolved_traces_of_cells_come_in_with_images_and_speed(tmp_path: Path) -> None:
    arrays = write_plane(write_presentations(tmp_path / "mouse7"))
    recording = read(tmp_path / "mouse7", options=OPTIONS)
    np.testing.assert_allclose(recording.responses, means(arrays["spks"][[1, 2, 4, 5]]), rtol=1e-5)
    np.testing.assert_array_equal(recording.images[recording.stimulus_id, 0], IMAGES[SHOWN])
    assert recording.image_names is not None
    assert recording.image_names[1] == "cat1.png"
    np.testing.assert_allclose(recording.covariates, SPEED[:, None], rtol=1e-6)
    assert recording.is_red is not None
    assert recording.is_red.tolist() == [True, False, False, False]
    notes = " ".join(recording.notes)
    assert "4 of 6 regions of mouse7 are cells by iscell.npy" in notes
    assert "1 of 19 presentations show no image (blank) and were dropped." in notes


def test_the_description_in_the_folder_gives_the_frame_rate_and_facts(tmp_path: Path) -> None:
    arrays = write_plane(write_presentations(tmp_path / "mouse7" / "plane0", "onset_frame", 30 * ONSET_S))
    (tmp_path / "mouse7" / "plane0" / "recording.toml").write_text(
        'format = "suite2p"\nanimal = "m7"\nn_presentations = 12\n[options]\nframe_rate_hz = 30\nwindow_s = [0.0, 0.4]\nall_regions = true\n'
    )
    recording = read(tmp_path / "mouse7" / "plane0")
    assert (recording.name, recording.animal) == ("mouse7", "m7")
    assert recording.n_presentations.tolist() == [12] * recording.n_trials
    np.testing.assert_allclose(recording.responses, means(arrays["spks"]), rtol=1e-5)


def test_fluorescence_is_relative_to_a_running_baseline_without_neuropil(tmp_path: Path) -> None:
    write_plane(write_presentations(tmp_path / "m"))
    step = np.where(np.arange(330) < 100, 200.0, 300.0)  # 2 s of the recording; a transient of half the baseline
    np.save(tmp_path / "m" / "F.npy", np.tile(step, (6, 1)) + 0.001 * np.arange(6)[:, None])
    np.save(tmp_path / "m" / "Fneu.npy", np.zeros((6, 330)))
    recording = read(tmp_path / "m", options={**OPTIONS, "signal": "dff", "neuropil": 0.0})
    np.testing.assert_allclose(recording.responses[[0, -1], 0], [0.0, 0.5], atol=1e-4)  # the smoothing reaches 40 frames
    assert "dF/F, 0 of the neuropil subtracted" in " ".join(recording.notes)


def test_planes_are_joined(tmp_path: Path) -> None:
    first = write_plane(write_presentations(tmp_path / "suite2p") / "plane0")
    second = write_plane(tmp_path / "suite2p" / "plane1", n_times=329, seed=2)
    recording = read(tmp_path / "suite2p", options=OPTIONS)
    kept = [1, 2, 4, 5]
    np.testing.assert_allclose(recording.responses, np.c_[means(first["spks"][kept]), means(second["spks"][kept])], rtol=1e-5)
    assert "Neurons of 2 planes were joined: plane0, plane1." in recording.notes
    cells = [note for note in recording.notes if "iscell" in note]
    assert [note.partition(" are ")[0] for note in cells] == ["4 of 6 regions of plane0", "4 of 6 regions of plane1"]


def test_a_blank_presentation_outside_of_the_recording_is_counted_once(tmp_path: Path) -> None:
    write_plane(write_presentations(tmp_path / "m"), n_times=305)  # it ends before the grey screen of the last row
    recording = read(tmp_path / "m", options=OPTIONS)
    assert recording.n_trials == len(SHOWN)
    dropped = [note for note in recording.notes if "dropped" in note]
    assert dropped == ["1 of 19 presentations were dropped: their window lies outside of the recording."]


@pytest.mark.parametrize("given", ["suite2p", "suite2p/plane0"])
def test_a_description_above_the_folder_that_is_given_is_named(given: str, tmp_path: Path) -> None:
    session = write_presentations(tmp_path / "mouse7")
    write_plane(session / "suite2p" / "plane0")
    (session / "recording.toml").write_text('format = "suite2p"\n[options]\nframe_rate_hz = 30\n', encoding="utf-8")
    with pytest.raises(DataError, match=rf"{session / 'recording.toml'} is read only where .* is given\. Give {session}\.$"):
        read(session / given)
    assert read(session).name == "mouse7"


@pytest.mark.parametrize("given", [".", "suite2p", "suite2p/plane0"])
def test_the_table_and_images_may_lie_above_the_folders_that_suite2p_named(given: str, tmp_path: Path) -> None:
    session = write_presentations(tmp_path / "mouse7")
    arrays = write_plane(session / "suite2p" / "plane0")
    (session / "neurons.csv").write_text("x_um\n" + "".join(f"{x}\n" for x in range(6)), encoding="utf-8")
    recording = read(session / given, options=OPTIONS)
    assert recording.name == "mouse7"
    np.testing.assert_allclose(recording.responses, means(arrays["spks"][[1, 2, 4, 5]]), rtol=1e-5)
    np.testing.assert_array_equal(recording.images[recording.stimulus_id, 0], IMAGES[SHOWN])
    assert recording.neuron_position_um is not None
    np.testing.assert_array_equal(recording.neuron_position_um[:, 0], [1, 2, 4, 5])


def test_a_table_of_neurons_with_rows_for_cells_alone_is_told_of_the_other_regions(tmp_path: Path) -> None:
    session = write_presentations(tmp_path / "mouse7")
    write_plane(session / "suite2p" / "plane0")
    (session / "neurons.csv").write_text("x_um\n" + "".join(f"{x}\n" for x in range(4)), encoding="utf-8")
    wanted = r"one row per region \(4 that are read, 2 that iscell\.npy calls no cells\), 6; it has 4\. .* order of Suite2p"
    with pytest.raises(DataError, match=wanted):
        read(session, options=OPTIONS)


def test_arrays_beside_the_output_of_suite2p_stay_a_folder_of_arrays(tmp_path: Path) -> None:
    write_plane(write_folder(tmp_path / "m") / "suite2p" / "plane0")
    assert read(tmp_path / "m").n_neurons == N_NEURONS


def test_images_lie_beside_the_table_that_is_named(tmp_path: Path) -> None:
    write_plane(tmp_path / "traces")
    write_presentations(tmp_path / "stimuli")
    table = tmp_path / "stimuli" / "presentations.csv"
    recording = read(tmp_path / "traces", options={**OPTIONS, "presentations": table})
    np.testing.assert_array_equal(recording.images[recording.stimulus_id, 0], IMAGES[SHOWN])
    (tmp_path / "traces" / "images").mkdir()
    notes = read(tmp_path / "traces", options={**OPTIONS, "presentations": table}).notes
    assert "The images were taken from stimuli, beside the table; traces holds others." in notes
    (tmp_path / "traces" / "images").rmdir()
    (tmp_path / "stimuli" / "images").rename(tmp_path / "pictures")
    with pytest.raises(
        DataError, match=r"must hold one of images\.npy.*with --images PATH, or .*by two lines: \[options\] and images = .PATH"
    ):
        read(tmp_path / "traces", options={**OPTIONS, "presentations": table})


def test_a_described_folder_without_traces_is_named(tmp_path: Path) -> None:
    (write_presentations(tmp_path / "m") / "recording.toml").write_text(
        'format = "suite2p"\n[options]\nframe_rate_hz = 30\n', encoding="utf-8"
    )
    with pytest.raises(DataError, match=r"m must hold spks\.npy or F\.npy, or folders plane0.*it holds none of them"):
        read(tmp_path / "m")


def test_what_is_missing_is_named_with_what_to_do(tmp_path: Path) -> None:
    write_plane(tmp_path / "m")
    with pytest.raises(
        DataError, match=r"ops\.npy, which knows it as fs, is a Python object and is never loaded: write frame_rate_hz"
    ):
        read(tmp_path / "m")
    with pytest.raises(DataError, match=r"presentations\.csv not found: it must say when which image was shown"):
        read(tmp_path / "m", options=OPTIONS)
    write_presentations(tmp_path / "m")
    (tmp_path / "m" / "spks.npy").unlink()
    with pytest.raises(DataError, match=r"spks\.npy not found.*signal = 'dff'"):
        read(tmp_path / "m", options=OPTIONS)
    (tmp_path / "m" / "recording.toml").write_text('animal = "m7"\n')
    with pytest.raises(DataError, match=r"must say which format it describes.*format = 'suite2p'"):
        read(tmp_path / "m", options=OPTIONS)


@pytest.mark.parametrize("given", [".", "suite2p", "suite2p/plane0", "suite2p/combined"])
def test_following_every_advice_makes_a_bare_output_of_suite2p_readable(given: str, tmp_path: Path) -> None:
    session, path = tmp_path / "mouse7", tmp_path / "mouse7" / given
    for folder in ("suite2p/plane0", "suite2p/combined"):
        write_plane(session / folder)
    with pytest.raises(DataError) as refused:
        read(path)
    assert f"under [options] of {path / 'recording.toml'}, or of the .toml that you give" in str(refused.value)
    (path / "recording.toml").write_text('format = "suite2p"\n[options]\nframe_rate_hz = 30\n', encoding="utf-8")
    with pytest.raises(DataError) as refused:
        read(path)
    assert str(refused.value).startswith(f"{session / 'presentations.csv'} not found")
    write_presentations(session)
    (session / "images").rename(tmp_path / "kept")
    with pytest.raises(DataError) as refused:
        read(path)
    assert str(refused.value).startswith(f"{session} must hold one of images.npy")
    (tmp_path / "kept").rename(session / "images")
    assert read(path).n_neurons == 4


def test_images_are_looked_for_beside_the_output_of_suite2p_when_the_table_lies_elsewhere(tmp_path: Path) -> None:
    table = write_presentations(tmp_path / "mouse7").rename(tmp_path / "mouse8") / "presentations.csv"
    write_plane(tmp_path / "mouse7" / "suite2p" / "plane0")
    options = {**OPTIONS, "presentations": table.rename(tmp_path / "shown.csv")}
    with pytest.raises(DataError) as refused:
        read(tmp_path / "mouse7" / "suite2p" / "plane0", options=options)
    assert str(refused.value).startswith(f"{tmp_path / 'mouse7'} must hold one of images.npy")
    (tmp_path / "mouse8" / "images").rename(tmp_path / "mouse7" / "images")
    assert read(tmp_path / "mouse7" / "suite2p" / "plane0", options=options).n_stimuli == len(IMAGES)


def test_cells_are_numbers_or_truth_values_and_words_are_refused(tmp_path: Path) -> None:
    write_plane(write_presentations(tmp_path / "m"))
    np.save(tmp_path / "m" / "iscell.npy", np.array(["cell"] * 6))
    with pytest.raises(DataError, match=r"iscell\.npy must hold real numbers"):
        read(tmp_path / "m", options=OPTIONS)
    np.save(tmp_path / "m" / "iscell.npy", np.arange(6) < 3)
    assert read(tmp_path / "m", options=OPTIONS).n_neurons == 3


def test_a_wrong_option_of_a_description_is_named(tmp_path: Path) -> None:
    write_plane(write_presentations(tmp_path / "m"))
    (tmp_path / "m" / "recording.toml").write_text('format = "suite2p"\n[options]\nframe_rate = 30\n')
    with pytest.raises(
        DataError, match=r"Unknown setting 'frame_rate' under \[options\] of recording\.toml\. Did you mean 'frame_rate_hz'"
    ):
        read(tmp_path / "m")
    (tmp_path / "m" / "recording.toml").write_text('format = "suite2q"\n')
    with pytest.raises(DataError, match=r"Unknown format 'suite2q'\. Did you mean 'suite2p'"):
        read(tmp_path / "m")


def test_a_rate_by_which_traces_and_images_do_not_end_together_is_doubted(tmp_path: Path) -> None:
    write_plane(write_presentations(tmp_path / "m"))
    assert "frame_rate_hz" not in " ".join(read(tmp_path / "m", options=OPTIONS).notes)
    slow = read(tmp_path / "m", options={**OPTIONS, "frame_rate_hz": 10.0})
    assert "At 10 Hz the traces last 33 s; the last image was shown at" in " ".join(slow.notes)
    quick = read(tmp_path / "m", options={**OPTIONS, "frame_rate_hz": 60.0})
    assert "Is frame_rate_hz the rate of one plane, and are onsets in seconds?" in " ".join(quick.notes)


def test_an_image_that_is_not_there_is_named(tmp_path: Path) -> None:
    write_plane(write_presentations(tmp_path / "m"))
    (tmp_path / "m" / "images" / "cat3.png").unlink()
    with pytest.raises(DataError, match=r"presentations\.csv names the image 'cat3\.png', which is not among the images"):
        read(tmp_path / "m", options=OPTIONS)
