"""One session comes in by every door with the same images, the same trials and the same responses."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from benchmark_scripts import import_script
from dina.recordings import Recording, read

N_TRIALS = 40


@pytest.fixture(scope="module")
def writing() -> ModuleType:
    return import_script("write_recordings")


@pytest.fixture(scope="module")
def session() -> Recording:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (10, 1, 12, 16)).astype(np.uint8)
    ids = np.concatenate([random.permutation(10) for _ in range(4)])
    return Recording("s", images, ids, random.random((N_TRIALS, 6)).astype(np.float32))


NWB = pytest.param("nwb", marks=pytest.mark.long)  # pynwb takes two seconds to import; test_nwb.py reads what it writes


@pytest.mark.parametrize("name", [NWB, "sensorium", "suite2p", "spike_times", "mat", "things"])
def test_every_door_gives_the_same_session(name: str, writing: ModuleType, session: Recording, tmp_path: Path) -> None:
    found = read(writing.WRITERS[name](session, tmp_path / name))
    shown = found.images[found.stimulus_id]  # grey pictures of THINGS come as colours that are all the same
    np.testing.assert_array_equal(shown, np.repeat(session.images[session.stimulus_id], shown.shape[1], axis=1))
    expected = (
        4.0 * writing.spike_counts(session) if name == "spike_times" else session.responses
    )  # spikes of a quarter of a second
    np.testing.assert_allclose(found.responses, expected, rtol=1e-6)  # float32
    assert set(writing.WRITERS) == {"nwb", "sensorium", "suite2p", "spike_times", "mat", "things"}
