"""The ideal observer of a simulated recording: it knows the true tuning and the true noise."""

from typing import ClassVar, Literal, Self

import numpy as np
from scipy.special import logsumexp

from dina.checks import DataError
from dina.data.pairs import Gallery, Pairs, Queries
from dina.data.standardise import Standardiser
from dina.recordings.truth import Truth
from dina.shapes import Scores


class IdealObserver:
    """Decode by the true likelihood of a simulation; real recordings have none.

    A Gaussian with the true mean of each image and the true noise covariance, as `Truth.log_likelihood` says: it
    bounds decoders of that family, and a decoder that uses higher moments of the responses may in principle pass it.
    The truth must be that of the same neurons as the responses.
    """

    reads: ClassVar[Literal["images", "templates", "truth"]] = "truth"

    def __init__(self, truth: Truth) -> None:
        self.name = "ideal_observer"
        self._truth = truth
        self._standardiser: Standardiser | None = None

    def fit(self, train: Pairs, validation: Pairs) -> Self:
        """Remember how responses were standardised, to undo it; nothing is learnt."""
        self._standardiser = train.standardiser
        return self

    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        """Return log p(response | image) − log p(response) in nats: optimal for finding images and responses alike.

        The second term averages over all images of the recording, shown or not in this gallery.

        Raises
        ------
        DataError
            If `fit` was not called.
        """
        if self._standardiser is None:
            raise DataError("A decoder must be fitted before it scores; call fit(train, validation) first.")
        responses = self._standardiser.undo(queries.responses.astype(np.float32))
        everything = np.arange(len(self._truth.mean))
        likelihood = self._truth.log_likelihood(responses, queries.n_presentations, everything)
        marginal = logsumexp(likelihood, axis=1, keepdims=True) - np.log(len(everything))
        return np.asarray(likelihood[:, gallery.stimulus_id] - marginal)
