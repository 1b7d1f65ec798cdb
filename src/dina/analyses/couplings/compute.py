"""Which neurons vary together, and is the cause tuning, place on the cortex, or contamination? Correlations of pairs."""

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from pydantic import Field

from dina.analyses.analysis import AnalysisSettings, DescribedResult
from dina.analyses.couplings.coupling_statistics import (
    NO_POSITIONS,
    NoiseAndSignal,
    PairTable,
    TuningHalves,
    distance_dependence,
    like_to_like,
    mean_over_pairs,
    signal_noise_agreement,
)
from dina.analyses.decoded import Decoded
from dina.analyses.slow_drift import without_drift
from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.models.noise import repeat_differences
from dina.randomness import generator_for
from dina.short_words import brief
from dina.statistics.correlation import noise_correlations, signal_correlations, standardise_columns
from dina.statistics.coupling import CoupledPairs, CouplingEstimate, chance_spread, find_coupled_pairs
from dina.statistics.finding import Finding
from dina.statistics.intervals import prediction_range
from dina.statistics.repeats import average_halves

ROWS_AT_ONCE = 256
FEWEST_DIFFERENCES = 10
N_FLIPS = 40
MOST_SHOWN = 20_000  # pairs kept for drawing


class CouplingsSettings(AnalysisSettings):
    """How pairs of neurons are looked at.

    Parameters
    ----------
    n_sampled_neurons
        Neurons drawn at random; all their pairs serve the statistics about pairs in general.
    n_tested_pairs
        Pairs of surest coupling that are kept.
    n_rewired
        Rewired networks, the null of coupling between neurons of like tuning.
    false_discovery_rate
        Expected fraction of wrong pairs among those called coupled.
    nearest_um
        Pairs closer than this are left out of all statistics about distance: they share neuropil and light and may, between
        planes, be the same neuron.
    duplicate_um, duplicate_correlation
        Pairs closer than this (in the plane) and correlated more than that over all trials may be one neuron twice.
    """

    n_sampled_neurons: int = Field(1000, ge=4)
    n_tested_pairs: int = Field(20_000, ge=1)
    n_rewired: int = Field(40, ge=3)
    false_discovery_rate: float = Field(0.05, gt=0, lt=1)
    nearest_um: float = Field(30.0, ge=0)
    duplicate_um: float = Field(10.0, gt=0)
    duplicate_correlation: float = Field(0.5, gt=0, lt=1)


