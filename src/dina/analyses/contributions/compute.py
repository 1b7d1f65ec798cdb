"""What decoding loses without each neuron: exactly where the decoder is linear in it, else by sampling."""

from dataclasses import dataclass, replace

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from dina.analyses.analysis import AnalysisSettings
from dina.analyses.contributions.contribution_findings import describe_contributions
from dina.analyses.decoded import Decoded
from dina.analyses.image_axes import stimulus_coordinates
from dina.analyses.neuron_readout import NeuronReadout, TowerReadout, is_closed_form, margin_units, readout_of, treatments_of
from dina.analyses.neuron_strength import measure_strength
from dina.analyses.query_trials import QueryTrials, rank_on_training
from dina.analyses.score_changes import ScoreChanges, Treatment
from dina.data.pairs import QueryKind
from dina.progress import track
from dina.randomness import generator_for
from dina.statistics.finding import Finding


class ContributionSettings(AnalysisSettings):
    """How much is sampled.

    Parameters
    ----------
    n_ranking_images
        Training images by which neurons are ranked.
    n_permutations
        For Shapley values; even.
    n_shuffles
        Assignments of test images to other images, for the null.
    n_sampled_neurons, n_sampled_trials
        Silenced one by one where there is no closed form; others are known to first order.
    """

    n_ranking_images: int = Field(500, ge=2)
    n_permutations: int = Field(20, ge=4, multiple_of=2)
    n_shuffles: int = Field(20, ge=2)
    n_sampled_neurons: int = Field(48, ge=2)
    n_sampled_trials: int = Field(64, ge=2)


@dataclass(frozen=True, eq=False)
class ContributionsResult:
    """What every neuron contributes; positive means that decoding is worse without it.

    Parameters
    ----------
    treatment
        How a neuron was taken out in ``contribution``: "removed" where the decoder has a noise model, else "silenced".
    units
        Of margins: "nat" for log likelihoods, else "1".
    kind
        Of the queries.
    contribution
        Mean over test images of the margin lost without each neuron, shape ``(n_neurons,)``.
    error
        Its standard error over images, same shape.
    means
        Name → mean over test images of what is lost, shape ``(n_neurons,)``: ``score_lost_removed``,
        ``margin_lost_removed``, ``rank_lost_removed`` and the same for silencing; NaN where it was not computed. Where only
        a sample is exact, ``margin_lost_first_order`` is the first order for the same trials.
    changes
        Treatment → what every query loses without every neuron; NaN where it was not computed.
    target
        Image of each query, place among the test images, shape ``(n_queries,)``.
    stimulus_id
        Identity of the image of each query, same shape.
    training_contribution
        As ``contribution``, on training images: neurons are ranked by it, so the test images serve once only.
    shapley, shapley_error
        Shapley values and their standard errors, shape ``(n_neurons,)``.
    statistics
        The findings.
    """

    treatment: Treatment
    units: str
    kind: QueryKind
    contribution: Float[np.ndarray, "neuron"]
    error: Float[np.ndarray, "neuron"]
    means: dict[str, Float[np.ndarray, "neuron"]]
    changes: dict[Treatment, ScoreChanges]
    target: Int[np.ndarray, "query"]
    stimulus_id: Int[np.ndarray, "query"]
    training_contribution: Float[np.ndarray, "neuron"]
    shapley: Float[np.ndarray, "neuron"]
    shapley_error: Float[np.ndarray, "neuron"]
    statistics: tuple[Finding, ...] = ()

    def to_dataset(self) -> xr.Dataset:
        """Return all arrays with named axes and units; what every trial loses in single precision, which is enough to draw."""
        margin, each = {"units": self.units}, ("lost_by", "query", "neuron")
        variables: dict[str, tuple[tuple[str, ...] | str, np.ndarray, dict[str, str]]] = {
            "contribution": ("neuron", self.contribution, margin),
            "contribution_error": ("neuron", self.error, margin),
            "training_contribution": ("neuron", self.training_contribution, margin),
            "shapley": ("neuron", self.shapley, margin),
            "shapley_error": ("neuron", self.shapley_error, margin),
            "target": ("query", self.target, {"units": "1", "long_name": "place among the test images"}),
        }
        places = {"units": "places"}
        for name, values in self.means.items():
            variables[name] = ("neuron", values, places if name.startswith("rank") else margin)
        for name in ("score_lost", "margin_lost", "rank_lost"):
            lost = np.stack([getattr(change, name).numpy().astype(np.float32) for change in self.changes.values()])
            variables[name] = (each, lost, places if name == "rank_lost" else margin)
        attributes = {"treatment": self.treatment, "units": self.units, "queries": self.kind}
        dataset = xr.Dataset(
            variables, {"lost_by": list(self.changes), **stimulus_coordinates({"query": self.stimulus_id})}, attributes
        )
        for name in ("score_lost", "margin_lost", "rank_lost"):
            dataset[name].encoding = {"zlib": True, "complevel": 1, "shuffle": True}
        return dataset

    def findings(self) -> tuple[Finding, ...]:
        """Return agreement of the contributions with themselves, with other measures, and with what was planted."""
        return self.statistics


