"""The package's own file gives back what was written, or says that it is damaged."""

import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from dina.checks import DataError
from dina.recordings import Recording, read


def full_recording() -> Recording:
    generator = np.random.default_rng(0)
    return Recording(
        name="mouse7",
        images=generator.integers(0, 256, (6, 1, 8, 9)).astype(np.uint8),
        stimulus_id=np.tile(np.arange(6), 2),
        responses=generator.random((12, 5)).astype(np.float32),
        n_presentations=np.arange(1, 13),
        condition="white",
        image_set="natimg2800",
        animal="MP032",
        mid_grey=127.5,
        contrast_scale=60.0,
        deg_per_pixel=0.5,
        neuron_position_um=np.where(np.eye(5, 3) > 0, np.nan, 7.0).astype(np.float32),
        is_red=np.arange(5) > 3,
        spontaneous=generator.random((4, 5)).astype(np.float32),
        labels=np.array(["cat", "", "Käse", "cat", "a, b", "<b>"]),
        notes=("one.", "two."),
    )


@pytest.mark.parametrize("name", ["mouse7.nc", "mouse7.zarr"])
def test_what_is_written_is_read_back_the_same(name: str, tmp_path: Path) -> None:
    written = full_recording()
    written.write(tmp_path / name)
    found = read(tmp_path / name)
    assert found.fingerprint() == written.fingerprint()
    for field in ("name", "condition", "image_set", "animal", "mid_grey", "contrast_scale", "deg_per_pixel", "notes"):
        assert getattr(found, field) == getattr(written, field), field
    for field in ("n_presentations", "neuron_position_um", "is_red", "spontaneous", "labels"):
        np.testing.assert_array_equal(getattr(found, field), getattr(written, field), err_msg=field)
    assert [p.name for p in tmp_path.iterdir()] == [name]  # no temporary file is left


def test_what_was_absent_stays_absent(tmp_path: Path) -> None:
    plain = full_recording()
    written = Recording(plain.name, plain.images, plain.stimulus_id, plain.responses)
    written.write(tmp_path / "plain.nc")
    found = read(tmp_path / "plain.nc")
    for field in ("animal", "deg_per_pixel", "neuron_position_um", "is_red", "spontaneous", "labels", "truth"):
        assert getattr(found, field) is None, field


def test_any_flipped_bit_is_reported_or_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mouse7.nc"
    written = full_recording()
    written.write(path)
    good = path.read_bytes()
    reported = 0
    for offset in np.random.default_rng(1).choice(len(good), 30, replace=False):
        damaged = bytearray(good)
        damaged[offset] ^= 1 << int(offset % 8)
        path.write_bytes(damaged)
        try:
            found = read(path)
        except DataError:
            reported += 1
        else:  # unused space of the file: then all content must be the same
            assert found.fingerprint() == written.fingerprint()
            assert (found.name, found.notes, found.deg_per_pixel) == (written.name, written.notes, written.deg_per_pixel)
            np.testing.assert_array_equal(found.labels, written.labels)
    assert reported > 3


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 0.9])
def test_a_file_cut_off_is_reported(fraction: float, tmp_path: Path) -> None:
    path = tmp_path / "mouse7.nc"
    full_recording().write(path)
    os.truncate(path, int(fraction * path.stat().st_size))
    with pytest.raises(DataError, match="damaged or unfinished"):
        read(path)


def test_a_missing_or_altered_chunk_of_a_zarr_folder_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "mouse7.zarr"
    full_recording().write(path)
    chunk = next(p for p in (path / "responses").rglob("*") if p.is_file() and p.name != "zarr.json")
    chunk.unlink()  # zarr itself would read zeros
    with pytest.raises(DataError, match="SHA-256 of the content expected"):
        read(path)


def test_a_zarr_folder_is_never_overwritten(tmp_path: Path) -> None:
    full_recording().write(tmp_path / "mouse7.zarr")
    with pytest.raises(DataError, match="exists already"):
        full_recording().write(tmp_path / "mouse7.zarr")


def test_a_disk_too_small_is_named_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    with pytest.raises(OSError, match=r"No space left on device: '.*mouse7\.nc'"):
        full_recording().write(tmp_path / "mouse7.nc")
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_of_a_zarr_folder_is_swept(tmp_path: Path) -> None:
    for name in ("12345678", "87654321"):
        (tmp_path / f".mouse7.zarr.{name}.tmp/responses").mkdir(parents=True)
    os.utime(tmp_path / ".mouse7.zarr.12345678.tmp", (0, 0))
    full_recording().write(tmp_path / "mouse7.zarr")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mouse7.zarr.87654321.tmp", "mouse7.zarr"]


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a .nc file .* or a .zarr folder; got 'mouse7.h5'"):
        full_recording().write(tmp_path / "mouse7.h5")


