"""A verdict: a claim, the written rule that decides it, and the answer that follows from the findings."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dina.checks import DataError
from dina.figures.finding_words import Scale, finding_columns
from dina.figures.words import DASH
from dina.short_words import brief
from dina.statistics.finding import Finding

Side = Literal["image", "neural"]
Answer = Literal["supported", "not supported", "cannot tell"]
Place = Literal["above", "below", "undecided"]
# Name of an analysis and name of one of its findings.
FindingKey = tuple[str, str]
Found = Mapping[FindingKey, Finding]
# Analysis → name → finding.
ByAnalysis = Mapping[str, Mapping[str, Finding]]

# A share below a tenth counts as none: an interval above this bound is relevant, one below it is not.
MARGIN = 0.1

# A share above one half counts as most.
HALF = 0.5

# Before what a reason states but a rule does not use: the page folds it.
BESIDE = " Beside this: "


@dataclass(frozen=True)
class Verdict:
    """The answer to one claim, a sentence that may be true or false.

    ``statistic`` describes the numbers that the rule reads; ``reason`` gives the part of the rule that decided, with its numbers.
    ``findings`` lists every finding that the rule read: (name of the analysis, finding), in the order of the rule. The verdict is
    "cannot tell", too, if an analysis is missing or its finding is NaN.
    """

    __repr__ = brief

    claim: str
    side: Side
    statistic: str
    verdict: Answer
    reason: str
    findings: tuple[tuple[str, Finding], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        read = [{"analysis": analysis, **finding.to_json()} for analysis, finding in self.findings]
        return {**vars(self), "findings": read}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Verdict":
        """Make a verdict from what `to_json` gave."""
        read = tuple(
            (str(row["analysis"]), Finding.from_json({name: value for name, value in row.items() if name != "analysis"}))
            for row in content["findings"]
        )
        return cls(**{**content, "findings": read})


@dataclass(frozen=True)
class Rule:
    """How one claim is decided; ``docs/verdicts.md`` explains every rule.

    Parameters
    ----------
    claim, side, statistic
        Copied into the verdict.
    needs
        Findings that the rule needs. If one is missing or NaN, the verdict is "cannot tell".
    decide
        Pure function: takes the findings by (analysis, finding), returns the answer and its reason.
    may_read
        Findings that `decide` uses if they are known.
    asks_why
        Findings that `decide` receives even if they are NaN or their analysis is missing, so that it can give the reason.

    Examples
    --------
    >>> key = ("occlusion", "area")
    >>> def decide(found):
    ...     return ("supported" if place_of(found[key], 0.5) == "above" else "cannot tell", "By area.")
    >>> rule = Rule("Many regions.", "image", "Share of the area.", (key,), decide)
    >>> judge([rule], {"occlusion": {"area": Finding("area", 0.8, "1", 50, low=0.7, high=0.9)}})[0].verdict
    'supported'
    >>> judge([rule], {})[0].reason
    'The analysis occlusion was not done.'
    """

    claim: str
    side: Side
    statistic: str
    needs: tuple[FindingKey, ...]
    decide: Callable[[Found], tuple[Answer, str]]
    may_read: tuple[FindingKey, ...] = ()
    asks_why: tuple[FindingKey, ...] = ()


def judge(
    rules: list[Rule] | tuple[Rule, ...], findings: ByAnalysis, missing: Mapping[str, str] | None = None
) -> tuple[Verdict, ...]:
    """Apply rules to findings; ``missing`` gives the reason why an analysis could not be done.

    Raises
    ------
    DataError
        If a finding stands under another name than its own.
    """
    for analysis, by_name in findings.items():
        for name, finding in by_name.items():
            if name != finding.name:
                raise DataError(
                    f"Findings must stand under their own names; {analysis} has {finding.name!r} under {name!r}."
                    " Make the table with {finding.name: finding for finding in result.findings()}."
                )
    return tuple(_apply(rule, findings, missing or {}) for rule in rules)


def _apply(rule: Rule, findings: ByAnalysis, missing: Mapping[str, str]) -> Verdict:
    found = {
        (analysis, name): findings[analysis][name]
        for analysis, name in (*rule.needs, *rule.may_read, *rule.asks_why)
        if name in findings.get(analysis, {})
    }
    usable = {key: finding for key, finding in found.items() if not math.isnan(finding.value) or key in rule.asks_why}
    for key in rule.asks_why:
        if key[0] not in findings:
            usable[key] = Finding(key[1], math.nan, "1", 0, reason=_why_absent(key, found, findings, missing))
    absent = [key for key in rule.needs if key not in usable]
    if absent:
        reasons = dict.fromkeys(_why_absent(key, found, findings, missing) for key in absent)
        answer: tuple[Answer, str] = ("cannot tell", " ".join(reasons))
    else:
        answer = rule.decide(usable)
    read = tuple((analysis, finding) for (analysis, _), finding in found.items())
    return Verdict(rule.claim, rule.side, rule.statistic, *answer, read)


def _why_absent(key: FindingKey, found: Found, findings: ByAnalysis, missing: Mapping[str, str]) -> str:
    analysis, _ = key
    if key in found:
        return f"It is not known: {found[key].reason or 'no reason was given.'}"
    if analysis in findings:
        return not_measured(analysis)
    if analysis in missing:
        return f"The analysis {analysis} could not be done: {missing[analysis]}"
    return f"The analysis {analysis} was not done."


def in_page_words(reason: str) -> str:
    """Say a reason without the names that analyses have in the code, but for what to type.

    Examples
    --------
    >>> in_page_words("Half. The analysis occlusion was not done.")
    'Half. This was not asked yet (dina interpret RUN occlusion).'
    >>> in_page_words("The analysis semantics could not be done: No labels.")
    'No labels.'
    """
    said = re.sub(r"The analysis \w+ could not be done: ", "", reason)
    return re.sub(r"The analysis (\w+) was not done\.", r"This was not asked yet (dina interpret RUN \1).", said)


def not_measured(analysis: str) -> str:
    """Say that an analysis was done but lacks a number that a claim rests on."""
    return f"The analysis {analysis} did not measure what this claim rests on. Repeat it with `dina interpret RUN {analysis} --force`."


def place_of(finding: Finding, bound: float) -> Place:
    """Say on which side of a bound the whole 95 % interval lies: undecided if it contains the bound or does not exist."""
    if finding.low > bound:
        return "above"
    if finding.high < bound:
        return "below"
    return "undecided"


def why_open(finding: Finding, bound: str, place: Place) -> str:
    """Say why a rule with one bound decides nothing.

    Examples
    --------
    >>> why_open(Finding("kept", 0.5, "1", 50, low=0.4, high=0.6), "one half", "undecided")
    'the interval contains one half'
    """
    if math.isnan(finding.low):
        return f"there is no interval to compare with {bound}"
    return f"the interval contains {bound}" if place == "undecided" else f"this is {place} {bound}, but not outside its null"


def rises_above(finding: Finding) -> bool:
    """Say whether a statistic lies above its null, and its 95 % interval above 0."""
    return finding.beats_null and finding.value > finding.null_high and finding.low > 0


def says(finding: Finding, scale: Scale = "") -> str:
    r"""Return value and interval in the words of the page, with as many digits as are needed to distinguish them.

    Accuracies and shares are said in per cent (``scale`` "%"), differences of accuracies in points, all others as plain numbers.

    Examples
    --------
    >>> says(Finding("kept", 0.52, "1", 50, low=0.4, high=0.61)), says(Finding("kept", 0.998, "1", 50, low=0.996, high=1.0))
    ('0.52 (0.40 to 0.61)', '0.998 (0.996 to 1.000)')
    >>> says(Finding("kept", 0.52, "1", 50, low=0.4, high=1.02), "%"), says(Finding("lost", -0.011, "1", 50), "points")
    ('52.0\u202f% (40.0 to 102.0\u202f%)', '−1.1\u202fpoints (no interval)')
    """
    if math.isnan(finding.value):
        return "an unknown amount"
    value, between, _ = finding_columns(finding, scale)
    return f"{value} ({'no interval' if between == DASH else between})"


def reads_nothing(accuracy: Finding, who: str) -> str:
    """Say why a decoder may be at chance; "" if its interval lies above chance."""
    if math.isnan(accuracy.low):
        return f"It is not known whether {who} better than chance: {accuracy.reason or 'The accuracy has no interval.'}"
    if math.isnan(accuracy.null_high):
        return f"It is not known whether {who} better than chance: {accuracy.reason or 'The accuracy has no null.'}"
    if place_of(accuracy, accuracy.null_high) == "above":
        return ""
    return f"It is not certain that {who} better than chance: accuracy {says(accuracy, '%')}, chance up to {100 * accuracy.null_high:.2g}\u202f%."
