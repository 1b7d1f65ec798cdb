"""Any neural tower with part of its neurons silenced, by running it: slow, for samples of neurons and trials."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dina.analyses.score_changes import ScoreChanges, Treatment, margins
from dina.progress import track
from dina.training.aligned_towers import AlignedTowers

IMAGES_AT_ONCE = 64
N_GROUPS = 16  # of neurons that join together in a permutation: one run of the tower each


@dataclass(frozen=True, eq=False)
class TowerReadout:
    """Scores of towers whose neural side has no closed form, from runs with responses set to their mean.

    Parameters
    ----------
    towers
        Fitted.
    image_maps
        Of the gallery, on the towers' device, shape ``(n_gallery, channel, height, width)``.
    """

    towers: AlignedTowers
    image_maps: Float[Tensor, "gallery channel height width"]

    @classmethod
    @torch.no_grad()
    def of(cls, towers: AlignedTowers, images: Float[Tensor, "gallery channel height width"]) -> "TowerReadout":
        """Return the readout of fitted towers for candidate images (units of contrast)."""
        towers.eval()
        chunks = (images[i : i + IMAGES_AT_ONCE].to(towers.device) for i in range(0, len(images), IMAGES_AT_ONCE))
        return cls(towers, torch.cat([towers.image_tower(chunk).float() for chunk in chunks]))

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return self.towers.neural_tower.n_neurons

    @torch.no_grad()
    def scores(self, responses: Float[Tensor, "query neuron"]) -> Float[Tensor, "query gallery"]:
        """Return the score of every candidate for every response."""
        return self._scores(responses)

    def _scores(self, responses: Tensor) -> Tensor:
        maps = self.towers.neural_tower(responses.float().to(self.towers.device))
        presentations = torch.ones(len(responses), device=maps.device)
        return self.towers.comparison(maps, self.image_maps, presentations).double().cpu()

    def margins_lost(
        self, responses: Float[Tensor, "query neuron"], target: Int[Tensor, "query"], treatment: Treatment
    ) -> Float[Tensor, "query neuron"]:
        """Return response times slope of the margin: to first order what silencing each neuron costs.

        One backward pass for all neurons. `sampled_changes` says how far from the exact cost it is.
        """
        asked = responses.float().clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(margins(self._scores(asked), target).sum(), asked)
        return (slope * asked).detach().double()

    def changes(
        self, responses: Float[Tensor, "query neuron"], target: Int[Tensor, "query"], treatment: Treatment
    ) -> ScoreChanges:
        """Return what every query loses when each neuron in turn is silenced, one run of the tower per neuron."""
        return self.sampled_changes(responses, target, tuple(range(self.n_neurons)))

    @torch.no_grad()
    def sampled_changes(
        self, responses: Float[Tensor, "query neuron"], target: Int[Tensor, "query"], neurons: tuple[int, ...]
    ) -> ScoreChanges:
        """Return what every query loses when each of some neurons is silenced; NaN for all other neurons."""
        whole = self._scores(responses)
        own, lead, better = whole.gather(1, target[:, None])[:, 0], margins(whole, target), _ranks(whole, target)
        lost = [torch.full(responses.shape, torch.nan, dtype=torch.float64) for _ in range(3)]
        for neuron in track(neurons, "Silencing neurons"):
            without = responses.clone()
            without[:, neuron] = 0
            scores = self._scores(without)
            lost[0][:, neuron] = own - scores.gather(1, target[:, None])[:, 0]
            lost[1][:, neuron] = lead - margins(scores, target)
            lost[2][:, neuron] = _ranks(scores, target) - better
        return ScoreChanges(*lost)

    def subset_scores(
        self,
        responses: Float[Tensor, "query neuron"],
        order: Int[Tensor, "kept"],
        sizes: tuple[int, ...],
        treatment: Treatment,
    ) -> Iterator[Float[Tensor, "query gallery"]]:
        """Yield the scores with all but the first ``sizes[0]``, ``sizes[1]`` … neurons of ``order`` silenced."""
        for size in sizes:
            kept = torch.zeros(self.n_neurons, dtype=responses.dtype)
            kept[order[:size]] = 1
            yield self.scores(responses * kept)

    def marginal_gains(
        self, responses: Float[Tensor, "query neuron"], target: Int[Tensor, "query"], order: Int[Tensor, "neuron"]
    ) -> Float[Tensor, "neuron"]:
        """Return what groups of neurons add to the mean margin as they join in ``order``, shared equally within each."""
        gains = torch.zeros(self.n_neurons, dtype=torch.float64)
        before = float(margins(self.scores(torch.zeros_like(responses)), target).mean())
        groups = order.tensor_split(min(N_GROUPS, len(order)))
        sizes = tuple(torch.tensor([len(group) for group in groups]).cumsum(0).tolist())
        for group, scores in zip(groups, self.subset_scores(responses, order, sizes, "silenced"), strict=True):
            after = float(margins(scores, target).mean())
            gains[group] = (after - before) / len(group)
            before = after
        return gains


def _ranks(scores: Tensor, target: Tensor) -> Tensor:
    """Return mid-ranks up to a constant."""
    gap = scores - scores.gather(1, target[:, None])
    return (torch.sign(gap) / 2).sum(1)
