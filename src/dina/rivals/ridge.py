"""Linear decoding: ridge regression from responses to image components, compared with those of each candidate."""

from typing import ClassVar, Literal, Self

import numpy as np
import torch
from himalaya.backend import get_backend, set_backend
from himalaya.kernel_ridge import solve_kernel_ridge_cv_eigenvalues
from jaxtyping import Float32
from sklearn.model_selection import KFold

from dina.checks import DataError
from dina.data.pairs import Gallery, Pairs, Queries
from dina.randomness import seed_for
from dina.retrieval.ranks import target_ranks
from dina.rivals.gabor_components import DESCRIPTIONS, ImageDescription
from dina.shapes import Scores
from dina.statistics.correlation import correlate_all_rows

PENALTIES = np.logspace(-4, 3, 15)
"""Ridge penalties tried for every component, relative to the mean eigenvalue of the kernel."""

COMPONENT_COUNTS = (50, 100, 200, 400)
"""Numbers of image components tried on the validation images."""

N_FOLDS = 5

CELLS = 2**24
"""Largest number of kernel entries times components that the solver multiplies out at a time (64 MB)."""


class Ridge:
    r"""The linear decoder that any claim must beat.

    Population responses, averaged over the trials of an image, predict the principal components of the training
    images (or, for direct decoding to image features, of their Gabor features); a candidate's score is the correlation of its components with the predicted ones. Components are
    z-scored by training images, so that fine ones count as much as coarse ones before they are weighted.

    The penalty of each component comes from cross-validation inside the training images. Twenty settings are then
    tried on the validation images: four numbers of components × five weightings (by the components' variance to the
    power 0, ½ or 1; by the accuracy with which training folds predict them, or its root).

    Parameters
    ----------
    seed
        Of the folds inside the training images.
    predicts
        Name in `DESCRIPTIONS` of the components of images: of "pixels", or of "gabors" (energies and rectified phases).

    Notes
    -----
    With :math:`X` (image × neuron) and :math:`Y` (image × component), both centred, the weights are
    :math:`X^T (X X^T + \lambda I)^{-1} Y`, with one :math:`\lambda` per component; responses with more
    presentations weigh more.

    References
    ----------
    Dupré la Tour et al. (2022), NeuroImage 264:119728. https://doi.org/10.1016/j.neuroimage.2022.119728

    Horikawa & Kamitani (2017), Nat. Commun. 8:15037. https://doi.org/10.1038/ncomms15037 (features, then correlation)
    """

    reads: ClassVar[Literal["images", "templates", "truth"]] = "images"

    def __init__(self, seed: int = 0, predicts: Literal["pixels", "gabors"] = "pixels") -> None:
        self.name = "ridge" if predicts == "pixels" else "direct_decoding"
        self.seed = seed
        self.predicts = predicts
        self.n_components = 0
        self.weighting = ""
        self._components: ImageDescription | None = None

    def fit(self, train: Pairs, validation: Pairs) -> Self:
        """Learn the map from ``train``; choose number and weighting of components by ``validation``.

        Raises
        ------
        DataError
            If there are fewer than three training images, or they are all the same.
        """
        if train.n_stimuli < 3:
            raise DataError(f"Ridge needs at least three training images; got {train.n_stimuli}. Give it a larger split.")
        components = DESCRIPTIONS[self.predicts].learn(train.images, min(max(COMPONENT_COUNTS), train.n_stimuli - 1))
        weight = np.sqrt(train.total_presentations() / train.total_presentations().mean()).astype(np.float32)[:, None]
        responses, targets = train.averaged(), components.encode(train.images)
        self._components = components
        self._mean_response = np.average(responses, axis=0, weights=weight[:, 0] ** 2).astype(np.float32)
        mean_target = np.average(targets, axis=0, weights=weight[:, 0] ** 2).astype(np.float32)
        centred = weight * (responses - self._mean_response)
        dual, accuracy = _solve(centred @ centred.T, weight * (targets - mean_target), seed_for(self.seed, "ridge folds"))
        self._weights = centred.T @ dual
        self._intercept = mean_target
        self._weightings = {
            "variance^0": np.ones_like(accuracy),
            "variance^½": components.deviation,
            "variance^1": components.deviation**2,
            "accuracy^½": np.sqrt(accuracy),
            "accuracy^1": accuracy,
        }
        self._choose(validation)
        return self

    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        """Correlate predicted and candidate components, in [-1, 1].

        Raises
        ------
        DataError
            If `fit` was not called.
        """
        if self._components is None:
            raise DataError("A decoder must be fitted before it scores; call fit(train, validation) first.")
        predicted = self._predict(queries.responses.astype(np.float32))
        return self._compare(predicted, self._components.encode(gallery.images), self.n_components, self.weighting)

    def _predict(self, responses: Float32[np.ndarray, "query neuron"]) -> Float32[np.ndarray, "query component"]:
        """Predict the z-scored image components."""
        predicted: np.ndarray = (responses - self._mean_response) @ self._weights + self._intercept
        return predicted

    def _compare(
        self,
        predicted: Float32[np.ndarray, "query component"],
        candidates: Float32[np.ndarray, "gallery component"],
        n_components: int,
        weighting: str,
    ) -> Scores:
        """Correlate over the first components, each side times the root of the component's weight."""
        root = np.sqrt(self._weightings[weighting][:n_components])
        correlation = correlate_all_rows(predicted[:, :n_components] * root, candidates[:, :n_components] * root)
        # no prediction, or a candidate that is the mean image: as good and as bad as any other
        return np.nan_to_num(correlation, nan=0.0)

    def _choose(self, validation: Pairs) -> None:
        """Take the setting with the lowest mean log rank of the averaged validation responses."""
        assert self._components is not None  # set in fit; tells the type checker
        candidates = self._components.encode(validation.images)
        predicted = self._predict(validation.averaged())
        itself = np.arange(validation.n_stimuli)
        counts = sorted({min(count, candidates.shape[1]) for count in COMPONENT_COUNTS})
        loss = {
            (count, name): float(np.log(target_ranks(self._compare(predicted, candidates, count, name), itself)).mean())
            for count in counts
            for name in self._weightings
        }
        self.n_components, self.weighting = min(loss, key=lambda setting: loss[setting])


def _solve(
    kernel: Float32[np.ndarray, "stimulus stimulus"], targets: Float32[np.ndarray, "stimulus component"], seed: int
) -> tuple[Float32[np.ndarray, "stimulus component"], Float32[np.ndarray, "component"]]:
    """Return dual weights, and the fraction of each component's variance that held-out folds explain (at least 1e-3)."""
    scale = float(np.trace(kernel)) / len(kernel)
    folds = KFold(min(N_FOLDS, len(kernel)), shuffle=True, random_state=seed % 2**32)
    # himalaya keeps its array library in a module-wide variable: borrow it and give it back as it was
    before = get_backend().name
    set_backend("torch")
    try:
        _, dual, loss = solve_kernel_ridge_cv_eigenvalues(
            torch.from_numpy(kernel),
            torch.from_numpy(targets),
            alphas=torch.from_numpy((PENALTIES * scale).astype(np.float32)),
            cv=folds,
            n_targets_batch_refit=max(1, CELLS // kernel.size),
        )
    finally:
        set_backend(before)
    explained = 1 + loss.numpy()[0] / np.maximum((targets**2).mean(axis=0), 1e-12)
    return dual.numpy(), np.clip(explained, 1e-3, 1.0).astype(np.float32)
