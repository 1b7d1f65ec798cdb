"""Accuracy from any part of the neurons: addition and removal curves of many sequences of neurons, by test image."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dina.analyses.neuron_readout import NeuronReadout
from dina.analyses.query_trials import QueryTrials
from dina.analyses.score_changes import Treatment
from dina.analyses.sparse_subsets.subset_orders import SubsetOrders
from dina.progress import track


@dataclass(frozen=True, eq=False)
class SubsetCurves:
    """Top-1 accuracy by subset of neurons.

    Parameters
    ----------
    sizes
        Numbers of neurons kept, rising, the last all of them, shape ``(n_sizes,)``.
    by_image
        Name of the sequence → fraction of each image's queries whose image was ranked first, mean over draws, shape
        ``(n_sizes, n_images)``.
    by_draw
        Name → mean over images, shape ``(n_draws, n_sizes)``.
    """

    sizes: tuple[int, ...]
    by_image: Mapping[str, Float[np.ndarray, "size image"]]
    by_draw: Mapping[str, Float[np.ndarray, "draw size"]]


def trace_curves(
    readout: NeuronReadout, trials: QueryTrials, orders: SubsetOrders, sizes: tuple[int, ...], treatment: Treatment
) -> SubsetCurves:
    """Decode from the first ``sizes[0]``, ``sizes[1]`` … neurons of every sequence.

    Parameters
    ----------
    readout
        Of the decoder.
    trials
        The queries.
    orders
        Sequences of neurons.
    sizes
        Rising, from 1 to the number of neurons.
    treatment
        What happens to all other neurons.
    """
    by_image, by_draw = {}, {}
    draws = [(name, order) for name, several in orders.by_name.items() for order in several]
    found: dict[str, list[np.ndarray]] = {name: [] for name in orders.by_name}
    for name, order in track(draws, "Decoding from subsets of neurons"):
        scores = readout.subset_scores(trials.responses, torch.from_numpy(order), sizes, treatment)
        top = torch.stack([top_one(part, trials.target) for part in scores], dim=1)
        found[name].append(trials.by_image(top).T)
    for name, several in found.items():
        by_image[name] = np.mean(several, axis=0)
        by_draw[name] = np.stack([one.mean(1) for one in several])
    return SubsetCurves(sizes, by_image, by_draw)


def top_one(scores: Float[Tensor, "query gallery"], target: Tensor) -> Float[Tensor, "query"]:
    """Return 1 where the target has the best score, a fair share of it where it ties, else 0.

    Examples
    --------
    >>> top_one(torch.tensor([[2.0, 1.0], [1.0, 1.0], [0.0, 1.0]]), torch.tensor([0, 0, 0]))
    tensor([1.0000, 0.5000, 0.0000], dtype=torch.float64)
    """
    own = scores.gather(1, target[:, None])
    n_better, n_as_good = (scores > own).sum(1), (scores == own).sum(1)
    return torch.where(n_better == 0, 1 / n_as_good.double(), torch.zeros(len(scores), dtype=torch.float64))


def area_under(curve: Float[np.ndarray, "*curves size"], sizes: tuple[int, ...]) -> Float[np.ndarray, "*curves"]:
    """Return the mean height of curves over the logarithm of subset size (trapezia): every doubling counts the same.

    Examples
    --------
    >>> round(float(area_under(np.array([0.0, 1.0, 1.0]), (1, 2, 4))), 3)
    0.75
    """
    logarithm = np.log(sizes)
    return np.asarray(np.trapezoid(curve, logarithm, axis=-1) / (logarithm[-1] - logarithm[0]))


def fraction_needed(
    curve: Float[np.ndarray, "*curves size"], sizes: tuple[int, ...], share: float
) -> Float[np.ndarray, "*curves"]:
    """Return which fraction of all neurons first reaches ``share`` of the accuracy of all, between sizes by interpolation.

    Interpolation is linear in the logarithm of size; a curve that starts above gives the smallest size.

    Examples
    --------
    >>> fraction_needed(np.array([0.0, 0.5, 1.0]), (1, 2, 4), 0.5)
    array(0.5)
    """
    flat = np.atleast_2d(curve).reshape(-1, len(sizes))
    wanted = share * flat[:, -1]
    reached = flat >= wanted[:, None] - 1e-12
    after = reached.argmax(1)
    before = np.maximum(after - 1, 0)
    row = np.arange(len(flat))
    rise = flat[row, after] - flat[row, before]
    part = np.divide(wanted - flat[row, before], rise, out=np.zeros_like(wanted), where=rise > 0)
    logarithm = np.log(sizes)
    at = logarithm[before] + np.clip(part, 0, 1) * (logarithm[after] - logarithm[before])
    needed: np.ndarray = (np.exp(at) / sizes[-1]).reshape(np.shape(curve)[:-1])
    return needed
