"""One self-contained page per study: it has no script, loads nothing, and has the same bytes every time."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from dina.analyses import ANALYSES
from dina.analyses.verdict import BESIDE, in_page_words
from dina.artifacts import write_text
from dina.checks import DataError
from dina.figures.canvas import inline_svg, svg_of
from dina.figures.finding_parts import findings_section
from dina.figures.image_names import name_images
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.style import COLOURS, QUERIES
from dina.power.page import power_sections
from dina.power.run_power import FORETOLD
from dina.report.accuracy import all_decoders
from dina.report.accuracy_curves import gallery_sizes
from dina.report.answer import Tile, headline, in_plain_words, tiles
from dina.report.comparisons import differences, directions
from dina.report.copies import bound_of_forecast, copies_in_gallery
from dina.report.examples import RULE, TIE_RULE, Example, make_examples
from dina.report.export import export_page
from dina.report.folds import folds_section
from dina.report.glossary import TOWERS_MEAN, how_to_read
from dina.report.map_channels import map_channels
from dina.report.methods_section import methods_section
from dina.report.paper_methods import methods_paragraph
from dina.report.recording_quality import data_quality, what_was_decoded
from dina.report.several_recordings import several_recordings_headline, several_recordings_sections
from dina.report.training_curves import training
from dina.report.what_is_missing import ADVICE, ANY_ADVICE, what_is_missing
from dina.study.run_directory import Run, read_run
from dina.study.shown_once import as_shown, was_shown_once
from dina.study.study_result import StudyResult, place_of

ORDER = {"image": 0, "neural": 1}  # of claims, by side
QUESTIONS = {
    "decoding": "How well are images decoded?",
    "image": "What in the image carries the decoding?",
    "neural": "Which neurons carry the decoding?",
    "about": "About this study",
}
ABOUT = ("training", "quality", "missing", "reading", "methods", "updates", "spread")
PLAIN_SPACE = re.compile(r"(?<=\d) %")  # where a line may not break


@dataclass(frozen=True)
class _Page:
    """Everything that the template shows, in the words of the template."""

    name: str
    is_simulated: bool
    plain: tuple[tuple[str, str], ...]
    details: list[str]
    warnings: list[str]
    sections: list[Section]
    settings: str
    commands: tuple[str, ...]
    tiles: list[Tile] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    example_queries: str = ""
    rule: str = ""
    paper: tuple[str, ...] = ()
    has_explorer: bool = False


def write_report(run: Path | str | StudyResult, export: Path | str | None = None) -> Path:
    """Draw the figures and the page of a finished study of one or several recordings, and return the path of ``report.html``.

    Nothing is computed again and no model is loaded. The page shows everything that the run directory holds, and says which
    results are missing and why. Writing twice gives the same bytes.

    Parameters
    ----------
    run
        What `dina.run_study` returned, or a run directory, as `dina study` or `dina joint` wrote it. ``figures/*.svg`` and ``report.html`` are written into
        it, each whole or not at all, and their lines in ``SHA256SUMS``, if there is one, are renewed.
    export
        A folder outside the run that gets tables, figures and methods as files for a paper, see `dina.report.export.export_page`.

    Raises
    ------
    DataError
        If the directory holds no ``summary.json``, a file in it is not as it was written, or it holds a link.
    """
    content = as_shown(read_run(place_of(run)))
    shown = _page(content)
    drawings = {part.name: svg_of(part.figure, part.name) for section in shown.sections for part in section.figures}
    text = _render(shown, drawings)  # all is read before anything is written
    with content.files.writing() as place:
        for name, drawing in drawings.items():
            write_text(place(f"figures/{name}.svg"), drawing)
        write_text(place("report.html"), text)
    if export is not None:
        export_page(shown.sections, shown.paper, Path(export))
    return content.path / "report.html"


def draw_run(run: Path | str | StudyResult) -> dict[str, Figure]:
    """Return the figures of the page of a finished study by name, "accuracy" for example, as figures of matplotlib.

    Nothing is computed again and nothing is written; figures of the analyses that the run holds are among them. A notebook shows
    a figure; ``figure.savefig("accuracy.pdf")`` keeps it.

    Parameters
    ----------
    run
        What `dina.run_study` returned, or a run directory.

    Raises
    ------
    DataError
        If the study was kept nowhere, or a file of the run is not as it was written.
    """
    shown = _page(as_shown(read_run(place_of(run))))
    return {part.name: part.figure for section in shown.sections for part in section.figures}


def _page(run: Run) -> _Page:
    return _several_recordings(run) if run.has_several_recordings else _one_recording(run)


def _one_recording(run: Run) -> _Page:
    queries, examples = _examples(run)
    return _Page(
        name=str(run.summary.get("recording", {}).get("name", "recording without a name")),
        is_simulated=run.is_simulated,
        plain=in_plain_words(run),
        details=headline(run)[1:],  # the first sentence stands in the plain words
        warnings=[str(warning) for warning in run.summary.get("warnings", [])],
        sections=_sections(run),
        settings=run.settings,
        commands=_commands(run),
        tiles=tiles(run),
        examples=examples,
        example_queries=queries,
        rule=RULE + (TIE_RULE if any(example.outcome == "tie" for example in examples) else ""),
        paper=methods_paragraph(run),
        has_explorer="explorer.html" in run.files,
    )


def _several_recordings(run: Run) -> _Page:
    summary = run.summary
    if run.alignment is None:
        raise DataError(f"{run.path} must hold results/alignment.nc; it does not. Run `dina joint` again.")
    return _Page(
        name=f"{len(summary['recordings'])} recordings together, preset {summary['preset']}",
        is_simulated=any(recording["is_simulated"] for recording in summary["recordings"]),
        plain=(("What was found", " ".join(several_recordings_headline(summary))),),
        details=[],
        warnings=[words for words in (*summary.get("warnings", []), summary["animals_from_names"]) if words],
        sections=several_recordings_sections(summary, run.alignment),
        settings=run.settings,
        commands=("dina joint RECORDING RECORDING … --study study.toml",),
    )


def _sections(run: Run) -> list[Section]:
    """Return the sections in reading order; the template puts the verdicts at the top, and the examples after the accuracies."""
    if run.folds:  # what belongs to one training or one gallery stands on the page of each fold
        made = [
            folds_section(run),
            what_was_decoded(run),
            all_decoders(run),
            differences(run),
            directions(run),
            data_quality(run),
        ]
    else:
        made = [*verdicts_sections(run), what_was_decoded(run), all_decoders(run), differences(run), gallery_sizes(run)]
        made += [*_forecast(run), directions(run), *interpretation_sections(run), training(run), data_quality(run)]
    missing = what_is_missing(run, made)
    # each advice once: where what is missing stands
    made = [replace(section, paragraphs=[ADVICE.sub("", words) for words in section.paragraphs]) for section in made]
    shown = [section for section in made if section.paragraphs or section.figures or section.tables]
    return [*shown, missing, how_to_read(run), methods_section(run)]


def _forecast(run: Run) -> list[Section]:
    """Show what more data would give, and where copies of images end that."""
    copies = None if run.folds else copies_in_gallery(run)
    if copies is None:
        return power_sections(run)
    words = bound_of_forecast(copies, int(run.read_json(FORETOLD).get("gallery", copies.n_test)))
    return [replace(section, paragraphs=[*section.paragraphs, words]) for section in power_sections(run)]


def verdicts_sections(run: Run) -> list[Section]:
    """Return the table of verdicts, or nothing where the run was never interpreted."""
    verdicts = run.summary.get("verdicts")
    if not isinstance(verdicts, dict) or not verdicts:
        return []
    rows = sorted((row for row in verdicts.values() if isinstance(row, dict)), key=lambda row: ORDER.get(str(row.get("side")), 2))
    cells = _each_reason_once([tuple(str(row.get(key, "")) for key in ("claim", "verdict", "reason")) for row in rows])
    table = Table("Claims and verdicts.", ("claim", "verdict", "what decided"), cells, n_words=3)
    answers = [verdict for _, verdict, _ in cells]
    counted = ", ".join(f"{answers.count(kind)} {kind}" for kind in ("supported", "not supported", "cannot tell"))
    words = (
        f"{counted}. Each verdict follows from the findings below by a written rule. Some rules were changed after the results of"
        " development sessions or of a real recording had been seen; the documentation of dina names these changes (verdicts.md). A claim that something carries the decoding is supported if the effect"
        " exceeds its null and is large enough to matter. A claim that something does not carry it is supported if the interval lies"
        " below the smallest effect that matters. Three claims (regions, pathways, fine detail) ask how an effect is distributed. They"
        " are supported by their intervals alone, without a test against a null."
    )
    if "tower" in str(cells):
        words += f" {TOWERS_MEAN}"
    own = [str(one["claim"]) for found in run.interpretation.values() for one in found.own.get("verdicts", {}).values()]
    if own:
        words += f" These claims are the user's own, and so are their rules, of which dina knows nothing: {' '.join(own)}"
    brackets = "Numbers in brackets are 95\u202f% intervals."
    return [Section("verdicts", "What the findings support", (words, brackets), tables=(table,))]


def _each_reason_once(cells: list[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    """Give a reason that decided several claims in the first of their lines only; what to record or run is said where what is missing stands.

    Examples
    --------
    >>> lacking = "The analysis occlusion was not done."
    >>> rows = [("Many.", "", lacking), ("Few.", "", "Half. " + lacking), ("One.", "", "The analysis semantics could not be done: No labels. Add some.")]
    >>> for claim, _, reason in _each_reason_once(rows):
    ...     print(claim, reason)
    Many. This was not asked yet (dina interpret RUN occlusion).
    Few. Half. This was not asked yet (dina interpret RUN occlusion).
    One. No labels.
    """
    first = {reason: claim for claim, _, reason in reversed(cells)}
    rows = []
    for claim, verdict, reason in cells:
        said = ANY_ADVICE.sub("", in_page_words(reason).replace(": This was", ": this was"))
        rows.append((claim, verdict, said if first[reason] == claim else f"As for “{first[reason].rstrip('.')}”."))
    return tuple(rows)


def interpretation_sections(run: Run) -> list[Section]:
    """Return one section for each analysis that the run holds, a user's own last; one that could not be carried out says why."""
    sections = []
    called = {"channels": map_channels(run)}
    called |= {"responses": "responses"} if was_shown_once(run) else {}  # what is no average is not called so
    known = {name: run.interpretation.get(name) or run.interpretation.get(row.former_name) for name, row in ANALYSES.items()}
    for name, found in (known | {name: one for name, one in run.interpretation.items() if one.own}).items():
        if found is not None and found.dataset is not None and name in ANALYSES:
            sections.append(ANALYSES[name].draw(name_images(found.dataset, run.gallery).assign_attrs(called), found.findings))
        elif found is not None and found.dataset is not None:
            sections.append(findings_section(str(found.own["question"]), found.dataset, found.findings))
        elif found is not None:
            title = ANALYSES[name].heading if name in ANALYSES else name.replace("_", " ").capitalize()
            reason = found.reason or "It was not computed."
            sections.append(Section(name.replace("_", "-"), title, missing=(reason,)))
    return sections


def _commands(run: Run) -> tuple[str, ...]:
    """Return the command lines that repeat the study and redraw the page."""
    if own := run.identity.get("own"):
        settings = f'dina.read_settings("study.toml"{", preset=PRESET" if "preset" in own else ""})'
        given = ", preset=PRESET" * ("preset" in own) + ", decoders=DECODERS" * ("decoders" in own)
        return (f"dina.run_study(recording, {settings}, out=NEW_RUN{given})  # in Python", "dina report RUN")
    command = run.summary.get("command")
    seed = run.summary.get("split", {}).get("seed")
    again = "dina study RECORDING --study study.toml --out NEW_RUN" + (f" --seed {seed}" if isinstance(seed, int) else "")
    return (str(command) if command else again, "dina report RUN")


def _examples(run: Run) -> tuple[str, list[Example]]:
    """Return examples of dina and their kind of query, of the first whose scores and thumbnails are there and agree."""
    shown = run.folds[0] if run.folds else run
    retrieval, gallery = shown.retrieval.get("dina"), shown.gallery
    if retrieval is not None and gallery is not None and "thumbnail" in gallery:
        for kind, one in retrieval.scored.items():
            if one.scores.shape[1] == gallery.sizes["gallery"]:
                return QUERIES[kind] + (" of fold 1" if run.folds else ""), make_examples(one, gallery)
    return "", []


def _render(page: _Page, drawings: dict[str, str]) -> str:
    # the template lies beside this file; a drawing comes from matplotlib, which escapes every text in it
    folder = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)

    def drawn(part: FigurePart) -> Markup:
        return Markup(inline_svg(drawings[part.name], part.name))

    opening = [section for section in page.sections if section.anchor == "verdicts"]
    questions = _by_question([section for section in page.sections if section.anchor != "verdicts"])
    shown = {"opening": opening, "questions": questions, "colours": COLOURS, "drawn": drawn, "beside": BESIDE}
    return PLAIN_SPACE.sub("\u202f%", environment.get_template("template.html").render(vars(page), **shown)) + "\n"


def _by_question(sections: list[Section]) -> list[tuple[str, str, list[Section]]]:
    """Put sections under the question that they answer, in their order; an anchor stands before each question."""
    side = {name.replace("_", "-"): row.side for name, row in ANALYSES.items()}
    grouped: dict[str, list[Section]] = {name: [] for name in QUESTIONS}
    for section in sections:
        about = "about" if section.anchor in ABOUT else side.get(section.anchor, "decoding")
        grouped[about].append(section)
    return [(f"question-{name}", QUESTIONS[name], some) for name, some in grouped.items() if some]
