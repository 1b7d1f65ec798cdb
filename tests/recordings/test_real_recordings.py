"""The published recordings beside the repository come in through the descriptions in examples/recordings."""

from pathlib import Path

import numpy as np
import pytest

from dina.recordings import Recording, read

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / ".." / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the published recordings are not beside the repository")


def example(name: str) -> Recording:
    return read(ROOT / "examples" / "recordings" / f"{name}.toml")


def test_averages_of_macaque_v4_come_with_their_photographs() -> None:
    recording = example("cowley2023_201025")
    stored = np.load(DATA / "cowley2023_macaqueV4" / "201025" / "responses_201025.npy")
    assert recording.images.shape == (1200, 3, 112, 112)
    np.testing.assert_array_equal(recording.responses, stored.T.astype(np.float32))
    assert recording.n_presentations is not None
    assert set(recording.n_presentations) == {12}


def test_single_trials_of_macaque_v4_come_without_the_absent_ones() -> None:
    recording = example("cowley2023_210325")
    stored = np.load(DATA / "cowley2023_macaqueV4" / "210325" / "responses_raw_210325.npy")
    counts = recording.repeats_per_stimulus()
    assert recording.n_trials == 4840
    assert (counts.min(), counts.max()) == (6, 10)
    means = np.stack([recording.responses[recording.stimulus_id == i].mean(axis=0) for i in range(640)])
    np.testing.assert_allclose(means, np.nanmean(stored, axis=2).T, atol=1e-5)  # float32 means of spike counts up to 20


def test_mouse_v1_comes_with_its_fifty_images() -> None:
    recording = example("antolik2016_region1")
    folder = DATA / "antolik2016_mouseV1" / "region1"
    means = np.stack([recording.responses[recording.stimulus_id == i].mean(axis=0) for i in range(50)])
    np.testing.assert_allclose(means, np.load(folder / "validation_set.npy"), atol=1e-5)  # their file of averages
    assert recording.images.shape == (50, 1, 31, 31)
    assert 0 <= recording.images.min() < recording.images.max() <= 255.001  # 8-bit levels, after float rounding
    flat = np.load(folder / "validation_inputs.npy")
    np.testing.assert_allclose(recording.images[7, 0, 3, 5], flat[7, 3 * 31 + 5] * 1e6, rtol=1e-6)
