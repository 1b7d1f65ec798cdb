"""The feature spaces of the closed-form start: fitted one after another, joined, and described by what each adds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from dina.memory import give_back_memory
from dina.models.spaces import FeatureSpace, SpaceFit, SparseWeights
from dina.models.spaces.contributions import compare_with_permuted, drop_each, list_contributions
from dina.models.towers.neural.projective_fields import WeightsBeside
from dina.neuron_blocks import large_like

NETWORK = "trained_network"  # the feature space that has a control with permuted weights


def fit_spaces(
    spaces: Sequence[FeatureSpace],
    local: Float[Tensor, "stimulus neuron"],
    images: Tensor,
    maps: Tensor,
    responses: Float[Tensor, "stimulus neuron"],
) -> tuple[list[SpaceFit], Float[Tensor, "space stimulus neuron"]]:
    """Fit every space to the training images; return the fits and all predictions of left-out images.

    The first predictions are ``local``, those of the local channels. All are without the mean response of each neuron. The
    predictions of a fit are a part of all.
    """
    fits: list[SpaceFit] = []
    predicted = large_like(responses.expand(1 + len(spaces), -1, -1))
    torch.sub(local, responses.mean(0), out=predicted[0])
    # last first: sums of Gabors need most memory, and the trained network leaves some of its own behind
    for place, space in reversed(list(enumerate(spaces, 1))):
        give_back_memory()
        fit = space.fit(images, maps, responses)
        predicted[place] = fit.predicted
        fits.insert(0, replace(fit, predicted=predicted[place]))  # held once
        del fit
    return fits, predicted


def list_what_spaces_add(
    names: Sequence[str],
    predicted: Sequence[Tensor],
    features: Mapping[str, Tensor],
    images: Tensor,
    maps: Tensor,
    responses: Tensor,
) -> dict[str, str | float]:
    """Say what each space in use adds to the others, and what the trained encoder adds with permuted weights.

    Parameters
    ----------
    names, predicted
        Spaces in use, the local channels first, and what each predicts of left-out training images, stimulus × neuron.
    features
        Of the training images by the name of the space, stimulus × feature; the local channels are not among them.
    images, maps, responses
        Of the training images: pixels, standardised local channels, mean responses (stimulus × neuron).
    """
    said: dict[str, str | float] = {
        "lost_without": list_contributions(names, drop_each(predicted, responses - responses.mean(0)))
    }
    if NETWORK in names:
        others = [each for each, name in zip(predicted, names, strict=True) if name != NETWORK]
        trained, permuted = compare_with_permuted(features[NETWORK], images, maps, responses, others)
        said |= {"gain_of_trained_encoder": str(trained), "the_same_with_permuted_weights": str(permuted)}
    return said


def join_weights(n_neurons: int, parts: Sequence[tuple[Tensor | SparseWeights, Tensor]], position: Tensor) -> WeightsBeside:
    """Put the weights on all spaces side by side, each times its share in every neuron; the dense ones come first."""
    beside = WeightsBeside(n_neurons)
    beside.position = position
    dense = [(weights, share) for weights, share in parts if isinstance(weights, Tensor)]
    if dense:
        widths = [weights.shape[1] for weights, _ in dense]
        beside.dense = dense[0][0].new_empty(n_neurons, sum(widths))
        for part, (of_space, own) in zip(torch.split(beside.dense, widths, dim=1), dense, strict=True):
            torch.mul(of_space, own[:, None], out=part)  # each to its place: no copy of all of them
    for weights, share in parts:
        if isinstance(weights, SparseWeights):  # one space at most
            beside.neuron, beside.feature = weights.neuron, weights.feature
            beside.value = weights.value * share[weights.neuron]
    return beside
