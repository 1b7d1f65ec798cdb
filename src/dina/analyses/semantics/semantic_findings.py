"""The statistics of category and low-level structure as findings: names, intervals, nulls and reasons."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from dina.analyses.semantics.category_decoding import CategoryAccuracy
from dina.analyses.semantics.category_models import CategoryModels
from dina.analyses.semantics.category_retrieval import CategoryRetrieval, score_drawn
from dina.analyses.semantics.response_partition import Partition
from dina.analyses.semantics.semantic_galleries import (
    best_distractors,
    compare_galleries,
    low_level_distances,
)
from dina.shapes import Scores
from dina.statistics.finding import Finding
from dina.statistics.intervals import wilson_interval
from dina.statistics.resampling import percentile_interval

DRAWN = "categories drawn from what low-level structure lets expect"
EXCHANGED = "low-level structure of other images of the same category"
ELSEWHERE = "pairs permuted over images"
SHUFFLED = "categories permuted over images"
FEWEST_ERRORS = 5
"""Wrong retrievals below which their rate of own category is not given."""


@dataclass(frozen=True, eq=False)
class GalleryStatistics:
    """Same-class and cross-class galleries for every decoder that was asked.

    Parameters
    ----------
    names
        "towers" (where fitted), "low_level", "joint".
    two_way, two_way_low, two_way_high
        Accuracy against single distractors by category (own, other) and low-level distance (near, far), and its 95 %
        interval; NaN where there are no such distractors.
    findings
        What follows from them, and from the best wrong candidates.
    """

    names: tuple[str, ...]
    two_way: Float[np.ndarray, "scored_by 2 2"]
    two_way_low: Float[np.ndarray, "scored_by 2 2"]
    two_way_high: Float[np.ndarray, "scored_by 2 2"]
    findings: tuple[Finding, ...]


def compare_all_galleries(
    scores: dict[str, Scores],
    models: CategoryModels,
    retrieval: CategoryRetrieval,
    counts: Int[np.ndarray, "resample image"],
    generator: np.random.Generator,
) -> GalleryStatistics:
    """Ask every decoder's scores what distractors of the own category cost, and which candidates it takes by mistake.

    Parameters
    ----------
    scores
        Decoder → scores of the averaged test responses, own images on the diagonal.
    models, retrieval
        Give categories, draws, and the low-level model whose view sets distances.
    counts
        Bootstrap resamples of the test images.
    generator
        Of the permutations behind the null of the low-level cost.
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
        cost, effect = wins.same_class_cost(counts), wins.low_level_cost(counts)
        findings += [
            _finding(f"same_class_cost_{name}", wins.same_class_cost()[0], "1", n, cost, drawn[0], DRAWN),
            _finding(f"low_level_cost_{name}", wins.low_level_cost()[0], "1", n, effect, shuffled, ELSEWHERE),
            *_mistakes(name, matrix, test.category, drawn),
        ]
    value, low, high = (np.stack(arrays) for arrays in zip(*tables, strict=True))
    return GalleryStatistics(tuple(scores), value, low, high, tuple(findings))


def _shuffled_costs(
    scores: Scores, distances: np.ndarray, category: np.ndarray, n_draws: int, generator: np.random.Generator
) -> Float[np.ndarray, "draw"]:
    """Return the low-level cost when queries are assigned to other images."""
    orders = [generator.permutation(len(scores)) for _ in range(n_draws)]
    return np.array([compare_galleries(scores[order], distances, category).low_level_cost()[0] for order in orders])


def _centred(scores: Scores) -> Scores:
    """Subtract each image's mean score, so that an image preferred whatever the response wins nothing by it."""
    centred: np.ndarray = scores - scores.mean(axis=0)
    return centred


Drawn = tuple[Float[np.ndarray, "draw"], Float[np.ndarray, "draw"], Float[np.ndarray, "draw"]]
"""Under categories drawn anew: cost of the own category, and its rate among best distractors and among wrong retrievals."""


def _drawn_fixed(scores: Scores, models: CategoryModels, distances: np.ndarray) -> Drawn:
    """Draw categories for a decoder that knows none: its scores stay."""
    cost = compare_galleries(_centred(scores), distances, models.test_draws).same_class_cost()
    rates = np.array([_rates(scores, category)[:2] for category in models.test_draws])
    return cost, rates[:, 0], rates[:, 1]


def _drawn_joint(models: CategoryModels, retrieval: CategoryRetrieval, distances: np.ndarray) -> Drawn:
    """Draw categories for the decoder that reads them: its effects of category are fitted anew, and it scores anew."""
    rows = []
    for draw, category in enumerate(models.test_draws):
        scores = score_drawn(models, retrieval.joint, draw)
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
        ends = (*wilson_interval(rate, n), *percentile_interval(null[np.isfinite(null)]))
        findings.append(Finding(f"same_class_{kind}_{name}", rate, "1", n, *ends, DRAWN))
    return findings


