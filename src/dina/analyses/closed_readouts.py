"""Scores as sums over neurons, and what they lose without each: projective fields by likelihood, linear towers by cosine."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dina.models.noise import LowRankNoise
from dina.models.towers.neural.feedforward import LowRank
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.training.aligned_towers import AlignedTowers
from dina.training.comparison import NORM_FLOOR, CosineComparison, LikelihoodComparison

BLOCK = 64  # neurons taken in together; larger blocks cost more inside, smaller ones more between
IMAGES_AT_ONCE = 64
CHUNK = 4_000_000  # (candidate, neuron) entries compared at a time, at most: 32 MB in double precision

# A neuron is removed: as if it had never been recorded. It is silenced: recorded, but at its mean response.
Treatment = Literal["removed", "silenced"]

# Standardised responses, one row per query, in double precision.
Trials = Float[Tensor, "query neuron"]
# Place in the gallery of the image shown in each query.
Targets = Int[Tensor, "query"]
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


def margins(scores: Scores, target: Targets) -> Float[Tensor, "query"]:
    """Return the score of each target minus the mean score of all other candidates.

    Examples
    --------
    >>> margins(torch.tensor([[4.0, 1.0, 3.0]]), torch.tensor([0]))
    tensor([2.])
    """
    right = scores.gather(1, target[:, None])[:, 0]
    return right - (scores.sum(1) - right) / (scores.shape[1] - 1)


@dataclass(frozen=True, eq=False)
class _Products:
    r"""Losses :math:`u_{qj} A_{ij} - C_{ij}` of query q, candidate i and neuron j, with factor u, weight A and offset C.

    The three-way array is never held as a whole.
    """

    factor: Float[Tensor, "query neuron"]
    weight: Float[Tensor, "gallery neuron"]
    offset: Float[Tensor, "gallery neuron"]

    def losses(self, target: Targets) -> tuple[Float[Tensor, "query neuron"], Float[Tensor, "query neuron"]]:
        """Return what the target of each query loses, and what all other candidates lose on average."""
        weight, offset = ((part.sum(0) - part[target]) / (len(part) - 1) for part in (self.weight, self.offset))
        return self.factor * self.weight[target] - self.offset[target], self.factor * weight - offset

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


@dataclass(frozen=True, eq=False)
class LikelihoodReadout:
    r"""The score :math:`s\,(r - \tfrac12\mu_i)^\top \Sigma^{-1} x_i` of response r and candidate i, all in double precision.

    Here :math:`\mu_i` is the expected response to image i, :math:`x_i` the same times the neurons' gains, and s the scale.
    `LikelihoodComparison` computes the same. The evidence that towers subtract is left out: it is the same for all candidates of a
    response, and changes neither margins nor ranks.

    Notes
    -----
    With :math:`P = \Sigma^{-1}` the inner product :math:`r^\top P x` of the neurons but j, the noise of j marginalised
    out, is :math:`r^\top P x - (Pr)_j (Px)_j / P_{jj}`: a rank-one downdate of the inverse. Removing j therefore costs
    candidate i exactly :math:`s\,((Pr)_j - \tfrac12 (P\mu_i)_j)\,(Px_i)_j / P_{jj}`, where silencing j (its response at its
    mean, all else unchanged) costs :math:`s\,r_j (Px_i)_j`.

    For a sequence of neurons, let :math:`\Sigma = FF^\top` be the Cholesky factorisation in that order: the score from the
    first k neurons alone is :math:`s\sum_{m\le k} (F^{-1}(r - \tfrac12\mu_i))_m (F^{-1}x_i)_m`. `_innovations` gives these
    factors block by block by a Kalman filter over the shared components, so that no matrix of neurons × neurons is made.
    """

    evoked: Float[Tensor, "gallery neuron"]  # μ, standardised responses
    gain: Float[Tensor, "neuron"]
    noise: LowRankNoise  # covariance Σ = D + LLᵀ
    scale: float

    @classmethod
    @torch.no_grad()
    def of(cls, towers: AlignedTowers, images: Float[Tensor, "gallery channel height width"]) -> "LikelihoodReadout":
        """Return the readout of fitted towers for candidate images (units of contrast).

        Raises
        ------
        TypeError
            If the towers are not projective fields compared by likelihood.
        """
        tower, comparison = towers.neural_tower, towers.comparison
        if not (isinstance(tower, ProjectiveFields) and isinstance(comparison, LikelihoodComparison)):
            raise TypeError(f"Sums over neurons need projective fields compared by likelihood; got {tower} and {comparison}.")
        towers.eval()
        chunks = (chunk.to(towers.device) for chunk in torch.split(images, IMAGES_AT_ONCE))
        evoked = torch.cat([tower.predict(towers.image_tower(chunk).float()) for chunk in chunks])
        used = tower.loadings.abs().amax(0) > 0
        return cls(
            evoked=evoked.cpu().double(),
            gain=tower.log_gain.exp().cpu().double(),
            noise=LowRankNoise(tower.private.cpu().double(), tower.loadings[:, used].cpu().double()),
            scale=float(comparison.log_scale.exp()),
        )

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return self.evoked.shape[1]

    @cached_property
    def _evoked_by_neuron(self) -> Tensor:
        """Evoked responses and, where neurons have gains, the same times these, side by side, neurons first."""
        parts = [self.evoked] + ([self.evoked * self.gain] if bool((self.gain != 1).any()) else [])
        return torch.cat(parts).T.contiguous()

    @cached_property
    def _weight(self) -> Float[Tensor, "gallery neuron"]:
        """What every neuron's response adds to the score of every candidate."""
        return self.scale * self.noise.divide(self.evoked * self.gain)

    @cached_property
    def _removal(self) -> tuple[Tensor, Tensor]:
        weight = self._weight / self.noise.precision()
        return weight, 0.5 * self.noise.divide(self.evoked) * weight

    def scores(self, responses: Trials) -> Scores:
        """Return the score of every candidate for every response."""
        return responses @ self._weight.T - 0.5 * (self.evoked * self._weight).sum(1)

    def _lost(self, responses: Tensor, treatment: Treatment) -> _Products:
        """Return what every candidate loses without each neuron.

        A removed neuron is marginalised out; the model of the other neurons stays as it was fitted. Fitting without the neuron would
        give nearly the same: only the prior of the fields, shared noise and gains are learnt from all neurons together.
        """
        if treatment == "removed":
            return _Products(self.noise.divide(responses), *self._removal)
        return _Products(responses, self._weight, torch.zeros_like(self._weight))

    def changes(self, responses: Trials, target: Targets, treatment: Treatment) -> ScoreChanges:
        """Return what every query loses when each neuron in turn is silenced or removed."""
        products = self._lost(responses, treatment)
        lost, others = products.losses(target)
        return ScoreChanges(lost, lost - others, products.rank_loss(self.scores(responses), target))

    def margins_lost(self, responses: Trials, target: Targets, treatment: Treatment) -> Float[Tensor, "query neuron"]:
        """Return the margins of `changes` alone, without the cost of ranks."""
        lost, others = self._lost(responses, treatment).losses(target)
        return lost - others

    def _innovations(
        self, responses: Tensor, order: Tensor, sizes: tuple[int, ...] = ()
    ) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Yield blocks of the sequence that end at all sizes, with whitened innovations of responses, evoked and scaled evoked."""
        n_queries, n_gallery = len(responses), len(self.evoked)
        rows = torch.cat([responses.T, self._evoked_by_neuron], dim=1)  # neurons first: a block is read in one piece
        n_components = self.noise.loadings.shape[1]
        uncertainty = torch.eye(n_components, dtype=rows.dtype)
        known = torch.zeros(n_components, rows.shape[1], dtype=rows.dtype)
        for block in _blocks(order, sizes):
            loadings = self.noise.loadings[block]
            spread = loadings @ uncertainty
            factor = torch.linalg.cholesky(spread @ loadings.T + torch.diag(self.noise.private[block]))
            fresh = torch.linalg.solve_triangular(factor, torch.addmm(rows[block], loadings, known, alpha=-1), upper=False)
            step = torch.linalg.solve_triangular(factor, spread, upper=False)
            known.addmm_(step.T, fresh)
            uncertainty.addmm_(step.T, step, alpha=-1)
            yield block, fresh[:, :n_queries].T, fresh[:, n_queries : n_queries + n_gallery].T, fresh[:, -n_gallery:].T

    def subset_scores(
        self, responses: Trials, order: Int[Tensor, "kept"], sizes: tuple[int, ...], treatment: Treatment
    ) -> Iterator[Scores]:
        """Yield the scores from the first ``sizes[0]``, ``sizes[1]`` … neurons, all others removed or silenced; sizes rise from 1."""
        if treatment == "silenced":
            total = -0.5 * (self.evoked * self._weight).sum(1).expand(len(responses), -1)
            for block in _cut(order, sizes):
                total = total + responses[:, block] @ self._weight[:, block].T
                yield total
            return
        total, n_kept = torch.zeros(len(responses), len(self.evoked), dtype=responses.dtype), 0
        for block, observed, expected, scaled in self._innovations(responses, order[: sizes[-1]], sizes):
            total = total + observed @ scaled.T - 0.5 * (expected * scaled).sum(1)
            n_kept += len(block)
            if n_kept in sizes:
                yield self.scale * total

    def marginal_gains(self, responses: Trials, target: Targets, order: Int[Tensor, "neuron"]) -> Float[Tensor, "neuron"]:
        """Return what each neuron adds to the mean margin when neurons are recorded one after the other in ``order``.

        The numbers add up to the mean margin of the whole population (`margins`), whatever the order.
        """
        gains = torch.zeros(self.n_neurons, dtype=responses.dtype)
        for block, observed, expected, scaled in self._innovations(responses, order):
            lost, others = _Products(observed, scaled, 0.5 * expected * scaled).losses(target)
            gains[block] = (lost - others).mean(0)
        return self.scale * gains


@dataclass(frozen=True, eq=False)
class CosineReadout:
    r"""The score :math:`\langle f, \hat g_i\rangle / (T\,\lVert f\rVert)` with :math:`f = b + \sum_j r_j w_j`, in double precision.

    Every neuron adds its own map :math:`w_j = M c_j` times its response; all products are taken in the space of the
    tower's components, so that no array of neurons × map places is made. Losing neuron j changes the numerator by
    :math:`r_j\langle w_j, \hat g_i\rangle` and the squared norm by :math:`-2 r_j\langle w_j, f\rangle + r_j^2\lVert w_j\rVert^2`.
    There is no noise model, so that a neuron can be silenced but not removed.
    """

    components: Float[Tensor, "neuron rank"]  # c
    gram: Float[Tensor, "rank rank"]  # MᵀM
    drift: Float[Tensor, "rank"]  # Mᵀb
    bias_square: float  # ‖b‖² plus the floor that the comparison adds to squared norms
    image: Float[Tensor, "gallery rank"]  # Mᵀĝ / T
    image_bias: Float[Tensor, "gallery"]  # ⟨b, ĝ⟩ / T

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
        chunks = (chunk.to(towers.device) for chunk in torch.split(images, IMAGES_AT_ONCE))
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

    def scores(self, responses: Trials) -> Scores:
        """Return the score of every candidate for every response."""
        return self._from_components(responses @ self.components)

    def _from_components(self, components: Tensor) -> Tensor:
        return (components @ self.image.T + self.image_bias) / self._square(components).sqrt()[:, None]

    def _square(self, components: Tensor) -> Tensor:
        return self.bias_square + 2 * components @ self.drift + ((components @ self.gram) * components).sum(1)

    def changes(self, responses: Trials, target: Targets, treatment: Treatment) -> ScoreChanges:
        """Return what every query loses when each neuron in turn is silenced (the only ``treatment`` there is)."""
        product = responses @ self.components @ self.image.T + self.image_bias
        lost, others = self._lost(responses, target)
        # the norm is the same for all candidates of a query: their order is that of the numerators
        return ScoreChanges(lost, lost - others, self._products(responses).rank_loss(product, target))

    def margins_lost(self, responses: Trials, target: Targets, treatment: Treatment) -> Float[Tensor, "query neuron"]:
        """Return the margins of `changes` alone, without the cost of ranks."""
        lost, others = self._lost(responses, target)
        return lost - others

    def _products(self, responses: Tensor) -> _Products:
        weight = self.image @ self.components.T
        return _Products(responses, weight, torch.zeros_like(weight))

    def _lost(self, responses: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the target, and what the others on average, lose of their scores."""
        components = responses @ self.components
        square = self._square(components)[:, None]
        toward = (components @ self.gram + self.drift) @ self.components.T
        length = ((self.components @ self.gram) * self.components).sum(1)
        # squares cannot be negative; rounding could make them so for a map made by one neuron
        without = (square - 2 * responses * toward + responses.square() * length).clamp_min(NORM_FLOOR)
        lost, lost_by_others = self._products(responses).losses(target)
        product = components @ self.image.T + self.image_bias
        right = product.gather(1, target[:, None])
        others = (product.sum(1, keepdim=True) - right) / (product.shape[1] - 1)
        return (
            right / square.sqrt() - (right - lost) / without.sqrt(),
            others / square.sqrt() - (others - lost_by_others) / without.sqrt(),
        )

    def subset_scores(
        self, responses: Trials, order: Int[Tensor, "kept"], sizes: tuple[int, ...], treatment: Treatment
    ) -> Iterator[Scores]:
        """Yield the scores with all but the first ``sizes[0]``, ``sizes[1]`` … neurons of ``order`` silenced."""
        components = torch.zeros(len(responses), self.components.shape[1], dtype=responses.dtype)
        for part in _cut(order, sizes):
            components = components + responses[:, part] @ self.components[part]
            yield self._from_components(components)

    def marginal_gains(self, responses: Trials, target: Targets, order: Int[Tensor, "neuron"]) -> Float[Tensor, "neuron"]:
        """Return what each neuron adds to the mean margin when silenced neurons respond again, one after the other in ``order``.

        The numbers add up to the mean margin of the whole population minus that of the silent one.
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


def _blocks(order: Tensor, sizes: tuple[int, ...]) -> Iterator[Tensor]:
    """Cut a sequence of neurons into blocks that end at every size."""
    for piece in _cut(order, (*sizes, len(order))):
        yield from torch.split(piece, BLOCK) if len(piece) else ()


def _cut(order: Tensor, sizes: tuple[int, ...]) -> Iterator[Tensor]:
    """Cut a sequence of neurons at rising sizes, and yield the part that ends at each."""
    for first, size in pairwise((0, *sizes)):
        yield order[first:size]


def _lead(gap: Tensor) -> Tensor:
    """Return 1 where a candidate is ahead of the target, one half where they tie, 0 where it is behind."""
    return (1 + torch.sign(gap)) / 2
