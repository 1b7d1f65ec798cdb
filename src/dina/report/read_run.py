"""Read a run directory as a study wrote it; what is absent stays absent, and no model is touched."""

import csv
import json
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from dina.checks import DataError
from dina.statistics.finding import Finding

MAX_TEXT_BYTES = 64 * 2**20  # summary, split and settings of the largest study stay far below


@dataclass(frozen=True)
class DecodingRow:
    """One row of the decoding table of ``summary.json``; a number is None where it could not be computed.

    Parameters
    ----------
    decoder, preset
        Which decoder, and with which preset ("" where it has none).
    queries
        "averaged" or "single_trial".
    direction
        "image_from_response" or "response_from_image".
    n_gallery
        Number of candidates.
    top1, top1_low, top1_high, top5, top10
        Fraction of queries whose target is among the best 1, 5, 10, and the interval of the first.
    median_rank
        Median rank of the target; 1 is best.
    chance_top1
        Top-1 accuracy of guessing.
    p_value
        Of the permutation of queries over targets.
    reason
        Why there are no numbers, or None.
    others
        Any further columns, by name.
    """

    decoder: str
    preset: str
    queries: str
    direction: str
    n_gallery: int | None
    top1: float | None
    top1_low: float | None
    top1_high: float | None
    top5: float | None
    top10: float | None
    median_rank: float | None
    chance_top1: float | None
    p_value: float | None
    reason: str | None
    others: dict[str, Any]


@dataclass(frozen=True, eq=False)
class ReadAnalysis:
    """One analysis as the run holds it: arrays and findings, or the reason why there are none."""

    dataset: xr.Dataset | None
    findings: tuple[Finding, ...]
    reason: str | None


@dataclass(frozen=True, eq=False)
class Run:
    """Everything the report shows, as read from a run directory.

    Parameters
    ----------
    path
        The run directory.
    summary
        Content of ``summary.json``.
    rows
        Its decoding table.
    quality, gallery, gallery_size, comparisons, alignment
        The datasets of ``results/`` of that name, or None where the file is absent.
    retrieval
        Decoder name → dataset of scores and targets.
    interpretation
        Analysis name → what it found.
    history
        Column name → one value per epoch (NaN where the cell is empty); empty where there was no training.
    split, environment, model
        Content of ``split.json``, ``environment.json`` and ``model.json``; empty where absent.
    settings
        Text of ``study.toml``; "" where absent.
    """

    path: Path
    summary: dict[str, Any]
    rows: tuple[DecodingRow, ...]
    quality: xr.Dataset | None
    gallery: xr.Dataset | None
    gallery_size: xr.Dataset | None
    comparisons: xr.Dataset | None
    retrieval: dict[str, xr.Dataset]
    interpretation: dict[str, ReadAnalysis]
    history: dict[str, Float[np.ndarray, "epoch"]]
    split: dict[str, Any]
    environment: dict[str, Any]
    model: dict[str, Any]
    settings: str
    alignment: xr.Dataset | None = None

    @property
    def is_simulated(self) -> bool:
        """Whether the recording came with the truth of a simulation."""
        said = self.summary.get("recording", {}).get("is_simulated")
        if said is not None:
            return bool(said)
        return any(row.decoder == "ideal_observer" and row.top1 is not None for row in self.rows)

    def reads(self, decoder: str) -> str:
        """Return what of the gallery a decoder reads: "images", "templates", "truth" or "queries"."""
        told = next((row.others.get("reads") for row in self.rows if row.decoder == decoder), None)
        return str(told or "images")

    def select(self, queries: str, direction: str = "image_from_response") -> list[DecodingRow]:
        """Return the rows of one kind of query and one direction, in the order of the summary."""
        return [row for row in self.rows if row.queries == queries and row.direction == direction]


