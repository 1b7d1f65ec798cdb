"""Which spatial frequencies carry the decoding, on the page."""

import math
from collections.abc import Mapping

import xarray as xr

from dina.analyses.spatial_frequency.drawing import draw_spatial_frequency
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.words import DASH, interval, number, percent
from dina.statistics.finding import Finding

WORDS = {
    "top1_full": "top-1 accuracy, unfiltered",
    "frequency_edge": "edge of the matched signal",
    "median_frequency": "half of the matched signal lies below",
    "replaced_cutoff_half": "half of the accuracy, foreign content above",
    "replaced_cutoff_ninety": "90\u202f% of the accuracy, foreign content above",
    "low_pass_cutoff_half": "half of the accuracy, low-passed",
    "low_pass_cutoff_ninety": "90\u202f% of the accuracy, low-passed",
    "best_band_frequency": "best octave (its centre)",
    "best_band_top1": "top-1 accuracy of the best octave",
    "kept_without_highest_octave": "accuracy kept if all above half the Nyquist limit is foreign",
    "kept_lowest_octaves": "accuracy kept if all above a quarter of it is foreign",
    "kept_highest_octave": "accuracy kept by what lies above half the Nyquist limit",
}


def spatial_frequency_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show accuracy against spatial frequency, the edge of what is read, and each octave alone."""
    found = {finding.name: finding for finding in findings}
    edge = found["frequency_edge"]
    n, units = int(dataset.attrs["n_images"]), dataset["cutoff"].attrs["units"]
    told = (
        f"The towers read little above {number(edge.value)} {units} (95\u202f% interval {number(edge.low)} to {number(edge.high)})."
        if math.isfinite(edge.value)
        else f"No frequency can be named: {edge.reason}"
    )
    unknown = "" if units == "cycles/degree" else " The recording does not know the size of its pixels in degrees."
    part = FigurePart(
        "spatial_frequency",
        draw_spatial_frequency(dataset, (edge.value, edge.low, edge.high)),
        f"Retrieval of {n} test images from galleries with part of their spatial frequencies; averaged responses as queries. a, top-1"
        " accuracy when the content above the cut-off is that of another image (blue) or missing (orange, contrast brought back)."
        " b, share of the score of the true image that lies below the cut-off. c, one octave alone. Blue bands: 95\u202f% intervals over"
        " images; grey: 95\u202f% of the same with queries assigned to other images; purple: where the signal ends, with interval; dotted:"
        f" Nyquist limit of the pixels, above which the files hold nothing.{unknown}",
        f"{told} Half of the matched signal lies below {number(found['median_frequency'].value)} {units}; the numbers are in the table.",
        spatial_frequency_table(found),
    )
    return Section(
        "spatial-frequency",
        "Spatial frequencies that carry the decoding",
        paragraphs=(
            told + " Detail is what is left above half the Nyquist limit: alone it keeps"
            f" {percent(found['kept_highest_octave'].value)} of the accuracy above chance, and without it"
            f" {percent(found['kept_without_highest_octave'].value)} are left.",
        ),
        figures=(part,),
    )


def spatial_frequency_table(found: Mapping[str, Finding], prefix: str = "") -> Table:
    """Return the table of findings about spatial frequency, in the order of the page."""
    rows = []
    for name, words in WORDS.items():
        if prefix + name in found:
            one = found[prefix + name]
            rows.append((words, *_cells(one), _null(one)))
    return Table(
        "Statistics by spatial frequency, with 95\u202f% intervals over images and the range of the same with queries assigned to other images.",
        ("statistic", "value", "95\u202f% interval", "null"),
        tuple(rows),
    )


def _cells(one: Finding) -> tuple[str, str]:
    if one.units == "1":
        return percent(one.value), interval(one.low, one.high)
    ends = f"{number(one.low)} to {number(one.high)}" if math.isfinite(one.low) else DASH
    return f"{number(one.value)} {one.units}" if math.isfinite(one.value) else DASH, ends


def _null(one: Finding) -> str:
    if not math.isfinite(one.null_low):
        return DASH
    return interval(one.null_low, one.null_high) if one.units == "1" else f"{number(one.null_low)} to {number(one.null_high)}"
