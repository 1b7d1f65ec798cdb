"""Choose between fitted models by how well they find validation images."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from jaxtyping import Int

from dina.retrieval.ranks import target_ranks
from dina.shapes import Scores

Model = TypeVar("Model", covariant=True)

Setting = dict[str, str | float]
"""Values of what was chosen, by name."""


@dataclass(frozen=True, eq=False)
class Candidate(Generic[Model]):
    """A model that could be chosen.

    Parameters
    ----------
    model
        Fitted to training data.
    setting
        What made it.
    scores
        That it gives the validation images for the validation responses; image *i* belongs to response *i*.
    """

    model: Model
    setting: Setting
    scores: Scores


@dataclass(frozen=True, eq=False)
class Choice(Generic[Model]):
    """The model that was chosen, its setting, and its loss (`mean_log_rank`)."""

    model: Model
    setting: Setting
    loss: float


def choose_by_rank(candidates: Iterable[Candidate[Model]]) -> Choice[Model]:
    """Choose the candidate with the lowest mean log rank; the first of equals.

    Candidates are looked at one by one, so that a generator holds two of them in memory at most.

    Examples
    --------
    >>> right, wrong = np.eye(2), 1 - np.eye(2)
    >>> choose_by_rank([Candidate("a", {"penalty": 1.0}, wrong), Candidate("b", {"penalty": 3.0}, right)]).setting
    {'penalty': 3.0}
    """
    judged = (Choice(each.model, each.setting, mean_log_rank(each.scores)) for each in candidates)
    return min(judged, key=lambda choice: choice.loss)


def mean_log_rank(scores: Scores, target: Int[np.ndarray, "query"] | None = None) -> float:
    """Return the mean logarithm of the target's rank; lower is better.

    Parameters
    ----------
    scores
        Larger is better, finite.
    target
        Position in the gallery of the image truly shown; None if image *i* is the target of query *i*.

    Examples
    --------
    First and second of two: the mean of log 1 and log 2.

    >>> round(mean_log_rank(np.array([[2.0, 1.0], [2.0, 1.0]])), 3)
    0.347
    """
    shown = np.arange(len(scores)) if target is None else target
    return float(np.log(target_ranks(scores, shown)).mean())
