"""What captions of several analyses say alike: what responses and channels are, and why an interval or a share is as it is."""

import math

import xarray as xr

from dina.figures.words import NARROW
from dina.statistics.finding import Finding

# Said where an accuracy of an analysis stands, whose interval differs from that of the same accuracy at the top of the page.
SAME_GALLERY = (
    "These intervals hold the gallery fixed, so those of accuracies are usually narrower than in the table of all decoders."
)


def responses_words(dataset: xr.Dataset) -> str:
    """Return what the responses of an analysis are called: "averaged responses", unless its page says that each image was shown once."""
    return str(dataset.attrs.get("responses", "averaged responses"))


def channels_words(dataset: xr.Dataset) -> str:
    """Return a sentence on what the channels of maps are, and whether a trained network is among them; "" where the page does not know.

    Examples
    --------
    >>> channels_words(xr.Dataset(attrs={"channels": "These are Gabor channels."})), channels_words(xr.Dataset())
    (' These are Gabor channels.', '')
    """
    said = str(dataset.attrs.get("channels", ""))
    return f" {said}" if said else ""


def is_above_chance(accuracy: Finding) -> bool:
    """Say whether an accuracy lies above its null, so that one can ask what it rests on; True where it has no null."""
    return not accuracy.value <= accuracy.null_high


def over_whole(why: str, *shares: Finding) -> str:
    r"""Explain shares above 100 %, where a value or an interval goes beyond.

    Examples
    --------
    >>> share = Finding("kept", 1.1, "1", 40, low=0.9, high=1.3)
    >>> over_whole("The altered image can be easier to find than the original", share)
    ' The altered image can be easier to find than the original, so shares above 100 % are possible.'
    >>> over_whole("Never said", Finding("kept", 0.5, "1", 40))
    ''
    """
    is_over = any(max(one.value, one.high if math.isfinite(one.high) else one.value) > 1 for one in shares)
    return f" {why}, so shares above 100{NARROW}% are possible." if is_over else ""
