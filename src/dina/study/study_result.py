"""What a study found: its place, its summary, all ranks, and the table of its decoders."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from dina.checks import DataError
from dina.retrieval.evaluate import DecodingRow
from dina.short_words import brief, one_bracket
from dina.statistics.finding import findings_table
from dina.study.run_directory import AnalysisRecord
from dina.training.presets import Preset

_NARROW = ["decoder", "queries", "top1", "top1_low", "top1_high", "chance"]  # columns that fit into 80 signs


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
    preset
        The preset of your own that was given, so that analyses have its code; None for one of dina.
    """

    __repr__ = brief

    path: Path | None
    summary: dict[str, Any]
    results: tuple[DecodingRow, ...]
    comparisons: xr.Dataset | None = None
    preset: Preset[Any, Any, Any] | None = field(default=None, repr=False)

    def table(self, *, whole: bool = False) -> pd.DataFrame:
        """Return how well each decoder names the image for each kind of query, one row each, in the width of a terminal.

        Accuracies are in per cent of the queries, rounded to two decimals: ``top1`` with its 95 % interval (``top1_low``,
        ``top1_high``) and its ``chance``. NaN where there is no number.

        Parameters
        ----------
        whole
            Whether numbers are not rounded, responses retrieved from images have rows, too (``direction``), and there are all
            columns: ``n_gallery``; ``dina_minus_it`` with its interval, in points, on the same queries, for images retrieved from
            responses; ``reason``, which says why there is no number, and is "" elsewhere.

        Raises
        ------
        DataError
            If the study was of several recordings.
        """
        if "decoding" not in self.summary:
            raise DataError("A study of several recordings has no table of decoders; read its summary['recordings'] instead.")
        table = pd.DataFrame([_table_row(DecodingRow.from_json(row), self.comparisons) for row in self.summary["decoding"]])
        if whole:
            return table
        return table.loc[table["direction"] == "image_from_response", _NARROW].round(2).reset_index(drop=True)


class InterpretedRun(dict[str, AnalysisRecord]):
    """Every analysis that a run holds, by name."""

    def __repr__(self) -> str:
        """Name the analyses, and say how many findings each has."""
        return one_bracket("InterpretedRun", ", ".join(f"{name}: {len(one.findings)} findings" for name, one in self.items()))

    def table(self) -> pd.DataFrame:
        """Return one row for each finding of each ``analysis``; of one that could not be carried out, its ``reason`` alone."""
        tables = []
        for name, one in self.items():
            table = findings_table(one.findings) if one.findings else pd.DataFrame([{"name": "", "reason": one.reason or ""}])
            tables.append(table.assign(analysis=name))
        columns = ["analysis", *findings_table(()).columns]
        return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def preset_of(run: Path | str | StudyResult, preset: Preset[Any, Any, Any] | None = None) -> Preset[Any, Any, Any] | None:
    """Return the preset of a user's own that made a run: the one given, else that of the study; None for one of dina."""
    return run.preset if preset is None and isinstance(run, StudyResult) else preset


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
        **row.percentages(),
        "n_gallery": row.n_gallery or 0,
        **{name: 100 * value for name, value in zip(names, difference.values(), strict=True)},
        "reason": "" if row.top1 is not None else row.reason or "It was not computed.",
    }
