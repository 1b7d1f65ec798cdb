"""Semantic or low-level: how much category explains of responses and their decoding beyond low-level structure, and the reverse."""

import math

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from dina.analyses.analysis import AnalysisSettings, PlainResult
from dina.analyses.decoded import Decoded
from dina.analyses.semantics.category_models import CategoryModels, categorise, fit_category_models
from dina.analyses.semantics.category_retrieval import (
    DECODERS,
    DRAWN,
    ELSEWHERE,
    EXCHANGED,
    CategoryRetrieval,
    compare_all_galleries,
    exchange_within,
    retrieve_by_category,
)
from dina.analyses.semantics.linear_models import fit_category_effects, one_hot
from dina.data.pairs import make_task
from dina.models.noise import decompose_residuals
from dina.randomness import generator_for
from dina.shapes import Scores, stimulus_coordinates
from dina.statistics.finding import Finding
from dina.statistics.resampling import resample_counts

# Quantity in the dataset → finding, in this order.
PARTITION = {
    "explained": "explained_variance",
    "category_unique": "category_unique_share",
    "low_level_unique": "low_level_unique_share",
    "common": "common_share",
    "category": "category_share",
}

ACCURACY = "category_accuracy_"
SHUFFLED = "categories permuted over images"
NOTHING_EXPLAINED = "Neither low-level structure nor category explains any variance of the test responses."
NOISE_COMPONENTS = 128
SHRINKAGE = 0.3
N_PERMUTATIONS = 200


class SemanticsSettings(AnalysisSettings):
    """How many draws: for every null, categories are drawn anew from low-level structure ``n_draws`` times."""

    n_draws: int = Field(200, ge=40)


DEFAULTS = SemanticsSettings()


def analyse_semantics(decoded: Decoded, settings: SemanticsSettings = DEFAULTS) -> PlainResult:
    """Test whether responses and their decoding carry the category of an image beyond its low-level structure.

    Low-level structure is everything that Gabor channels at each place and whole-image statistics predict; category is
    the label of the image. The decoders made here are able to use category, so that the answer could also be "semantic".
    Towers are measured beside them where they were fitted. All intervals share the bootstrap resamples of the labelled test images.
    Findings are:

    - ``explained_variance`` of averaged test responses by the best model; of that, ``category_unique_share``,
      ``low_level_unique_share``, ``common_share``, and ``category_share``: in all, extrapolated from where low-level
      structure leaves category open.
    - ``low_level_bits``, ``category_bits``, ``joint_bits``: information about the image of each decoder;
      ``category_gain_bits``, ``low_level_gain_bits``: that one adds to the other.
    - ``category_accuracy_…``: balanced accuracy from ``responses``, ``partialled``, ``low_level``, ``luminance``.
    - ``category_uncertainty``: fraction of the categories' entropy that low-level structure leaves open.
    - ``same_class_cost_…``, ``low_level_cost_…``, ``same_class_rivals_…``, ``same_class_errors_…`` for each decoder.

    Raises
    ------
    DataError
        If the recording has no labels, or too few categories or labelled images.
    """
    parts = categorise(decoded)
    seed = decoded.seed
    models = fit_category_models(parts, settings.n_draws, seed)
    counts = resample_counts(parts.test.n_stimuli, decoded.n_resamples, generator_for(seed, "semantics bootstrap"))
    retrieval = retrieve_by_category(models, generator_for(seed, "semantics exchange of retrieval"))
    scores: dict[str, Scores] = {}
    if decoded.fitted is not None:
        task = make_task(parts.test, "averaged")
        scores["towers"] = np.asarray(decoded.fitted.score(task.queries, task.gallery), dtype=np.float64)
    scores |= {name: matrix for name, matrix in zip(DECODERS, retrieval.scores, strict=True) if name != "category"}
    partition = _partition_responses(models, counts, generator_for(seed, "semantics exchange of variance"))
    accuracy = _decode_categories(models, counts, generator_for(seed, "semantics permutation"))
    galleries = compare_all_galleries(scores, models, retrieval, counts, generator_for(seed, "semantics galleries"))
    share = {"units": "fraction of the explained variance", "long_name": "first entry: fraction of all variance"}
    variables = {
        **_variables("variance_share", "quantity", partition, share),
        "bits": (("decoder", "query"), retrieval.bits, {"units": "bit"}),
        "bits_given_category": ("query", retrieval.low_level_bits_given_category, {"units": "bit"}),
        "gain_null": ("draw", retrieval.gain_null, {"units": "bit"}),
        "low_level_gain_null": ("draw", retrieval.low_level_gain_null, {"units": "bit"}),
        **_variables("category_accuracy", "source", accuracy, {"units": "1", "long_name": "balanced accuracy"}),
    }
    coordinates = {
        **stimulus_coordinates({"query": parts.test.stimulus_id}),
        "quantity": list(PARTITION),
        "decoder": list(DECODERS),
        "source": [finding.name.removeprefix(ACCURACY) for finding in accuracy],
    }
    attributes = {"categories": ", ".join(parts.names), "n_images": parts.test.n_stimuli, "n_categories": len(parts.names)}
    attributes["n_test_categories"] = len(np.unique(models.test.category))
    uncertainty = _uncertainty(models, counts)
    findings = (*partition, *_bit_findings(retrieval, counts), *accuracy, uncertainty, *galleries.statistics)
    return PlainResult(galleries.arrays.assign(variables).assign_coords(coordinates).assign_attrs(attributes), findings)


