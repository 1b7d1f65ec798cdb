"""Findings as they are: a table of value, interval and null, and the section of an analysis that has no page of its own."""

from collections.abc import Mapping

import xarray as xr

from dina.figures.parts import Section, Table
from dina.figures.words import DASH, number
from dina.statistics.finding import Finding


def findings_section(question: str, dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Return the section of an analysis without a page of its own: its question as title, and a table of all its findings."""
    found = {finding.name: finding for finding in findings}
    words = {name: name.replace("_", " ") for name in found}
    arrays = ", ".join(str(name) for name in dataset.data_vars)
    return Section(
        anchor="-".join(question.lower().replace("?", "").split()),
        title=question,
        paragraphs=(f"The file of this analysis holds the arrays {arrays}.",) if arrays else (),
        tables=(finding_table("Findings with their 95 % intervals and nulls.", words, found),),
        missing=reasons(words, found),
    )


def reasons(words: Mapping[str, str], found: Mapping[str, Finding]) -> tuple[str, ...]:
    """Say of each finding in ``words`` that lacks a value, an interval or a null why it does."""
    return tuple(f"{words[name]}: {one.reason}" for name, one in found.items() if name in words and one.reason)


def distinct_reasons(findings: tuple[Finding, ...]) -> tuple[str, ...]:
    """Return every reason why something is missing once, without the names of findings."""
    return tuple(dict.fromkeys(finding.reason for finding in findings if finding.reason))


def finding_table(caption: str, words: Mapping[str, str], found: Mapping[str, Finding]) -> Table:
    """Return the table of the findings that are there, in the order of ``words``: name of a finding → first column."""
    rows = [
        (text, number(one.value), _range(one.low, one.high), _range(one.null_low, one.null_high), one.null or DASH)
        for text, one in ((words[name], found[name]) for name in words if name in found)
    ]
    return Table(caption, ("statistic", "value", "95\u202f% interval", "null", "what the null is"), tuple(rows))


def _range(low: float, high: float) -> str:
    ends = number(low), number(high)
    return DASH if DASH in ends else f"{ends[0]} to {ends[1]}"
