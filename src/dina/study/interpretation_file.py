"""What one analysis found, on disk: its arrays, its findings, or the plain reason why there are none."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pandas as pd

from dina.analyses import AnalysisResult
from dina.artifacts import write_dataset, write_json, write_text
from dina.checks import DataError
from dina.statistics.finding import Finding

FOLDER = Path("results") / "interpretation"


@runtime_checkable
class _HasTable(Protocol):
    def to_frame(self) -> pd.DataFrame: ...


@dataclass(frozen=True)
class Interpreted:
    """What is known of one analysis of a run.

    Parameters
    ----------
    findings
        Its statistics; empty where it could not be carried out.
    reason
        Why it could not be; None where it could.
    others
        Fingerprints, sorted, of the recordings under other conditions that it was given, if it reads any.
    settings
        Its own settings where they were not the defaults, by name.
    """

    findings: tuple[Finding, ...] = ()
    reason: str | None = None
    others: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return what ``summary.json`` holds of it."""
        told: dict[str, Any] = {"findings": [finding.to_json() for finding in self.findings], "reason": self.reason}
        told |= {"others": list(self.others)} if self.others else {}
        return told | ({"settings": self.settings} if self.settings else {})


def write_result(
    run: Path, name: str, result: AnalysisResult, others: tuple[str, ...] = (), settings: dict[str, Any] | None = None
) -> None:
    """Write ``<name>.nc``, ``<name>.csv`` if the result is a table too, and last ``<name>.json``, each atomically."""
    folder = run / FOLDER
    write_dataset(folder / f"{name}.nc", result.to_dataset())
    if isinstance(result, _HasTable):
        frame = result.to_frame()
        # rows that have names keep them: without its number no neuron of a sorted table can be found again
        write_text(folder / f"{name}.csv", frame.to_csv(index=frame.index.name is not None, lineterminator="\n"))
    write_json(folder / f"{name}.json", Interpreted(result.findings(), others=others, settings=settings or {}).to_json())


def write_reason(run: Path, name: str, reason: str, others: tuple[str, ...] = (), settings: dict[str, Any] | None = None) -> None:
    """Write that an analysis could not be carried out and why; what an earlier attempt left is removed."""
    folder = run / FOLDER
    for ending in ("nc", "csv"):
        (folder / f"{name}.{ending}").unlink(missing_ok=True)
    write_json(folder / f"{name}.json", Interpreted(reason=reason, others=others, settings=settings or {}).to_json())


def read_interpreted(run: Path, name: str) -> Interpreted | None:
    """Read what an analysis found; None if it has not been carried out.

    Raises
    ------
    DataError
        If the file is not as it was written.
    """
    path = run / FOLDER / f"{name}.json"
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        findings = tuple(Finding.from_json(one) for one in content["findings"])
        return Interpreted(findings, content["reason"], tuple(content.get("others", ())), dict(content.get("settings", {})))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}). Remove it and interpret the run again.") from error
