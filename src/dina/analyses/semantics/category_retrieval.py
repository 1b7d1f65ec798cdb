"""Retrieval by decoders that use category, low-level structure or both: their information in bits, and which distractors win."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool, Float, Int
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from torch import Tensor

from dina.analyses.analysis import PlainResult
from dina.analyses.semantics.category_models import CategoryModels, ModelledImages
from dina.analyses.semantics.linear_models import fit_category_effects, left_out_effects
from dina.models.noise import LowRankNoise, decompose_residuals
from dina.shapes import Scores
from dina.statistics.finding import Finding
from dina.statistics.intervals import wilson_interval

COMPONENT_COUNTS = (0, 32, 128)
SHRINKAGE = 0.3
# Probability that a decoder guesses: no query, however surely misread, then weighs more than a few bits.
LAPSE = 0.02

# Wrong retrievals below which the rate of the same category among them is not given.
FEWEST_ERRORS = 5

NO_DISTRACTOR = "No test image has a distractor of its category."

DECODERS = ("low_level", "category", "joint")
DRAWN = "categories drawn from the probabilities that low-level structure gives them"
EXCHANGED = "low-level structure of other images of the same category"
ELSEWHERE = "pairs permuted over images"

Distances = Float[np.ndarray, "image image"]


@dataclass(frozen=True, eq=False)
class LikelihoodDecoder:
    """The noise about an encoding model, of the residuals on training images left out of its fit, and how far to trust it.

    The log likelihood is multiplied by ``sharpness``, in (0, 1] and chosen on validation images, before it is turned into a
    probability.
    """

    noise: LowRankNoise
    sharpness: float

    @classmethod
    @torch.no_grad()
    def fit(
        cls,
        residuals: Float[Tensor, "train_image neuron"],
        responses: Float[Tensor, "validation_image neuron"],
        evoked: Float[Tensor, "validation_image neuron"],
    ) -> "LikelihoodDecoder":
        """Learn the noise from training residuals; choose its size and the sharpness by the bits on validation images."""
        components = decompose_residuals(residuals)
        tried = []
        for n_components in COMPONENT_COUNTS:
            plain = cls(components.noise(n_components, SHRINKAGE), 1.0)
            scores = plain.score(responses, evoked)
            found = minimize_scalar(
                lambda free, scores=scores: -np.diagonal(_bits(np.exp(free) * scores)).mean(),
                bounds=(-12.0, 0.0),
                method="bounded",
            )
            tried.append((float(found.fun), cls(plain.noise, float(np.exp(found.x)))))
        return min(tried, key=lambda one: one[0])[1]

    def score(self, responses: Float[Tensor, "query neuron"], evoked: Float[Tensor, "gallery neuron"]) -> Scores:
        """Return the log likelihood of every candidate up to a term of the query alone."""
        return np.asarray(self.noise.log_likelihood(responses, evoked).double().numpy())

    def information(self, scores: Scores) -> Float[np.ndarray, "query gallery"]:
        """Return the bits by which each candidate became more probable; the target of each query is on the diagonal."""
        return _bits(self.sharpness * scores)


@dataclass(frozen=True, eq=False)
class CategoryRetrieval:
    """Retrieval with the averaged test responses by the three `DECODERS` on the same gallery.

    ``bits`` are the information about the image shown, ``bits_null`` their mean when queries are assigned to other images.
    ``low_level_bits_given_category`` are those of a decoder that uses category, and low-level structure for its residuals.
    ``gain_null`` holds the mean bits that categories drawn from low-level structure add to low-level structure,
    ``low_level_gain_null`` those that the low-level structure of other images of the same category adds to category.
    """

    low_level_noise: LowRankNoise
    joint: LikelihoodDecoder
    scores: Float[np.ndarray, "decoder query gallery"]
    bits: Float[np.ndarray, "decoder query"]
    low_level_bits_given_category: Float[np.ndarray, "query"]
    bits_null: Float[np.ndarray, "decoder draw"]
    gain_null: Float[np.ndarray, "draw"]
    low_level_gain_null: Float[np.ndarray, "draw"]


@torch.no_grad()
def retrieve_by_category(models: CategoryModels, generator: np.random.Generator) -> CategoryRetrieval:
    r"""Score the test gallery by each description of the images and by both; the generator draws the nulls.

    Notes
    -----
    The information in a query is :math:`\log_2 G + \log_2 p_t`, with :math:`p = 0.98\,\mathrm{softmax}(a s) + 0.02 / G`
    over the :math:`G` candidates and one sharpness :math:`a` for each decoder, chosen on validation images. Its mean is a
    lower bound of the mutual information between response and image in this gallery. Unlike top-1 accuracy it also varies
    where retrieval is nearly perfect or nearly hopeless.
    """
    train, validation, test = models.train, models.validation, models.test
    left = train.responses - train.low_level
    effects = fit_category_effects(train.residual_category(), left)
    added = [left_out_effects(train.residual_category(), left, effects)]
    added += [effects.predict(part.residual_category()) for part in (validation, test)]
    parts = (train, validation, test)
    expected = {
        "low_level": [part.low_level for part in parts],
        "category": [part.category_only for part in parts],
        "joint": [part.low_level + more for part, more in zip(parts, added, strict=True)],
        "given_category": [part.category_only + part.category_then_low_level for part in parts],
    }
    fitted = {
        name: LikelihoodDecoder.fit(train.responses - of_train, validation.responses, of_validation)
        for name, (of_train, of_validation, _) in expected.items()
    }
    scores = {name: fitted[name].score(test.responses, evoked[2]) for name, evoked in expected.items()}
    everywhere = {name: fitted[name].information(scores[name]) for name in expected}
    bits = {name: np.diagonal(matrix) for name, matrix in everywhere.items()}
    n_draws = len(models.test_draws)
    return CategoryRetrieval(
        fitted["low_level"].noise,
        fitted["joint"],
        np.stack([scores[name] for name in DECODERS]),
        np.stack([bits[name] for name in DECODERS]),
        bits["given_category"],
        np.stack([_shuffled(everywhere[name], n_draws, generator) for name in DECODERS]),
        np.array([_mean_bits(fitted["joint"], scored) for scored in _score_drawn(models, fitted["joint"])])
        - bits["low_level"].mean(),
        _exchanged(test, fitted["given_category"], n_draws, generator) - bits["category"].mean(),
    )


def _shuffled(
    bits: Float[np.ndarray, "query gallery"], n_draws: int, generator: np.random.Generator
) -> Float[np.ndarray, "draw"]:
    queries = np.arange(len(bits))
    return np.array([bits[queries, generator.permutation(len(bits))].mean() for _ in range(n_draws)])


@torch.no_grad()
def _score_drawn(models: CategoryModels, decoder: LikelihoodDecoder) -> Iterator[Scores]:
    """Score the test gallery by low-level structure and the categories of each draw; the decoder of both keeps its noise."""
    test = models.test
    for added in models.drawn_effects(models.train.responses - models.train.low_level):
        yield decoder.score(test.responses, test.low_level + added)


def _exchanged(
    test: ModelledImages, decoder: LikelihoodDecoder, n_draws: int, generator: np.random.Generator
) -> Float[np.ndarray, "draw"]:
    found = []
    for _ in range(n_draws):
        other = exchange_within(test.category, generator)
        scores = decoder.score(test.responses, test.category_only + test.category_then_low_level[other])
        found.append(_mean_bits(decoder, scores))
    return np.array(found)


def _mean_bits(decoder: LikelihoodDecoder, scores: Scores) -> float:
    return float(np.diagonal(decoder.information(scores)).mean())


def _bits(logits: Scores) -> Float[np.ndarray, "query gallery"]:
    n_gallery = logits.shape[1]
    probability = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
    bits: np.ndarray = np.log2(n_gallery * ((1 - LAPSE) * probability + LAPSE / n_gallery))
    return bits


def exchange_within(category: Int[np.ndarray, "image"], generator: np.random.Generator) -> Int[np.ndarray, "image"]:
    """Permute images at random among those of their own category."""
    shuffled = generator.permutation(len(category))
    other = np.empty(len(category), dtype=np.int64)
    other[np.argsort(category, kind="stable")] = shuffled[np.argsort(category[shuffled], kind="stable")]
    return other


@dataclass(frozen=True, eq=False)
class _GalleryWins:
    """How often each query's target beats single distractors, in four galleries of equal size in pairs.

    For every distractor of the target's category there is one of another category at the nearest low-level distance (drawn
    with replacement). "Near" distractors are those nearer than the query's median distance. ``same`` and ``other`` sum 1 for
    a win and ½ for a tie over near and over far distractors; ``n`` counts those of either gallery.
    """

    same: Float[np.ndarray, "draw query near_far"]
    other: Float[np.ndarray, "draw query near_far"]
    n: Int[np.ndarray, "draw query near_far"]

    def same_class_cost(self, counts: Int[np.ndarray, "resample query"] | None = None) -> Float[np.ndarray, "resample"]:
        """Return accuracy against other categories minus that against the same one, of each draw or resample."""
        difference, n = (self.other - self.same).sum(2), self.n.sum(2)
        return _ratio(difference, n, counts)

    def low_level_cost(self, counts: Int[np.ndarray, "resample query"] | None = None) -> Float[np.ndarray, "resample"]:
        """Return accuracy against far distractors minus that against near ones, both categories together."""
        near, far = (_ratio((self.same + self.other)[..., k], 2 * self.n[..., k], counts) for k in (0, 1))
        difference: np.ndarray = far - near
        return difference

    def accuracy(self, counts: Int[np.ndarray, "resample query"] | None = None) -> Float[np.ndarray, "resample 2 2"]:
        """Return two-way accuracy by category (same, other) and distance (near, far)."""
        cells = [[_ratio(wins[..., k], self.n[..., k], counts) for k in (0, 1)] for wins in (self.same, self.other)]
        accuracy: np.ndarray = np.moveaxis(np.array(cells), 2, 0)
        return accuracy


def low_level_distances(
    expected: Float[Tensor, "image neuron"], noise: LowRankNoise, statistics: Float[Tensor, "image statistic"]
) -> Distances:
    """Return how different images are in low-level structure, for these neurons and as a whole.

    It is the root of the sum of two squared distances, each divided by its mean over pairs: between the responses that
    low-level structure predicts, in units of noise; and between whole-image statistics, z-scored by training images.
    """
    seen = _squared_distances(expected, noise.divide(expected))
    whole = _squared_distances(statistics, statistics)
    both = seen / seen.mean().clamp_min(1e-12) + whole / whole.mean().clamp_min(1e-12)
    distances: np.ndarray = both.clamp_min(0).sqrt().double().numpy()
    return distances


def compare_galleries(scores: Scores, distances: Distances, categories: Int[np.ndarray, "draw image"]) -> _GalleryWins:
    """Compare the target of every query with distractors of its category and with matched ones of other categories.

    Scores of targets are on the diagonal. The categories are the true ones as one row, or many draws of them.
    """
    n_images = len(scores)
    target = np.diagonal(scores)[:, None]
    won = (target > scores) + 0.5 * (target == scores)
    n_draws = len(categories)
    sums = {name: np.zeros((n_draws, n_images, 2)) for name in ("same", "other", "n")}
    for query in range(n_images):
        order = np.argsort(distances[query], kind="stable")
        order = order[order != query]
        apart = distances[query, order]
        is_same = categories[:, order] == categories[:, query, None]
        partner = _nearest_other(is_same, apart)
        is_near = np.arange(len(order)) < len(order) // 2
        wins = won[query, order]
        possible = is_same & (partner >= 0)
        for half, where in enumerate((is_near, ~is_near)):
            chosen = possible & where
            sums["n"][:, query, half] = chosen.sum(1)
            sums["same"][:, query, half] = chosen @ wins
            sums["other"][:, query, half] = (chosen * wins[partner]).sum(1)
    return _GalleryWins(sums["same"], sums["other"], sums["n"].astype(np.int64))


def best_distractors(scores: Scores) -> Int[np.ndarray, "query"]:
    """Return for each query the candidate other than its target with the highest score."""
    others = scores.copy()
    np.fill_diagonal(others, -np.inf)
    return np.asarray(others.argmax(axis=1))


def _nearest_other(is_same: Bool[np.ndarray, "draw candidate"], apart: Float[np.ndarray, "candidate"]) -> np.ndarray:
    """Return for every position the nearest one (in distance from the query) of another category, or -1 if none is."""
    position = np.arange(is_same.shape[1])
    before = np.maximum.accumulate(np.where(is_same, -1, position), axis=1)
    far = is_same.shape[1]
    after = np.minimum.accumulate(np.where(is_same, far, position)[:, ::-1], axis=1)[:, ::-1]
    gap_before = np.where(before >= 0, apart - apart[before], np.inf)
    gap_after = np.where(after < far, apart[np.minimum(after, far - 1)] - apart, np.inf)
    nearest: np.ndarray = np.where(gap_before <= gap_after, before, after)
    nearest[np.isinf(np.minimum(gap_before, gap_after))] = -1
    return nearest


def _ratio(
    total: Float[np.ndarray, "draw query"], n: Int[np.ndarray, "draw query"], counts: np.ndarray | None
) -> Float[np.ndarray, "resample"]:
    """Sum over queries, or over resamples of the first draw's queries, and divide; NaN where there is nothing."""
    top, bottom = (values.sum(1) if counts is None else counts @ values[0] for values in (total, n))
    ratio: np.ndarray = np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)
    return ratio


