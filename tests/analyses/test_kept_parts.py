"""Parts that were computed are read back unchanged; what cannot be read is computed again."""

from pathlib import Path

import numpy as np
import pytest

from dina.analyses.decoded import Arrays, KeptParts


def compute() -> Arrays:
    return {"top1": np.array([0.1, 1 / 3]), "shape": np.array((4, 16, 64))}


def fail() -> Arrays:
    raise KeyboardInterrupt


def test_a_part_is_computed_once_and_read_back_exactly(tmp_path: Path) -> None:
    kept = KeptParts(tmp_path / "parts")
    kept.get("16 × 64", compute)
    again = kept.get("16 × 64", fail)
    assert {name: array.tolist() for name, array in again.items()} == {name: array.tolist() for name, array in compute().items()}


def test_without_a_folder_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    KeptParts().get("a", compute)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyboardInterrupt):
        KeptParts().get("a", fail)


def test_a_part_that_was_not_finished_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        KeptParts(tmp_path).get("a", fail)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 nothing more", b"no archive"])
def test_a_damaged_part_is_computed_again(tmp_path: Path, damage: bytes) -> None:
    kept = KeptParts(tmp_path)
    kept.get("a", compute)
    (part,) = tmp_path.iterdir()
    part.write_bytes(damage)
    assert kept.get("a", compute)["top1"].tolist() == compute()["top1"].tolist()
    assert kept.get("a", fail)["top1"].tolist() == compute()["top1"].tolist()


def test_a_small_archive_that_unpacks_to_much_is_never_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", top1=np.zeros(10**6))
    assert KeptParts(tmp_path).get("a", compute)["top1"].tolist() == compute()["top1"].tolist()


def test_an_array_of_objects_is_never_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", top1=np.array([{"code": 1}], dtype=object))
    assert KeptParts(tmp_path).get("a", compute)["top1"].tolist() == compute()["top1"].tolist()
