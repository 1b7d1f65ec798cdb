"""Findings as dots, as words and as a table, as several pages show them."""

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from dina.figures.canvas import finish_axes
from dina.figures.finding_words import Scale, finding_columns, statistic_words
from dina.figures.parts import Section, Table
from dina.figures.style import COLOURS
from dina.statistics.finding import Finding

# Said where a number has no null, by whether a reason is known.
NO_NULL = {False: "none: it describes and tests nothing", True: "none: see what is missing"}


def draw_dots(
    axes: Axes, rows: Sequence[tuple[str, Finding]], label: str, scale: float = 1.0, looks: Sequence[tuple[str, str]] = ()
) -> None:
    """Draw one line per finding, the first on top: dot and interval on the band of its null; those that are NaN say so.

    Words of ``rows`` have room for some thirty letters; ``label`` names the horizontal axis, with unit. Findings are multiplied
    by ``scale``, for example 100 for percentages. ``looks`` holds the colour in `COLOURS` and the marker of each row; without
    them all are blue dots.
    """
    for place, (_, one) in enumerate(rows):
        name, marker = looks[place] if looks else ("dina", "o")
        colour, (value, low, high) = COLOURS[name][0], (scale * end for end in (one.value, one.low, one.high))
        if np.isfinite(one.null_low):
            null = (scale * one.null_low, scale * one.null_high)
            axes.fill_betweenx([place - 0.36, place + 0.36], *null, color=COLOURS["chance"][0], alpha=0.25, linewidth=0)
        if not np.isfinite(value):
            axes.annotate("not known", (0, place), ha="left", va="center", fontsize=7.5, color=COLOURS["muted"][0])
            continue
        if np.isfinite(low):
            axes.plot([low, high], [place, place], color=colour, linewidth=1.4, solid_capstyle="butt", zorder=3)
        axes.plot(value, place, marker, color=colour, markersize=4.5, zorder=4)
    if not rows:
        write_across(axes, "not known")
    axes.axvline(0, color=COLOURS["muted"][0], linewidth=0.6)
    axes.set_yticks(range(len(rows)), [words for words, _ in rows])
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlabel=label)
    finish_axes(axes, "x", has_named_rows=True)


def write_across(axes: Axes, words: str, height: float = 0.5, colour: str = COLOURS["muted"][0]) -> None:
    """Write in the middle of a panel why nothing is drawn there; ``height`` is a fraction of that of the panel."""
    axes.annotate(words, (0.5, height), xycoords="axes fraction", ha="center", va="center", color=colour)


def findings_section(question: str, dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Return the section of an analysis without a page of its own: its question as title, and a table of all its findings."""
    found = {finding.name: finding for finding in findings}
    words = {name: statistic_words(name) for name in found}
    arrays = ", ".join(str(name) for name in dataset.data_vars)
    return Section(
        anchor="-".join(question.lower().replace("?", "").split()),
        title=question,
        paragraphs=(f"The file of this analysis holds the arrays {arrays}.",) if arrays else (),
        tables=(finding_table("Findings with their 95 % intervals and nulls.", words, found),),
        missing=reasons(words, found),
    )


def reasons(words: Mapping[str, str], found: Mapping[str, Finding]) -> tuple[str, ...]:
    """Say of findings that lack a value, an interval or a null why they do, each reason once, with all their names.

    Examples
    --------
    >>> lacking = {name: Finding(name, 0.5, "1", 40, reason="No null.") for name in ("kept", "lost", "a")}
    >>> reasons({"kept": "share kept"}, lacking)
    ('share kept; lost; a: No null.',)
    """
    known: dict[str, list[str]] = {}
    for name, one in found.items():
        if one.reason:
            known.setdefault(one.reason, []).append(words.get(name, statistic_words(name)))
    return tuple(f"{'; '.join(named)}: {reason}" for reason, named in known.items())


def _of_images(one: Finding, scale: Scale) -> str:
    """Name the number of images behind an accuracy: those of one page may rest on different numbers of them.

    Examples
    --------
    >>> _of_images(Finding("top1_full", 0.5, "1", 96), "%"), _of_images(Finding("top1_loss", 0.5, "1", 96), "points")
    (' (96 images)', '')
    """
    return f" ({one.n:,} images)" if scale == "%" and ("top1" in one.name or "accuracy" in one.name) else ""


def finding_table(
    caption: str,
    words: Mapping[str, str],
    found: Mapping[str, Finding],
    percent: Collection[str] = (),
    points: Collection[str] = (),
    instead: Mapping[str, str] | None = None,
) -> Table:
    """Return a table of value, interval and null of those findings of ``words`` that are known, in its order.

    Parameters
    ----------
    caption
        Of the table.
    words
        What each finding is called, by its name.
    found
        All findings by name.
    percent, points
        Names of accuracies and shares, and of differences of accuracies; all others are plain numbers.
    instead
        How findings that have no null are tested, by name.
    """
    tested = instead or {}

    def cells(name: str, one: Finding) -> tuple[str, ...]:
        scale: Scale = "%" if name in percent else "points" if name in points else ""
        null = one.null or tested.get(name) or NO_NULL[bool(one.reason)]
        return words[name] + _of_images(one, scale), *finding_columns(one, scale), null

    # why others are not known is said where what is missing stands
    known = [name for name in words if name in found and math.isfinite(found[name].value)]
    rows = tuple(cells(name, found[name]) for name in known)
    return Table(caption, ("statistic", "value", "95\u202f% interval", "null", "what the null is"), rows)
