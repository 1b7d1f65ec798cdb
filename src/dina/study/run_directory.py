"""What a run directory holds: the name of every file, and its content as studies, comparisons and reports read it."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float

from dina.analyses import AnalysisResult
from dina.artifacts import verify_checksums, write_checksums, write_dataset, write_json, write_text
from dina.checks import DataError
from dina.data.splits import Split
from dina.retrieval.evaluate import DecodingRow
from dina.statistics.finding import Finding
from dina.study.decoder_scores import DecoderScores

# What decides the numbers of a run: recording, settings, versions, device and threads.
IDENTITY = "identity.json"

SETTINGS = "study.toml"
SUMMARY = "summary.json"
SPLIT = "split.json"
ENVIRONMENT = "environment.json"
HISTORY = "history.csv"
TOWERS = "model.safetensors"
TOWERS_DESCRIBED = "model.json"
TIMINGS = "timings.json"
LOG = "log.txt"
RESULTS = "results"
# Of a training that is under way; gone when it is finished.
CHECKPOINTS = "checkpoints"

INTERPRETATION = Path(RESULTS) / "interpretation"
MAX_TEXT_BYTES = 64 * 2**20  # summary, split and settings of the largest study stay far below


@runtime_checkable
class _HasTable(Protocol):
    def to_frame(self) -> pd.DataFrame: ...


@dataclass(frozen=True, eq=False)
class AnalysisRecord:
    """What a run holds of one analysis, in ``results/interpretation/<name>.*`` and in ``summary.json``.

    ``reason`` says why it could not be carried out; then there are no findings and no dataset. ``others`` are the sorted
    fingerprints of recordings under other conditions, ``settings`` those that are not the defaults.
    """

    findings: tuple[Finding, ...] = ()
    reason: str | None = None
    others: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    dataset: xr.Dataset | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what ``<name>.json`` and ``summary.json`` hold of it."""
        content: dict[str, Any] = {"findings": [finding.to_json() for finding in self.findings], "reason": self.reason}
        content |= {"others": list(self.others)} if self.others else {}
        return content | ({"settings": dict(self.settings)} if self.settings else {})

    @classmethod
    def from_json(cls, content: Mapping[str, Any], dataset: xr.Dataset | None = None) -> Self:
        """Return the record that `to_json` wrote, with its arrays where they were read."""
        findings = tuple(Finding.from_json(one) for one in content["findings"])
        return cls(findings, content["reason"], tuple(content.get("others", ())), dict(content.get("settings", {})), dataset)

    @classmethod
    def read(cls, run: Path, name: str) -> "AnalysisRecord | None":
        """Read findings and reason of an analysis; None if it has not been carried out.

        Raises
        ------
        DataError
            If the file is not as it was written.
        """
        path = run / INTERPRETATION / f"{name}.json"
        if not path.is_file():
            return None
        try:
            return cls.from_json(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path} is damaged ({error}). Remove it and interpret the run again.") from error

    def write(self, run: Path, name: str, result: AnalysisResult | None = None) -> None:
        """Write ``<name>.nc``, ``<name>.csv`` if the result is a table too, and ``<name>.json`` last, each whole or not at all.

        Without a result, arrays of an earlier attempt are removed.
        """
        folder = run / INTERPRETATION
        if result is None:
            for ending in ("nc", "csv"):
                (folder / f"{name}.{ending}").unlink(missing_ok=True)
        else:
            write_dataset(folder / f"{name}.nc", result.to_dataset())
        if isinstance(result, _HasTable):
            frame = result.to_frame()
            # rows that have names keep them: without its number no neuron of a sorted table can be found again
            write_text(folder / f"{name}.csv", frame.to_csv(index=frame.index.name is not None, lineterminator="\n"))
        write_json(folder / f"{name}.json", self.to_json())


def _json_file(name: str) -> "cached_property[dict[str, Any]]":
    return cached_property(lambda run: _read_json(run.path / name, optional=True))


def _dataset_file(name: str) -> "cached_property[xr.Dataset | None]":
    return cached_property(lambda run: _read_dataset(run.path / RESULTS / f"{name}.nc"))


