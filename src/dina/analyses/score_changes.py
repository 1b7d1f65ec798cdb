"""What the loss of one neuron does to scores that are a product of one number per query and one per candidate."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

CHUNK = 4_000_000  # (candidate, neuron) entries compared at a time, at most: 32 MB in double precision

Treatment = Literal["removed", "silenced"]
"""A neuron is removed: as if it had never been recorded. It is silenced: recorded, but at its mean response."""

Trials = Float[Tensor, "query neuron"]
"""Standardised responses, one row per query, in double precision."""
Targets = Int[Tensor, "query"]
"""Place in the gallery of the image shown in each query."""
Scores = Float[Tensor, "query gallery"]


@dataclass(frozen=True, eq=False)
class ScoreChanges:
    """What every query loses without each neuron; positive numbers say that the neuron helped.

    Lost are the score of the target (in units of the score), its margin over the mean score of all other candidates (same
    units), and places in the ranking, where ties count by half.
    """

    score_lost: Float[Tensor, "query neuron"]
    margin_lost: Float[Tensor, "query neuron"]
    rank_lost: Float[Tensor, "query neuron"]


@dataclass(frozen=True, eq=False)
class Products:
    r"""Losses :math:`u_{qj} A_{ij} - C_{ij}` of query q, candidate i and neuron j, with factor u, weight A and offset C.

    The three-way array is never held as a whole.
    """

    factor: Float[Tensor, "query neuron"]
    weight: Float[Tensor, "gallery neuron"]
    offset: Float[Tensor, "gallery neuron"]

    def target_loss(self, target: Targets) -> Float[Tensor, "query neuron"]:
        """Return what the target of each query loses."""
        return self.factor * self.weight[target] - self.offset[target]

    def others_loss(self, target: Targets) -> Float[Tensor, "query neuron"]:
        """Return what all other candidates lose on average."""
        n_others = len(self.weight) - 1
        weight, offset = ((part.sum(0) - part[target]) / n_others for part in (self.weight, self.offset))
        return self.factor * weight - offset

    def rank_loss(self, scores: Scores, target: Targets) -> Float[Tensor, "query neuron"]:
        """Return by how many places the target of each query falls without each neuron.

        Only candidates that some neuron could bring past the target are compared; the bound is exact.
        """
        largest_weight, largest_offset = self.weight.abs().amax(0), self.offset.abs().amax(0)
        result = torch.zeros_like(self.factor)
        rows = max(1, CHUNK // self.weight.shape[1])
        for query, image in enumerate(target.tolist()):
            factor = self.factor[query]
            gap = scores[query] - scores[query, image]
            reach = 2 * float((factor.abs() * largest_weight + largest_offset).max())
            near = torch.where(gap.abs() <= reach * (1 + 1e-9))[0]
            for part in torch.split(near[near != image], rows):
                loss = factor * (self.weight[part] - self.weight[image]) - (self.offset[part] - self.offset[image])
                result[query] += _lead(gap[part, None] - loss).sum(0) - _lead(gap[part]).sum()
        return result


def margins(scores: Scores, target: Targets) -> Float[Tensor, "query"]:
    """Return the score of each target less the mean score of all other candidates.

    Examples
    --------
    >>> margins(torch.tensor([[4.0, 1.0, 3.0]]), torch.tensor([0]))
    tensor([2.])
    """
    right = scores.gather(1, target[:, None])[:, 0]
    return right - (scores.sum(1) - right) / (scores.shape[1] - 1)


def cut(order: Int[Tensor, "kept"], sizes: tuple[int, ...]) -> Iterator[Int[Tensor, "part"]]:
    """Cut a sequence of neurons at rising sizes, and yield the part that ends at each.

    Examples
    --------
    >>> [part.tolist() for part in cut(torch.tensor([5, 6, 7, 8]), (1, 3))]
    [[5], [6, 7]]
    """
    first = 0
    for size in sizes:
        yield order[first:size]
        first = size


def _lead(gap: Tensor) -> Tensor:
    """Return 1 where a candidate is ahead of the target, one half where they tie, 0 where it is behind."""
    return (1 + torch.sign(gap)) / 2
