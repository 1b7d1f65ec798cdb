"""A finding in words, with its interval and its null."""

import math
from typing import Literal

from dina.figures.difference_words import points, points_interval
from dina.figures.words import DASH, NARROW, from_to, interval, numbers, percents
from dina.statistics.finding import Finding

# An accuracy or a share is in per cent, a difference of accuracies in points, anything else a plain number.
Scale = Literal["%", "points", ""]

# Of what a score loses, by the units in files.
SCORE_UNITS = {"1": "units of the score", "nat": "nats"}

# One name for the Gabor channels with places on the map: "local" in fits, "gabor_channels" in findings.
LOCAL_CHANNELS = "local channels"

# Words in the names of nulls that are chance: responses that belong to other images.
CHANCE = ("assigned to other images", "maps of other images", "other test images")


def statistic_words(name: str) -> str:
    """Write the name of a finding in words.

    Examples
    --------
    >>> statistic_words("top1_loss_space_gabor_channels")
    'top-1 loss local channels'
    """
    return name.replace("space_gabor_channels", LOCAL_CHANNELS).replace("top1", "top-1").replace("_", " ")


SAME_IN_EVERY_RESAMPLE = "the same in every resample"


def is_same_in_every_resample(one: Finding) -> bool:
    """Say whether an interval has no width, because resampling never changes the value.

    Examples
    --------
    >>> is_same_in_every_resample(Finding("kept", 1.0, "1", 40, low=1.0, high=1.0))
    True
    >>> is_same_in_every_resample(Finding("kept", 1.0, "1", 40))
    False
    """
    return abs(one.high - one.low) < 1e-12  # not where there is no interval


def finding_columns(one: Finding, scale: Scale = "") -> tuple[str, str, str]:
    r"""Write value, interval and null in a scale; an interval without width in words.

    Examples
    --------
    >>> lost = Finding("lost", 0.12, "1", 40, low=-0.01, high=0.25, null_low=-0.1, null_high=0.1, null="pairs permuted")
    >>> finding_columns(lost, "points")
    ('+12.0\u202fpoints', '−1.0 to +25.0\u202fpoints', '−10.0 to +10.0\u202fpoints')
    >>> finding_columns(Finding("kept", 1.0, "1", 40, low=1.0, high=1.0), "%")
    ('100.0\u202f%', 'the same in every resample', '–')
    """
    if scale == "points":
        value, between = points(one.value), points_interval(one.low, one.high)
        chance = points_interval(one.null_low, one.null_high)
    else:
        value, low, high = (percents if scale else numbers)(one.value, one.low, one.high)
        between = from_to(low.removesuffix(f"{NARROW}%"), high)
        chance = interval(one.null_low, one.null_high) if scale else from_to(*numbers(one.null_low, one.null_high))
    return value, SAME_IN_EVERY_RESAMPLE if is_same_in_every_resample(one) else between, chance


def inside_null(one: Finding) -> str:
    """Say of a number that lies inside its null that it does; "" of any other.

    Examples
    --------
    >>> inside_null(Finding("kept", 0.5, "1", 40, null_low=0.4, null_high=0.6, null="neurons permuted"))
    '; this lies inside the null'
    """
    return "; this lies inside the null" if one.null_low <= one.value <= one.null_high else ""


def in_a_sentence(one: Finding, scale: Scale = "%") -> str:
    """Write a value with its interval and its null in brackets, as far as there are any.

    A null is called chance where responses belong to other images, and null elsewhere.

    Examples
    --------
    >>> kept = Finding("kept", 0.5, "1", 40, low=0.4, high=0.6, null_low=-0.1, null_high=0.1, null="neurons permuted")
    >>> in_a_sentence(kept, "")
    '0.5 (0.4 to 0.6; null: −0.1 to 0.1)'
    >>> in_a_sentence(Finding("kept", 0.5, "1", 40), "")
    '0.5 (no interval)'
    >>> in_a_sentence(Finding("kept", float("nan"), "1", 40, reason="Nothing is read."))
    'an unknown share'
    """
    if not math.isfinite(one.value):
        return "an unknown share" if scale else "an unknown amount"
    value, between, chance = finding_columns(one, scale)
    named = "chance" if any(words in one.null for words in CHANCE) else "null"
    parts = ["no interval" if between == DASH else between, *([] if chance == DASH else [f"{named}: {chance}"])]
    return f"{value} ({'; '.join(parts)})"
