"""What a run holds of one analysis: its arrays, its findings, or the plain reason why there are none."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import pandas as pd
import xarray as xr

from dina.analyses import AnalysisResult
from dina.artifacts import write_dataset, write_json, write_text
from dina.checks import DataError
from dina.statistics.finding import Finding

FOLDER = Path("results") / "interpretation"


@runtime_checkable
class _HasTable(Protocol):
    def to_frame(self) -> pd.DataFrame: ...


@dataclass(frozen=True, eq=False)
class AnalysisRecord:
    """What a run holds of one analysis, in ``results/interpretation/<name>.*`` and in ``summary.json``.

    Parameters
    ----------
    findings
        Its statistics; empty where it could not be carried out.
    reason
        Why it could not be; None where it could.
    others
        Fingerprints, sorted, of the recordings under other conditions that it was given, if it reads any.
    settings
        Its settings where they were not the defaults, by name.
    dataset
        Its arrays; None where it could not be carried out, or where only the findings were read.
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
        path = run / FOLDER / f"{name}.json"
        if not path.is_file():
            return None
        try:
            return cls.from_json(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path} is damaged ({error}). Remove it and interpret the run again.") from error

    def write(self, run: Path, name: str, result: AnalysisResult | None = None) -> None:
        """Write the files of an analysis, each whole or not at all, ``<name>.json`` last.

        Parameters
        ----------
        run
            The run directory.
        name
            Of the analysis.
        result
            Written as ``<name>.nc`` and, if it is a table too, as ``<name>.csv``; None where there is only a reason, in whose
            place no arrays of an earlier attempt stay.
        """
        folder = run / FOLDER
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
