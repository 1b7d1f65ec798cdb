"""How much of the responses low-level structure explains, how much category, and how much only either can."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from dina.analyses.semantics.category_effects import fit_category_effects
from dina.analyses.semantics.category_models import CategoryModels, one_hot
from dina.statistics.resampling import percentile_interval


@dataclass(frozen=True, eq=False)
class Partition:
    """Shares of the variance of test responses that can be explained at all.

    Parameters
    ----------
    names
        "explained" (fraction of the responses' variance that the best model explains); fractions of that:
        "category_unique", "low_level_unique", "common", and "category" (what category accounts for in all, extrapolated
        from where low-level structure leaves it open).
    value, low, high
        Estimates and 95 % intervals over images; NaN for shares where nothing is explained.
    null_low, null_high
        Central 95 % with predictions for other images ("explained"), with categories drawn from what low-level structure
        lets expect ("category_unique", "category"), and with low-level structure taken from other images of the same category
        ("low_level_unique"); NaN for "common".
    """

    names: tuple[str, ...]
    value: Float[np.ndarray, "quantity"]
    low: Float[np.ndarray, "quantity"]
    high: Float[np.ndarray, "quantity"]
    null_low: Float[np.ndarray, "quantity"]
    null_high: Float[np.ndarray, "quantity"]


def partition_responses(
    models: CategoryModels, counts: Int[np.ndarray, "resample image"], generator: np.random.Generator
) -> Partition:
    r"""Split the explained variance of the test responses between low-level structure and category.

    Each part is the gain in explained variance on test images when one description is added to the other. Category is
    added to low-level structure as what low-level structure does not let expect of it, so that errors of the encoding
    model and of the classifier must coincide before category is credited with low-level structure.

    Parameters
    ----------
    models
        Fitted on training images.
    counts
        Bootstrap resamples of the test images.
    generator
        Of the exchanges within categories.

    Notes
    -----
    With :math:`R^2_L, R^2_C` of one description and :math:`R^2_{LC}, R^2_{CL}` of both in either order, the unique
    parts are :math:`R^2_{LC} - R^2_L` and :math:`R^2_{CL} - R^2_C`, divided by the largest of the four; the rest of
    that is common to both.
    The first is doubly robust in the sense of Shah & Peters (2020), and small where low-level structure gives
    category away. Category effects are seen through :math:`c - p`, category less its probability, alone; where neurons
    know :math:`c` they explain :math:`\sum |c - \bar c|^2 / \sum |c - p|^2` times as much, which is "category".

    References
    ----------
    Lescroart et al. (2015), Front. Comput. Neurosci. 9:135. https://doi.org/10.3389/fncom.2015.00135

    Shah & Peters (2020), Ann. Stat. 48:1514. https://doi.org/10.1214/19-AOS1857
    """
    train, test = models.train, models.test
    left = train.responses - train.low_level
    effects = fit_category_effects(train.unexpected_category(), left)
    both = test.low_level + effects.predict(test.unexpected_category())
    total = _errors(test.responses, train.responses.mean(0).expand_as(test.responses))
    predicted = {
        "L": test.low_level,
        "C": test.category_only,
        "LC": both,
        "CL": test.category_only + test.category_then_low_level,
    }
    # of each image over predicting the mean response
    gains = {name: total - _errors(test.responses, expected) for name, expected in predicted.items()}
    best = max(gains, key=lambda name: float(gains[name].sum()))
    parts = np.stack(
        [
            gains[best],
            gains["LC"] - gains["L"],
            gains["CL"] - gains["C"],
            gains[best] - (gains["LC"] - gains["L"]) - (gains["CL"] - gains["C"]),
            gains["LC"] - gains["L"],
        ]
    )
    whole = np.stack([total, *[gains[best]] * 4])
    left_open, in_all = _open(models)
    # a row for each resample; the extrapolation varies with the images drawn, too
    ratio = np.concatenate([np.ones((1, len(total)), dtype=np.int64), counts])
    shares = (ratio @ parts.T) / (ratio @ whole.T)
    shares[:, 4] *= (ratio @ in_all) / (ratio @ left_open)
    value, intervals = shares[0], np.array([percentile_interval(column) for column in shares[1:].T])
    null = np.full((5, 2), np.nan)
    null[0] = percentile_interval(_shuffled_gains(models, predicted[best], total, generator) / total.sum())
    scale = gains[best].sum()
    null[1] = percentile_interval(_drawn_gains(models, left, gains["L"].sum(), total) / scale)
    null[4] = null[1] * in_all.sum() / left_open.sum()
    null[2] = percentile_interval(_exchanged_gains(models, gains["C"].sum(), total, generator) / scale)
    if not intervals[0, 0] > 0:  # nothing that could be shared
        value[1:], intervals[1:], null[1:] = np.nan, np.nan, np.nan
    names = ("explained", "category_unique", "low_level_unique", "common", "category")
    return Partition(names, value, intervals[:, 0], intervals[:, 1], null[:, 0], null[:, 1])


def _errors(responses: Tensor, predicted: Tensor) -> Float[np.ndarray, "image"]:
    return np.asarray((responses - predicted).square().sum(1).double().numpy())


def _open(models: CategoryModels) -> tuple[Float[np.ndarray, "image"], Float[np.ndarray, "image"]]:
    """Return the squared deviation of each test image's category from what low-level structure and frequency let expect."""
    test = models.test
    known = one_hot(test.category, len(models.names)).double().numpy()
    frequency = np.bincount(models.train.category, minlength=len(models.names)) / len(models.train.category)
    deviation: np.ndarray = ((known - test.probability) ** 2).sum(1)
    overall: np.ndarray = ((known - frequency) ** 2).sum(1)
    return np.maximum(deviation, 1e-12), overall


def _shuffled_gains(
    models: CategoryModels, predicted: Tensor, total: np.ndarray, generator: np.random.Generator
) -> Float[np.ndarray, "draw"]:
    """Return what is gained by predictions for other images."""
    agreement = (models.test.responses @ predicted.T).double().numpy()
    own = float(predicted.square().sum()) + float(models.test.responses.square().sum())
    itself = np.arange(len(agreement))
    orders = [generator.permutation(len(agreement)) for _ in range(len(models.test_draws))]
    return np.array([total.sum() - own + 2 * agreement[itself, order].sum() for order in orders])


def _drawn_gains(models: CategoryModels, left: Tensor, alone: float, total: np.ndarray) -> Float[np.ndarray, "draw"]:
    """Return what is gained by categories drawn from what low-level structure lets expect, effects fitted anew each time."""
    test = models.test
    gains = []
    for drawn_train, drawn_test in zip(models.train_draws, models.test_draws, strict=True):
        effects = fit_category_effects(models.train.unexpected_category(drawn_train), left)
        predicted = test.low_level + effects.predict(test.unexpected_category(drawn_test))
        gains.append((total - _errors(test.responses, predicted)).sum() - alone)
    return np.array(gains)


def _exchanged_gains(
    models: CategoryModels, alone: float, total: np.ndarray, generator: np.random.Generator
) -> Float[np.ndarray, "draw"]:
    """Return what is gained by the low-level structure of another test image of the same category."""
    test = models.test
    gains = []
    for _ in range(len(models.test_draws)):
        other = exchange_within(test.category, generator)
        predicted = test.category_only + test.category_then_low_level[other]
        gains.append((total - _errors(test.responses, predicted)).sum() - alone)
    return np.array(gains)


def exchange_within(category: Int[np.ndarray, "image"], generator: np.random.Generator) -> Int[np.ndarray, "image"]:
    """Permute images at random among those of their own category.

    Examples
    --------
    >>> exchange_within(np.array([0, 1, 0, 2]), np.random.default_rng(1))[[1, 3]]
    array([1, 3])
    """
    shuffled = generator.permutation(len(category))
    other = np.empty(len(category), dtype=np.int64)
    other[np.argsort(category, kind="stable")] = shuffled[np.argsort(category[shuffled], kind="stable")]
    return other