def list_findings(
    models: CategoryModels,
    partition: Partition,
    retrieval: CategoryRetrieval,
    accuracy: CategoryAccuracy,
    galleries: GalleryStatistics,
    counts: Int[np.ndarray, "resample image"],
) -> tuple[Finding, ...]:
    """Return all findings of the analysis.

    - ``explained_variance``: fraction of the variance of averaged test responses that the best model explains.
    - ``category_unique_share``, ``low_level_unique_share``, ``common_share``: of that; ``category_share``: of that, in
      all, extrapolated from where low-level structure leaves category open.
    - ``category_gain_bits``, ``low_level_gain_bits``: information about the image that one adds to the other;
      ``low_level_bits``, ``category_bits``, ``joint_bits``: what each decoder tells.
    - ``category_accuracy_…`` from ``responses``, ``partialled``, ``low_level``, ``luminance``: balanced accuracy.
    - ``category_uncertainty``: fraction of the categories' entropy that low-level structure leaves open.
    - ``same_class_cost_…``, ``low_level_cost_…``, ``same_class_rivals_…``, ``same_class_errors_…`` for ``towers``,
      ``low_level`` and ``joint``.

    Parameters
    ----------
    models
        What is expected of every test image from category, from low-level structure, and from both.
    partition
        Shares of the explained variance.
    retrieval
        What each decoder tells about the image shown.
    accuracy
        Of reading the category.
    galleries
        Distractors of the own and of other categories, near and far.
    counts
        How often each bootstrap resample drew each test image.
    """
    n = retrieval.bits.shape[1]
    return (
        *_partition_findings(partition, n),
        *_bit_findings(retrieval, counts),
        *(
            Finding(
                f"category_accuracy_{name}",
                *(float(accuracy.value[k]), "1", n, float(accuracy.low[k]), float(accuracy.high[k])),
                *(float(accuracy.null_low[k]), float(accuracy.null_high[k])),
                DRAWN if name == "partialled" else SHUFFLED,
            )
            for k, name in enumerate(accuracy.names)
        ),
        _uncertainty(models, counts),
        *galleries.findings,
    )


def _partition_findings(partition: Partition, n: int) -> list[Finding]:
    names = ("explained_variance", "category_unique_share", "low_level_unique_share", "common_share", "category_share")
    nulls = (ELSEWHERE, DRAWN, EXCHANGED, "", DRAWN)
    nothing = "Neither low-level structure nor category explains any variance of the test responses."
    return [
        Finding(
            name,
            *(float(partition.value[k]), "1", n, float(partition.low[k]), float(partition.high[k])),
            *(float(partition.null_low[k]), float(partition.null_high[k])),
            nulls[k],
            nothing if math.isnan(partition.value[k]) else "",
        )
        for k, name in enumerate(names)
    ]


def _bit_findings(retrieval: CategoryRetrieval, counts: np.ndarray) -> list[Finding]:
    low_level, category, joint = retrieval.bits
    given = retrieval.low_level_bits_given_category
    n = len(low_level)

    def mean_of(name: str, values: np.ndarray, null: np.ndarray | None = None, words: str = "") -> Finding:
        return _finding(name, float(values.mean()), "bit", n, counts @ values / n, null, words)

    return [
        mean_of("category_gain_bits", joint - low_level, retrieval.gain_null, DRAWN),
        mean_of("low_level_gain_bits", given - category, retrieval.low_level_gain_null, EXCHANGED),
        *(
            mean_of(f"{name}_bits", bits, null, ELSEWHERE)
            for name, bits, null in zip(retrieval.decoders, retrieval.bits, retrieval.bits_null, strict=True)
        ),
    ]


def _uncertainty(models: CategoryModels, counts: np.ndarray) -> Finding:
    test = models.test
    frequency = np.bincount(models.train.category, minlength=len(models.names)) + 1.0
    surprise = -np.log(np.maximum(test.probability[np.arange(len(test.category)), test.category], 1e-12))
    prior = -np.log((frequency / frequency.sum())[test.category])
    resampled = (counts @ surprise) / (counts @ prior)
    return _finding("category_uncertainty", float(surprise.sum() / prior.sum()), "1", len(prior), resampled, None, "")


def _finding(name: str, value: float, unit: str, n: int, resampled: np.ndarray, null: np.ndarray | None, words: str) -> Finding:
    if not math.isfinite(value):
        return Finding(name, math.nan, unit, n, reason="No test image has a distractor of its own category.")
    low, high = percentile_interval(resampled[np.isfinite(resampled)])
    null_low, null_high = (math.nan, math.nan) if null is None else percentile_interval(null[np.isfinite(null)])
    return Finding(name, float(value), unit, n, low, high, null_low, null_high, words)
