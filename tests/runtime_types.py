"""The run-time type checker of the tests: beartype, told what ``Self`` means where it cannot see the class."""

from collections.abc import Callable
from typing import Any, Self, TypeVar

from beartype import BeartypeConf, FrozenDict, beartype

Checked = TypeVar("Checked", bound=Callable[..., Any])

# jaxtyping hands over one method at a time; beartype refuses `Self` there, and mypy checks it anyway
_CONF = BeartypeConf(hint_overrides=FrozenDict({Self: Any}))


def check_types(function: Checked) -> Checked:
    """Make ``function`` refuse arguments and results that its annotations exclude."""
    return beartype(conf=_CONF)(function)
