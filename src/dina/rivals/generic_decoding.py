"""Generic decoding: every feature unit is predicted from the neurons that follow it best, candidates by correlation."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from dina.data.pairs import Gallery, Pairs, Queries
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.randomness import generator_for
from dina.retrieval.decoder import Candidate
from dina.rivals.validated_decoder import ValidatedDecoder, correlate_patterns
from dina.shapes import ContrastImages, Scores

N_UNITS = 1000
NEURON_COUNTS = (15, 50, 150, 500)
# Numbers of neurons for each unit times penalties, relative to the number of training images, tried by validation.
PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3)

IMAGES_AT_ONCE = 64
CELLS = 2**24  # matrix entries solved at a time (64 MB)


class GenericDecoding(ValidatedDecoder):
    """Predict single feature units of the image, each from the neurons most correlated with it, and compare patterns.

    Taken from the source: a thousand units drawn at random (by ``seed``); z-scored responses; for each unit the neurons whose
    training responses correlate most with it; one linear regression for each unit; the candidate whose features
    correlate best with the predicted ones.

    Done otherwise: units are Gabor energies, rectified phases and luminance at single places rather than units of a deep
    network; a ridge penalty takes the place of sparse Bayesian regression, which takes hours for as many images as here;
    validation chooses that penalty and the number of neurons (they had 500 voxels) among twenty settings. Left out:
    averaging features over the images of a category.

    References
    ----------
    Horikawa & Kamitani (2017), Nat. Commun. 8:15037. https://doi.org/10.1038/ncomms15037
    """

    penalties = PENALTIES

    def __init__(self, seed: int = 0) -> None:
        super().__init__("generic_decoding")
        self.seed = seed

    def candidates(self, train: Pairs, validation: Pairs) -> Iterator[Candidate["_Units"]]:
        """Yield regressions from every number of neurons with every penalty."""
        n_channels, height, width = (int(extent) for extent in train.images.shape[1:])
        tower = GaborEnergy((n_channels, height, width), n_contrasts=0)
        maps = tower.learn_statistics(torch.from_numpy(train.images)).flatten(1)
        n_units = min(N_UNITS, maps.shape[1])
        drawn = generator_for(self.seed, "feature units").choice(maps.shape[1], n_units, replace=False)
        features = _Features(tower, torch.from_numpy(np.sort(drawn)))
        units = maps[:, features.numbers].float()
        responses = torch.from_numpy(train.averaged())
        mean, deviation = responses.mean(0), responses.std(0, correction=0).clamp_min(1e-6)
        known, measured = ((each - mean) / deviation for each in (responses, torch.from_numpy(validation.averaged())))
        gallery = features.encode(validation.images)
        order = order_neurons(known, units)
        for count in sorted({min(count, known.shape[1]) for count in NEURON_COUNTS}):
            weights = fit_units(known, units, order[:, :count])
            for number, penalty in enumerate(PENALTIES):
                scores = correlate_patterns(_predict(measured, weights[number], order[:, :count]), gallery)
                model = _Units(features, mean, deviation, weights[number].clone(), order[:, :count])
                yield Candidate(model, {"neurons_of_each_unit": count, "penalty": penalty}, scores)


@dataclass(frozen=True, eq=False)
class _Features:
    """Some of the numbers of a tower's maps."""

    tower: GaborEnergy
    numbers: Int[Tensor, "unit"]

    def encode(self, images: ContrastImages) -> Float32[np.ndarray, "image unit"]:
        chunks = (images[first : first + IMAGES_AT_ONCE] for first in range(0, len(images), IMAGES_AT_ONCE))
        maps = [self.tower(torch.from_numpy(chunk)).flatten(1)[:, self.numbers] for chunk in chunks]
        return np.asarray(torch.cat(maps).numpy())


@dataclass(frozen=True, eq=False)
class _Units:
    """The regressions of all units; scores are correlations over units of predicted and candidate features."""

    features: _Features
    mean: Float[Tensor, "neuron"]
    deviation: Float[Tensor, "neuron"]
    weights: Float[Tensor, "unit rank"]
    neurons: Int[Tensor, "unit rank"]

    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        measured = (torch.from_numpy(np.asarray(queries.responses, dtype=np.float32)) - self.mean) / self.deviation
        return correlate_patterns(_predict(measured, self.weights, self.neurons), self.features.encode(gallery.images))


def order_neurons(known: Float[Tensor, "image neuron"], units: Float[Tensor, "image unit"]) -> Int[Tensor, "unit rank"]:
    """Return for each unit the neurons by falling size of their correlation with it, as many as are ever used.

    Responses are z-scored over the training images.
    """
    centred = units - units.mean(0)
    size = (known.T @ centred).abs().T  # responses are z-scored, and within a unit its own deviation changes no order
    return torch.argsort(size, dim=1, descending=True, stable=True)[:, : max(NEURON_COUNTS)]


def fit_units(
    known: Float[Tensor, "image neuron"], units: Float[Tensor, "image unit"], chosen: Int[Tensor, "unit rank"]
) -> Float[Tensor, "penalty unit rank"]:
    """Fit ridge regressions from the chosen neurons to each unit with every penalty; some units at a time."""
    n_images, count = len(known), chosen.shape[1]
    weights = torch.empty(len(PENALTIES), *chosen.shape)
    is_dual = count > n_images
    rows = known.T.contiguous()
    at_once = max(1, CELLS // (count * n_images))
    for first in range(0, len(chosen), at_once):
        part = slice(first, first + at_once)
        of_unit = rows[chosen[part]]  # (unit, rank, image)
        target = (units[:, part] - units[:, part].mean(0)).T[:, :, None]
        gram = of_unit.transpose(1, 2) @ of_unit if is_dual else of_unit @ of_unit.transpose(1, 2)
        product = target if is_dual else of_unit @ target
        for number, penalty in enumerate(PENALTIES):
            loaded = gram.clone()
            loaded.diagonal(dim1=1, dim2=2).add_(penalty * n_images)
            found = torch.cholesky_solve(product, torch.linalg.cholesky(loaded))
            weights[number, part] = (of_unit @ found if is_dual else found)[:, :, 0]
    return weights


def _predict(
    asked: Float[Tensor, "query neuron"], weights: Float[Tensor, "unit rank"], chosen: Int[Tensor, "unit rank"]
) -> Float32[np.ndarray, "query unit"]:
    """Predict every unit, about its mean."""
    dense = torch.zeros(len(chosen), asked.shape[1]).scatter_(1, chosen, weights)
    return np.asarray((asked @ dense.T).numpy())
