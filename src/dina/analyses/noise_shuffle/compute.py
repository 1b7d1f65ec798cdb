"""Do noise correlations matter for decoding? Trained and tested with them, and with repeats exchanged for each neuron."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from pydantic import Field

from dina.analyses.altered_gallery import first_places
from dina.analyses.analysis import AnalysisSettings, DescribedResult
from dina.analyses.closed_readouts import LikelihoodReadout
from dina.analyses.decoded import Decoded
from dina.analyses.neuron_readout import NeuronReadout, readout_of
from dina.analyses.paired_resampling import NULL
from dina.analyses.slow_drift import without_drift
from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.models.noise import LowRankNoise, decompose_residuals
from dina.progress import track
from dina.randomness import generator_for
from dina.retrieval.decoder import mean_log_rank
from dina.retrieval.ranks import count_better_and_tied
from dina.short_words import brief
from dina.statistics.finding import Finding
from dina.statistics.imagined_image import ImaginedImage
from dina.statistics.intervals import prediction_range
from dina.statistics.p_values import permuted_totals
from dina.statistics.repeats import shuffle_repeats
from dina.statistics.resampling import clustered_means, resample_counts
from dina.training.comparison import LikelihoodComparison

# Trials on which the noise model was trained, and trials on which it was tested.
Condition = tuple[str, str]

# What is compared, with units: top-1 accuracy, and minus the logarithm of the rank, so that more is better for both.
MEASURES: dict[str, str] = {"top1": "1", "log_rank": "nats"}

# Name → first condition, the condition subtracted from it, and its null.
DIFFERENCES: dict[str, tuple[Condition, Condition, str]] = {
    "knowing_correlations": (("intact", "intact"), ("shuffled", "intact"), "noise models of different shuffles"),
    "knowing_covariance": (("intact", "intact"), ("independent", "intact"), "noise models of different shuffles"),
    "removing_correlations": (("shuffled", "shuffled"), ("intact", "intact"), "different shuffles of trained and tested trials"),
    "unexpected_removal": (("intact", "shuffled"), ("intact", "intact"), "different shuffles of tested trials"),
}

COMPONENT_COUNTS, SHRINKAGES = (32, 128, 512), (0.3, 0.6)  # few, so that what differs is the trials and not the choice
MOST_TRIALS = 3000  # single trials that a noise model is fitted to, at most: the cost grows with their cube


class NoiseShuffleSettings(AnalysisSettings):
    """How often repeats are exchanged.

    Parameters
    ----------
    n_shuffles
        Independent exchanges of training and test repeats; each gives one noise model and one set of queries.
    """

    n_shuffles: int = Field(5, ge=2)


@dataclass(frozen=True, eq=False)
class NoiseShuffleResult(DescribedResult):
    """Single-trial decoding with noise correlations in training and test, in one of them, and in neither."""

    __repr__ = brief

    conditions: tuple[Condition, ...]  # the noise model may also be "independent" of all correlations
    # by measure, mean over queries; intact conditions repeat one number
    values: Mapping[str, Float[np.ndarray, "condition shuffle"]]
    chance: Mapping[str, float]  # by measure, of guessing

    def to_dataset(self) -> xr.Dataset:
        """Return the two measures of every condition and shuffle."""
        variables = {
            name: (("condition", "shuffle"), values, {"units": MEASURES[name], "chance": self.chance[name]})
            for name, values in self.values.items()
        }
        trained, tested = ([condition[position] for condition in self.conditions] for position in (0, 1))
        return xr.Dataset(variables, coords={"trained": ("condition", trained), "tested": ("condition", tested)})


def analyse_noise_shuffle(decoded: Decoded, settings: NoiseShuffleSettings = NoiseShuffleSettings()) -> NoiseShuffleResult:
    """Measure whether decoding of single trials gains by knowing noise correlations, and whether it loses by having them.

    Exchanging the repeats of an image, for each neuron by itself, keeps tuning and removes noise correlations. A decoder trained
    on shuffled trials and tested on intact ones does not know them; one trained and tested on shuffled trials does not have
    them. For towers without a noise model, and where no training image was shown twice, only the test can be shuffled. Test
    images shown once are candidates, but not queries. Three test images with two single trials are needed.
    """
    n_shuffles = settings.n_shuffles
    decoded, drift = without_drift(decoded)
    test = _repeated(decoded.test)
    why_not = _why_not_learnt(decoded)
    readouts, conditions = _fit(decoded, n_shuffles, is_shuffled=not why_not)
    drawn: dict[tuple[str, Condition], list[np.ndarray]] = {}
    for number in track(range(n_shuffles), "Decoding shuffled trials"):
        shuffled = shuffle_repeats(test.responses, test.stimulus_index, generator_for(decoded.seed, f"test shuffle {number}"))
        for trained, tested in conditions:
            if tested == "intact" and trained != "shuffled" and number:
                continue  # one model, one set of trials
            model = readouts[trained][number if trained == "shuffled" else 0]
            queries = test.responses if tested == "intact" else shuffled
            for name, values in _measure(model, queries, test.stimulus_index).items():
                drawn.setdefault((name, (trained, tested)), []).append(values)
    by_query = {key: np.array(values) for key, values in drawn.items()}
    means = {
        name: np.array([np.broadcast_to(by_query[name, one].mean(1), n_shuffles) for one in conditions]) for name in MEASURES
    }
    elsewhere = _top1_elsewhere(readouts["intact"][0], test, decoded)
    n_gallery = decoded.test.n_stimuli
    chance = {"top1": 1 / n_gallery, "log_rank": -float(np.log(np.arange(1, n_gallery + 1)).mean())}
    return NoiseShuffleResult(
        conditions, means, chance, statistics=(*_describe(by_query, elsewhere, test, decoded, why_not), drift)
    )


def _why_not_learnt(decoded: Decoded) -> str:
    """Say why no noise model of shuffled trials can be learnt; "" where one can."""
    if not isinstance(decoded.towers.comparison, LikelihoodComparison):
        return "These towers have no noise model that could be learnt anew."
    if decoded.train.repeat_number().max() >= 1:
        return ""
    return "No training image was shown twice, so that shuffling takes no correlations from what a noise model learns."


def _left(name: str, pairs: Pairs, reason: str) -> Finding:
    """Return which share of noise correlations the exchange of repeats leaves: one in R of an image's R trials, mean over trials."""
    repeats = np.bincount(pairs.stimulus_index, minlength=pairs.n_stimuli)
    value = math.nan if reason else float(np.mean(1 / repeats[pairs.stimulus_index]))
    return Finding(name, value, "1", int((repeats > 1).sum()), reason=reason)


