"""The page of several recordings studied together: one file, drawn from the run directory alone."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import xarray as xr
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from dina.artifacts import CHECKSUMS, write_checksums, write_text
from dina.checks import DataError
from dina.figures.parts import FigurePart, Section
from dina.figures.style import COLOURS
from dina.figures.svg import inline_svg, svg_of
from dina.report.sections.joint import joint_headline, joint_sections


def write_joint_report(run: Path) -> Path:
    """Draw figures and page of a finished joint study, and return the path of ``report.html``.

    Parameters
    ----------
    run
        As `dina joint` wrote it; ``figures/*.svg`` and ``report.html`` are written into it, each whole or not at all.

    Raises
    ------
    DataError
        If the directory holds no finished joint study.
    """
    try:
        summary: dict[str, Any] = json.loads((run / "summary.json").read_text(encoding="utf-8"))
        settings = (run / "study.toml").read_text(encoding="utf-8")
        with xr.open_dataset(run / "results" / "alignment.nc", engine="h5netcdf") as opened:
            alignment = opened.load()
    except (OSError, ValueError) as error:
        raise DataError(f"{run} must be a finished joint study; it is not ({error}). Give the --out of `dina joint`.") from error
    sections = joint_sections(summary, alignment)
    drawings = {part.name: svg_of(part.figure, part.name) for section in sections for part in section.figures}
    for name, drawing in drawings.items():
        write_text(run / "figures" / f"{name}.svg", drawing)
    page = run / "report.html"
    write_text(page, _render(summary, sections, drawings, settings))
    if (run / CHECKSUMS).is_file():
        write_checksums(run)
    return page


def _render(summary: dict[str, Any], sections: list[Section], drawings: dict[str, str], settings: str) -> str:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["rank"] = str
    template = environment.from_string(files("dina.report").joinpath("template.html").read_text(encoding="utf-8"))

    def drawn(part: FigurePart) -> Markup:
        # the drawing comes from matplotlib, which escapes every text in it
        return Markup(inline_svg(drawings[part.name], part.name))

    names = [str(recording["name"]) for recording in summary["recordings"]]
    return (
        template.render(
            name=f"{len(names)} recordings together, preset {summary['preset']}",
            is_simulated=any(recording["is_simulated"] for recording in summary["recordings"]),
            headline=joint_headline(summary),
            warnings=[told for told in [summary["animals_from_names"]] if told],
            tiles=[],
            sections=sections,
            examples=[],
            example_queries="",
            rule="",
            settings=settings,
            commands=["dina joint RECORDING RECORDING … --study study.toml"],
            colours=COLOURS,
            drawn=drawn,
        )
        + "\n"
    )
