"""Objectives side by side: a table, Markdown and CSV for papers, and figures; the answer stands above the numbers."""

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dina.analyses.objectives.compute import ObjectivesStudy
from dina.artifacts import write_json, write_text
from dina.figures.canvas import finish_axes, in_style, new_figure, svg_of
from dina.figures.parts import Table
from dina.figures.style import COLOURS
from dina.figures.words import DASH
from dina.safe_words import one_line
from dina.statistics.finding import Finding

Found = Mapping[str, Mapping[str, Finding]]

# Finding → heading and factor, in the order of the table.
COLUMNS = {
    "top1_averaged": ("top-1 (%)", 100.0),
    "category_matched": ("category of best matches (%)", 100.0),
    "category_matched_beyond_low_level": ("… beyond low level (%)", 100.0),
    "category_accuracy": ("category read from maps (%)", 100.0),
    "category_beyond_low_level": ("… beyond low level (%)", 100.0),
    "kept_lowest_octaves": ("kept below a quarter of Nyquist (%)", 100.0),
}

PANELS = {
    "top1_averaged": ("top-1 (%)", 100.0),
    "category_matched_beyond_low_level": ("category of best\nmatches, beyond\nlow level (%)", 100.0),
    "category_beyond_low_level": ("category read\nfrom maps, beyond\nlow level (%)", 100.0),
    "kept_lowest_octaves": ("accuracy kept below\na quarter of the\nNyquist limit (%)", 100.0),
}
# Rows for comparison, drawn below the objectives and in another colour.
REFERENCES = ("untrained", "responses", "category objectives")


def objectives_table(findings: Found) -> Table:
    """Return the table of objectives: means over seeds with 95 % intervals."""
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
    if not (math.isfinite(finding.low) and math.isfinite(finding.high)):
        return f"{scale * finding.value:.{digits}f} [{DASH}]".replace("-", "−")
    ends = [f"{scale * end:.{digits}f}" for end in (finding.value, finding.low, finding.high)]
    return f"{ends[0]} [{ends[1]}, {ends[2]}]".replace("-", "−")


def objectives_remarks(study: ObjectivesStudy) -> tuple[str, ...]:
    """Return the answer, the learning curves, and the objectives that could not be trained."""
    verdict, seed = study.comparison.verdict, study.comparison.seeds[0]
    lines = [f"“{verdict.claim.rstrip('.')}”: {verdict.verdict}. {verdict.reason}"]
    for name, curve in study.learning.items():
        values = ", ".join(f"{100 * value:.1f}" for value in curve)
        lines.append(
            f"Learning curve of {name} (validation top-1, %, seed {seed}; it chose the epoch, so its best is too high): {values}."
        )
    return (*lines, *(f"Not trained, {name}: {reason}" for name, reason in study.missing.items()))


def write_objectives(study: ObjectivesStudy, folder: Path) -> tuple[Path, ...]:
    """Write ``objectives.md``, ``.csv``, ``.json`` and two figures into a folder, each whole or not at all."""
    findings, similarity = study.comparison.findings, study.comparison.similarity
    table = objectives_table(findings)
    cells = [table.columns, ["---"] + ["---:"] * (len(table.columns) - 1), *table.rows]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]
    seeds = ", ".join(map(str, study.comparison.seeds))
    text = [f"# Objectives on {study.recording}", "", f"{table.caption} Seeds {seeds}.", "", *lines, ""]
    texts = {
        "objectives.md": "".join(f"{one_line(line)}\n" for line in (*text, *(f"- {line}" for line in objectives_remarks(study)))),
        "objectives.csv": _csv(findings),
        "objectives.svg": svg_of(_draw_objectives(findings), "objectives"),
        "objectives_maps.svg": svg_of(_draw_similarity(similarity), "objectives_maps"),
    }
    for name, content in texts.items():
        write_text(folder / name, content)
    write_json(folder / "objectives.json", _json(study))
    return tuple(folder / name for name in (*texts, "objectives.json"))


def _csv(findings: Found) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    fields = ("name", "value", "low", "high", "null_low", "null_high", "units", "n", "null", "reason")
    writer.writerow(("objective", *fields))
    for objective, found in findings.items():
        writer.writerows((objective, *(getattr(one, field) for field in fields)) for one in found.values())
    return stream.getvalue()


def _json(study: ObjectivesStudy) -> dict[str, object]:
    comparison, verdict = study.comparison, study.comparison.verdict
    maps = comparison.similarity
    similarity = {str(side): maps.sel(side=side).to_numpy().tolist() for side in maps["side"].to_numpy()}
    return {
        "recording": study.recording,
        "seeds": list(comparison.seeds),
        "claim": verdict.claim,
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "findings": {name: [one.to_json() for one in found.values()] for name, found in comparison.findings.items()},
        "similarity": {"objectives": [str(name) for name in maps["first"].to_numpy()], **similarity},
        "validation_top1": {name: list(curve) for name, curve in study.learning.items()},
        "missing": dict(study.missing),
    }


@in_style
def _draw_objectives(findings: Found) -> Figure:
    """Draw statistics of every objective as dots with intervals, their nulls as bands behind them."""
    names = sorted(findings, key=lambda name: name in REFERENCES)
    panels = [name for name in PANELS if any(name in found for found in findings.values())]
    figure = new_figure(180, 26 + 5.6 * len(names))
    some = np.atleast_1d(figure.subplots(1, len(panels), sharey=True))
    for axes, panel in zip(some, panels, strict=True):
        label, scale = PANELS[panel]
        for y, name in enumerate(names):
            finding = findings[name].get(panel)
            if finding is not None and finding.value == finding.value:
                _dot(axes, y, finding, scale, COLOURS["reference" if name in REFERENCES else "dina"][0])
        if panel != "top1_averaged":  # the others can fall below zero
            axes.axvline(0, color=COLOURS["ink"][0], linewidth=0.8, zorder=1)
        axes.set_xlabel(label)
        axes.locator_params(axis="x", nbins=4)
        finish_axes(axes, "x", has_named_rows=True)
    some[0].set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    some[0].set_ylim(len(names) - 0.4, -0.6)
    return figure


def _dot(axes: Axes, y: float, finding: Finding, scale: float, colour: str) -> None:
    low, high = finding.null_low, finding.null_high
    if high > low:
        axes.plot([scale * low, scale * high], [y, y], color=COLOURS["grid"][0], linewidth=7, solid_capstyle="butt", zorder=0)
    axes.plot([scale * finding.low, scale * finding.high], [y, y], color=colour, linewidth=1.3, zorder=2)
    axes.plot(scale * finding.value, y, "o", color=colour, markersize=4.4, zorder=3)


@in_style
def _draw_similarity(similarity: xr.DataArray) -> Figure:
    """Draw the linear kernel alignment of maps between objectives as two matrices, maps of images and of responses."""
    names = [str(name).replace("_", " ") for name in similarity["first"].to_numpy()]
    figure = new_figure(180, 40 + 4.6 * len(names))
    some = figure.subplots(1, 2, sharey=True)
    for axes, side in zip(some, similarity["side"].to_numpy(), strict=True):
        image = axes.imshow(similarity.sel(side=side).to_numpy(), vmin=0, vmax=1, cmap="cividis", aspect="auto")
        axes.set_title(f"maps of {side}s")
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.tick_params(length=0)
    some[0].set_yticks(range(len(names)), names)
    figure.colorbar(image, ax=some, label="linear kernel alignment", shrink=0.8)
    return figure