@dataclass(frozen=True, eq=False)
class CouplingsResult(DescribedResult):
    """Correlations of pairs of neurons in training images."""

    __repr__ = brief

    pairs: PairTable  # all pairs of the sampled neurons
    coupled: CoupledPairs  # the surest couplings of all pairs of the recording
    false_discovery_rate: float  # up to which adjusted p-value they count as coupled
    distance_edges_um: Float[np.ndarray, "edge"]
    by_distance: Float[np.ndarray, "measure bin 3"]  # as `distance_dependence` gives it
    duplicates: Int[np.ndarray, "duplicate 2"]  # pairs that may be one neuron recorded twice
    halves: tuple[NoiseAndSignal, ...]  # as `signal_noise_agreement` takes them; empty where a half has no repeats

    def to_dataset(self) -> xr.Dataset:
        """Return means by distance, the surest pairs, and evenly chosen pairs for drawing."""
        one = {"units": "1"}
        members = np.stack(self.pairs.upper, axis=1)
        shown = members[:: max(1, len(members) // MOST_SHOWN)]
        place, indices = (shown[:, 0], shown[:, 1]), {"units": "1", "long_name": "indices of neurons"}
        # from halves of the images: from the same trials the two correlations would seem opposed
        noise, signal = self.halves[0] if self.halves else [np.full(self.pairs.noise.shape, np.nan)] * 2
        variables = {
            "sampled_pairs": (("sampled", "member"), self.pairs.neurons[shown], indices),
            **{name: (("sampled",), matrix[place], one) for name, matrix in self.pairs.measures().items()},
            "noise_correlation_of_half": (("sampled",), noise[place], one),
            "signal_correlation_of_other_half": (("sampled",), signal[place], one),
            "distance": (("sampled",), self.pairs.distance_um[place], {"units": "um"}),
            "coupled_pairs": (("coupled", "member"), self.coupled.pairs, indices),
            "coupled_strength": (("coupled",), self.coupled.coupling, one),
            "coupled_p": (("coupled",), self.coupled.adjusted_p, one),
            "duplicates": (("duplicate", "member"), self.duplicates, indices),
            "by_distance": (("measure", "bin", "bound"), self.by_distance, one),
            "distance_edges": (("edge",), self.distance_edges_um, {"units": "um"}),
        }
        coordinates = {"measure": list(self.pairs.measures()), "bound": ["mean", "low", "high"]}
        return xr.Dataset(variables, coordinates, attrs={"false_discovery_rate": self.false_discovery_rate})


def analyse_couplings(decoded: Decoded, settings: CouplingsSettings = CouplingsSettings()) -> CouplingsResult:
    """Describe how pairs of neurons vary together in training images of which some have two trials; no towers are needed."""
    decoded, _ = without_drift(decoded)
    rows = _differences(decoded)
    generator = generator_for(decoded.seed, "couplings")
    estimate = CouplingEstimate.of(rows)
    spread = chance_spread(rows, estimate.shrinkage, generator_for(decoded.seed, "couplings by chance"))
    coupled = find_coupled_pairs(estimate, settings.n_tested_pairs, spread)
    sure = coupled.pairs[coupled.adjusted_p <= settings.false_discovery_rate]
    table = _tabulate(decoded, rows, estimate, settings.n_sampled_neurons, generator)
    edges, by_distance, near_minus_far = distance_dependence(table, settings.nearest_um, generator)
    position, n_neurons = decoded.recording.neuron_position_um, decoded.train.n_neurons
    apart, n_pairs = _apart(sure, position, settings.nearest_um), n_neurons * (n_neurons - 1) // 2
    duplicates, halves = _find_duplicates(decoded, settings), _halves(decoded, table.neurons)
    statistics = (
        _noise_mean(table, rows, generator),
        mean_over_pairs("signal_correlation_mean", table.signal, table),
        signal_noise_agreement(halves, generator),
        Finding("coupled_pairs_fraction", len(sure) / n_pairs, "1", n_neurons),
        *near_minus_far,
        like_to_like(apart, _tuning(decoded.validation), position, settings.n_rewired, generator),
        _count_duplicates(duplicates, decoded),
    )
    return CouplingsResult(
        table, coupled, settings.false_discovery_rate, edges, by_distance, duplicates, halves, statistics=statistics
    )


def _differences(decoded: Decoded) -> Float[np.ndarray, "row neuron"]:
    """Return differences between repeats of training images, or say why there are none."""
    differences = repeat_differences(decoded.train)
    n_rows = 0 if differences is None else len(differences)
    if differences is None or n_rows < FEWEST_DIFFERENCES:
        raise DataError(
            f"Noise correlations need at least {FEWEST_DIFFERENCES} pairs of repeats of training images; there are {n_rows}."
            " Record repeats, and store single trials."
        )
    return np.asarray(differences.numpy())


def _tabulate(
    decoded: Decoded, rows: np.ndarray, estimate: CouplingEstimate, n_neurons: int, generator: np.random.Generator
) -> PairTable:
    """Measure all pairs of some neurons; the coupling of two is given all neurons, not only these."""
    train, n_all = decoded.train, decoded.train.n_neurons
    neurons = np.sort(generator.choice(n_all, min(n_neurons, n_all), replace=False))
    first, second, _ = average_halves(train.responses, train.stimulus_index)
    blocks = [neurons[start : start + ROWS_AT_ONCE] for start in range(0, len(neurons), ROWS_AT_ONCE)]
    coupling = np.concatenate([estimate.rows(block)[0][:, neurons] for block in blocks])
    position = _known_positions(decoded)
    return PairTable(
        neurons=neurons,
        noise=noise_correlations(rows[:, neurons]),
        signal=signal_correlations(first[:, neurons], second[:, neurons]),
        coupling=coupling,
        position_um=None if position is None else position[neurons],
    )


def _halves(decoded: Decoded, neurons: Int[np.ndarray, "chosen"]) -> tuple[NoiseAndSignal, ...]:
    """Measure noise in one half of the training images and signal in the other, and the reverse."""
    train = decoded.train
    in_first = generator_for(decoded.seed, "halves of images").permutation(train.n_stimuli) % 2 == 0
    found = []
    for keep in (in_first, ~in_first):
        part = train.select_trials(keep[train.stimulus_index])
        part = replace(part, responses=part.responses[:, neurons])
        differences = repeat_differences(part)
        if differences is None:
            return ()
        _, index = np.unique(part.stimulus_index, return_inverse=True)
        first, second, _ = average_halves(part.responses, index)
        found.append((noise_correlations(differences.numpy()), signal_correlations(first, second)))
    return (found[0][0], found[1][1]), (found[1][0], found[0][1])


def _tuning(validation: Pairs) -> TuningHalves | None:
    """Return tuning in the validation images, if there are enough of them."""
    repeated = np.bincount(validation.stimulus_index, minlength=validation.n_stimuli) >= 2
    return TuningHalves.of(validation) if repeated.sum() >= FEWEST_DIFFERENCES else None


def _noise_mean(table: PairTable, rows: np.ndarray, generator: np.random.Generator) -> Finding:
    """Return the mean noise correlation; without any, the signs of two neurons' differences are independent."""
    unit = np.nan_to_num(standardise_columns(rows[:, table.neurons]))
    n = max(2, int((unit**2).sum() + 0.5))
    null = np.empty(N_FLIPS)
    for number in range(N_FLIPS):
        flipped = unit * (2 * generator.integers(0, 2, unit.shape, dtype=np.int8) - 1)
        null[number] = (np.sum(flipped.sum(1, dtype=np.float64) ** 2) - n) / (n * (n - 1))
    words = "signs of each neuron's differences drawn at random"
    return mean_over_pairs("noise_correlation_mean", table.noise, table, prediction_range(null), words)


def _apart(
    pairs: Int[np.ndarray, "pair 2"], position: Float[np.ndarray, "neuron 3"] | None, nearest_um: float
) -> Int[np.ndarray, "pair 2"]:
    """Leave out pairs that are close enough to share neuropil or to be one neuron; all stay where places are not known."""
    if position is None:
        return pairs
    distance = np.linalg.norm(position[pairs[:, 0]] - position[pairs[:, 1]], axis=1)
    return pairs[distance >= nearest_um]


def _find_duplicates(decoded: Decoded, settings: CouplingsSettings) -> Int[np.ndarray, "duplicate 2"]:
    """Find pairs at one place of the plane, in any depth, that respond alike over all training trials."""
    position, responses = _known_positions(decoded), decoded.train.responses
    found = [np.empty((0, 2), np.int64)]
    if position is None:
        return found[0]
    for start in range(0, len(position), ROWS_AT_ONCE):
        rows = np.arange(start, min(start + ROWS_AT_ONCE, len(position)))
        gap = np.hypot(*(position[rows, axis][:, None] - position[None, :, axis] for axis in (0, 1)))
        one, other = np.nonzero((gap < settings.duplicate_um) & (rows[:, None] < np.arange(len(position))))
        pairs = np.stack([rows[one], other], axis=1)
        # tuning and noise together: the same neuron shares both
        alike = np.array([np.corrcoef(responses[:, pair].T)[0, 1] if responses[:, pair].std(0).all() else 0.0 for pair in pairs])
        found.append(pairs[alike > settings.duplicate_correlation])
    return np.concatenate(found)


def _count_duplicates(duplicates: np.ndarray, decoded: Decoded) -> Finding:
    name, n = "possible_duplicates_fraction", decoded.train.n_neurons
    if _known_positions(decoded) is None:
        return Finding(name, float("nan"), "1", n, reason=NO_POSITIONS)
    return Finding(name, len(np.unique(duplicates[:, 1])) / n, "1", n)


def _known_positions(decoded: Decoded) -> np.ndarray | None:
    position = decoded.recording.neuron_position_um
    return None if position is None or not np.isfinite(position).all() else position
