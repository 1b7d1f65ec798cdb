"""What one fit decodes, and what its maps know of category beyond low-level structure, image by image; for comparing objectives."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Float32, Int

from dina.analyses.decoded import Decoded
from dina.analyses.objectives.category_readout import CategoryReadout
from dina.analyses.semantics.category_models import CategorisedPairs, CategoryModels, categorise, fit_category_models
from dina.analyses.spatial_frequency.compute import analyse_spatial_frequency
from dina.checks import DataError
from dina.data.pairs import Pairs, make_task
from dina.randomness import generator_for
from dina.retrieval.ranks import retrieve
from dina.training.aligned_towers import AlignedTowers

N_DRAWS = 40
N_NEIGHBOURS = 20
"""Training images that vote for the category of a response."""

ENDS = ("value", "low", "high", "null_low", "null_high")
Variables = dict[str, tuple[tuple[str, ...], np.ndarray]]
PROFILE = ("kept_lowest_octaves", "kept_without_highest_octave", "median_frequency")
"""Findings of `spatial_frequency` that stand for the profile of one fit."""


@dataclass(frozen=True, eq=False)
class CategoryQuestion:
    """Labelled images, and the responses that they would give if neurons knew low-level structure only.

    Parameters
    ----------
    parts
        Labelled images of the split.
    expected, left
        What low-level structure predicts of the averaged test responses, and the residual.
    donor
        For each draw and test image the image whose residual it is lent; its category is drawn from what low-level
        structure lets expect. A reader of category alone would name the donor's.
    """

    parts: CategorisedPairs
    expected: Float[np.ndarray, "image neuron"]
    left: Float[np.ndarray, "image neuron"]
    donor: Int[np.ndarray, "draw image"]

    def surrogates(self) -> Iterator[Float[np.ndarray, "image neuron"]]:
        """Yield the responses of each draw."""
        for others in self.donor:
            yield self.expected + self.left[others]


def ask_for_category(decoded: Decoded) -> CategoryQuestion:
    r"""Prepare the question whether a description of responses knows category beyond low-level structure.

    Parameters
    ----------
    decoded
        With labels; towers are not needed.

    Raises
    ------
    DataError
        If the recording has no labels, or too few labelled images.

    Notes
    -----
    If responses depend on an image only by its low-level structure, the residuals of two images may be exchanged where
    these have equal low-level structure. Residuals come from images whose category is drawn from
    :math:`p(c \mid \mathrm{low\ level})`, so that what the low-level model misses of responses is taken for knowledge of
    category only where the classifier of images misses it too.
    """
    parts = categorise(decoded)
    models = fit_category_models(parts, N_DRAWS, decoded.seed)
    expected = models.test.low_level.numpy()
    return CategoryQuestion(parts, expected, models.test.responses.numpy() - expected, _donors(models, decoded.seed))


def _donors(models: CategoryModels, seed: int) -> Int[np.ndarray, "draw image"]:
    generator = generator_for(seed, "exchange of residuals")
    everyone = np.arange(len(models.test.category))
    members = [everyone[models.test.category == number] for number in range(len(models.names))]
    # a category that no test image has lends the residual of any
    chosen = [[generator.choice(members[c] if len(members[c]) else everyone) for c in drawn] for drawn in models.test_draws]
    return np.array(chosen)


def measure_objective(decoded: Decoded, question: CategoryQuestion | None) -> xr.Dataset:
    """Measure one fit on its test images.

    Parameters
    ----------
    decoded
        With towers.
    question
        From `ask_for_category`, of the same split; None where images have no labels.

    Returns
    -------
    measured
        ``top1_averaged`` and ``top1_single_trial`` of each image, ``image_maps`` and ``response_maps`` of all test images,
        values and intervals of `PROFILE` and their bootstrap resamples (``profile_resamples``, NaN where not defined); and with labels for each labelled image its ``category``, and which one is read
        from the maps of its response (``guess``) and of the image (``guess_image``), and which one prevails among the training
        images that the response matches best (``guess_by_match``); the same of surrogate responses (``…_surrogate``).
    """
    towers = decoded.towers
    maps = {"image": _image_maps(towers, decoded.test.images), "response": _response_maps(towers, decoded.test)}
    variables: Variables = {f"{side}_maps": (("test_image", f"{side}_feature"), found) for side, found in maps.items()}
    variables |= {f"top1_{kind}": (("test_image",), _top1(decoded, kind)) for kind in ("averaged", "single_trial")}
    profile, resamples, units = _profile(decoded)
    variables["profile"] = (("statistic", "end"), profile)
    variables["profile_resamples"] = (("statistic", "resample"), resamples)
    if question is not None:
        variables |= _category_of_maps(towers, question)
    coordinates = {"statistic": list(PROFILE), "end": list(ENDS)}
    return xr.Dataset(variables, coords=coordinates, attrs={"units_of_median_frequency": units})


def _profile(
    decoded: Decoded,
) -> tuple[Float[np.ndarray, "statistic end"], Float32[np.ndarray, "statistic resample"], str]:
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


def measure_responses(question: CategoryQuestion) -> xr.Dataset:
    """Ask the responses themselves, without towers; variables as in `measure_objective`."""
    readout = CategoryReadout.fit(question.parts.train.averaged(), question.parts.train_category)
    return xr.Dataset({**_asked(question), **_guesses("guess", question, readout.guess)})


def _category_of_maps(towers: AlignedTowers, question: CategoryQuestion) -> Variables:
    """Read category from maps in two ways: by a readout of their own, and by the training images that they match best."""
    parts = question.parts
    image_maps = towers.encode_images(parts.train.images)
    readout = CategoryReadout.fit(_response_maps(towers, parts.train), parts.train_category)
    of_images = CategoryReadout.fit(image_maps.reshape(len(image_maps), -1), parts.train_category)
    gallery = torch.from_numpy(image_maps).to(towers.device)
    shown = torch.from_numpy(parts.test.total_presentations().astype(np.float32)).to(towers.device)
    balance = np.eye(len(parts.names))[parts.train_category] / np.bincount(parts.train_category, minlength=len(parts.names))

    @torch.inference_mode()
    def match(responses: Float[np.ndarray, "image neuron"]) -> Int[np.ndarray, "image"]:
        maps = torch.from_numpy(towers.encode_responses(responses)).to(towers.device)
        nearest = towers.comparison(maps, gallery, shown).topk(min(N_NEIGHBOURS, len(gallery)), dim=1).indices
        return np.asarray(balance[nearest.cpu().numpy()].sum(axis=1).argmax(axis=1))

    return {
        **_asked(question),
        **_guesses("guess", question, lambda responses: readout.guess(_maps_of(towers, responses))),
        **_guesses("guess_by_match", question, match),
        "guess_image": (("labelled_image",), of_images.guess(_image_maps(towers, parts.test.images))),
    }


def _asked(question: CategoryQuestion) -> Variables:
    category = question.parts.test_category
    return {
        "category": (("labelled_image",), category),
        "category_surrogate": (("draw", "labelled_image"), category[question.donor]),
    }


def _guesses(name: str, question: CategoryQuestion, guess: Callable[[np.ndarray], Int[np.ndarray, "image"]]) -> Variables:
    others = np.stack([guess(responses) for responses in question.surrogates()])
    own = guess(question.parts.test.averaged())
    return {name: (("labelled_image",), own), f"{name}_surrogate": (("draw", "labelled_image"), others)}


def _image_maps(towers: AlignedTowers, images: np.ndarray) -> Float[np.ndarray, "image feature"]:
    return np.asarray(towers.encode_images(images)).reshape(len(images), -1)


def _response_maps(towers: AlignedTowers, pairs: Pairs) -> Float[np.ndarray, "image feature"]:
    return _maps_of(towers, pairs.averaged())


def _maps_of(towers: AlignedTowers, responses: np.ndarray) -> Float[np.ndarray, "image feature"]:
    return np.asarray(towers.encode_responses(responses)).reshape(len(responses), -1)


def _top1(decoded: Decoded, kind: str) -> Float[np.ndarray, "image"]:
    task = make_task(decoded.test, "averaged" if kind == "averaged" else "single_trial")
    found = retrieve(decoded.towers.score(task.queries, task.gallery), task.target, "image_from_response")
    n_images = decoded.test.n_stimuli
    counts = np.bincount(found.image, minlength=n_images)
    total = np.bincount(found.image, weights=found.top(1), minlength=n_images)
    return np.divide(total, counts, out=np.full(n_images, np.nan), where=counts > 0)
