"""Layer depth: how much better layers of a network trained on photographs predict the neurons than Gabor channels alone."""

from functools import lru_cache, partial

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from dina.analyses.analysis import AnalysisSettings, PlainResult
from dina.analyses.decoded import Arrays, Decoded
from dina.checks import DataError
from dina.models.encoding import EncodingModel, Windows
from dina.models.local_ridge import FITTING, learn_prior
from dina.models.spaces.components import ComponentSpace, GlobalGabors
from dina.models.spaces.trained_network import TrainedNetwork
from dina.models.stacking import left_out_errors
from dina.models.towers.image.efficientnet import LAYERS, EfficientNetLayers, read_efficientnet
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.tower import MapShape
from dina.progress import number_passes, track
from dina.randomness import generator_for, seed_for
from dina.statistics.finding import Finding
from dina.statistics.resampling import resample_counts
from dina.training.presets.default import DefaultSettings
from dina.training.presets.frozen_encoders import feature_store

NULL = "the same network with permuted weights, over draws of the permutation and over images"
ALL_LAYERS = "all layers"
N_FOLDS = 5  # of the images, for the weights of the stack
LEAST_EVIDENCE = 3.0  # standard errors by which the best layer of a neuron must be better than with permuted weights
FEWEST_IMAGES = 30


class LayerDepthSettings(AnalysisSettings):
    """How much is compared.

    Parameters
    ----------
    n_train
        Most training images used; the network sees each of them once for every draw of its weights.
    n_neurons
        Most neurons used, drawn at random.
    n_permuted
        Networks with permuted weights; their gains are pooled.
    """

    n_train: int = Field(1000, ge=FEWEST_IMAGES)
    n_neurons: int = Field(1000, ge=1)
    n_permuted: int = Field(3, ge=1)


@torch.no_grad()
def analyse_layer_depth(decoded: Decoded, settings: LayerDepthSettings = LayerDepthSettings()) -> PlainResult:
    r"""Stack each layer of the trained network beside Gabor channels, and measure what it adds to predictions.

    Neurons are predicted from Gabor channels (inside each neuron's receptive field, and over the whole image) and from the
    principal components of one layer, or of all layers together with the same total variance each. Every prediction is of a
    training image that ridge regression left out. Stacking adds them with weights of at least 0, learnt on four fifths of these
    images for the last fifth. The gain is the squared error that the layer removes ÷ the variance of averaged responses, both
    summed over neurons. There is a best layer only if the whole interval of the gain of all layers lies above the null: with few
    images, trained layers also predict neurons of pure Gabors a little better, since they follow structure of photographs.

    Raises
    ------
    DataError
        If the network is not installed, if images are too small for it, or if there are fewer than 30 training images.

    References
    ----------
    Cadena et al. (2019), PLOS Comput. Biol. 15:e1006897. https://doi.org/10.1371/journal.pcbi.1006897, who compare layers of a
    trained network with Gabor energies, each fitted alone.
    """
    train = decoded.train
    channels, height, width = (int(extent) for extent in train.images.shape[1:])
    if reason := TrainedNetwork.explain_absence((channels, height, width)):
        raise DataError(reason)
    if train.n_stimuli < FEWEST_IMAGES:
        raise DataError(
            f"Layers are compared on at least {FEWEST_IMAGES} training images; there are {train.n_stimuli}. Record more."
        )
    generator = generator_for(decoded.seed, "neurons and images of the layer depth")
    neurons = np.sort(generator.permutation(train.n_neurons)[: settings.n_neurons])
    rows = np.sort(generator.permutation(train.n_stimuli)[: settings.n_train])
    images, responses = torch.from_numpy(train.images[rows]), torch.from_numpy(train.averaged()[rows][:, neurons]).float()
    fold = generator.permutation(len(rows)) % N_FOLDS
    deviation = responses - responses.mean(0)
    lowered, power = [], deviation.square().double().numpy()
    gabors = torch.from_numpy(decoded.parts.get("Gabor channels", partial(_predict_by_gabors, images, responses))["predicted"])
    before = left_out_errors(gabors, deviation, fold)
    names = ["trained weights", *(f"permuted weights {draw}" for draw in range(settings.n_permuted))]
    for name in track(names, "Predicting neurons from layers"):
        seed = None if name == names[0] else seed_for(decoded.seed, name)
        predicted = decoded.parts.get(name, partial(_predict_by_layers, images, responses, seed))["predicted"]
        after = [left_out_errors(torch.cat([gabors, torch.from_numpy(one)[None]]), deviation, fold) for one in predicted]
        lowered.append(before - np.array(after))
    counts = resample_counts(
        len(rows), decoded.n_resamples, generator_for(decoded.seed, "bootstrap of images of the layer depth")
    )
    findings = _find(lowered[0], lowered[1:], power, counts)
    return PlainResult(_describe(lowered[0], np.mean(lowered[1:], axis=0), before, power, neurons), findings)


