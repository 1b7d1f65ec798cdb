"""Brain score: how well every layer of the image tower predicts the neurons, as a fraction of their noise ceiling."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from dina.analyses.analysis import AnalysisSettings, TabledResult
from dina.analyses.comparable_maps import channel_names
from dina.analyses.decoded import Decoded
from dina.analyses.untrained import draw_untrained, is_image_map_learnt
from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.models.global_ridge import fit_global_ridge
from dina.models.towers.image.frozen_encoder import FrozenEncoder
from dina.models.towers.image.frozen_network import GaborFeatures
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.tower import ImageTower
from dina.progress import track
from dina.randomness import generator_for
from dina.shapes import ContrastImages
from dina.short_words import brief
from dina.statistics.finding import Finding
from dina.statistics.reliability import noise_ceiling, signal_variance_fraction
from dina.statistics.resampling import resample_counts
from dina.training.aligned_towers import AlignedTowers

NULL = "predictions compared with the responses to other test images, permuted over images"
MOST_RESAMPLES = 500
MOST_LAYERS = 6
MOST_FEATURES = 20_000
IMAGES_AT_ONCE = 32

PIXELS, MAP, UNTRAINED = "pixels", "whole map", "whole map, untrained"

KINDS_OF_CHANNELS = {"luminance": ("pooled",), "energies": ("energy",), "phases": ("even+", "even-", "odd+", "odd-")}

Scores = tuple[Float[np.ndarray, "neuron"], Float[np.ndarray, "resample"], Float[np.ndarray, "permutation"]]


class BrainScoreSettings(AnalysisSettings):
    """What is regressed on what.

    Parameters
    ----------
    n_train
        Most training images used.
    n_neurons
        Most neurons used, drawn at random from the reliable ones.
    least_signal
        Least fraction of the variance of single training trials that images explain in a reliable neuron.
    n_untrained
        Untrained towers, each with its own random weights; their scores are pooled.
    """

    n_train: int = Field(1000, ge=10)
    n_neurons: int = Field(1000, ge=1)
    least_signal: float = Field(0.05, ge=0, lt=1)
    n_untrained: int = Field(5, ge=1)


@dataclass(frozen=True, eq=False)
class BrainScoreResult(TabledResult):
    """Correlation of predicted and measured responses for each layer, from pixels to the map, and each neuron.

    Predictions are correlated with averaged responses over test images; for the untrained map it is the mean over draws of weights.
    ``ceiling`` is the highest correlation that the neuron's noise allows, from training trials; it is NaN without repeats, and
    ``reason`` then says why nothing was corrected. ``resampled`` and ``permuted`` are the median over neurons of correlation over
    ceiling (of correlation alone without repeats), for bootstrap samples of the test images and for responses of other images;
    those of the untrained map fall to its draws in equal parts.
    """

    __repr__ = brief

    layers: tuple[str, ...]
    neurons: Int[np.ndarray, "neuron"]
    correlation: Float[np.ndarray, "layer neuron"]
    ceiling: Float[np.ndarray, "neuron"]
    resampled: Float[np.ndarray, "layer resample"]
    permuted: Float[np.ndarray, "layer resample"]
    n_images: int
    reason: str

    def to_dataset(self) -> xr.Dataset:
        """Return correlations and scores by layer and neuron."""
        where = ("layer", "neuron")
        variables = {
            "correlation": (where, self.correlation, {"units": "1"}),
            "score": (where, self.correlation / self.ceiling, {"units": "1", "long_name": "correlation / ceiling"}),
            "ceiling": (("neuron",), self.ceiling, {"units": "1", "long_name": "highest correlation that noise allows"}),
            "neuron_index": (("neuron",), self.neurons, {"units": "1", "long_name": "position in the recording"}),
        }
        return xr.Dataset(variables, {"layer": list(self.layers)}, {"reason": self.reason, "n_images": self.n_images})

    def findings(self) -> tuple[Finding, ...]:
        """Return the median score over neurons of each layer; a score may exceed 1, since ceilings are estimates."""
        head, ceiling = ("uncorrected_score", 1.0) if self.reason else ("brain_score", self.ceiling)
        names = [f"{head}_{layer.replace(',', '').replace(' ', '_')}" for layer in self.layers]
        values = np.median(self.correlation / ceiling, axis=1).tolist()
        rows = zip(names, values, self.resampled, self.permuted, strict=True)
        return tuple(Finding.from_draws(name, value, "1", self.n_images, one, null, NULL) for name, value, one, null in rows)


def analyse_brain_score(decoded: Decoded, settings: BrainScoreSettings = BrainScoreSettings()) -> BrainScoreResult:
    """Regress neurons on every layer of the image tower and correct the held-out correlation for noise.

    Ridge regression on training images, with a penalty for each neuron by leave-one-out; correlation over test images with
    the averaged response, divided by the ceiling that the neuron's repeats of training images set; median over neurons.

    Raises
    ------
    DataError
        If there are fewer than three test images, no fitted towers, or no reliable neuron.

    References
    ----------
    Schrimpf et al. (2018), bioRxiv 407007. https://doi.org/10.1101/407007, who regress by partial least squares with 25
    components on cross-validated splits, and estimate ceilings from split halves.
    """
    test = decoded.test
    if test.n_stimuli < 3:
        raise DataError(f"A score needs at least three test images; there are {test.n_stimuli}. Record more images.")
    generator = generator_for(decoded.seed, "neurons and images of the score")
    fraction, reason = _signal_fraction(decoded.train)
    reliable = np.flatnonzero(fraction >= settings.least_signal) if not reason else np.arange(len(fraction))
    if not len(reliable):
        raise DataError(
            f"A score needs neurons of whose variance images explain at least {100 * settings.least_signal:g} %; there is none."
            " Lower least_signal, or record more repeats."
        )
    neurons = np.sort(generator.permutation(reliable)[: settings.n_neurons])
    rows = np.sort(generator.permutation(decoded.train.n_stimuli)[: settings.n_train])
    per_image = max(1, round(float(test.total_presentations().mean())))
    ceiling = noise_ceiling(fraction[neurons], per_image) if not reason else np.full(len(neurons), np.nan)
    responses = torch.from_numpy(decoded.train.averaged()[rows][:, neurons])
    measured = test.averaged()[:, neurons].astype(np.float64)
    n_resamples = min(decoded.n_resamples, MOST_RESAMPLES)
    counts = resample_counts(test.n_stimuli, n_resamples, generator_for(decoded.seed, "bootstrap score"))
    order = generator_for(decoded.seed, "permuted score").permuted(np.tile(np.arange(test.n_stimuli), (n_resamples, 1)), axis=1)
    compare = _Comparison(responses, measured, counts, order, np.ones(len(neurons)) if reason else ceiling)
    both = (decoded.train.images[rows], test.images)
    train, held_out = (read_layers(decoded.towers, images) for images in both)
    found = {name: compare(train[name], held_out[name]) for name in track(list(train), "Predicting neurons")}
    if is_image_map_learnt(decoded.towers):
        found[UNTRAINED] = _pool_untrained(decoded, both, compare, settings.n_untrained)
    correlation, resampled, permuted = (np.array(part) for part in zip(*found.values(), strict=True))
    return BrainScoreResult(tuple(found), neurons, correlation, ceiling, resampled, permuted, test.n_stimuli, reason)


def _signal_fraction(train: Pairs) -> tuple[Float[np.ndarray, "neuron"], str]:
    """Return the signal variance fraction of single training trials, or why there is none."""
    single = train.select_trials(train.n_presentations == 1)
    try:
        return np.nan_to_num(signal_variance_fraction(single.responses, single.stimulus_index)), ""
    except DataError as error:
        return np.ones(train.n_neurons), f"Scores are not corrected for noise. {error}"


@dataclass(frozen=True, eq=False)
class _Comparison:
    """Predicts neurons from a layer, and scores the predictions over images as they are, resampled, and permuted."""

    responses: Tensor
    measured: Float[np.ndarray, "image neuron"]
    counts: Int[np.ndarray, "resample image"]
    order: Int[np.ndarray, "resample image"]
    scale: Float[np.ndarray, "neuron"]

    def __call__(self, train: Tensor, test: Tensor, some: slice = slice(None)) -> Scores:
        predicted = _predict(train, test, self.responses)
        return (
            weighted_correlation(predicted, self.measured, np.ones((1, len(self.measured))))[0],
            np.median(weighted_correlation(predicted, self.measured, self.counts[some]) / self.scale, axis=1),
            np.median(permuted_correlation(predicted, self.measured, self.order[some]) / self.scale, axis=1),
        )


def _pool_untrained(decoded: Decoded, both: tuple[np.ndarray, np.ndarray], compare: _Comparison, n_draws: int) -> Scores:
    """Return the scores of the map of untrained towers: mean over draws of weights, each with its part of the resamples."""
    draws = []
    for draw, bare in enumerate(draw_untrained(decoded.towers, decoded.seed, n_draws)):
        train, test = (read_layers(bare, images)[MAP] for images in both)
        draws.append(compare(train, test, slice(draw, None, n_draws)))
    correlations, resampled, permuted = zip(*draws, strict=True)
    return np.mean(correlations, axis=0), np.concatenate(resampled), np.concatenate(permuted)


@torch.no_grad()
def _predict(train: Tensor, test: Tensor, responses: Tensor) -> Float[np.ndarray, "image neuron"]:
    """Predict test responses from a layer, z-scored number by number over the training images."""
    mean, deviation = train.float().mean(0), train.float().std(0, correction=0)
    deviation = deviation.clamp_min(0.05 * float(deviation.mean()) + 1e-6)
    standard = [((maps.float() - mean) / deviation).half() for maps in (train, test)]
    return np.asarray(fit_global_ridge(standard[0], responses).predict(standard[1]).double().numpy())


def weighted_correlation(
    predicted: Float[np.ndarray, "image neuron"], measured: Float[np.ndarray, "image neuron"], counts: np.ndarray
) -> Float[np.ndarray, "resample neuron"]:
    """Correlate each neuron's predictions with its responses over images, each as often as ``counts`` says; 0 where nothing varies."""
    one, other = predicted - predicted.mean(axis=0), measured - measured.mean(axis=0)
    weight = counts / counts.sum(axis=1, keepdims=True)
    mean_one, mean_other = weight @ one, weight @ other
    shared = weight @ (one * other) - mean_one * mean_other
    spread = (weight @ one**2 - mean_one**2) * (weight @ other**2 - mean_other**2)
    return np.divide(shared, np.sqrt(np.maximum(spread, 0)), out=np.zeros_like(shared), where=spread > 1e-18)


