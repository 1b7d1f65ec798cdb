"""Measure the same statistics on simulated sessions and on real mouse V1, and print them side by side.

Run ``python benchmarks/simulator_match.py [demo|benchmark|full] [--real FOLDER] [--seeds 0 1 2]``. The folder holds the recordings of
Antolik et al. (2016) as ``region1/raw_validation_set.npy`` (repeat, image, neuron) and so on. No decoder is run; the ideal observer
is the simulation's own truth. The statistics are written out here rather than imported, so that simulator and yardstick stay apart.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from scipy.stats import skew

from dina.randomness import generator_for
from dina.recordings.recording import Recording
from dina.recordings.simulator import simulate

N_PAIRED_NEURONS = 500  # between which noise correlations are measured
N_GALLERY = 280
GALLERIES = 10


def describe(responses: np.ndarray) -> dict[str, float]:
    """Describe responses of shape (repeat, stimulus, neuron)."""
    n_repeats, n_stimuli, _ = responses.shape
    centred = responses - responses.mean(1, keepdims=True)
    variance = (centred**2).mean((0, 1))
    total = centred.sum(0)
    # sum over pairs of different repeats = square of the sum minus the sum of squares
    covariance = ((total**2).mean(0) - n_repeats * variance) / (n_repeats * (n_repeats - 1))
    mean, noise = responses.mean(0), responses.var(0, ddof=1)
    residual = (responses - mean) / np.sqrt(noise.mean(0))
    chosen = np.linspace(0, residual.shape[2] - 1, min(N_PAIRED_NEURONS, residual.shape[2])).astype(int)
    correlation = np.corrcoef(residual[:, :, chosen].reshape(-1, len(chosen)).T)[np.triu_indices(len(chosen), 1)]
    fraction = covariance / variance
    return {
        "signal variance fraction": float(fraction.mean()),
        "its 5th percentile": float(np.percentile(fraction, 5)),
        "its 95th percentile": float(np.percentile(fraction, 95)),
        "fraction of zeros": float((responses == 0).mean()),
        "skewness": float(skew(responses.reshape(n_repeats * n_stimuli, -1)).mean()),
        "variance-mean exponent, all repeats": variance_exponent(responses),
        "variance-mean exponent, two repeats": variance_exponent(responses[:2]),
        "noise correlation, mean": float(correlation.mean()),
        "noise correlation, deviation": float(correlation.std()),
    }


def variance_exponent(responses: np.ndarray) -> float:
    """Fit log variance against log mean over images and neurons; few repeats bias it upwards, equally in all columns."""
    mean, variance = responses.mean(0), responses.var(0, ddof=1)
    both = (mean > 0) & (variance > 0)
    return float(np.polyfit(np.log(mean[both]), np.log(variance[both]), 1)[0])


def power_law_exponent(responses: np.ndarray) -> float:
    """Fit a power law to the cross-validated spectrum, ranks 11-500, weights 1 / rank (Stringer et al. 2019)."""
    first, second = (responses[repeat] - responses[repeat].mean(0) for repeat in (0, 1))
    _, _, components = np.linalg.svd(first, full_matrices=False)
    spectrum = ((first @ components.T) * (second @ components.T)).mean(0)
    rank = np.arange(11, min(500, len(spectrum) // 2) + 1)
    rank = rank[spectrum[rank - 1] > 0]
    # polyfit's weights multiply residuals, so 1 / rank on squares is its root here
    return -float(np.polyfit(np.log(rank), np.log(spectrum[rank - 1]), 1, w=rank**-0.5)[0])


def ideal_observer(recording: Recording, responses: np.ndarray) -> dict[str, float]:
    """Identify random images among a gallery by the truth, from averages and from single trials."""
    generator = generator_for(0, "galleries")
    n_repeats, n_gallery = responses.shape[0], min(N_GALLERY, recording.n_stimuli // 10)
    averaged, single = [], []
    for _ in range(GALLERIES):
        chosen = generator.choice(recording.n_stimuli, n_gallery, replace=False)
        queries = np.concatenate([responses[:, chosen].mean(0), responses[0, chosen]])
        counts = np.repeat([n_repeats, 1], n_gallery)
        assert recording.truth is not None
        hit = recording.truth.log_likelihood(queries, counts, chosen).argmax(1) == np.tile(np.arange(n_gallery), 2)
        averaged.append(hit[:n_gallery].mean())
        single.append(hit[n_gallery:].mean())
    return {
        f"ideal observer, averaged, of {n_gallery}": float(np.mean(averaged)),
        "ideal observer, single trial": float(np.mean(single)),
    }


def near_and_far(recording: Recording, responses: np.ndarray) -> dict[str, float]:
    """Compare noise correlations of neurons closer than 100 µm with those more than 600 µm apart."""
    assert recording.neuron_position_um is not None
    chosen = np.arange(min(N_PAIRED_NEURONS, recording.n_neurons))
    position = recording.neuron_position_um[chosen, :2].astype(float)
    distance = np.hypot(*(position[:, None] - position).transpose(2, 0, 1))
    correlation = np.corrcoef((responses[0] - responses[1])[:, chosen].T)
    apart = ~np.eye(len(chosen), dtype=bool)
    return {
        "noise correlation, < 100 um": float(correlation[(distance < 100) & apart].mean()),
        "noise correlation, > 600 um": float(correlation[distance > 600].mean()),
    }


def main() -> None:
    """Print one row per statistic and one column per recording."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("session", nargs="?", default="benchmark")
    parser.add_argument("--real", type=Path)
    parser.add_argument("--family", default="gabor_mixture")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    columns: dict[str, dict[str, float]] = {}
    for seed in options.seeds:
        began = time.perf_counter()
        recording = simulate(options.session, seed, settings={"n_repeats": options.repeats, "family": options.family})
        took = time.perf_counter() - began
        order = np.argsort(recording.stimulus_id, kind="stable").reshape(recording.n_stimuli, -1).T
        responses = recording.responses[order]
        columns[f"seed {seed}"] = (
            describe(responses)
            | {"power-law exponent": power_law_exponent(responses)}
            | near_and_far(recording, responses)
            | ideal_observer(recording, responses)
            | {"seconds to make": took}
        )
    for region in sorted(options.real.glob("region*")) if options.real else []:
        columns[region.name] = describe(np.load(region / "raw_validation_set.npy"))
    print("| statistic | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for statistic in next(iter(columns.values())):
        values = (f"{column[statistic]:.3f}" if statistic in column else "–" for column in columns.values())
        print(f"| {statistic} | " + " | ".join(values) + " |")


if __name__ == "__main__":
    main()
