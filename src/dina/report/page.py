"""One self-contained page per study: it has no script, loads nothing, and has the same bytes every time."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from dina.analyses import ANALYSES
from dina.artifacts import write_text
from dina.checks import DataError
from dina.figures.canvas import inline_svg, svg_of
from dina.figures.finding_parts import findings_section
from dina.figures.finding_words import LOCAL_CHANNELS
from dina.figures.image_names import name_images
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.style import COLOURS, QUERIES, style_of
from dina.models.spaces import SPACES
from dina.power.page import POWER_TITLE, power_sections
from dina.power.run_power import FORETOLD
from dina.report.accuracy import all_decoders
from dina.report.accuracy_curves import gallery_sizes
from dina.report.answer import Tile, headline, in_plain_words, presentations_in_trials, tiles
from dina.report.comparisons import differences, directions
from dina.report.examples import RULE, TIE_RULE, Example, make_examples
from dina.report.export import export_page
from dina.report.folds import folds_section
from dina.report.glossary import TOWERS_MEAN, how_to_read
from dina.report.map_channels import map_channels
from dina.report.network_readers import readers
from dina.report.paper_methods import methods_paragraph
from dina.report.recording_quality import data_quality, what_was_decoded
from dina.report.several_recordings import several_recordings_headline, several_recordings_sections
from dina.report.training_curves import TOO_HIGH, training
from dina.study.run_directory import TOWERS, Run, read_run
from dina.study.shown_once import as_shown, was_shown_once
from dina.study.study_result import StudyResult, place_of
from dina.training.start import FLAT

ORDER = {"image": 0, "neural": 1}  # of claims, by side
QUESTIONS = {
    "decoding": "How well are images decoded?",
    "image": "What in the image carries the decoding?",
    "neural": "Which neurons carry the decoding?",
    "about": "About this study",
}
ABOUT = ("training", "quality", "missing", "reading", "methods", "updates", "spread")

# Said where a transform was chosen.
TRANSFORMED = (
    "Responses may be transformed before anything else, because noise grows with the response. Of the transforms that the section on data quality lists, the"
    " simplest is taken that tells training images apart as well as the best, up to one standard error."
)
# Said where a reference level was computed, too.
REFERENCES = " Reference levels do not use it; the transformed ideal observer takes fourth roots instead."
LEARNT = (
    "Means, standard deviations, noise covariance and every weight were learnt from training images alone{};"
    " hyperparameters were chosen by validation images; test images were used once."
)
BUT_NETWORK = ", but for those of the network trained on photographs"
METHODS = (
    f"dina has two towers. {TOWERS_MEAN} A score says how well the two fit, and the image with the best score is the answer.",
    LEARNT,
    TRANSFORMED,
    "Ties count by half in ranks and by expectation in top-k accuracy, so that a decoder without information gets chance. Chance of top-k is k / gallery size."
    " Intervals of top-k and of paired differences are over images as queries and as candidates together: their variance over images is multiplied by what"
    " disjoint halves of the gallery differ more than independent images would; those of top-k have Wilson's form (1927, doi:10.1080/01621459.1927.10502953)."
    " For the p-value of the mean log rank, images are permuted"
    " over queries; the trials of an image stay together. The observed assignment counts as one permutation (Phipson & Smyth 2010,"
    " doi:10.2202/1544-6115.1585).",
)

ADVICE = re.compile(r" (?:Record [^.;]*repeats|Store single trials)[^.;]*\.")
ANY_ADVICE = re.compile(r"(?<=[.!?]) (?:Record|Store|Add|Show|Fit|Study) [^.;]*\.(?= |$)")


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
        made += [*power_sections(run), directions(run), *interpretation_sections(run), training(run), data_quality(run)]
    gathered = tuple(f"{section.title} – {reason}" for section in made for reason in section.missing) + analyses_not_asked(run)
    words = () if gathered else ("Everything was computed.",)
    gathered = _one_line_for_each(_advice_once(gathered, are_averages=bool(presentations_in_trials(run))))
    missing = Section("missing", "What could not be computed, and why", words, missing=gathered)
    # each advice once: where what is missing stands
    made = [replace(section, paragraphs=[ADVICE.sub("", words) for words in section.paragraphs]) for section in made]
    shown = [section for section in made if section.paragraphs or section.figures or section.tables]
    return [*shown, missing, how_to_read(run), _methods(run)]


def _advice_once(reasons: tuple[str, ...], *, are_averages: bool = False) -> tuple[str, ...]:
    """Gather the advice to record repeats, or to store them where averages are stored, in one line at the end.

    Examples
    --------
    >>> _advice_once(("Reliability: No image has two trials. Record repeats.", "Noise: There are none. Record more repeats.", "Maps: No."))[1:]
    ('Noise: There are none.', 'Maps: No.', 'What would help – Show images twice or more, and store each presentation as a trial.')
    >>> _advice_once(("Noise: There are none. Record repeats.", "Maps: No. Store single trials."), are_averages=True)[2]
    'What would help – Store the single trials, each presentation as a trial of its own; this recording holds their averages.'
    """
    if sum(bool(ADVICE.search(reason)) for reason in reasons) < 2:
        return reasons
    advice = "Show images twice or more, and store each presentation as a trial."
    if are_averages:
        advice = "Store the single trials, each presentation as a trial of its own; this recording holds their averages."
    return (*(ADVICE.sub("", reason) for reason in reasons), f"What would help – {advice}")


def _one_line_for_each(gathered: tuple[str, ...]) -> tuple[str, ...]:
    """Put all that lacks something for one reason into one line, at the place of the first.

    Examples
    --------
    >>> _one_line_for_each(("Quality – Drift: No repeats.", "Fields – No repeats.", "Maps – a; b: Too few."))
    ('Quality – Drift; Fields: No repeats.', 'Maps – a; b: Too few.')
    """
    known: dict[str, list[tuple[str, str]]] = {}
    for line in gathered:
        title, _, words = line.partition(" – ")
        named, has_names, reason = words.partition(": ")
        known.setdefault(reason or words, []).append((line, f"{title} – {named}" if has_names else title))
    return tuple(
        places[0][0] if len(places) == 1 else f"{'; '.join(place for _, place in places)}: {reason}"
        for reason, places in known.items()
    )


def analyses_not_asked(run: Run) -> tuple[str, ...]:
    """Name the analyses and the forecast that nobody has asked for, with the command that carries them out; those of folds stand on their pages."""
    if run.folds or TOWERS not in run.files:
        return ()
    power = () if FORETOLD in run.files else (f"{POWER_TITLE} – This is done on request: dina power RUN",)
    if not run.interpretation:
        return ("Everything on what carries the decoding – It was not asked yet. Next: dina interpret RUN", *power)
    absent = [name for name, row in ANALYSES.items() if not {name, row.former_name} & set(run.interpretation)]
    titles = "; ".join(ANALYSES[name].heading for name in absent)
    return (*((f"{titles} – These are done on request: dina interpret RUN {' '.join(absent)}",) if absent else ()), *power)


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
        " development sessions or of a real recording had been seen; docs/verdicts.md names these changes. A claim that something carries the decoding is supported if the effect"
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
    Many. This was not asked yet.
    Few. Half. This was not asked yet.
    One. No labels.
    """
    first = {reason: claim for claim, _, reason in reversed(cells)}
    rows = []
    for claim, verdict, reason in cells:
        said = re.sub(r"The analysis \w+ could not be done: ", "", reason)
        said = re.sub(r"The analysis \w+ was not done\.", "This was not asked yet.", said).replace(": This was", ": this was")
        said = ANY_ADVICE.sub("", said)
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


