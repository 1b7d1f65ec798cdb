"""Attention between neurons: how they gate and read one another, and whether the most attended ones make the map."""

from dataclasses import dataclass, replace

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from dina.analyses.analysis import AnalysisSettings, DescribedResult
from dina.analyses.decoded import Decoded
from dina.analyses.paid_attention import attention_tower, received_attention
from dina.analyses.query_trials import mean_contributions
from dina.checks import DataError
from dina.models.towers.neural.paper_neuron_attention import NeuronAttention
from dina.progress import track
from dina.randomness import generator_for
from dina.short_words import brief
from dina.statistics.finding import Finding
from dina.statistics.intervals import jackknife_interval, prediction_range, prediction_reach
from dina.statistics.map_similarity import structural_similarity
from dina.statistics.rank_association import rank_correlation
from dina.statistics.resampling import resample_counts

NULL = "attended neurons permuted"
FEWEST = 4  # neurons needed to measure an asymmetry
MOST_NEURONS = 5000
FRACTIONS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)  # of the neurons kept, or discarded, the most attended first
MEANING = {
    "P": "gate: product of the attending and the attended neuron's response",
    "Q": "gate: response of the attending neuron",
    "R": "gate: response of the attended neuron",
    "T": "gate: independent of responses",
    "G": "read: response of the attended neuron",
    "H": "read: independent of the response",
}


class AttentionInteractionsSettings(AnalysisSettings):
    """How much is shown.

    Parameters
    ----------
    n_training_trials
        Trials of training images over which received attention is averaged.
    n_shown
        Neurons whose matrices are kept, those that receive most attention.
    n_permutations
        For the null.
    """

    n_training_trials: int = Field(32, ge=1)
    n_shown: int = Field(100, ge=1)
    n_permutations: int = Field(200, ge=2)


@dataclass(frozen=True, eq=False)
class AttentionInteractionsResult(DescribedResult):
    """The matrices P, Q, R, T, G and H (see `attention_matrices`) among the most attended neurons, the most attended first."""

    __repr__ = brief

    matrices: xr.Dataset  # axes ``asking`` and ``asked`` hold indices of neurons
    attention: Float[np.ndarray, "neuron"]  # of every neuron, mean over training trials and attending neurons; sums to 1

    def to_dataset(self) -> xr.Dataset:
        """Return the matrices by (asking, asked) neuron, and the attention received by neuron."""
        return self.matrices.assign(received_attention=("neuron", self.attention, {"units": "1"}))


def analyse_attention_interactions(
    decoded: Decoded, settings: AttentionInteractionsSettings = AttentionInteractionsSettings()
) -> AttentionInteractionsResult:
    """Read off the published tower how neurons gate and read one another.

    The matrices are weights of the fitted tower. They show what it computes, not whether decoding needs this. No test image is read.
    `DataError` says where the neural tower has no attention.
    """
    generator = generator_for(decoded.seed, "attention interactions")
    tower, attention = _attend(decoded, settings.n_training_trials, generator)
    shown = np.argsort(-attention, kind="stable")[: settings.n_shown]
    matrices = attention_matrices(tower, shown)
    generator = generator_for(decoded.seed, "permuted neurons")
    found = tuple(_asymmetry(name, matrices[name].to_numpy(), settings.n_permutations, generator) for name in MEANING)
    return AttentionInteractionsResult(matrices, attention, statistics=found)


def _attend(decoded: Decoded, n_trials: int, generator: np.random.Generator) -> tuple[NeuronAttention, np.ndarray]:
    """Return the neural tower, and the attention that each neuron receives in some training trials drawn at random."""
    tower = attention_tower(decoded)
    trials = np.sort(generator.permutation(len(decoded.train.responses))[:n_trials])
    return tower, received_attention(tower, decoded.train.responses[trials])