def _squared_distances(first: Tensor, dual: Tensor) -> Tensor:
    product = first.double() @ dual.double().T
    square = product.diagonal()
    squared: Tensor = (square[:, None] + square[None] - product - product.T).clamp_min(0)
    return squared


def compare_all_galleries(
    scores: dict[str, Scores],
    models: CategoryModels,
    retrieval: CategoryRetrieval,
    counts: Int[np.ndarray, "resample image"],
    generator: np.random.Generator,
) -> PlainResult:
    """Measure for every decoder the cost of distractors of the same category, and which candidates it takes by mistake.

    Decoders are "towers" (where fitted), "low_level" and "joint". ``two_way`` is the accuracy against single distractors by category
    and low-level distance, with its 95 % interval; NaN where there are no such distractors. The bootstrap resamples of the test images
    are given as ``counts``; the generator draws the null of the low-level cost.
    """
    test = models.test
    distances = low_level_distances(test.low_level, retrieval.low_level_noise, test.statistics)
    truth = test.category[None]
    n_draws = len(models.test_draws)
    findings: list[Finding] = []
    tables = []
    for name, matrix in scores.items():
        centred = _centred(matrix)
        wins = compare_galleries(centred, distances, truth)
        shuffled = _shuffled_costs(centred, distances, truth, n_draws // 2, generator)
        drawn = _drawn_joint(models, retrieval, distances) if name == "joint" else _drawn_fixed(matrix, models, distances)
        low, high = np.nanquantile(wins.accuracy(counts), [0.025, 0.975], axis=0)
        tables.append((wins.accuracy()[0], low, high))
        n = int((wins.n.sum(2) > 0).sum())
        same_class = float(wins.same_class_cost()[0]), "1", n, wins.same_class_cost(counts)
        low_level = float(wins.low_level_cost()[0]), "1", n, wins.low_level_cost(counts)
        findings += [
            Finding.from_draws(f"same_class_cost_{name}", *same_class, drawn[0], DRAWN, NO_DISTRACTOR),
            Finding.from_draws(f"low_level_cost_{name}", *low_level, shuffled, ELSEWHERE, NO_DISTRACTOR),
            *_mistakes(name, matrix, test.category, drawn),
        ]
    axes, shown = ("scored_by", "category", "distance"), ("two_way", "two_way_low", "two_way_high")
    arrays = {name: (axes, np.stack(of), {"units": "1"}) for name, of in zip(shown, zip(*tables, strict=True), strict=True)}
    coordinates = {"scored_by": list(scores), "category": ["own", "other"], "distance": ["near", "far"]}
    return PlainResult(xr.Dataset(arrays, coordinates), tuple(findings))


def _shuffled_costs(
    scores: Scores, distances: np.ndarray, category: np.ndarray, n_draws: int, generator: np.random.Generator
) -> Float[np.ndarray, "draw"]:
    """Return the low-level cost when queries are assigned to other images."""
    orders = [generator.permutation(len(scores)) for _ in range(n_draws)]
    return np.array([compare_galleries(scores[order], distances, category).low_level_cost()[0] for order in orders])


def _centred(scores: Scores) -> Scores:
    """Subtract each image's mean score, so that an image that a decoder always prefers gains nothing by it."""
    centred: np.ndarray = scores - scores.mean(axis=0)
    return centred


# Under drawn categories: cost of the same category, and its rate among best distractors and among wrong retrievals.
Drawn = tuple[Float[np.ndarray, "draw"], Float[np.ndarray, "draw"], Float[np.ndarray, "draw"]]


def _drawn_fixed(scores: Scores, models: CategoryModels, distances: np.ndarray) -> Drawn:
    """Draw categories for a decoder that uses none: its scores stay."""
    cost = compare_galleries(_centred(scores), distances, models.test_draws).same_class_cost()
    rates = np.array([_rates(scores, category)[:2] for category in models.test_draws])
    return cost, rates[:, 0], rates[:, 1]


def _drawn_joint(models: CategoryModels, retrieval: CategoryRetrieval, distances: np.ndarray) -> Drawn:
    """Draw categories for the decoder that uses them: its effects of category are fitted anew, and it scores anew."""
    rows = []
    for category, scores in zip(models.test_draws, _score_drawn(models, retrieval.joint), strict=True):
        cost = compare_galleries(_centred(scores), distances, category[None]).same_class_cost()[0]
        rows.append((cost, *_rates(scores, category)[:2]))
    columns = np.array(rows).T
    return columns[0], columns[1], columns[2]


def _rates(scores: Scores, category: Int[np.ndarray, "image"]) -> tuple[float, float, int]:
    """Return how often the best candidate beside the target is of its category, over all and over wrong retrievals."""
    rival = best_distractors(scores)
    is_same = category == category[rival]
    is_wrong = scores[np.arange(len(scores)), rival] >= np.diagonal(scores)
    n_wrong = int(is_wrong.sum())
    return float(is_same.mean()), float(is_same[is_wrong].mean()) if n_wrong else math.nan, n_wrong


def _mistakes(name: str, scores: Scores, category: np.ndarray, drawn: Drawn) -> list[Finding]:
    of_all, of_wrong, n_wrong = _rates(scores, category)
    findings = []
    for kind, rate, n, null in (("rivals", of_all, len(scores), drawn[1]), ("errors", of_wrong, n_wrong, drawn[2])):
        if n < FEWEST_ERRORS:
            reason = f"Only {n} of {len(scores)} test images are retrieved wrongly; {FEWEST_ERRORS} are needed."
            findings.append(Finding(f"same_class_{kind}_{name}", math.nan, "1", n, reason=reason))
            continue
        interval = wilson_interval(rate, n)
        findings.append(Finding.from_draws(f"same_class_{kind}_{name}", rate, "1", n, None, null, DRAWN, interval=interval))
    return findings