def test_links_out_of_a_file_are_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "mouse7.nc"
    full_recording().write(path)
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["responses"] = np.zeros((12, 5))
    with h5py.File(path, "a") as file:
        del file["responses"]
        file["responses"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/responses")
    with pytest.raises(DataError, match="/responses is a link, and links are not followed"):
        read(path)


def test_groups_nested_without_end_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.nc"
    with h5py.File(path, "w") as file:
        file.create_group("/".join("abcdefghijklmnopqrstuvwxyz"))
    with pytest.raises(DataError, match="nested more than 20 deep"):
        Recording.read(path)


def test_links_in_a_zarr_folder_are_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "mouse7.zarr"
    full_recording().write(path)
    (path / "extra").symlink_to(tmp_path)
    with pytest.raises(DataError, match="extra is a link"):
        read(path)


def test_data_in_another_file_and_sizes_without_data_are_refused(tmp_path: Path) -> None:
    layout = h5py.VirtualLayout((4, 4), dtype="f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", shape=(4, 4))
    with h5py.File(tmp_path / "virtual.nc", "w") as file:
        file.create_virtual_dataset("responses", layout)
    with pytest.raises(DataError, match="keeps its data in another file"):
        read(tmp_path / "virtual.nc")
    with h5py.File(tmp_path / "hollow.nc", "w") as file:
        file.create_dataset("responses", shape=(10**6, 10**4), dtype="f4", chunks=(1000, 1000))
    with pytest.raises(DataError, match=r"claims 37.3 GiB, but the file holds 0 bytes"):
        read(tmp_path / "hollow.nc")


def test_data_compressed_by_a_plug_in_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "packed.nc", "w") as file:
        file.create_dataset("responses", data=np.zeros((4, 4)), compression="lzf")  # its plug-in comes with h5py
    with pytest.raises(DataError, match=r"/responses is compressed by a plug-in \(filter 32000\)"):
        read(tmp_path / "packed.nc")


def test_one_array_under_many_names_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "many.nc"
    with h5py.File(path, "w") as file:
        file["first"] = np.zeros(1000)
        for number in range(50):
            file[f"name{number}"] = file["first"]
    with pytest.raises(DataError, match=r"/name0 is /first under another name"):
        read(path)


def test_one_long_word_under_many_places_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    path, n_words = tmp_path / "words.nc", 2000
    with h5py.File(path, "w") as file:
        file["labels"] = np.array(["x" * 2**20, *["y"] * n_words], dtype=object)
        begin = file["labels"].id.get_offset()
    content = bytearray(path.read_bytes())
    content[begin : begin + 16 * n_words] = content[begin : begin + 16] * n_words  # every place now names the long word
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"/labels holds more than 64 MiB of words"):
        read(path)


def test_rows_of_unequal_length_and_long_lists_of_words_as_attributes_are_refused(tmp_path: Path) -> None:
    for name, content, said in (
        ("rows.nc", lambda file: file.create_dataset("a", (3,), h5py.vlen_dtype(np.int32)), "/a has rows of unequal length"),
        ("words.nc", lambda file: file.attrs.create("a", ["x"] * 4000), "attribute a of / holds 4000 words"),
    ):
        with h5py.File(tmp_path / name, "w") as file:
            content(file)
            file["filler"] = np.zeros(3 * 2**20)  # each word could be as long as the file
        with pytest.raises(DataError, match=said):
            read(tmp_path / name)


def test_a_group_that_holds_itself_does_not_keep_the_reader_busy(tmp_path: Path) -> None:
    path = tmp_path / "circle.nc"
    with h5py.File(path, "w") as file:
        group = file.create_group("a")
        group["b"] = group["c"] = group
    with pytest.raises(DataError, match="under another name"):
        read(path)


def test_a_zarr_array_that_claims_more_than_its_folder_holds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mouse7.zarr"
    full_recording().write(path)
    described = path / "responses" / "zarr.json"
    content = json.loads(described.read_text())
    content["shape"] = [10**7, 10**5]
    described.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"responses claims .* GiB, but its folder holds"):
        read(path)


def test_a_file_of_a_newer_version_or_of_others_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "foreign.nc", "w") as file:
        file["x"] = np.arange(3)
    with pytest.raises(DataError, match="was not written by dina"):
        read(tmp_path / "foreign.nc")
    newer = full_recording().to_dataset().assign_attrs(dina_format=99)
    with pytest.raises(DataError, match="between 1 and 1; got 99"):
        Recording.from_dataset(newer)
    path = tmp_path / "mouse7.zarr"
    full_recording().write(path)
    description = path / "zarr.json"
    content = json.loads(description.read_text())
    content["attributes"]["name"] = "another"
    description.write_text(json.dumps(content))
    with pytest.raises(DataError, match="SHA-256"):
        read(path)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("codecs", [{"name": "numcodecs.lz4", "configuration": {}}], "responses is stored with numcodecs.lz4"),
        ("chunk_grid", {"name": "regular", "configuration": {"chunk_shape": [10**6, 10**6]}}, "responses claims .* GiB"),
        ("chunk_grid", {"name": "regular", "configuration": {"chunk_shape": [-1, 2]}}, r"mouse7\.zarr"),
    ],
)
def test_a_zarr_array_of_foreign_codecs_or_boundless_chunks_is_refused(
    key: str, value: object, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "mouse7.zarr"
    full_recording().write(path)
    described = path / "responses" / "zarr.json"
    described.write_text(json.dumps(json.loads(described.read_text()) | {key: value}))
    with pytest.raises(DataError, match=said):
        read(path)


def test_an_array_of_another_version_of_zarr_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "mouse7.zarr"
    full_recording().write(path)
    (path / "responses" / "zarr.json").unlink()
    pickled = {"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "|O", "filters": [{"id": "pickle"}], "order": "C"}
    (path / "responses" / ".zarray").write_text(json.dumps(pickled | {"compressor": None, "fill_value": 0}))
    (path / "responses" / "0").write_bytes(b"cos\nabort\n(tR.")  # would end this process
    with pytest.raises(DataError, match=r"mouse7\.zarr"):
        read(path)