def read_run(path: Path) -> Run:
    """Read a run directory.

    Only files at fixed places below ``path`` are opened. Anything but ``summary.json`` may be absent.

    Raises
    ------
    DataError
        If ``summary.json`` is absent, or a file cannot be read as what its name says.
    """
    path = Path(path)
    if not (path / "summary.json").is_file():
        raise DataError(
            f"A run directory must hold summary.json; {path} does not. Give the directory that `dina study` wrote (its --out)."
        )
    summary = _read_json(path / "summary.json")
    results = path / "results"
    retrieval = {
        file.stem.removeprefix("retrieval_"): dataset
        for file in sorted(results.glob("retrieval_*.nc"))
        if (dataset := _read_dataset(file)) is not None
    }
    return Run(
        path=path,
        summary=summary,
        rows=tuple(_row(number, entry) for number, entry in enumerate(summary.get("decoding", []))),
        quality=_read_dataset(results / "quality.nc"),
        gallery=_read_dataset(results / "gallery.nc"),
        gallery_size=_read_dataset(results / "gallery_size.nc"),
        comparisons=_read_dataset(results / "comparisons.nc"),
        alignment=_read_dataset(results / "alignment.nc"),
        retrieval=retrieval,
        interpretation=_read_interpretation(summary, results),
        history=_read_history(path / "history.csv"),
        split=_read_json(path / "split.json", optional=True),
        environment=_read_json(path / "environment.json", optional=True),
        model=_read_json(path / "model.json", optional=True),
        settings=_read_text(path / "study.toml") if (path / "study.toml").is_file() else "",
    )


def _read_interpretation(summary: dict[str, Any], results: Path) -> dict[str, ReadAnalysis]:
    told = summary.get("interpretation", {})
    try:
        return {
            str(name): ReadAnalysis(
                _read_dataset(results / "interpretation" / f"{Path(name).name}.nc"),
                tuple(Finding.from_json(finding) for finding in one["findings"]),
                one["reason"],
            )
            for name, one in told.items()
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(f"interpretation in summary.json is damaged ({error}). Interpret the run again.") from error


def _read_text(path: Path) -> str:
    size = path.stat().st_size
    if size > MAX_TEXT_BYTES:
        raise DataError(f"{path.name} must be smaller than {MAX_TEXT_BYTES} bytes; it has {size}. Run the study again.")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name} must be text in UTF-8; byte {error.start} is not. Run the study again.") from error


def _read_json(path: Path, optional: bool = False) -> dict[str, Any]:
    if optional and not path.is_file():
        return {}
    try:
        content = json.loads(_read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{path.name} must be JSON; it is not ({error}). Run the study again.") from error
    if not isinstance(content, dict):
        raise DataError(f"{path.name} must hold an object; it holds a {type(content).__name__}. Run the study again.")
    return content


def _read_dataset(path: Path) -> xr.Dataset | None:
    if not path.is_file():
        return None
    try:
        with xr.open_dataset(path, engine="h5netcdf") as dataset:
            return dataset.load()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise DataError(
            f"results/{path.name} must be a NetCDF-4 file; it cannot be read ({error}). Run the study again."
        ) from error


def _read_history(path: Path) -> dict[str, Float[np.ndarray, "epoch"]]:
    if not path.is_file():
        return {}
    records = list(csv.DictReader(_read_text(path).splitlines()))
    if not records:
        return {}
    columns = {str(name): np.array([_number(record.get(name)) for record in records]) for name in records[0] if name}
    return {name: values for name, values in columns.items() if np.isfinite(values).any()}


def _number(cell: object) -> float:
    """Return the number in a cell of a table, NaN where there is none."""
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        return math.nan
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _row(number: int, entry: object) -> DecodingRow:
    if not isinstance(entry, dict) or not isinstance(entry.get("decoder"), str):
        raise DataError(f"Row {number} of decoding in summary.json must be an object with a decoder. Run the study again.")
    n_gallery, known = _optional(entry, "n_gallery"), {field.name for field in fields(DecodingRow)}
    return DecodingRow(
        decoder=entry["decoder"],
        preset=str(entry.get("preset") or ""),
        queries=str(entry.get("queries") or ""),
        direction=str(entry.get("direction") or ""),
        n_gallery=None if n_gallery is None else int(n_gallery),
        top1=_optional(entry, "top1"),
        top1_low=_optional(entry, "top1_low"),
        top1_high=_optional(entry, "top1_high"),
        top5=_optional(entry, "top5"),
        top10=_optional(entry, "top10"),
        median_rank=_optional(entry, "median_rank"),
        chance_top1=_optional(entry, "chance_top1"),
        p_value=_optional(entry, "p_value"),
        reason=str(entry["reason"]) if entry.get("reason") else None,
        others={str(name): value for name, value in entry.items() if name not in known},
    )


def _optional(entry: dict[str, Any], name: str) -> float | None:
    """Return the number under a name, None where there is none."""
    value = _number(entry.get(name))
    return value if math.isfinite(value) else None
