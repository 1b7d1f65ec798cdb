"""Damage at which HDF5 would look without end, take memory without limit or end the process is refused before HDF5 meets it."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from dina.checks import DataError
from dina.recordings.hdf5_contents import check_attributes, check_hdf5_dataset
from dina.recordings.hdf5_damage import check_hdf5_damage


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
