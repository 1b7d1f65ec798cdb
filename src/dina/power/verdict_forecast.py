"""How likely a study of another size decides each claim: findings are drawn as it may give them, and the written rules judge these."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import norm

from dina.analyses.verdict import Answer, ByAnalysis, FindingKey, Rule, judge
from dina.checks import DataError, check_choice
from dina.power.forecast import AXES, MOST
from dina.randomness import generator_for
from dina.short_words import brief
from dina.statistics.finding import Finding

N_DRAWS = 200
TIMES = (2.0, 4.0)
IMAGES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
LIKELY = 0.8
NINETY_FIVE = 1.959964  # half a 95 % interval, in standard errors
LEFT = ("noise_shuffle", "correlations_left")
KNOWING = ("noise_shuffle", "knowing_correlations_log_rank")


@dataclass(frozen=True)
class StudyAtHand:
    """Findings of a study, and what they rest on.

    Parameters
    ----------
    findings
        Analysis → name → finding.
    missing
        Why analyses could not be done.
    n_test, n_neurons
        Test images and neurons of the study.
    at_most
        Analysis → most test images that it reads.
    """

    __repr__ = brief

    findings: ByAnalysis
    missing: Mapping[str, str]
    n_test: int
    n_neurons: int
    at_most: Mapping[str, int]

    def value(self, key: FindingKey) -> float:
        """Return a finding, NaN where it is not known."""
        known = self.findings.get(key[0], {}).get(key[1])
        return math.nan if known is None else known.value

    def narrowed(self, key: FindingKey, times: Mapping[str, float]) -> float:
        """Return the width of the interval of a finding in a study of another size, relative to its width now.

        It falls as the root of the number of test images that the finding rests on, or of neurons where it rests on these.
        """
        n = self.findings[key[0]][key[1]].n
        if n == self.n_neurons and n != self.n_test:
            return float(times.get("neurons", 1.0) ** -0.5)
        return math.sqrt(max(n, 1) / max(self._n_read(key, times.get("images", 1.0)), 1.0))

    def is_capped(self, key: FindingKey) -> bool:
        """Say whether the analysis of a finding would read only some of many test images."""
        return key[0] in self.at_most and self._n_read(key, MOST) < MOST * self.findings[key[0]][key[1]].n

    def _n_read(self, key: FindingKey, factor: float) -> float:
        n = self.findings[key[0]][key[1]].n
        most = self.at_most.get(key[0], math.inf)
        return n if n >= most and factor >= 1 else min(n * factor, max(most, 1.0))


def chance_to_decide(
    rule: Rule, study: StudyAtHand, times: Mapping[str, float], n_draws: int = N_DRAWS, seed: int = 0
) -> dict[Answer, float]:
    r"""Return how likely one new study of another size gives each answer to a claim.

    Parameters
    ----------
    rule
        Of the claim.
    study
        At hand.
    times
        How many times as many "images" (to learn from and to test), "neurons" and "repeats"; 1 for those left out.
    n_draws
        Studies drawn.
    seed
        Of the draws.

    Raises
    ------
    DataError
        If a name is unknown or a size is out of range.

    Notes
    -----
    A finding x with a 95 % interval of half width w has the standard error :math:`s = w/1.96`. If the interval of the new study is
    r times as wide, the true value lies about x with s, and what that study finds lies about the true value with r s: about x with
    :math:`s\sqrt{1 + r^2}`. Its interval and its null are those at hand, r times as wide, around the new value and around the
    middle of the null. The rule judges each draw. Findings are drawn independently of one another; a finding without interval stays
    as it is. With more repeats, shuffling removes a larger share of the correlations, and what knowing them gains grows with it.
    """
    for axis, factor in times.items():
        check_choice("what is recorded more of", axis, AXES)
        if not 1 / MOST <= factor <= MOST:
            raise DataError(f"A forecast reaches from 1/{MOST:g} to {MOST:g} times the size; got {factor:g} times the {axis}.")
    keys = [key for key in (*rule.needs, *rule.asks_why, *rule.may_read) if key[1] in study.findings.get(key[0], {})]
    quantiles = norm.ppf((np.arange(n_draws) + 0.5) / n_draws)
    drawn: dict[FindingKey, list[Finding]] = {}
    for key in dict.fromkeys(keys):
        known = _of_more_repeats(key, study.findings[key[0]][key[1]], study, times.get("repeats", 1.0))
        order = generator_for(seed, f"verdict {key[0]} {key[1]}").permutation(n_draws)
        drawn[key] = _draw(known, study.narrowed(key, times), quantiles[order])
    counts: dict[Answer, int] = {"supported": 0, "not supported": 0, "cannot tell": 0}
    for at in range(n_draws):
        findings: dict[str, dict[str, Finding]] = {}
        for (analysis, name), each in drawn.items():
            findings.setdefault(analysis, {})[name] = each[at]
        (verdict,) = judge([rule], findings, study.missing)
        counts[verdict.verdict] += 1
    return {answer: count / n_draws for answer, count in counts.items()}


def foretell_verdicts(rules: Mapping[str, Rule], study: StudyAtHand, axes: Sequence[str]) -> list[dict[str, Any]]:
    """Return for each claim its answer, the chance that a larger study decides it, and how many images make it likely.

    Parameters
    ----------
    rules
        By name.
    study
        At hand.
    axes
        What may be recorded more of.

    Returns
    -------
    rows
        ``name``, ``claim``, ``verdict``; ``chance`` by study ("as it is", "2 times the images", …), empty where nothing can be
        foretold; ``times_images``, how many times as many images decide with a chance of 80 % (None: no number up to 32 times);
        and, where none does, a ``note`` on what limits it.
    """
    rows = []
    for name, rule in rules.items():
        (now,) = judge([rule], study.findings, study.missing)
        row: dict[str, Any] = {"name": name, "claim": rule.claim, "verdict": now.verdict, "chance": {}, "times_images": None}
        absent = [key for key in rule.needs if math.isnan(study.value(key))]
        if absent:
            rows.append(row | {"note": now.reason})
            continue
        chance = {"as it is": _decided(rule, study, {})}
        for axis in axes:
            for factor in TIMES:
                chance[f"{factor:g} times the {axis}"] = _decided(rule, study, {axis: factor})
        if "images" in axes:
            enough = (factor for factor in IMAGES if _decided(rule, study, {"images": factor}) >= LIKELY)
            row["times_images"] = next(enough, None)
        rows.append(row | {"chance": chance, "note": _limits(rule, study) if row["times_images"] is None else ""})
    return rows


def _decided(rule: Rule, study: StudyAtHand, times: Mapping[str, float]) -> float:
    return 1 - chance_to_decide(rule, study, times)["cannot tell"]


def _limits(rule: Rule, study: StudyAtHand) -> str:
    """Say what keeps more images from deciding a claim."""
    keys = dict.fromkeys(key for key in (*rule.needs, *rule.asks_why) if key[1] in study.findings.get(key[0], {}))
    full = dict.fromkeys(key[0] for key in keys if study.is_capped(key))
    said = [
        f"{name} reads no more than {study.at_most[name]} test images (dina interpret RUN {name} --set n_images=…)."
        for name in full
    ]
    lacking = dict.fromkeys(name for name, finding in rule.asks_why if math.isnan(study.value((name, finding))))
    said += [f"Without {name}, not every answer can be given." for name in lacking]
    return " ".join(said)


def _draw(known: Finding, narrowed: float, normal: np.ndarray) -> list[Finding]:
    """Return the finding as new studies may give it."""
    if not (math.isfinite(known.value) and math.isfinite(known.low) and math.isfinite(known.high)):
        return [known] * len(normal)
    error = (known.high - known.low) / (2 * NINETY_FIVE) * math.sqrt(1 + narrowed**2)
    below, above = narrowed * (known.value - known.low), narrowed * (known.high - known.value)
    middle, half = (known.null_high + known.null_low) / 2, narrowed * (known.null_high - known.null_low) / 2
    return [
        replace(known, value=one, low=one - below, high=one + above, null_low=middle - half, null_high=middle + half)
        for one in (known.value + error * normal).tolist()
    ]


def _of_more_repeats(key: FindingKey, known: Finding, study: StudyAtHand, factor: float) -> Finding:
    """Return a finding as more repeats are expected to give it: only what shuffling repeats removes is known to change."""
    left = study.findings.get(LEFT[0], {}).get(LEFT[1])
    if factor == 1 or key not in (LEFT, KNOWING) or left is None or not 0 < left.value < 1:
        return known
    later = left.value / factor  # one over the number of repeats
    if key == LEFT:
        return replace(known, value=later)
    grown = ((1 - later) / (1 - left.value)) ** 1.5  # the gain grows with the share removed, or with its square
    shift = (grown - 1) * known.value
    return replace(known, value=known.value + shift, low=known.low + shift, high=known.high + shift)
