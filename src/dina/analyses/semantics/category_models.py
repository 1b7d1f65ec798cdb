"""Three models of the same responses, by low-level structure, by category and by both, and categories drawn anew."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from dina.analyses.semantics.category_effects import fit_category_effects, left_out_effects
from dina.analyses.semantics.category_posterior import CategoryPosterior, draw_categories, fit_posterior
from dina.analyses.semantics.image_categories import CategorisedPairs
from dina.analyses.semantics.low_level_model import fit_low_level, luminance_and_contrast
from dina.randomness import generator_for


@dataclass(frozen=True, eq=False)
class ModelledImages:
    """One part of the split as the models see it; for training images always predicted by models that left them out.

    Parameters
    ----------
    responses
        Averaged, standardised.
    category
        Number of the category of each image.
    probability
        Of each category given low-level structure alone.
    by_luminance
        The same given nothing but mean luminance and contrast.
    low_level
        Responses expected from low-level structure.
    category_only
        Responses expected from category.
    category_then_low_level
        What low-level structure lets expect of the responses once category is accounted for.
    statistics
        Whole-image low-level statistics, z-scored by training images.
    """

    responses: Float[Tensor, "image neuron"]
    category: Int[np.ndarray, "image"]
    probability: Float[np.ndarray, "image category"]
    by_luminance: Float[np.ndarray, "image category"]
    low_level: Float[Tensor, "image neuron"]
    category_only: Float[Tensor, "image neuron"]
    category_then_low_level: Float[Tensor, "image neuron"]
    statistics: Float[Tensor, "image statistic"]

    def unexpected_category(self, category: Int[np.ndarray, "image"] | None = None) -> Float[Tensor, "image category"]:
        """Return one-hot categories less what low-level structure lets expect of them: what only category can tell."""
        chosen = self.category if category is None else category
        return one_hot(chosen, self.probability.shape[1]) - torch.from_numpy(self.probability).float()


@dataclass(frozen=True, eq=False)
class CategoryModels:
    """Everything that the statistics of category are computed from.

    Parameters
    ----------
    names
        Of the categories.
    train, validation, test
        The parts of the split; all models were fitted on the first.
    train_draws, test_draws
        Categories drawn anew from ``probability``: what the true ones could as well be if responses knew only
        low-level structure.
    """

    names: tuple[str, ...]
    train: ModelledImages
    validation: ModelledImages
    test: ModelledImages
    train_draws: Int[np.ndarray, "draw train_image"]
    test_draws: Int[np.ndarray, "draw test_image"]


def one_hot(category: Int[np.ndarray, "image"], n_categories: int) -> Float[Tensor, "image category"]:
    """Return a row for each image with 1 at its category."""
    return torch.eye(n_categories)[torch.from_numpy(np.asarray(category, dtype=np.int64))]


@torch.no_grad()
def fit_category_models(parts: CategorisedPairs, n_draws: int, seed: int) -> CategoryModels:
    """Fit the three models on the training images and apply them to all parts.

    Parameters
    ----------
    parts
        Labelled images of the three parts of a split.
    n_draws
        How often categories are drawn anew.
    seed
        Of these draws.
    """
    n_categories, n_neurons = len(parts.names), parts.train.n_neurons
    responses = torch.from_numpy(parts.train.averaged())
    known = one_hot(parts.train_category, n_categories)
    effects = fit_category_effects(known, responses)
    without = left_out_effects(known, responses, effects)
    # one fit serves both orders: low-level structure first, and low-level structure of what category leaves
    model = fit_low_level(parts.train.images, torch.cat([responses, responses - without], dim=1))
    posterior = fit_posterior(model.statistics, parts.train_category, n_categories)
    faint = _of_luminance(model.statistics, parts.train_category, n_categories)

    def apply(averaged: Tensor, category: np.ndarray, columns: Tensor, statistics: Tensor, *, is_train: bool) -> ModelledImages:
        return ModelledImages(
            responses=averaged,
            category=category,
            probability=posterior.train if is_train else posterior.predict(statistics),
            by_luminance=faint.train if is_train else faint.predict(_two(statistics)),
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


def _two(statistics: Tensor) -> Tensor:
    """Luminance and contrast with their squares, so that a category of middling contrast can be told."""
    plain = torch.from_numpy(luminance_and_contrast(statistics))
    return torch.cat([plain, plain.square()], dim=1)


def _of_luminance(statistics: Tensor, category: np.ndarray, n_categories: int) -> CategoryPosterior:
    return fit_posterior(_two(statistics), category, n_categories)
