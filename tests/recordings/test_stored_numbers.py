"""Arrays of .npy files are read alike whether small or mapped, and names in folders never lead out of them."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from dina.checks import DataError
from dina.recordings.file_places import file_inside
from dina.recordings.hdf5_damage import check_hdf5_damage
from dina.recordings.stored_numbers import check_attributes, check_hdf5_dataset, read_npy

SMALL, LARGE = np.arange(6.0).reshape(2, 3), np.arange(300_000.0).reshape(2, 150_000)  # more than a mebibyte is mapped


@pytest.mark.parametrize(
    "values", [SMALL, LARGE, np.asfortranarray(SMALL), np.asfortranarray(LARGE), np.array(["é", "b"]), np.array(1.5)]
)
def test_small_and_mapped_arrays_hold_what_was_saved(tmp_path: Path, values: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", values)
    found = read_npy(tmp_path / "a.npy")
    np.testing.assert_array_equal(found, values)
    assert (found.dtype, found.flags.writeable, type(found)) == (values.dtype, False, np.ndarray)


def test_an_array_of_a_version_that_is_unknown_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "a.npy").open("wb") as stream:
        np.lib.format.write_array(stream, np.arange(3), version=(2, 0))
    content = (tmp_path / "a.npy").read_bytes()
    np.testing.assert_array_equal(read_npy(tmp_path / "a.npy"), np.arange(3))
    (tmp_path / "a.npy").write_bytes(content[:6] + b"\x02\x07" + content[8:])
    with pytest.raises(DataError, match="its header cannot be read"):
        read_npy(tmp_path / "a.npy")


def test_a_name_stays_in_its_folder_whatever_links_there_are(tmp_path: Path) -> None:
    folder, outside = tmp_path / "m1", tmp_path / "other"
    for each in (folder / "meta", outside):
        each.mkdir(parents=True)
    (folder / "meta" / "in").symlink_to(folder / "meta")
    (folder / "meta" / "out").symlink_to(outside)
    (folder / "file").touch()
    for name in ("meta/x.npy", "meta/in/x.npy", "nothing/x.npy", "file/x.npy"):
        assert file_inside(folder, name) == folder / name
    for name in ("meta/out", "meta/out/x.npy", "meta/in/out/x.npy", "../other", "meta/../../other", str(outside)):
        with pytest.raises(DataError, match="leads out of m1"):
            file_inside(folder, name)


@pytest.mark.parametrize("user_block", [0, 512])
def test_words_that_claim_to_be_longer_than_their_file_are_refused_before_they_take_memory(
    tmp_path: Path, user_block: int
) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", userblock_size=user_block) as file:
        offset = file.create_dataset("words", data=np.array([["a", "b" * 200], ["", "x"]], object)).id.get_offset()
    with h5py.File(path) as file:
        check_hdf5_dataset(file["words"], path)
    content = bytearray(path.read_bytes())
    content[offset + 16 : offset + 20] = (2**30).to_bytes(4, "little")
    path.write_bytes(content)
    with h5py.File(path) as file, pytest.raises(DataError, match="longer than the file"):
        check_hdf5_dataset(file["words"], path)


@pytest.mark.parametrize(("user_block", "from_node", "place"), [(0, 0, 16), (512, 0, 16), (0, -1, 32)])
def test_a_group_whose_list_of_entries_leads_back_to_itself_is_refused(
    tmp_path: Path, user_block: int, from_node: int, place: int
) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", userblock_size=user_block) as file:
        for number in range(1000):  # more than fit into one node
            file.create_group(f"{number}")
    check_hdf5_damage(path)
    content = bytearray(path.read_bytes())
    levels = [at for at in range(len(content)) if content[at : at + 4] == b"TREE" and (place == 16 or content[at + 5] > 0)]
    node = levels[from_node]
    content[node + place : node + place + 8] = (node - user_block).to_bytes(8, "little")
    path.write_bytes(content)
    with pytest.raises(DataError, match="leads back to itself"):
        check_hdf5_damage(path)


@pytest.mark.parametrize("form", ["word", "words", "record"])
def test_an_attribute_of_a_type_that_hdf5_does_not_know_is_refused_before_it_ends_the_process(tmp_path: Path, form: str) -> None:
    path, word = tmp_path / "a.h5", h5py.string_dtype()
    values = {
        "word": "cat",
        "words": np.array(["cat", "dog"], object),
        "record": np.array([("cat", 1)], [("a", word), ("b", "i4")]),
    }
    with h5py.File(path, "w") as file:
        file.attrs.create("animal", values[form], dtype=None if form == "record" else word)
    with h5py.File(path) as file:
        check_attributes(file, path)
    content = path.read_bytes()
    kind = content.index(
        b"\x01\x01\x00\x10\x00\x00\x00", content.index(b"animal")
    )  # a word of varying length: type, letters, size
    path.write_bytes(content[:kind] + b"\x0c" + content[kind + 1 :])
    with h5py.File(path) as file, pytest.raises(DataError, match="attribute animal of / is neither a word nor a list"):
        check_attributes(file, path)