SPACES_SHOWN = (
    " Feature spaces: those that took part in dina's prediction, each with its mean weight over neurons. Lost without: how much"
    " less of the variance of {} is explained without each space, with 95\u202f% interval over images; all on"
    " left-out predictions of at most 300 training images and 1000 neurons."
)
# Said where the fit reports it.
GAIN_SHOWN = (
    " Gain of trained encoder: what it adds to the other spaces if these images and neurons alone are used to fit it. The control is"
    " the same network with permuted weights; only a gain beyond the control comes from what the network has learnt from photographs."
)


# What fits report → words.
FITS = {
    "chosen epoch": "epoch kept",
    "epochs budget": "epochs allowed",
    "epochs done": "epochs trained",
    "feature spaces": "feature spaces, with mean weight over neurons",
    "follows contrast": "mean response follows the contrast of the image",
    "mean follows contrast": "mean response follows the contrast of the image",
    "image components": "principal components of images",
    "lost without": "variance lost without each space",
    "noise components": "components of the noise covariance",
    "noise from": "noise estimated from",
    "noise shrinkage": "shrinkage of the noise towards independence, 0 to 1",
    "prior": "prior of a neuron's weights",
    "the same with permuted weights": "gain of the same network with permuted weights",
    "size of predictions": "factor on all predictions",
    "stop reason": "why training ended",
    "weighting": "weight of each component in comparisons",
    "window width": "width of receptive-field windows (places of the map)",
}


