"""Identification as Kay et al. published it: Gabor wavelet models of every neuron, candidates compared by correlation."""

from typing import ClassVar, Literal, Self

import numpy as np
import torch
from jaxtyping import Float

from dina.checks import DataError
from dina.data.pairs import Gallery, Pairs, Queries
from dina.models.encoding_weights import fit_global_ridge
from dina.retrieval.choice import mean_log_rank
from dina.rivals.gabor_pyramid import GaborPyramid
from dina.shapes import Scores
from dina.statistics.correlation import correlate_all_rows

NEURON_SHARES = (0.05, 0.1, 0.25, 0.5, 1.0)
"""Shares of the neurons, those predicted best first, tried on the validation images."""

FEWEST_NEURONS = 10

FEATURES = {"energies": 1, "energies_and_phases": 3}
"""How many of the pyramid's kinds of response are used; tried on the validation images."""


class Kay2008:
    """Predict each neuron from a Gabor wavelet pyramid; choose the image whose pattern correlates best with the response.

    Taken from the source: contrast energies of a wavelet pyramid, a linear model of each neuron, identification by the
    correlation of predicted and measured patterns over the neurons that the model predicts best.

    Left out: a separate pass that first finds each receptive field. Done otherwise: ridge weights whose penalty has the
    lowest leave-one-out error, where weights were found by gradient descent stopped early; neurons are chosen by the same
    leave-one-out predictions of training images, and validation chooses how many (they had a fixed number of voxels).
    Added: validation may add the phases to the energies. A voxel pools neurons of all phases, a neuron may have one. Colour
    images have wavelets of opponent colour planes beside those of luminance.

    Attributes
    ----------
    chosen
        Features and number of neurons that validation chose, after `fit`.

    References
    ----------
    Kay et al. (2008), Nature 452:352. https://doi.org/10.1038/nature06713
    """

    reads: ClassVar[Literal["images", "templates", "truth"]] = "images"

    def __init__(self) -> None:
        self.name = "kay2008"
        self.chosen: dict[str, str | float] = {}
        self._pyramid: GaborPyramid | None = None

    @torch.no_grad()
    def fit(self, train: Pairs, validation: Pairs) -> Self:
        """Learn the model of every neuron from ``train``; choose how many neurons count by ``validation``.

        Raises
        ------
        DataError
            If there are fewer than three training images.
        """
        if train.n_stimuli < 3:
            raise DataError(f"kay2008 needs at least three training images; got {train.n_stimuli}. Give it a larger split.")
        height, width = (int(extent) for extent in train.images.shape[2:])
        self._pyramid = GaborPyramid(height, width)
        wavelets = self._pyramid.learn(train.images)
        shown, measured = self._pyramid.encode(validation.images), validation.averaged()
        lowest = np.inf
        for name, n_kinds in FEATURES.items():
            weights = fit_global_ridge(wavelets[:, :n_kinds], torch.from_numpy(train.averaged()))
            order = torch.argsort(weights.explained, descending=True, stable=True).numpy()
            predicted = weights.predict(shown[:, :n_kinds]).numpy()
            for share in NEURON_SHARES:
                best = order[: max(FEWEST_NEURONS, round(share * len(order)))]
                loss = mean_log_rank(_correlate(measured[:, best], predicted[:, best]))
                if loss < lowest:
                    lowest, self._weights, self._best = loss, weights, np.sort(best)
                    self.chosen = {"features": name, "neurons": len(best)}
        return self

    @torch.no_grad()
    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        """Return the correlation of each response with the pattern predicted for each candidate, in [-1, 1].

        Raises
        ------
        DataError
            If `fit` was not called.
        """
        if self._pyramid is None:
            raise DataError("A decoder must be fitted before it scores; call fit(train, validation) first.")
        wavelets = self._pyramid.encode(gallery.images)[:, : FEATURES[str(self.chosen["features"])]]
        predicted = self._weights.predict(wavelets).numpy()
        return _correlate(queries.responses[:, self._best], predicted[:, self._best])


def _correlate(measured: Float[np.ndarray, "query neuron"], predicted: Float[np.ndarray, "image neuron"]) -> Scores:
    # a pattern that is the same for all neurons is as good and as bad as any other
    return np.nan_to_num(correlate_all_rows(measured, predicted), nan=0.0)
