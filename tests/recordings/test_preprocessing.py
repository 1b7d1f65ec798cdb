"""The original analysis' preprocessing does what the authors' script does, and sees no stimulus response."""

from dataclasses import replace

import numpy as np
import pytest

from dina.checks import DataError
from dina.recordings import Recording
from dina.recordings.preprocessing import preprocess_like_original

N_NEURONS, N_TIMES = 40, 60


def a_recording() -> Recording:
    generator = np.random.default_rng(0)
    shared = generator.standard_normal((N_TIMES, 3)) @ generator.standard_normal((3, N_NEURONS))
    return Recording(
        name="mouse7",
        images=generator.integers(0, 256, (6, 1, 8, 9)).astype(np.uint8),
        stimulus_id=np.tile(np.arange(6), 2),
        responses=(generator.random((12, N_NEURONS)) * 5).astype(np.float32),
        is_red=np.arange(N_NEURONS) % 10 == 0,
        spontaneous=(3 + shared + generator.standard_normal((N_TIMES, N_NEURONS))).astype(np.float32),
    )


def by_the_published_steps(recording: Recording, n_components: int) -> np.ndarray:
    """The authors' steps in float64 and with a full singular value decomposition."""
    assert recording.spontaneous is not None
    assert recording.is_red is not None
    spontaneous = recording.spontaneous[:, ~recording.is_red].astype(np.float64)
    responses = recording.responses[:, ~recording.is_red].astype(np.float64)
    mean, deviation = spontaneous.mean(axis=0), spontaneous.std(axis=0) + 1e-6
    vectors = np.linalg.svd((spontaneous - mean) / deviation, full_matrices=False)[2][:n_components]
    z = (responses - mean) / deviation
    return z - z @ vectors.T @ vectors


@pytest.mark.parametrize("n_components", [0, 1, 8])
def test_it_equals_the_published_steps(n_components: int) -> None:
    found = preprocess_like_original(a_recording(), n_components)
    expected = by_the_published_steps(a_recording(), n_components)
    np.testing.assert_allclose(found.responses, expected, atol=2e-5)  # float32 sums over 36 neurons of size about 5


def test_removed_components_are_absent_from_spontaneous_activity_too() -> None:
    found = preprocess_like_original(a_recording(), 3)
    assert found.spontaneous is not None
    before = np.linalg.svd(preprocess_like_original(a_recording(), 0).spontaneous, compute_uv=False)
    after = np.linalg.svd(found.spontaneous, compute_uv=False)
    np.testing.assert_allclose(after[: len(after) - 3], before[3:], rtol=1e-4)  # float32; the first three are gone


def test_no_trial_can_influence_another() -> None:
    recording = a_recording()
    poisoned = recording.responses.copy()
    poisoned[6:] = 1e6
    clean = preprocess_like_original(recording, 4).responses
    np.testing.assert_array_equal(preprocess_like_original(replace(recording, responses=poisoned), 4).responses[:6], clean[:6])


def test_it_is_the_same_each_time_and_leaves_the_recording_alone() -> None:
    recording = a_recording()
    before = recording.fingerprint()
    first, second = preprocess_like_original(recording), preprocess_like_original(recording)
    np.testing.assert_array_equal(first.responses, second.responses)
    assert recording.fingerprint() == before
    assert first.notes == (
        "4 red (GAD+) neurons were dropped.",
        "Responses are in units of spontaneous standard deviation.",
        "The projection on 32 principal components of spontaneous activity was subtracted.",
    )


def test_it_refuses_without_enough_spontaneous_activity() -> None:
    recording = a_recording()
    with pytest.raises(DataError, match="needs spontaneous activity; mouse7 has none"):
        preprocess_like_original(replace(recording, spontaneous=None))
    with pytest.raises(DataError, match=r"n_components must be an integer between 0 and .* 35; got 36"):
        preprocess_like_original(recording, 36)
    with pytest.raises(DataError, match="All 40 neurons of mouse7 are marked red"):
        preprocess_like_original(replace(recording, is_red=np.ones(N_NEURONS, bool)))
