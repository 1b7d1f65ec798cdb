"""A laboratory's own .npz, .mat and .h5 files come in by the names of their variables, and none can run code or fill the memory."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from array_folders import N_IMAGES, example_images, example_responses
from dina.checks import DataError
from dina.recordings import read
from dina.recordings.own_files import read_variable
from stringer_files import write_mat

STIMULI = np.moveaxis(example_images(), 0, -1)  # height, width, stimulus, as MATLAB users have them
RESPONSES = example_responses().T  # neuron, trial
IDS = np.tile(np.arange(N_IMAGES), 2) + 1
SPONTANEOUS = np.random.default_rng(2).random((RESPONSES.shape[0], 7))


def write_h5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["session/stimuli"], file["session/resp"], file["session/ids"], file["session/grey"] = (
            STIMULI,
            RESPONSES,
            IDS,
            SPONTANEOUS,
        )
        file["name"] = "mouse7"


def write_npz(path: Path) -> None:
    np.savez_compressed(path, stimuli=STIMULI, resp=RESPONSES, ids=IDS, grey=SPONTANEOUS)


def mat_writer(version: str) -> Callable[[Path], object]:
    arrays = {"stimuli": STIMULI, "resp": RESPONSES, "ids": IDS[:, None].astype(float), "grey": SPONTANEOUS}
    return lambda path: write_mat(path, {"session": arrays}, version)  # type: ignore[arg-type]


WRITERS = {
    "m.npz": (write_npz, ""),
    "m.mat": (mat_writer("5"), "session."),
    "m73.mat": (mat_writer("7.3"), "session."),
    "m.h5": (write_h5, "session/"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_variables_are_named_in_a_description(name: str, tmp_path: Path) -> None:
    write, prefix = WRITERS[name]
    write(tmp_path / name)
    (tmp_path / "mouse7.toml").write_text(
        f'name = "mouse7"\nfile = "{name}"\n[images]\nvariable = "{prefix}stimuli"\naxes = ["height", "width", "stimulus"]\n'
        f'[responses]\nvariable = "{prefix}resp"\naxes = ["neuron", "trial"]\n[stimulus_id]\nvariable = "{prefix}ids"\nindex_base = 1\n'
        f'[spontaneous]\nvariable = "{prefix}grey"\naxes = ["neuron", "time"]\n'
    )
    recording = read(tmp_path / "mouse7.toml")
    np.testing.assert_array_equal(recording.images[:, 0], example_images())
    np.testing.assert_array_equal(recording.responses, example_responses().astype(np.float32))
    np.testing.assert_array_equal(recording.stimulus_id, IDS - 1)
    np.testing.assert_array_equal(recording.spontaneous, SPONTANEOUS.T.astype(np.float32))


@pytest.mark.parametrize(
    ("name", "there"),
    [("m.npz", "stimuli, resp, ids"), ("m.mat", "session"), ("m73.mat", "session"), ("m.h5", "name, session/grey")],
)
def test_an_unknown_variable_is_told_what_is_there(name: str, there: str, tmp_path: Path) -> None:
    WRITERS[name][0](tmp_path / name)
    with pytest.raises(DataError, match=f"needs variable 'imgs'; it holds {there}"):
        read_variable(tmp_path / name, "imgs")
    with pytest.raises(DataError, match="needs the name of one with variable"):
        read_variable(tmp_path / name)


def test_cells_and_several_structs_are_answered_with_what_to_write_in_matlab(tmp_path: Path) -> None:
    cells = np.empty((1, 2), dtype=object)
    cells[0, :] = [np.ones((3, 4)), np.zeros((3, 4))]
    trials = np.array([[(np.ones(5), 1.0), (np.ones(5), 2.0)]], dtype=[("resp", object), ("id", object)])
    scipy.io.savemat(tmp_path / "m.mat", {"imgs": cells, "trial": trials})
    with pytest.raises(DataError, match=r"imgs must be an array of numbers; got a cell array.*images cat\(3, x\{:\}\)"):
        read_variable(tmp_path / "m.mat", "imgs")
    with pytest.raises(DataError, match=r"trial is no struct but .* several structs\. Write one array .* cat\(1, trial\.id\)"):
        read_variable(tmp_path / "m.mat", "trial.id")


def test_what_is_no_array_of_numbers_is_refused(tmp_path: Path) -> None:
    write_h5(tmp_path / "m.h5")
    with pytest.raises(DataError, match="name must be an array of numbers"):
        read_variable(tmp_path / "m.h5", "name")
    np.savez(tmp_path / "m.npz", a=np.array([{}], dtype=object))
    with pytest.raises(DataError, match="a contains Python objects, which are never loaded"):
        read_variable(tmp_path / "m.npz", "a")
    np.save(tmp_path / "m.npy", IDS)
    with pytest.raises(DataError, match=r"m\.npy holds one array without a name; got variable = 'ids'"):
        read_variable(tmp_path / "m.npy", "ids")


def test_claims_beyond_the_content_are_refused_before_memory_is_taken(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**4)})
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
        archive.writestr("a.npy", header.getvalue())
    with pytest.raises(DataError, match=r"a claims shape \(1000000, 10000\), more than the file holds"):
        read_variable(tmp_path / "m.npz", "a")
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_dataset("a", shape=(10**6, 10**4), dtype="f8", chunks=(1000, 1000))
        file["out"] = h5py.ExternalLink("other.h5", "/a")
    with pytest.raises(DataError, match="a claims 74.5 GiB, but the file holds 0 bytes".replace(".", r"\.")):
        read_variable(tmp_path / "m.h5", "a")
    with pytest.raises(DataError, match="links out of a file are not followed"):
        read_variable(tmp_path / "m.h5", "out")
    for name in ("n.npz", "n.h5"):
        (tmp_path / name).write_bytes(b"<html>")
        with pytest.raises(DataError, match=f"{name} cannot be read"):
            read_variable(tmp_path / name, "a")


@pytest.mark.parametrize("name", ["mouse7.npz", "mouse7.h5"])
def test_a_file_whose_variables_have_the_usual_names_needs_no_description(name: str, tmp_path: Path) -> None:
    arrays = {"images": example_images(), "responses": example_responses(), "stimulus_id": IDS - 1}
    if name.endswith(".npz"):
        np.savez(tmp_path / name, **arrays)
    else:
        with h5py.File(tmp_path / name, "w") as file:
            for variable, values in arrays.items():
                file[variable] = values
    (tmp_path / "short.toml").write_text(f'file = "{name}"\nanimal = "m7"\n', encoding="utf-8")
    for path in (name, "short.toml"):
        recording = read(tmp_path / path)
        np.testing.assert_array_equal(recording.images[:, 0], arrays["images"])
        np.testing.assert_array_equal(recording.responses, arrays["responses"].astype(np.float32))
        np.testing.assert_array_equal(recording.stimulus_id, arrays["stimulus_id"])
    assert read(tmp_path / name).name == "mouse7"


def test_variables_of_other_names_are_listed_with_what_to_write(tmp_path: Path) -> None:
    write_npz(tmp_path / "m.npz")
    with pytest.raises(DataError, match=r"needs variable 'images'; it holds stimuli, resp, ids, grey\. Say in a recording\.toml"):
        read(tmp_path / "m.npz")


def test_a_list_of_variables_opens_no_link_out_of_the_file(tmp_path: Path) -> None:
    write_h5(tmp_path / "secret.h5")
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["mine"] = IDS
        file["theirs"] = h5py.ExternalLink("secret.h5", "/session/ids")
    with pytest.raises(DataError, match="it holds mine. Say".replace(".", r"\.")):
        read_variable(tmp_path / "m.h5", "imgs")


def test_links_that_name_links_many_times_end_in_words(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["link0"] = h5py.SoftLink(".")
        for level in range(1, 9):
            file[f"link{level}"] = h5py.SoftLink("/".join([f"link{level - 1}"] * 4))
    with pytest.raises(DataError, match="leads through more than 10 links"):
        read_variable(tmp_path / "m.h5", "link8/a")


def test_an_archive_cannot_claim_to_be_larger_than_its_file(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (2**27,)})
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
        archive.writestr("a.npy", header.getvalue())
    content = bytearray((tmp_path / "m.npz").read_bytes())
    listed = content.index(b"PK\x01\x02")
    content[listed + 20 : listed + 28] = (2**31 - 1).to_bytes(4, "little") * 2  # packed and unpacked size
    (tmp_path / "m.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"a claims 2\.0 GiB, more than the file can hold"):
        read_variable(tmp_path / "m.npz", "a")


def test_one_long_word_among_many_does_not_fill_the_memory(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["words"] = ["a" * 2**20, *["b"] * 2**9]
    with pytest.raises(DataError, match="513 words of /words must fit into 1024 MiB; the longest has 1048576 letters"):
        read_variable(tmp_path / "m.h5", "words")


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_structs_in_structs_are_read_by_dots_and_a_wrong_field_is_told_what_is_there(version: str, tmp_path: Path) -> None:
    content = {"s": {"a": {"pics": STIMULI, "which": IDS}, "dff": RESPONSES}}
    path = write_mat(tmp_path / "m.mat", content, version)  # type: ignore[arg-type]
    np.testing.assert_array_equal(read_variable(path, "s.a.pics"), STIMULI)
    with pytest.raises(DataError, match=r"s\.pix not found; s has: a, dff.* Correct variable in the \.toml that names it\.$"):
        read_variable(path, "s.pix")
    with pytest.raises(DataError, match=r"s\.a\.pix not found; s\.a has: pics, which"):
        read_variable(path, "s.a.pix")


def test_descriptions_of_files_in_one_folder_have_names_of_their_own(tmp_path: Path) -> None:
    write_npz(tmp_path / "a.npz")
    text = (
        'file = "a.npz"\n[images]\nvariable = "stimuli"\naxes = ["height", "width", "stimulus"]\n[responses]\nvariable = "resp"\n'
        'axes = ["neuron", "trial"]\n[stimulus_id]\nvariable = "ids"\nindex_base = 1\n'
    )
    for name in ("monday.toml", "tuesday.toml", "recording.toml"):
        (tmp_path / name).write_text(text)
    alone = tmp_path / "alone"
    alone.mkdir()
    write_npz(alone / "a.npz")
    (alone / "session7.toml").write_text(text)
    found = [read(tmp_path / name) for name in ("monday.toml", "tuesday.toml", "recording.toml")]
    assert [each.name for each in found] == ["monday", "tuesday", tmp_path.name]
    assert read(alone / "session7.toml").name == "session7"
    assert [each.image_set for each in found] == ["monday", "tuesday", tmp_path.name]


def test_a_table_without_variable_has_its_usual_name_in_the_one_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", pics=STIMULI, responses=RESPONSES, stimulus_id=IDS)
    (tmp_path / "a.toml").write_text(
        'file = "a.npz"\n[images]\nvariable = "pics"\naxes = ["height", "width", "stimulus"]\n[responses]\naxes = ["neuron", "trial"]\n'
        "[stimulus_id]\nindex_base = 1\n"
    )
    assert read(tmp_path / "a.toml").n_trials == len(IDS)


def test_axes_are_doubted_although_ids_count_from_1_and_nobody_says_so(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=STIMULI, responses=RESPONSES, stimulus_id=IDS)
    (tmp_path / "a.toml").write_text('file = "a.npz"\n[responses]\naxes = ["neuron", "trial"]\n')
    with pytest.raises(DataError, match=r"axes = \[.height., .width., .stimulus.\]"):
        read(tmp_path / "a.toml")


def test_one_refusal_names_all_that_a_matlab_file_leaves_open(tmp_path: Path) -> None:
    stimuli = np.moveaxis(example_images(12), 0, -1)
    shown = np.arange(1, 14)  # the last of them a grey screen
    np.savez(tmp_path / "a.npz", images=stimuli, responses=np.column_stack([RESPONSES, RESPONSES[:, :1]]), stimulus_id=shown)
    with pytest.raises(DataError) as refused:
        read(tmp_path / "a.npz")
    for advice in (
        'axes = ["height", "width", "stimulus"]',
        "say index_base = 1 under [stimulus_id]",
        'axes = ["neuron", "trial"]',
    ):
        assert advice in str(refused.value)


def test_names_of_variables_that_differ_are_listed_once(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", pics=STIMULI, resp=RESPONSES, ids=IDS)
    with pytest.raises(DataError) as refused:
        read(tmp_path / "a.npz")
    assert str(refused.value).count("it holds pics, resp, ids") == 1


def test_a_struct_named_whole_is_answered_with_its_fields(tmp_path: Path) -> None:
    path = write_mat(tmp_path / "m.mat", {"session": {"pics": STIMULI, "resp": RESPONSES}}, "5")
    with pytest.raises(DataError, match=r"got a struct, which holds session\.pics, session\.resp\. Name one"):
        read_variable(path, "session")
    with pytest.raises(DataError, match=r"it holds session\. Fields of a struct follow a dot"):
        read_variable(path, "pics")


def test_messages_name_the_description_that_was_given(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=STIMULI, responses=RESPONSES, stimulus_id=IDS)
    (tmp_path / "e.toml").write_text('file = "a.npz"\n[responses]\naxes = ["neuron", "trial"]\n')
    with pytest.raises(DataError, match=r"Say which axis is which in e\.toml"):
        read(tmp_path / "e.toml")
    (tmp_path / "e.toml").write_text('file = "b.npz"\n')
    with pytest.raises(DataError, match=r"Images not found at .*c\.npy\. Check \[images\] file in e\.toml, or give images=…"):
        read(tmp_path / "e.toml", images=tmp_path / "c.npy")
    with pytest.raises(DataError, match=r"Images not found at .*b\.npz\. Check file in e\.toml\.$"):
        read(tmp_path / "e.toml")


def test_a_description_that_does_not_name_the_file_of_its_format_is_told_which_lies_there(tmp_path: Path) -> None:
    (tmp_path / "session.nwb").touch()
    (tmp_path / "recording.toml").write_text('format = "nwb"\n')
    with pytest.raises(DataError, match=r"data must be a \.nwb file .*; got the folder .*Write data = 'session\.nwb'"):
        read(tmp_path)