def _fit(decoded: Decoded, n_shuffles: int, *, is_shuffled: bool) -> tuple[dict[str, list[NeuronReadout]], tuple[Condition, ...]]:
    """Return the decoders by what they were trained on, and the conditions that are possible."""
    if not isinstance(decoded.towers.comparison, LikelihoodComparison):
        return {"intact": [readout_of(decoded.towers, decoded.test.images)]}, (("intact", "intact"), ("intact", "shuffled"))
    train, validation, test = (
        LikelihoodReadout.of(decoded.towers, torch.from_numpy(part.images))
        for part in (decoded.train, decoded.validation, decoded.test)
    )
    intact = _learn_noise(decoded, train, validation, "intact noise", is_shuffled=False)
    readouts: dict[str, list[NeuronReadout]] = {"intact": [replace(test, noise=intact)]}
    if is_shuffled:
        names = [f"shuffled noise {number}" for number in range(n_shuffles)]
        readouts["shuffled"] = [
            replace(test, noise=_learn_noise(decoded, train, validation, name, is_shuffled=True))
            for name in track(names, "Fitting noise of shuffled trials")
        ]
    # the same variances, and no noise that is shared
    readouts["independent"] = [replace(test, noise=LowRankNoise(intact.variance, intact.loadings[:, :0]))]
    return readouts, tuple((trained, tested) for trained in readouts for tested in ("intact", "shuffled"))


def _learn_noise(
    decoded: Decoded, for_train: LikelihoodReadout, for_validation: LikelihoodReadout, purpose: str, *, is_shuffled: bool
) -> LowRankNoise:
    """Fit a noise model to single training trials; validation trials choose the number of components and the shrinkage.

    The expected response of each neuron stays: it was learnt from averages over trials, which shuffling between repeats
    does not change.
    """
    train, validation, generator = decoded.train, decoded.validation, generator_for(decoded.seed, purpose)
    chosen = np.sort(generator.permutation(len(train.responses))[:MOST_TRIALS])
    shown = shuffle_repeats(train.responses, train.stimulus_index, generator) if is_shuffled else train.responses
    residuals = shown[chosen] - for_train.evoked.float().numpy()[train.stimulus_index[chosen]]
    components = decompose_residuals(torch.from_numpy(residuals - residuals.mean(0)))
    responses = validation.responses
    if is_shuffled:
        responses = shuffle_repeats(responses, validation.stimulus_index, generator)

    def loss(noise: LowRankNoise) -> float:
        scores = replace(for_validation, noise=noise).scores(torch.from_numpy(responses).double())
        return mean_log_rank(scores.numpy(), validation.stimulus_index)

    counts = tuple(sorted({min(count, train.n_neurons) for count in COMPONENT_COUNTS}))
    return min((noise.double() for noise, _ in components.noises(counts, SHRINKAGES)), key=loss)


