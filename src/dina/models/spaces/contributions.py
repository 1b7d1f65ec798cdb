"""What each feature space adds to the others in predicting left-out images, and the same for a network with permuted weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dina.models.spaces.components import ComponentSpace
from dina.models.spaces.trained_network import PermutedNetwork
from dina.models.stacking import left_out_errors
from dina.randomness import generator_for
from dina.statistics.resampling import percentile_interval, resample_counts

MOST_IMAGES, MOST_NEURONS = 300, 1000  # evenly spaced; the network with permuted weights sees these images
N_FOLDS, N_RESAMPLES = 5, 500


@dataclass(frozen=True)
class Contribution:
    """Loss of explained variance without a space, as a fraction of the variance of averaged responses, with a 95 % interval."""

    loss: float
    low: float  # over images, given all predictions
    high: float

    def __str__(self) -> str:
        """Write it as on the page, in per cent."""
        return " to ".join([f"{100 * self.loss:.1f} % ({100 * self.low:.1f}", f"{100 * self.high:.1f})"])


def drop_each(
    predicted: Float[Tensor, "space stimulus neuron"] | Sequence[Float[Tensor, "stimulus neuron"]],
    deviation: Float[Tensor, "stimulus neuron"],
) -> tuple[Contribution, ...]:
    """Return how much variance the stack explains less without each space, on at most 300 images and 1000 neurons.

    The weights of the stack are learnt on other images than those that they predict.

    Parameters
    ----------
    predicted, deviation
        As `dina.models.stacking.stack_predictions` takes them. The predictions of each space may also be separate arrays.

    Examples
    --------
    >>> signal, noise = torch.randn(2, 200, 30, generator=torch.Generator().manual_seed(0))
    >>> needed, useless = drop_each(torch.stack([signal, noise]), signal)
    >>> round(needed.loss, 2), abs(useless.loss) < 0.01
    (1.0, True)
    """
    rows, neurons = _some(deviation)
    deviation, some, fold = deviation[rows][:, neurons], _of(predicted, rows, neurons), _folds(len(rows))
    whole = left_out_errors(some, deviation, fold)
    places = range(len(some))
    without = [left_out_errors(some[[other for other in places if other != place]], deviation, fold) for place in places]
    return tuple(_contribution(errors, whole, deviation) for errors in without)


def compare_with_permuted(
    features: Float[Tensor, "stimulus feature"],
    images: Float[Tensor, "stimulus channel height width"],
    maps: Float[Tensor, "stimulus map_channel map_height map_width"],
    responses: Float[Tensor, "stimulus neuron"],
    others: Float[Tensor, "space stimulus neuron"] | Sequence[Float[Tensor, "stimulus neuron"]],
) -> tuple[Contribution, Contribution]:
    """Return what the trained network adds to other spaces, and what the same network with permuted weights adds.

    Both are fitted in the same way to at most 300 images and 1000 neurons. ``features`` are those that `TrainedNetwork` has learnt,
    ``others`` left-out predictions from the other spaces, as `drop_each` takes them; the rest is as `TrainedNetwork.fit` takes it.
    """
    rows, neurons = _some(responses)
    images, maps, responses = images[rows], maps[rows], responses[rows][:, neurons]
    deviation, known, fold = responses - responses.mean(0), _of(others, rows, neurons), _folds(len(rows))
    of_image, of_map = ((int(some.shape[1]), int(some.shape[2]), int(some.shape[3])) for some in (images, maps))
    trained = ComponentSpace(of_image, of_map).to(images.device).fit_raw(features[rows], responses)
    permuted = PermutedNetwork(of_image, of_map).to(images.device).fit(images, maps, responses)
    before = left_out_errors(known, deviation, fold)
    after = [left_out_errors(torch.cat([known, one.predicted[None]]), deviation, fold) for one in (trained, permuted)]
    return _contribution(before, after[0], deviation), _contribution(before, after[1], deviation)


def _some(responses: Float[Tensor, "stimulus neuron"]) -> list[Tensor]:
    """Return the images and neurons that are used."""
    return [
        torch.linspace(0, n - 1, min(n, most)).round().long()
        for n, most in zip(responses.shape, (MOST_IMAGES, MOST_NEURONS), strict=True)
    ]


def _of(predicted: Tensor | Sequence[Tensor], rows: Tensor, neurons: Tensor) -> Float[Tensor, "space stimulus neuron"]:
    return torch.stack([each[rows][:, neurons] for each in predicted])


def _folds(n_images: int) -> np.ndarray:
    return generator_for(0, "folds of the contributions of spaces").permutation(n_images) % N_FOLDS


def _contribution(without: np.ndarray, with_it: np.ndarray, deviation: Tensor) -> Contribution:
    """Return the loss with its interval, from squared errors without the space and with it."""
    lost = (without - with_it).sum(axis=1)
    power = deviation.square().sum(1).double().cpu().numpy()
    counts = resample_counts(len(lost), N_RESAMPLES, generator_for(0, "bootstrap of the contributions of spaces"))
    resampled = (counts @ lost) / np.maximum(counts @ power, 1e-12)
    return Contribution(float(lost.sum() / max(power.sum(), 1e-12)), *percentile_interval(resampled))


def list_contributions(names: Sequence[str], contributions: Sequence[Contribution]) -> str:
    """Write contributions in one line.

    Examples
    --------
    >>> list_contributions(["local", "pixels"], [Contribution(0.2, 0.15, 0.25), Contribution(0.01, 0.0, 0.02)])
    'local 20.0 % (15.0 to 25.0), pixels 1.0 % (0.0 to 2.0)'
    """
    return ", ".join(f"{name} {one}" for name, one in zip(names, contributions, strict=True))