def _methods(run: Run) -> Section:
    """Show methods, versions, seed, split checksum and how to repeat the run; settings are shown beneath as text."""
    split = run.summary.get("split", {})
    rows = [] if "dina" in run.environment else [("dina", str(run.summary.get("dina_version", "not recorded")))]
    facts = {"seed": "seed", "sha256": "split checksum (SHA-256)"}
    rows += [(words, str(split.get(key, "not recorded"))) for key, words in facts.items()]
    network = run.environment.get("trained_network")
    unread = {} if network is None or readers(run) else {"trained_network": f"{network}, read by no decoder of this run"}
    rows += _flat({**run.environment, **unread})
    own = run.identity.get("own", {})
    given = {"preset": own["preset"]} if "preset" in own else {}
    given |= {f"decoder {name}": code for name, code in own.get("decoders", {}).items()}
    given |= {f"analysis {name}": one.own["code"] for name, one in run.interpretation.items() if one.own}
    rows += [(f"own {what}", f"{code['module']}.{code['name']}, SHA-256 {code['sha256']}") for what, code in given.items()]
    tables = [Table("Versions and environment.", ("fact", "value"), tuple(rows), n_words=2)]
    fits = run.summary.get("fits")
    known = fits.items() if isinstance(fits, dict) else ()
    chosen = tuple(
        (f"{style_of(name).label}: {FITS.get(key, key)}", _choice_words(key, value))
        for name, fit in known
        for key, value in _flat(fit)
    )
    if chosen:
        title = f"Choices by validation, and other reports of the fits. {TOO_HIGH}"
        if any("feature_spaces" in fit for _, fit in known if isinstance(fit, dict)):
            title += SPACES_SHOWN.format("responses" if was_shown_once(run) else "averaged responses")
        if any("gain_of_trained_encoder" in str(fit) for _, fit in known):
            title += GAIN_SHOWN
        tables.append(Table(title, ("decoder and quantity", "value"), chosen, 2))
    is_chosen = bool(run.summary.get("response_transform", {}).get("mean_log_rank"))
    said = METHODS if is_chosen else tuple(words for words in METHODS if words != TRANSFORMED)
    if any(row.top1 is not None and style_of(row.decoder, run.reads(row.decoder)).kind == "reference" for row in run.rows):
        said = tuple(words.replace(TRANSFORMED, TRANSFORMED + REFERENCES) for words in said)
    said = tuple(words.replace(LEARNT, LEARNT.format(BUT_NETWORK if readers(run) else "")) for words in said)
    return Section("methods", "Methods, settings and versions", paragraphs=said, tables=tables)


def _choice_words(key: str, value: str) -> str:
    """Write what was chosen in words.

    Examples
    --------
    >>> _choice_words("noise from", "left_out_images"), _choice_words("feature spaces", "local 0.86, pixels 0.50")
    ('left out images', 'local channels 0.86; pixels, whole image 0.50')
    >>> _choice_words("lost without", "local 8.6 % (7.0 to 10.1), pixels 0.5 % (-0.0 to 0.9)")
    'local channels 8.6 % (7.0 to 10.1); pixels, whole image 0.5 % (0.0 to 0.9)'
    """
    value = re.sub(r"(?<![\w.])-(?=0\.0\b)", "", value)  # what rounding leaves of a small number
    value = re.sub(r"(?<![\w.])-(?=\d)", "\N{MINUS SIGN}", value)
    if key == "prior":
        return "flat" if value == FLAT else value
    if key not in ("feature spaces", "lost without"):
        return value.replace("_", " ")
    parts = [(part.split(" ")[0], part.split(" ")[1:]) for part in value.split(", ")]
    labels = {"local": LOCAL_CHANNELS} | {name: space.label for name, space in SPACES.items()}
    return "; ".join(" ".join([labels.get(name, name), *share]) for name, share in parts)


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


def _flat(tree: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Turn nested facts into rows; the packages of an environment come one to a row."""
    rows: list[tuple[str, str]] = []
    if not isinstance(tree, dict):
        return [("", str(tree))]
    for key, value in tree.items():
        name = f"{prefix}{key}".replace("_", " ")
        rows += _flat(value, f"{name} ") if isinstance(value, dict) else [(name, "none" if value is None else str(value))]
    return rows


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
    shown = {"opening": opening, "questions": questions, "colours": COLOURS, "drawn": drawn}
    return environment.get_template("template.html").render(vars(page), **shown) + "\n"


def _by_question(sections: list[Section]) -> list[tuple[str, str, list[Section]]]:
    """Put sections under the question that they answer, in their order; an anchor stands before each question."""
    side = {name.replace("_", "-"): row.side for name, row in ANALYSES.items()}
    grouped: dict[str, list[Section]] = {name: [] for name in QUESTIONS}
    for section in sections:
        about = "about" if section.anchor in ABOUT else side.get(section.anchor, "decoding")
        grouped[about].append(section)
    return [(f"question-{name}", QUESTIONS[name], some) for name, some in grouped.items() if some]