def _repeated(pairs: Pairs) -> Pairs:
    """Keep the single trials of images that have at least two."""
    single = pairs.n_presentations == 1
    counts = np.bincount(pairs.stimulus_index[single], minlength=pairs.n_stimuli)
    if not single.any():
        raise DataError(
            "Noise correlations are in single trials of one image; the recording holds averages. Store single trials."
        )
    if (counts >= 2).sum() < 3:
        raise DataError(
            f"Noise correlations are in single trials of one image; {int((counts >= 2).sum())} test images have two. Record repeats,"
            " and store single trials."
        )
    return pairs.select_trials(single & (counts[pairs.stimulus_index] >= 2))


def _measure(model: NeuronReadout, responses: np.ndarray, target: Int[np.ndarray, "query"]) -> dict[str, np.ndarray]:
    """Return the two measures of every query: ties are broken at random, in expectation."""
    n_better, n_tied = count_better_and_tied(model.scores(torch.from_numpy(responses).double()).numpy(), target)
    return {"top1": (n_better == 0) / (n_tied + 1.0), "log_rank": -np.log(1 + n_better + n_tied / 2)}


def _top1_elsewhere(model: NeuronReadout, test: Pairs, decoded: Decoded) -> Float[np.ndarray, "draw"]:
    """Return the accuracy on intact trials if the trials of each image are assigned to another image, drawn anew each time."""
    first = first_places(model.scores(torch.from_numpy(test.responses).double()).numpy())
    by_image = np.zeros((first.shape[1], first.shape[1]))
    np.add.at(by_image, test.stimulus_index, first / len(first))
    return permuted_totals(by_image, generator_for(decoded.seed, "trials assigned elsewhere"), decoded.n_resamples)


def _describe(
    by_query: Mapping[tuple[str, Condition], Float[np.ndarray, "shuffle query"]],
    elsewhere: Float[np.ndarray, "draw"],
    test: Pairs,
    decoded: Decoded,
    why_not: str,
) -> tuple[Finding, ...]:
    """Return the accuracy on intact trials, the correlations left, and paired differences with intervals and nulls."""
    images, image = np.unique(test.stimulus_index, return_inverse=True)
    n_images = len(images)
    generator = generator_for(decoded.seed, "noise shuffle")
    counts = resample_counts(n_images, decoded.n_resamples, generator)
    top1 = by_query["top1", ("intact", "intact")][0]
    imagined = ImaginedImage.draw(n_images, decoded.n_resamples, generator)
    value, resampled = float(top1.mean()), imagined.join(clustered_means(top1, image, counts), 0.0, 1.0)
    found = [Finding.from_draws("intact_top1", value, "1", n_images, resampled, elsewhere, NULL)]
    found += [_left("correlations_left", decoded.train, why_not), _left("correlations_left_test", test, "")]
    for (measure, unit), (what, (one, other, null)) in product(MEASURES.items(), DIFFERENCES.items()):
        name, rows = f"{what}_{measure}", {key[1]: values for key, values in by_query.items() if key[0] == measure}
        if one not in rows or other not in rows:
            found.append(Finding(name, math.nan, unit, n_images, reason=why_not))
            continue
        difference = rows[one].mean(0) - rows[other].mean(0)
        value, resampled = float(difference.mean()), clustered_means(difference, image, counts)
        # how far one shuffle strays from the mean of the others: the condition that varies
        drawn = [rows[c].mean(1) for c in (one, other) if len(rows[c]) > 1]
        limits = prediction_range(drawn[0], 0.0) if drawn else None
        if not drawn and len(rows.get(("shuffled", "intact"), ())) > 1:
            # nothing varies: a model of shuffled trials takes the place of the first; it learns shared noise by chance, too
            limits = prediction_range(rows["shuffled", "intact"].mean(1) - float(rows[other].mean()))
        if limits:
            found.append(Finding.from_draws(name, value, unit, n_images, resampled, null_range=limits, null=null))
        else:
            found.append(replace(Finding.from_draws(name, value, unit, n_images, resampled), reason=why_not))
    return tuple(found)
