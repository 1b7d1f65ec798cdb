"""A laboratory's own arrays come in by one door, however their axes lie."""

from pathlib import Path

import numpy as np
import pytest

from array_folders import N_IMAGES, N_NEURONS, example_images, example_responses, write_folder
from dina.checks import DataError
from dina.recordings import read


def test_a_plain_folder_needs_no_description(tmp_path: Path) -> None:
    recording = read(write_folder(tmp_path / "mouse7"))
    assert recording.name == "mouse7"
    assert recording.images.shape == (N_IMAGES, 1, 8, 9)
    np.testing.assert_array_equal(recording.images[:, 0], example_images())
    np.testing.assert_array_equal(recording.responses, example_responses().astype(np.float32))
    assert recording.n_presentations is not None
    assert recording.n_presentations.tolist() == [1] * (2 * N_IMAGES)


def test_optional_files_are_taken_by_their_usual_names(tmp_path: Path) -> None:
    spontaneous = np.random.default_rng(3).random((7, N_NEURONS))
    neurons = "unit,x_um,y_um,z_um,is_red\n" + "".join(f"{i},{i}.5,2,,{i % 2}\n" for i in range(N_NEURONS))
    labels = "\ufefflabel\ncat\n" + "dog\n" * 4 + '""\n'  # as a spreadsheet saves it, with a byte-order mark
    recording = read(write_folder(tmp_path, {"spontaneous": spontaneous}, {"neurons.csv": neurons, "labels.csv": labels}))
    assert recording.spontaneous is not None
    assert recording.neuron_position_um is not None
    assert recording.is_red is not None
    assert recording.labels is not None
    np.testing.assert_array_equal(recording.spontaneous, spontaneous.astype(np.float32))
    np.testing.assert_array_equal(recording.neuron_position_um[1], [1.5, 2, np.nan])
    assert recording.is_red.tolist() == [False, True, False, True, False]
    assert recording.labels.tolist() == ["cat", "dog", "dog", "dog", "dog", ""]


def test_labels_by_id_may_leave_images_out(tmp_path: Path) -> None:
    recording = read(write_folder(tmp_path, files={"labels.csv": "stimulus_id,label\n4,cat\n0,dog\n"}))
    assert recording.labels is not None
    assert recording.labels.tolist() == ["dog", "", "", "", "cat", ""]


def test_neurons_by_trials_come_in_when_the_axes_are_named(tmp_path: Path) -> None:
    toml = '[responses]\naxes = ["neuron", "trial"]\nunits = "spikes/s"\n'
    recording = read(write_folder(tmp_path, {"responses": example_responses().T}, {"recording.toml": toml}))
    np.testing.assert_array_equal(recording.responses, example_responses().astype(np.float32))
    assert recording.response_units == "spikes/s"


def test_averages_by_neuron_and_stimulus_need_no_ids(tmp_path: Path) -> None:
    averages = example_responses(N_IMAGES)
    toml = '[responses]\naxes = ["neuron", "stimulus"]\nn_presentations = 12\n'
    recording = read(write_folder(tmp_path, {"responses": averages.T, "stimulus_id": None}, {"recording.toml": toml}))
    np.testing.assert_array_equal(recording.responses, averages.astype(np.float32))
    assert recording.stimulus_id.tolist() == list(range(N_IMAGES))
    assert recording.n_presentations is not None
    assert set(recording.n_presentations) == {12}
    assert not recording.notes
    (tmp_path / "recording.toml").write_text('[responses]\naxes = ["neuron", "stimulus"]\n', encoding="utf-8")
    assert read(tmp_path).notes[0].startswith("Responses by stimulus count as single trials: n_presentations")


def test_every_order_of_stimulus_repeat_and_neuron_gives_the_same_trials(tmp_path: Path) -> None:
    stored = np.random.default_rng(4).random((N_IMAGES, 3, N_NEURONS))  # stimulus, repeat, neuron
    names = np.array(["stimulus", "repeat", "neuron"])
    found = []
    for number, order in enumerate([(0, 1, 2), (2, 0, 1), (1, 0, 2), (2, 1, 0)]):
        toml = f"[responses]\naxes = {names[list(order)].tolist()}\n"
        arrays = {"responses": stored.transpose(order), "stimulus_id": None}
        found.append(read(write_folder(tmp_path / str(number), arrays, {"recording.toml": toml})))
    for recording in found:
        for stimulus in range(N_IMAGES):  # repeats of a stimulus keep their order
            shown = recording.responses[recording.stimulus_id == stimulus]
            np.testing.assert_array_equal(shown, stored[stimulus].astype(np.float32))


def test_trials_that_are_nan_in_every_neuron_do_not_exist(tmp_path: Path) -> None:
    stored = np.random.default_rng(4).random((N_IMAGES, 3, N_NEURONS))
    stored[2, 1:] = stored[5, 0] = np.nan
    toml = '[responses]\naxes = ["stimulus", "repeat", "neuron"]\n'
    recording = read(write_folder(tmp_path, {"responses": stored, "stimulus_id": None}, {"recording.toml": toml}))
    assert recording.repeats_per_stimulus().tolist() == [3, 3, 1, 3, 3, 2]
    np.testing.assert_array_equal(recording.responses[recording.stimulus_id == 2], stored[2, :1].astype(np.float32))
    assert "3 of 18 stored trials are NaN in every neuron: absent, dropped." in recording.notes


