"""Scores as a function of which neurons take part: one contract, and which decoders have it in closed form."""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dina.analyses.cosine_readout import CosineReadout
from dina.analyses.likelihood_readout import LikelihoodReadout
from dina.analyses.score_changes import ScoreChanges, Treatment
from dina.analyses.tower_readout import TowerReadout
from dina.models.towers.neural.low_rank import LowRank
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.shapes import ContrastImages
from dina.training.aligned_towers import AlignedTowers
from dina.training.comparison import CosineComparison, LikelihoodComparison


@runtime_checkable
class NeuronReadout(Protocol):
    """A decoder with one gallery, of which any neurons can be taken away; responses are standardised, double precision."""

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        ...

    def scores(self, responses: Float[Tensor, "query neuron"]) -> Float[Tensor, "query gallery"]:
        """Return the score of every candidate for every response, from all neurons."""
        ...

    def changes(
        self, responses: Float[Tensor, "query neuron"], target: Int[Tensor, "query"], treatment: Treatment
    ) -> ScoreChanges:
        """Return what every query loses without each neuron."""
        ...

    def margins_lost(
        self, responses: Float[Tensor, "query neuron"], target: Int[Tensor, "query"], treatment: Treatment
    ) -> Float[Tensor, "query neuron"]:
        """Return by how much each query's margin falls without each neuron."""
        ...

    def subset_scores(
        self,
        responses: Float[Tensor, "query neuron"],
        order: Int[Tensor, "kept"],
        sizes: tuple[int, ...],
        treatment: Treatment,
    ) -> Iterator[Float[Tensor, "query gallery"]]:
        """Yield the scores from the first ``sizes[0]``, ``sizes[1]`` … neurons of ``order``."""
        ...

    def marginal_gains(
        self, responses: Float[Tensor, "query neuron"], target: Int[Tensor, "query"], order: Int[Tensor, "neuron"]
    ) -> Float[Tensor, "neuron"]:
        """Return what each neuron adds to the mean margin when neurons join in ``order``."""
        ...


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
    """Return the readout of fitted towers for candidate images: in closed form where there is one.

    Parameters
    ----------
    towers
        Fitted.
    images
        The gallery, in units of contrast.
    """
    gallery = torch.from_numpy(images)
    if not is_closed_form(towers):
        return TowerReadout.of(towers, gallery)
    if isinstance(towers.neural_tower, ProjectiveFields):
        return LikelihoodReadout.of(towers, gallery)
    return CosineReadout.of(towers, gallery)
