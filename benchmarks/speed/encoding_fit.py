"""Ridge regression from image features to neurons with a penalty chosen for each, against himalaya and scikit-learn.

All minimise the same error over the same penalties. Ours and scikit-learn's leave out one image after the other, by a closed form;
himalaya leaves out a fifth of the images at a time. Where both choose the same penalty of a neuron, coefficients must agree.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from benchmarks.speed.contest import Line, Side, compete, exponent
from himalaya.backend import get_backend, set_backend
from himalaya.kernel_ridge import solve_kernel_ridge_cv_eigenvalues
from sklearn.linear_model import RidgeCV
from torch import Tensor

from dina.models.global_ridge import fit_global_ridge

PENALTIES = tuple(float(penalty) for penalty in np.logspace(-2, 2.5, 10))  # relative to the mean power of the kernel
FOLDS = 5
CELLS = 2**24  # numbers that himalaya multiplies out at a time, 64 MB
SAME = 1e-2  # penalties differ by a factor of three, and coefficients by far more than this
# From features and responses to weights of the images for each neuron.
Fit = Callable[[Tensor, Tensor], Tensor]


def measure(*, quick: bool) -> Iterator[Line]:
    """Compare with both peers, and let images, neurons and features grow."""
    n_images, n_features, n_neurons, n_few = (40, 60, 12, 8) if quick else (2240, 10_000, 10_000, 1000)
    features, responses = _data(n_images, n_features, n_neurons)
    line = _contest(features, responses, f"himalaya, {FOLDS} folds", 1.0, _himalaya, quick=quick)
    line.growth = _growth(quick=quick)
    yield line
    few = responses[:, :n_few].contiguous()
    yield _contest(features, few, "RidgeCV of scikit-learn, one image left out", 1 / 0.3, _sklearn, quick=quick)


def _contest(features: Tensor, responses: Tensor, peer: str, goal: float, theirs: Fit, *, quick: bool) -> Line:
    (n_images, n_features), n_neurons = features.shape, responses.shape[1]
    found: dict[str, Tensor] = {}
    times = compete(
        Side(lambda: found.update(ours=_ours(features, responses))),
        Side(lambda: found.update(theirs=theirs(features, responses))),
        quick=quick,
        n_rounds=2,
    )
    difference = (found["ours"] - found["theirs"]).abs().amax(0) / found["theirs"].abs().amax(0)
    same = difference < SAME
    agreement = f"{float(same.double().mean()):.0%} of neurons take the same penalty"
    if bool(same.any()):
        agreement += f", coefficients to {float(difference[same].max()):.0e}"
    return Line(
        work=f"encoding fit: {n_images:,} images, {n_features:,} features, {n_neurons:,} neurons, {len(PENALTIES)} penalties",
        peer=peer,
        goal=f"≥ {goal:.2g} ×",
        times=times,
        is_reached=times.ratio[0] >= goal,
        gflop=2e-9 * n_images**2 * (n_features + (len(PENALTIES) + 1) * n_neurons),  # without the eigenvectors
        agreement=agreement,
    )


def _growth(*, quick: bool) -> dict[str, float]:
    if quick:
        images, neurons, features = (12, 24), (4, 8), (8, 16)
    else:
        images, neurons, features = (280, 560, 1120, 2240), (1250, 2500, 5000, 10_000), (1250, 2500, 5000, 10_000)

    def work(*sizes: int) -> Callable[[], Tensor]:
        data = _data(*sizes)
        return lambda: _ours(*data)

    return {
        "images": exponent(lambda n: work(n, features[1], neurons[1]), images),
        "neurons": exponent(lambda n: work(images[1], features[1], n), neurons),
        "map size": exponent(lambda n: work(images[1], n, neurons[1]), features),
    }


def _data(n_images: int, n_features: int, n_neurons: int) -> tuple[Tensor, Tensor]:
    """Make features of noise, and responses that they explain to one half."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(n_images, n_features, generator=generator)
    few = features[:, :20]
    explained = few @ torch.randn(few.shape[1], n_neurons, generator=generator) / few.shape[1] ** 0.5
    responses = explained + torch.randn(n_images, n_neurons, generator=generator)
    return features, responses - responses.mean(0)


def _ours(features: Tensor, responses: Tensor) -> Tensor:
    return fit_global_ridge(features[:, :, None, None], responses, PENALTIES).dual


def _absolute(features: Tensor) -> np.ndarray:
    return np.array(PENALTIES) * float(features.square().sum()) / len(features)


def _himalaya(features: Tensor, responses: Tensor) -> Tensor:
    before = get_backend().name
    backend = set_backend("torch")
    try:
        alphas = backend.asarray(_absolute(features), dtype=backend.float32)
        at_once = max(1, CELLS // len(features))
        found = solve_kernel_ridge_cv_eigenvalues(
            features @ features.T,
            responses,
            alphas,
            cv=FOLDS,
            n_targets_batch=at_once,
            n_targets_batch_refit=at_once,
        )
    finally:
        set_backend(before)
    return found[1]


def _sklearn(features: Tensor, responses: Tensor) -> Tensor:
    """Return what scikit-learn's fit leaves of the responses divided by the penalty: the same weights of images as ours."""
    ridge = RidgeCV(alphas=_absolute(features), fit_intercept=False, alpha_per_target=True)
    ridge.fit(features.numpy(), responses.numpy())
    left = responses - features @ torch.as_tensor(ridge.coef_.T, dtype=features.dtype)
    return left / torch.as_tensor(ridge.alpha_, dtype=features.dtype)