def test_nan_in_part_of_a_trial_are_settled_as_declared(tmp_path: Path) -> None:
    responses = example_responses()
    responses[3, 1] = responses[7, 1] = np.nan
    neurons = {"neurons.csv": "x_um\n" + "".join(f"{i}\n" for i in range(N_NEURONS))}
    shapes, values = {}, {}
    for missing in ("drop_trial", "drop_neuron", "zero"):
        files = {"recording.toml": f'[responses]\nmissing = "{missing}"\n', **neurons}
        recording = read(write_folder(tmp_path / missing, {"responses": responses}, files))
        shapes[missing] = recording.responses.shape
        assert any("as declared" in note for note in recording.notes)
        assert recording.neuron_position_um is not None
        values[missing] = recording.neuron_position_um[:, 0].tolist()
    assert shapes == {"drop_trial": (10, 5), "drop_neuron": (12, 4), "zero": (12, 5)}
    assert values["drop_neuron"] == [0, 2, 3, 4]


def test_one_based_ids_and_a_grey_screen_are_declared(tmp_path: Path) -> None:
    ids = np.r_[np.arange(1, N_IMAGES + 1), 99, np.arange(1, N_IMAGES)]
    toml = "[stimulus_id]\nindex_base = 1\ndrop = [99]\n"
    recording = read(write_folder(tmp_path, {"stimulus_id": ids}, {"recording.toml": toml}))
    assert recording.stimulus_id.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4]
    assert "1 of 12 trials with id 99 were dropped, as declared." in recording.notes


def test_flat_scaled_images_are_unfolded_row_by_row(tmp_path: Path) -> None:
    toml = "[images]\nheight = 8\nwidth = 9\nmultiply = 1e6\nmid_grey = 128\ncontrast_scale = 64\n"
    flat = example_images().reshape(N_IMAGES, -1) * 1e-6
    recording = read(write_folder(tmp_path, {"images": flat}, {"recording.toml": toml}))
    np.testing.assert_allclose(recording.images[:, 0], example_images(), rtol=1e-6)  # float32 rounding


def test_images_by_height_width_and_number_come_in_when_named(tmp_path: Path) -> None:
    toml = '[images]\naxes = ["height", "width", "stimulus"]\n'
    recording = read(write_folder(tmp_path, {"images": np.moveaxis(example_images(), 0, -1)}, {"recording.toml": toml}))
    np.testing.assert_array_equal(recording.images[:, 0], example_images())


def test_colour_images_keep_three_channels(tmp_path: Path) -> None:
    colour = np.random.default_rng(5).integers(0, 256, (N_IMAGES, 8, 9, 3)).astype(np.uint8)
    recording = read(write_folder(tmp_path, {"images": colour}))
    np.testing.assert_array_equal(recording.images, np.moveaxis(colour, -1, 1))


def test_a_description_may_lie_outside_the_data(tmp_path: Path) -> None:
    write_folder(tmp_path / "data" / "mouse7")
    (tmp_path / "notes").mkdir()
    toml = tmp_path / "notes" / "mouse7.toml"
    toml.write_text(
        'name = "seven"\ndata = "../data/mouse7"\ncondition = "white"\nanimal = "PE"\ndeg_per_pixel = 0.5\n', encoding="utf-8"
    )
    recording = read(toml)
    assert (recording.name, recording.condition, recording.animal, recording.deg_per_pixel) == ("seven", "white", "PE", 0.5)
    toml.write_text(f'data = "{tmp_path / "data" / "mouse7"}"\n', encoding="utf-8")
    assert read(toml).name == "mouse7"


def test_images_given_at_the_door_take_the_place_of_the_folders(tmp_path: Path) -> None:
    other = np.flip(example_images(), axis=0)
    np.save(tmp_path / "other.npy", other)
    recording = read(write_folder(tmp_path / "data"), images=tmp_path / "other.npy")
    np.testing.assert_array_equal(recording.images[:, 0], other)
    assert "Images were read from other.npy, as asked" in " ".join(recording.notes)
    assert "as asked" not in " ".join(read(tmp_path / "data").notes)


def test_what_nobody_stated_is_not_stated(tmp_path: Path) -> None:
    recording = read(write_folder(tmp_path))
    stated = (recording.condition, recording.animal, recording.species, recording.area, recording.indicator)
    assert stated == (None, None, None, None, None)


def test_a_description_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (write_folder(tmp_path) / "recording.toml").write_bytes(b"\xef\xbb\xbf" + b'name = "vole3"\r\n')
    assert read(tmp_path).name == "vole3"


