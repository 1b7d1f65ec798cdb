"""Which pairs of neurons are coupled beyond doubt in training images, and what they do together in test images."""

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.stats import false_discovery_control
from scipy.stats import t as student

from dina.analyses.functional_interactions.interaction_statistics import ratio_over_queries
from dina.analyses.pair_interactions import PairForms
from dina.statistics.coupling import CoupledPairs
from dina.statistics.finding import Finding

MOST_AVERAGED = 20_000  # coupled pairs, the surest, whose interactions are averaged
OF_COUPLED_PAIRS = ("coupled_pairs_fraction", "interacting_pairs_fraction", "coupled_pairs_interaction")
"""Names of the findings about coupled pairs."""
NO_WIDTH = "Neurons that add up have no interaction at all, a null without width: compare the interval with 0."


@dataclass(frozen=True, eq=False)
class TestedPairs:
    """Pairs tested one by one.

    Parameters
    ----------
    mean
        Mean interaction over test images, in units of the score, shape ``(n_tested,)``.
    reach
        Half its 95 % interval.
    adjusted_p
        Of no mean interaction, adjusted for the coupled pairs; NaN for pairs that are not coupled.
    """

    mean: Float[np.ndarray, "tested"]
    reach: Float[np.ndarray, "tested"]
    adjusted_p: Float[np.ndarray, "tested"]


def judge_coupled_pairs(forms: PairForms, coupled: CoupledPairs, rate: float) -> TestedPairs:
    """Ask whether coupled pairs change the margin: coupling is seen in training images, its effect in test images.

    Since the two are independent, only the coupled pairs count as tests of the second question; others get no p-value.
    """
    mean, error = np.empty(len(coupled.pairs)), np.empty(len(coupled.pairs))
    for first in range(0, len(mean), 8192):  # some pairs at a time: images × pairs is large
        values = forms.interactions(coupled.pairs[first : first + 8192])
        mean[first : first + 8192] = values.mean(0)
        error[first : first + 8192] = values.std(0, ddof=1) / math.sqrt(len(values))
    freedom = len(forms.asked) - 1
    size = np.divide(np.abs(mean), error, out=np.zeros_like(mean), where=error > 0)
    is_coupled = coupled.adjusted_p <= rate
    adjusted = np.full(len(mean), np.nan)
    if is_coupled.any():
        adjusted[is_coupled] = false_discovery_control(2 * student.sf(size[is_coupled], freedom))
    return TestedPairs(mean, student.ppf(0.975, freedom) * error, adjusted)


def summarise_coupled_pairs(forms: PairForms, coupled: CoupledPairs, tested: TestedPairs, rate: float) -> tuple[Finding, ...]:
    """Say how many pairs are coupled, how many of them interact, and what the coupled ones do on average.

    The interval of the average is over test images; its n counts the pairs.
    """
    n_neurons = forms.n_neurons
    n_pairs = n_neurons * (n_neurons - 1) // 2
    is_coupled = coupled.adjusted_p <= rate
    n_coupled, n_interacting = int(is_coupled.sum()), int((tested.adjusted_p <= rate).sum())
    full = (
        "All tested pairs are coupled; there may be more among the others." if n_coupled == len(coupled.pairs) < n_pairs else ""
    )
    counts = (
        Finding("coupled_pairs_fraction", n_coupled / n_pairs, "1", n_neurons, reason=full),
        Finding("interacting_pairs_fraction", n_interacting / n_pairs, "1", n_neurons, reason=full),
    )
    name, n_queries = "coupled_pairs_interaction", len(forms.asked)
    if not n_coupled:
        return (*counts, Finding(name, math.nan, "1", n_queries, reason="The noise of no pair is coupled beyond doubt."))
    chosen = coupled.pairs[is_coupled][:MOST_AVERAGED]
    contribution = forms.contributions()[:, np.unique(chosen)].numpy()
    ratio = ratio_over_queries(
        name, forms.interactions(chosen).mean(1), np.abs(contribution.mean(0)).mean() + 0 * contribution[:, 0]
    )
    return (*counts, replace(ratio, n=len(chosen), reason=ratio.reason or NO_WIDTH))
