"""One self-contained page per study: no script, nothing loaded from anywhere, the same bytes every time."""

from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from dina.artifacts import CHECKSUMS, write_checksums, write_text
from dina.checks import DataError
from dina.figures.parts import FigurePart, Section
from dina.figures.style import COLOURS
from dina.figures.svg import inline_svg, svg_of
from dina.figures.words import number
from dina.report.accuracy import QUERIES, all_decoders
from dina.report.comparisons import differences, directions
from dina.report.examples import RULE, Example, make_examples
from dina.report.gallery_curve import gallery_sizes
from dina.report.headline import Tile, headline, tiles
from dina.report.interpretation import interpretation_sections, verdicts_sections
from dina.report.methods import commands, how_to_read, methods
from dina.report.recording_quality import data_quality, what_was_decoded
from dina.report.several_recordings import several_recordings_headline, several_recordings_sections
from dina.report.training_curves import training
from dina.study.run_directory import Run, read_run


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

    Nothing is computed again and no model is touched: the page shows what the run directory holds, and says what it
    does not hold and why. Writing twice gives the same bytes.

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
    examples = _examples(run)
    return _Page(
        name=str(run.summary.get("recording", {}).get("name", "recording without a name")),
        is_simulated=run.is_simulated,
        headline=headline(run),
        warnings=[str(warning) for warning in run.summary.get("warnings", [])],
        sections=_sections(run),
        settings=run.settings,
        commands=commands(run),
        tiles=tiles(run),
        examples=next(iter(examples.values()), []),
        example_queries=QUERIES.get(next(iter(examples), ""), ""),
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
    made = [
        *verdicts_sections(run),
        what_was_decoded(run),
        all_decoders(run),
        differences(run),
        gallery_sizes(run),
        directions(run),
        *interpretation_sections(run),
        training(run),
        data_quality(run),
    ]
    return [*made, _not_computed(made), how_to_read(), methods(run)]


def _not_computed(sections: list[Section]) -> Section:
    """Gather from all sections what could not be computed, and why."""
    gathered = tuple(f"{section.title} – {reason}" for section in sections for reason in section.missing)
    return Section(
        "missing",
        "What could not be computed, and why",
        paragraphs=() if gathered else ("Everything was computed.",),
        missing=gathered,
    )


def _examples(run: Run) -> dict[str, list[Example]]:
    """Return the examples of dina by kind of query, where scores and thumbnails are there and agree."""
    retrieval, gallery = run.retrieval.get("dina"), run.gallery
    if retrieval is None or gallery is None or "thumbnail" not in gallery:
        return {}
    same = (kind for kind, one in retrieval.scored.items() if one.scores.shape[1] == gallery.sizes["gallery"])
    return {kind: make_examples(retrieval.scored[kind], gallery) for kind in list(same)[:1]}


def _render(page: _Page, drawings: dict[str, str]) -> str:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["rank"] = number
    template = environment.from_string(files("dina.report").joinpath("template.html").read_text(encoding="utf-8"))

    def drawn(part: FigurePart) -> Markup:
        # the drawing comes from matplotlib, which escapes every text in it
        return Markup(inline_svg(drawings[part.name], part.name))

    return template.render(vars(page), colours=COLOURS, drawn=drawn) + "\n"