def _variables(
    name: str, axis: str, findings: tuple[Finding, ...], attributes: dict[str, str]
) -> dict[str, tuple[str, np.ndarray, dict[str, str]]]:
    """Return values, intervals and nulls of findings as arrays along one axis."""
    ends = {"": "value", "_low": "low", "_high": "high", "_null_low": "null_low", "_null_high": "null_high"}
    return {name + end: (axis, np.array([getattr(one, part) for one in findings]), attributes) for end, part in ends.items()}


def _partition_responses(
    models: CategoryModels, counts: Int[np.ndarray, "resample image"], generator: np.random.Generator
) -> tuple[Finding, ...]:
    r"""Split the explained variance of the test responses between low-level structure and category, as in `PARTITION`.

    Each part is the gain in explained variance on test images when one description is added to the other. We regress
    category on low-level features and add only the residual, so that category is credited with low-level structure only
    where the encoding model and the classifier fail in the same way. Shares are NaN where nothing is explained.

    Notes
    -----
    With :math:`R^2_L, R^2_C` of one description and :math:`R^2_{LC}, R^2_{CL}` of both in either order, the unique
    parts are :math:`R^2_{LC} - R^2_L` and :math:`R^2_{CL} - R^2_C`, divided by the largest of the four; the rest of
    that is common to both.
    The first is doubly robust in the sense of Shah & Peters (2020), and small where low-level structure determines
    category. It shows category effects through :math:`c - p` alone, category minus its probability; neurons that depend on
    :math:`c` explain :math:`\sum |c - \bar c|^2 / \sum |c - p|^2` times as much: the share of category in all.

    References
    ----------
    Lescroart et al. (2015), Front. Comput. Neurosci. 9:135. https://doi.org/10.3389/fncom.2015.00135

    Shah & Peters (2020), Ann. Stat. 48:1514. https://doi.org/10.1214/19-AOS1857
    """
    train, test = models.train, models.test
    residuals = train.responses - train.low_level
    effects = fit_category_effects(train.residual_category(), residuals)
    total = _errors(test.responses, train.responses.mean(0).expand_as(test.responses))
    predicted = {
        "L": test.low_level,
        "C": test.category_only,
        "LC": test.low_level + effects.predict(test.residual_category()),
        "CL": test.category_only + test.category_then_low_level,
    }
    # of each image over predicting the mean response
    gains = {name: total - _errors(test.responses, expected) for name, expected in predicted.items()}
    best = max(gains, key=lambda name: float(gains[name].sum()))
    category, low_level = gains["LC"] - gains["L"], gains["CL"] - gains["C"]
    parts = np.stack([gains[best], category, low_level, gains[best] - category - low_level, category])
    whole = np.stack([total, *[gains[best]] * 4])
    left_open, in_all = _squared_residuals(models)
    # a row for each resample; the extrapolation varies with the images drawn, too
    rows = np.concatenate([np.ones((1, len(total)), dtype=np.int64), counts])
    shares = (rows @ parts.T) / (rows @ whole.T)
    shares[:, 4] *= (rows @ in_all) / (rows @ left_open)
    scale = gains[best].sum()
    elsewhere = _shuffled_gains(models, list(predicted.values()), total, generator) / total.sum()
    others = [exchange_within(test.category, generator) for _ in range(len(models.test_draws))]
    by_drawn = (test.low_level + added for added in models.drawn_effects(residuals))
    by_others = (test.category_only + test.category_then_low_level[other] for other in others)
    drawn, exchanged = (
        np.array([(total - _errors(test.responses, expected)).sum() - gains[alone].sum() for expected in made]) / scale
        for made, alone in ((by_drawn, "L"), (by_others, "C"))
    )
    nulls = (elsewhere, drawn, exchanged, None, drawn * in_all.sum() / left_open.sum())
    words = (ELSEWHERE, DRAWN, EXCHANGED, "", DRAWN)
    found = [
        Finding.from_draws(name, float(shares[0, k]), "1", len(total), shares[1:, k], nulls[k], words[k])
        for k, name in enumerate(PARTITION.values())
    ]
    if not found[0].low > 0:  # nothing that could be shared
        found[1:] = [Finding(one.name, math.nan, "1", one.n, null=one.null, reason=NOTHING_EXPLAINED) for one in found[1:]]
    return tuple(found)


