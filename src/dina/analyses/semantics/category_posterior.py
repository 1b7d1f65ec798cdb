"""How probable each category is given low-level structure alone, and categories drawn anew from that."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from torch import Tensor

from dina.analyses.semantics.low_level_model import LinearPart, fit_linear_part

PRIOR_COUNT = 1.0
"""Images added to every category when its frequency is taken, so that none has probability 0."""


@dataclass(frozen=True, eq=False)
class CategoryPosterior:
    r"""A classifier of images by low-level statistics whose probabilities can be believed.

    Parameters
    ----------
    linear
        Ridge regression on one-hot categories.
    slope, offset
        Turn its outputs into logits; fitted on left-out training images.
    train
        Probabilities of each training image from all others, rows sum to 1.

    Notes
    -----
    :math:`p(c \mid x) \propto \exp(a f_c(x) + b_c)`, with :math:`f` the ridge regression: one slope and one offset for
    each category are all that the second stage can fit, so that probabilities are calibrated and not overfitted.
    """

    linear: LinearPart
    slope: float
    offset: Float[np.ndarray, "category"]
    train: Float[np.ndarray, "train_image category"]

    def predict(self, statistics: Float[Tensor, "image statistic"]) -> Float[np.ndarray, "image category"]:
        """Return the probability of each category, rows sum to 1."""
        return _probabilities(self.linear.predict(statistics).double().numpy(), self.slope, self.offset)


def fit_posterior(
    statistics: Float[Tensor, "train_image statistic"], category: Int[np.ndarray, "train_image"], n_categories: int
) -> CategoryPosterior:
    """Learn the probability of each category given low-level statistics, from training images.

    Parameters
    ----------
    statistics
        Of the training images.
    category
        Of each, from 0.
    n_categories
        How many there are.
    """
    one_hot = torch.eye(n_categories)[torch.from_numpy(np.asarray(category, dtype=np.int64))]
    linear = fit_linear_part(statistics, one_hot)
    outputs = linear.left_out.double().numpy()
    itself = np.arange(len(outputs))
    start = np.log(np.bincount(category, minlength=n_categories) + PRIOR_COUNT)

    def loss(free: np.ndarray) -> tuple[float, np.ndarray]:
        logits = free[0] * outputs + free[1:]
        wrong = softmax(logits, axis=1)
        value = -float(log_softmax(logits, axis=1)[itself, category].mean())
        wrong[itself, category] -= 1
        return value, np.concatenate([[(wrong * outputs).sum()], wrong.sum(0)]) / len(outputs)

    fitted = minimize(loss, np.concatenate([[1.0], start - start.mean()]), jac=True, method="L-BFGS-B")
    slope, offset = float(max(fitted.x[0], 0.0)), np.asarray(fitted.x[1:])
    return CategoryPosterior(linear, slope, offset, _probabilities(outputs, slope, offset))


def draw_categories(
    probability: Float[np.ndarray, "image category"], n_draws: int, generator: np.random.Generator
) -> Int[np.ndarray, "draw image"]:
    """Draw a category for every image from its probabilities, independently, ``n_draws`` times.

    Where responses depend on the image only through its low-level structure, the true categories are one such draw: any
    statistic of theirs must then look like one of its values over the draws (the conditional randomisation test).

    References
    ----------
    Candès et al. (2018), J. R. Stat. Soc. B 80:551. https://doi.org/10.1111/rssb.12265

    Examples
    --------
    >>> draw_categories(np.array([[1.0, 0.0], [0.0, 1.0]]), 2, np.random.default_rng(0))
    array([[0, 1],
           [0, 1]])
    """
    cumulative = np.cumsum(probability, axis=1)
    cumulative[:, -1] = 1.0  # rounding must not leave a gap above the last category
    uniform = generator.random((n_draws, len(probability)))
    drawn: np.ndarray = (uniform[:, :, None] >= cumulative[None]).sum(2)
    return drawn


def _probabilities(outputs: np.ndarray, slope: float, offset: np.ndarray) -> np.ndarray:
    result: np.ndarray = softmax(slope * outputs + offset, axis=1)
    return result
