"""The contract of an analysis: one function of a finished decoding, one frozen result that says what it found."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import xarray as xr

from dina.analyses.decoded import Decoded
from dina.statistics.finding import Finding

Side = Literal["image", "neural"]


@runtime_checkable
class AnalysisResult(Protocol):
    """What every analysis returns: arrays with named axes, and the statistics that stand for them."""

    def to_dataset(self) -> xr.Dataset:
        """Return all arrays with named axes and ``units``; all that figures are drawn from, without any model."""
        ...

    def findings(self) -> tuple[Finding, ...]:
        """Return the statistics, each with interval and null; verdicts read nothing else."""
        ...


@dataclass(frozen=True)
class Analysis:
    """A row of the table of analyses.

    Parameters
    ----------
    run
        Carries the analysis out. It raises `dina.checks.DataError` with a plain reason where the recording or the
        towers do not allow it; the reason is then shown in place of the result.
    side
        What it explains the decoding by: the image or the neurons.
    question
        What it answers, one sentence.
    is_slow
        Whether it fits towers anew or synthesises images; done only on request.
    reads_others
        Whether it reads the recordings under other conditions, so that its answer holds for these only.
    """

    run: Callable[[Decoded], AnalysisResult]
    side: Side
    question: str
    is_slow: bool = False
    reads_others: bool = False