def _predict_by_gabors(images: Tensor, responses: Tensor) -> Arrays:
    """Predict left-out responses from local Gabor channels, as the default preset does, and from those of the whole image."""
    channels, height, width = images.shape[1:]
    tower = GaborEnergy((channels, height, width), n_contrasts=0)
    maps = tower.learn_statistics(images)
    settings = DefaultSettings()
    windows = Windows.find(maps, responses, settings.widths, settings.order)
    first, second = number_passes(FITTING, 2)
    flat = EncodingModel.fit(maps, responses, windows, None, first).weights
    local = EncodingModel.fit(maps, responses, windows, learn_prior(flat), second).weights.predicted - responses.mean(0)
    everywhere = GlobalGabors(tower.image_shape, tower.map_shape).fit(images, maps, responses).predicted
    return {"predicted": torch.stack([local, everywhere]).numpy()}


def _predict_by_layers(images: Tensor, responses: Tensor, permuted_seed: int | None) -> Arrays:
    """Predict left-out responses from each layer, and last from all together."""
    channels, height, width = images.shape[1:]
    network = _network((channels, height, width), permuted_seed)
    layers = [layer.flatten(1) for layer in network.look_up(images, feature_store()).values()]
    everything = torch.cat([layer / layer.var(0, correction=0).sum().sqrt().clamp_min(1e-12) for layer in layers], dim=1)
    spaces = [ComponentSpace((channels, height, width), (1, 1, 1)).fit_raw(raw, responses) for raw in (*layers, everything)]
    return {"predicted": torch.stack([space.predicted for space in spaces]).numpy()}


@lru_cache(maxsize=8)
def _network(image_shape: MapShape, permuted_seed: int | None) -> EfficientNetLayers:
    return read_efficientnet(image_shape, permuted_seed)


def _find(
    trained: Float[np.ndarray, "layer stimulus neuron"],
    permuted: list[Float[np.ndarray, "layer stimulus neuron"]],
    power: Float[np.ndarray, "stimulus neuron"],
    counts: Int[np.ndarray, "resample stimulus"],
) -> tuple[Finding, ...]:
    """Make the findings; each draw of permuted weights takes its part of the resamples."""

    def gain(lowered: np.ndarray, some: np.ndarray) -> Float[np.ndarray, "resample layer"]:
        share: np.ndarray = (some @ lowered.sum(axis=2).T) / np.maximum(some @ power.sum(axis=1), 1e-12)[:, None]
        return share

    n_images = len(power)
    value, draws = gain(trained, np.ones((1, n_images)))[0], gain(trained, counts)
    null = np.concatenate([gain(one, counts[draw :: len(permuted)]) for draw, one in enumerate(permuted)])
    names = [f"gain_{name}" for name in (*LAYERS, "trained")]
    gains = [
        Finding.from_draws(name, float(value[place]), "1", n_images, draws[:, place], null[:, place], NULL)
        for place, name in enumerate(names)
    ]
    if gains[-1].low > gains[-1].null_high:
        depth = _best_depth(value), _best_depth(draws), _best_depth(null)
        best = Finding.from_draws("best_layer_depth", float(depth[0]), "1", n_images, depth[1], depth[2], NULL)
    else:
        reason = "The gain of all layers together does not lie above that of permuted weights, so that no layer is the best."
        best = Finding.from_draws("best_layer_depth", np.nan, "1", n_images, reason=reason)
    return (*gains, best)


def _best_depth(gain: Float[np.ndarray, "*resample layer"]) -> Float[np.ndarray, "*resample"]:
    """Return the place of the best single layer, from 0 for the first to 1 for the last."""
    return np.asarray(gain[..., : len(LAYERS)].argmax(axis=-1) / (len(LAYERS) - 1))


def _describe(
    trained: Float[np.ndarray, "layer stimulus neuron"],
    permuted: Float[np.ndarray, "layer stimulus neuron"],
    before: Float[np.ndarray, "stimulus neuron"],
    power: Float[np.ndarray, "stimulus neuron"],
    neurons: Int[np.ndarray, "neuron"],
) -> xr.Dataset:
    """Return the gain of every layer for every neuron, and the best layer of those neurons for which it is certain."""
    total = np.maximum(power.sum(axis=0), 1e-12)
    gain, null_gain = (lowered.sum(axis=1) / total for lowered in (trained, permuted))
    best = gain[: len(LAYERS)].argmax(axis=0)
    beyond = np.take_along_axis(trained - permuted, best[None, None], axis=0)[0]
    error = beyond.std(axis=0, ddof=1) / np.sqrt(len(power))
    is_certain = (beyond.mean(axis=0) > LEAST_EVIDENCE * error) & (gain.max(axis=0) > 0)
    depth = np.where(is_certain, best / (len(LAYERS) - 1), np.nan)
    where = ("layer", "neuron")
    variables = {
        "gain": (where, gain, {"units": "1", "long_name": "fraction of variance explained beyond Gabor channels"}),
        "gain_permuted": (where, null_gain, {"units": "1", "long_name": "the same with permuted weights, mean over draws"}),
        "explained_by_gabors": (("neuron",), 1 - before.sum(axis=0) / total, {"units": "1"}),
        "best_depth": (("neuron",), depth, {"units": "1", "long_name": "place of the best layer, 0 to 1; NaN: uncertain"}),
        "neuron_index": (("neuron",), neurons, {"units": "1", "long_name": "position in the recording"}),
    }
    explained = float(1 - before.sum() / max(float(power.sum()), 1e-12))
    return xr.Dataset(variables, {"layer": [*LAYERS, ALL_LAYERS]}, {"n_images": len(power), "explained_by_gabors": explained})
