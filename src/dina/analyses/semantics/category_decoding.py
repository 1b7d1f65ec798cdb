"""Reading the category of an image from responses, with and without what low-level structure predicts of them."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from dina.analyses.semantics.category_effects import fit_category_effects
from dina.analyses.semantics.category_models import CategoryModels, one_hot
from dina.models.noise import decompose_residuals
from dina.statistics.resampling import percentile_interval

NOISE_COMPONENTS = 128
SHRINKAGE = 0.3
N_PERMUTATIONS = 200


@dataclass(frozen=True, eq=False)
class CategoryAccuracy:
    """How well the category of test images is told, each category counting the same.

    Parameters
    ----------
    names
        "responses": a linear decoder of responses; "partialled": the same after removal of what low-level structure
        predicts of them; "low_level": from the image's own low-level statistics, without neurons; "luminance": from
        its mean luminance and contrast alone.
    value, low, high
        Balanced accuracy in [0, 1] and its 95 % interval over images.
    null_low, null_high
        Central 95 %: categories permuted over test images; for "partialled" categories drawn from what low-level
        structure lets expect, with the decoder fitted anew.
    """

    names: tuple[str, ...]
    value: Float[np.ndarray, "source"]
    low: Float[np.ndarray, "source"]
    high: Float[np.ndarray, "source"]
    null_low: Float[np.ndarray, "source"]
    null_high: Float[np.ndarray, "source"]


@torch.no_grad()
def decode_categories(
    models: CategoryModels, counts: Int[np.ndarray, "resample image"], generator: np.random.Generator
) -> CategoryAccuracy:
    """Decode the category of every test image from four sources.

    Parameters
    ----------
    models
        Fitted on training images.
    counts
        Bootstrap resamples of the test images.
    generator
        Of the permutations.
    """
    train, test = models.train, models.test
    prior = np.bincount(train.category, minlength=len(models.names)) + 1.0
    partialled = _LinearDecoder(train.responses - train.low_level, test.responses - test.low_level, train.category, len(prior))
    plain = _LinearDecoder(train.responses, test.responses, train.category, len(prior))
    guesses = {
        "responses": plain.guess(train.category),
        "partialled": partialled.guess(train.category),
        "low_level": (test.probability / prior).argmax(1),
        "luminance": (test.by_luminance / prior).argmax(1),
    }
    rows = []
    for name, guess in guesses.items():
        resampled = _balanced(guess, test.category, counts)
        if name == "partialled":
            pairs = zip(models.train_draws, models.test_draws, strict=True)
            null = np.array([float(_balanced(partialled.guess(of_train), of_test)[0]) for of_train, of_test in pairs])
        else:
            shuffles = [generator.permutation(test.category) for _ in range(N_PERMUTATIONS)]
            null = np.array([float(_balanced(guess, shuffled)[0]) for shuffled in shuffles])
        value = float(_balanced(guess, test.category)[0])
        rows.append((value, *percentile_interval(resampled), *percentile_interval(null)))
    return CategoryAccuracy(tuple(guesses), *np.array(rows).T)


class _LinearDecoder:
    """Gaussian classes with one shared noise covariance: linear in the response, every category equally probable."""

    def __init__(self, train: torch.Tensor, test: torch.Tensor, category: np.ndarray, n_categories: int) -> None:
        self.train = train
        self.n_categories = n_categories
        effects = fit_category_effects(one_hot(category, n_categories), train)
        left = train - effects.predict(one_hot(category, n_categories))
        self.noise = decompose_residuals(left).noise(NOISE_COMPONENTS, SHRINKAGE)
        self.whitened = self.noise.divide(test - train.mean(0))

    def guess(self, category: Int[np.ndarray, "train_image"]) -> Int[np.ndarray, "image"]:
        """Return the most probable category of every test image, class means learnt from these training categories."""
        effects = fit_category_effects(one_hot(category, self.n_categories), self.train)
        means = effects.predict(torch.eye(self.n_categories)) - effects.intercept
        own = 0.5 * (self.noise.divide(means) * means).sum(1)
        return np.asarray((self.whitened @ means.T - own).argmax(1).numpy())


def _balanced(
    guess: Int[np.ndarray, "image"], category: Int[np.ndarray, "image"], counts: Int[np.ndarray, "resample image"] | None = None
) -> Float[np.ndarray, "resample"]:
    """Return the mean over categories of the fraction of their images told right; categories without images stay out."""
    weight = np.ones((1, len(guess))) if counts is None else counts
    members = np.eye(int(category.max()) + 1)[category]
    shown = weight @ members
    right = weight @ (members * (guess == category)[:, None])
    fraction = np.divide(right, shown, out=np.full(shown.shape, np.nan), where=shown > 0)
    balanced: np.ndarray = np.nanmean(fraction, axis=1)
    return balanced
