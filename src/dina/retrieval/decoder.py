"""The contract of decoders, fit on training pairs and score queries against a gallery; and how validation chooses a model."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from dina.data.pairs import Gallery, Pairs, Queries
from dina.retrieval.ranks import target_ranks
from dina.shapes import Scores

# What scores depend on: the reading of a decoder or, after a correction of `dina.retrieval.hubness`, all queries.
Reads = Literal["images", "templates", "truth", "queries"]


@runtime_checkable
class Decoder(Protocol):
    """A model that scores how well each gallery image fits each population response.

    Retrieval, statistics and comparison see only the scores, so that all decoders are judged on equal terms.

    Attributes
    ----------
    name
        The word used in tables: "dina", "ridge", "encoding_local" …
    reads
        What of the gallery it reads: "images" (a decoder proper), "templates" (a reference level made from the
        responses to the same images) or "truth" (the ideal observer of a simulation).
    """

    name: str
    reads: ClassVar[Literal["images", "templates", "truth"]]

    def fit(self, train: Pairs, validation: Pairs) -> Self:
        """Learn from ``train``; choose hyperparameters by ``validation``; return itself."""
        ...

    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        """Return a score for every query and gallery item, larger for a better fit; finite."""
        ...


Model = TypeVar("Model", covariant=True)

# Chosen values by name.
Setting = dict[str, str | float]


@dataclass(frozen=True, eq=False)
class Candidate(Generic[Model]):
    """A model that could be chosen, fitted to training data with some setting."""

    model: Model
    setting: Setting
    scores: Scores  # of the validation images for the validation responses; image i belongs to response i
    log_ranks: Float[np.ndarray, "left_out"] = field(default_factory=lambda: np.empty(0))  # of training images, each left out


@dataclass(frozen=True, eq=False)
class Choice(Generic[Model]):
    """The model that was chosen, its setting, and its loss (`mean_log_rank`)."""

    model: Model
    setting: Setting
    loss: float


def choose_by_rank(candidates: Iterable[Candidate[Model]]) -> Choice[Model]:
    """Choose the candidate with the lowest mean log rank over validation and left-out training images; the first of equals.

    Candidates are judged one by one, so that besides the next of a generator only the best one is held in memory.

    Examples
    --------
    >>> right, wrong = np.eye(2), 1 - np.eye(2)
    >>> choose_by_rank([Candidate("a", {"penalty": 1.0}, wrong), Candidate("b", {"penalty": 3.0}, right)]).setting
    {'penalty': 3.0}
    """
    return min(map(_judge, candidates), key=lambda choice: choice.loss)


def _judge(candidate: Candidate[Model]) -> Choice[Model]:
    return Choice(candidate.model, candidate.setting, _loss(candidate))


def _loss(candidate: Candidate[Any]) -> float:
    n_validation, n_left_out = len(candidate.scores), len(candidate.log_ranks)
    total = n_validation * mean_log_rank(candidate.scores) + float(candidate.log_ranks.sum())
    return total / (n_validation + n_left_out)


def mean_log_rank(scores: Scores, target: Int[np.ndarray, "query"] | None = None) -> float:
    """Return the mean logarithm of the target's rank; lower is better. Without targets, image *i* is that of query *i*.

    Examples
    --------
    First and second of two: the mean of log 1 and log 2.

    >>> round(mean_log_rank(np.array([[2.0, 1.0], [2.0, 1.0]])), 3)
    0.347
    """
    shown = np.arange(len(scores)) if target is None else target
    return float(np.log(target_ranks(scores, shown)).mean())