@torch.no_grad()
def attention_matrices(tower: NeuronAttention, neurons: Int[np.ndarray, "chosen"] | None = None) -> xr.Dataset:
    """Return the matrices P, Q, R, T, G, H of the neuron attention among some neurons (default: all), dimensionless.

    With responses r scaled to [0, 1] neuron i gives neuron j the score :math:`r_j (r_i P_{ij} + R_{ij}) + r_i Q_{ij} + T_{ij}` and
    reads :math:`r_j G_{ij} + H_{ij}` from it. They are weights: large ones need not matter for what is decoded. The axes are
    ``asking`` (attending) and ``asked`` (attended neuron); the attribute ``asymmetry`` is `_antisymmetric_share`.

    Raises
    ------
    DataError
        If there are more than 5,000 neurons: six matrices would not fit.

    References
    ----------
    Wang et al. (2026), https://doi.org/10.48550/arXiv.2605.04309, for the tower, whose attention these weights make.
    """
    chosen = np.arange(tower.n_neurons) if neurons is None else neurons
    if len(chosen) > MOST_NEURONS:
        raise DataError(f"At most {MOST_NEURONS} neurons can be shown in six matrices; got {len(chosen)}. Choose some of them.")
    part = torch.from_numpy(chosen)
    factors = tower.factors()
    query, key, value = (factor[:, part].cpu() for factor in factors[:3])
    readout = factors.readout[part].cpu()
    products = {name: query[a] @ key[b].T for name, a, b in (("P", 0, 0), ("Q", 0, 1), ("R", 1, 0), ("T", 1, 1))}
    products |= {name: readout @ value[b].T for name, b in (("G", 0), ("H", 1))}
    variables = {
        name: (
            ("asking", "asked"),
            matrix.numpy(),
            {"units": "1", "long_name": MEANING[name], "asymmetry": _antisymmetric_share(matrix)},
        )
        for name, matrix in products.items()
    }
    indices = {"units": "1", "long_name": "indices of neurons"}
    return xr.Dataset(variables, {axis: (axis, chosen, indices) for axis in ("asking", "asked")})


def _antisymmetric_share(matrix: Tensor) -> float:
    """Return the share of the squared norm of a square matrix that is antisymmetric; NaN for zeros.

    It is 0 if every pair acts both ways alike, one half for unrelated directions, 1 if all are opposed.
    """
    whole = float(matrix.square().sum())
    return float((matrix - matrix.T).square().sum()) / 4 / whole if whole > 0 else float("nan")


def _asymmetry(
    letter: str, matrix: Float[np.ndarray, "asking asked"], n_permutations: int, generator: np.random.Generator
) -> Finding:
    """Share of the squared norm that is antisymmetric, with an interval from leaving one neuron out at a time."""
    name, n, weights = f"asymmetry_{letter}", len(matrix), torch.from_numpy(matrix)
    value = _antisymmetric_share(weights)
    if n < FEWEST or np.isnan(value):
        return Finding(name, np.nan, "1", n, reason="Too few neurons, or the matrix is zero.")
    without = np.empty(n)
    for neuron in range(n):
        others = torch.arange(n) != neuron
        without[neuron] = _antisymmetric_share(weights[others][:, others])
    low, high = jackknife_interval(value, without)
    null = np.array([_antisymmetric_share(weights[:, torch.from_numpy(generator.permutation(n))]) for _ in range(n_permutations)])
    return Finding.from_draws(name, value, "1", n, null_draws=null, null=NULL, interval=(max(low, 0.0), min(high, 1.0)))


class AttentionSubsetSettings(AnalysisSettings):
    """How much is computed; every subset costs a run of the tower.

    Parameters
    ----------
    n_training_trials
        Trials of training images whose attention is averaged.
    n_images
        Test images whose maps are compared.
    n_random
        Random subsets of every size.
    """

    n_training_trials: int = Field(32, ge=1)
    n_images: int = Field(64, ge=3)
    n_random: int = Field(6, ge=2)


@dataclass(frozen=True, eq=False)
class AttentionSubsetsResult(DescribedResult):
    """Similarity of the image's map with the neural map of some neurons, all others at their mean response."""

    __repr__ = brief

    attention: Float[np.ndarray, "neuron"]  # received, mean over training trials and attending neurons; sums to 1
    similarity: dict[str, Float[np.ndarray, "fraction image"]]  # "kept", "discarded", "random" (mean over draws)
    random: Float[np.ndarray, "draw fraction"]  # by random draw, mean over images

    def to_dataset(self) -> xr.Dataset:
        """Return attention by neuron, similarity by (selection, fraction), and where one more random draw would lie."""
        mean, reach, one = self.random.mean(axis=0), prediction_reach(self.random), {"units": "1"}
        similarity = np.stack([values.mean(axis=1) for values in self.similarity.values()])
        return xr.Dataset(
            {
                "attention": ("neuron", self.attention, one),
                "similarity": (("selection", "fraction"), similarity, one),
                "random_low": ("fraction", mean - reach, one),
                "random_high": ("fraction", mean + reach, one),
            },
            {"selection": list(self.similarity), "fraction": ("fraction", np.array(FRACTIONS), one)},
        )