def permuted_correlation(
    predicted: Float[np.ndarray, "image neuron"], measured: Float[np.ndarray, "image neuron"], order: np.ndarray
) -> Float[np.ndarray, "resample neuron"]:
    """Correlate each neuron's predictions with its responses to the images in each row of ``order``; 0 where nothing varies."""
    units = []
    for values in (predicted, measured):
        centred = values - values.mean(axis=0)
        length = np.sqrt((centred**2).sum(axis=0))
        units.append(np.divide(centred, length, out=np.zeros_like(centred), where=length > 1e-9))
    return np.array([np.einsum("in,in->n", units[0], units[1][rows]) for rows in order])


@torch.no_grad()
def read_layers(towers: AlignedTowers, images: ContrastImages) -> dict[str, Float[Tensor, "image channel height width"]]:
    """Return pixels, layers and map of images, each averaged over places until it has at most 20,000 numbers, in half precision.

    The layers of a Gabor tower are its kinds of channel, those of a frozen network the parts of its longest sequence (such as the
    layers of a transformer), those of any other tower its direct parts that give maps. At most six are taken, evenly spaced.
    """
    found: dict[str, list[Tensor]] = {}
    for first in range(0, len(images), IMAGES_AT_ONCE):
        chunk = torch.from_numpy(np.ascontiguousarray(images[first : first + IMAGES_AT_ONCE])).to(towers.device)
        for name, maps in _layers_of(towers, chunk):
            found.setdefault(name, []).append(_pool(maps).half().cpu())
    return {name: torch.cat(chunks) for name, chunks in found.items()}


