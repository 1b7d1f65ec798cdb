"""The sections of the page that say what carries the decoding: one for each analysis that the run holds."""

from typing import Any

from dina.analyses import ANALYSES
from dina.figures.parts import Section, Table
from dina.study.run_directory import Run

ORDER = ("image", "neural")


def verdicts_sections(run: Run) -> list[Section]:
    """Return the table of verdicts, or nothing where the run was never interpreted."""
    told = run.summary.get("verdicts")
    if not isinstance(told, dict) or not told:
        return []
    rows = sorted((row for row in told.values() if isinstance(row, dict)), key=_place)
    table = Table(
        "Claims and verdicts.",
        ("claim", "verdict", "what decided"),
        tuple((str(row.get("claim", "")), str(row.get("verdict", "")), str(row.get("reason", ""))) for row in rows),
        n_words=3,
    )
    answers = [str(row.get("verdict", "")) for row in rows]
    counted = ", ".join(f"{answers.count(kind)} {kind}" for kind in ("supported", "not supported", "cannot tell"))
    return [
        Section(
            "verdicts",
            "What the findings support",
            paragraphs=(
                f"{counted}. Verdicts follow from the findings below by rules that were written down before the result of any"
                " published seed was looked at (docs/verdicts.md): a claim that something carries the decoding needs an effect above"
                " its null and large enough to matter; a claim that something does not needs an interval below what would matter."
                " Three claims – regions, pathways, fine detail – are about how an effect is divided and are supported by intervals"
                " alone.",
                "Numbers in brackets are 95\u202f% intervals.",
            ),
            tables=(table,),
        )
    ]


def _place(row: dict[str, Any]) -> int:
    side = row.get("side")
    return ORDER.index(side) if side in ORDER else len(ORDER)


def interpretation_sections(run: Run) -> list[Section]:
    """Return one section for each analysis that the run holds; one that could not be carried out says why."""
    sections = []
    for name, row in ANALYSES.items():
        found = run.interpretation.get(name) or run.interpretation.get(row.former_name)
        if found is None:
            continue
        if found.dataset is None:
            title = name.replace("_", " ").capitalize()
            sections.append(Section(name.replace("_", "-"), title, missing=(found.reason or "It was not computed.",)))
        else:
            sections.append(row.draw(found.dataset, found.findings))
    return sections
