"""Generic decoding: every feature unit is predicted from the neurons that follow it best, candidates by correlation."""

from typing import ClassVar, Literal, Self

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from dina.checks import DataError
from dina.data.pairs import Gallery, Pairs, Queries
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.randomness import generator_for
from dina.retrieval.choice import mean_log_rank
from dina.shapes import ContrastImages, Scores
from dina.statistics.correlation import correlate_all_rows

N_UNITS = 1000
NEURON_COUNTS = (15, 50, 150, 500)
PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3)
"""Numbers of neurons for each unit times penalties, relative to the number of training images, tried by validation."""

IMAGES_AT_ONCE = 64
CELLS = 2**24  # matrix entries solved at a time (64 MB)


class GenericDecoding:
    """Predict single feature units of the image, each from the neurons most correlated with it, and compare patterns.

    Taken from the source: a thousand units drawn at random; z-scored responses; for each unit the neurons whose
    training responses correlate most with it; one linear regression for each unit; the candidate whose features
    correlate best with the predicted ones.

    Done otherwise: units are Gabor energies, rectified phases and luminance at single places rather than units of a deep
    network; a ridge penalty takes the place of sparse Bayesian regression, which takes hours for as many images as here;
    validation chooses that penalty and the number of neurons (they had 500 voxels) among twenty settings. Left out:
    averaging features over the images of a category.

    Parameters
    ----------
    seed
        Of the choice of units.

    Attributes
    ----------
    chosen
        The setting that validation chose, after `fit`.

    References
    ----------
    Horikawa & Kamitani (2017), Nat. Commun. 8:15037. https://doi.org/10.1038/ncomms15037
    """

    reads: ClassVar[Literal["images", "templates", "truth"]] = "images"

    def __init__(self, seed: int = 0) -> None:
        self.name = "generic_decoding"
        self.seed = seed
        self.chosen: dict[str, str | float] = {}
        self._tower: GaborEnergy | None = None

    @torch.no_grad()
    def fit(self, train: Pairs, validation: Pairs) -> Self:
        """Learn the regressions from ``train``; choose penalty and number of neurons by ``validation``.

        Raises
        ------
        DataError
            If there are fewer than three training images.
        """
        if train.n_stimuli < 3:
            raise DataError(
                f"Generic decoding needs at least three training images; got {train.n_stimuli}. Give it a larger split."
            )
        n_channels, height, width = (int(extent) for extent in train.images.shape[1:])
        self._tower = GaborEnergy((n_channels, height, width), n_contrasts=0)
        maps = self._tower.learn_statistics(torch.from_numpy(train.images)).flatten(1)
        n_units = min(N_UNITS, maps.shape[1])
        drawn = generator_for(self.seed, "feature units").choice(maps.shape[1], n_units, replace=False)
        self._units = torch.from_numpy(np.sort(drawn))
        units = maps[:, self._units].float()
        responses = torch.from_numpy(train.averaged())
        self._mean = responses.mean(0)
        self._deviation = responses.std(0, correction=0).clamp_min(1e-6)
        known = (responses - self._mean) / self._deviation
        asked = (torch.from_numpy(validation.averaged()) - self._mean) / self._deviation
        candidates = self._encode(validation.images)
        order = _order_neurons(known, units)
        counts = sorted({min(count, known.shape[1]) for count in NEURON_COUNTS})
        lowest = np.inf
        for count in counts:
            weights = _solve(known, units, order[:, :count])
            for number, penalty in enumerate(PENALTIES):
                predicted = _predict(asked, weights[number], order[:, :count])
                loss = mean_log_rank(_correlate(predicted, candidates))
                if loss < lowest:
                    lowest, self._weights, self._neurons = loss, weights[number].clone(), order[:, :count]
                    self.chosen = {"neurons_of_each_unit": count, "penalty": penalty}
        return self

    @torch.no_grad()
    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        """Return the correlation over units of predicted and candidate features, in [-1, 1].

        Raises
        ------
        DataError
            If `fit` was not called.
        """
        if self._tower is None:
            raise DataError("A decoder must be fitted before it scores; call fit(train, validation) first.")
        asked = (torch.from_numpy(np.asarray(queries.responses, dtype=np.float32)) - self._mean) / self._deviation
        return _correlate(_predict(asked, self._weights, self._neurons), self._encode(gallery.images))

    def _encode(self, images: ContrastImages) -> Float32[np.ndarray, "image unit"]:
        assert self._tower is not None  # set in fit; tells the type checker
        chunks = (images[first : first + IMAGES_AT_ONCE] for first in range(0, len(images), IMAGES_AT_ONCE))
        maps = [self._tower(torch.from_numpy(chunk)).flatten(1)[:, self._units] for chunk in chunks]
        return np.asarray(torch.cat(maps).numpy())


def _order_neurons(known: Float[Tensor, "image neuron"], units: Float[Tensor, "image unit"]) -> Int[Tensor, "unit rank"]:
    """Return for each unit the neurons by falling size of their correlation with it, as many as are ever used."""
    centred = units - units.mean(0)
    size = (known.T @ centred).abs().T  # responses are z-scored, and within a unit its own deviation changes no order
    return torch.argsort(size, dim=1, descending=True, stable=True)[:, : max(NEURON_COUNTS)]


def _solve(
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


def _correlate(predicted: Float[np.ndarray, "query unit"], candidates: Float[np.ndarray, "gallery unit"]) -> Scores:
    # no prediction, or a candidate without structure: as good and as bad as any other
    return np.nan_to_num(correlate_all_rows(predicted, candidates), nan=0.0)