@dataclass(frozen=True)
class Run:
    """A run directory; each file is read when it is first used, and no model is touched."""

    path: Path

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Content of ``summary.json``."""
        return _read_json(self.path / SUMMARY)

    # contents of these files; empty where absent
    identity = _json_file(IDENTITY)
    split = _json_file(SPLIT)
    environment = _json_file(ENVIRONMENT)
    model = _json_file(TOWERS_DESCRIBED)

    @cached_property
    def settings(self) -> str:
        """Text of ``study.toml``; "" where absent."""
        return _read_text(self.path / SETTINGS) if (self.path / SETTINGS).is_file() else ""

    @cached_property
    def rows(self) -> tuple[DecodingRow, ...]:
        """The decoding table of the summary; empty in a run of several recordings."""
        return tuple(_row(number, entry) for number, entry in enumerate(self.summary.get("decoding", [])))

    @cached_property
    def retrieval(self) -> dict[str, DecoderScores]:
        """Decoder name → its scores of the test images."""
        files = sorted((self.path / RESULTS).glob("retrieval_*.nc"))
        return {file.stem.removeprefix("retrieval_"): DecoderScores.read(file) for file in files}

    @cached_property
    def interpretation(self) -> dict[str, AnalysisRecord]:
        """Analysis name → its findings and arrays."""
        return _read_records(self.path / INTERPRETATION, self.summary.get("interpretation", {}))

    @cached_property
    def history(self) -> dict[str, Float[np.ndarray, "epoch"]]:
        """Column → one value per epoch (NaN where the cell is empty); empty where there was no training."""
        text = _read_text(self.path / HISTORY) if (self.path / HISTORY).is_file() else ""
        if not text.strip():
            return {}
        table = pd.read_csv(io.StringIO(text), on_bad_lines="skip").apply(pd.to_numeric, errors="coerce")
        return {str(name): column.to_numpy(float) for name, column in table.items() if np.isfinite(column).any()}

    # arrays of ``results/<name>.nc``; None where absent
    quality = _dataset_file("quality")
    gallery = _dataset_file("gallery")
    gallery_size = _dataset_file("gallery_size")
    comparisons = _dataset_file("comparisons")
    alignment = _dataset_file("alignment")

    def check_whole(self) -> None:
        """Refuse a finished run whose numbers are not as they were written; what a report added is not checked.

        Raises
        ------
        DataError
            If the summary or a result was changed or is missing.
        """
        faults = {name: fault for name, fault in verify_checksums(self.path).items() if name.startswith((SUMMARY, RESULTS))}
        bad = [f"{name} is {fault}" for name, fault in faults.items() if fault != "not listed"]
        if bad:
            raise DataError(f"{self.path} is no longer as the study wrote it: {'; '.join(bad[:3])}. Repeat it with --force.")
        for fold in self.folds:
            fold.check_whole()

    def update_summary(self, changes: Mapping[str, Any]) -> None:
        """Replace entries of the summary of a finished run, and write its checksums last."""
        write_json(self.path / SUMMARY, {**self.summary, **changes})
        vars(self).pop("summary")  # to be read again
        write_checksums(self.path)

    @property
    def folds(self) -> "tuple[Run, ...]":
        """The runs of the folds, each of which is a study by itself; empty in a study of one split."""
        return tuple(self.fold(number) for number in range(1, len(self.summary.get("folds", ())) + 1))

    def fold(self, number: int) -> "Run":
        """Return the run of one fold, counted from 1; it need not be there yet."""
        return Run(self.path / f"fold{number}")

    @property
    def has_several_recordings(self) -> bool:
        """Whether the study was of several recordings together."""
        return "recordings" in self.summary

    @property
    def is_simulated(self) -> bool:
        """Whether the recording came with the truth of a simulation."""
        has_ideal_observer = any(row.decoder == "ideal_observer" and row.top1 is not None for row in self.rows)
        return bool(self.summary.get("recording", {}).get("is_simulated", has_ideal_observer))

    def reads(self, decoder: str) -> str:
        """Return what of the gallery a decoder reads: "images", "templates", "truth" or "queries"."""
        return next((row.reads for row in self.rows if row.decoder == decoder), "images")

    def select(self, queries: str, direction: str = "image_from_response") -> list[DecodingRow]:
        """Return the rows of one kind of query and one direction, in the order of the summary."""
        return [row for row in self.rows if row.queries == queries and row.direction == direction]


def read_run(path: Path) -> Run:
    """Open a run directory; each file is read when it is first used, and anything but ``summary.json`` may be absent.

    Raises
    ------
    DataError
        If ``summary.json`` is absent.
    """
    if not (Path(path) / SUMMARY).is_file():
        raise DataError(
            f"A run directory must hold {SUMMARY}; {path} does not. Give the directory that `dina study` wrote (its --out)."
        )
    return Run(Path(path))


def read_finished(path: Path, *, may_have_folds: bool = False) -> Run:
    """Open the directory of a finished study of one recording.

    Raises
    ------
    DataError
        If ``path`` lacks a file that every study writes, is a study of several recordings, or one in folds that is not wanted.
    """
    run = Run(Path(path))
    missing = [name for name in (SUMMARY, SETTINGS, IDENTITY) if not (run.path / name).is_file()]
    if not missing and run.has_several_recordings:
        raise DataError(
            f"{path} must be a run of one recording to be interpreted, judged or compared; it holds {len(run.summary['recordings'])}"
            " recordings together, whose report compares them. Study each recording by itself with `dina study` and give those runs."
        )
    if not missing and run.folds and not may_have_folds:
        raise DataError(
            f"{path} must be a run of one split to be interpreted or judged; it holds {len(run.folds)} folds with towers of their own."
            f" Give one of them, such as {run.fold(1).path}."
        )
    missing += [] if (run.path / SPLIT).is_file() else [SPLIT]
    if missing:
        raise DataError(f"{path} must be a finished run directory; it has no {missing[0]}. Give the --out of `dina study`.")
    return run


def read_several_finished(paths: Sequence[Path], *, may_have_folds: bool = False) -> list[Run]:
    """Open finished runs that stand side by side; one given twice counts once.

    Raises
    ------
    DataError
        If two runs have the same name.
    """
    runs = [read_finished(path, may_have_folds=may_have_folds) for path in dict.fromkeys(Path(path).resolve() for path in paths)]
    names = [run.path.name for run in runs]
    if len(set(names)) < len(names):
        raise DataError(f"Runs must have different names to stand side by side; got {', '.join(names)}. Rename one.")
    return runs


def split_to_json(split: Split) -> dict[str, Any]:
    """Return what ``split.json`` holds: seed, checksum, and the ids of the images of each part."""
    ids = {name: getattr(split, name).tolist() for name in ("train", "validation", "test")}
    numbers, counts = np.unique(split.group, return_counts=True)
    groups = [np.flatnonzero(split.group == number).tolist() for number in numbers[counts > 1]]
    return {"seed": split.seed, "sha256": split.sha256(), **ids, "near_identical_groups": groups}


def _row(number: int, entry: object) -> DecodingRow:
    if not isinstance(entry, dict) or not isinstance(entry.get("decoder"), str):
        raise DataError(f"Row {number} of decoding in {SUMMARY} must be an object with a decoder. Run the study again.")
    return DecodingRow.from_json(entry)


def _read_records(folder: Path, summarised: Mapping[str, Any]) -> dict[str, AnalysisRecord]:
    try:
        return {
            str(name): AnalysisRecord.from_json(one, _read_dataset(folder / f"{Path(name).name}.nc"))
            for name, one in summarised.items()
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(f"interpretation in {SUMMARY} is damaged ({error}). Interpret the run again.") from error


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
        return xr.load_dataset(path, engine="h5netcdf")
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise DataError(
            f"results/{path.name} must be a NetCDF-4 file; it cannot be read ({error}). Run the study again."
        ) from error
