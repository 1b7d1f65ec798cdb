"""What a run directory holds: the name of every file, and its content as studies, comparisons and reports read it."""

import io
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import h5py
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float

from dina.analyses import AnalysisResult
from dina.artifacts import write_dataset, write_json, write_text
from dina.checks import DataError
from dina.data.splits import Split
from dina.recordings.hdf5_contents import check_hdf5_contents
from dina.recordings.hdf5_damage import check_hdf5_damage
from dina.retrieval.evaluate import DecodingRow
from dina.safe_words import table_text
from dina.short_words import brief
from dina.signed_folder import CHECKSUMS, SignedFolder
from dina.statistics.finding import Finding, findings_table
from dina.study.decoder_scores import DecoderScores

# What decides the numbers of a run: recording, settings, versions, device, processor and threads.
IDENTITY = "identity.json"
PROCESSOR = ("kernel", "instruction_set")  # what its environment says of the processor; on another one last digits differ

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
# What entries of a summary are, where they are there.
_SHAPES: dict[str, type] = dict.fromkeys(("recording", "split", "quality", "interpretation", "fits", "training"), dict)
_SHAPES |= dict.fromkeys(("decoding", "recordings", "folds", "warnings"), list)
MAX_TEXT_BYTES = 64 * 2**20  # summary, split and settings of the largest study stay far below


@runtime_checkable
class _HasTable(Protocol):
    def to_frame(self) -> pd.DataFrame: ...


