"""The sections of the page that say what carries the decoding: one for each analysis that the run holds."""

from dina.analyses import ANALYSES
from dina.figures.parts import Section
from dina.report.read_run import Run


def interpretation_sections(run: Run) -> list[Section]:
    """Return one section for each analysis that the run holds; one that could not be carried out says why."""
    sections = []
    for name, row in ANALYSES.items():
        found = run.interpretation.get(name)
        if found is None:
            continue
        if found.dataset is None:
            title = name.replace("_", " ").capitalize()
            sections.append(Section(name.replace("_", "-"), title, missing=(found.reason or "It was not computed.",)))
        else:
            sections.append(row.draw(found.dataset, found.findings))
    return sections