def _errors(responses: Tensor, predicted: Tensor) -> Float[np.ndarray, "image"]:
    return np.asarray((responses - predicted).square().sum(1).double().numpy())


def _squared_residuals(models: CategoryModels) -> tuple[Float[np.ndarray, "image"], Float[np.ndarray, "image"]]:
    """Return the squared deviation of each test image's category from its probability, and from the overall frequency."""
    test = models.test
    known = one_hot(test.category, len(models.names)).double().numpy()
    frequency = np.bincount(models.train.category, minlength=len(models.names)) / len(models.train.category)
    left_open: np.ndarray = ((known - test.probability) ** 2).sum(1)
    in_all: np.ndarray = ((known - frequency) ** 2).sum(1)
    return np.maximum(left_open, 1e-12), in_all


def _shuffled_gains(
    models: CategoryModels, predicted: list[Tensor], total: np.ndarray, generator: np.random.Generator
) -> Float[np.ndarray, "draw"]:
    """Return the gains by predictions for other images, of whichever description then gains most."""
    agreement = np.stack([(models.test.responses @ one.T).double().numpy() for one in predicted])
    squares = np.array([float(one.square().sum()) for one in predicted]) + float(models.test.responses.square().sum())
    queries = np.arange(len(total))
    orders = [generator.permutation(len(queries)) for _ in range(len(models.test_draws))]
    return np.array([(total.sum() - squares + 2 * agreement[:, queries, order].sum(axis=1)).max() for order in orders])


