"""Name slow drift of a recording and remove it, before anything is said about noise correlations."""

import math
from dataclasses import replace

import numpy as np

from dina.analyses.decoded import Decoded
from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.randomness import generator_for
from dina.recordings.recording import Recording
from dina.statistics.drift import SlowDrift, measure_drift
from dina.statistics.finding import Finding

NAME = "slow_drift_share"
NULL = "trials of each training image exchanged, all neurons together"


def find_drift(recording: Recording, train: Pairs, seed: int) -> SlowDrift:
    """Measure slow drift on training trials.

    Raises
    ------
    DataError
        If responses average several presentations, trials were left out, or too few images have repeats.
    """
    if (recording.n_presentations != 1).any():
        which = "each response averages" if (recording.n_presentations > 1).all() else "some responses average"
        raise DataError(f"Drift needs single trials; {which} several presentations.")
    return measure_drift(
        train.responses, train.stimulus_index, _positions(recording, train), recording.n_trials, generator_for(seed, "slow drift")
    )


def without_drift(decoded: Decoded) -> tuple[Decoded, Finding]:
    """Return the same decoding without drift where there is more than by chance, and the finding that names it.

    Drift is learnt from training trials alone, and removed from the trials of all parts: neurons that drift at the same time look as
    if they shared noise.
    """
    try:
        drift = find_drift(decoded.recording, decoded.train, decoded.seed)
        train, validation, test = (
            _remove(drift, decoded.recording, part) for part in (decoded.train, decoded.validation, decoded.test)
        )
    except DataError as error:
        return decoded, Finding(NAME, math.nan, "1", len(decoded.train.responses), reason=str(error))
    n_trials = len(decoded.train.responses)
    finding = Finding(NAME, drift.share, "1", n_trials, null_low=drift.null_low, null_high=drift.null_high, null=NULL)
    return (replace(decoded, train=train, validation=validation, test=test) if drift.is_sure else decoded), finding


def _positions(recording: Recording, part: Pairs) -> np.ndarray:
    """Return the place of each trial in the order of presentation of the whole recording."""
    position = np.flatnonzero(np.isin(recording.stimulus_id, part.stimulus_id))
    if len(position) != len(part.responses):
        raise DataError("Drift needs all trials of the images; some were left out, so that their order is not known.")
    return position


def _remove(drift: SlowDrift, recording: Recording, part: Pairs) -> Pairs:
    return replace(part, responses=part.responses - drift.at(_positions(recording, part)).astype(np.float32))
