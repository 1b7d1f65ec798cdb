"""Findings and curves made from values, their bootstrap resamples and the values that chance gives."""

import numpy as np
from jaxtyping import Float

from dina.statistics.finding import Finding
from dina.statistics.resampling import WELL_DEFINED, central_range


def resampled_finding(
    name: str, rows: Float[np.ndarray, "row"], units: str, n: int, null: str, reason: str = "It is not defined for these data."
) -> Finding:
    """Return a finding with the central 95 % of resamples as interval and of chance values as null.

    Where fewer than 95 % of the resamples define the statistic there is no interval, only the value: the resamples left
    would be those in which more was found.

    Parameters
    ----------
    name, units, n, null
        As in `Finding`.
    rows
        The value, then the resamples, then as many values under the null; NaN where the statistic is not defined.
    reason
        Why the value is NaN, if it is.

    Examples
    --------
    >>> rows = np.concatenate([[0.5], np.linspace(0.4, 0.6, 41), np.linspace(0.0, 0.1, 41)])
    >>> finding = resampled_finding("top1", rows, "1", 40, "shuffled pairs")
    >>> round(finding.low, 3), round(finding.null_high, 4), finding.beats_null
    (0.405, 0.0975, True)
    """
    resampled, chance = np.split(rows[1:], 2)
    return Finding.from_draws(name, float(rows[0]), units, n, resampled, chance, null, reason)


def curve_variables(
    name: str, axis: str, rows: Float[np.ndarray, "row place"], meaning: str
) -> dict[str, tuple[str, np.ndarray, dict[str, str]]]:
    """Return the variables of a dataset for a dimensionless curve: value, interval and null along one axis.

    Parameters
    ----------
    name
        Of the curve; its interval is ``<name>_low`` and ``<name>_high``, its null ``<name>_null_low`` and so on.
    axis
        Along which it runs.
    rows
        The values, then the resamples, then as many values under the null.
    meaning
        What it is, for ``long_name``.
    """
    resampled, chance = np.split(rows[1:], 2)
    ranges = [
        np.array([central_range(part[:, place], share) for place in range(rows.shape[1])])
        for part, share in ((resampled, WELL_DEFINED), (chance, 0.0))
    ]
    parts = {"": rows[0], "_low": ranges[0][:, 0], "_high": ranges[0][:, 1]}
    parts |= {"_null_low": ranges[1][:, 0], "_null_high": ranges[1][:, 1]}
    return {name + end: (axis, values, {"units": "1", "long_name": meaning}) for end, values in parts.items()}
