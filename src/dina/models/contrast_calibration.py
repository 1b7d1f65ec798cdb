"""How strongly predictions of an encoding model should be believed at each contrast, from left-out training images."""

import torch
from jaxtyping import Float
from torch import Tensor

from dina.models.towers.neural.shared_noise import SharedNoise


def calibrate_by_contrast(
    responses: Float[Tensor, "stimulus neuron"],
    predicted: Float[Tensor, "stimulus neuron"],
    noise: SharedNoise,
    knot_weights: Float[Tensor, "stimulus knot"],
) -> Float[Tensor, "knot"]:
    r"""Return the gain of the predictions at each knot of contrast, at least 0.

    Ridge weights are shrunk for the average image. Predictions for faint images, whose responses are small, are then
    too large, and those for strong ones too small.

    Parameters
    ----------
    responses
        Averaged training responses less what their contrast lets expect.
    predicted
        The same, predicted from other images (leave-one-out).
    noise
        By which the population is whitened, so that reliable neurons count.
    knot_weights
        From `ContrastGain.knot_weights`.

    Notes
    -----
    Minimises :math:`\sum_i \lVert y_i - g_i p_i \rVert^2_{\Sigma^{-1}}` over :math:`g_i` piecewise linear in the
    logarithm of contrast.
    """
    whitened = noise.divide(predicted)
    agreement, power = (whitened * responses).sum(1), (whitened * predicted).sum(1)
    gram = knot_weights.T @ (knot_weights * power[:, None])
    ridge = 1e-4 * gram.diagonal().mean() * torch.eye(len(gram), device=gram.device)
    # the pull is towards 1: where no image tells, predictions are taken as they are
    right = knot_weights.T @ agreement + ridge.diagonal()
    return torch.linalg.solve(gram + ridge, right).clamp_min(0.0)


def shift_by_contrast(
    maps: Float[Tensor, "stimulus channel height width"],
    knots: Float[Tensor, "stimulus knot"],
    expected: Float[Tensor, "knot channel height width"],
    chunk: int = 64,
) -> None:
    """Add to every map, in place, what its contrast lets expect."""
    for first in range(0, len(maps), chunk):
        maps[first : first + chunk] += torch.einsum("bk,kchw->bchw", knots[first : first + chunk], expected).to(maps.dtype)
