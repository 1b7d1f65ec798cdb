"""What a page could not show, and why: one line for each reason, sorted by what can be done about it."""

import re
from collections.abc import Iterable, Sequence

from dina.analyses import ANALYSES
from dina.figures.parts import Line, Section
from dina.power.page import POWER_TITLE
from dina.power.run_power import FORETOLD
from dina.report.answer import presentations_in_trials
from dina.report.copies import copies_to_name
from dina.study.run_directory import TOWERS, Run

TITLE = "What could not be computed, and why"
ADVICE = re.compile(r" (?:Record [^.;]*repeats|Store single trials)[^.;]*\.")
ANY_ADVICE = re.compile(r"(?<=[.!?]) (?:Record|Store|Add|Show|Fit|Study|State|Give) [^.;]*\.(?= |$)")
# Heading → what a reason holds that belongs under it; the first that fits, the last fits all.
GROUPS = {
    "To run next": re.compile(r"dina (?:interpret|power) RUN|Fit towers with"),
    "What this recording lacks": re.compile(
        rf"{ADVICE.pattern}|{ANY_ADVICE.pattern}|\bneeds?\b|does not say|holds averages|stores averages|there (?:is|are) (?:0|none)\b"
        r"|No [a-z]* ?image (?:has|was)|shown twice|no labels"
    ),
    "What has no number, or no null, by its nature": re.compile(""),
}
NAMED = re.compile(": (?=[A-Z])")  # between what lacks something and the reason, which is a sentence
MOST_NAMES = 3  # of numbers that lack something for one reason; more are folded


def what_is_missing(run: Run, sections: Iterable[Section]) -> Section:
    """Gather what sections lack and what was not asked, in lists by what can be done about it."""
    lacking = tuple(f"{section.title} – {reason}" for section in sections for reason in section.missing)
    lacking += copies_to_name(run) + analyses_not_asked(run)
    return Section(
        "missing",
        TITLE,
        () if lacking else ("Everything was computed.",),
        lists=sort_what_is_missing(lacking, are_averages=bool(presentations_in_trials(run))),
    )


def sort_what_is_missing(lacking: Sequence[str], *, are_averages: bool = False) -> tuple[tuple[str, tuple[Line, ...]], ...]:
    """Sort lines by what can be done; the advice to record repeats, or to store them, is given once.

    Examples
    --------
    >>> lacking = ["Drift – No image has two trials. Record repeats.", "Noise – There are none. Record more repeats.", "Maps – a: No null."]
    >>> for heading, lines in sort_what_is_missing(lacking):
    ...     print(heading, [line.words for line in lines])
    What this recording lacks ['Drift: No image has two trials.', 'Noise: There are none.', 'What would help: Show images twice or more, and store each presentation as a trial.']
    What has no number, or no null, by its nature ['Maps (a): No null.']
    """
    grouped: dict[str, list[str]] = {heading: [] for heading in GROUPS}
    for line in lacking:
        grouped[next(heading for heading, fits in GROUPS.items() if fits.search(line))].append(line)
    found = []
    for heading, lines in grouped.items():
        is_said_once = sum(bool(ADVICE.search(line)) for line in lines) > 1
        shown = one_line_for_each([ADVICE.sub("", line) for line in lines] if is_said_once else lines)
        if is_said_once:
            stored = "Store the single trials, each presentation as a trial of its own; this recording holds their averages."
            repeated = "Show images twice or more, and store each presentation as a trial."
            shown = (*shown, Line(f"What would help: {stored if are_averages else repeated}"))
        found += [(heading, shown)] if shown else []
    return tuple(found)


def one_line_for_each(lacking: Sequence[str]) -> tuple[Line, ...]:
    """Put all that lacks something for one reason into one line, at the place of the first; many names are folded.

    Examples
    --------
    >>> [line.words for line in one_line_for_each(["Quality – drift: No repeats.", "Fields – No repeats."])]
    ['Quality (drift); Fields: No repeats.']
    >>> one_line_for_each(["Maps – a; b; c; d: Too few.", "Fields – Too few."])
    (Line(words='4 numbers of Maps; Fields: Too few.', folded='Maps: a; b; c; d.'),)
    """
    known: dict[str, list[tuple[str, str]]] = {}
    for line in lacking:
        title, _, words = line.partition(" – ")
        *named, reason = NAMED.split(words, maxsplit=1)
        known.setdefault(reason, []).append((title, "".join(named)))
    lines = []
    for reason, places in known.items():
        is_long = any(names.count(";") >= MOST_NAMES for _, names in places)
        folded = " ".join(f"{title}: {names}." for title, names in places if names) if is_long else ""
        lines.append(Line(f"{'; '.join(_place(*place) for place in places)}: {reason}", folded))
    return tuple(lines)


def _place(title: str, names: str) -> str:
    if not names:
        return title
    n_names = names.count(";") + 1
    return f"{n_names} numbers of {title}" if n_names > MOST_NAMES else f"{title} ({names})"


def analyses_not_asked(run: Run) -> tuple[str, ...]:
    """Name the analyses and the forecast that nobody has asked for, with the command that carries them out; those of folds stand on their pages."""
    if run.folds or TOWERS not in run.files:
        return ()
    power = () if FORETOLD in run.files else (f"{POWER_TITLE} – dina power RUN",)
    if not run.interpretation:
        return ("Everything on what carries the decoding – dina interpret RUN", *power)
    absent = [name for name, row in ANALYSES.items() if not {name, row.former_name} & set(run.interpretation)]
    return (*(f"{ANALYSES[name].heading} – {_how_to_ask(name, run)}" for name in absent), *power)


def _how_to_ask(name: str, run: Run) -> str:
    """Return the command that carries an analysis out, or why it cannot be."""
    row, alike = ANALYSES[name], run.interpretation.get(ANALYSES[name].needs_as)
    if alike is not None and alike.reason:
        return alike.reason
    return f"dina interpret RUN {name}{' --with RECORDING' if row.reads_others else ''}"
