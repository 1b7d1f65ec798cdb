"""What most rivals share: several settings are fitted, and validation images choose one of them."""

from collections.abc import Iterator
from typing import ClassVar, Literal, Protocol, Self, runtime_checkable

import torch

from dina.checks import DataError
from dina.data.pairs import Gallery, Pairs, Queries
from dina.retrieval.decoder import Candidate, Setting, choose_by_rank
from dina.shapes import Scores


@runtime_checkable
class FittedModel(Protocol):
    """One setting of a rival, fitted to training pairs."""

    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        """Return a score for every query and gallery item, larger for a better fit."""
        ...


class ValidatedDecoder:
    """A decoder that keeps the setting by which validation images are found best; a rival derives from it.

    A rival writes `candidates`, and gets `fit` and `score` from here. After `fit`, ``chosen`` is the setting and ``fitted`` the
    model.
    """

    reads: ClassVar[Literal["images", "templates", "truth"]] = "images"

    def __init__(self, name: str) -> None:
        self.name = name
        self.chosen: Setting = {}
        self.fitted: FittedModel | None = None

    def candidates(self, train: Pairs, validation: Pairs) -> Iterator[Candidate[FittedModel]]:
        """Yield models fitted to ``train``, each with the scores that it gives averaged validation responses."""
        raise NotImplementedError

    @torch.no_grad()
    def fit(self, train: Pairs, validation: Pairs) -> Self:
        """Learn from ``train``; choose the setting by ``validation``.

        Raises
        ------
        DataError
            If there are fewer than three training images, or a rival cannot be fitted to these data.
        """
        if train.n_stimuli < 3:
            raise DataError(f"{self.name} needs at least three training images; got {train.n_stimuli}. Take a larger split.")
        best = choose_by_rank(self.candidates(train, validation))
        self.fitted, self.chosen = best.model, best.setting
        return self

    @torch.no_grad()
    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        """Score every candidate image for every response, larger for a better fit.

        Raises
        ------
        DataError
            If `fit` was not called.
        """
        if self.fitted is None:
            raise DataError("A decoder must be fitted before it scores; call fit(train, validation) first.")
        return self.fitted.score(queries, gallery)
