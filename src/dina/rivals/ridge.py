"""Linear decoding: ridge regression from responses to image components, compared with those of each candidate."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from himalaya.backend import get_backend, set_backend
from himalaya.kernel_ridge import solve_kernel_ridge_cv_eigenvalues
from himalaya.ridge import solve_ridge_cv_svd
from jaxtyping import Float32
from sklearn.model_selection import KFold

from dina.data.pairs import Gallery, Pairs, Queries
from dina.models.local_ridge import MANY_IMAGES
from dina.models.penalties import check_penalties, note_ends
from dina.randomness import seed_for
from dina.retrieval.decoder import Candidate, Setting
from dina.rivals.image_components import DESCRIPTIONS, ImageDescription
from dina.rivals.validated_decoder import ValidatedDecoder, correlate_patterns
from dina.shapes import Scores

# Ridge penalties tried for every component, relative to the mean eigenvalue of the kernel.
PENALTIES = np.logspace(-4, 3, 15)

# Numbers of image components tried on the validation images.
COMPONENT_COUNTS = (50, 100, 200, 400)

N_FOLDS = 5

# Largest number of kernel entries times components that the solver multiplies out at a time (64 MB).
CELLS = 2**24


@dataclass(frozen=True, eq=False)
class ComponentRegression:
    """Ridge regression from responses to image components; ``weightings`` say how much each counts in comparisons."""

    description: ImageDescription
    mean_response: Float32[np.ndarray, "neuron"]
    weights: Float32[np.ndarray, "neuron component"]
    intercept: Float32[np.ndarray, "component"]
    weightings: dict[str, Float32[np.ndarray, "component"]]
    notes: dict[str, str]  # where penalties lie at an end of their grid

    @classmethod
    def fit(cls, train: Pairs, description: ImageDescription, seed: int) -> "ComponentRegression":
        """Fit every component, its penalty by cross-validation; responses with more presentations weigh more."""
        weight = np.sqrt(train.total_presentations() / train.total_presentations().mean()).astype(np.float32)[:, None]
        responses, targets = train.averaged(), description.encode(train.images)
        mean_response = np.average(responses, axis=0, weights=weight[:, 0] ** 2).astype(np.float32)
        mean_target = np.average(targets, axis=0, weights=weight[:, 0] ** 2).astype(np.float32)
        centred = weight * (responses - mean_response)
        solve = _solve_by_neuron if len(centred) > max(MANY_IMAGES, centred.shape[1]) else _solve_by_image
        weights, accuracy, notes = solve(centred, weight * (targets - mean_target), seed_for(seed, "ridge folds"))
        weightings = {
            "variance^0": np.ones_like(accuracy),
            "variance^½": description.deviation,
            "variance^1": description.deviation**2,
            "accuracy^½": np.sqrt(accuracy),
            "accuracy^1": accuracy,
        }
        return cls(description, mean_response, weights, mean_target, weightings, notes)

    def predict(self, responses: Float32[np.ndarray, "query neuron"]) -> Float32[np.ndarray, "query component"]:
        """Predict the z-scored image components."""
        predicted: np.ndarray = (responses - self.mean_response) @ self.weights + self.intercept
        return predicted

    def compare(
        self,
        predicted: Float32[np.ndarray, "query component"],
        candidates: Float32[np.ndarray, "gallery component"],
        n_components: int,
        weighting: str,
    ) -> Scores:
        """Correlate over the first components, each side times the root of the component's weight; in [-1, 1]."""
        root = np.sqrt(self.weightings[weighting][:n_components])
        return correlate_patterns(predicted[:, :n_components] * root, candidates[:, :n_components] * root)


@dataclass(frozen=True, eq=False)
class _Weighted:
    regression: ComponentRegression
    n_components: int
    weighting: str

    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        predicted = self.regression.predict(queries.responses.astype(np.float32))
        candidates = self.regression.description.encode(gallery.images)
        return self.regression.compare(predicted, candidates, self.n_components, self.weighting)


