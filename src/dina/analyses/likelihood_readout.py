"""Scores of the likelihood decoder as sums over neurons: without any one of them, and with any part of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dina.analyses.score_changes import Products, ScoreChanges, Treatment, cut
from dina.models.noise import LowRankNoise
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.training.aligned_towers import AlignedTowers
from dina.training.comparison import LikelihoodComparison

BLOCK = 64  # neurons taken in together; larger blocks cost more inside, smaller ones more between
IMAGES_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class LikelihoodReadout:
    r"""The score :math:`s\,(r - \tfrac12\mu_i)^\top \Sigma^{-1} x_i` of response r and candidate i, all in double precision.

    Here :math:`\mu_i` is what image i is expected to evoke, :math:`x_i` the same times the neurons' gains, and s the scale.
    It is what `LikelihoodComparison` computes, written as a sum over neurons. The evidence that towers subtract is the
    same for all candidates of a response; it changes neither margins nor ranks and is left out.

    Parameters
    ----------
    evoked
        :math:`\mu`, standardised responses, shape ``(n_gallery, n_neurons)``.
    gain
        Of each neuron, shape ``(n_neurons,)``.
    noise
        :math:`\Sigma = D + LL^\top`.
    scale
        :math:`s`.

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

    evoked: Float[Tensor, "gallery neuron"]
    gain: Float[Tensor, "neuron"]
    noise: LowRankNoise
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
        chunks = (images[i : i + IMAGES_AT_ONCE].to(towers.device) for i in range(0, len(images), IMAGES_AT_ONCE))
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

    def scores(self, responses: Float[Tensor, "query neuron"]) -> Float[Tensor, "query gallery"]:
        """Return the score of every candidate for every response."""
        return responses @ self._weight.T - 0.5 * (self.evoked * self._weight).sum(1)

    def _lost(self, responses: Tensor, treatment: Treatment) -> Products:
        """Return what every candidate loses without each neuron.

        A removed neuron is marginalised out, as if it had never been recorded. The model of the other neurons stays as it was
        fitted. Fitting without the neuron would give nearly the same: every field is fitted by itself; the prior of the fields,
        shared noise and gains are learnt from all neurons together.
        """
        if treatment == "removed":
            return Products(self.noise.divide(responses), *self._removal)
        return Products(responses, self._weight, torch.zeros_like(self._weight))

    def changes(
        self, responses: Float[Tensor, "query neuron"], target: Int[Tensor, "query"], treatment: Treatment
    ) -> ScoreChanges:
        """Return what every query loses when each neuron in turn is silenced or removed."""
        products = self._lost(responses, treatment)
        lost = products.target_loss(target)
        return ScoreChanges(lost, lost - products.others_loss(target), products.rank_loss(self.scores(responses), target))

    def margins_lost(
        self, responses: Float[Tensor, "query neuron"], target: Int[Tensor, "query"], treatment: Treatment
    ) -> Float[Tensor, "query neuron"]:
        """Return the margins of `changes` alone, without the cost of ranks."""
        products = self._lost(responses, treatment)
        return products.target_loss(target) - products.others_loss(target)

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
            observed, expected, scaled = (
                part.T for part in (fresh[:, :n_queries], fresh[:, n_queries : n_queries + n_gallery], fresh[:, -n_gallery:])
            )
            yield block, observed, expected, scaled

    def subset_scores(
        self, responses: Float[Tensor, "query neuron"], order: Int[Tensor, "kept"], sizes: tuple[int, ...], treatment: Treatment
    ) -> Iterator[Float[Tensor, "query gallery"]]:
        """Yield the scores from the first ``sizes[0]``, ``sizes[1]`` … neurons of ``order``, all others removed or silenced.

        Sizes rise and are at least 1.
        """
        return self._kept(responses, order, sizes) if treatment == "removed" else self._unsilenced(responses, order, sizes)

    def _kept(self, responses: Tensor, order: Tensor, sizes: tuple[int, ...]) -> Iterator[Tensor]:
        total = torch.zeros(len(responses), len(self.evoked), dtype=responses.dtype)
        n_kept = 0
        for block, observed, expected, scaled in self._innovations(responses, order[: sizes[-1]], sizes):
            total = total + observed @ scaled.T - 0.5 * (expected * scaled).sum(1)
            n_kept += len(block)
            if n_kept in sizes:
                yield self.scale * total

    def _unsilenced(self, responses: Tensor, order: Tensor, sizes: tuple[int, ...]) -> Iterator[Tensor]:
        weight = self._weight
        total = -0.5 * (self.evoked * weight).sum(1).expand(len(responses), -1)
        for block in cut(order, sizes):
            total = total + responses[:, block] @ weight[:, block].T
            yield total

    def marginal_gains(
        self, responses: Float[Tensor, "query neuron"], target: Int[Tensor, "query"], order: Int[Tensor, "neuron"]
    ) -> Float[Tensor, "neuron"]:
        """Return what each neuron adds to the mean margin when neurons are recorded one after the other in ``order``.

        The numbers add up to the mean margin of the whole population (`margins`), whatever the order.
        """
        gains = torch.zeros(self.n_neurons, dtype=responses.dtype)
        for block, observed, expected, scaled in self._innovations(responses, order):
            products = Products(observed, scaled, 0.5 * expected * scaled)
            gains[block] = (products.target_loss(target) - products.others_loss(target)).mean(0)
        return self.scale * gains


def _blocks(order: Tensor, sizes: tuple[int, ...]) -> Iterator[Tensor]:
    """Cut a sequence of neurons into blocks that end at every size."""
    for piece in cut(order, (*sizes, len(order))):
        yield from torch.split(piece, BLOCK) if len(piece) else ()
