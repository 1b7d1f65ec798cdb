"""Grids of ridge penalties: which can be tried, and whether the best lies at an end, where a better one may lie beyond."""

from collections.abc import Sequence

import numpy as np

from dina.checks import DataError

# A share of fits at an end of the grid that is worth a note.
WORTH_A_NOTE = 0.25


def check_penalties(penalties: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return penalties as float64, if there are some and all are finite and above 0.

    Raises
    ------
    DataError
        If there is none, or one is not finite and above 0.

    Examples
    --------
    >>> check_penalties((0.1, 1.0))
    array([0.1, 1. ])
    >>> check_penalties((0.0, 1.0))
    Traceback (most recent call last):
    ...
    dina.checks.DataError: Ridge penalties must be finite and above 0, at least one; got [0.0, 1.0]. Choose others.
    """
    values = np.asarray(penalties, dtype=np.float64)
    if not values.size or not np.isfinite(values).all() or values.min() <= 0:
        raise DataError(f"Ridge penalties must be finite and above 0, at least one; got {values.tolist()[:9]}. Choose others.")
    return values


def note_ends(chosen: Sequence[float] | np.ndarray, penalties: Sequence[float] | np.ndarray, what: str = "") -> dict[str, str]:
    """Return what to report of a fit whose best penalties lie at an end of those that were tried; nothing where few do.

    ``chosen`` holds the best penalty of each fit, infinity where none helps; ``what`` is the word for the fits, in the plural.

    Examples
    --------
    >>> note_ends([3.0], (0.1, 1.0, 3.0))
    {'penalty_at_the_end_of_its_grid': 'the largest tried, 3, is best'}
    >>> note_ends([0.1, 0.1, 1.0, 1.0], (0.1, 1.0, 3.0), "neurons")
    {'penalty_at_the_end_of_its_grid': 'the smallest tried, 0.1, is best for 50 % of neurons'}
    >>> note_ends([1.0], (0.1, 1.0, 3.0))
    {}
    """
    grid, best = check_penalties(penalties), np.asarray(chosen, dtype=np.float64)
    fitted = best[np.isfinite(best)]
    words = []
    for name, end in (("smallest", grid.min()), ("largest", grid.max())):
        share = float(np.isclose(fitted, end, rtol=1e-4).mean()) if fitted.size and len(grid) > 1 else 0.0
        if share >= WORTH_A_NOTE:
            of_fits = f" for {100 * share:.0f} % of {what}" if what else ""
            words.append(f"the {name} tried, {end:.4g}, is best{of_fits}")
    return {"penalty_at_the_end_of_its_grid": "; ".join(words)} if words else {}