def analyse_contributions(decoded: Decoded, settings: ContributionSettings = ContributionSettings()) -> ContributionsResult:
    """Take every neuron out of the decoder in turn and measure what each test trial loses.

    A neuron is *silenced* when its response is set to its mean while the decoder still expects it to respond. It is *removed*
    when the decoder no longer knows it (rank-one downdate of the inverse noise covariance). The two differ where noise is
    shared: a neuron without any signal can help because it reports the noise of others. Both are exact for every neuron and
    trial in linear towers; in other towers a sample is exact and all other neurons are known to first order.

    Parameters
    ----------
    decoded
        A finished decoding.
    settings
        How much is sampled.

    Raises
    ------
    DataError
        If there are no fitted towers.
    """
    towers = decoded.towers
    trials = QueryTrials.of_test(decoded)
    readout = readout_of(towers, trials.images)
    changes = {how: _changes(readout, trials, how, settings, decoded.seed) for how in treatments_of(towers)}
    main = next(iter(changes))
    is_exact = is_closed_form(towers)
    lost = changes[main].margin_lost if is_exact else readout.margins_lost(trials.responses, trials.target, main)
    by_image = trials.by_image(lost)
    mean, error = _mean_and_error(by_image)
    generator = generator_for(decoded.seed, "shapley")
    few = trials if is_exact else trials.first(settings.n_sampled_trials)
    n_permutations = settings.n_permutations if is_exact else 4  # a run of the tower for every group and permutation
    shapley, shapley_error = sample_shapley(readout, few, n_permutations, generator)
    result = ContributionsResult(
        treatment=main,
        units=margin_units(towers),
        kind=trials.kind,
        contribution=mean,
        error=error,
        means=_means(trials, changes) if is_exact else _means(trials, changes) | _first_order(lost, changes[main]),
        changes=changes,
        target=trials.target.numpy(),
        stimulus_id=decoded.test.stimulus_id[trials.target.numpy()],
        training_contribution=rank_on_training(decoded, settings.n_ranking_images),
        shapley=shapley,
        shapley_error=shapley_error,
    )
    shuffled = _shuffled(readout, trials, main, settings.n_shuffles, decoded.seed)
    found = describe_contributions(decoded, result.to_dataset(), by_image, shuffled, measure_strength(decoded.train))
    return replace(result, statistics=found)


