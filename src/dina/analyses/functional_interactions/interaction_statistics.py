"""Three numbers for the interactions of a population: how large, of which sign, and whether contributions add up."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from dina.statistics.finding import Finding
from dina.statistics.intervals import prediction_reach

ROUNDING = 1e-9  # where nothing is coupled, all null models give the same number


@dataclass(frozen=True)
class InteractionStatistics:
    """Size and sign of interactions, and what all contributions add up to, each as a finding without its null.

    Parameters
    ----------
    interaction_size
        Root mean square of the mean interactions of pairs, relative to that of the mean contributions of neurons.
    net_interaction
        Sum of the interactions of all pairs relative to the sum of all contributions. Positive: neurons stand in for each
        other; negative: they need each other.
    summed_contributions
        Sum of what each neuron alone takes away, relative to what all take away together: 1 if neurons add up, below 1 if
        redundancy prevails, above 1 if synergy does.
    """

    interaction_size: Finding
    net_interaction: Finding
    summed_contributions: Finding

    def all(self) -> tuple[Finding, ...]:
        """Return the three."""
        return self.interaction_size, self.net_interaction, self.summed_contributions


def summarise_interactions(
    interaction: Float[np.ndarray, "query pair"],
    contribution: Float[np.ndarray, "query neuron"],
    margin: Float[np.ndarray, "query"] | None = None,
) -> InteractionStatistics:
    """Summarise interactions with intervals over queries.

    Parameters
    ----------
    interaction
        Of a random sample of pairs in every query, in units of the score; one query per image.
    contribution
        Of the neurons that the pairs were drawn from, same units.
    margin
        What all neurons carry together, same units; None where that is not known.

    Notes
    -----
    The mean square of noisy means is too large by their variance, which is taken off. Intervals are by the jackknife, leaving
    out one query at a time.

    References
    ----------
    Efron & Stein (1981), Ann. Stat. 9:586. https://doi.org/10.1214/aos/1176345462

    Examples
    --------
    >>> nothing = summarise_interactions(np.zeros((4, 3)), np.ones((4, 3)), np.full(4, 3.0))
    >>> [finding.value for finding in nothing.all()]
    [0.0, 0.0, 1.0]
    """
    n_queries, n_neurons = contribution.shape
    size = _finding("interaction_size", _ratio(_root_mean_square(interaction), _root_mean_square(contribution)), n_queries)
    all_pairs = n_neurons * (n_neurons - 1) / 2 / interaction.shape[1]
    net = ratio_over_queries("net_interaction", all_pairs * interaction.sum(1), contribution.sum(1))
    if margin is None:
        reason = "Only a sample of neurons was silenced."
        total = Finding("summed_contributions", math.nan, "1", n_queries, reason=reason)
    else:
        total = ratio_over_queries("summed_contributions", contribution.sum(1), margin)
    return InteractionStatistics(size, net, total)


def ratio_over_queries(name: str, above: Float[np.ndarray, "query"], below: Float[np.ndarray, "query"]) -> Finding:
    """Return the ratio of two means over queries with its interval by the jackknife, under a name; NaN unless positive below.

    Examples
    --------
    >>> ratio_over_queries("half", np.ones(5), np.full(5, 2.0)).value
    0.5
    """
    sums = (np.concatenate([[part.sum()], part.sum() - part]) for part in (above, below))
    return _finding(name, _ratio(*sums), len(above))


def with_nulls(observed: InteractionStatistics, nulls: Sequence[InteractionStatistics], words: str) -> tuple[Finding, ...]:
    """Give each statistic the range in which one more null model would fall with 95 % probability."""
    findings = []
    for position, finding in enumerate(observed.all()):
        values = np.array([null.all()[position].value for null in nulls])
        values = values[np.isfinite(values)]
        if not math.isfinite(finding.value) or len(values) < 2:
            findings.append(finding)
            continue
        reach, mean = float(prediction_reach(values)) + ROUNDING, float(values.mean())
        findings.append(replace(finding, null_low=mean - reach, null_high=mean + reach, null=words))
    return tuple(findings)


def _root_mean_square(rows: Float[np.ndarray, "query column"]) -> Float[np.ndarray, "query_and_all"]:
    """Return the root mean square of the columns' true means, from all queries (first) and without each in turn."""
    n = len(rows)
    total, squares = rows.sum(0), (rows**2).sum(0)
    found = [_true_square(total, squares, n)]
    found += [_true_square(total - row, squares - row**2, n - 1) for row in rows]
    return np.sqrt(np.maximum(found, 0))


def _true_square(total: np.ndarray, squares: np.ndarray, n: int) -> float:
    """Return the mean over columns of the squared mean, less the variance of that mean."""
    variance = (squares - total**2 / n) / (n - 1)
    return float(((total / n) ** 2 - variance / n).mean())


def _ratio(above: np.ndarray, below: np.ndarray) -> Float[np.ndarray, "query_and_all"]:
    return np.divide(above, below, out=np.full_like(below, np.nan), where=below > 0)


def _finding(name: str, values: Float[np.ndarray, "query_and_all"], n_queries: int) -> Finding:
    value, without = float(values[0]), values[1:]
    if not np.isfinite(values).all():
        return Finding(name, math.nan, "1", n_queries, reason="The contributions of neurons are too small to compare with.")
    error = math.sqrt((n_queries - 1) * float(((without - without.mean()) ** 2).mean()))
    reach = float(student.ppf(0.975, n_queries - 1)) * error
    return Finding(name, value, "1", n_queries, low=value - reach, high=value + reach)
