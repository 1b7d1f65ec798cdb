"""MATLAB files of both formats give the same content, and broken ones a sentence."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
from scipy.sparse import csc_matrix

from dina.checks import DataError
from dina.recordings.mat_file import field, read_mat
from stringer_files import Version, write_mat

BOTH: tuple[Version, ...] = ("5", "7.3")


def cells(*items: Any) -> np.ndarray:
    out = np.empty((1, len(items)), dtype=object)
    out[0] = items
    return out


@pytest.mark.parametrize("version", BOTH)
def test_numbers_words_structs_and_cells_come_back(version: Version, tmp_path: Path) -> None:
    numbers = np.arange(6.0).reshape(2, 3)
    content = {
        "stim": {"resp": numbers, "deep": {"name": "natimg"}},
        "stat": [
            {"npix": np.array([[3.0]]), "redcell": np.array([[True]])},
            {"npix": np.array([[4.0]]), "redcell": np.array([[False]])},
        ],
        "names": cells("cats", "dogs and birds"),
        "volume": np.arange(24).reshape(2, 3, 4),
    }
    found = read_mat(write_mat(tmp_path / "a.mat", content, version), ["stim", "stat.redcell", "names", "volume", "absent"])
    np.testing.assert_array_equal(found["stim"]["resp"], numbers)
    assert found["stim"]["deep"]["name"] == "natimg"
    assert [bool(cell["redcell"].item()) for cell in found["stat"]] == [True, False]
    assert all(set(cell) == {"redcell"} for cell in found["stat"])  # no other field was asked for
    assert found["names"] == ["cats", "dogs and birds"]
    np.testing.assert_array_equal(found["volume"], content["volume"])
    assert "absent" not in found


@pytest.mark.parametrize("version", BOTH)
def test_a_missing_field_is_named_with_what_there_is(version: Version, tmp_path: Path) -> None:
    path = write_mat(
        tmp_path / "a.mat", {"stim": {"resp": np.ones((2, 2)), "spont": np.ones((2, 2))}, "med": np.ones((2, 2))}, version
    )
    content = read_mat(path, ["stim", "med"])
    with pytest.raises(DataError, match=r"a.mat: stim.istim not found; stim has: resp, spont"):
        field(content, "stim.istim", path)
    with pytest.raises(DataError, match=r"stims not found; a.mat has: med, stim"):
        field(content, "stims", path)
    with pytest.raises(DataError, match=r"med.x not found; med is no struct but ndarray"):
        field(content, "med.x", path)


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("fraction", [0.02, 0.3, 0.7, 0.98])
def test_a_file_cut_off_is_refused(version: Version, fraction: float, tmp_path: Path) -> None:
    path = write_mat(tmp_path / "a.mat", {"x": np.random.default_rng(0).random((60, 60))}, version)
    path.write_bytes(path.read_bytes()[: int(fraction * path.stat().st_size)])
    with pytest.raises(DataError, match=r"a.mat (is no MATLAB file|was cut off|cannot be read)"):
        read_mat(path, ["x"])


def test_a_bit_flipped_in_compressed_numbers_is_refused(tmp_path: Path) -> None:
    path = write_mat(tmp_path / "a.mat", {"x": np.random.default_rng(0).random((60, 60))}, "5")
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 4
    path.write_bytes(damaged)
    with pytest.raises(DataError, match="damaged or was cut off"):
        read_mat(path, ["x"])


def test_version_4_and_files_of_other_kinds_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"x": np.ones((3, 3))}, format="4")
    with pytest.raises(DataError, match="of version 4, which holds no structs"):
        read_mat(path, ["x"])
    path.write_bytes(b"<!DOCTYPE html><html>" + bytes(600))
    with pytest.raises(DataError, match="is no MATLAB file: it begins with b'<!DOCTYP'"):
        read_mat(path, ["x"])
    path.write_bytes(b"")
    with pytest.raises(DataError, match="is no MATLAB file"):
        read_mat(path, ["x"])


def test_an_impossible_size_is_refused_before_it_is_allocated(tmp_path: Path) -> None:
    import zlib

    claim = zlib.compress(np.array([14, 4_000_000_000], dtype="<u4").tobytes() + bytes(100))
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    path = tmp_path / "a.mat"
    path.write_bytes(header + np.array([15, len(claim)], dtype="<u4").tobytes() + claim)
    with pytest.raises(DataError, match="a variable claims 4000000000 bytes"):
        read_mat(path, ["x"])


def test_functions_and_objects_are_refused(tmp_path: Path) -> None:
    path = write_mat(tmp_path / "a.mat", {"x": np.ones((2, 2))}, "7.3")
    with h5py.File(path, "a") as file:
        file["x"].attrs["MATLAB_class"] = np.bytes_("function_handle")
    with pytest.raises(DataError, match="x holds a MATLAB function or object"):
        read_mat(path, ["x"])


def test_an_external_link_is_not_followed(tmp_path: Path) -> None:
    path = write_mat(tmp_path / "a.mat", {"x": np.ones((2, 2))}, "7.3")
    with h5py.File(path, "a") as file:
        file["y"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(DataError, match="/y is a link"):
        read_mat(path, ["y"])
    assert set(read_mat(path, ["x"])) == {"x"}


def test_words_of_other_programs_are_read_and_a_cell_of_one_array_many_times_is_not(tmp_path: Path) -> None:
    path = write_mat(tmp_path / "a.mat", {"x": np.ones((2, 2))}, "7.3")
    with h5py.File(path, "a") as file:
        file["names"], file["name"], file["big"] = ["cats", "Vögel"], "natimg", np.zeros(1000)
        file["many"] = np.array([file["big"].ref] * 50, dtype=h5py.ref_dtype)
        file["self"] = np.array([file["many"].ref], dtype=h5py.ref_dtype)
        file["self"][0] = file["self"].ref
    assert read_mat(path, ["names", "name"]) == {"names": ["cats", "Vögel"], "name": "natimg"}
    with pytest.raises(DataError, match=r"many\[1\] is many\[0\] under another name"):
        read_mat(path, ["many"])
    with pytest.raises(DataError, match="nested more than 20 deep"):
        read_mat(path, ["self"])


SPARSE = np.array([[0.0, 2.5, 0.0], [0.0, 0.0, -1.0], [4.0, 0.0, 0.0], [0.0, 0.0, 0.0]])


def test_sparse_matrices_of_both_formats_come_full(tmp_path: Path) -> None:
    matrix = csc_matrix(SPARSE)
    scipy.io.savemat(tmp_path / "five.mat", {"stim": {"resp": matrix}})
    found = read_mat(tmp_path / "five.mat", ["stim"])["stim"]["resp"]
    np.testing.assert_array_equal(found, SPARSE)
    with h5py.File(tmp_path / "seven.mat", "w", userblock_size=512) as file:
        group = file.create_group("resp")
        group.attrs["MATLAB_class"], group.attrs["MATLAB_sparse"] = np.bytes_("double"), np.uint64(4)
        for name, values in (("data", matrix.data), ("ir", matrix.indices), ("jc", matrix.indptr)):
            group[name] = values
    np.testing.assert_array_equal(read_mat(tmp_path / "seven.mat", ["resp"])["resp"], SPARSE)


def test_a_sparse_matrix_of_many_rows_and_no_column_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
        group = file.create_group("resp")
        group.attrs["MATLAB_class"], group.attrs["MATLAB_sparse"] = np.bytes_("double"), np.uint64(2**31 - 9)
        group["jc"] = np.array([0])
    with pytest.raises(DataError, match="resp is sparse and 2147483639 x 0, but holds 0 numbers"):
        read_mat(tmp_path / "a.mat", ["resp"])


@pytest.mark.parametrize("begins", [[0, 1, 8388610, 0], [0, 1, -254]])
def test_columns_of_a_sparse_matrix_that_run_backwards_are_refused(begins: list[int], tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
        group = file.create_group("resp")
        group.attrs["MATLAB_class"], group.attrs["MATLAB_sparse"] = np.bytes_("double"), np.uint64(3)
        group["data"], group["ir"], group["jc"] = np.array([1.0, 2.0]), np.array([0, 1]), np.array(begins)
    with pytest.raises(DataError, match="the columns of the sparse matrix resp must follow one another"):
        read_mat(tmp_path / "a.mat", ["resp"])


def test_a_sparse_matrix_that_claims_more_than_memory_is_refused(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {"resp": csc_matrix(([1.0], ([0], [0])), shape=(10**6, 10**6))})
    with pytest.raises(DataError, match="resp is sparse and 1000000 x 1000000, more than 64 GiB when full"):
        read_mat(tmp_path / "a.mat", ["resp"])


@pytest.mark.parametrize(
    ("variable", "place", "value", "said"),
    [
        (np.ones((3, 4)), 144, 99, "x is of the unknown kind 99"),
        (np.ones((3, 4)), 164, 2**20, "x has 96 bytes for 3145728 numbers"),
        (np.ones((3, 4)), 152, 0x10005, "an array states its axes in 1 bytes"),
        (np.ones((3, 4)), 176, 200, "an element of type 200 and 96 bytes is out of place"),
        (np.ones((3, 4)), 180, 2**32 - 1, "a variable was cut off"),
        (cells("a", 1.0), 164, 2**28, r"x claims 268435456 entries of 1 fields in \d+ bytes"),
        (cells("a", 1.0), 184, 9, "does not say what it is|out of place"),
        (csc_matrix(np.eye(3)), 212, 2**31 - 1, "the columns of the sparse matrix x must follow one another"),
        (csc_matrix(np.eye(3)), 188, 77, "indices must be < 3"),
        (csc_matrix(np.eye(3)), 160, 2**27, "x is sparse and 134217728 x 3, but holds 3 numbers"),
    ],
)
def test_an_array_that_contradicts_itself_is_refused(variable: Any, place: int, value: int, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"x": variable})
    content = bytearray(path.read_bytes())
    content[place : place + 4] = value.to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(DataError, match=said):
        read_mat(path, ["x"])


def test_words_of_varying_length_without_end_are_refused(tmp_path: Path) -> None:
    path = write_mat(tmp_path / "a.mat", {"x": np.ones((2, 2))}, "7.3")
    with h5py.File(path, "a") as file:
        file["x"].attrs.create("names", ["a", "bc"], dtype=h5py.string_dtype())
    assert "x" in read_mat(path, ["x"])
    content = bytearray(path.read_bytes())
    first = content.index(b"GCOL") + 16
    content[first : first + 16] = bytes(16)  # what is left, and it is nothing
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged or unfinished where it keeps words of varying length"):
        read_mat(path, ["x"])


def test_cells_that_hold_themselves_are_refused(tmp_path: Path) -> None:
    path = write_mat(tmp_path / "a.mat", {"x": np.ones((2, 2))}, "7.3")
    with h5py.File(path, "a") as file:
        file.create_dataset("loop", (1,), dtype=h5py.ref_dtype)[0] = file["x"].ref
        file["loop"][0] = file["loop"].ref
    with pytest.raises(DataError, match=r"loop.* is nested more than 20 deep"):
        read_mat(path, ["loop"])