def sample_shapley(
    readout: NeuronReadout, trials: QueryTrials, n_permutations: int, generator: np.random.Generator
) -> tuple[Float[np.ndarray, "neuron"], Float[np.ndarray, "neuron"]]:
    """Estimate the Shapley value of every neuron for the mean margin.

    Where two neurons carry the same, the loss of either alone costs nothing; a Shapley value gives each its half.
    Permutations come in pairs, one the reverse of the other, which cancels much of the sampling error.

    Parameters
    ----------
    readout
        Of a decoder; where it has no closed form, groups of neurons join together.
    trials
        The queries.
    n_permutations
        Even, at least 4.
    generator
        Draws the permutations.

    Returns
    -------
    value
        In units of the margin, shape ``(n_neurons,)``; the values add up to the mean margin.
    error
        Standard error of each value from the sampling of permutations, same shape.

    References
    ----------
    Castro, Gómez & Tejada (2009), Comput. Oper. Res. 36:1726. https://doi.org/10.1016/j.cor.2008.04.004

    Mitchell et al. (2022), J. Mach. Learn. Res. 23:43 (pairs). https://doi.org/10.48550/arXiv.2104.12199
    """
    pairs = []
    for _ in track(range(n_permutations // 2), "Sampling Shapley values"):
        order = torch.from_numpy(generator.permutation(readout.n_neurons))
        both = [readout.marginal_gains(trials.responses, trials.target, way) for way in (order, order.flip(0))]
        pairs.append(((both[0] + both[1]) / 2).numpy())
    drawn = np.stack(pairs)
    return drawn.mean(0), drawn.std(0, ddof=1) / np.sqrt(len(drawn))


def _changes(
    readout: NeuronReadout, trials: QueryTrials, treatment: Treatment, settings: ContributionSettings, seed: int
) -> ScoreChanges:
    if not isinstance(readout, TowerReadout):
        return readout.changes(trials.responses, trials.target, treatment)
    generator = generator_for(seed, "sampled neurons")
    neurons = np.sort(generator.permutation(readout.n_neurons)[: settings.n_sampled_neurons])
    few = trials.first(settings.n_sampled_trials)
    found = readout.sampled_changes(few.responses, few.target, tuple(neurons.tolist()))
    filled = []
    for part in (found.score_lost, found.margin_lost, found.rank_lost):
        whole = torch.full(trials.responses.shape, torch.nan, dtype=torch.float64)
        whole[: len(part)] = part
        filled.append(whole)
    return ScoreChanges(*filled)


def _means(trials: QueryTrials, changes: dict[Treatment, ScoreChanges]) -> dict[str, Float[np.ndarray, "neuron"]]:
    """Average over images, each counting the same; sampled trials where only these were run."""
    means = {}
    for how, change in changes.items():
        for name, values in vars(change).items():
            known = ~values.isnan().all(1)
            if bool(known.all()):
                means[f"{name}_{how}"] = trials.by_image(values).mean(0)
            else:
                means[f"{name}_{how}"] = values[known].mean(0).numpy()
    return means


def _first_order(lost: Tensor, exact: ScoreChanges) -> dict[str, Float[np.ndarray, "neuron"]]:
    """Average the first order over the trials for which the exact loss is known as well."""
    return {"margin_lost_first_order": lost[~exact.margin_lost.isnan().all(1)].mean(0).numpy()}


def _shuffled(
    readout: NeuronReadout, trials: QueryTrials, treatment: Treatment, n_shuffles: int, seed: int
) -> list[tuple[Float[np.ndarray, "neuron"], Float[np.ndarray, "neuron"]]]:
    """Return contributions and their errors when every image's trials are taken for another image's."""
    generator = generator_for(seed, "shuffled images")
    shuffled = []
    for _ in range(n_shuffles):
        target = trials.target.new_tensor(generator.permutation(trials.n_images))[trials.target]
        renamed = replace(trials, target=target)
        shuffled.append(_mean_and_error(renamed.by_image(readout.margins_lost(trials.responses, target, treatment))))
    return shuffled


def _mean_and_error(
    by_image: Float[np.ndarray, "gallery neuron"],
) -> tuple[Float[np.ndarray, "neuron"], Float[np.ndarray, "neuron"]]:
    """Return mean over images and its standard error, for every neuron."""
    return by_image.mean(0), by_image.std(0, ddof=1) / np.sqrt(len(by_image))