def test_true_and_false_are_white_and_black_unless_their_grey_is_stated(tmp_path: Path) -> None:
    shown = example_images() > 127
    recording = read(write_folder(tmp_path, {"images": shown}))
    np.testing.assert_array_equal(recording.images[:, 0], np.where(shown, 255, 0))
    assert "Pixels of images.npy are true or false; they were taken as white (255) and black (0)." in recording.notes
    stated = {"recording.toml": "[images]\nmid_grey = 0.5\ncontrast_scale = 0.25"}
    recording = read(write_folder(tmp_path / "stated", {"images": shown}, stated))
    np.testing.assert_array_equal(recording.images[:, 0], shown.astype(np.float32))


def test_a_linked_folder_keeps_its_name(tmp_path: Path) -> None:
    write_folder(tmp_path / "store")
    (tmp_path / "vole3").symlink_to("store")
    assert read(tmp_path / "vole3").name == "vole3"


def test_whole_numbers_are_taken_and_named(tmp_path: Path) -> None:
    counts = np.random.default_rng(3).integers(0, 200, (12, 5)).astype(np.uint8)
    recording = read(write_folder(tmp_path, {"responses": counts}))
    np.testing.assert_array_equal(recording.responses, counts.astype(np.float32))
    assert "Responses are stored as whole numbers (uint8)." in recording.notes


def test_what_the_animal_did_comes_from_a_table_and_follows_the_trials(tmp_path: Path) -> None:
    responses = example_responses()
    responses[3, 1] = np.nan
    rows = [f"{i}.5,{'' if i == 2 else i}" for i in range(2 * N_IMAGES)]
    files = {
        "covariates.csv": "\n".join(["running_speed,pupil_size", *rows]),
        "recording.toml": '[responses]\nmissing = "drop_trial"\n',
    }
    recording = read(write_folder(tmp_path, {"responses": responses}, files))
    assert recording.covariate_names is not None
    assert recording.covariate_names.tolist() == ["running_speed", "pupil_size"]
    kept = np.r_[0:3, 4 : 2 * N_IMAGES]
    np.testing.assert_array_equal(recording.covariates, np.c_[kept + 0.5, np.where(kept == 2, np.nan, kept)].astype(np.float32))
    assert "unknown" not in " ".join(recording.notes)  # an empty cell says so by itself
    (tmp_path / "covariates.csv").write_text("\n".join(["running_speed", "NA", "nan", *map(str, range(2 * N_IMAGES - 2))]))
    said = "2 cells of running_speed of covariates.csv were taken as unknown: they say NA, nan."
    assert said in read(tmp_path).notes
    (tmp_path / "covariates.csv").write_text("running_speed\n1\n2\n")
    with pytest.raises(DataError, match=r"covariates\.csv must have one row per trial, 12; it has 2"):
        read(tmp_path)


def test_files_that_were_not_read_are_named_with_the_near_name(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "a", {"positions": np.zeros((5, 3))}, {"label.csv": "label\n", "neuron.csv": "x_um\n"})
    wanted = (
        "3 files of a were not read: label.csv (did you mean labels.csv?), neuron.csv (did you mean neurons.csv?), positions.npy."
    )
    assert wanted in read(folder).notes
    assert not any(
        "not read" in note for note in read(write_folder(tmp_path / "b", files={"labels.csv": "label\n" + 6 * "cat\n"})).notes
    )


def test_a_folder_around_a_recording_is_told_where_it_lies(tmp_path: Path) -> None:
    write_folder(tmp_path / "outer" / "inner")
    with pytest.raises(DataError, match=r"inner, one level down, looks like one: give that path"):
        read(tmp_path / "outer")
    with pytest.raises(DataError, match=r"inner, which holds it, looks like one: give that path"):
        read(tmp_path / "outer" / "inner" / "responses.npy")
    for name, found in (("a.npz", "a.npz"), ("a.toml", "a.toml")):  # once it is described, its description
        (tmp_path / name).touch()
        with pytest.raises(DataError, match=rf"{found}( \(the first of 2\))?, one level down, looks like one: give that path"):
            read(tmp_path)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            ("session7.mat",),
            r"session7\.mat in it is a \.mat of your own: put a recording\.toml beside it, with file = 'session7\.mat', var",
        ),
        (
            ("a.h5",),
            r"a\.h5, one level down.*not called images, responses and stimulus_id, put a recording\.toml .*file = 'a\.h5'",
        ),
        (("a.nwb",), r"a\.nwb, one level down, looks like one: give that path\.$"),
        (("a.png", "b.png"), r"It holds a\.png, b\.png\. A folder of arrays needs responses\.npy"),
        (("resp.npy", "stim.npy"), r"It holds resp\.npy, stim\.npy\. A folder of arrays .*recording\.toml that says what yours"),
        (("images", "presentations.csv"), r"It holds images, presentations\.csv\. presentations\.csv needs spks\.npy"),
        ((), r"known format\. It holds nothing\. A folder of arrays needs responses\.npy"),
    ],
)
def test_a_folder_that_is_no_recording_is_told_at_once_what_would_make_it_one(
    tmp_path: Path, files: tuple[str, ...], said: str
) -> None:
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=said):
        read(tmp_path)
