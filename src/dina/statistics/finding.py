"""One number that an analysis found, with its interval and what the same number is where there is nothing to find."""

import math
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Finding:
    """A statistic beside its interval and its null; verdicts, tables and ``summary.json`` are made of these.

    Parameters
    ----------
    name
        Unique within its analysis, for example "ssim_local_masked".
    value
        The statistic; NaN where it could not be computed.
    units
        "1" for a dimensionless number, else for example "cycles/degree".
    n
        How many independent things (images, neurons, recordings) it rests on.
    low, high
        Ends of its 95 % interval; NaN where there is none.
    null_low, null_high
        Central 95 % of the same statistic where there is nothing to find; NaN where there is no null.
    null
        What that null is, in words, for example "pairs shuffled across images"; "" where there is none.
    reason
        Why something is NaN; "" where nothing is.

    Examples
    --------
    >>> finding = Finding("top1", 0.5, "1", 40, low=0.35, high=0.65, null_low=0.0, null_high=0.075, null="shuffled pairs")
    >>> finding.beats_null, Finding.from_json(finding.to_json()) == finding
    (True, True)
    """

    name: str
    value: float
    units: str
    n: int
    low: float = math.nan
    high: float = math.nan
    null_low: float = math.nan
    null_high: float = math.nan
    null: str = ""
    reason: str = ""

    @property
    def beats_null(self) -> bool:
        """Whether the statistic lies outside the central 95 % of its null; False where either is unknown."""
        return self.value < self.null_low or self.value > self.null_high

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold: NaN becomes None."""
        content = dict(vars(self))
        return {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in content.items()}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """Make a finding from what `to_json` gave."""
        numbers = ("value", "low", "high", "null_low", "null_high")
        filled: dict[str, Any] = {
            name: math.nan if name in numbers and value is None else value for name, value in content.items()
        }
        return cls(**filled)
