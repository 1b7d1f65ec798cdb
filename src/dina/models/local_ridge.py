"""Ridge weights from feature maps to neurons, inside each neuron's receptive field."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from dina.large_arrays import blocks_of
from dina.models.global_ridge import eigenvectors_of
from dina.models.penalties import check_penalties, note_ends
from dina.models.towers.field_basis import hermite_fields
from dina.neuron_blocks import divide_neurons, join_neurons, large_like, on_workers
from dina.progress import number_passes, track

# Ridge penalties tried for weights inside a field, relative to the mean variance of a feature.
LOCAL_PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)

MAPS_AT_ONCE = 64  # that are projected on local patterns

MANY_IMAGES = 4096  # as many are enough to choose a width by
NEURONS_AT_ONCE = 4096  # from which the prior is learnt, and whose responses are copied

FITTING = "Fitting receptive fields"  # what progress calls a fit

# How many neurons per feature make the learnt covariance count as much as the isotropic one.
TRUST = 2.0


@dataclass(frozen=True, eq=False)
class LocalWeights:
    """What drives each neuron, and how well images that it was not fitted on are predicted."""

    centre: Float[Tensor, "neuron 2"]  # row and column of each field in places of the map
    width: float  # of the local patterns, as their order; see `hermite_fields`
    order: int
    weights: Float[Tensor, "neuron basis channel"]  # 0 for a neuron that no penalty predicts better than its mean
    intercept: Float[Tensor, "neuron"]  # expected response to maps of zeros
    predicted: Float[Tensor, "stimulus neuron"]  # for every training image from weights fitted without it (leave-one-out)
    explained: Float[Tensor, "neuron"]  # fraction of the variance of averaged training responses that these explain; at least 0
    penalty: Float[Tensor, "neuron"]  # infinite where the weights are 0

    @property
    def notes(self) -> dict[str, str]:
        """What to report of penalties at an end of their grid."""
        return note_ends(self.penalty.cpu().numpy(), LOCAL_PENALTIES, "neurons")

    def predict(self, maps: Float[Tensor, "image channel height width"]) -> Float[Tensor, "image neuron"]:
        """Return the expected response of every neuron to images with these maps."""
        predicted = self.intercept.expand(len(maps), -1).clone()
        centres, number = torch.unique(self.centre, dim=0, return_inverse=True)
        for cell, centre in enumerate(centres):
            members = torch.where(number == cell)[0]
            fields = hermite_fields((maps.shape[2], maps.shape[3]), centre[None], self.width, self.order)[0]
            predicted[:, members] += _local_features(maps, fields) @ self.weights[members].flatten(1).T
        return predicted


def choose_width(
    maps: Float[Tensor, "stimulus channel height width"],
    responses: Float[Tensor, "stimulus neuron"],
    centre: Float[Tensor, "neuron 2"],
    widths: tuple[float, ...],
    order: int,
    n_probed: int = 60,
) -> float:
    """Return that of ``widths``, in places, that predicts left-out training images best, over a sample of the neurons.

    Parameters
    ----------
    maps, responses, centre, order
        As in `fit_local_ridge`, with one centre for each neuron.
    widths, n_probed
        To choose from, and the size of the sample.
    """
    if len(maps) > MANY_IMAGES:
        some = torch.linspace(0, len(maps) - 1, MANY_IMAGES).round().long().to(maps.device)
        maps, responses = maps[some], responses[some]
    probed = torch.linspace(0, responses.shape[1] - 1, min(n_probed, responses.shape[1])).long().to(responses.device)
    passes = number_passes("Choosing the width of receptive fields", len(widths))
    explained = [
        float(fit_local_ridge(maps, responses[:, probed], centre[probed][:, None], width, order, None, words).explained.mean())
        for width, words in zip(widths, passes, strict=True)
    ]
    return widths[max(range(len(widths)), key=lambda number: explained[number])]


def fit_local_ridge(
    maps: Float[Tensor, "stimulus channel height width"],
    responses: Float[Tensor, "stimulus neuron"],
    candidates: Float[Tensor, "neuron candidate 2"],
    width: float,
    order: int,
    prior: Float[Tensor, "feature feature"] | None = None,
    words: str = FITTING,
) -> LocalWeights:
    r"""Fit ridge weights on local patterns around the best of some candidate centres.

    Every neuron takes the centre and penalty with the lowest leave-one-out error, which ridge regression gives in
    closed form. The cost grows with the number of different centres, hardly with the number of neurons.

    Parameters
    ----------
    maps, responses
        Of the training images; responses averaged.
    candidates
        Places to try as the centre of each neuron.
    width, order
        Of the local patterns.
    prior
        A square root of the expected covariance of the weights over basis × channel (`learn_prior`); None: equal, independent.
    words
        What progress calls this fit.

    Notes
    -----
    With eigenvectors :math:`Q` and eigenvalues :math:`e` of the local features the prediction without image i is
    :math:`(\hat y_i - h_i y_i) / (1 - h_i)`, :math:`h_i = 1/n + \sum_k Q_{ik}^2 / (n (e_k + \lambda))`.
    """
    check_penalties(LOCAL_PENALTIES)
    neurons = divide_neurons(candidates[:, 0])
    blocks = [(responses[:, some], candidates[some], width, order, prior, words) for some in neurons]
    # place by place, as they are stored: see `_local_features`
    return _join(on_workers(_fit_block, (maps.permute(2, 3, 0, 1),), blocks), neurons)


def _fit_block(
    by_place: Float[Tensor, "height width stimulus channel"],
    responses: Float[Tensor, "stimulus neuron"],
    candidates: Float[Tensor, "neuron candidate 2"],
    width: float,
    order: int,
    prior: Float[Tensor, "feature feature"] | None,
    words: str,
) -> LocalWeights:
    """Do what `fit_local_ridge` does for some of the neurons, of which none depends on another."""
    maps = by_place.permute(2, 3, 0, 1)
    n_stimuli, n_channels, height, extent = maps.shape
    mean = responses.mean(0)
    blocks = blocks_of(responses.shape[1], NEURONS_AT_ONCE)  # no copy of the responses of many neurons
    power = torch.cat([(responses[:, some] - mean[some]).square().mean(0) for some in blocks]).clamp_min(1e-12)
    is_active = power > 1e-12  # nothing of a neuron that never varies can be explained
    n_neurons = responses.shape[1]
    fields_per_centre = (order + 1) * (order + 2) // 2
    best = _Best(responses, fields_per_centre * n_channels)
    centres, number = torch.unique(candidates.flatten(0, 1), dim=0, return_inverse=True)
    owner = torch.arange(n_neurons, device=maps.device).repeat_interleave(candidates.shape[1])
    for cell, centre in enumerate(track(centres, words, total=len(centres))):
        members = torch.unique(owner[number == cell])
        fields = hermite_fields((height, extent), centre[None], width, order)[0]
        features = _local_features(maps, fields)
        offset = features.mean(0)
        features = features - offset
        transformed = features if prior is None else features @ prior
        values, vectors = eigenvectors_of(transformed.T @ transformed / n_stimuli)
        scores = transformed @ vectors
        wanted = responses[:, members] - mean[members]
        projected = scores.T @ wanted / n_stimuli
        leverage = scores.square() / n_stimuli
        for penalty in LOCAL_PENALTIES:
            shrunk = 1 / (values.clamp_min(0) + penalty * values.mean())
            coefficient = shrunk[:, None] * projected
            hat = (1 / n_stimuli + leverage @ shrunk)[:, None].clamp_max(0.999)
            predicted = (scores @ coefficient - hat * wanted) / (1 - hat)
            explained = is_active[members] * (1 - (wanted - predicted).square().mean(0) / power[members])
            better = explained > best.explained[members]
            if better.any():
                weights = vectors @ coefficient[:, better]
                best.take(members[better], explained[better], predicted[:, better], weights, centre, penalty, offset, prior)
    return LocalWeights(
        centre=torch.where(torch.isfinite(best.penalty)[:, None], best.centre, candidates[:, 0]),
        width=width,
        order=order,
        weights=best.weights.reshape(n_neurons, fields_per_centre, n_channels),
        intercept=mean + best.intercept,
        predicted=best.predicted.add_(mean),
        explained=best.explained,
        penalty=best.penalty,
    )


def _join(parts: Sequence[LocalWeights], neurons: Sequence[Any]) -> LocalWeights:
    """Join the weights of blocks of neurons."""
    if len(parts) == 1:
        return parts[0]
    names = ("centre", "weights", "intercept", "explained", "penalty")
    together: dict[str, Any] = {name: join_neurons([getattr(part, name) for part in parts], neurons) for name in names}
    return replace(parts[0], predicted=join_neurons([part.predicted for part in parts], neurons, axis=1), **together)


def learn_prior(weights: LocalWeights) -> Float[Tensor, "feature feature"]:
    """Learn from the whole population which patterns and channels weights tend to use together (empirical Bayes).

    Returns a symmetric square root of the covariance over basis × channel. Neurons count by the variance that their weights
    explain; the fewer neurons, the closer the result stays to equal and independent weights.
    """
    flat = weights.weights.flatten(1)
    share = weights.explained / weights.explained.sum().clamp_min(1e-12)
    covariance = flat.new_zeros(flat.shape[1], flat.shape[1])
    for some, counts in zip(torch.split(flat, NEURONS_AT_ONCE), torch.split(share, NEURONS_AT_ONCE), strict=True):
        # a neuron's scale says how strongly it responds, not which patterns it uses
        unit = some / (some.norm(dim=1, keepdim=True) + 1e-12)
        covariance += (unit * counts[:, None]).T @ unit
    # few neurons would recognise their own weights in the prior and overfit: trust grows with their number
    n_effective = 1 / share.square().sum().clamp_min(1e-12)
    trust = n_effective / (n_effective + TRUST * flat.shape[1])
    isotropic = covariance.diagonal().mean() * torch.eye(flat.shape[1], device=flat.device)
    values, vectors = eigenvectors_of(trust * covariance + (1 - trust) * isotropic)
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.T


class _Best:
    """The best centre and penalty of every neuron so far."""

    def __init__(self, responses: Tensor, n_features: int) -> None:
        n_neurons = responses.shape[1]
        self.explained = responses.new_zeros(n_neurons)
        self.predicted = large_like(responses)
        self.weights = responses.new_zeros(n_neurons, n_features)
        self.intercept = responses.new_zeros(n_neurons)
        self.centre = responses.new_zeros(n_neurons, 2)
        self.penalty = responses.new_full((n_neurons,), float("inf"))

    def take(
        self,
        members: Tensor,
        explained: Tensor,
        predicted: Tensor,
        coefficient: Tensor,
        centre: Tensor,
        penalty: float,
        offset: Tensor,
        prior: Tensor | None,
    ) -> None:
        """Replace the fits of ``members``."""
        weights = coefficient if prior is None else prior @ coefficient
        self.explained[members] = explained
        self.predicted[:, members] = predicted
        self.weights[members] = weights.T
        self.intercept[members] = -(offset @ weights)
        self.centre[members] = centre
        self.penalty[members] = penalty


def _local_features(maps: Tensor, fields: Tensor) -> Tensor:
    """Project every channel on the patterns of one centre, shape (stimulus, basis × channel)."""
    inside = fields.abs().sum(0) > 0
    rows, columns = torch.where(inside.any(1))[0], torch.where(inside.any(0))[0]
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    patterns = fields[:, top:bottom, left:right].flatten(1).T
    # place by place, as `GaborEnergy.learn_statistics` stores them: what a place holds of many images lies side by side
    by_place = maps.permute(2, 3, 0, 1)[top:bottom, left:right]
    features = []
    # maps may be stored in half precision; few at a time stay in the processor's cache
    for part in torch.split(by_place, MAPS_AT_ONCE, dim=2):
        values = torch.empty(part.shape, device=maps.device).copy_(part).flatten(2).flatten(0, 1)
        features.append((values.T.contiguous() @ patterns).view(part.shape[2], -1, patterns.shape[1]).transpose(1, 2))
    return torch.cat(features).flatten(1)
