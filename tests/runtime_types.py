"""The run-time type checker of the tests: beartype, told what ``Self`` means where it cannot see the class."""

from collections.abc import Callable
from typing import Any, Self, TypeVar

from beartype import BeartypeConf, FrozenDict, beartype

Checked = TypeVar("Checked", bound=Callable[..., Any])

# jaxtyping hands over one method at a time; beartype refuses `Self` there, and mypy checks it anyway
# an int will do where a float is asked for, as PEP 484 says and mypy agrees
_CONF = BeartypeConf(is_pep484_tower=True, hint_overrides=FrozenDict({Self: Any}))


def check_types(function: Checked) -> Checked:
    """Make ``function`` refuse arguments and results that its annotations exclude."""
    return beartype(conf=_CONF)(function)
