"""Measures of one fit for comparing objectives: retrieval, frequencies, and category in its maps beyond low-level structure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Float32, Int
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from dina.analyses.decoded import Decoded
from dina.analyses.semantics.category_models import CategorisedPairs, CategoryModels, categorise, fit_category_models
from dina.analyses.spatial_frequency.compute import analyse_spatial_frequency
from dina.checks import DataError
from dina.data.pairs import QUERY_KINDS, QueryKind, make_task
from dina.randomness import generator_for
from dina.retrieval.ranks import retrieve
from dina.training.aligned_towers import AlignedTowers

N_DRAWS = 40
MOST_COMPONENTS = 256
SHRINKAGE = 0.1
# Training images that vote for the category of a response.
N_NEIGHBOURS = 20

ENDS = ("value", "low", "high", "null_low", "null_high")
Variables = dict[str, tuple[tuple[str, ...], np.ndarray]]
# Findings of `spatial_frequency` that stand for the profile of one fit.
PROFILE = ("kept_lowest_octaves", "kept_without_highest_octave", "median_frequency")


class CategoryReadout:
    """A linear readout of category from main components, in which every category is equally probable beforehand.

    Gaussian classes with one shared covariance are learnt from the largest principal components of the features of training
    images. Categories count from 0, and each has an image.
    """

    def __init__(self, features: Float[np.ndarray, "image feature"], category: Int[np.ndarray, "image"]) -> None:
        self.mean = features.astype(np.float64).mean(axis=0)
        self.directions = _principal_directions(features - self.mean)
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=SHRINKAGE)
        self.model = model.fit((features - self.mean) @ self.directions, category)

    def guess(self, features: Float[np.ndarray, "image feature"]) -> Int[np.ndarray, "image"]:
        """Return the most probable category of each image."""
        log_posterior = self.model.predict_log_proba((features - self.mean) @ self.directions)
        return np.asarray((log_posterior - np.log(self.model.priors_)).argmax(axis=1))


@dataclass(frozen=True, eq=False)
class CategorySurrogates:
    """Labelled images, and surrogates of their averaged test responses that depend on low-level structure alone.

    Each image has the response that low-level structure predicts and the residual of its donor, whose category is drawn from
    the probabilities that low-level structure gives. A readout of category alone would name the category of the donor.
    """

    parts: CategorisedPairs
    predicted: Float[np.ndarray, "image neuron"]
    residual: Float[np.ndarray, "image neuron"]
    donor: Int[np.ndarray, "draw image"]

    def responses(self) -> Iterator[Float[np.ndarray, "image neuron"]]:
        """Yield the surrogate responses of each draw."""
        for others in self.donor:
            yield self.predicted + self.residual[others]


def make_category_surrogates(decoded: Decoded) -> CategorySurrogates:
    r"""Make surrogate responses, to test whether a representation carries category beyond low-level structure; needs no towers.

    Raises
    ------
    DataError
        If the recording has no labels, or too few labelled images.

    Notes
    -----
    If responses depend on an image only by its low-level structure, the residuals of two images may be exchanged where
    these have equal low-level structure. Residuals come from images whose category is drawn from
    :math:`p(c \mid \mathrm{low\ level})`, so that a failure of the low-level model of responses counts as category only
    where the classifier of images fails too.
    """
    parts = categorise(decoded)
    models = fit_category_models(parts, N_DRAWS, decoded.seed)
    predicted = models.test.low_level.numpy()
    return CategorySurrogates(parts, predicted, models.test.responses.numpy() - predicted, _donors(models, decoded.seed))


def _donors(models: CategoryModels, seed: int) -> Int[np.ndarray, "draw image"]:
    generator = generator_for(seed, "exchange of residuals")
    everyone = np.arange(len(models.test.category))
    members = [everyone[models.test.category == number] for number in range(len(models.names))]
    # a category that no test image has lends the residual of any
    chosen = [[generator.choice(members[c] if len(members[c]) else everyone) for c in drawn] for drawn in models.test_draws]
    return np.array(chosen)


def measure_objective(decoded: Decoded, surrogates: CategorySurrogates | None) -> xr.Dataset:
    """Measure one fit on its test images; the surrogates are those of its split, None where images have no labels.

    Measured are ``top1_averaged`` and ``top1_single_trial`` of each image, ``image_maps`` and ``response_maps`` of all test
    images, values and intervals of `PROFILE` and their bootstrap resamples (``profile_resamples``, NaN where not defined). With
    labels, for each labelled image also its ``category``; the category read from the maps of its response (``guess``) and
    of the image (``guess_image``), and the most frequent one among the training images that the response matches best
    (``guess_by_match``); the same of surrogate responses (``…_surrogate``).
    """
    towers = decoded.towers
    maps = {"image": towers.encode_images(decoded.test.images), "response": towers.encode_responses(decoded.test.averaged())}
    variables: Variables = {f"{side}_maps": (("test_image", f"{side}_feature"), _flat(found)) for side, found in maps.items()}
    variables |= {f"top1_{kind}": (("test_image",), _top1(decoded, kind)) for kind in QUERY_KINDS}
    profile, resamples, units = _profile(decoded)
    variables["profile"] = (("statistic", "end"), profile)
    variables["profile_resamples"] = (("statistic", "resample"), resamples)
    if surrogates is not None:
        variables |= _category_of_maps(towers, surrogates)
    coordinates = {"statistic": list(PROFILE), "end": list(ENDS)}
    return xr.Dataset(variables, coords=coordinates, attrs={"units_of_median_frequency": units})


def _profile(decoded: Decoded) -> tuple[Float[np.ndarray, "statistic end"], Float32[np.ndarray, "statistic resample"], str]:
    """Return the findings of `PROFILE`, their resamples and the unit of frequency; NaN where there are too few test images."""
    try:
        result = analyse_spatial_frequency(decoded)
    except DataError:
        return np.full((len(PROFILE), len(ENDS)), np.nan), np.full((len(PROFILE), 1), np.nan, np.float32), "1"
    found = {finding.name: finding for finding in result.findings()}
    rows = result.curves.profile(result.resampling)
    resamples = np.stack([rows[name][1 : 1 + result.resampling.n_resamples] for name in PROFILE])
    values = np.array([[getattr(found[name], end) for end in ENDS] for name in PROFILE])
    return values, resamples.astype(np.float32), found["median_frequency"].units


def measure_responses(surrogates: CategorySurrogates) -> xr.Dataset:
    """Measure the responses themselves, without towers; variables as in `measure_objective`."""
    readout = CategoryReadout(surrogates.parts.train.averaged(), surrogates.parts.train_category)
    return xr.Dataset({**_true_categories(surrogates), **_guesses("guess", surrogates, readout.guess)})


def _category_of_maps(towers: AlignedTowers, surrogates: CategorySurrogates) -> Variables:
    """Read category from maps in two ways: by a linear readout, and by the training images that they match best."""
    parts = surrogates.parts
    image_maps = towers.encode_images(parts.train.images)
    readout = CategoryReadout(_flat(towers.encode_responses(parts.train.averaged())), parts.train_category)
    of_images = CategoryReadout(_flat(image_maps), parts.train_category)
    gallery = torch.from_numpy(image_maps).to(towers.device)
    shown = torch.from_numpy(parts.test.total_presentations().astype(np.float32)).to(towers.device)
    balance = np.eye(len(parts.names))[parts.train_category] / np.bincount(parts.train_category, minlength=len(parts.names))

    @torch.inference_mode()
    def match(responses: Float[np.ndarray, "image neuron"]) -> Int[np.ndarray, "image"]:
        maps = torch.from_numpy(towers.encode_responses(responses)).to(towers.device)
        nearest = towers.comparison(maps, gallery, shown).topk(min(N_NEIGHBOURS, len(gallery)), dim=1).indices
        return np.asarray(balance[nearest.cpu().numpy()].sum(axis=1).argmax(axis=1))

    return {
        **_true_categories(surrogates),
        **_guesses("guess", surrogates, lambda responses: readout.guess(_flat(towers.encode_responses(responses)))),
        **_guesses("guess_by_match", surrogates, match),
        "guess_image": (("labelled_image",), of_images.guess(_flat(towers.encode_images(parts.test.images)))),
    }


def _true_categories(surrogates: CategorySurrogates) -> Variables:
    category = surrogates.parts.test_category
    return {
        "category": (("labelled_image",), category),
        "category_surrogate": (("draw", "labelled_image"), category[surrogates.donor]),
    }


def _guesses(name: str, surrogates: CategorySurrogates, guess: Callable[[np.ndarray], Int[np.ndarray, "image"]]) -> Variables:
    others = np.stack([guess(responses) for responses in surrogates.responses()])
    true = guess(surrogates.parts.test.averaged())
    return {name: (("labelled_image",), true), f"{name}_surrogate": (("draw", "labelled_image"), others)}


def _flat(maps: np.ndarray) -> Float[np.ndarray, "image feature"]:
    return maps.reshape(len(maps), -1)


def _top1(decoded: Decoded, kind: QueryKind) -> Float[np.ndarray, "image"]:
    task = make_task(decoded.test, kind)
    found = retrieve(decoded.towers.score(task.queries, task.gallery), task.target, "image_from_response")
    n_images = decoded.test.n_stimuli
    counts = np.bincount(found.image, minlength=n_images)
    total = np.bincount(found.image, weights=found.top(1), minlength=n_images)
    return np.divide(total, counts, out=np.full(n_images, np.nan), where=counts > 0)


def _principal_directions(centred: np.ndarray) -> Float[np.ndarray, "feature component"]:
    """Return the directions of largest variance, from the smaller of the two Gram matrices."""
    n_images, n_features = centred.shape
    if n_features <= n_images:
        return np.asarray(np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :MOST_COMPONENTS])
    variance, vectors = np.linalg.eigh(centred @ centred.T)
    kept = (variance > 1e-10 * variance[-1]).nonzero()[0][::-1][:MOST_COMPONENTS]
    return np.asarray(centred.T @ vectors[:, kept] / np.sqrt(variance[kept]))
