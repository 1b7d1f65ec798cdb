"""Analyses that a user gives as objects beside the table: their names, and what a run keeps of them to be read without their code."""

from collections.abc import Callable, Sequence
from typing import Any

from dina.analyses import ANALYSES, RULES, Analysis, AnalysisResult
from dina.checks import DataError, check_choice
from dina.study.code_identity import describe_code
from dina.study.unfinished_run import safe_name


def choose_analyses(analyses: Sequence[str | Analysis | Callable[..., AnalysisResult]]) -> dict[str, Analysis]:
    """Return the rows of analyses by name, a user's own last: they may read what the others find.

    Raises
    ------
    DataError
        If a name is unknown, or that of a user's own analysis or claim is taken or no file could bear it.
    """
    if isinstance(analyses, str) or callable(analyses):
        raise DataError(f"Analyses must be given as a list; got {analyses!r}. Put it into brackets.")
    known = [check_choice("analysis", one, ANALYSES) for one in analyses if isinstance(one, str)]
    own = [Analysis.of(one) for one in analyses if not isinstance(one, str)]
    for row in own:
        if any(row is each for each in ANALYSES.values()):
            continue
        taken = [*ANALYSES, *(each.former_name for each in ANALYSES.values()), "objectives", "across_recordings"]
        if row.name in taken or safe_name(row.name) != row.name:
            raise DataError(
                f"An analysis of your own needs a function with a name that is not taken; got {row.name!r}. Rename it."
            )
        if claims := sorted(set(row.rules) & set(RULES)):
            raise DataError(f"A claim of your own needs a name that is not taken; got {claims[0]!r}. Rename it.")
    return {name: ANALYSES[name] for name in known} | {_name_of(row): row for row in own}


def _name_of(row: Analysis) -> str:
    return next((name for name, each in ANALYSES.items() if each is row), row.name)


def describe_own(name: str, row: Analysis) -> dict[str, Any]:
    """Return what a run keeps of an analysis of a user's own; empty for a row of the table."""
    if name in ANALYSES:
        return {}
    return {"question": row.question, "side": row.side, "code": describe_code(row.compute, dict(row.rules))}