@torch.no_grad()
def _decode_categories(
    models: CategoryModels, counts: Int[np.ndarray, "resample image"], generator: np.random.Generator
) -> tuple[Finding, ...]:
    """Read the category of every test image from four sources; return balanced accuracies, each category counting the same.

    Sources are "responses", by a linear decoder; "partialled", the same without the responses that low-level structure
    predicts; "low_level" statistics of the image, without neurons; its mean "luminance" and contrast alone. In the null,
    categories are permuted over test images; for "partialled" they are drawn from low-level structure, and the decoder is
    fitted anew.
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
    found = []
    for name, guess in guesses.items():
        if name == "partialled":
            pairs = zip(models.train_draws, models.test_draws, strict=True)
            null = [_balanced(partialled.guess(of_train), of_test)[0] for of_train, of_test in pairs]
        else:
            null = [_balanced(guess, generator.permutation(test.category))[0] for _ in range(N_PERMUTATIONS)]
        value, resampled = float(_balanced(guess, test.category)[0]), _balanced(guess, test.category, counts)
        words = DRAWN if name == "partialled" else SHUFFLED
        found.append(Finding.from_draws(ACCURACY + name, value, "1", len(guess), resampled, np.array(null), words))
    return tuple(found)


class _LinearDecoder:
    """Gaussian classes with one shared noise covariance: linear in the response, every category equally probable."""

    def __init__(self, train: Tensor, test: Tensor, category: np.ndarray, n_categories: int) -> None:
        self.train = train
        self.n_categories = n_categories
        effects = fit_category_effects(one_hot(category, n_categories), train)
        residuals = train - effects.predict(one_hot(category, n_categories))
        self.noise = decompose_residuals(residuals).noise(NOISE_COMPONENTS, SHRINKAGE)
        self.whitened = self.noise.divide(test - train.mean(0))

    def guess(self, category: Int[np.ndarray, "train_image"]) -> Int[np.ndarray, "image"]:
        """Return the most probable category of every test image, class means learnt from these training categories."""
        effects = fit_category_effects(one_hot(category, self.n_categories), self.train)
        means = effects.predict(torch.eye(self.n_categories)) - effects.intercept
        norms = 0.5 * (self.noise.divide(means) * means).sum(1)
        return np.asarray((self.whitened @ means.T - norms).argmax(1).numpy())


def _balanced(
    guess: Int[np.ndarray, "image"], category: Int[np.ndarray, "image"], counts: Int[np.ndarray, "resample image"] | None = None
) -> Float[np.ndarray, "resample"]:
    """Return the mean over categories of the fraction of correct guesses; categories without images stay out."""
    weight = np.ones((1, len(guess))) if counts is None else counts
    members = np.eye(int(category.max()) + 1)[category]
    shown = weight @ members
    correct = weight @ (members * (guess == category)[:, None])
    fraction = np.divide(correct, shown, out=np.full(shown.shape, np.nan), where=shown > 0)
    balanced: np.ndarray = np.nanmean(fraction, axis=1)
    return balanced


def _bit_findings(retrieval: CategoryRetrieval, counts: np.ndarray) -> list[Finding]:
    low_level, category, joint = retrieval.bits
    rows = {
        "category_gain_bits": (joint - low_level, retrieval.gain_null, DRAWN),
        "low_level_gain_bits": (retrieval.low_level_bits_given_category - category, retrieval.low_level_gain_null, EXCHANGED),
    }
    for name, bits, null in zip(DECODERS, retrieval.bits, retrieval.bits_null, strict=True):
        rows[f"{name}_bits"] = bits, null, ELSEWHERE
    return [
        Finding.from_draws(name, float(bits.mean()), "bit", len(bits), counts @ bits / len(bits), null, words)
        for name, (bits, null, words) in rows.items()
    ]


def _uncertainty(models: CategoryModels, counts: np.ndarray) -> Finding:
    """Return the cross-entropy of the categories given low-level structure, as a share of that given their frequency."""
    test = models.test
    frequency = np.bincount(models.train.category, minlength=len(models.names)) + 1.0
    surprise = -np.log(np.maximum(test.probability[np.arange(len(test.category)), test.category], 1e-12))
    prior = -np.log((frequency / frequency.sum())[test.category])
    value = float(surprise.sum() / prior.sum())
    return Finding.from_draws("category_uncertainty", value, "1", len(prior), (counts @ surprise) / (counts @ prior))
