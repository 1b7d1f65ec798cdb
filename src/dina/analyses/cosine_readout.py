"""Cosines of a linear neural tower's maps with image maps, without any one neuron, and from any part of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dina.analyses.score_changes import Products, ScoreChanges, Treatment, cut
from dina.models.towers.neural.feedforward import LowRank
from dina.training.aligned_towers import AlignedTowers
from dina.training.comparison import NORM_FLOOR, CosineComparison

BLOCK = 64  # neurons taken in together
IMAGES_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class CosineReadout:
    r"""The score :math:`\langle f, \hat g_i\rangle / (T\,\lVert f\rVert)` with :math:`f = b + \sum_j r_j w_j`, in double precision.

    Every neuron adds its own map :math:`w_j = M c_j` times its response; all products are taken in the space of the
    tower's components, so that no array of neurons × map places is made. Losing neuron j changes the numerator by
    :math:`r_j\langle w_j, \hat g_i\rangle` and the squared norm by :math:`-2 r_j\langle w_j, f\rangle + r_j^2\lVert w_j\rVert^2`.
    There is no noise model, so that a neuron can be silenced but not removed.

    Parameters
    ----------
    components
        :math:`c_j`, shape ``(n_neurons, rank)``.
    gram
        :math:`M^\top M`, shape ``(rank, rank)``.
    drift
        :math:`M^\top b`, shape ``(rank,)``.
    bias_square
        :math:`\lVert b\rVert^2` plus the floor that the comparison adds to squared norms.
    image
        :math:`M^\top \hat g_i / T`, shape ``(n_gallery, rank)``.
    image_bias
        :math:`\langle b, \hat g_i\rangle / T`, shape ``(n_gallery,)``.
    """

    components: Float[Tensor, "neuron rank"]
    gram: Float[Tensor, "rank rank"]
    drift: Float[Tensor, "rank"]
    bias_square: float
    image: Float[Tensor, "gallery rank"]
    image_bias: Float[Tensor, "gallery"]

    @classmethod
    @torch.no_grad()
    def of(cls, towers: AlignedTowers, images: Float[Tensor, "gallery channel height width"]) -> "CosineReadout":
        """Return the readout of fitted towers for candidate images (units of contrast).

        Raises
        ------
        TypeError
            If the towers are not a low-rank tower compared by cosine.
        """
        tower, comparison = towers.neural_tower, towers.comparison
        if not (isinstance(tower, LowRank) and isinstance(comparison, CosineComparison)):
            raise TypeError(f"Sums over neurons need a low-rank tower compared by cosine; got {tower} and {comparison}.")
        towers.eval()
        chunks = (images[i : i + IMAGES_AT_ONCE].to(towers.device) for i in range(0, len(images), IMAGES_AT_ONCE))
        maps = torch.cat([towers.image_tower(chunk).flatten(1).cpu() for chunk in chunks]).double()
        matrix = tower.maps.weight.cpu().double()
        bias = matrix @ tower.components.bias.cpu().double() + tower.maps.bias.cpu().double()
        if comparison.is_centred:
            maps, matrix, bias = maps - maps.mean(1, keepdim=True), matrix - matrix.mean(0), bias - bias.mean()
        maps = maps / (maps.square().sum(1, keepdim=True) + NORM_FLOOR).sqrt() / comparison.temperature.cpu().double()
        return cls(
            components=(tower.components.weight * tower.gain).T.cpu().double(),
            gram=matrix.T @ matrix,
            drift=matrix.T @ bias,
            bias_square=float(bias.square().sum()) + NORM_FLOOR,
            image=maps @ matrix,
            image_bias=maps @ bias,
        )

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return len(self.components)

    def scores(self, responses: Float[Tensor, "query neuron"]) -> Float[Tensor, "query gallery"]:
        """Return the score of every candidate for every response."""
        return self._from_components(responses @ self.components)

    def _from_components(self, components: Tensor) -> Tensor:
        return (components @ self.image.T + self.image_bias) / self._square(components).sqrt()[:, None]

    def _square(self, components: Tensor) -> Tensor:
        return self.bias_square + 2 * components @ self.drift + ((components @ self.gram) * components).sum(1)

    def changes(
        self, responses: Float[Tensor, "query neuron"], target: Int[Tensor, "query"], treatment: Treatment
    ) -> ScoreChanges:
        """Return what every query loses when each neuron in turn is silenced (the only ``treatment`` there is)."""
        product = responses @ self.components @ self.image.T + self.image_bias
        lost, others = self._lost(responses, target)
        # the norm is the same for all candidates of a query: their order is that of the numerators
        return ScoreChanges(lost, lost - others, self._products(responses).rank_loss(product, target))

    def margins_lost(
        self, responses: Float[Tensor, "query neuron"], target: Int[Tensor, "query"], treatment: Treatment
    ) -> Float[Tensor, "query neuron"]:
        """Return the margins of `changes` alone, without the cost of ranks."""
        lost, others = self._lost(responses, target)
        return lost - others

    def _products(self, responses: Tensor) -> Products:
        weight = self.image @ self.components.T
        return Products(responses, weight, torch.zeros_like(weight))

    def _lost(self, responses: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the target, and what the others on average, lose of their scores."""
        components = responses @ self.components
        square = self._square(components)[:, None]
        toward = (components @ self.gram + self.drift) @ self.components.T
        length = ((self.components @ self.gram) * self.components).sum(1)
        # squares cannot be negative; rounding could make them so for a map made by one neuron
        without = (square - 2 * responses * toward + responses.square() * length).clamp_min(NORM_FLOOR)
        products = self._products(responses)
        product = components @ self.image.T + self.image_bias
        right = product.gather(1, target[:, None])
        others = (product.sum(1, keepdim=True) - right) / (product.shape[1] - 1)
        lost = right / square.sqrt() - (right - products.target_loss(target)) / without.sqrt()
        return lost, others / square.sqrt() - (others - products.others_loss(target)) / without.sqrt()

    def subset_scores(
        self, responses: Float[Tensor, "query neuron"], order: Int[Tensor, "kept"], sizes: tuple[int, ...], treatment: Treatment
    ) -> Iterator[Float[Tensor, "query gallery"]]:
        """Yield the scores with all but the first ``sizes[0]``, ``sizes[1]`` … neurons of ``order`` silenced."""
        components = torch.zeros(len(responses), self.components.shape[1], dtype=responses.dtype)
        for part in cut(order, sizes):
            components = components + responses[:, part] @ self.components[part]
            yield self._from_components(components)

    def marginal_gains(
        self, responses: Float[Tensor, "query neuron"], target: Int[Tensor, "query"], order: Int[Tensor, "neuron"]
    ) -> Float[Tensor, "neuron"]:
        """Return what each neuron adds to the mean margin when silenced neurons respond again, one after the other in ``order``.

        The numbers add up to the mean margin of the whole population less that of the silent one.
        """
        n_others = len(self.image) - 1
        contrast = self.image[target] - (self.image.sum(0) - self.image[target]) / n_others
        lead = self.image_bias[target] - (self.image_bias.sum() - self.image_bias[target]) / n_others
        components = torch.zeros(len(responses), self.components.shape[1], dtype=responses.dtype)
        square = self._square(components)
        gains = torch.zeros(self.n_neurons, dtype=responses.dtype)
        before = lead / square.sqrt()
        for block in torch.split(order, BLOCK):
            joining, answers = self.components[block], responses[:, block]
            overlap = joining @ self.gram @ joining.T
            # with the map so far, and with the neurons of this block that came before
            toward = (components @ self.gram + self.drift) @ joining.T + answers @ overlap.triu(1)
            squares = square[:, None] + (2 * answers * toward + answers.square() * overlap.diagonal()).cumsum(1)
            leads = lead[:, None] + (answers * (contrast @ joining.T)).cumsum(1)
            along = torch.cat([before[:, None], leads / squares.clamp_min(NORM_FLOOR).sqrt()], dim=1)
            gains[block] = along.diff(dim=1).mean(0)
            components = components + answers @ joining
            before, lead, square = along[:, -1], leads[:, -1], squares[:, -1]
        return gains
