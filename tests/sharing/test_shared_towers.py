"""Towers and arrays that each release shared are read by this one, with the same scores; what was changed or is newer is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import dina
from dina.checks import DataError
from dina.signed_folder import write_checksums

KEPT = Path(__file__).parent / "release_0_1"
RELEASES = sorted(path.name for path in KEPT.parent.glob("release_*") if path.is_dir())
SAME = 1e-5  # scores of order 1 in single precision


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(KEPT, tmp_path / "shared"))


def test_a_folder_of_this_release_is_kept() -> None:
    assert f"release_{'_'.join(dina.__version__.split('.')[:2])}" in RELEASES, "run python tests/sharing/make_kept_export.py"


@pytest.mark.parametrize("release", RELEASES)
def test_towers_of_each_release_score_as_they_did(release: str) -> None:
    kept = KEPT.parent / release
    shared = dina.load(kept)
    described = json.loads((kept / "model" / "export.json").read_text(encoding="utf-8"))
    assert described["dina_version"].startswith(release.removeprefix("release_").replace("_", ".") + ".")
    with np.load(kept.with_suffix(".npz"), allow_pickle=False) as shown:
        images, responses, place = shown["images"], shown["responses"], shown["place"]
    stored = shared.arrays("retrieval_dina")
    averaged = shared.score(responses, images, place)
    np.testing.assert_allclose(averaged, stored["scores_averaged"], atol=SAME)
    np.testing.assert_allclose(shared.score(responses, images), stored["scores_single_trial"], atol=SAME)
    assert shared.encode_responses(responses[:2]).shape == (2, *shared.encode_images(images).shape[1:])
    parts = shared.arrays("embeddings")
    products = parts["response_embedding"].to_numpy() @ parts["image_embedding"].to_numpy().T
    found = products + parts["image_offset"].to_numpy() - parts["response_offset"].to_numpy()[:, None]
    np.testing.assert_allclose(found, averaged, atol=SAME)
    assert shared.arrays("maps")["image_map"].dims == ("image", "channel", "map_height", "map_width")


def test_its_representation_is_one_short_line() -> None:
    shown = repr(dina.load(KEPT / "model"))
    assert shown.startswith("SharedTowers('towers' of 'simulated-demo")
    assert "\n" not in shown
    assert len(shown) < 300


@pytest.mark.parametrize("name", ["model/model.safetensors", "model/export.json", "data/arrays/maps.nc"])
def test_a_changed_file_is_refused(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=r"must be as it was written"):
        dina.load(folder).arrays("maps")


def test_what_cannot_be_read_is_refused_in_a_sentence(folder: Path) -> None:
    shared = dina.load(folder)
    with pytest.raises(DataError, match=r"responses must be \(n_trials, 12\)"):
        shared.encode_responses(np.zeros((2, 13)))
    with pytest.raises(DataError, match=r"images must be \(n_images, 1, 16, 24\).*Resize them"):
        shared.encode_images(np.zeros((2, 16, 20)))
    with pytest.raises(DataError, match=r"images must be \(n_images, 1, 16, 24\).*For one image, give images\[None\]"):
        shared.encode_images(np.zeros((16, 24)))
    with pytest.raises(DataError, match=r"a number for each of 2 trials"):
        shared.score(np.zeros((2, 12)), np.zeros((1, 1, 16, 24)), [0])
    with pytest.raises(DataError, match=r"no arrays 'map'. Choose from: embeddings, maps"):
        shared.arrays("map")
    with pytest.raises(DataError, match=r"no towers 'fold1'. Choose from: towers"):
        dina.load(folder, "fold1")
    with pytest.raises(DataError, match=r"must hold export.json"):
        dina.load(folder / "data")


def _described(folder: Path, **changes: object) -> None:
    path = folder / "model" / "export.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    write_checksums(folder / "model")


def test_a_newer_or_damaged_description_is_refused(folder: Path) -> None:
    _described(folder, dina_export=2)
    with pytest.raises(DataError, match=r"format 2; this version of dina reads up to 1. Upgrade dina"):
        dina.load(folder)
    _described(folder, dina_export=1, towers={"towers": {"file": "../../secret", "recording": 3, "preset": "scratch"}})
    with pytest.raises(DataError, match=r"is damaged"):
        dina.load(folder)
    _described(folder, towers={"towers": {"file": "../model.safetensors", "recording": "one", "preset": "scratch"}})
    with pytest.raises(DataError, match=r"lies outside"):
        dina.load(folder)


def test_of_several_towers_one_must_be_named(folder: Path) -> None:
    described = json.loads((folder / "model" / "export.json").read_text())["towers"]["towers"]
    _described(folder, towers={"fold1": described, "fold2": described})
    with pytest.raises(DataError, match=r"several towers. Say which with name=: fold1, fold2"):
        dina.load(folder)
    assert dina.load(folder, "fold2").name == "fold2"
