"""Statistics over pairs of neurons, with errors that count neurons, not pairs, and nulls that permute neurons."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from scipy.stats import t as student

from dina.progress import track
from dina.statistics.finding import Finding
from dina.statistics.resampling import percentile_interval

NO_POSITIONS = "Positions of neurons are not known."
N_BINS = 8
N_PERMUTATIONS = 200


NoiseAndSignal = tuple[Float32[np.ndarray, "chosen chosen"], Float32[np.ndarray, "chosen chosen"]]
"""Noise correlations and signal correlations of the same neurons, from different images."""


@dataclass(frozen=True, eq=False)
class PairTable:
    """All pairs of some neurons.

    Parameters
    ----------
    neurons
        Which neurons, indices of the recording, shape ``(n_chosen,)``.
    noise, signal, coupling
        Noise correlation, signal correlation, and partial correlation of noise, symmetric, shape ``(n_chosen, n_chosen)``.
    position_um
        Places on the cortex, shape ``(n_chosen, 3)``; None where not known.
    """

    neurons: Int[np.ndarray, "chosen"]
    noise: Float32[np.ndarray, "chosen chosen"]
    signal: Float32[np.ndarray, "chosen chosen"]
    coupling: Float32[np.ndarray, "chosen chosen"]
    position_um: Float32[np.ndarray, "chosen 3"] | None

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


def mean_over_pairs(name: str, values: Float32[np.ndarray, "chosen chosen"], table: PairTable) -> Finding:
    """Return the mean over all pairs with its interval over neurons (jackknife, leaving out one neuron at a time)."""
    known = np.isfinite(values)
    return _as_finding(name, _means_without(np.nan_to_num(values), known, table), len(table.neurons))


def signal_noise_agreement(halves: Sequence[NoiseAndSignal], generator: np.random.Generator) -> Finding:
    """Correlate noise correlation with signal correlation over pairs; null: neurons of one of them permuted.

    Parameters
    ----------
    halves
        Noise correlations of some images with signal correlations of other images, and the reverse; shapes
        ``(n_neurons, n_neurons)``. From the same trials the two would seem opposed: what is in the difference of two repeats
        by chance is missing in their product.
    generator
        Of the permutations.
    """
    if not halves:
        return Finding("signal_noise_agreement", math.nan, "1", 0, reason="Half of the training images hold no repeats.")
    found = [_agreement(noise, signal, generator) for noise, signal in halves]
    values, null = (np.mean([part[position] for part in found], axis=0) for position in (0, 1))
    low, high = percentile_interval(null)
    words = "neurons of one of the two permuted"
    return _as_finding("signal_noise_agreement", values, len(values) - 1, low, high, words)


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
        moved = np.array(
            [total[0, 0], total[1, 0], total[2, 0], total[3, 0], total[4, 0], np.vdot(x, y[np.ix_(order, order)]) / 2]
        )
        null[number] = _correlation(moved[:, None])[0]
    return values, null


@dataclass(frozen=True, eq=False)
class DistanceDependence:
    """How the measures of pairs fall with distance.

    Parameters
    ----------
    edges_um
        Of bins; the first holds pairs that are left out, shape ``(n_bins + 1,)``; empty where positions are not known.
    means
        Measure, bin, (mean, low, high).
    findings
        Near less far, by measure, with permuted positions as null.
    """

    edges_um: Float[np.ndarray, "edge"]
    means: Float[np.ndarray, "measure bin 3"]
    findings: tuple[Finding, ...]


def distance_dependence(table: PairTable, nearest_um: float, generator: np.random.Generator) -> DistanceDependence:
    """Average the measures over bins of distance, and compare the nearest quarter of the pairs with the farthest.

    Parameters
    ----------
    table
        The pairs.
    nearest_um
        Closer pairs make up the first bin and take no part in the comparison: they share neuropil and may be one neuron.
    generator
        Of the permutations of positions over neurons.
    """
    n_neurons, names = len(table.neurons), list(table.measures())
    far_enough = table.distance_um[table.upper]
    far_enough = far_enough[far_enough >= nearest_um]
    if len(far_enough) < 4 * N_BINS:
        reason = NO_POSITIONS if table.position_um is None else f"Too few pairs are more than {nearest_um:g} µm apart."
        unknown = tuple(Finding(f"{name}_near_minus_far", math.nan, "1", n_neurons, reason=reason) for name in names)
        return DistanceDependence(np.empty(0), np.empty((len(names), 0, 3)), unknown)
    edges = np.concatenate([[0.0, nearest_um], np.quantile(far_enough, np.arange(1, N_BINS + 1) / N_BINS)])
    edges[-1] = np.nextafter(edges[-1], np.inf)
    bins = np.digitize(table.distance_um, edges) - 1
    means, observed = np.full((len(names), N_BINS + 1, 3), np.nan), []
    for row, values in enumerate(table.measures().values()):
        filled, known = np.nan_to_num(values), np.isfinite(values)
        without = [_means_without(filled, known & (bins == number), table) for number in range(N_BINS + 1)]
        for number, each in enumerate(without):
            found = _as_finding("", each, n_neurons)
            means[row, number] = found.value, found.low, found.high
        observed.append((without[1] + without[2]) / 2 - (without[-2] + without[-1]) / 2)
    null = _permute_positions(table, bins, generator)
    words = "positions permuted over neurons"
    findings = [
        _as_finding(f"{name}_near_minus_far", values, n_neurons, *percentile_interval(null[row]), words)
        for row, (name, values) in enumerate(zip(names, observed, strict=True))
    ]
    return DistanceDependence(edges, means, tuple(findings))


def _permute_positions(
    table: PairTable, bins: Int[np.ndarray, "chosen chosen"], generator: np.random.Generator
) -> Float[np.ndarray, "measure permutation"]:
    """Return near less far of each measure with neurons at permuted places."""
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
    correlation: np.ndarray = (xy - x * y / n) / np.sqrt((xx - x**2 / n) * (yy - y**2 / n))
    return correlation


def _as_finding(
    name: str,
    values: Float[np.ndarray, "all_and_without"],
    n_neurons: int,
    null_low: float = math.nan,
    null_high: float = math.nan,
    null: str = "",
) -> Finding:
    """Turn a value and the values without each neuron into a finding with its jackknife interval."""
    value, without = float(values[0]), values[1:]
    if not np.isfinite(values).all():
        low = high = math.nan
        reason = "" if math.isfinite(value) else "No pair of neurons is left for it."
    else:
        error = math.sqrt((n_neurons - 1) * float(((without - without.mean()) ** 2).mean()))
        reach = float(student.ppf(0.975, n_neurons - 1)) * error
        low, high, reason = value - reach, value + reach, ""
    return Finding(name, value, "1", n_neurons, low, high, null_low, null_high, null, reason)
