"""Statistics over pairs of neurons, with errors that count neurons instead of pairs, and nulls that permute or rewire neurons."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from dina.data.pairs import Pairs
from dina.progress import track
from dina.statistics.correlation import standardise_columns
from dina.statistics.coupling import rewire
from dina.statistics.finding import Finding
from dina.statistics.intervals import jackknife_interval, prediction_range
from dina.statistics.repeats import average_halves

NO_POSITIONS = "Positions of neurons are not known."
NO_PAIR = "No pair of neurons is left for it."
N_BINS = 8  # of distance
N_PERMUTATIONS = 200
MOST_PAIRS = 5000  # of the network, the surest
FEWEST_PAIRS = 20
N_STRATA = 10  # of distance, within which networks are rewired
N_RESAMPLES = 1000
PAIRS_AT_ONCE = 2000

# Noise correlations and signal correlations of the same neurons, from different images.
NoiseAndSignal = tuple[Float32[np.ndarray, "chosen chosen"], Float32[np.ndarray, "chosen chosen"]]


@dataclass(frozen=True, eq=False)
class PairTable:
    """All pairs of some neurons; coupling is the partial correlation of noise, given all other neurons."""

    neurons: Int[np.ndarray, "chosen"]  # indices of the recording
    noise: Float32[np.ndarray, "chosen chosen"]
    signal: Float32[np.ndarray, "chosen chosen"]
    coupling: Float32[np.ndarray, "chosen chosen"]
    position_um: Float32[np.ndarray, "chosen 3"] | None  # on the cortex; None where not known

    @cached_property
    def upper(self) -> tuple[Int[np.ndarray, "pair"], Int[np.ndarray, "pair"]]:
        """First and second member of every pair, positions along ``neurons``."""
        return np.triu_indices(len(self.neurons), 1)

    @cached_property
    def distance_um(self) -> Float32[np.ndarray, "chosen chosen"]:
        """Distance between neurons in three dimensions; NaN where positions are not known."""
        if self.position_um is None:
            return np.full(self.noise.shape, np.nan, dtype=np.float32)
        square = np.zeros(self.noise.shape, dtype=np.float32)
        for axis in self.position_um.T:
            square += (axis[:, None] - axis) ** 2
        return np.sqrt(square)

    def measures(self) -> dict[str, Float32[np.ndarray, "chosen chosen"]]:
        """Return the three matrices by name."""
        return {"noise_correlation": self.noise, "signal_correlation": self.signal, "coupling": self.coupling}


def mean_over_pairs(
    name: str,
    values: Float32[np.ndarray, "chosen chosen"],
    table: PairTable,
    null_range: tuple[float, float] | None = None,
    null: str = "",
) -> Finding:
    """Return the mean over all pairs with its interval over neurons (jackknife, leaving out one neuron at a time)."""
    means = _means_without(np.nan_to_num(values), np.isfinite(values), table)
    value, ends, n = float(means[0]), jackknife_interval(float(means[0]), means[1:]), len(table.neurons)
    return Finding.from_draws(name, value, "1", n, reason=NO_PAIR, interval=ends, null_range=null_range, null=null)


def signal_noise_agreement(halves: Sequence[NoiseAndSignal], generator: np.random.Generator) -> Finding:
    """Correlate noise correlation with signal correlation over pairs; null: neurons of one of them permuted.

    Each half pairs noise correlations of some images with signal correlations of others. From the same trials the two would
    seem opposed: chance adds to the difference of two repeats what it takes from their product.
    """
    if not halves:
        return Finding("signal_noise_agreement", math.nan, "1", 0, reason="Half of the training images hold no repeats.")
    found = [_agreement(noise, signal, generator) for noise, signal in halves]
    values, null = (np.mean([part[position] for part in found], axis=0) for position in (0, 1))
    return _jackknifed("signal_noise_agreement", values, null, "neurons of one of the two permuted")


def _jackknifed(name: str, values: Float[np.ndarray, "all_and_without"], null: np.ndarray, words: str) -> Finding:
    """Return a finding from its value for all neurons, its values without each, and draws of its null."""
    value, ends = float(values[0]), jackknife_interval(float(values[0]), values[1:])
    return Finding.from_draws(name, value, "1", len(values) - 1, null_draws=null, null=words, reason=NO_PAIR, interval=ends)


def _agreement(
    noise: np.ndarray, signal: np.ndarray, generator: np.random.Generator
) -> tuple[Float[np.ndarray, "all_and_without"], Float[np.ndarray, "permutation"]]:
    """Return the correlation over pairs, from all neurons and without each, and with neurons permuted."""
    known = np.isfinite(noise) & np.isfinite(signal)
    np.fill_diagonal(known, val=False)
    x, y = (np.where(known, values, 0).astype(np.float64) for values in (noise, signal))
    per_neuron = np.array([part.sum(1) for part in (known.astype(np.float64), x, y, x * x, y * y, x * y)])
    total = per_neuron.sum(1)[:, None] / 2
    values = _correlation(np.concatenate([total, total - per_neuron], axis=1))
    null = np.empty(N_PERMUTATIONS)
    for number in range(N_PERMUTATIONS):
        order = generator.permutation(len(y))
        # the product of all entries is that of all pairs, twice
        moved = np.append(total[:5, 0], np.vdot(x, y[np.ix_(order, order)]) / 2)
        null[number] = _correlation(moved[:, None])[0]
    return values, null


def distance_dependence(
    table: PairTable, nearest_um: float, generator: np.random.Generator
) -> tuple[Float[np.ndarray, "edge"], Float[np.ndarray, "measure bin 3"], tuple[Finding, ...]]:
    """Average the measures over bins of distance, and compare the nearest quarter of the pairs with the farthest.

    Pairs closer than ``nearest_um`` make up the first bin and take no part in the comparison: they share neuropil and may be one
    neuron. Returned are the edges of the bins (µm; none without positions), mean and interval by measure and bin, and findings.
    """
    n_neurons, names = len(table.neurons), list(table.measures())
    far_enough = table.distance_um[table.upper]
    far_enough = far_enough[far_enough >= nearest_um]
    if len(far_enough) < 4 * N_BINS:
        reason = NO_POSITIONS if table.position_um is None else f"Too few pairs are more than {nearest_um:g} µm apart."
        unknown = tuple(Finding(f"{name}_near_minus_far", math.nan, "1", n_neurons, reason=reason) for name in names)
        return np.empty(0), np.empty((len(names), 0, 3)), unknown
    edges = np.concatenate([[0.0, nearest_um], np.quantile(far_enough, np.arange(1, N_BINS + 1) / N_BINS)])
    edges[-1] = np.nextafter(edges[-1], np.inf)
    bins = np.digitize(table.distance_um, edges) - 1
    means, observed = np.full((len(names), N_BINS + 1, 3), np.nan), []
    for row, values in enumerate(table.measures().values()):
        filled, known = np.nan_to_num(values), np.isfinite(values)
        without = [_means_without(filled, known & (bins == number), table) for number in range(N_BINS + 1)]
        for number, each in enumerate(without):
            means[row, number] = each[0], *jackknife_interval(float(each[0]), each[1:])
        observed.append((without[1] + without[2]) / 2 - (without[-2] + without[-1]) / 2)
    rows = zip(names, observed, _permute_positions(table, bins, generator), strict=True)
    words = "positions permuted over neurons"
    return edges, means, tuple(_jackknifed(f"{name}_near_minus_far", values, null, words) for name, values, null in rows)


def _permute_positions(
    table: PairTable, bins: Int[np.ndarray, "chosen chosen"], generator: np.random.Generator
) -> Float[np.ndarray, "measure permutation"]:
    """Return near minus far of each measure with neurons at permuted places."""
    near, far = (np.isin(bins, numbers).astype(np.int8) for numbers in ((1, 2), (N_BINS - 1, N_BINS)))
    weight = near / max(1, int(near.sum())) - far / max(1, int(far.sum()))
    np.fill_diagonal(weight, 0.0)
    values = [np.nan_to_num(matrix - np.nanmean(matrix[table.upper])) for matrix in table.measures().values()]
    null = np.empty((len(values), N_PERMUTATIONS))
    for number in track(range(N_PERMUTATIONS), "Permuting positions"):
        order = generator.permutation(len(weight))
        moved = weight[np.ix_(order, order)].astype(np.float32)
        null[:, number] = [float(np.vdot(moved, matrix)) for matrix in values]
    return null


def _means_without(
    values: Float32[np.ndarray, "chosen chosen"], taken: Bool[np.ndarray, "chosen chosen"], table: PairTable
) -> Float[np.ndarray, "all_and_without"]:
    """Return the mean over taken pairs, of all neurons (first) and without each in turn; NaN where none is left."""
    one, other = table.upper
    chosen = taken[one, other]
    one, other = one[chosen], other[chosen]
    inside, n_neurons = values[one, other].astype(np.float64), len(table.neurons)
    sums, counts = np.zeros(n_neurons), np.zeros(n_neurons)
    for member in (one, other):
        sums += np.bincount(member, weights=inside, minlength=n_neurons)
        counts += np.bincount(member, minlength=n_neurons)
    above = np.concatenate([[inside.sum()], inside.sum() - sums])
    below = np.concatenate([[len(inside)], len(inside) - counts])
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def _correlation(sums: Float[np.ndarray, "moment all_and_without"]) -> Float[np.ndarray, "all_and_without"]:
    n, x, y, xx, yy, xy = sums
    return np.asarray((xy - x * y / n) / np.sqrt((xx - x**2 / n) * (yy - y**2 / n)))


@dataclass(frozen=True, eq=False)
class TuningHalves:
    """Tuning of all neurons from two halves of the repeats, as columns of unit length."""

    first: Float32[np.ndarray, "stimulus neuron"]
    second: Float32[np.ndarray, "stimulus neuron"]

    @classmethod
    def of(cls, pairs: Pairs) -> "TuningHalves":
        """Average odd and even repeats of some images: others than those in which couplings were looked for.

        Differences of repeats and products of repeats share their chance errors, with opposite signs.
        """
        first, second, _ = average_halves(pairs.responses, pairs.stimulus_index)
        return cls(standardise_columns(first), standardise_columns(second))

    def correlate(self, pairs: Int[np.ndarray, "pair 2"]) -> Float[np.ndarray, "pair"]:
        """Return the signal correlation of single pairs; NaN where a neuron is constant."""
        found = [np.empty(0)]
        for start in range(0, len(pairs), PAIRS_AT_ONCE):
            one, other = pairs[start : start + PAIRS_AT_ONCE].T
            forth = np.einsum("sp,sp->p", self.first[:, one], self.second[:, other])
            back = np.einsum("sp,sp->p", self.second[:, one], self.first[:, other])
            found.append((forth + back) / 2)
        return np.concatenate(found)


def like_to_like(
    coupled: Int[np.ndarray, "pair 2"],
    tuning: TuningHalves | None,
    position_um: Float[np.ndarray, "neuron 3"] | None,
    n_networks: int,
    generator: np.random.Generator,
) -> Finding:
    """Return the mean signal correlation of coupled pairs beside that of rewired networks.

    ``coupled`` holds the surest pairs first, without those that may be one neuron twice. ``tuning`` comes from other images than
    the couplings (None: these were not repeated). Without positions, rewired networks keep only the number of partners.
    """
    name, pairs = "coupled_signal_correlation", coupled[:MOST_PAIRS]
    if len(pairs) < FEWEST_PAIRS:
        few = f"Only {len(pairs)} pairs are" if len(pairs) > 1 else "Only one pair is" if len(pairs) else "No pair is"
        reason = f"{few} coupled beyond doubt; a network needs at least {FEWEST_PAIRS}. Record more images or repeats."
        return Finding(name, math.nan, "1", len(pairs), reason=reason)
    if tuning is None:
        return Finding(name, math.nan, "1", len(pairs), reason="Too few validation images were shown twice.")
    values, edges, words = tuning.correlate(pairs), np.empty(0), "networks rewired with the same numbers of partners"
    if position_um is not None:
        distance = np.linalg.norm(position_um[pairs[:, 0]] - position_um[pairs[:, 1]], axis=1)
        edges = np.quantile(distance, np.arange(1, N_STRATA) / N_STRATA)
        words += " and the same distances"
    networks = rewire(pairs, position_um, edges, n_networks, generator)
    null = prediction_range(np.array([np.nanmean(tuning.correlate(network)) for network in networks]))
    neurons, member = np.unique(pairs, return_inverse=True)
    resampled = _resample_neurons(values, member.reshape(pairs.shape), len(neurons), generator)
    value = float(np.nanmean(values))
    return Finding.from_draws(name, value, "1", len(neurons), resampled, null_range=null, null=words)


def _resample_neurons(
    values: np.ndarray, member: np.ndarray, n_neurons: int, generator: np.random.Generator
) -> Float[np.ndarray, "resample"]:
    """Bootstrap neurons: a pair counts as often as both its members were drawn."""
    known, means = np.isfinite(values), []
    for _ in range(N_RESAMPLES):
        drawn = np.bincount(generator.integers(n_neurons, size=n_neurons), minlength=n_neurons)
        weight = (drawn[member[:, 0]] * drawn[member[:, 1]])[known]
        if weight.any():
            means.append(float(weight @ values[known] / weight.sum()))
    return np.array(means)