def analyse_attention_subsets(
    decoded: Decoded, settings: AttentionSubsetSettings = AttentionSubsetSettings()
) -> AttentionSubsetsResult:
    """Keep or discard neurons by the attention they receive, and compare maps.

    The published tower suggests such a selection; how the article selects neurons we do not know. Attention is taken from
    training trials. Maps of test responses are compared with the maps of the images shown, beside random subsets of the same
    size. Attention says how much a neuron is attended to, not what is read from it: compare it with contributions.
    `DataError` says where the neural tower has no attention.
    """
    generator = generator_for(decoded.seed, "attention subsets")
    _, attention = _attend(decoded, settings.n_training_trials, generator)
    n_images = min(settings.n_images, decoded.test.n_stimuli)
    responses = decoded.test.averaged()[:n_images]
    image_maps = decoded.towers.encode_images(decoded.test.images[:n_images])
    order = np.argsort(-attention, kind="stable")
    orders = [order, *(generator.permutation(len(order)) for _ in range(settings.n_random))]
    kept = [_similarities(decoded, responses, image_maps, one, is_kept=True) for one in track(orders, "Keeping neurons")]
    similarity = {
        "kept": kept[0],
        "discarded": _similarities(decoded, responses, image_maps, order, is_kept=False),
        "random": np.mean(kept[1:], axis=0),
    }
    drawn = np.stack([one.mean(axis=1) for one in kept[1:]])
    result = AttentionSubsetsResult(attention, similarity, drawn)
    maps = decoded.towers.encode_responses(responses)
    pairs = np.stack([_compare(np.repeat(one[None], n_images, axis=0), image_maps) for one in maps])
    return replace(result, statistics=_describe(result, pairs, mean_contributions(decoded), decoded))


def _similarities(
    decoded: Decoded, responses: np.ndarray, image_maps: np.ndarray, order: np.ndarray, *, is_kept: bool
) -> np.ndarray:
    """Similarity by (fraction, image) with the first neurons of a sequence kept, or with these silenced."""
    rows = []
    for fraction in FRACTIONS:
        mask = np.full(len(order), not is_kept)
        mask[order[: max(1, round(fraction * len(order)))]] = is_kept
        rows.append(_compare(decoded.towers.encode_responses(responses * mask), image_maps))
    return np.stack(rows)


def _compare(maps: np.ndarray, image_maps: np.ndarray) -> np.ndarray:
    """Structural similarity of maps with those of as many images, mean over channels."""
    flat, wanted = (m.reshape(-1, *m.shape[2:]) for m in (maps, image_maps))
    # one span for all subsets: that of the image's map
    span = np.maximum(np.ptp(wanted.reshape(len(wanted), -1), axis=1), 1e-6)
    return np.asarray(structural_similarity(flat, wanted, span).reshape(len(maps), -1).mean(axis=1))


def _describe(
    result: AttentionSubsetsResult, pairs: np.ndarray, contribution: np.ndarray, decoded: Decoded
) -> tuple[Finding, ...]:
    """``pairs`` holds the structural similarity of every response's maps with every image's."""
    n_images = len(pairs)
    counts = resample_counts(n_images, decoded.n_resamples, generator_for(decoded.seed, "bootstrap")) / n_images
    generator, images = generator_for(decoded.seed, "assignments"), np.arange(n_images)
    null = np.array([pairs[images, generator.permutation(images)].mean() for _ in counts])
    whole = result.similarity["kept"][-1]
    kept, random = (result.similarity[name][:-1].mean(0) for name in ("kept", "random"))
    gain = kept - random
    draws, words = prediction_range(result.random[:, :-1].mean(1), 0.0), "draws of random subsets"
    name, value, resampled = "kept_attended_minus_random_ssim", float(gain.mean()), counts @ gain
    return (
        Finding.from_draws("ssim_all", float(whole.mean()), "1", n_images, counts @ whole, null, "other images' maps"),
        Finding.from_draws(name, value, "1", n_images, resampled, null_range=draws, null=words),
        rank_correlation("attention_with_contribution", result.attention, contribution),
    )
