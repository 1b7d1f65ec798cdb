"""Models of responses by low-level structure, by category and by both, for the labelled images of a split."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dina.analyses.decoded import Decoded
from dina.analyses.semantics.linear_models import fit_category_effects, fit_low_level, fit_posterior, left_out_effects, one_hot
from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.randomness import generator_for

# Training images that a category needs.
FEWEST_IMAGES = 5

FEWEST_TEST_IMAGES = 20


@dataclass(frozen=True, eq=False)
class CategorisedPairs:
    """The pairs of a decoding whose images have a category, and that of each image as a position in the sorted ``names``."""

    names: tuple[str, ...]
    train: Pairs
    validation: Pairs
    test: Pairs
    train_category: Int[np.ndarray, "train_image"]
    validation_category: Int[np.ndarray, "validation_image"]
    test_category: Int[np.ndarray, "test_image"]


def categorise(decoded: Decoded) -> CategorisedPairs:
    """Keep the images whose category is known and has enough training images.

    Raises
    ------
    DataError
        If the recording has no labels, or too few categories or labelled test images are left.
    """
    labels = decoded.recording.labels
    if labels is None:
        raise DataError(
            "Semantic analyses need the category of each image; this recording has no labels. Add them as labels (one word"
            " per image) when the recording is made."
        )
    parts = (decoded.train, decoded.validation, decoded.test)
    words, counts = np.unique(labels[decoded.train.stimulus_id], return_counts=True)
    names = words[(words != "") & (counts >= FEWEST_IMAGES)]
    is_labelled = [np.isin(labels[part.stimulus_id], names) for part in parts]
    if len(names) < 2 or is_labelled[2].sum() < FEWEST_TEST_IMAGES or not is_labelled[1].any():
        raise DataError(
            f"Semantic analyses need at least two categories with {FEWEST_IMAGES} training images each, and"
            f" {FEWEST_TEST_IMAGES} labelled test images; got {len(names)} and {int(is_labelled[2].sum())}. Label more images,"
            " or merge rare categories."
        )
    train, validation, test = (_keep(part, mask) for part, mask in zip(parts, is_labelled, strict=True))
    codes = [np.searchsorted(names, labels[part.stimulus_id]) for part in (train, validation, test)]
    return CategorisedPairs(tuple(map(str, names)), train, validation, test, *codes)


def _keep(pairs: Pairs, is_kept: Bool[np.ndarray, "stimulus"]) -> Pairs:
    if is_kept.all():  # spares a copy of all images
        return pairs
    position = np.cumsum(is_kept) - 1
    trials = is_kept[pairs.stimulus_index]
    return replace(
        pairs,
        images=pairs.images[is_kept],
        stimulus_id=pairs.stimulus_id[is_kept],
        responses=pairs.responses[trials],
        stimulus_index=position[pairs.stimulus_index[trials]],
        n_presentations=pairs.n_presentations[trials],
        labels=None if pairs.labels is None else pairs.labels[is_kept],
    )


@dataclass(frozen=True, eq=False)
class ModelledImages:
    """One part of the split, and the predictions of all models; each training image is predicted by models that left it out.

    ``responses`` are averaged and standardised; low-level structure and category predict ``low_level`` and ``category_only``, and
    low-level structure predicts ``category_then_low_level`` of the residuals of category. ``probability`` is that of each
    category given low-level structure, ``by_luminance`` given only mean luminance and contrast. ``statistics`` are those of
    whole images, z-scored by training images.
    """

    responses: Float[Tensor, "image neuron"]
    category: Int[np.ndarray, "image"]
    probability: Float[np.ndarray, "image category"]
    by_luminance: Float[np.ndarray, "image category"]
    low_level: Float[Tensor, "image neuron"]
    category_only: Float[Tensor, "image neuron"]
    category_then_low_level: Float[Tensor, "image neuron"]
    statistics: Float[Tensor, "image statistic"]

    def residual_category(self, category: Int[np.ndarray, "image"] | None = None) -> Float[Tensor, "image category"]:
        """Return one-hot categories minus their probability given low-level structure: the residual category."""
        chosen = self.category if category is None else category
        return one_hot(chosen, self.probability.shape[1]) - torch.from_numpy(self.probability).float()


@dataclass(frozen=True, eq=False)
class CategoryModels:
    """The categories and models from which all statistics of category are computed; all were fitted on the training images.

    ``train_draws`` and ``test_draws`` are categories drawn anew from ``probability``: if responses depended on low-level
    structure alone, they would be as good as the true ones.
    """

    names: tuple[str, ...]
    train: ModelledImages
    validation: ModelledImages
    test: ModelledImages
    train_draws: Int[np.ndarray, "draw train_image"]
    test_draws: Int[np.ndarray, "draw test_image"]

    def drawn_effects(self, residuals: Float[Tensor, "train_image neuron"]) -> Iterator[Float[Tensor, "test_image neuron"]]:
        """Yield for each draw the effect of its categories on the test responses, fitted anew to training residuals."""
        for of_train, of_test in zip(self.train_draws, self.test_draws, strict=True):
            effects = fit_category_effects(self.train.residual_category(of_train), residuals)
            yield effects.predict(self.test.residual_category(of_test))


@torch.no_grad()
def fit_category_models(parts: CategorisedPairs, n_draws: int, seed: int) -> CategoryModels:
    """Fit the three models on the training images, apply them to all parts, and draw categories anew ``n_draws`` times."""
    n_categories, n_neurons = len(parts.names), parts.train.n_neurons
    responses = torch.from_numpy(parts.train.averaged())
    known = one_hot(parts.train_category, n_categories)
    effects = fit_category_effects(known, responses)
    without = left_out_effects(known, responses, effects)
    # one fit serves both orders: low-level structure first, and low-level structure of the residuals of category
    model = fit_low_level(parts.train.images, torch.cat([responses, responses - without], dim=1))
    posterior = fit_posterior(model.statistics, parts.train_category, n_categories)
    luminance = fit_posterior(_luminance_and_contrast(model.statistics), parts.train_category, n_categories)

    def apply(averaged: Tensor, category: np.ndarray, columns: Tensor, statistics: Tensor, *, is_train: bool) -> ModelledImages:
        return ModelledImages(
            responses=averaged,
            category=category,
            probability=posterior.train if is_train else posterior.predict(statistics),
            by_luminance=luminance.train if is_train else luminance.predict(_luminance_and_contrast(statistics)),
            low_level=columns[:, :n_neurons],
            category_only=without if is_train else effects.predict(one_hot(category, n_categories)),
            category_then_low_level=columns[:, n_neurons:],
            statistics=(statistics - posterior.linear.mean) / posterior.linear.deviation,
        )

    others = [
        apply(torch.from_numpy(part.averaged()), category, *model.predict(part.images), is_train=False)
        for part, category in ((parts.validation, parts.validation_category), (parts.test, parts.test_category))
    ]
    train = apply(responses, parts.train_category, model.left_out, model.statistics, is_train=True)
    draws = [
        draw_categories(part.probability, n_draws, generator_for(seed, f"categories of {name}"))
        for name, part in (("train", train), ("test", others[1]))
    ]
    return CategoryModels(parts.names, train, others[0], others[1], draws[0], draws[1])


def _luminance_and_contrast(statistics: Tensor) -> Tensor:
    """Return luminance and logarithm of contrast with their squares, so that middling contrast can stand for a category."""
    plain = statistics[:, -2:]
    return torch.cat([plain, plain.square()], dim=1)


def draw_categories(
    probability: Float[np.ndarray, "image category"], n_draws: int, generator: np.random.Generator
) -> Int[np.ndarray, "draw image"]:
    """Draw a category for every image from its probabilities, independently, ``n_draws`` times.

    Where responses depend on the image only through its low-level structure, the true categories are one such draw, so
    that any statistic of theirs lies among its values over the draws (the conditional randomisation test).

    References
    ----------
    Candès et al. (2018), J. R. Stat. Soc. B 80:551. https://doi.org/10.1111/rssb.12265
    """
    cumulative = np.cumsum(probability, axis=1)
    cumulative[:, -1] = 1.0  # rounding must not leave a gap above the last category
    uniform = generator.random((n_draws, len(probability)))
    drawn: np.ndarray = (uniform[:, :, None] >= cumulative[None]).sum(2)
    return drawn
