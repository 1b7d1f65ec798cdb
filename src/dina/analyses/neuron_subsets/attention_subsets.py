"""Neurons selected by attention: keep or discard those that receive most of it, and compare maps."""

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from jaxtyping import Float
from pydantic import Field

from dina.analyses.analysis import AnalysisSettings, DescribedResult
from dina.analyses.attention_interactions.compute import received_attention
from dina.analyses.decoded import Decoded
from dina.analyses.query_trials import mean_contributions
from dina.checks import DataError
from dina.models.towers.neural.paper_neuron_attention import NeuronAttention
from dina.progress import track
from dina.randomness import generator_for
from dina.statistics.finding import Finding
from dina.statistics.intervals import prediction_range, prediction_reach
from dina.statistics.map_similarity import structural_similarity
from dina.statistics.rank_association import rank_correlation
from dina.statistics.resampling import resample_counts

FRACTIONS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)  # of the neurons kept, or discarded, the most attended first


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

    Raises
    ------
    DataError
        If the neural tower has no attention.

    References
    ----------
    Wang et al. (2026), https://doi.org/10.48550/arXiv.2605.04309, for the tower.
    """
    tower = decoded.towers.neural_tower
    if not isinstance(tower, NeuronAttention):
        raise DataError("Selection by attention needs neurons that attend to one another, as in the preset 'paper'.")
    generator = generator_for(decoded.seed, "attention subsets")
    trials = np.sort(generator.permutation(len(decoded.train.responses))[: settings.n_training_trials])
    attention = received_attention(tower, decoded.train.responses[trials])
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
    found = _describe(result, _similarity_of_pairs(decoded, responses, image_maps), mean_contributions(decoded), decoded)
    return replace(result, statistics=found)


def _similarities(
    decoded: Decoded, responses: np.ndarray, image_maps: np.ndarray, order: np.ndarray, *, is_kept: bool
) -> np.ndarray:
    """Similarity by (fraction, image) with the first neurons of a sequence kept, or with these silenced."""
    rows = []
    for fraction in FRACTIONS:
        first = order[: max(1, round(fraction * len(order)))]
        mask = np.full(len(order), not is_kept)
        mask[first] = is_kept
        rows.append(_compare(decoded.towers.encode_responses(responses * mask), image_maps))
    return np.stack(rows)


def _similarity_of_pairs(
    decoded: Decoded, responses: np.ndarray, image_maps: np.ndarray
) -> Float[np.ndarray, "image other_image"]:
    """Structural similarity of every response's maps with every image's."""
    maps = decoded.towers.encode_responses(responses)
    return np.stack([_compare(np.repeat(one[None], len(image_maps), axis=0), image_maps) for one in maps])


def _compare(maps: np.ndarray, image_maps: np.ndarray) -> np.ndarray:
    """Structural similarity of maps with those of as many images, mean over channels."""
    flat, wanted = (m.reshape(-1, *m.shape[2:]) for m in (maps, image_maps))
    # one span for all subsets: that of the image's map
    span = np.maximum(np.ptp(wanted.reshape(len(wanted), -1), axis=1), 1e-6)
    return np.asarray(structural_similarity(flat, wanted, span).reshape(len(maps), -1).mean(axis=1))


def _describe(
    result: AttentionSubsetsResult, pairs: np.ndarray, contribution: np.ndarray, decoded: Decoded
) -> tuple[Finding, ...]:
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