@dataclass(frozen=True, eq=False)
class AnalysisRecord:
    """What a run holds of one analysis, in ``results/interpretation/<name>.*`` and in ``summary.json``.

    ``reason`` says why it could not be carried out; then there are no findings and no dataset. ``others`` are the sorted
    fingerprints of recordings under other conditions, ``settings`` those that are not the defaults. ``own`` describes an analysis
    of a user's own, so that it can be shown without its code: ``question``, ``side``, ``code`` and ``verdicts``; else it is empty.
    """

    __repr__ = brief

    findings: tuple[Finding, ...] = ()
    reason: str | None = None
    others: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    dataset: xr.Dataset | None = None
    own: Mapping[str, Any] = field(default_factory=dict)

    def table(self) -> pd.DataFrame:
        """Return the findings as a table of pandas, a row each; empty where there is a ``reason``."""
        return findings_table(self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return what ``<name>.json`` and ``summary.json`` hold of it."""
        content: dict[str, Any] = {"findings": [finding.to_json() for finding in self.findings], "reason": self.reason}
        content |= {"others": list(self.others)} if self.others else {}
        content |= {"settings": dict(self.settings)} if self.settings else {}
        return content | ({"own": dict(self.own)} if self.own else {})

    @classmethod
    def from_json(cls, content: Mapping[str, Any], dataset: xr.Dataset | None = None) -> Self:
        """Return the record that `to_json` wrote, with its arrays where they were read."""
        findings = tuple(Finding.from_json(one) for one in content["findings"])
        others, settings, own = content.get("others", ()), dict(content.get("settings", {})), dict(content.get("own", {}))
        return cls(findings, content["reason"], tuple(others), settings, dataset, own)

    @classmethod
    def read(cls, run: "Run", name: str) -> "AnalysisRecord | None":
        """Read findings and reason of an analysis; None if it has not been carried out.

        Raises
        ------
        DataError
            If the file is not as it was written.
        """
        content = run.read_json(_file(name, "json"))
        try:
            return cls.from_json(content) if content else None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{run.path / _file(name, 'json')} is damaged ({error}). Interpret the run again.") from error

    def write(self, run: "Run", name: str, result: AnalysisResult | None = None) -> None:
        """Write ``<name>.nc``, ``<name>.csv`` if the result is a table too, and ``<name>.json`` last, each whole or not at all.

        Without a result, arrays of an earlier attempt are removed.
        """
        if result is None:
            run.files.remove([_file(name, "nc"), _file(name, "csv")])
        with run.files.writing() as place:
            if result is not None:
                write_dataset(place(_file(name, "nc")), result.to_dataset())
            if isinstance(result, _HasTable):
                frame = result.to_frame()
                # rows that have names keep them: without its number no neuron of a sorted table can be found again
                write_text(place(_file(name, "csv")), table_text(frame, with_index=frame.index.name is not None))
            write_json(place(_file(name, "json")), self.to_json())


def _file(analysis: str, ending: str) -> str:
    return (INTERPRETATION / f"{analysis}.{ending}").as_posix()


def _number(cell: str) -> float:
    """Return the number in a cell of a history; NaN for anything else."""
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def _json_file(name: str) -> "cached_property[dict[str, Any]]":
    return cached_property(lambda run: run.read_json(name))


def _dataset_file(name: str) -> "cached_property[xr.Dataset | None]":
    return cached_property(lambda run: run.read_dataset(f"{RESULTS}/{name}.nc"))


@dataclass(frozen=True)
class Run:
    """A run directory; each file is read when it is first used, and refused if it is not as it was written."""

    path: Path

    @cached_property
    def files(self) -> SignedFolder:
        """The files of the run, as its checksums list them; every file of a run is read and written by this."""
        return SignedFolder(self.path)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Content of ``summary.json``.

        Raises
        ------
        DataError
            If there is none, or an entry is not of the kind that studies write.
        """
        if SUMMARY not in self.files:
            raise DataError(
                f"{self.path} must hold {SUMMARY}; it does not. Give the directory that `dina study` wrote (its --out)."
            )
        content = self.read_json(SUMMARY)
        wrong = [name for name, kind in _SHAPES.items() if not isinstance(content.get(name, kind()), kind)]
        if wrong:
            raise DataError(
                f"{wrong[0]} in {self.path / SUMMARY} must be a {_SHAPES[wrong[0]].__name__}; it is a"
                f" {type(content[wrong[0]]).__name__}. Run the study again."
            )
        return content

    # contents of these files; empty where absent
    identity = _json_file(IDENTITY)
    split = _json_file(SPLIT)
    environment = _json_file(ENVIRONMENT)
    model = _json_file(TOWERS_DESCRIBED)
    timings = _json_file(TIMINGS)

    @cached_property
    def settings(self) -> str:
        """Text of ``study.toml``; "" where absent."""
        return self._read_text(SETTINGS) if SETTINGS in self.files else ""

    @cached_property
    def rows(self) -> tuple[DecodingRow, ...]:
        """The decoding table of the summary; empty in a run of several recordings."""
        return tuple(_row(number, entry) for number, entry in enumerate(self.summary.get("decoding", [])))

    @cached_property
    def retrieval(self) -> dict[str, DecoderScores]:
        """Decoder name → its scores of the test images."""
        found = {}
        for name in self.files.names(f"{RESULTS}/retrieval_*.nc"):
            decoder = Path(name).stem.removeprefix("retrieval_")
            found[decoder] = DecoderScores.from_dataset(self._load(name), self.path / name)
        return found

    @cached_property
    def interpretation(self) -> dict[str, AnalysisRecord]:
        """Analysis name → its findings and arrays.

        Raises
        ------
        DataError
            If the summary does not hold findings as they are written.
        """
        summarised = self.summary.get("interpretation", {})
        try:
            return {
                str(name): AnalysisRecord.from_json(one, self.read_dataset(_file(Path(name).name, "nc")))
                for name, one in summarised.items()
            }
        except DataError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"interpretation in {SUMMARY} is damaged ({error}). Interpret the run again.") from error

    @cached_property
    def history(self) -> dict[str, Float[np.ndarray, "epoch"]]:
        """Column → one value per epoch (NaN where the cell is empty); empty where there was no training."""
        text = self._read_text(HISTORY) if HISTORY in self.files else ""
        rows = [line.split(",") for line in text.splitlines() if line.strip()]
        names, *epochs = rows or [[]]
        columns = zip_longest(*(epoch for epoch in epochs if len(epoch) <= len(names)), fillvalue="")
        numbers = {name: np.array([_number(cell) for cell in column]) for name, column in zip(names, columns)}
        return {name: values for name, values in numbers.items() if np.isfinite(values).any()}

    # arrays of ``results/<name>.nc``; None where absent
    quality = _dataset_file("quality")
    gallery = _dataset_file("gallery")
    gallery_size = _dataset_file("gallery_size")
    comparisons = _dataset_file("comparisons")
    alignment = _dataset_file("alignment")

    def read_json(self, name: str) -> dict[str, Any]:
        """Return the content of a file of JSON; empty where there is none.

        Raises
        ------
        DataError
            If the file is not as it was written, or holds no object.
        """
        if name not in self.files:
            return {}
        try:
            content = json.loads(self._read_text(name))
        except (json.JSONDecodeError, RecursionError) as error:
            raise DataError(f"{self.path / name} must be JSON; it is not ({error}). Run the study again.") from error
        if not isinstance(content, dict):
            raise DataError(f"{self.path / name} must hold an object; it holds a {type(content).__name__}. Run the study again.")
        return content

    def read_dataset(self, name: str, needed: Collection[str] = ()) -> xr.Dataset | None:
        """Return the arrays of a NetCDF-4 file; None where there is none.

        Raises
        ------
        DataError
            If the file is not as it was written, cannot be read, or lacks one of the ``needed`` variables or attributes.
        """
        if name not in self.files:
            return None
        found = self._load(name)
        absent = [one for one in needed if one not in found.variables and one not in found.attrs]
        if absent:
            raise DataError(f"{self.path / name} must hold {absent[0]}; it does not. Remove this file, and run the study again.")
        return found

    def check_whole(self) -> None:
        """Refuse a finished run of which a file of results was changed or is missing.

        Raises
        ------
        DataError
            If one is not as the study wrote it.
        """
        for name in (SUMMARY, *self.files.names(f"{RESULTS}/*.nc")):
            self.files.check(name)
        for fold in self.folds:
            fold.check_whole()

    def update_summary(self, changes: Mapping[str, Any]) -> None:
        """Replace entries of the summary of a finished run."""
        changed = {**self.summary, **changes}
        with self.files.writing() as place:
            write_json(place(SUMMARY), changed)
        vars(self).pop("summary")  # to be read again

    def _read_text(self, name: str) -> str:
        size = (self.path / name).stat().st_size
        if size > MAX_TEXT_BYTES:
            raise DataError(
                f"{self.path / name} must be smaller than {MAX_TEXT_BYTES} bytes; it has {size}. Run the study again."
            )
        try:
            return self.files.read(name).decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{self.path / name} must be text in UTF-8; byte {error.start} is not. Run the study again."
            ) from error

    _AGAIN = "Remove this file, and run the study again."

    def _load(self, name: str) -> xr.Dataset:
        content = self.files.read(name)
        try:
            check_hdf5_damage(self.path / name, content)
        except DataError as error:
            raise DataError(f"{self.path / name} cannot be read (it is damaged). {self._AGAIN}") from error
        try:
            with h5py.File(io.BytesIO(content), "r") as file:
                check_hdf5_contents(file, self.path / name)
            return xr.load_dataset(io.BytesIO(content), engine="h5netcdf")
        except (DataError, MemoryError):
            raise
        except Exception as error:  # whatever a damaged file makes the libraries raise; the cause stays attached
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
            # what a finished run holds is compared with its checksum before; this is a part of an unfinished one, which is kept
            raise DataError(f"{self.path / name} cannot be read ({reason}). {self._AGAIN}") from error

    @property
    def folds(self) -> "tuple[Run, ...]":
        """The runs of the folds, each of which is a study by itself; empty in a study of one split.

        Raises
        ------
        DataError
            If one is not finished although all of them together are.
        """
        folds = tuple(self.fold(number) for number in range(1, len(self.summary.get("folds", ())) + 1))
        unsigned = [fold for fold in folds if self.files.is_signed and not fold.files.is_signed]
        if unsigned:
            raise DataError(
                f"{unsigned[0].path} must hold {CHECKSUMS}, as every finished fold does. Repeat the study with --force."
            )
        return folds

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

    @property
    def main_queries(self) -> str:
        """The kind of query that is shown where only one is: averaged responses, or single trials where there are no others."""
        kinds = [row.queries for row in self.rows]
        return "single_trial" if kinds and "averaged" not in kinds else "averaged"

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
    missing = [name for name in (SUMMARY, CHECKSUMS, SETTINGS, IDENTITY) if not (run.path / name).is_file()]
    if not missing and run.has_several_recordings:
        raise DataError(
            f"{path} must be a run of one recording to be explored, interpreted, judged or compared; it holds {len(run.summary['recordings'])}"
            " recordings together, whose report compares them. Study each recording by itself with `dina study` and give those runs."
        )
    if not missing and run.folds and not may_have_folds:
        raise DataError(
            f"{path} must be a run of one split to be explored, interpreted or judged; it holds {len(run.folds)} folds with towers of their own."
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
