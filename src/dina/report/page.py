"""One self-contained page per study: it has no script, loads nothing, and has the same bytes every time."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dina.analyses import ANALYSES
from dina.artifacts import CHECKSUMS, write_checksums, write_text
from dina.checks import DataError
from dina.figures.canvas import inline_svg, svg_of
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.style import COLOURS, QUERIES
from dina.figures.words import number
from dina.report.accuracy import all_decoders
from dina.report.accuracy_curves import gallery_sizes
from dina.report.comparisons import differences, directions
from dina.report.examples import RULE, Example, make_examples
from dina.report.headline import Tile, headline, tiles
from dina.report.methods import commands, how_to_read, methods
from dina.report.recording_quality import data_quality, what_was_decoded
from dina.report.several_recordings import several_recordings_headline, several_recordings_sections
from dina.report.training_curves import training
from dina.study.run_directory import Run, read_run

ORDER = ("image", "neural")


@dataclass(frozen=True)
class _Page:
    """Everything that the template shows, in the words of the template."""

    name: str
    is_simulated: bool
    headline: list[str]
    warnings: list[str]
    sections: list[Section]
    settings: str
    commands: tuple[str, ...]
    tiles: list[Tile] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    example_queries: str = ""
    rule: str = ""


def write_report(run: Path) -> Path:
    """Draw the figures and the page of a finished study of one or several recordings, and return the path of ``report.html``.

    Nothing is computed again and no model is loaded. The page shows everything that the run directory holds, and says which
    results are missing and why. Writing twice gives the same bytes.

    Parameters
    ----------
    run
        A run directory, as `dina study` or `dina joint` wrote it. ``figures/*.svg`` and ``report.html`` are written into
        it, each whole or not at all; ``SHA256SUMS``, if there is one, is written anew.

    Raises
    ------
    DataError
        If the directory holds no ``summary.json``, a file in it is damaged, or ``figures`` leads out of it.
    """
    content = read_run(run)
    folder = content.path / "figures"
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise DataError(
            f"{folder} must be a folder inside the run; it is a link or a file. Remove it and write the report again."
        )
    shown = _several_recordings(content) if content.has_several_recordings else _one_recording(content)
    drawings = {part.name: svg_of(part.figure, part.name) for section in shown.sections for part in section.figures}
    text = _render(shown, drawings)  # all is read before anything is written
    for name, drawing in drawings.items():
        write_text(folder / f"{name}.svg", drawing)
    page = content.path / "report.html"
    write_text(page, text)
    if (content.path / CHECKSUMS).is_file():
        write_checksums(content.path)
    return page


def _one_recording(run: Run) -> _Page:
    queries, examples = _examples(run)
    return _Page(
        name=str(run.summary.get("recording", {}).get("name", "recording without a name")),
        is_simulated=run.is_simulated,
        headline=headline(run),
        warnings=[str(warning) for warning in run.summary.get("warnings", [])],
        sections=_sections(run),
        settings=run.settings,
        commands=commands(run),
        tiles=tiles(run),
        examples=examples,
        example_queries=queries,
        rule=RULE,
    )


def _several_recordings(run: Run) -> _Page:
    summary = run.summary
    if run.alignment is None:
        raise DataError(f"{run.path} must hold results/alignment.nc; it does not. Run `dina joint` again.")
    return _Page(
        name=f"{len(summary['recordings'])} recordings together, preset {summary['preset']}",
        is_simulated=any(recording["is_simulated"] for recording in summary["recordings"]),
        headline=several_recordings_headline(summary),
        warnings=[guessed for guessed in [summary["animals_from_names"]] if guessed],
        sections=several_recordings_sections(summary, run.alignment),
        settings=run.settings,
        commands=("dina joint RECORDING RECORDING … --study study.toml",),
    )


def _sections(run: Run) -> list[Section]:
    """Return the sections in reading order; the examples are put in by the template after the first two."""
    made = [*verdicts_sections(run), what_was_decoded(run), all_decoders(run), differences(run), gallery_sizes(run)]
    made += [directions(run), *interpretation_sections(run), training(run), data_quality(run)]
    gathered = tuple(f"{section.title} – {reason}" for section in made for reason in section.missing)
    words = () if gathered else ("Everything was computed.",)
    missing = Section("missing", "What could not be computed, and why", words, missing=gathered)
    return [*made, missing, how_to_read(), methods(run)]


def verdicts_sections(run: Run) -> list[Section]:
    """Return the table of verdicts, or nothing where the run was never interpreted."""
    verdicts = run.summary.get("verdicts")
    if not isinstance(verdicts, dict) or not verdicts:
        return []
    rows = sorted((row for row in verdicts.values() if isinstance(row, dict)), key=_place)
    cells = tuple(tuple(str(row.get(key, "")) for key in ("claim", "verdict", "reason")) for row in rows)
    table = Table("Claims and verdicts.", ("claim", "verdict", "what decided"), cells, n_words=3)
    answers = [verdict for _, verdict, _ in cells]
    counted = ", ".join(f"{answers.count(kind)} {kind}" for kind in ("supported", "not supported", "cannot tell"))
    words = (
        f"{counted}. Each verdict follows from the findings below by a written rule (docs/verdicts.md). The rules were written before"
        " anyone looked at the result of a published seed. A claim that something carries the decoding is supported if the effect"
        " exceeds its null and is large enough to matter. A claim that something does not carry it is supported if the interval lies"
        " below the smallest effect that matters. Three claims (regions, pathways, fine detail) ask how an effect is distributed. They"
        " are supported by their intervals alone, without a test against a null."
    )
    brackets = "Numbers in brackets are 95\u202f% intervals."
    return [Section("verdicts", "What the findings support", (words, brackets), tables=(table,))]


def _place(row: dict[str, Any]) -> int:
    side = row.get("side")
    return ORDER.index(side) if side in ORDER else len(ORDER)


def interpretation_sections(run: Run) -> list[Section]:
    """Return one section for each analysis that the run holds; one that could not be carried out says why."""
    sections = []
    for name, row in ANALYSES.items():
        found = run.interpretation.get(name) or run.interpretation.get(row.former_name)
        if found is not None and found.dataset is not None:
            sections.append(row.draw(found.dataset, found.findings))
        elif found is not None:
            title, reason = name.replace("_", " ").capitalize(), found.reason or "It was not computed."
            sections.append(Section(name.replace("_", "-"), title, missing=(reason,)))
    return sections


def _examples(run: Run) -> tuple[str, list[Example]]:
    """Return examples of dina and their kind of query, of the first whose scores and thumbnails are there and agree."""
    retrieval, gallery = run.retrieval.get("dina"), run.gallery
    if retrieval is not None and gallery is not None and "thumbnail" in gallery:
        for kind, one in retrieval.scored.items():
            if one.scores.shape[1] == gallery.sizes["gallery"]:
                return QUERIES[kind], make_examples(one, gallery)
    return "", []


def _render(page: _Page, drawings: dict[str, str]) -> str:
    # the template lies beside this file; a drawing comes from matplotlib, which escapes every text in it
    folder = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["rank"] = number

    def drawn(part: FigurePart) -> Markup:
        return Markup(inline_svg(drawings[part.name], part.name))

    return environment.get_template("template.html").render(vars(page), colours=COLOURS, drawn=drawn) + "\n"
