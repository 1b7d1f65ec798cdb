"""How unequal contributions are, beside contributions that follow from rates or signal-to-noise ratios alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dina.statistics.finding import Finding
from dina.statistics.resampling import percentile_interval, resample_counts
from dina.statistics.sparseness import gini_sparseness, treves_rolls_sparseness

MOST_RESAMPLES = 500
MEASURES = {"gini": gini_sparseness, "treves_rolls": treves_rolls_sparseness}


@dataclass(frozen=True, eq=False)
class SurrogateComparison:
    """Inequality of contributions and of surrogates, under the same resampling of images.

    Parameters
    ----------
    observed
        Measure → value of the contributions, negative ones counted as zero.
    resampled
        Measure → the same for every resample, shape ``(n_resamples,)``.
    surrogate
        (measure, surrogate) → values, shape ``(n_resamples,)``.
    """

    observed: Mapping[str, float]
    resampled: Mapping[str, Float[np.ndarray, "resample"]]
    surrogate: Mapping[tuple[str, str], Float[np.ndarray, "resample"]]


def compare_with_surrogates(
    by_image: Float[np.ndarray, "gallery neuron"],
    strengths: Mapping[str, Float[np.ndarray, "neuron"]],
    n_resamples: int,
    generator: np.random.Generator,
) -> SurrogateComparison:
    r"""Compare the inequality of contributions with that of surrogate populations.

    A surrogate's neurons contribute in proportion to a strength of theirs, nothing else: in proportion to their mean
    responses, as Poisson neurons with equal tuning would; in proportion to their signal-to-noise ratios, as neurons with
    independent noise would; or all the same. Strengths must be as unequal as the true ones, not made more so by errors
    (`dina.analyses.sparse_subsets.ratio_errors`). To each expected contribution an error is added that is as large as the
    standard error of the neuron's own contribution, because errors of estimation alone make contributions unequal.

    Parameters
    ----------
    by_image
        Margin lost without each neuron by image.
    strengths
        Surrogate → strength of each neuron, at least 0.
    n_resamples
        Bootstrap resamples of images; at most 500 are drawn.
    generator
        Source of randomness.

    References
    ----------
    Buzsáki & Mizuseki (2014), Nat. Rev. Neurosci. 15:264. https://doi.org/10.1038/nrn3687
    """
    n_images, n_neurons = by_image.shape
    mean, error = by_image.mean(0), by_image.std(0, ddof=1) / np.sqrt(n_images)
    expected = {name: _share(values) * mean.sum() for name, values in strengths.items()}
    n_drawn = min(n_resamples, MOST_RESAMPLES)
    counts = resample_counts(n_images, n_drawn, generator)
    resampled = {measure: np.empty(n_drawn) for measure in MEASURES}
    surrogate = {(measure, name): np.empty(n_drawn) for measure in MEASURES for name in expected}
    for draw, count in enumerate(counts):
        shift = count @ by_image / n_images - mean
        noise = shift + error * generator.standard_normal(n_neurons)
        for measure, inequality in MEASURES.items():
            resampled[measure][draw] = _inequality(mean + shift, inequality)
            for name, values in expected.items():
                surrogate[measure, name][draw] = _inequality(values + noise, inequality)
    observed = {measure: _inequality(mean, inequality) for measure, inequality in MEASURES.items()}
    return SurrogateComparison(observed, resampled, surrogate)


def describe_inequality(
    comparison: SurrogateComparison, n_images: int, unknown: Mapping[str, str] | None = None
) -> tuple[Finding, ...]:
    """Return inequality of contributions, and by how much it exceeds that of each surrogate, as findings.

    Parameters
    ----------
    comparison
        From `compare_with_surrogates`.
    n_images
        That contributions rest on.
    unknown
        Surrogate → why it could not be made, "" where it could.
    """
    found = []
    for measure, value in comparison.observed.items():
        low, high = percentile_interval(comparison.resampled[measure])
        # resampling adds the error of estimation a second time, which makes contributions more unequal
        excess_of_resamples = float(comparison.resampled[measure].mean()) - value
        found.append(
            Finding(f"contribution_{measure}", value, "1", n_images, low - excess_of_resamples, high - excess_of_resamples)
        )
    for (measure, name), drawn in comparison.surrogate.items():
        difference = comparison.resampled[measure] - drawn
        low, high = percentile_interval(difference)
        spread = percentile_interval(drawn - drawn.mean())
        words = f"contributions in proportion to {name.replace('_', ' ')}" if name != "equal" else "all contributions equal"
        found.append(Finding(f"{measure}_excess_over_{name}", float(difference.mean()), "1", n_images, low, high, *spread, words))
    for name, reason in (unknown or {}).items():
        if reason:
            found += [Finding(f"{measure}_excess_over_{name}", np.nan, "1", n_images, reason=reason) for measure in MEASURES]
    return tuple(found)


def _share(strength: np.ndarray) -> np.ndarray:
    known = np.nan_to_num(np.maximum(strength, 0.0))
    total = known.sum()
    return known / total if total > 0 else np.full(len(known), 1 / len(known))


def _inequality(contributions: np.ndarray, measure: Callable[[np.ndarray], np.ndarray]) -> float:
    positive = np.maximum(contributions, 0.0)[:, None]
    return float(measure(positive)[0])
