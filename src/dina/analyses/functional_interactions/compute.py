"""Do neurons carry more, or less, in pairs than alone? Interactions of all strength, and the pairs that interact."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from pydantic import Field
from scipy.stats import false_discovery_control
from scipy.stats import t as student
from torch import Tensor

from dina.analyses.analysis import AnalysisSettings, DescribedResult
from dina.analyses.closed_readouts import LikelihoodReadout, margins
from dina.analyses.decoded import Decoded
from dina.analyses.functional_interactions.pair_interactions import (
    DecoderNoise,
    PairForms,
    RepeatNoise,
    ScaledPrecision,
    sample_pairs,
)
from dina.analyses.neuron_readout import TowerReadout
from dina.analyses.paid_attention import received_attention
from dina.analyses.slow_drift import without_drift
from dina.models.towers.neural.paper_neuron_attention import NeuronAttention
from dina.progress import track
from dina.randomness import generator_for
from dina.short_words import brief
from dina.statistics.coupling import CoupledPairs
from dina.statistics.finding import Finding
from dina.statistics.intervals import jackknife_interval, prediction_range
from dina.training.comparison import LikelihoodComparison

N_QUERIES = 64  # test images used at most: a tower with attention processes a few hundred responses a second
N_ATTENDING = 16  # trials over which attention is averaged
NULL = "noise model fitted to training noise that was permuted, each neuron by itself"
NO_REPEATS = "No training image was shown twice, so noise cannot be separated from what the image model leaves unexplained."
NO_WIDTH = "Neurons that add up have no interaction at all, a null without width: compare the interval with 0."
ONLY_SAMPLED = "Only towers with a noise model allow every pair to be tested; a sample of neurons was silenced."
TESTED_AT_ONCE = 8192  # images × pairs is large
MOST_AVERAGED = 20_000  # coupled pairs, the surest, whose interactions are averaged
OF_SCORES = ("interaction", "interaction_low", "interaction_high")
OF_LISTED_PAIRS = (*OF_SCORES, "coupling", "coupling_p", "interaction_p")
OF_COUPLED_PAIRS = ("coupled_pairs_fraction", "interacting_pairs_fraction", "coupled_pairs_interaction")
ROUNDING = 1e-9  # where nothing is coupled, all null models give the same number


# Name → statistic from all queries (first) and without each query in turn.
Measured = Mapping[str, Float[np.ndarray, "query_and_all"]]


class FunctionalInteractionsSettings(AnalysisSettings):
    """How interactions are looked for.

    Parameters
    ----------
    n_sampled_pairs
        Pairs drawn at random, from which the statistics of all pairs are estimated.
    n_null_models
        Noise models fitted to permuted residuals.
    n_tested_pairs
        Pairs of strongest coupling that are tested one by one.
    n_listed_pairs
        Pairs listed in the result, the surest first.
    false_discovery_rate
        Expected fraction of wrong pairs among those called interacting.
    n_silenced_neurons
        Neurons sampled where the towers have no closed form.
    """

    n_sampled_pairs: int = Field(20_000, ge=10)
    n_null_models: int = Field(8, ge=3)
    n_tested_pairs: int = Field(50_000, ge=1)
    n_listed_pairs: int = Field(300, ge=1)
    false_discovery_rate: float = Field(0.05, gt=0, lt=1)
    n_silenced_neurons: int = Field(12, ge=3)


@dataclass(frozen=True, eq=False)
class FunctionalInteractionsResult(DescribedResult):
    """Interactions of pairs: the margin lost without both neurons minus the margins lost without each; mean over test images.

    Positive: redundant; negative: synergistic. In nats where neurons are removed from a noise model, else in units of the score.
    Sampled pairs are drawn at random; listed pairs are those of the surest coupling, with 95 % intervals over test images and
    p-values adjusted for false discoveries: of the coupling for all pairs, of the interaction for the coupled pairs.

    Findings: ``interaction_size`` is the root mean square of the mean interactions of pairs relative to that of the mean
    contributions of neurons. ``net_interaction`` is the sum of all interactions relative to the sum of all contributions:
    positive if neurons replace each other, negative if they need each other. ``summed_contributions`` is the sum of what each
    neuron alone takes away relative to what all take away together: below 1 if redundancy prevails, above 1 if synergy does.
    """

    __repr__ = brief

    sampled_pairs: Int[np.ndarray, "sampled 2"]  # indices of neurons
    sampled_interaction: Float[np.ndarray, "sampled"]
    null_interaction: Float[np.ndarray, "sampled"]  # under one null model; NaN where there is none
    contribution: Float[np.ndarray, "neuron"]  # mean margin lost; NaN where only a sample was silenced
    removal: str  # "removed" from the noise model, or "silenced"
    listed_pairs: Int[np.ndarray, "listed 2"]
    listed: Mapping[str, Float[np.ndarray, "listed"]]  # `OF_LISTED_PAIRS`; "coupling" is the partial correlation of their noise
    contribution_size: float  # root mean square of the contributions of neurons
    null_contribution_size: float  # the same under the null model of `null_interaction`
    received_attention: Float[np.ndarray, "neuron"] | None = None  # mean over validation trials, sums to 1

    def to_dataset(self) -> xr.Dataset:
        """Return sampled pairs, listed pairs and contributions with named axes."""
        score, one = {"units": "nat" if self.removal == "removed" else "1"}, {"units": "1"}
        indices = {**one, "long_name": "indices of neurons"}
        size = {"contribution_size": self.contribution_size, "null_contribution_size": self.null_contribution_size}
        variables = {
            "sampled_pairs": (("sampled", "member"), self.sampled_pairs, indices),
            "sampled_interaction": (("sampled",), self.sampled_interaction, score),
            "null_interaction": (("sampled",), self.null_interaction, score),
            "listed_pairs": (("listed", "member"), self.listed_pairs, indices),
            **{name: (("listed",), self.listed[name], score if name in OF_SCORES else one) for name in OF_LISTED_PAIRS},
            "contribution": (("neuron",), self.contribution, score),
        }
        if self.received_attention is not None:
            variables["received_attention"] = (("neuron",), self.received_attention, one)
        return xr.Dataset(variables, attrs={"removal": self.removal, **size})


def analyse_functional_interactions(
    decoded: Decoded, settings: FunctionalInteractionsSettings = FunctionalInteractionsSettings()
) -> FunctionalInteractionsResult:
    """Measure whether pairs of neurons carry more or less about the image than the sum of what each carries.

    For the likelihood decoder the removal of any two neurons has a closed form, and all pairs are examined; for other
    towers a sample of neurons is silenced, one by one and in pairs. Training images serve for the null.
    """
    if not isinstance(decoded.towers.comparison, LikelihoodComparison):
        return _by_silencing(decoded, settings)
    decoded, _ = without_drift(decoded)
    readout = LikelihoodReadout.of(decoded.towers, torch.from_numpy(decoded.test.images))
    as_fitted = _examine(readout, DecoderNoise.of(decoded, readout), decoded, settings)
    prefixed = tuple(replace(finding, name=f"decoder_{finding.name}") for finding in as_fitted.statistics)
    noise = RepeatNoise.of(decoded, settings.n_tested_pairs, settings.false_discovery_rate)
    if noise is None:
        names = [*(finding.name for finding in as_fitted.statistics), *OF_COUPLED_PAIRS]
        unknown = tuple(Finding(name, math.nan, "1", decoded.test.n_stimuli, reason=NO_REPEATS) for name in names)
        return replace(as_fitted, statistics=(*unknown, *prefixed))
    main = _examine(readout, noise, decoded, settings)
    forms = _forms(readout, noise.observed(), decoded)
    tested = _test_coupled_pairs(forms, noise.coupled, settings.false_discovery_rate)
    chosen = np.lexsort((-np.abs(tested[0]), noise.coupled.adjusted_p))[: settings.n_listed_pairs]
    pairs, (mean, reach, adjusted) = noise.coupled.select(chosen), (values[chosen] for values in tested)
    columns = (mean, mean - reach, mean + reach, pairs.coupling, pairs.adjusted_p, adjusted)
    about_pairs = _describe_coupled_pairs(forms, noise.coupled, tested[2], settings.false_discovery_rate)
    statistics = (*main.statistics, *about_pairs, *prefixed)
    listed = dict(zip(OF_LISTED_PAIRS, columns, strict=True))
    return replace(main, listed_pairs=pairs.pairs, listed=listed, statistics=statistics)


def _examine(
    readout: LikelihoodReadout, source: DecoderNoise | RepeatNoise, decoded: Decoded, settings: FunctionalInteractionsSettings
) -> FunctionalInteractionsResult:
    """Measure interactions under one noise model and under models of permuted noise; no single pair is tested yet."""
    forms = _forms(readout, source.observed(), decoded)
    pairs = sample_pairs(forms.n_neurons, settings.n_sampled_pairs, generator_for(decoded.seed, "sampled pairs"))
    sampled, contribution = forms.interactions(pairs), forms.contributions().numpy()
    observed = _measure(sampled, contribution, forms.margin.numpy())
    nulls, null_mean, null_size = [], np.full(len(pairs), np.nan), math.nan
    for chance in track(source.by_chance(settings.n_null_models), "Interactions by chance", total=settings.n_null_models):
        null_forms = _forms(readout, chance, decoded)
        null_sampled = null_forms.interactions(pairs)
        null_contribution = null_forms.contributions().numpy()
        null_mean, null_size = null_sampled.mean(0), float(_root_mean_square(null_contribution)[0])
        nulls.append(_measure(null_sampled, null_contribution, null_forms.margin.numpy()))
    nothing, mean = dict.fromkeys(OF_LISTED_PAIRS, np.empty(0)), contribution.mean(0)
    sizes = float(_root_mean_square(contribution)[0]), null_size
    return FunctionalInteractionsResult(
        pairs, sampled.mean(0), null_mean, mean, "removed", pairs[:0], nothing, *sizes, statistics=_describe(observed, nulls)
    )


def _forms(readout: LikelihoodReadout, noise: ScaledPrecision, decoded: Decoded) -> PairForms:
    """Return the forms of the average response to each image: margins are linear in it, so this is the mean over trials."""
    responses = torch.from_numpy(decoded.test.averaged()).double()
    return PairForms.of(readout, noise, responses, torch.arange(decoded.test.n_stimuli))


def _by_silencing(decoded: Decoded, settings: FunctionalInteractionsSettings) -> FunctionalInteractionsResult:
    """Silence a sample of neurons, one by one and in pairs; neurons that add up have no interaction at all."""
    tower = decoded.towers.neural_tower
    trials = decoded.validation.responses[:N_ATTENDING]
    attention = received_attention(tower, trials) if isinstance(tower, NeuronAttention) else None
    pairs, interaction, contribution = _silence_pairs(decoded, settings.n_silenced_neurons)
    mean, error = interaction.mean(0), interaction.std(0, ddof=1) / math.sqrt(len(interaction))
    reach = student.ppf(0.975, len(interaction) - 1) * error
    n_neurons, sampled_only = decoded.test.n_neurons, "Only a sample of neurons was silenced."
    described = _describe(_measure(interaction, contribution))
    statistics = (
        *(replace(one, reason=NO_WIDTH) if math.isfinite(one.value) else one for one in described),
        Finding("summed_contributions", math.nan, "1", len(interaction), reason=sampled_only),
        *(Finding(name, math.nan, "1", n_neurons, reason=ONLY_SAMPLED) for name in OF_COUPLED_PAIRS),
    )
    order = np.argsort(-np.abs(mean), kind="stable")[: settings.n_listed_pairs]
    listed = dict.fromkeys(OF_LISTED_PAIRS, np.full(len(order), np.nan))
    listed |= dict(zip(OF_SCORES, (values[order] for values in (mean, mean - reach, mean + reach)), strict=True))
    no_null, unknown = np.full(len(mean), np.nan), np.full(n_neurons, np.nan)
    sizes = float(_root_mean_square(contribution)[0]), math.nan
    return FunctionalInteractionsResult(
        pairs, mean, no_null, unknown, "silenced", pairs[order], listed, *sizes, attention, statistics=statistics
    )


def _silence_pairs(
    decoded: Decoded, n_neurons: int
) -> tuple[Int[np.ndarray, "pair 2"], Float[np.ndarray, "query pair"], Float[np.ndarray, "query neuron"]]:
    """Return a random sample of pairs, their interaction, and what each neuron alone takes from the margin."""
    generator = generator_for(decoded.seed, "silenced pairs")
    n_all = decoded.test.n_neurons
    chosen = np.sort(generator.choice(n_all, min(n_neurons, n_all), replace=False))
    n_images = decoded.test.n_stimuli
    images = np.sort(generator.choice(n_images, min(N_QUERIES, n_images), replace=False))
    readout = TowerReadout.of(decoded.towers, torch.from_numpy(decoded.test.images))
    responses = torch.from_numpy(decoded.test.averaged()[images]).double()
    target = torch.from_numpy(images)
    whole = margins(readout.scores(responses), target)

    def lost(gone: list[int]) -> Tensor:
        without = responses.clone()
        without[:, gone] = 0
        return whole - margins(readout.scores(without), target)

    alone = {int(neuron): lost([int(neuron)]) for neuron in chosen}
    pairs = list(combinations(alone, 2))
    both = [lost(list(pair)) - alone[pair[0]] - alone[pair[1]] for pair in track(pairs, "Silencing pairs of neurons")]
    return np.array(pairs), torch.stack(both, 1).numpy(), torch.stack(list(alone.values()), 1).numpy()


def _measure(
    interaction: Float[np.ndarray, "query pair"],
    contribution: Float[np.ndarray, "query neuron"],
    margin: Float[np.ndarray, "query"] | None = None,
) -> dict[str, Float[np.ndarray, "query_and_all"]]:
    """Return size, sign and, where the margin of all neurons is known, sum of the interactions of a random sample of pairs."""
    n_neurons = contribution.shape[1]
    all_pairs = n_neurons * (n_neurons - 1) / 2 / interaction.shape[1]
    measured = {
        "interaction_size": _ratio(_root_mean_square(interaction), _root_mean_square(contribution)),
        "net_interaction": _ratio(_sums(all_pairs * interaction.sum(1)), _sums(contribution.sum(1))),
    }
    if margin is not None:
        measured["summed_contributions"] = _ratio(_sums(contribution.sum(1)), _sums(margin))
    return measured


def _describe(observed: Measured, nulls: Sequence[Measured] = ()) -> tuple[Finding, ...]:
    """Give each statistic its interval over queries, and the range in which one more null model would fall."""
    findings = []
    for name, values in observed.items():
        value, n_queries = float(values[0]), len(values) - 1
        if not np.isfinite(values).all():
            reason = "The contributions of neurons are too small to compare with."
            findings.append(Finding(name, math.nan, "1", n_queries, reason=reason))
            continue
        ends = jackknife_interval(value, values[1:])
        draws = np.array([one[name][0] for one in nulls if np.isfinite(one[name]).all()])
        if len(draws) < 2 or np.ptp(draws) <= ROUNDING:
            no_null = NO_WIDTH if len(draws) else ""
            findings.append(Finding.from_draws(name, value, "1", n_queries, interval=ends, no_null=no_null))
            continue
        null = prediction_range(draws)
        findings.append(Finding.from_draws(name, value, "1", n_queries, interval=ends, null_range=null, null=NULL))
    return tuple(findings)


def _test_coupled_pairs(forms: PairForms, coupled: CoupledPairs, rate: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean interactions over test images (units of the score), half their 95 % intervals, and adjusted p-values.

    Coupling is measured on training images, its effect on test images. The two are independent, so only the coupled pairs count
    as tests of the second question; the p-value is NaN for all others.
    """
    mean, error = np.empty(len(coupled.pairs)), np.empty(len(coupled.pairs))
    for first in range(0, len(mean), TESTED_AT_ONCE):
        part = slice(first, first + TESTED_AT_ONCE)
        values = forms.interactions(coupled.pairs[part])
        mean[part], error[part] = values.mean(0), values.std(0, ddof=1) / math.sqrt(len(values))
    freedom = len(forms.response) - 1
    size = np.divide(np.abs(mean), error, out=np.zeros_like(mean), where=error > 0)
    is_coupled = coupled.adjusted_p <= rate
    adjusted = np.full(len(mean), np.nan)
    if is_coupled.any():
        adjusted[is_coupled] = false_discovery_control(2 * student.sf(size[is_coupled], freedom))
    return mean, student.ppf(0.975, freedom) * error, adjusted


