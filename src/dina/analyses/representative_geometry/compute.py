"""Whether the geometry of a decoding is that of the population or of the few neurons that contribute most."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from pydantic import Field

from dina.analyses.analysis import AnalysisSettings, DescribedResult
from dina.analyses.decoded import Decoded
from dina.analyses.neuron_readout import is_closed_form, readout_of, treatments_of
from dina.analyses.neuron_strength import measure_strength
from dina.analyses.neuron_subsets.subset_curves import Orders, draw_orders
from dina.analyses.paired_resampling import NULL
from dina.analyses.query_trials import QueryTrials, rank_on_training
from dina.analyses.representative_geometry.subset_geometry import (
    ALONE,
    COMPARISONS,
    GeometryReader,
    ImageResponses,
    SubsetGeometry,
    compare_parts,
    part_sizes,
)
from dina.randomness import generator_for
from dina.short_words import brief
from dina.statistics.finding import Finding
from dina.statistics.geometry import MEASURES, inner_products, share_of_signal
from dina.statistics.imagined_image import ImaginedImage
from dina.statistics.intervals import prediction_range, prediction_reach
from dina.statistics.p_values import permuted_totals
from dina.statistics.resampling import resample_counts

FEWEST_DRAWS = 4
MOST_PERMUTATIONS = 1000
IMAGES_PERMUTED = "images of one of the two geometries permuted"
RANDOM = "draws of random subsets"
MATCHED = ("snr_matched", "rate_matched")
# Comparison → beginning of its names as measured, and without noise.
MEASURED = {"part_all": "top_with_all", "rest_all": "others_with_all", "part_rest": "top_with_others"}
CORRECTED = {"part_all": "corrected_top_with_all", "rest_all": "kept_without_top", "part_rest": "corrected_top_with_others"}
NOT_KNOWN = "Noise hides one of the two geometries: halves of the repeats do not agree on it."
_PLACE = {name: number for number, name in enumerate((*COMPARISONS, *ALONE))}


class RepresentativeGeometrySettings(AnalysisSettings):
    """How much is computed.

    Parameters
    ----------
    n_ranking_images
        Training images by which neurons are ranked.
    n_reference_images
        Training images whose scores describe a response.
    n_images
        Most test images whose geometry is compared.
    n_random
        Random sequences of neurons; each gives a subset of every size.
    n_matched
        Sequences matched in signal-to-noise ratio, and as many matched in mean response.
    n_components
        Principal components whose subspaces are compared; at most a quarter of the images.
    n_tower_runs
        Most subsets tried where there is no closed form and each costs a run of the tower; fewer sequences are drawn then, but
        at least four of each kind.
    """

    n_ranking_images: int = Field(500, ge=2)
    n_reference_images: int = Field(250, ge=2)
    n_images: int = Field(150, ge=8)
    n_random: int = Field(20, ge=2)
    n_matched: int = Field(10, ge=2)
    n_components: int = Field(10, ge=1)
    n_tower_runs: int = Field(600, ge=1)


@dataclass(frozen=True, eq=False)
class RepresentativeGeometryResult(DescribedResult):
    """Similarity of geometries by number of neurons, for sequences of neurons that begin in different ways."""

    __repr__ = brief

    compared: SubsetGeometry
    stimulus_id: Int[np.ndarray, "image"]
    n_reference: int  # training images whose scores describe a response

    def to_dataset(self) -> xr.Dataset:
        """Return similarities by (sequence, comparison, measure, part): means, and where one more draw would lie (95 %).

        ``measured`` holds similarities as they are, ``corrected`` those without noise (NaN where a geometry is not known),
        ``dissimilarity`` the dissimilarities of all pairs of images for all neurons, the top tenth and all others.
        """
        compared, axes, ends = self.compared, ("sequence", "comparison", "measure", "part"), ("", "_low", "_high")
        names, reliability = list(compared.measured), _reliability(compared)
        measured = [_with_band(compared.measured[name].mean(axis=0), compared.measured[name]) for name in names]
        corrected = [
            _with_band(_corrected(draws.mean(axis=0), reliability), _corrected(draws, reliability))
            for draws in compared.crossed.values()
        ]
        variables = {
            f"{word}{end}": (axes, np.stack([one[row] for one in values]))
            for word, values in (("measured", measured), ("corrected", corrected))
            for row, end in enumerate(ends)
        }
        shown = {name: one[0, 0] for name, one in {"all": compared.whole, **compared.tenth_geometry}.items()}
        pairs = ("group", "image", "other_image")
        one = {"units": "1"}
        return xr.Dataset(
            {name: (*content, one) for name, content in variables.items()}
            | {
                "reliability": ("measure", reliability, one),
                "dissimilarity": (pairs, np.stack(list(shown.values())).astype(np.float32), one),
                "stimulus_id": ("image", self.stimulus_id, one),
                "other_stimulus_id": ("other_image", self.stimulus_id, one),
            },
            {
                "sequence": names,
                "comparison": list(COMPARISONS),
                "measure": list(MEASURES),
                "part": ("part", np.array(compared.sizes) / compared.n_neurons, {"units": "1", "long_name": "share of neurons"}),
                "group": list(shown),
            },
            {
                "n_neurons": compared.n_neurons,
                "n_tenth": compared.sizes[compared.tenth],
                "n_images": len(self.stimulus_id),
                "n_reference": self.n_reference,
            },
        )


def analyse_representative_geometry(
    decoded: Decoded, settings: RepresentativeGeometrySettings = RepresentativeGeometrySettings()
) -> RepresentativeGeometryResult:
    """Compare the map of test images made by the neurons that contribute most with those made by others, and by all.

    A map describes each response by the scores that the decoder gives training images for it: towers read a neural map by nothing
    else. Neurons are ranked by their contribution to *training* images. Similarity is that of pairs of images (RSA, CKA) and of
    principal subspaces. Similarities as measured are too small, because maps are noisy, and too large, because a part of the neurons
    shares its noise with all; those between halves of the repeats, divided by what the halves share, are neither.

    Raises
    ------
    DataError
        If there are fewer than eight test images.

    References
    ----------
    Bertram et al. (2026), https://arxiv.org/abs/2605.05907, for the question.
    """
    towers, train, seed = decoded.towers, decoded.train, decoded.seed
    responses = ImageResponses.of(decoded, settings.n_images)
    reference = train.images[_spread(train.n_stimuli, settings.n_reference_images)]
    reader = GeometryReader(readout_of(towers, reference), responses, treatments_of(towers)[0], settings.n_components)
    strength = measure_strength(train)
    reasons = {"snr": strength.reason, "rate": strength.rate_reason}
    values = {"snr": strength.signal_to_noise, "rate": strength.mean_response}
    properties = {name: values[name] for name, why in reasons.items() if not why}
    n_random, n_matched = settings.n_random, settings.n_matched
    if not is_closed_form(towers):
        n_runs = 2 * len(part_sizes(train.n_neurons))
        most = max(FEWEST_DRAWS, (settings.n_tower_runs // n_runs - 1) // (1 + len(properties)))
        n_random, n_matched = min(n_random, most), min(n_matched, most)
    ranking = rank_on_training(decoded, settings.n_ranking_images)
    drawn = draw_orders(ranking, properties, n_random, n_matched, generator_for(seed, "subsets of a geometry"))
    orders = {name: order for name, order in drawn.items() if not name.endswith("bottom")}
    compared = compare_parts(reader, orders)
    unmatched = {f"{name}_matched": why for name, why in reasons.items() if why}
    found = [_accuracy(decoded), *describe_geometry(compared, decoded.n_resamples, seed, responses.reason, unmatched)]
    found += _overlap(orders, compared.sizes[compared.tenth], unmatched)
    stimulus_id = decoded.test.stimulus_id[responses.images]
    return RepresentativeGeometryResult(compared, stimulus_id, len(reference), statistics=tuple(found))


def _spread(n: int, most: int) -> Int[np.ndarray, "chosen"]:
    return np.linspace(0, n - 1, min(n, most)).round().astype(np.int64)


def _accuracy(decoded: Decoded) -> Finding:
    """Top-1 accuracy of average responses: where nothing is decoded, a geometry is not that of a decoding."""
    scores = torch.from_numpy(np.asarray(decoded.scores(), dtype=np.float64))
    n, generator = len(scores), generator_for(decoded.seed, "queries assigned elsewhere")
    trials = QueryTrials(decoded.test.images, scores, torch.arange(n), "averaged")
    first = trials.first_places(scores)
    right = np.diagonal(first)
    bootstrap, n_resamples = generator_for(decoded.seed, "bootstrap"), decoded.n_resamples
    resampled = resample_counts(n, n_resamples, bootstrap) @ right / n
    resampled = ImaginedImage.draw(n, n_resamples, bootstrap).join(resampled, 0.0, 1.0)
    null = permuted_totals(first, generator, decoded.n_resamples) / n
    return Finding.from_draws("accuracy_full", float(right.mean()), "1", n, resampled, null, NULL)


def describe_geometry(
    compared: SubsetGeometry, n_resamples: int, seed: int, reason: str = "", unmatched: Mapping[str, str] | None = None
) -> list[Finding]:
    """Return the findings about the tenth of the neurons that contributes most.

    Intervals resample images, the same ones for all findings. Nulls permute the images of one geometry, or are those of random
    tenths of the neurons. ``reason`` says why there are no halves of the repeats ("" where there are), ``unmatched`` of a matched
    sequence why there is none.
    """
    n = compared.whole.shape[-1]
    drawn = resample_counts(n, n_resamples, generator_for(seed, "bootstrap"))
    counts = np.concatenate([np.ones((1, n), dtype=np.int64), drawn])
    images = np.tile(np.arange(n), (min(n_resamples, MOST_PERMUTATIONS), 1))
    permutations = generator_for(seed, "permuted geometries").permuted(images, axis=1)
    found = []
    for number, measure in enumerate(MEASURES):
        first, second = (compared.whole[place, number] for place in ((0, 0) if reason else (1, 2)))
        found.append(_as_measured(f"reliability_{measure}", first, second, counts, permutations, reason))
        named = {"part": compared.tenth_geometry["top"], "rest": compared.tenth_geometry["others"], "all": compared.whole}
        for comparison, head in MEASURED.items():
            one, other = (named[name][0, number] for name in COMPARISONS[comparison])
            found.append(_as_measured(f"{head}_{measure}", one, other, counts, permutations))
        for comparison, head in CORRECTED.items():
            found.append(_beside_random(f"{head}_{measure}", compared, "top", comparison, counts, reason))
        for name in MATCHED:
            why = reason or (unmatched or {}).get(name, "")
            found.append(_beside_random(f"kept_without_{name}_{measure}", compared, name, "rest_all", counts, why))
    return found


def _as_measured(
    name: str,
    one: Float[np.ndarray, "image image"],
    other: Float[np.ndarray, "image image"],
    counts: Int[np.ndarray, "row image"],
    permutations: Int[np.ndarray, "draw image"],
    reason: str = "",
) -> Finding:
    """Similarity of two geometries as it is; null: images of one permuted."""
    if not np.isfinite([one, other]).all():
        reason = reason or "One of the two geometries is the same for all images."
    if reason:
        return Finding(name, np.nan, "1", len(one), reason=reason)
    rows = inner_products(one * other, counts) / np.sqrt(inner_products(one**2, counts) * inner_products(other**2, counts))
    null = np.array([np.vdot(one, other[np.ix_(order, order)]) for order in permutations])
    return Finding.from_draws(name, float(rows[0]), "1", len(one), rows[1:], null, IMAGES_PERMUTED)


def _beside_random(
    name: str, compared: SubsetGeometry, sequence: str, comparison: str, counts: Int[np.ndarray, "row image"], reason: str
) -> Finding:
    """Similarity without noise at the size of a tenth, mean over draws of a sequence; null: random tenths."""
    measure, n = name.rpartition("_")[2], counts.shape[1]
    if reason:
        return Finding(name, np.nan, "1", n, reason=reason)
    number, is_share = MEASURES.index(measure), comparison == "rest_all"
    sums = dict(zip(_PLACE, inner_products(compared.tenth_crossed[sequence][:, number], counts), strict=True))
    whole = inner_products(compared.whole[1, number] * compared.whole[2, number], counts)
    alone = {"part": sums["part_part"], "rest": sums["rest_rest"], "all": whole}
    rows = share_of_signal(sums[comparison], *(alone[side] for side in COMPARISONS[comparison]))
    draws = _corrected(compared.crossed["random"][:, compared.tenth], _reliability(compared))
    random = draws[:, list(COMPARISONS).index(comparison), number]
    if is_share and measure != "subspace":
        rows, random = (values * np.abs(values) for values in (rows, random))
    known = random[np.isfinite(random)]
    null = prediction_range(known) if len(known) >= max(FEWEST_DRAWS, len(random) / 2) else None
    words = RANDOM if null else ""
    return Finding.from_draws(name, float(rows[0]), "1", n, rows[1:], null_range=null, null=words, reason=NOT_KNOWN)


def _overlap(orders: Orders, size: int, unmatched: Mapping[str, str]) -> list[Finding]:
    """Say how many of the neurons matched to the top tenth are in it themselves."""
    shared = {name: np.isin(order[:, :size], orders["top"][0, :size]).mean(axis=1) for name, order in orders.items()}
    low, high = prediction_range(shared["random"])
    null = (max(low, 0.0), high)
    return [
        Finding.from_draws(f"overlap_{name}", float(shared[name].mean()), "1", size, null_range=null, null=RANDOM)
        if name in shared
        else Finding(f"overlap_{name}", np.nan, "1", size, reason=unmatched[name])
        for name in MATCHED
    ]


def _reliability(compared: SubsetGeometry) -> Float[np.ndarray, "measure"]:
    """Return the similarity of the geometry of all neurons in two halves of the repeats; NaN without halves."""
    if len(compared.whole) == 1:
        return np.full(len(MEASURES), np.nan)
    return np.asarray(np.einsum("mij,mij->m", compared.whole[1], compared.whole[2]))


def _corrected(
    crossed: Float[np.ndarray, "*draw inner measure"], reliability: Float[np.ndarray, "measure"]
) -> Float[np.ndarray, "*draw comparison measure"]:
    """Return similarities without noise; NaN without halves, and where a geometry is not known."""
    if not crossed.shape[-2]:
        return np.full((*crossed.shape[:-2], len(COMPARISONS), len(MEASURES)), np.nan)
    alone = {"part": crossed[..., _PLACE["part_part"], :], "rest": crossed[..., _PLACE["rest_rest"], :]}
    alone["all"] = np.broadcast_to(reliability, alone["part"].shape)
    rows = [
        share_of_signal(crossed[..., _PLACE[pair], :], *(alone[side] for side in sides)) for pair, sides in COMPARISONS.items()
    ]
    return np.stack(rows, axis=-2)


def _with_band(
    mean: Float[np.ndarray, "part comparison measure"], draws: Float[np.ndarray, "draw part comparison measure"]
) -> Float[np.ndarray, "3 comparison measure part"]:
    """Return the mean, and between which ends one more draw would lie (95 %)."""
    reach = prediction_reach(draws) if len(draws) > 1 else np.zeros_like(mean)
    return np.stack([mean, mean - reach, mean + reach]).transpose(0, 2, 3, 1)
