"""How few neurons decoding needs, and whether the few are more than the strongest: addition and removal curves."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float
from pydantic import Field

from dina.analyses.analysis import AnalysisSettings
from dina.analyses.decoded import Decoded
from dina.analyses.neuron_readout import is_closed_form, margin_units, readout_of, treatments_of
from dina.analyses.neuron_strength import NeuronStrength, measure_strength, shrink_ratios
from dina.analyses.neuron_subsets.sparse_findings import compare_with_surrogates, describe_curves
from dina.analyses.neuron_subsets.subset_curves import SubsetCurves, draw_orders, subset_sizes, trace_curves
from dina.analyses.query_trials import QueryTrials, rank_on_training
from dina.analyses.score_changes import Treatment
from dina.data.pairs import QueryKind
from dina.randomness import generator_for
from dina.statistics.finding import Finding
from dina.statistics.intervals import prediction_reach

FEWEST_DRAWS = 4


class SparseSubsetSettings(AnalysisSettings):
    """How many subsets are drawn.

    Parameters
    ----------
    n_ranking_images
        Training images by which neurons are ranked.
    n_random
        Random sequences of neurons; each gives a subset of every size.
    n_matched
        Sequences matched in signal-to-noise ratio, and as many matched in mean response.
    n_sampled_trials
        Test trials used where there is no closed form.
    n_tower_runs
        Most subsets tried where there is no closed form and each costs a run of the tower; fewer sequences are drawn then, but
        at least four of each kind.
    """

    n_ranking_images: int = Field(500, ge=2)
    n_random: int = Field(200, ge=2)
    n_matched: int = Field(30, ge=2)
    n_sampled_trials: int = Field(64, ge=2)
    n_tower_runs: int = Field(1500, ge=1)


@dataclass(frozen=True, eq=False)
class SparseSubsetsResult:
    """Accuracy by number of neurons kept, for sequences of neurons that begin in different ways.

    Parameters
    ----------
    curves
        Treatment of the neurons left out → curves.
    ranking
        Contribution to training images, by which "top" is ordered, shape ``(n_neurons,)``.
    units
        Of the ranking: "nat" for log likelihoods, else "1".
    strength
        Of each neuron, from training trials; what matched subsets are matched by.
    kind
        Of the queries.
    n_gallery
        Number of candidates; chance is one over it.
    statistics
        The findings.
    """

    curves: dict[Treatment, SubsetCurves]
    ranking: Float[np.ndarray, "neuron"]
    units: str
    strength: NeuronStrength
    kind: QueryKind
    n_gallery: int
    statistics: tuple[Finding, ...] = ()

    def to_dataset(self) -> xr.Dataset:
        """Return accuracy by (treatment, sequence, size): mean over draws, and where one more draw would lie (95 %)."""
        first = next(iter(self.curves.values()))
        names = list(first.by_draw)
        stacked = {
            statistic: np.array([[_summary(curves, name, statistic) for name in names] for curves in self.curves.values()])
            for statistic in ("mean", "low", "high")
        }
        axes = ("treatment", "sequence", "n_kept")
        variables = {
            f"accuracy{'' if name == 'mean' else '_' + name}": (axes, values, {"units": "1"}) for name, values in stacked.items()
        }
        return xr.Dataset(
            {
                **variables,
                "ranking": ("neuron", self.ranking, {"units": self.units, "long_name": "contribution to training images"}),
                "signal_to_noise": ("neuron", self.strength.signal_to_noise, {"units": "1"}),
                "mean_response": ("neuron", self.strength.mean_response, {"units": "arbitrary"}),
            },
            coords={
                "treatment": list(self.curves),
                "sequence": names,
                "n_kept": ("n_kept", np.array(first.sizes), {"units": "1"}),
            },
            attrs={"queries": self.kind, "n_gallery": self.n_gallery},
        )

    def findings(self) -> tuple[Finding, ...]:
        """Return how few neurons suffice, how top subsets compare with matched ones, and inequality of contributions."""
        return self.statistics


def analyse_sparse_subsets(decoded: Decoded, settings: SparseSubsetSettings = SparseSubsetSettings()) -> SparseSubsetsResult:
    """Decode test images from the most useful neurons, from the least useful, from random and from matched ones.

    Neurons are ranked by their contribution to *training* images; accuracy is measured on test images. A few neurons may suffice
    because any few neurons tell the images apart: compare with random subsets. The best may be best because they are the most
    reliable: compare with subsets of the same signal-to-noise ratios. Left-out neurons are removed (as if the decoder had been
    fitted without them) or silenced (the decoder still expects their responses).

    Parameters
    ----------
    decoded
        A finished decoding.
    settings
        How many subsets are drawn.

    Raises
    ------
    DataError
        If there are no fitted towers.
    """
    towers = decoded.towers
    trials = QueryTrials.of_test(decoded)
    readout = readout_of(towers, trials.images)
    is_exact = is_closed_form(towers)
    if not is_exact:
        trials = trials.first_images(settings.n_sampled_trials)
    ranking = rank_on_training(decoded, settings.n_ranking_images)
    strength = measure_strength(decoded.train)
    properties = {"snr": strength.signal_to_noise, "rate": strength.mean_response}
    reasons = {"snr": strength.reason, "rate": strength.rate_reason}
    properties = {name: values for name, values in properties.items() if not reasons[name]}
    sizes = kept_sizes(readout.n_neurons)
    n_random, n_matched = settings.n_random, settings.n_matched
    if not is_exact:
        n_affordable = max(FEWEST_DRAWS, (settings.n_tower_runs // len(sizes) - 2) // (1 + 2 * len(properties)))
        n_random, n_matched = min(n_random, n_affordable), min(n_matched, n_affordable)
    orders = draw_orders(ranking, properties, n_random, n_matched, generator_for(decoded.seed, "subsets"))
    curves = {how: trace_curves(readout, trials, orders, sizes, how) for how in treatments_of(towers)}
    main = next(iter(curves))
    by_image = trials.by_image(readout.margins_lost(trials.responses, trials.target, main))
    ratios, why_no_ratios = shrink_ratios(decoded.train, strength, generator_for(decoded.seed, "halves of the training images"))
    unknown = {"rates": strength.rate_reason, "signal_to_noise": why_no_ratios}
    strengths = {"equal": np.ones(readout.n_neurons), "rates": strength.mean_response, "signal_to_noise": ratios}
    known = {name: values for name, values in strengths.items() if not unknown.get(name)}
    generator = generator_for(decoded.seed, "surrogates")
    inequality = compare_with_surrogates(by_image, known, decoded.n_resamples, generator, unknown)
    found = (
        *describe_curves(curves, decoded.n_resamples, decoded.seed, {f"{name}_matched": why for name, why in reasons.items()}),
        *inequality,
    )
    return SparseSubsetsResult(curves, ranking, margin_units(towers), strength, trials.kind, trials.n_images, found)


def kept_sizes(n_neurons: int) -> tuple[int, ...]:
    """Return numbers of neurons to keep: some from one to all, and what is left when as many are removed."""
    added = subset_sizes(n_neurons)
    return tuple(sorted({*added, *(n_neurons - size for size in added if size <= n_neurons // 2)}))


def _summary(curves: SubsetCurves, name: str, statistic: str) -> np.ndarray:
    drawn = curves.by_draw[name]
    mean = np.asarray(drawn.mean(0))
    if statistic == "mean" or len(drawn) == 1:
        return mean
    reach = prediction_reach(drawn)
    return np.asarray(np.clip(mean - reach if statistic == "low" else mean + reach, 0, 1))
