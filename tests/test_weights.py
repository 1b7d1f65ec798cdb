"""Weight files: written whole or not at all, every flipped bit found, nothing pickled is opened."""

import errno
import os
import pickle

import pytest
import torch

from dina import weights
from dina.checks import DataError
from dina.weights import read_weights, write_weights


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "model.safetensors"
    tensors = {"weight": torch.arange(12.0).reshape(3, 4), "n": torch.tensor(7), "half": torch.ones(3, dtype=torch.bfloat16)}
    write_weights(path, tensors, {"epoch": 3, "name": "é"})
    return path, tensors


def test_what_is_written_is_read_back(written):
    path, tensors = written
    found, content = read_weights(path)
    assert content == {"epoch": 3, "name": "é"}
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


def test_equal_weights_give_equal_files(written, tmp_path):
    path, tensors = written
    write_weights(tmp_path / "again.safetensors", tensors, {"name": "é", "epoch": 3})
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_every_flipped_bit_is_found(written):
    path, _ = written
    whole = path.read_bytes()
    for offset in range(len(whole)):
        damaged = bytearray(whole)
        damaged[offset] ^= 1 << (offset % 8)
        path.write_bytes(damaged)
        with pytest.raises(DataError):
            read_weights(path)


def test_every_truncation_is_found(written):
    path, _ = written
    whole = path.read_bytes()
    for length in range(0, len(whole), 13):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="as it was written"):
            read_weights(path)


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors"])
def test_a_pickle_is_refused_whatever_its_name_and_never_run(tmp_path, name):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "trapped"),))

    (tmp_path / name).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DataError, match=r"pickled files .* are refused because they can run code"):
        read_weights(tmp_path / name)
    torch.save({"weight": torch.ones(2)}, tmp_path / name)
    with pytest.raises(DataError, match="refused"):
        read_weights(tmp_path / name)
    assert not (tmp_path / "trapped").exists()


def test_a_file_of_a_newer_version_says_so(written, monkeypatch):
    path, tensors = written
    monkeypatch.setattr(weights, "FORMAT_VERSION", 3)
    write_weights(path, tensors, {})
    monkeypatch.setattr(weights, "FORMAT_VERSION", 2)
    with pytest.raises(DataError, match=r"has format 3; this version of dina reads up to 2\. Upgrade"):
        read_weights(path)


def test_foreign_safetensors_and_missing_files_are_named(tmp_path):
    from safetensors.torch import save_file

    save_file({"weight": torch.ones(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(DataError, match=r"foreign\.safetensors holds no description of a dina model"):
        read_weights(tmp_path / "foreign.safetensors")
    with pytest.raises(DataError, match="does not exist"):
        read_weights(tmp_path / "absent.safetensors")


def test_a_save_that_fails_leaves_the_old_file(written, monkeypatch):
    path, _ = written
    whole = path.read_bytes()

    def fail(descriptor):
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=r"No space left on device.*model\.safetensors"):
        write_weights(path, {"weight": torch.zeros(5)}, {})
    assert path.read_bytes() == whole
    assert [p.name for p in path.parent.iterdir()] == ["model.safetensors"]