def _describe_coupled_pairs(forms: PairForms, coupled: CoupledPairs, adjusted: np.ndarray, rate: float) -> tuple[Finding, ...]:
    """Say how many pairs are coupled, how many of them interact, and what the coupled ones do on average.

    The interval of the average is over test images; its n counts the pairs.
    """
    n_neurons = forms.n_neurons
    n_pairs = n_neurons * (n_neurons - 1) // 2
    is_coupled = coupled.adjusted_p <= rate
    n_coupled, n_interacting = int(is_coupled.sum()), int((adjusted <= rate).sum())
    is_full = n_coupled == len(coupled.pairs) < n_pairs
    reason = "All tested pairs are coupled; there may be more among the others." if is_full else ""
    counts = (
        Finding("coupled_pairs_fraction", n_coupled / n_pairs, "1", n_neurons, reason=reason),
        Finding("interacting_pairs_fraction", n_interacting / n_pairs, "1", n_neurons, reason=reason),
    )
    name, n_queries = "coupled_pairs_interaction", len(forms.response)
    if not n_coupled:
        return (*counts, Finding(name, math.nan, "1", n_queries, reason="The noise of no pair is coupled beyond doubt."))
    chosen = coupled.pairs[is_coupled][:MOST_AVERAGED]
    contribution = forms.contributions()[:, np.unique(chosen)].numpy()
    typical = np.abs(contribution.mean(0)).mean() + 0 * contribution[:, 0]
    (ratio,) = _describe({name: _ratio(_sums(forms.interactions(chosen).mean(1)), _sums(typical))})
    return (*counts, replace(ratio, n=len(chosen), reason=ratio.reason or NO_WIDTH))


def _sums(values: Float[np.ndarray, "query"]) -> Float[np.ndarray, "query_and_all"]:
    return np.concatenate([[values.sum()], values.sum() - values])


def _root_mean_square(rows: Float[np.ndarray, "query column"]) -> Float[np.ndarray, "query_and_all"]:
    """Return the root mean square of the columns' true means, from all queries (first) and without each in turn.

    The mean square of noisy means is too large by their variance, which is subtracted.
    """
    total, squares = rows.sum(0), (rows**2).sum(0)

    def true_square(total: np.ndarray, squares: np.ndarray, n: int) -> float:
        """Return the mean over columns of the squared mean, minus the variance of that mean."""
        variance = (squares - total**2 / n) / (n - 1)
        return float(((total / n) ** 2 - variance / n).mean())

    without = [true_square(total - row, squares - row**2, len(rows) - 1) for row in rows]
    return np.sqrt(np.maximum([true_square(total, squares, len(rows)), *without], 0))


def _ratio(above: np.ndarray, below: np.ndarray) -> Float[np.ndarray, "query_and_all"]:
    return np.divide(above, below, out=np.full_like(below, np.nan), where=below > 0)
