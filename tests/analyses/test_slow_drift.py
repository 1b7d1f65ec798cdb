"""Slow drift is named and removed before noise correlations are spoken of; interactions under drift are still found."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from dina.analyses import RULES
from dina.analyses.decoded import Decoded, decode
from dina.analyses.noise_shuffle.compute import analyse_noise_shuffle
from dina.analyses.slow_drift import find_drift, without_drift
from dina.analyses.verdict import judge
from dina.recordings.recording import Recording
from dina.recordings.simulator import simulate
from dina.training.fit import FitSettings
from dina.training.presets.default import DefaultSettings

SIZE = {"n_neurons": 80, "n_stimuli": 300, "n_repeats": 6, "height": 24, "width": 48, "n_subunits": 60, "n_spontaneous": 0}
INDEPENDENT = {"broad_noise": 0.0, "information_limit": 0.0, "signal_to_noise": 1.0}


def drifting(recording: Recording, size: float, seed: int) -> Recording:
    """Add a slow sinusoid of its own to every neuron, with an amplitude of ``size`` standard deviations of its responses."""
    generator = np.random.default_rng(seed)
    time = np.arange(recording.n_trials)[:, None] / recording.n_trials
    period, phase = generator.uniform(0.5, 3, recording.n_neurons), generator.uniform(0, 2 * np.pi, recording.n_neurons)
    drift = size * recording.responses.std(axis=0) * np.sin(2 * np.pi * time * period + phase)
    return replace(recording, responses=(recording.responses + drift).astype(np.float32))


@cache
def decode_drifting(seed: int, size: float, spaces: tuple[str, ...] = (), **planted: float) -> Decoded:
    recording = drifting(simulate("demo", seed, settings={**SIZE, **INDEPENDENT, **planted}), size, seed)
    towers = DefaultSettings(spaces=spaces, stride=2, widths=(0.75, 1.5), n_orientations=2, fit=FitSettings(n_epochs=0))
    return decode(recording, "default", towers, seed=seed, test_fraction=0.25, n_resamples=500)


def verdict_of(decoded: Decoded) -> tuple[str, str]:
    findings = {finding.name: finding for finding in analyse_noise_shuffle(decoded).findings()}
    answer = judge([RULES["functional_interactions"]], {"noise_shuffle": findings})[0]
    return answer.verdict, answer.reason


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long)])
def test_drift_of_independent_neurons_is_no_interaction(seed: int) -> None:
    verdict, reason = verdict_of(decode_drifting(seed, 1.0))

    assert verdict == "cannot tell", reason
    assert "slow drift explains" in reason


@pytest.mark.long
def test_a_planted_interaction_under_drift_is_still_found() -> None:
    verdict, reason = verdict_of(
        decode_drifting(0, 1.0, DefaultSettings().spaces, signal_to_noise=0.4, broad_noise=0.95, n_broad_factors=2)
    )

    assert verdict == "supported", reason
    assert "slow drift explains" in reason


def test_drift_is_learnt_from_training_trials_alone_and_removed_from_all() -> None:
    decoded = decode_drifting(0, 1.0)
    poisoned = replace(decoded, test=replace(decoded.test, responses=decoded.test.responses + 1000))

    (clean, finding), (other, same) = without_drift(decoded), without_drift(poisoned)

    assert finding == same
    assert finding.value > finding.null_high
    np.testing.assert_array_equal(clean.train.responses, other.train.responses)
    for part in ("train", "test"):
        before, after = (getattr(one, part) for one in (decoded, clean))
        variance = [np.var(one.responses - one.averaged()[one.stimulus_index]) for one in (before, after)]
        assert variance[1] < 0.85 * variance[0]


@pytest.mark.long
def test_a_steady_recording_stays_as_it_is() -> None:
    decoded = decode_drifting(1, 0.0)

    clean, _ = without_drift(decoded)

    assert not find_drift(decoded.recording, decoded.train, decoded.seed).is_sure
    assert clean is decoded
