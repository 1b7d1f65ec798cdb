"""Neurons kept, or discarded, from some threshold of attention received on: accuracy, and similarity of the rebuilt map."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from dina.analyses.attention_interactions.compute import FRACTIONS
from dina.analyses.decoded import Decoded
from dina.analyses.neuron_readout import TowerReadout
from dina.analyses.paired_resampling import NULL as ELSEWHERE
from dina.analyses.query_trials import QueryTrials
from dina.progress import track
from dina.randomness import generator_for
from dina.statistics.finding import Finding
from dina.statistics.imagined_image import ImaginedImage
from dina.statistics.intervals import null_range, prediction_range
from dina.statistics.map_similarity import structural_similarity
from dina.statistics.p_values import permuted_totals
from dina.statistics.resampling import resample_counts

KEPT = FRACTIONS[:-1]  # of the neurons: those at or above the threshold
MEASURES = ("ssim", "accuracy")
WAYS = ("kept", "discarded")
NULLS = {"random": "draws of random neurons", "snr_matched": "draws of neurons matched in signal-to-noise ratio"}
OR_ELSEWHERE = ", or queries assigned to other images, whichever is wider"
OTHER_MAPS = "maps of all neurons for other test images"
STATED = KEPT.index(0.1)  # the size of which numbers are stated


@dataclass(frozen=True, eq=False)
class ThresholdSweep:
    """Top-1 accuracy, and similarity to the map of all neurons, by share of the neurons at or above a threshold of attention."""

    threshold: Float[np.ndarray, "fraction"]  # attention received relative to equal attention
    values: Mapping[str, Float[np.ndarray, "draw measure way fraction image"]]  # "attended" has one draw
    candidates: Mapping[str, Float[np.ndarray, "way image candidate"]]  # how often each comes first, mean over draws and shares
    first: Float[np.ndarray, "image candidate"]  # how often each candidate comes first, all neurons kept
    other_ssim: Float[np.ndarray, "image other"]  # similarity of the maps of all neurons for different images
    n_gallery: int  # images among which each is sought; those that are queries themselves are listed as candidates


class _Map:
    """Maps and scores of test responses of which some neurons are silenced: set to their mean over training trials."""

    def __init__(self, decoded: Decoded, n_images: int) -> None:
        n_images = min(n_images, decoded.test.n_stimuli)
        responses = torch.from_numpy(decoded.test.averaged()[:n_images])
        self.trials = QueryTrials(decoded.test.images, responses, torch.arange(n_images), "averaged")
        self.towers = decoded.towers
        self.readout = TowerReadout.of(decoded.towers, torch.from_numpy(decoded.test.images))
        self.presentations = torch.from_numpy(decoded.test.total_presentations()[:n_images].astype(np.float32))
        self.whole, self.scores = self._run(torch.ones(decoded.train.n_neurons))
        self.span = np.maximum(np.ptp(self.whole.reshape(*self.whole.shape[:2], -1), axis=2), 1e-6)

    @torch.no_grad()
    def _run(self, mask: torch.Tensor) -> tuple[np.ndarray, torch.Tensor]:
        maps = self.towers.neural_tower((self.trials.responses * mask).to(self.towers.device))
        presentations = self.presentations.to(maps.device)
        scores = self.towers.comparison(maps, self.readout.image_maps, presentations)
        return maps.float().cpu().numpy(), scores.double().cpu()

    def compare(self, maps: np.ndarray, images: Int[np.ndarray, "image"]) -> Float[np.ndarray, "image"]:
        """Return the similarity of maps with the maps of all neurons for some images, mean over channels."""
        flat, whole = (each.reshape(-1, *each.shape[2:]) for each in (maps, self.whole[images]))
        return np.asarray(structural_similarity(flat, whole, self.span[images].ravel()).reshape(len(maps), -1).mean(axis=1))

    def of_subsets(
        self, order: Int[np.ndarray, "neuron"]
    ) -> Iterator[tuple[Float[np.ndarray, "image"], Float[np.ndarray, "image candidate"]]]:
        """Yield similarities and first places with the first neurons of an order kept, then with these discarded, for every size."""
        images = np.arange(len(self.whole))
        for is_kept in (True, False):
            for fraction in KEPT:
                mask = torch.full((len(order),), float(not is_kept))
                mask[torch.from_numpy(order[: n_kept(len(order), fraction)].copy())] = float(is_kept)
                maps, scores = self._run(mask)
                yield self.compare(maps, images), self.trials.first_places(scores)[:, : len(images)]


def n_kept(n_neurons: int, fraction: float) -> int:
    """Return how many neurons a share of all amounts to, at least one.

    Examples
    --------
    >>> n_kept(60, 0.01), n_kept(60, 0.1)
    (1, 6)
    """
    return max(1, round(fraction * n_neurons))


def sweep_thresholds(
    decoded: Decoded,
    attention: Float[np.ndarray, "neuron"],
    orders: Mapping[str, Int[np.ndarray, "draw neuron"]],
    n_images: int,
) -> ThresholdSweep:
    """Keep and discard the first neurons of every order: "attended", the most attended first, "random" and "snr_matched".

    ``attention`` is relative to equal attention. Average responses to at most ``n_images`` test images are sought among all of them.
    """
    population = _Map(decoded, n_images)
    jobs = [(name, order) for name, several in orders.items() for order in several]
    found: dict[str, list[np.ndarray]] = {name: [] for name in orders}
    candidates: dict[str, list[np.ndarray]] = {name: [] for name in orders}
    for name, order in track(jobs, "Keeping and discarding neurons"):
        similar, first = (np.stack(each) for each in zip(*population.of_subsets(order), strict=True))
        rows = np.stack([similar, np.diagonal(first, axis1=1, axis2=2)])
        found[name].append(rows.reshape(len(MEASURES), len(WAYS), len(KEPT), -1))
        candidates[name].append(first.reshape(len(WAYS), len(KEPT), *first.shape[1:]).mean(axis=1))
    ranked, images = attention[orders["attended"][0]], np.arange(len(population.whole))
    threshold = np.array([ranked[n_kept(len(ranked), fraction) - 1] for fraction in KEPT])
    other = np.stack([population.compare(np.repeat(one[None], len(images), axis=0), images) for one in population.whole])
    first = population.trials.first_places(population.scores)[:, : len(images)]
    values = {name: np.stack(several) for name, several in found.items()}
    return ThresholdSweep(
        threshold,
        values,
        {name: np.mean(each, axis=0) for name, each in candidates.items()},
        first,
        other,
        decoded.test.n_stimuli,
    )


def describe_sweep(sweep: ThresholdSweep, decoded: Decoded, why_unmatched: str) -> tuple[Finding, ...]:
    """Return what all neurons and the most attended tenth give, and what attended neurons give beyond others, mean over thresholds.

    ``why_unmatched`` says why there are no neurons of the same signal-to-noise ratio, "" where there are.
    """
    n = len(sweep.first)
    bootstrap = generator_for(decoded.seed, "bootstrap")
    counts = resample_counts(n, decoded.n_resamples, bootstrap) / n
    resampled = ImaginedImage.draw(n, decoded.n_resamples, bootstrap).join(counts @ np.diagonal(sweep.first), 0.0, 1.0)
    whole = np.diagonal(sweep.first)
    elsewhere = permuted_totals(sweep.first, generator_for(decoded.seed, "assignments"), decoded.n_resamples) / n
    found = [Finding.from_draws("accuracy_all", float(whole.mean()), "1", n, resampled, elsewhere, ELSEWHERE)]
    other, generator = [], generator_for(decoded.seed, "other maps")
    for _ in counts:
        order = generator.permutation(n)  # every image gets the map of the next one in a random order, never its own
        other.append(sweep.other_ssim[order, np.roll(order, 1)].mean())
    kept = sweep.values["attended"][0, 0, 0, STATED]
    found.append(
        Finding.from_draws("ssim_kept_10_percent", float(kept.mean()), "1", n, counts @ kept, np.array(other), OTHER_MAPS)
    )
    for measure in MEASURES:
        for way in WAYS:
            for who in NULLS:
                if who in sweep.values:
                    found.append(_difference(sweep, (way, who, measure), counts, decoded.seed))
                else:
                    found.append(Finding(f"{way}_attended_minus_{who}_{measure}", np.nan, "1", n, reason=why_unmatched))
    return tuple(found)


def _difference(
    sweep: ThresholdSweep, what: tuple[str, str, str], counts: Float[np.ndarray, "resample image"], seed: int
) -> Finding:
    """Return what attended neurons give beyond others, mean over thresholds.

    Accuracies that are chance differ, too: one map for all responses finds each image equally often, others find few images.
    """
    way, who, measure = what
    row, column, words = MEASURES.index(measure), WAYS.index(way), NULLS[who]
    drawn = sweep.values[who][:, row, column].mean(axis=1)
    gain = sweep.values["attended"][0, row, column].mean(axis=0) - drawn.mean(axis=0)
    null = prediction_range(drawn.mean(axis=1), 0.0)
    if measure == "accuracy":
        tables = sweep.candidates["attended"][column] - sweep.candidates[who][column]
        elsewhere = null_range(permuted_totals(tables, generator_for(seed, "assignments"), len(counts)) / len(gain))
        words += OR_ELSEWHERE
        null = max((null, elsewhere), key=lambda ends: ends[1] - ends[0])
    name = f"{way}_attended_minus_{who}_{measure}"
    return Finding.from_draws(name, float(gain.mean()), "1", len(gain), counts @ gain, null_range=null, null=words)