def _layers_of(towers: AlignedTowers, images: Tensor) -> Iterator[tuple[str, Tensor]]:
    tower = towers.image_tower
    yield PIXELS, images
    if isinstance(tower, GaborEnergy):
        maps = tower(images)[:, : len(channel_names(tower))]
        for name, kinds in KINDS_OF_CHANNELS.items():
            rows = [number for number, channel in enumerate(tower.channels) if channel.kind in kinds]
            if rows:
                yield name, maps[:, rows]
    else:
        maps = tower(images)
        given = [(name, output) for name, output in _run_parts(tower, images) if not torch.equal(output, maps)]
        spaced = np.unique(np.linspace(0, max(0, len(given) - 1), min(len(given), MOST_LAYERS)).round().astype(int))
        yield from (given[number] for number in spaced if len(given))
    yield MAP, maps


def _run_parts(tower: ImageTower, images: Tensor) -> list[tuple[str, Tensor]]:
    """Run the tower and note what its parts give; of a frozen network, the parts of its longest sequence."""
    module: nn.Module = tower.encoder if isinstance(tower, FrozenEncoder) else tower
    parts = _longest_sequence(module) if isinstance(tower, FrozenEncoder) else list(tower.named_children())
    given: list[tuple[str, Tensor]] = []
    hooks = [part.register_forward_hook(_note(given, name)) for name, part in parts]
    try:
        module(images)
    finally:
        for hook in hooks:
            hook.remove()
    return given


def _longest_sequence(network: nn.Module) -> list[tuple[str, nn.Module]]:
    if isinstance(network, GaborFeatures):
        return []
    sequences = [list(part) for part in network.modules() if isinstance(part, nn.ModuleList | nn.Sequential)]
    longest = max(sequences, key=len, default=[])
    return [(f"layer {number}", part) for number, part in enumerate(longest, 1)]


def _note(given: list[tuple[str, Tensor]], name: str) -> Callable[[nn.Module, Any, Any], None]:
    def keep(part: nn.Module, taken: Any, output: Any) -> None:
        found = output if isinstance(output, Tensor) else output[0] if isinstance(output, tuple) else None
        if isinstance(found, Tensor) and found.ndim in (3, 4):
            # tokens of a transformer, (image, token, channel), count as places
            maps = found if found.ndim == 4 else found.transpose(1, 2)[..., None]
            given.append((name.strip("_").replace("_", " "), maps))

    return keep


def _pool(maps: Tensor) -> Tensor:
    n_channels, height, width = maps.shape[1:]
    while n_channels * height * width > MOST_FEATURES and height * width > 1:
        height, width = -(-height // 2), -(-width // 2)
    return F.adaptive_avg_pool2d(maps.float(), (height, width))
