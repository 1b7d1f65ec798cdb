"""A finding: one number with its interval and its null, the range of the same number if there is no effect."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from jaxtyping import Float

from dina.short_words import brief
from dina.statistics.intervals import null_range as range_of_draws
from dina.statistics.resampling import FEWEST_DEFINED, WELL_DEFINED, central_range

# Relative difference between numbers that may be one number, summed in another order.
ROUNDING = 1e-9
NO_WIDTH = "The same in every draw of the null, so that there is no null."


@dataclass(frozen=True)
class Finding:
    """A statistic with its interval and its null; verdicts, tables and ``summary.json`` use it.

    Parameters
    ----------
    name
        Unique within its analysis, for example "ssim_local_masked".
    value
        The statistic; NaN where it could not be computed.
    units
        "1" for a dimensionless number, else for example "cycles/degree".
    n
        Number of independent images, neurons or recordings that it rests on.
    low, high
        Ends of its 95 % interval; NaN where there is none.
    null_low, null_high
        Central 95 % of the same statistic if there is no effect; NaN where there is no null. A null of zero width is none.
    null
        The null in words, for example "pairs shuffled across images"; "" where there is none.
    reason
        Why a number is NaN; "" if none is.

    Examples
    --------
    >>> finding = Finding("top1", 0.5, "1", 40, low=0.35, high=0.65, null_low=0.0, null_high=0.075, null="shuffled pairs")
    >>> finding.beats_null, Finding.from_json(finding.to_json()) == finding
    (True, True)
    >>> print(finding)
    top1: 0.5 [0.35, 0.65], null 0 to 0.075 (shuffled pairs)
    """

    __repr__ = brief

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

    def __post_init__(self) -> None:
        slack = ROUNDING * max(abs(self.null_low), abs(self.null_high))
        if self.null_high - self.null_low <= slack:
            for name, value in vars(self.without_null(NO_WIDTH)).items():
                object.__setattr__(self, name, value)

    def __str__(self) -> str:
        """Say the number with its unit, its interval and its null, as far as they are known."""
        if math.isnan(self.value):
            return f"{self.name}: not known. {self.reason}".rstrip()
        said = f"{self.name}: {self.value:.3g}" + (f" {self.units}" if self.units != "1" else "")
        if not math.isnan(self.low):
            said += f" [{self.low:.3g}, {self.high:.3g}]"
        return said if math.isnan(self.null_low) else f"{said}, null {self.null_low:.3g} to {self.null_high:.3g} ({self.null})"

    def negated(self) -> Self:
        """Return the same finding with the other sign, interval and null with it: what was gained, said as what was lost.

        Examples
        --------
        >>> print(Finding("gained", 0.5, "nat", 40, low=0.4, high=0.7, null_low=-0.1, null_high=0.2, null="exchanged").negated())
        gained: -0.5 nat [-0.7, -0.4], null -0.2 to 0.1 (exchanged)
        """
        low, high = -self.high, -self.low
        null_low, null_high = -self.null_high, -self.null_low
        return replace(self, value=-self.value, low=low, high=high, null_low=null_low, null_high=null_high)

    @classmethod
    def from_draws(
        cls,
        name: str,
        value: float,
        units: str,
        n: int,
        resamples: Float[np.ndarray, "resample"] | None = None,
        null_draws: Float[np.ndarray, "draw"] | None = None,
        null: str = "",
        reason: str = "",
        *,
        least_defined: float = WELL_DEFINED,
        interval: tuple[float, float] | None = None,
        null_range: tuple[float, float] | None = None,
        least_null_defined: float = 0.0,
        fewest_null: int = FEWEST_DEFINED,
        no_null: str = "",
    ) -> Self:
        """Make a finding from its bootstrap resamples and from draws under the null.

        The interval is the central 95 % of the defined resamples, the null the range of `dina.statistics.intervals.null_range`.
        With fewer than twenty defined draws, neither is given. Nor is an interval given if too few resamples define the statistic, because the resamples that do define it are
        those in which more was found. An undefined value has no interval.

        Parameters
        ----------
        name, value, units, n, null
            As in `Finding`. If the null cannot be computed, ``null`` (its words) is left empty.
        resamples
            The statistic in bootstrap resamples, NaN where undefined; None for no interval.
        null_draws
            The statistic under the null, NaN where undefined; None for no null.
        reason
            Why the value is NaN, if it is.
        least_defined, least_null_defined
            Share of the resamples, and of the draws of the null, that must define the statistic.
        interval
            Ends of an interval that is not made of resamples, for example by the jackknife.
        null_range
            Both ends of a null that is not made of draws; with few draws they come from
            `dina.statistics.intervals.prediction_range`.
        fewest_null
            Number of draws of the null that must define the statistic: twenty, or fewer if no more are possible.
        no_null
            Why there are no draws of a null, if a reader would expect some.

        Examples
        --------
        >>> resamples, chance = np.linspace(0.4, 0.6, 41), np.linspace(0.0, 0.1, 41)
        >>> finding = Finding.from_draws("top1", 0.5, "1", 40, resamples, chance, "shuffled pairs")
        >>> round(finding.low, 3), round(finding.null_high, 4), finding.beats_null
        (0.405, 0.1, True)
        """
        none = (math.nan, math.nan)
        is_known = math.isfinite(value)
        low, high = interval or (none if resamples is None or not is_known else central_range(resamples, least_defined))
        null_low, null_high = null_range or none
        if null_draws is not None:
            null_low, null_high = range_of_draws(null_draws, least_null_defined, fewest_null)
        why = [] if is_known or not reason else [reason]
        if resamples is not None and is_known and not math.isfinite(low):
            share = 100 * np.isfinite(resamples).mean()
            why.append(f"Only {share:.0f} % of the resamples of the images define it, so that it has no interval.")
        if null_draws is not None and not math.isfinite(null_low):
            why.append("It could be computed in too few draws of its null, so its null is not known.")
            null = ""
        if null_draws is None and no_null:
            why.append(no_null)
        return cls(name, value, units, n, low, high, null_low, null_high, null, " ".join(why))

    @classmethod
    def from_rows(
        cls,
        name: str,
        rows: Float[np.ndarray, "row"],
        units: str,
        n: int,
        null: str,
        reason: str = "It is not defined for these data.",
    ) -> Self:
        """Make a finding from one array: the value, then its resamples, then as many draws under the null.

        Parameters
        ----------
        name, units, n, null, reason
            As in `from_draws`.
        rows
            NaN where the statistic is undefined, for example from `dina.analyses.paired_resampling.PairedResampling`.
        """
        resamples, null_draws = np.split(rows[1:], 2)
        return cls.from_draws(name, float(rows[0]), units, n, resamples, null_draws, null, reason)

    def without_null(self, reason: str) -> Self:
        """Return the finding without its null, and say why.

        Examples
        --------
        >>> Finding("limit", 0.9, "1", 40, null_low=0.0, null_high=0.1, null="pairs permuted").without_null("Nothing is read.").reason
        'Nothing is read.'
        """
        return replace(self, null_low=math.nan, null_high=math.nan, null="", reason=f"{self.reason} {reason}".strip())

    @property
    def beats_null(self) -> bool:
        """Whether the statistic lies outside the central 95 % of its null, by more than rounding; False where either is unknown."""
        slack = ROUNDING * max(abs(self.null_low), abs(self.null_high))
        return bool(self.value < self.null_low - slack or self.value > self.null_high + slack)

    def to_json(self) -> dict[str, Any]:
        """Return the fields for JSON: NaN becomes None, numbers of numpy become those of Python."""
        content = {name: value.item() if isinstance(value, np.generic) else value for name, value in vars(self).items()}
        return {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in content.items()}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """Read a finding that `to_json` made."""
        filled: dict[str, Any] = {name: math.nan if value is None else value for name, value in content.items()}
        return cls(**filled)


def findings_table(findings: Iterable[Finding]) -> pd.DataFrame:
    """Return one row for each finding: the fields of `Finding`, and last whether it ``beats_null``.

    Examples
    --------
    >>> findings_table([Finding("top1", 0.5, "1", 40)])[["name", "value", "beats_null"]].to_dict("records")
    [{'name': 'top1', 'value': 0.5, 'beats_null': False}]
    """
    rows = [{**vars(one), "beats_null": one.beats_null} for one in findings]
    return pd.DataFrame(rows, columns=[*(each.name for each in fields(Finding)), "beats_null"])
