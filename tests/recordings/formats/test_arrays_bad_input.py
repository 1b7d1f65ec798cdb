"""What is wrong with a laboratory's arrays is said in one sentence that names file and remedy."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from array_folders import N_IMAGES, example_images, example_responses, write_folder
from dina.checks import DataError
from dina.recordings import read

IDS = np.tile(np.arange(N_IMAGES), 2)
TOML = "recording.toml"


def nan_at(*index: int) -> np.ndarray:
    responses = example_responses()
    responses[index] = np.nan
    return responses


def toml(text: str) -> dict[str, str]:
    return {TOML: text}


BY_STIMULUS = toml('[responses]\naxes = ["stimulus", "neuron"]\n')

REFUSED: dict[str, tuple[dict[str, Any], dict[str, str], str]] = {
    "home folder of nobody": ({}, toml('[images]\nfile = "~mages.npy"'), r"~mages\.npy"),
    "NaN in a trial": ({"responses": nan_at(3, 2)}, {}, r'1 NaN values .*trial 3, neuron 2.*missing = "drop_trial"'),
    "NaN everywhere": ({"responses": nan_at(slice(None), 2)}, toml('[responses]\nmissing = "drop_trial"'), "drops everything"),
    "transposed": (
        {"responses": example_responses().T},
        {},
        r'12 stimulus ids.*neuron has 12; put .*axes = \["neuron", "trial"\]',
    ),
    "square": ({"responses": example_responses(5), "stimulus_id": np.arange(5)}, {}, r"is square \(5 x 5\).*Say which is which"),
    "three axes unnamed": ({"responses": np.ones((2, 6, 5))}, {}, r"got shape \(2, 6, 5\). Name its axes"),
    "axes of another number": ({}, toml('[responses]\naxes = ["stimulus", "repeat", "neuron"]'), "must have the 3 axes"),
    "axes that do not go together": ({}, toml('[responses]\naxes = ["trial", "repeat"]'), "got trial, repeat"),
    "ids too few": ({"stimulus_id": IDS[:-1]}, {}, "12 entries along trial, but there are 11 stimulus ids"),
    "ids missing": ({"stimulus_id": None}, {}, r'stimulus_id.npy not found: .*axes = \["stimulus", "neuron"\]'),
    "ids 1-based": ({"stimulus_id": IDS + 1}, {}, "looks 1-based .*index_base = 1"),
    "ids 0-based called 1-based": (
        {},
        toml("[stimulus_id]\nindex_base = 1"),
        "from 1 to 6 .*; got 0 at trial 0.*leave index_base out",
    ),
    "ids unsigned 0-based called 1-based": (
        {"stimulus_id": IDS.astype(np.uint16)},
        toml("[stimulus_id]\nindex_base = 1"),
        "got 0 at trial 0",
    ),
    "grey screen undeclared": (
        {"stimulus_id": np.r_[IDS[:-1], 6] + 1},
        toml("[stimulus_id]\nindex_base = 1"),
        r"from 1 to 6 for 6 images.*got 7 at trial 11 \(1 of 12.*drop = \[7\] under \[stimulus_id\]",
    ),
    "grey screen last, ids 1-based, neither said": (
        {"stimulus_id": np.r_[IDS[:-1], 19] + 1},
        {},
        r"got 6 at trial 5 \(2 of 12.*count from 1, as they seem to.*index_base = 1 and drop = \[20\]",
    ),
    "grey screen below, ids 1-based, neither said": (
        {"stimulus_id": np.r_[-1, IDS[1:] + 1]},
        {},
        r"got -1 at trial 0.*index_base = 1 and drop = \[-1\]",
    ),
    "grey screen first or last": (
        {"stimulus_id": np.r_[IDS[:-1], 6]},
        {},
        r"got 6 at trial 11 \(1 of 12.*index_base = 0 and drop = \[6\].*index_base = 1 and drop = \[0\]",
    ),
    "grey screen first, 1-based": (
        {"stimulus_id": np.r_[0, IDS[1:] + 1]},
        toml("[stimulus_id]\nindex_base = 1"),
        r"got 0 at trial 0 \(1 of 12.*index_base = 1 and drop = \[0\]",
    ),
    "trials are counted as stored": (
        {"stimulus_id": np.r_[9, 9, IDS[3:], 6]},
        toml("[stimulus_id]\ndrop = [9]"),
        r"got 6 at trial 11 \(1 of 12 .*drop = \[6\]",
    ),
    "many ids outside": ({"stimulus_id": np.arange(12)}, {}, "got 6 at trial 6 .*6 of 12.*Give all images.*state their axes"),
    "all trials dropped": ({"stimulus_id": np.full(12, 7)}, toml("[stimulus_id]\ndrop = [7]"), "No trials left: all 12"),
    "stimuli and images differ": (
        {"responses": example_responses(7)},
        BY_STIMULUS,
        "7 entries along stimulus, but there are 6 images",
    ),
    "axes swapped": (
        {"responses": np.ones((5, 6))},
        BY_STIMULUS,
        "5 entries along stimulus.*axis called neuron has 6; put the axes in the order of the array",
    ),
    "images 2-D": ({"images": example_images()[0]}, {}, "flat images also need height and width"),
    "images flat of other size": ({"images": np.ones((6, 70))}, toml("[images]\nheight = 8\nwidth = 9"), "70 pixels per image"),
    "images last": ({"images": np.moveaxis(example_images(90), 0, -1)}, {}, "looks like height x width x number of images"),
    "images last, as many as ids name": (
        {"images": np.moveaxis(example_images(), 0, -1)},
        {},
        r"trials name 6 images, as many as axis 3 has.*axes = .\"height\", \"width\", \"stimulus\".",
    ),
    "images last but for a channel": (
        {"images": np.moveaxis(example_images(), 0, -1)[..., None]},
        {},
        r"axes = .\"height\", \"width\", \"stimulus\", \"channel\".",
    ),
    "images first and last alike": ({"images": example_images()[:, :, :6]}, {}, r"shape \(6, 8, 6\), and trials name 6 images"),
    "images by stimulus, last": (
        {"images": np.moveaxis(example_images(), 0, -1), "responses": example_responses(6), "stimulus_id": None},
        BY_STIMULUS,
        "trials name 6 images",
    ),
    "images of 0 and 1": ({"images": example_images() // 128}, {}, "are uint8 from 0 to 1, .*mid_grey = 0.5"),
    "images of 12 bits": (
        {"images": example_images().astype(np.uint16) * 16},
        {},
        "mid_grey = 2048 and contrast_scale = 1024",
    ),
    "spontaneous square": ({"spontaneous": np.ones((5, 5))}, {}, r"spontaneous.npy is square .*Say which is which"),
    "images RGBA": ({"images": np.ones((6, 8, 9, 4), np.uint8)}, {}, "1 .grey. or 3 .colour. channels"),
    "images with channels first": (
        {"images": np.ones((6, 3, 8, 9), np.uint8)},
        {},
        r'Write axes = \["stimulus", "channel", "height"',
    ),
    "images standardised": (
        {"images": example_images() / 64 - 2},
        {},
        "from -2 to .*, for example mid_grey = 0 and contrast_scale = 1",
    ),
    "images float": ({"images": example_images() / 255}, {}, "float64 from 0 to 1, .*mid_grey = 0.5"),
    "images float 0-255": ({"images": example_images().astype(float)}, {}, "mid_grey = 128"),
    "images missing": (
        {"images": None},
        {},
        "must hold one of images.npy, images.zip or a folder images; it holds none of them.* by two lines: .images. and file =",
    ),
    "objects": ({"responses": np.array([[1, "a"]], dtype=object)}, {}, "contains Python objects; they are refused"),
    "archive": ({}, {**toml('[responses]\nfile = "all.npz"'), "all.npz": "PK"}, "all.npz cannot be read: File is not a zip file"),
    "text": ({"responses": np.full((12, 5), "1")}, {}, "must hold real numbers; got dtype <U1"),
    "records": ({"responses": np.zeros(3, dtype=[("a", float)])}, {}, "plain numbers are expected"),
    "empty": ({"responses": np.zeros((0, 5))}, {}, "responses.npy is empty"),
    "misspelt key": ({}, toml("[image]\n"), "Unknown setting 'image' of recording.toml. Did you mean 'images'"),
    "folder of images": ({}, toml('[images]\nfolder = "pics"'), "it has folder under .images.. Write file = 'pics'"),
    "a table in one line": (
        {},
        toml('images = "pics"'),
        r"images of recording.toml should be a table, with \[images\] on a line of its own",
    ),
    "misspelt key in a table": ({}, toml("[responses]\nn_presentation = 2"), "Did you mean 'n_presentations'"),
    "axes in one word": (
        {},
        toml('[responses]\naxes = "trial, neuron"'),
        "should be a list in square brackets.*got 'trial, neuron'",
    ),
    "key of another table": (
        {},
        toml("index_base = 1"),
        r"Unknown setting 'index_base' of recording.toml. It belongs under \[stimulus_id\]\.$",
    ),
    "key of several tables": (
        {},
        toml('axes = ["neuron", "trial"]'),
        r"It belongs under \[images\] or \[responses\] or \[spontaneous\]\.$",
    ),
    "ids from 1": ({"stimulus_id": np.tile(np.arange(1, 7), 2)}, {}, r"Subtract 1, or say index_base = 1 under \[stimulus_id\]"),
    "wrong value": (
        {},
        toml('[responses]\nmissing = "ignore"'),
        r"missing under \[responses\] of recording.toml should be .*got 'ignore'",
    ),
    "value misspelt": ({}, toml('[responses]\nmissing = "drop_trail"'), r"got 'drop_trail'\. Perhaps 'drop_trial' was meant\."),
    "no TOML": ({}, toml("responses = ["), "is no valid TOML"),
    "data is a file": ({}, toml('data = "responses.npy"'), "data must be a folder.*Write file = 'responses.npy'"),
    "data elsewhere": ({}, toml('data = "nowhere"'), "data must be a folder"),
    "n_presentations 0": ({}, toml("[responses]\nn_presentations = 0"), "n_presentations must be at least 1"),
    "neurons too few": ({}, {"neurons.csv": "x_um\n1\n"}, "one row per neuron, 5; it has 1"),
    "neurons without columns": ({}, {"neurons.csv": "x\n" + "1\n" * 5}, "must have columns x_um"),
    "neurons no number": ({}, {"neurons.csv": "x_um\n" + "1\n" * 4 + "left\n"}, "got 'left' in row 5"),
    "labels too few": ({}, {"labels.csv": "label\ncat\n"}, "one row per image, 6; it has 1"),
    "labels twice": ({}, {"labels.csv": "stimulus_id,label\n1,a\n1,b\n"}, "each once; got '1' in row 2"),
    "labels without a header": ({}, {"labels.csv": "cat\ndog\n"}, "must have a column label; it has cat"),
    "spontaneous of others": ({"spontaneous": np.ones((5, 9))}, {}, r'got shape \(5, 9\).*axes = \["neuron", "time"\]'),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_folder_that_cannot_be_used_is_refused_in_one_sentence(case: str, tmp_path: Path) -> None:
    arrays, files, message = REFUSED[case]
    write_folder(tmp_path, arrays, files)
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path)
    assert len(str(caught.value)) < 600
    assert str(caught.value).endswith(".")


def write_npy_header(path: Path, shape: tuple[int, ...], payload: bytes) -> None:
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": shape})
        stream.write(payload)


def test_a_header_that_claims_terabytes_is_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    write_folder(tmp_path)
    write_npy_header(tmp_path / "responses.npy", (10**6, 10**6), bytes(80))
    with pytest.raises(DataError, match=r"responses.npy was cut off: shape .* needs 8000000000128 bytes"):
        read(tmp_path)


def test_a_header_with_a_negative_length_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path)
    write_npy_header(tmp_path / "responses.npy", (-1, 5), bytes(80))
    with pytest.raises(DataError, match=r"responses.npy is no .npy file: its header"):
        read(tmp_path)


def test_a_file_of_holes_that_is_as_large_as_it_claims_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path)
    path = tmp_path / "responses.npy"
    write_npy_header(path, (10**5, 10**6), b"")
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size + 8 * 10**11)
    with pytest.raises(DataError, match=r"responses.npy must be at most 64 GiB; shape \(100000, 1000000\) of float64 is 745 GiB"):
        read(tmp_path)


def test_an_array_cut_off_is_refused(tmp_path: Path) -> None:
    file = write_folder(tmp_path) / "responses.npy"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match="was cut off"):
        read(tmp_path)


def test_a_file_that_is_no_array_is_refused(tmp_path: Path) -> None:
    (write_folder(tmp_path) / "responses.npy").write_text("1,2,3", encoding="utf-8")
    with pytest.raises(DataError, match=r"responses.npy is no .npy file"):
        read(tmp_path)


def test_what_is_no_recording_is_told_what_would_be(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing", encoding="utf-8")
    with pytest.raises(
        DataError, match=r"no recording in a known format \(stringer2018, .*arrays\): docs/bring-your-own-recording\.md says"
    ):
        read(tmp_path / "notes.txt")
    with pytest.raises(DataError, match="does not exist"):
        read(tmp_path / "absent.mat")


def test_an_option_that_means_nothing_here_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="screens cannot be chosen for"):
        read(write_folder(tmp_path), options={"screens": "left"})
    write_folder(tmp_path / "m").joinpath("recording.toml").write_text('data = "."', encoding="utf-8")
    read(tmp_path / "m").write(tmp_path / "m.nc")
    with pytest.raises(DataError, match=r"^Other images cannot be chosen for m\.nc"):
        read(tmp_path / "m.nc", images=tmp_path / "m" / "images.npy")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize("name", ["images.npy", "images.zip", "responses.npy", "stimulus_id.npy", "labels.csv"])
def test_a_pipe_is_never_waited_for(name: str, tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / name).unlink(missing_ok=True)
    if name == "images.zip":
        (tmp_path / "images.npy").unlink()
    os.mkfifo(tmp_path / name)
    if name == "labels.csv":
        (tmp_path / "recording.toml").write_text('[labels]\nfile = "labels.csv"\n')
    with pytest.raises(DataError):
        read(tmp_path)


def test_a_wrong_entry_of_a_list_is_told_by_the_name_of_the_list(tmp_path: Path) -> None:
    write_folder(tmp_path, files={"recording.toml": '[responses]\naxes = ["trail", "neuron"]\n'})
    with pytest.raises(
        DataError,
        match=r"Entry 1 of the setting axes under \[responses\] of recording\.toml .*got 'trail'\. Perhaps 'trial' was meant",
    ):
        read(tmp_path)
