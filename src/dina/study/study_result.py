"""What a study found: its place, its summary, all ranks, and the table of its decoders."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from dina.checks import DataError
from dina.retrieval.evaluate import DecodingRow
from dina.short_words import brief


@dataclass(frozen=True, eq=False)
class StudyResult:
    """What a study found.

    Parameters
    ----------
    path
        The run directory; None if none was given.
    summary
        Content of ``summary.json``.
    results
        Every decoder, kind of query and direction that could be judged, with all ranks; empty for several recordings.
    comparisons
        Differences dina − other decoder on the same queries, with the axes (rival, queries); None where there are none.
    """

    __repr__ = brief

    path: Path | None
    summary: dict[str, Any]
    results: tuple[DecodingRow, ...]
    comparisons: xr.Dataset | None = None

    def table(self) -> pd.DataFrame:
        """Return one row for each decoder, kind of query and direction, as the page shows them.

        Accuracies are in per cent of the queries: ``top1`` with its 95 % interval (``top1_low``, ``top1_high``) and its
        ``chance``. Differences are in points: ``dina_minus_it`` with its interval, on the same queries, for images retrieved
        from responses. NaN where there is no number; ``reason`` then says why, and is "" elsewhere.

        Raises
        ------
        DataError
            If the study was of several recordings.
        """
        if "decoding" not in self.summary:
            raise DataError("A study of several recordings has no table of decoders; read its summary['recordings'] instead.")
        return pd.DataFrame([_table_row(DecodingRow.from_json(row), self.comparisons) for row in self.summary["decoding"]])


def place_of(run: Path | str | StudyResult) -> Path:
    """Return the directory of a run that is given by its place or by what the study returned.

    Raises
    ------
    DataError
        If the study was kept nowhere.
    """
    if not isinstance(run, StudyResult):
        return Path(run)
    if run.path is None:
        raise DataError("A study must be kept to be interpreted or drawn; this one was not. Give run_study a folder with out=.")
    return run.path


def _table_row(row: DecodingRow, comparisons: xr.Dataset | None) -> dict[str, Any]:
    """Return one row of `StudyResult.table`."""
    numbers = {"top1": row.top1, "top1_low": row.top1_low, "top1_high": row.top1_high, "chance": row.chance_top1}
    difference = dict.fromkeys(("difference", "low", "high"), np.nan)
    is_compared = comparisons is not None and row.decoder in comparisons["rival"] and row.direction == "image_from_response"
    if comparisons is not None and is_compared:
        one = comparisons.sel(rival=row.decoder, queries=row.queries)
        difference = {name: float(one[f"top1_{name}"]) for name in difference}
    names = ("dina_minus_it", "dina_minus_it_low", "dina_minus_it_high")
    return {
        "decoder": row.decoder,
        "queries": row.queries,
        "direction": row.direction,
        **{name: np.nan if value is None else 100 * value for name, value in numbers.items()},
        "n_gallery": row.n_gallery or 0,
        **{name: 100 * value for name, value in zip(names, difference.values(), strict=True)},
        "reason": "" if row.top1 is not None else row.reason or "It was not computed.",
    }
