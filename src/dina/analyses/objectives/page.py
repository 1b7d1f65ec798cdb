"""Objectives as a table, as Markdown and CSV for papers, and as figures; the answer stands above the numbers."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from dina.analyses.objectives.drawing import draw_map_likeness, draw_objectives
from dina.artifacts import write_json, write_text
from dina.figures.parts import Table
from dina.figures.svg import svg_of
from dina.figures.words import DASH
from dina.statistics.finding import Finding

Found = Mapping[str, Mapping[str, Finding]]

COLUMNS = {
    "top1_averaged": ("top-1 (%)", 100.0),
    "category_matched": ("category of best matches (%)", 100.0),
    "category_matched_beyond_low_level": ("… beyond low level (share)", 1.0),
    "category_accuracy": ("category read from maps (%)", 100.0),
    "category_beyond_low_level": ("… beyond low level (share)", 1.0),
    "kept_lowest_octaves": ("kept below a quarter of Nyquist (share)", 1.0),
}
"""Finding → heading and factor, in the order of the table."""


@dataclass(frozen=True, eq=False)
class ObjectivesReport:
    """What a page about objectives is made of.

    Parameters
    ----------
    recording
        Its name.
    findings
        Objective → name → finding.
    similarity
        Linear kernel alignment of maps, axes (side, first, second).
    claim, verdict, reason
        The question, the answer, and which part of the rule decided.
    seeds
        Over which all is averaged.
    learning
        Objective → validation top-1 by epoch of the first seed.
    missing
        Objective → why it could not be trained.
    """

    recording: str
    findings: Found
    similarity: xr.DataArray
    claim: str
    verdict: str
    reason: str
    seeds: Sequence[int]
    learning: Mapping[str, Sequence[float]]
    missing: Mapping[str, str]


def objectives_table(findings: Found) -> Table:
    """Return the table of objectives: means over seeds with 95 % intervals.

    Parameters
    ----------
    findings
        Objective → name → finding.
    """
    names = [name for name in COLUMNS if any(name in found for found in findings.values())]
    rows = tuple(
        (objective, *(_cell(found.get(name), COLUMNS[name][1]) for name in names)) for objective, found in findings.items()
    )
    caption = (
        "The same towers, data and budget under each objective; means over seeds with 95\u202f% intervals over images and seeds."
    )
    return Table(caption, ("objective", *(COLUMNS[name][0] for name in names)), rows)


def _cell(finding: Finding | None, scale: float) -> str:
    if finding is None or finding.value != finding.value:
        return DASH
    digits = 1 if scale > 1 else 2
    ends = [f"{scale * end:.{digits}f}" for end in (finding.value, finding.low, finding.high)]
    return f"{ends[0]} [{ends[1]}, {ends[2]}]".replace("-", "−")


def objectives_remarks(report: ObjectivesReport) -> tuple[str, ...]:
    """Return the answer, the budgets that were not enough, and what could not be trained.

    Parameters
    ----------
    report
        What is written.
    """
    lines = [f"“{report.claim.rstrip('.')}”: {report.verdict}. {report.reason}"]
    curves = {name: [100 * value for value in curve] for name, curve in report.learning.items()}
    lines += [
        f"Learning curve of {name} (validation top-1, %, seed {report.seeds[0]}): {', '.join(f'{value:.1f}' for value in curve)}."
        for name, curve in curves.items()
    ]
    return (*lines, *(f"Not trained, {name}: {reason}" for name, reason in report.missing.items()))


def write_objectives(report: ObjectivesReport, folder: Path) -> tuple[Path, ...]:
    """Write ``objectives.md``, ``.csv``, ``.json`` and two figures, each whole or not at all.

    Parameters
    ----------
    report
        What is written.
    folder
        Made if it is not there.
    """
    table = objectives_table(report.findings)
    cells = [table.columns, ["---"] + ["---:"] * (len(table.columns) - 1), *table.rows]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]
    seeds = ", ".join(map(str, report.seeds))
    text = [f"# Objectives on {report.recording}", "", f"{table.caption} Seeds {seeds}.", "", *lines, ""]
    texts = {
        "objectives.md": "\n".join([*text, *(f"- {line}" for line in objectives_remarks(report))]) + "\n",
        "objectives.csv": _csv(report.findings),
        "objectives.svg": svg_of(draw_objectives(report.findings), "objectives"),
        "objectives_maps.svg": svg_of(draw_map_likeness(report.similarity), "objectives_maps"),
    }
    for name, content in texts.items():
        write_text(folder / name, content)
    write_json(folder / "objectives.json", _json(report))
    return tuple(folder / name for name in (*texts, "objectives.json"))


def _csv(findings: Found) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    fields = ("name", "value", "low", "high", "null_low", "null_high", "units", "n", "null", "reason")
    writer.writerow(("objective", *fields))
    for objective, found in findings.items():
        writer.writerows((objective, *(getattr(one, field) for field in fields)) for one in found.values())
    return stream.getvalue()


def _json(report: ObjectivesReport) -> dict[str, object]:
    similarity = {
        str(side): report.similarity.sel(side=side).to_numpy().tolist() for side in report.similarity["side"].to_numpy()
    }
    return {
        "recording": report.recording,
        "seeds": list(report.seeds),
        "claim": report.claim,
        "verdict": report.verdict,
        "reason": report.reason,
        "findings": {name: [one.to_json() for one in found.values()] for name, found in report.findings.items()},
        "similarity": {"objectives": [str(name) for name in report.similarity["first"].to_numpy()], **similarity},
        "validation_top1": {name: list(curve) for name, curve in report.learning.items()},
        "missing": dict(report.missing),
    }
