"""Stacking: predictions from several feature spaces, added with weights that are not negative."""

from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from dina.large_arrays import blocks_of
from dina.neuron_blocks import large_like

TRUST = 20.0
"""How many neurons' worth of noise pulls the weights of one neuron towards those of the population."""

NEURONS_AT_ONCE = 4096


def stack_predictions(
    predicted: Float[Tensor, "space stimulus neuron"], deviation: Float[Tensor, "stimulus neuron"]
) -> Float[Tensor, "neuron space"]:
    r"""Return the weights of all spaces for every neuron, at least 0.

    ``predicted`` are left-out predictions of ``deviation``, the responses less each neuron's mean. First one weight for each space is
    found for the whole population, then each neuron's weights, drawn towards these. A space that does not help gets 0.

    Notes
    -----
    The population's weights :math:`w_0` minimise the summed squared error over neurons; those of neuron n minimise
    :math:`\lVert y_n - P_n w \rVert^2 + k \sigma_n^2 \lVert w - w_0 \rVert^2`, with :math:`\sigma_n^2` the mean squared error
    under :math:`w_0` and k = 20, over :math:`w \ge 0`.

    References
    ----------
    Breiman (1996), Mach. Learn. 24:49. https://doi.org/10.1007/BF00117832

    Lin et al. (2024), NeuroImage 298:120772. https://doi.org/10.1101/2023.04.23.537988

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> signal, noise = torch.randn(2, 200, 3, generator=generator)
    >>> stack_predictions(torch.stack([signal, noise]), signal).round().abs()
    tensor([[1., 0.],
            [1., 0.],
            [1., 0.]])
    """
    parts = list(zip(torch.split(predicted, NEURONS_AT_ONCE, dim=2), torch.split(deviation, NEURONS_AT_ONCE, dim=1), strict=True))
    gram = torch.cat([torch.einsum("ksn,lsn->nkl", some, some).double() for some, _ in parts])
    agreement = torch.cat([torch.einsum("ksn,sn->nk", some, own).double() for some, own in parts])
    together = _solve_positive(gram.sum(0)[None], agreement.sum(0)[None])[0]
    shared = together.float()
    error = torch.cat([(own - torch.einsum("ksn,k->sn", some, shared)).square().mean(0).double() for some, own in parts])
    pull = TRUST * error.clamp_min(1e-12)[:, None]
    used = torch.where(together > 0)[0]
    own = gram[:, used][:, :, used] + torch.diag_embed(pull.expand(-1, len(used)))
    weights = torch.zeros_like(agreement)
    if len(used):
        weights[:, used] = _solve_positive(own, agreement[:, used] + pull * together[used])
    return weights.float()


def add_predictions(
    predicted: Float[Tensor, "space stimulus neuron"], weights: Float[Tensor, "neuron space"]
) -> Float[Tensor, "stimulus neuron"]:
    """Return the predictions from all spaces together, each times each neuron's weight.

    Examples
    --------
    >>> add_predictions(torch.tensor([[[1.0]], [[2.0]]]), torch.tensor([[3.0, 5.0]]))
    tensor([[13.]])
    """
    together = large_like(predicted[0])
    for some in blocks_of(len(weights), NEURONS_AT_ONCE):
        together[:, some] = torch.einsum("ksn,nk->sn", predicted[:, :, some], weights[some])
    return together


def size_of_predictions(predicted: Float[Tensor, "stimulus neuron"], deviation: Float[Tensor, "stimulus neuron"]) -> float:
    r"""Return the factor from 0 to 1 that fits predictions best to the deviations of images that no fit has seen.

    Predictions of training images flatter themselves: centres, widths and priors of receptive fields are learnt from all training
    images, also from the one that is left out. Predictions of other images are therefore a little too large. The factor is the
    slope of the deviations on the predictions over all images and neurons, at most 1.

    Examples
    --------
    >>> deviation = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    >>> round(size_of_predictions(2 * deviation, deviation), 3)
    0.5
    >>> size_of_predictions(deviation / 2, deviation)
    1.0
    """
    slope = (predicted * deviation).sum() / predicted.square().sum().clamp_min(1e-12)
    return float(slope.clamp(0.0, 1.0))


def left_out_errors(
    predicted: Float[Tensor, "space stimulus neuron"],
    deviation: Float[Tensor, "stimulus neuron"],
    fold: Int[np.ndarray, "stimulus"],
) -> Float[np.ndarray, "stimulus neuron"]:
    """Return the squared error of the stack for every image, with weights learnt on the images of other folds.

    ``fold`` holds the number of the fold of each image; the rest is as `stack_predictions` takes it.

    Examples
    --------
    >>> deviation = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    >>> left_out_errors(deviation[None], deviation, np.arange(6) % 2).max() < 1e-9
    np.True_
    """
    errors = np.empty(tuple(deviation.shape))
    for number in np.unique(fold):
        held_out, others = (
            torch.from_numpy(np.flatnonzero(is_in)).to(deviation.device) for is_in in (fold == number, fold != number)
        )
        weights = stack_predictions(predicted[:, others], deviation[others])
        stacked = torch.einsum("ksn,nk->sn", predicted[:, held_out], weights)
        errors[held_out.cpu().numpy()] = (deviation[held_out] - stacked).square().double().cpu().numpy()
    return errors


def _solve_positive(
    gram: Float[Tensor, "problem space space"], agreement: Float[Tensor, "problem space"]
) -> Float[Tensor, "problem space"]:
    """Return the weights of at least 0 with the least squared error, by trying every set of spaces: there are few of them."""
    n_spaces = agreement.shape[1]
    floor = 1e-9 * gram.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-12)
    best, gained = torch.zeros_like(agreement), torch.zeros(len(agreement), dtype=agreement.dtype, device=agreement.device)
    for size in range(1, n_spaces + 1):
        for some in combinations(range(n_spaces), size):
            part = gram[:, some][:, :, some] + floor[:, None, None] * torch.eye(size, device=gram.device)
            found = torch.linalg.solve(part, agreement[:, some])
            gain = (found * agreement[:, some]).sum(1)
            better = (found >= 0).all(1) & (gain > gained)
            gained[better] = gain[better]
            best[better] = 0
            best[better.nonzero(), torch.tensor(some, device=best.device)] = found[better]
    return best
