"""Towers fitted anew on part of the neurons, beside neurons removed from the fitted ones; on another seed, and on folds."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from pydantic import Field

from dina.analyses.analysis import AnalysisSettings, DescribedResult
from dina.analyses.decoded import Decoded
from dina.analyses.neuron_readout import margin_units, readout_of, treatments_of
from dina.analyses.neuron_subsets.subset_curves import draw_orders
from dina.analyses.paired_resampling import NULL, WIDER, PairedResampling
from dina.analyses.query_trials import SAME_TRIALS, QueryTrials, mean_contributions, rank_on_training
from dina.checks import DataError
from dina.data.pairs import Gallery, Pairs, Queries, make_pairs
from dina.progress import track
from dina.randomness import generator_for
from dina.short_words import brief
from dina.statistics.finding import Finding
from dina.statistics.rank_association import rank_correlation
from dina.training.dina_decoder import DinaDecoder

SEQUENCES = ("top", "random", "bottom")
N_RANKING_IMAGES = 500


class RefittedSubsetSettings(AnalysisSettings):
    """Which subsets are fitted.

    Parameters
    ----------
    fractions
        Of the neurons; each is fitted for the best, for random and for the worst neurons.
    """

    fractions: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field((0.1, 0.5), min_length=1)


@dataclass(frozen=True, eq=False)
class RefittedSubsetsResult(DescribedResult):
    """Top-1 accuracy of towers fitted on part of the neurons, and contributions under another seed and other training images."""

    __repr__ = brief

    fractions: tuple[float, ...]  # of the neurons
    refitted: Float[np.ndarray, "sequence fraction image"]  # fitted anew
    taken_out: Float[np.ndarray, "sequence fraction image"]  # others removed or silenced in the towers at hand
    other_seed: Float[np.ndarray, "neuron"]  # contributions of towers fitted with another seed
    folds: Float[np.ndarray, "fold neuron"]  # of towers fitted on either half of the training images; NaN where too few
    reason: str  # why there are no folds; "" where there are
    units: str  # of contributions: "nat" for log likelihoods, else "1"

    def to_dataset(self) -> xr.Dataset:
        """Return accuracies by (sequence, fraction), and contributions under the other seed and in either fold by neuron."""
        axes, one, score = ("sequence", "fraction"), {"units": "1"}, {"units": self.units}
        return xr.Dataset(
            {
                "refitted": (axes, self.refitted.mean(axis=2), one),
                "taken_out": (axes, self.taken_out.mean(axis=2), one),
                "contribution_other_seed": ("neuron", self.other_seed, score),
                "contribution_fold": (("fold", "neuron"), self.folds, score),
            },
            {"sequence": list(SEQUENCES), "fraction": ("fraction", np.array(self.fractions), one)},
        )


def analyse_refitted_subsets(
    decoded: Decoded, settings: RefittedSubsetSettings = RefittedSubsetSettings()
) -> RefittedSubsetsResult:
    """Fit towers anew on the best, on random and on the worst neurons; on all neurons with another seed, and on folds.

    Towers from which neurons are taken out keep what was learnt from all neurons together (priors, shared noise, gains). If
    towers fitted without these neurons do as well, that makes no difference. The folds are two halves of the training images
    that share none; contributions are those to the same test trials.
    """
    trials = QueryTrials.of_test(decoded)
    generator = generator_for(decoded.seed, "refitted subsets")
    orders = draw_orders(rank_on_training(decoded, N_RANKING_IMAGES), {}, 1, 1, generator)
    readout, treatment = readout_of(decoded.towers, trials.images), treatments_of(decoded.towers)[0]
    sizes = tuple(max(2, round(fraction * decoded.train.n_neurons)) for fraction in settings.fractions)
    shape = (len(SEQUENCES), len(sizes), trials.n_images)
    first = np.empty((2, *shape, trials.n_images))  # how often each candidate comes first: fitted anew, and taken out
    jobs = [(row, column) for row in range(shape[0]) for column in range(shape[1])]
    for row, column in track(jobs, "Fitting towers on subsets of neurons"):
        kept = orders[SEQUENCES[row]][0][: sizes[column]]
        again = partial(_refit, decoded, trials, np.sort(kept))
        first[0, row, column] = decoded.parts.get(f"{SEQUENCES[row]} {sizes[column]}, first places", again)["first"]
        (scores,) = readout.subset_scores(trials.responses, torch.from_numpy(kept.copy()), (len(kept),), treatment)
        first[1, row, column] = trials.first_places(scores)
    other = decoded.parts.get("other seed", partial(_refit_on, decoded, decoded.train, decoded.seed + 1))["contributions"]
    folds, reason = _fit_folds(decoded)
    units = margin_units(decoded.towers)
    refitted, taken_out = np.diagonal(first, axis1=3, axis2=4)
    result = RefittedSubsetsResult(settings.fractions, refitted, taken_out, other, folds, reason, units)
    return replace(result, statistics=_describe(result, first, mean_contributions(decoded), decoded))


def _fit_folds(decoded: Decoded) -> tuple[Float[np.ndarray, "fold neuron"], str]:
    """Return the contribution of every neuron to towers of either half of the training images, or why there are none."""
    order = generator_for(decoded.seed, "folds of training images").permutation(decoded.train.stimulus_id)

    def refit(ids: Int[np.ndarray, "stimulus"]) -> dict[str, np.ndarray]:
        return _refit_on(decoded, make_pairs(decoded.recording, np.sort(ids), decoded.train.standardiser), decoded.seed)

    try:
        found = [
            decoded.parts.get(f"fold {fold}", partial(refit, ids))["contributions"]
            for fold, ids in enumerate(track(np.array_split(order, 2), "Fitting towers on folds"))
        ]
    except DataError as error:
        return np.full((2, decoded.train.n_neurons), np.nan), f"Folds, half of the training images each: {error}"
    return np.stack(found), ""


def _refit_on(decoded: Decoded, train: Pairs, seed: int) -> dict[str, np.ndarray]:
    """Return the contribution of every neuron to towers fitted on some training images, with some seed."""
    decoder = _decoder(decoded, seed).fit(train, decoded.validation)
    return {"contributions": mean_contributions(replace(decoded, fitted=decoder.towers))}


def _refit(decoded: Decoded, trials: QueryTrials, kept: np.ndarray) -> dict[str, np.ndarray]:
    """Return how often each candidate comes first, by image, for towers fitted on some neurons."""
    decoder = _decoder(decoded, decoded.seed)
    decoder.fit(decoded.train.select_neurons(kept), decoded.validation.select_neurons(kept))
    responses = trials.responses[:, torch.from_numpy(kept)].numpy().astype(np.float32)
    presentations = np.ones(len(responses)) if trials.kind == "single_trial" else decoded.test.total_presentations()
    gallery = Gallery(trials.images, decoded.test.stimulus_id)
    scores = torch.from_numpy(decoder.score(Queries(responses, presentations.astype(np.float64)), gallery))
    return {"first": trials.first_places(scores)}


def _decoder(decoded: Decoded, seed: int) -> DinaDecoder:
    return DinaDecoder(decoded.preset, decoded.settings, seed, decoded.device, image_features=decoded.image_features)


def _describe(
    result: RefittedSubsetsResult,
    first: Float[np.ndarray, "way sequence fraction image candidate"],
    contribution: np.ndarray,
    decoded: Decoded,
) -> tuple[Finding, ...]:
    n, resampling = first.shape[-1], PairedResampling.draw(first.shape[-1], decoded.n_resamples, decoded.seed)
    found = []
    for row, sequence in enumerate(SEQUENCES):
        tables = first[:, row]
        accuracy, change = resampling.over_tables(tables[0]), resampling.over_difference_tables(tables[0] - tables[1])
        for column, fraction in enumerate(result.fractions):
            name = f"{sequence}_{100 * fraction:g}_percent"
            found.append(Finding.from_rows(f"refitted_{name}", accuracy[:, column], "1", n, NULL))
            found.append(Finding.from_rows(f"refitted_minus_taken_out_{name}", change[:, column], "1", n, WIDER))
    found.append(rank_correlation("agreement_across_seeds", contribution, result.other_seed).without_null(SAME_TRIALS))
    if result.reason:
        found.append(Finding("agreement_across_folds", np.nan, "1", len(contribution), reason=result.reason))
    else:
        found.append(rank_correlation("agreement_across_folds", *result.folds))
    return tuple(found)
