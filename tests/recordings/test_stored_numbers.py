"""Arrays of .npy files are read alike whether small or mapped, and names in folders never lead out of them."""

from pathlib import Path

import numpy as np
import pytest

from dina.checks import DataError
from dina.recordings.file_places import file_inside
from dina.recordings.stored_numbers import read_npy

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
