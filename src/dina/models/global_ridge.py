"""Ridge weights from all places of feature maps to neurons, and the eigenvectors that ridge regressions are computed with."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from dina.models.penalties import check_penalties, note_ends

# Ridge penalties tried for weights over the whole map, relative to the mean power of the kernel.
GLOBAL_PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
VALUES_AT_ONCE = 2**12  # of each image, that are put in order to be multiplied
NEURONS_AT_ONCE = 1024  # for which penalties are compared: few enough that what lies between stays in fast memory


def eigenvectors_of(gram: Float[Tensor, "row row"]) -> tuple[Float[Tensor, "row"], Float[Tensor, "row row"]]:
    """Return eigenvalues of a symmetric, finite matrix in ascending order, and eigenvectors in columns.

    With fewer images than features most eigenvalues are zero. Where the single-precision solver then fails to converge,
    double precision is used.

    Examples
    --------
    >>> eigenvectors_of(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))[0]
    tensor([1., 2.])
    """
    try:
        values, vectors = torch.linalg.eigh(gram)
    except RuntimeError:  # what the solver raises is a kind of it
        values, vectors = torch.linalg.eigh(gram.double())
    return values.to(gram.dtype), vectors.to(gram.dtype)


def leave_each_out(
    vectors: Float[Tensor, "stimulus component"],
    shrunk: Float[Tensor, "component"],
    projected: Float[Tensor, "component neuron"],
    centred: Float[Tensor, "stimulus neuron"],
) -> Float[Tensor, "stimulus neuron"]:
    r"""Return the deviation from the mean that ridge regression predicts for every image without it; the mean is learnt, too.

    Parameters
    ----------
    vectors
        Left singular vectors :math:`U` of the centred features.
    shrunk
        What ridge leaves of each component, :math:`\lambda_k / (\lambda_k + p)` with the eigenvalues of the kernel.
    projected, centred
        :math:`U^T y` and :math:`y`, the responses minus each neuron's mean.

    Notes
    -----
    :math:`(\hat y_i - h_i y_i) / (1 - h_i)` with :math:`h_i = 1/n + \sum_k U_{ik}^2 \lambda_k / (\lambda_k + p)`.

    Examples
    --------
    Without features an image is predicted by the mean of the others:

    >>> leave_each_out(torch.zeros(3, 1), torch.zeros(1), torch.zeros(1, 1), torch.tensor([[-1.0], [0.0], [1.0]])).T
    tensor([[ 0.5000,  0.0000, -0.5000]])
    """
    hat = (1 / len(centred) + vectors.square() @ shrunk)[:, None].clamp_max(0.999)
    fitted = vectors @ (shrunk[:, None] * projected)
    return fitted.sub_(hat * centred).div_(1 - hat)  # in place: of many neurons each takes hundreds of megabytes


def multiply_maps(
    first: Float[Tensor, "image channel height width"], second: Float[Tensor, "stimulus channel height width"]
) -> Float[Tensor, "image stimulus"]:
    """Return all inner products of two sets of maps, some channels after the others, in single precision."""
    total = torch.zeros(len(first), len(second), device=first.device)
    at_once = max(1, VALUES_AT_ONCE // math.prod(first.shape[2:]))
    for some, others in zip(torch.split(first, at_once, dim=1), torch.split(second, at_once, dim=1), strict=True):
        left = some.flatten(1).float()
        right = left if second is first else others.flatten(1).float()
        total.addmm_(left, right.T)
    return total


@dataclass(frozen=True, eq=False)
class GlobalWeights:
    """Ridge weights in dual form: one coefficient per training image and neuron.

    ``intercept`` is each neuron's mean response; ``predicted`` is leave-one-out around it, and ``explained`` may be negative.
    """

    maps: Float[Tensor, "stimulus channel height width"]
    dual: Float[Tensor, "stimulus neuron"]
    intercept: Float[Tensor, "neuron"]
    predicted: Float[Tensor, "stimulus neuron"]
    explained: Float[Tensor, "neuron"]
    notes: dict[str, str]  # what to report of penalties at an end of their grid

    def predict(self, maps: Float[Tensor, "image channel height width"]) -> Float[Tensor, "image neuron"]:
        """Return the expected response of every neuron to images with these maps."""
        return multiply_maps(maps, self.maps) @ self.dual + self.intercept


def fit_global_ridge(
    maps: Float[Tensor, "stimulus channel height width"],
    responses: Float[Tensor, "stimulus neuron"],
    penalties: Sequence[float] = GLOBAL_PENALTIES,
) -> GlobalWeights:
    """Fit kernel ridge regression from all channels and places to every neuron, maps standardised and responses averaged.

    Every neuron takes that of ``penalties``, relative to the mean power of the kernel, with the lowest leave-one-out error, which
    has a closed form.
    """
    mean = responses.mean(0)
    centred = responses - mean
    power = centred.square().mean(0).clamp_min(1e-12)
    is_active = power > 1e-12  # nothing of a neuron that never varies can be explained
    kernel = multiply_maps(maps, maps)
    values, vectors = eigenvectors_of(kernel)
    strength = torch.as_tensor(check_penalties(penalties), dtype=values.dtype, device=values.device)
    inverse = 1 / (values.clamp_min(0)[:, None] + strength * values.mean())  # (component, penalty)
    left_alone = vectors.square() @ inverse  # (stimulus, penalty): a coefficient divided by it is the error without its image
    explained, chosen = torch.full_like(power, -torch.inf), torch.zeros_like(power, dtype=torch.int64)
    dual, predicted = torch.zeros_like(centred), torch.empty_like(centred)
    for first in range(0, len(power), NEURONS_AT_ONCE):
        part = slice(first, first + NEURONS_AT_ONCE)
        projected = vectors.T @ centred[:, part]
        for number in range(len(strength)):
            coefficient = vectors @ (inverse[:, number, None] * projected)
            error = (coefficient / left_alone[:, number, None]).square_().mean(0)
            accuracy = is_active[part] * (1 - error / power[part])
            better = accuracy > explained[part]
            explained[part] = torch.where(better, accuracy, explained[part])
            chosen[part] = torch.where(better, number, chosen[part])
            dual[:, part] = torch.where(better, coefficient, dual[:, part])
        predicted[:, part] = mean[part] + centred[:, part] - dual[:, part] / left_alone[:, chosen[part]]
    best = strength[chosen]
    notes = note_ends(best[is_active].cpu().numpy(), penalties, "neurons")
    return GlobalWeights(maps, dual, mean, predicted, explained, notes)