class Ridge(ValidatedDecoder):
    r"""The linear decoder that any claim must beat.

    Population responses, averaged over the trials of an image, predict the principal components of the training
    images (or, for direct decoding to image features, of their Gabor features); a candidate's score is the correlation
    of its components with the predicted ones. Components are z-scored by training images, so that fine ones count as
    much as coarse ones before they are weighted.

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

    def __init__(self, seed: int = 0, predicts: Literal["pixels", "gabors"] = "pixels") -> None:
        super().__init__("ridge" if predicts == "pixels" else "direct_decoding")
        self.seed = seed
        self.predicts = predicts

    def candidates(self, train: Pairs, validation: Pairs) -> Iterator[Candidate[_Weighted]]:
        """Yield one regression with every number and weighting of its components."""
        learn = DESCRIPTIONS[self.predicts].learn
        regression = ComponentRegression.fit(
            train, learn(train.images, min(max(COMPONENT_COUNTS), train.n_stimuli - 1)), self.seed
        )
        predicted, shown = regression.predict(validation.averaged()), regression.description.encode(validation.images)
        for count in sorted({min(count, shown.shape[1]) for count in COMPONENT_COUNTS}):
            for weighting in regression.weightings:
                scores = regression.compare(predicted, shown, count, weighting)
                setting: Setting = {"image_components": count, "weighting": weighting, **regression.notes}
                yield Candidate(_Weighted(regression, count, weighting), setting, scores)


_Solved = tuple[Float32[np.ndarray, "neuron component"], Float32[np.ndarray, "component"], dict[str, str]]


def _solve_by_image(
    responses: Float32[np.ndarray, "stimulus neuron"], targets: Float32[np.ndarray, "stimulus component"], seed: int
) -> _Solved:
    """Return weights, the fraction of each component's variance that held-out folds explain (at least 1e-3), and notes."""
    kernel = responses @ responses.T
    scale = float(np.trace(kernel)) / len(kernel)
    with _on_torch():
        best, dual, loss = solve_kernel_ridge_cv_eigenvalues(
            torch.from_numpy(kernel),
            torch.from_numpy(targets),
            alphas=_penalties(scale),
            cv=_folds(len(kernel), seed),
            n_targets_batch_refit=max(1, CELLS // kernel.size),
        )
    return responses.T @ dual.numpy(), *_judged(best / scale, loss, targets)


def _solve_by_neuron(
    responses: Float32[np.ndarray, "stimulus neuron"], targets: Float32[np.ndarray, "stimulus component"], seed: int
) -> _Solved:
    """Return the same as `_solve_by_image`, but for rounding; memory and time grow with neurons, not with the square of images."""
    scale = float((responses.astype(np.float64) ** 2).sum()) / len(responses)
    with _on_torch():
        best, weights, loss = solve_ridge_cv_svd(
            torch.from_numpy(responses),
            torch.from_numpy(targets),
            alphas=_penalties(scale),
            cv=_folds(len(responses), seed),
            n_alphas_batch=1,
            warn=False,
        )
    return weights.numpy(), *_judged(best / scale, loss, targets)


def _penalties(scale: float) -> torch.Tensor:
    return torch.from_numpy((check_penalties(PENALTIES) * scale).astype(np.float32))


def _folds(n: int, seed: int) -> KFold:
    return KFold(min(N_FOLDS, n), shuffle=True, random_state=seed % 2**32)


def _judged(relative: torch.Tensor, loss: torch.Tensor, targets: np.ndarray) -> tuple[np.ndarray, dict[str, str]]:
    explained = 1 + loss.numpy()[0] / np.maximum((targets**2).mean(axis=0), 1e-12)
    return np.clip(explained, 1e-3, 1.0).astype(np.float32), note_ends(relative.numpy(), PENALTIES, "components")


@contextmanager
def _on_torch() -> Iterator[None]:
    """Borrow the array library that himalaya keeps in a module-wide variable, and give it back as it was."""
    before = get_backend().name
    set_backend("torch")
    try:
        yield
    finally:
        set_backend(before)
