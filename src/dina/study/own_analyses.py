"""Analyses that a user gives as objects beside the table: their names, and what a run keeps of them to be read without their code."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dina.analyses import ANALYSES, RULES, Analysis, AnalysisResult
from dina.analyses.analysis import AnalysisSettings
from dina.checks import DataError, check_choice
from dina.study.code_identity import describe_code
from dina.study.settings_file import check_settings
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


def changes_of(chosen: Mapping[str, Analysis], settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return for each analysis the settings that are not the defaults; nothing is read for it.

    Raises
    ------
    DataError
        If there are settings for none or several analyses, or one is not allowed.
    """
    if settings and len(chosen) != 1:
        raise DataError(f"Settings are those of one analysis; {len(chosen)} were chosen. Name one, or leave out --set.")
    return {name: _changed(settings_of(name, row, settings)) for name, row in chosen.items()}


def settings_of(name: str, row: Analysis, values: Mapping[str, Any]) -> AnalysisSettings | None:
    """Return the settings of an analysis with some values changed; None where nothing can be set.

    Raises
    ------
    DataError
        If the analysis has no settings, or one is not allowed.
    """
    if row.settings_type is None:
        if values:
            raise DataError(f"The analysis {name} has no settings; got {', '.join(values)}. Leave out --set.")
        return None
    return check_settings(row.settings_type, values, name)


def _changed(settings: AnalysisSettings | None) -> dict[str, Any]:
    """Return the settings of an analysis that are not the defaults, as JSON holds them."""
    return {} if settings is None else settings.model_dump(mode="json", exclude_defaults=True)


def _name_of(row: Analysis) -> str:
    return next((name for name, each in ANALYSES.items() if each is row), row.name)


def describe_own(name: str, row: Analysis) -> dict[str, Any]:
    """Return what a run keeps of an analysis of a user's own; empty for a row of the table."""
    if name in ANALYSES:
        return {}
    return {"question": row.question, "side": row.side, "code": describe_code(row.compute, dict(row.rules))}
