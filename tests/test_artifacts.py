"""Files are written whole or not at all, and a changed file is found by its checksum."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from dina.artifacts import atomic_path, sha256_of, write_dataset, write_json, write_text
from dina.checks import DataError
from forked import kill_while_repeating


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "summary.json"
    write_text(target, "old")
    with pytest.raises(RuntimeError, match="power"), atomic_path(target) as temporary:
        temporary.write_text("new, but on")
        raise RuntimeError("power")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


def test_a_file_is_flushed_before_it_is_put_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    flush, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (order.append("flush"), flush(handle))[1])
    monkeypatch.setattr(Path, "replace", lambda self, to: (order.append("replace"), replace(self, to))[1])
    write_text(tmp_path / "a.txt", "text")
    # the content before the name, the name of the file after
    assert order == ["flush", "replace", "flush"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_an_error_of_the_disk_at_any_step_names_the_file_and_keeps_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    target = tmp_path / "summary.json"
    write_text(target, "old")

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (Path, "replace")), fail)
    with pytest.raises(OSError, match=r"summary\.json") as caught:
        write_text(target, "new")
    monkeypatch.undo()
    assert (caught.value.errno, caught.value.filename) == (number, str(target))
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


def test_a_full_disk_in_the_words_of_hdf5_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"No space left on device: '.*a\.nc'"), atomic_path(tmp_path / "a.nc") as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError("Disable slist on flush dest failure failed (errno = 28, error message = 'No space left on device')")
    assert not list(tmp_path.iterdir())


def test_a_process_killed_while_writing_leaves_a_whole_file(tmp_path: Path) -> None:
    target = tmp_path / "scores.json"
    for delay in (0.0, 0.03, 0.07):
        kill_while_repeating(lambda number: write_json(target, [number] * 200_000), 1, delay)
        values = np.array(json.loads(target.read_text()))
        assert len(values) == 200_000
        assert np.ptp(values) == 0


def test_a_link_a_folder_and_a_device_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("kept")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    for place in (tmp_path / "link.txt", tmp_path, Path("/dev/null")):
        with pytest.raises(DataError, match="regular file"):
            write_text(place, "gone")
    assert (tmp_path / "real.txt").read_text() == "kept"


def test_json_refuses_nan_and_writes_the_same_bytes_twice(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"top1": float("nan")})
    write_json(tmp_path / "a.json", {"top1": 0.5, "name": "Müller"})
    write_json(tmp_path / "b.json", {"top1": 0.5, "name": "Müller"})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert "Müller" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_equal_datasets_give_equal_bytes_and_come_back(tmp_path: Path) -> None:
    scores = np.arange(12, dtype=np.float32).reshape(3, 4)
    label = np.array(["a", "ü", "", "d"], dtype=object)
    dataset = xr.Dataset({"scores": (("query", "gallery"), scores), "label": ("gallery", label), "none": ("x", np.zeros(0))})
    write_dataset(tmp_path / "a.nc", dataset)
    write_dataset(tmp_path / "b.nc", dataset)
    assert sha256_of(tmp_path / "a.nc") == sha256_of(tmp_path / "b.nc")
    with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as found:
        xr.testing.assert_equal(found.load(), dataset)


def test_a_flipped_bit_in_a_dataset_is_an_error(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(100, 100))
    write_dataset(tmp_path / "a.nc", xr.Dataset({"scores": (("query", "gallery"), values)}))
    content = bytearray((tmp_path / "a.nc").read_bytes())
    position = content.index(values[50, :4].tobytes())
    content[position] ^= 1
    (tmp_path / "a.nc").write_bytes(bytes(content))
    with (
        pytest.raises(OSError, match=r"fletcher32|checksum|filter"),
        xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as found,
    ):
        found.load()


def test_arrays_are_compressed_where_they_ask_for_it(tmp_path: Path) -> None:
    dataset = xr.Dataset({"many": ("place", np.zeros(10_000)), "few": ("place", np.zeros(10_000))})
    dataset["many"].encoding = {"zlib": True, "complevel": 1}
    write_dataset(tmp_path / "a.nc", dataset)
    with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as read:
        assert read["many"].encoding["zlib"]
        assert not read["few"].encoding["zlib"]
        assert read["many"].encoding["fletcher32"]
        np.testing.assert_array_equal(read["many"], dataset["many"])
    assert (tmp_path / "a.nc").stat().st_size < 100_000
