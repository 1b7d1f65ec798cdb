"""How likely more test images decide each claim: findings are drawn as they may give them, and the written rules judge these."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import norm

from dina.analyses import ANALYSES
from dina.analyses.verdict import Answer, ByAnalysis, FindingKey, Rule, judge
from dina.checks import DataError
from dina.power.forecast import MOST
from dina.randomness import generator_for
from dina.short_words import brief
from dina.statistics.finding import Finding

N_DRAWS = 200
TIMES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
SHOWN = (1.0, 2.0, 4.0, 8.0)
LIKELY = 0.8
_NINETY_FIVE = 1.959964  # half a 95 % interval, in standard errors


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

    def narrowed(self, key: FindingKey, times: float) -> float:
        """Return the width of the interval of a finding with so many times the test images, relative to its width now.

        It falls as the root of the number of images that the analysis reads; 1 for findings that rest on neurons or training images.
        """
        n = self.findings[key[0]][key[1]].n
        if not 0 < n <= self.n_test or (n == self.n_neurons and n != self.n_test):
            return 1.0
        most = self.at_most.get(key[0], math.inf)
        return math.sqrt(n / (n if n >= most and times >= 1 else min(n * times, most)))

    def is_capped(self, key: FindingKey) -> bool:
        """Say whether the analysis of a finding would read only some of many test images."""
        return key[0] in self.at_most and self.narrowed(key, MOST) > 1.01 * MOST**-0.5


def chance_to_decide(rule: Rule, study: StudyAtHand, times: float, n_draws: int = N_DRAWS, seed: int = 0) -> dict[Answer, float]:
    r"""Return how likely each answer to a claim is with so many times the test images, all of them new.

    Parameters
    ----------
    rule
        Of the claim.
    study
        At hand.
    times
        How many times as many test images; towers stay as they are.
    n_draws
        Sets of test images drawn.
    seed
        Of the draws.

    Raises
    ------
    DataError
        If the number of times is out of range.

    Notes
    -----
    A finding x with a 95 % interval of half width w has the standard error :math:`s = w/1.96`. If the new interval is r times as
    wide, the true value lies about x with s, and the new finding lies about the true value with r s: about x with
    :math:`s\sqrt{1 + r^2}`. Its interval and its null are those at hand, r times as wide, around the new value and around the
    middle of the null. The rule judges each draw. Findings are drawn independently of one another; a finding without interval stays
    as it is.
    """
    if not 1 / MOST <= times <= MOST:
        raise DataError(f"A forecast reaches from 1/{MOST:g} to {MOST:g} times the test images; got {times:g}.")
    keys = [key for key in (*rule.needs, *rule.asks_why, *rule.may_read) if key[1] in study.findings.get(key[0], {})]
    quantiles = norm.ppf((np.arange(n_draws) + 0.5) / n_draws)
    drawn: dict[FindingKey, list[Finding]] = {}
    for key in dict.fromkeys(keys):
        order = generator_for(seed, f"verdict {key[0]} {key[1]}").permutation(n_draws)
        drawn[key] = _draw(study.findings[key[0]][key[1]], study.narrowed(key, times), quantiles[order])
    counts: dict[Answer, int] = {"supported": 0, "not supported": 0, "cannot tell": 0}
    for at in range(n_draws):
        findings: dict[str, dict[str, Finding]] = {}
        for (analysis, name), each in drawn.items():
            findings.setdefault(analysis, {})[name] = each[at]
        (verdict,) = judge([rule], findings, study.missing)
        counts[verdict.verdict] += 1
    return {answer: count / n_draws for answer, count in counts.items()}


def foretell_verdicts(rules: Mapping[str, Rule], study: StudyAtHand) -> list[dict[str, Any]]:
    """Return for each claim its answer, the chance that more test images decide it, and how many make it likely.

    Parameters
    ----------
    rules
        By name.
    study
        At hand.

    Returns
    -------
    rows
        ``name``, ``claim``, ``verdict``; ``chance`` by the number of times the test images ("1", "2", …), empty where nothing can be
        foretold; ``times``, how many decide with a chance of 80 % (None: no number up to 32 times); and, where none does, a ``note``
        on what limits it.
    """
    rows = []
    for name, rule in rules.items():
        (now,) = judge([rule], study.findings, study.missing)
        row: dict[str, Any] = {"name": name, "claim": rule.claim, "verdict": now.verdict, "chance": {}, "times": None}
        if any(math.isnan(study.value(key)) for key in rule.needs):
            rows.append(row | {"note": now.reason})
            continue
        chance = {times: 1 - chance_to_decide(rule, study, times)["cannot tell"] for times in TIMES}
        row["times"] = next((times for times in TIMES if chance[times] >= LIKELY), None)
        # where no number helps, what the claim lacks today is the reason
        note = _limits(rule, study) if max(chance.values()) else now.reason
        shown = {f"{times:g}": chance[times] for times in SHOWN}
        rows.append(row | {"chance": shown, "note": note if row["times"] is None else ""})
    return rows


def _limits(rule: Rule, study: StudyAtHand) -> str:
    """Say what keeps more test images from deciding a claim."""
    keys = dict.fromkeys(key for key in (*rule.needs, *rule.asks_why) if key[1] in study.findings.get(key[0], {}))
    full = dict.fromkeys(key[0] for key in keys if study.is_capped(key))
    said = [
        f"{_named(name)} reads no more than {study.at_most[name]} test images (dina interpret RUN {name} --set n_images=…)."
        for name in full
    ]
    lacking = dict.fromkeys(name for name, finding in rule.asks_why if math.isnan(study.value((name, finding))))
    said += [f"Without {_named(name)} (dina interpret RUN {name}), not every answer can be given." for name in lacking]
    return " ".join(said)


def _named(name: str) -> str:
    return f"“{ANALYSES[name].heading}”" if name in ANALYSES else name


def _draw(known: Finding, narrowed: float, normal: np.ndarray) -> list[Finding]:
    """Return the finding as new test images may give it."""
    if not (math.isfinite(known.value) and math.isfinite(known.low) and math.isfinite(known.high)):
        return [known] * len(normal)
    error = (known.high - known.low) / (2 * _NINETY_FIVE) * math.sqrt(1 + narrowed**2)
    below, above = narrowed * (known.value - known.low), narrowed * (known.high - known.value)
    middle, half = (known.null_high + known.null_low) / 2, narrowed * (known.null_high - known.null_low) / 2
    return [
        replace(known, value=one, low=one - below, high=one + above, null_low=middle - half, null_high=middle + half)
        for one in (known.value + error * normal).tolist()
    ]
