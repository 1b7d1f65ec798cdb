"""The session that withholds category: both categories have the same patches, and only the planted neurons know which is which."""

from types import ModuleType

import numpy as np
import pytest

from benchmark_scripts import import_script
from dina.recordings.recording import Recording


@pytest.fixture
def module() -> ModuleType:
    return import_script("withheld_category")


@pytest.fixture
def planted(module: ModuleType) -> tuple[Recording, Recording]:
    from dina.recordings.simulator import simulate  # imported here: it takes a moment

    plain = simulate("demo", 0, settings={"n_neurons": 30, "n_stimuli": 400, "n_spontaneous": 0})
    return plain, module.plant_category(plain, 0)


def test_every_image_has_as_many_patches_of_either_direction(module: ModuleType, planted: tuple[Recording, Recording]) -> None:
    _, recording = planted
    wave = np.cos(2 * np.pi * (np.arange(module.SIDE) - (module.SIDE - 1) / 2) / module.WAVELENGTH)
    upright = np.rint(module.GREY + module.CONTRAST * np.tile(wave, (module.SIDE, 1)))
    found = np.zeros(recording.n_stimuli)
    for top in range(recording.images.shape[2] - module.SIDE + 1):
        for left in range(recording.images.shape[3] - module.SIDE + 1):
            window = recording.images[:, 0, top : top + module.SIDE, left : left + module.SIDE]
            found += (window == upright).all(axis=(1, 2))
    np.testing.assert_array_equal(found, module.ROWS * module.COLUMNS)


def test_only_the_planted_neurons_changed_and_only_they_tell_the_category(
    module: ModuleType, planted: tuple[Recording, Recording]
) -> None:
    plain, recording = planted
    is_planted = (plain.responses != recording.responses).any(axis=0)
    assert int(is_planted.sum()) == module.N_SEMANTIC
    is_alike = (recording.labels == "alike")[recording.stimulus_id]
    means = [recording.responses[rows].mean(axis=0) for rows in (is_alike, ~is_alike)]
    apart = np.abs(means[0] - means[1]) / recording.responses.std(axis=0)
    # 800 trials: the difference of two means of 400 has a standard error of 0.07 deviations
    assert float(apart[is_planted].max()) > 0.4
    assert float(apart[~is_planted].max()) < 0.3
    assert recording.truth is None
