"""Towers fitted anew without the most attended neurons: which neurons take their place, and what is lost."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from pydantic import Field

from dina.analyses.analysis import AnalysisSettings, DescribedResult
from dina.analyses.attention_received.attention_hubs import most_attended, receive_attention
from dina.analyses.attention_received.threshold_sweep import n_kept
from dina.analyses.decoded import Arrays, Decoded
from dina.analyses.neuron_strength import measure_strength
from dina.analyses.paid_attention import attention_tower
from dina.analyses.paired_resampling import NULL as ELSEWHERE
from dina.analyses.paired_resampling import WIDER, PairedResampling
from dina.analyses.query_trials import QueryTrials
from dina.progress import track
from dina.randomness import generator_for
from dina.short_words import brief
from dina.statistics.finding import Finding
from dina.statistics.intervals import prediction_range
from dina.statistics.rank_association import spearman_with_interval

OTHER_SEEDS = "towers fitted on all neurons with other seeds"
NEAREST = 5  # neurons of the nearest signal-to-noise ratio, one of which is drawn


class SilencedHubsSettings(AnalysisSettings):
    """How many neurons are silenced, and how often towers are fitted: ``1 + 2 * n_refits`` times, each as long as the run itself.

    Parameters
    ----------
    fraction
        Of the neurons, the most attended, that are taken away.
    n_refits
        Other seeds with which all neurons are fitted, and draws of other neurons of the same signal-to-noise ratios taken away.
    n_training_images
        Training images over which the attention received is averaged, one trial of each.
    """

    fraction: float = Field(0.1, gt=0, le=0.25)
    n_refits: int = Field(3, ge=2)
    n_training_images: int = Field(32, ge=2)


@dataclass(frozen=True, eq=False)
class SilencedHubsResult(DescribedResult):
    """The attention that the remaining neurons receive, relative to equal attention among them; NaN for neurons taken away."""

    __repr__ = brief

    before: Float[np.ndarray, "neuron"]  # of all neurons, in the towers at hand
    without_hubs: Float[np.ndarray, "neuron"]
    other_seeds: Float[np.ndarray, "refit neuron"]  # of all neurons
    without_matched: Float[np.ndarray, "refit neuron"]
    hubs: Int[np.ndarray, "hub"]  # the neurons taken away

    def to_dataset(self) -> xr.Dataset:
        """Return the attention received by neuron, before and after, and the neurons that were taken away."""
        one, index = {"units": "1"}, {"units": "1", "long_name": "indices of neurons"}
        return xr.Dataset(
            {
                "before": ("neuron", self.before, one),
                "without_hubs": ("neuron", self.without_hubs, one),
                "other_seeds": (("refit", "neuron"), self.other_seeds, one),
                "without_matched": (("refit", "neuron"), self.without_matched, one),
            },
            {"hub": ("hub", self.hubs, index)},
        )


def analyse_silenced_hubs(decoded: Decoded, settings: SilencedHubsSettings = SilencedHubsSettings()) -> SilencedHubsResult:
    """Fit towers anew without the most attended neurons, and look who receives attention then.

    Being attended may belong to a neuron, or to the random weights with which a fit begins: the same towers fitted on all neurons
    with other seeds tell. What is lost is compared with towers fitted without other neurons of the same signal-to-noise ratios.
    `DataError` says where the neural tower has no attention.
    """
    attention_tower(decoded)
    n = decoded.train.n_neurons
    before = receive_attention(decoded, settings.n_training_images).mean
    generator = generator_for(decoded.seed, "silenced hubs")
    order, n_hubs = most_attended(before, generator), n_kept(n, settings.fraction)
    strength = measure_strength(decoded.train)
    ratio = np.zeros(n) if strength.reason else strength.signal_to_noise
    # among the others, those of the same ratios; without ratios any
    matched = [_others_like(order, n_hubs, ratio, generator) for _ in range(settings.n_refits)]
    jobs = {"without hubs": (order[:n_hubs], decoded.seed)}
    for row, taken in enumerate(matched):
        jobs[f"without matched {row}"] = (taken, decoded.seed)
        jobs[f"other seed {row}"] = (order[:0], decoded.seed + 1 + row)
    fits = {
        name: decoded.parts.get(name, partial(_refit, decoded, *job, settings.n_training_images))
        for name, job in track(jobs.items(), "Fitting towers anew")
    }
    groups = {name: np.stack([fits[f"{name} {row}"]["attention"] for row in range(settings.n_refits)])
              for name in ("without matched", "other seed")}  # fmt: skip
    result = SilencedHubsResult(
        before, fits["without hubs"]["attention"], groups["other seed"], groups["without matched"], np.sort(order[:n_hubs])
    )
    return replace(result, statistics=_describe(result, order, fits, decoded))


def _others_like(
    order: Int[np.ndarray, "neuron"], n_hubs: int, ratio: Float[np.ndarray, "neuron"], generator: np.random.Generator
) -> Int[np.ndarray, "taken"]:
    """Return as many neurons as there are hubs, none of them a hub, with about their signal-to-noise ratios."""
    free = np.isin(np.arange(len(order)), order[:n_hubs], invert=True)
    taken = []
    for hub in generator.permutation(order[:n_hubs]):
        near = np.flatnonzero(free)
        near = near[np.argsort(np.abs(np.nan_to_num(ratio[near]) - np.nan_to_num(ratio[hub])), kind="stable")[:NEAREST]]
        taken.append(int(generator.choice(near)))
        free[taken[-1]] = False
    return np.array(taken)


def _refit(decoded: Decoded, taken: Int[np.ndarray, "taken"], seed: int, n_images: int) -> Arrays:
    """Return the attention received, relative to equal attention, NaN for neurons taken away, and which candidates come first."""
    kept = np.setdiff1d(np.arange(decoded.train.n_neurons), taken)
    train, validation, test = (part.select_neurons(kept) for part in (decoded.train, decoded.validation, decoded.test))
    again = replace(decoded, seed=seed, train=train, validation=validation, test=test).refit()
    # the same trials of the same images for every fit
    attention = np.full(decoded.train.n_neurons, np.nan)
    attention[kept] = receive_attention(replace(again, seed=decoded.seed), n_images).mean
    return {"attention": attention, "first": _first_places(again)}


def _first_places(decoded: Decoded) -> Float[np.ndarray, "image candidate"]:
    test = decoded.test
    trials = QueryTrials(test.images, torch.from_numpy(test.averaged()), torch.arange(test.n_stimuli), "averaged")
    return trials.first_places(torch.from_numpy(decoded.scores()))


def _describe(
    result: SilencedHubsResult, order: Int[np.ndarray, "neuron"], fits: Mapping[str, Arrays], decoded: Decoded
) -> tuple[Finding, ...]:
    n_hubs, n = len(result.hubs), len(order)
    remaining, runners_up = order[n_hubs:], order[n_hubs : 2 * n_hubs]
    generator = generator_for(decoded.seed, "equal attention")
    after, others = result.without_hubs[remaining], result.other_seeds[:, remaining]

    def overlap(attention: np.ndarray) -> float:
        return float(np.isin(remaining[most_attended(attention, generator)[:n_hubs]], runners_up).mean())

    def share(attention: np.ndarray) -> float:
        ranked = -np.sort(-attention)
        return float(ranked[:n_hubs].sum() / ranked.sum())

    agreement, *ends = spearman_with_interval(result.before[remaining], after)
    by_seed = np.array([spearman_with_interval(result.before[remaining], one)[0] for one in others])
    why = "" if np.isfinite(agreement) else "All neurons receive the same attention, so that they have no ranks."
    found = [_beside_seeds("rank_agreement", agreement, n - n_hubs, by_seed, why, (ends[0], ends[1]))]
    shares = np.array([share(one) for one in others])
    found.append(_beside_seeds("share_of_substitutes", share(after), n - n_hubs, shares))
    found.append(
        _beside_seeds("substitutes_among_runners_up", overlap(after), n_hubs, np.array([overlap(one) for one in others]))
    )
    n_images = decoded.test.n_stimuli
    resampling = PairedResampling.draw(n_images, decoded.n_resamples, decoded.seed)
    whole, without = _first_places(decoded), fits["without hubs"]["first"]
    n_refits = len(others)
    matched, seeds = (
        np.mean([fits[f"{name} {row}"]["first"] for row in range(n_refits)], axis=0) for name in ("without matched", "other seed")
    )
    accuracies = resampling.over_tables(np.stack([whole, without, matched, seeds]))
    for column, name in enumerate(("all_neurons", "without_hubs", "without_matched", "other_seeds")):
        found.append(Finding.from_rows(f"accuracy_{name}", accuracies[:, column], "1", n_images, ELSEWHERE))
    change = resampling.over_difference_tables(np.stack([without - matched, without - seeds]))
    for column, name in enumerate(("matched", "all_neurons")):
        found.append(Finding.from_rows(f"without_hubs_minus_{name}_accuracy", change[:, column], "1", n_images, WIDER))
    return tuple(found)


def _beside_seeds(
    name: str, value: float, n: int, drawn: np.ndarray, reason: str = "", interval: tuple[float, float] | None = None
) -> Finding:
    """Return a statistic of the remaining neurons beside the same statistic of them in fits of all neurons."""
    low, high = prediction_range(drawn) if np.isfinite(drawn).all() else (np.nan, np.nan)
    words, least = OTHER_SEEDS if np.isfinite(low) else "", -1.0 if name == "rank_agreement" else 0.0
    null = float(np.maximum(low, least)), float(np.minimum(high, 1.0))
    return Finding.from_draws(name, value, "1", n, None, None, words, reason, interval=interval, null_range=null)
