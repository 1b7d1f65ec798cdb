"""Scores as a function of which neurons take part: in closed form where there is one, else by running the tower."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dina.analyses.closed_readouts import (
    CosineReadout,
    LikelihoodReadout,
    ScoreChanges,
    Scores,
    Targets,
    Treatment,
    Trials,
    margins,
)
from dina.models.towers.neural.feedforward import LowRank
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.progress import track
from dina.shapes import ContrastImages
from dina.training.aligned_towers import AlignedTowers
from dina.training.comparison import CosineComparison, LikelihoodComparison

IMAGES_AT_ONCE = 64
N_GROUPS = 16  # of neurons that join together in a permutation: one run of the tower each


@runtime_checkable
class NeuronReadout(Protocol):
    """A decoder with one gallery, of which any neurons can be taken away."""

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""

    def scores(self, responses: Trials) -> Scores:
        """Return the score of every candidate for every response, from all neurons."""

    def changes(self, responses: Trials, target: Targets, treatment: Treatment) -> ScoreChanges:
        """Return what every query loses without each neuron."""

    def margins_lost(self, responses: Trials, target: Targets, treatment: Treatment) -> Float[Tensor, "query neuron"]:
        """Return by how much each query's margin falls without each neuron."""

    def subset_scores(
        self, responses: Trials, order: Int[Tensor, "kept"], sizes: tuple[int, ...], treatment: Treatment
    ) -> Iterator[Scores]:
        """Yield the scores from the first ``sizes[0]``, ``sizes[1]`` … neurons of ``order``."""

    def marginal_gains(self, responses: Trials, target: Targets, order: Int[Tensor, "neuron"]) -> Float[Tensor, "neuron"]:
        """Return what each neuron adds to the mean margin when neurons join in ``order``."""


@dataclass(frozen=True, eq=False)
class TowerReadout:
    """Scores of towers whose neural side has no closed form, from runs with responses set to their mean."""

    towers: AlignedTowers
    image_maps: Float[Tensor, "gallery channel height width"]  # of the gallery, on the towers' device

    @classmethod
    @torch.no_grad()
    def of(cls, towers: AlignedTowers, images: Float[Tensor, "gallery channel height width"]) -> "TowerReadout":
        """Return the readout of fitted towers for candidate images (units of contrast)."""
        towers.eval()
        chunks = (chunk.to(towers.device) for chunk in torch.split(images, IMAGES_AT_ONCE))
        return cls(towers, torch.cat([towers.image_tower(chunk).float() for chunk in chunks]))

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return self.towers.neural_tower.n_neurons

    @torch.no_grad()
    def scores(self, responses: Trials) -> Scores:
        """Return the score of every candidate for every response."""
        return self._scores(responses)

    def _scores(self, responses: Tensor) -> Tensor:
        maps = self.towers.neural_tower(responses.float().to(self.towers.device))
        presentations = torch.ones(len(responses), device=maps.device)
        return self.towers.comparison(maps, self.image_maps, presentations).double().cpu()

    def margins_lost(self, responses: Trials, target: Targets, treatment: Treatment) -> Float[Tensor, "query neuron"]:
        """Return response times slope of the margin: to first order what silencing each neuron costs.

        One backward pass serves all neurons. `sampled_changes` gives the exact cost for some of them.
        """
        variable = responses.float().clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(margins(self._scores(variable), target).sum(), variable)
        return (slope * variable).detach().double()

    def changes(self, responses: Trials, target: Targets, treatment: Treatment) -> ScoreChanges:
        """Return what every query loses when each neuron in turn is silenced, one run of the tower per neuron."""
        return self.sampled_changes(responses, target, tuple(range(self.n_neurons)))

    @torch.no_grad()
    def sampled_changes(self, responses: Trials, target: Targets, neurons: tuple[int, ...]) -> ScoreChanges:
        """Return what every query loses when each of some neurons is silenced; NaN for all other neurons."""
        whole = self._scores(responses)
        score, margin, rank = whole.gather(1, target[:, None])[:, 0], margins(whole, target), _ranks(whole, target)
        lost = [torch.full(responses.shape, torch.nan, dtype=torch.float64) for _ in range(3)]
        for neuron in track(neurons, "Silencing neurons"):
            without = responses.clone()
            without[:, neuron] = 0
            scores = self._scores(without)
            lost[0][:, neuron] = score - scores.gather(1, target[:, None])[:, 0]
            lost[1][:, neuron] = margin - margins(scores, target)
            lost[2][:, neuron] = _ranks(scores, target) - rank
        return ScoreChanges(*lost)

    def subset_scores(
        self, responses: Trials, order: Int[Tensor, "kept"], sizes: tuple[int, ...], treatment: Treatment
    ) -> Iterator[Scores]:
        """Yield the scores with all but the first ``sizes[0]``, ``sizes[1]`` … neurons of ``order`` silenced."""
        for size in sizes:
            kept = torch.zeros(self.n_neurons, dtype=responses.dtype)
            kept[order[:size]] = 1
            yield self.scores(responses * kept)

    def marginal_gains(self, responses: Trials, target: Targets, order: Int[Tensor, "neuron"]) -> Float[Tensor, "neuron"]:
        """Return what groups of neurons add to the mean margin as they join in ``order``, shared equally within each."""
        gains = torch.zeros(self.n_neurons, dtype=torch.float64)
        before = float(margins(self.scores(torch.zeros_like(responses)), target).mean())
        groups = order.tensor_split(min(N_GROUPS, len(order)))
        sizes = tuple(accumulate(map(len, groups)))
        for group, scores in zip(groups, self.subset_scores(responses, order, sizes, "silenced"), strict=True):
            after = float(margins(scores, target).mean())
            gains[group] = (after - before) / len(group)
            before = after
        return gains


def treatments_of(towers: AlignedTowers) -> tuple[Treatment, ...]:
    """Return how neurons can be taken out of these towers; only a noise model says what removal means."""
    return ("removed", "silenced") if isinstance(towers.comparison, LikelihoodComparison) else ("silenced",)


def margin_units(towers: AlignedTowers) -> str:
    """Return the units of margins: nats where scores are log likelihoods, else those of the score, which has none."""
    return "nat" if isinstance(towers.comparison, LikelihoodComparison) else "1"


def is_closed_form(towers: AlignedTowers) -> bool:
    """Whether the loss of neurons has a closed form in these towers."""
    neural, comparison = towers.neural_tower, towers.comparison
    pairs = ((ProjectiveFields, LikelihoodComparison), (LowRank, CosineComparison))
    return any(isinstance(neural, tower) and isinstance(comparison, how) for tower, how in pairs)


def readout_of(towers: AlignedTowers, images: ContrastImages) -> NeuronReadout:
    """Return the readout of fitted towers for candidate images (units of contrast): in closed form where there is one."""
    gallery = torch.from_numpy(images)
    if not is_closed_form(towers):
        return TowerReadout.of(towers, gallery)
    is_projective = isinstance(towers.neural_tower, ProjectiveFields)
    return LikelihoodReadout.of(towers, gallery) if is_projective else CosineReadout.of(towers, gallery)


def _ranks(scores: Tensor, target: Tensor) -> Tensor:
    """Return mid-ranks up to a constant."""
    return (torch.sign(scores - scores.gather(1, target[:, None])) / 2).sum(1)
