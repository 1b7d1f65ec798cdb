"""The section of an analysis that has no page of its own: its question, and a table of its findings."""

import xarray as xr

from dina.figures.finding_table import finding_table
from dina.figures.parts import Section
from dina.statistics.finding import Finding


def findings_section(question: str, dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Return a section with the question as title, and value, interval and null of every finding.

    Parameters
    ----------
    question
        What the analysis answers.
    dataset
        Its arrays; the section names them.
    findings
        Its statistics.
    """
    found = {finding.name: finding for finding in findings}
    words = {name: name.replace("_", " ") for name in found}
    arrays = ", ".join(str(name) for name in dataset.data_vars)
    return Section(
        anchor="-".join(word for word in question.lower().replace("?", "").split()),
        title=question,
        paragraphs=(f"The file of this analysis holds the arrays {arrays}.",) if arrays else (),
        tables=(finding_table("Findings with their 95 % intervals and nulls.", words, found),),
        missing=tuple(f"{words[name]}: {one.reason}" for name, one in found.items() if one.reason),
    )
