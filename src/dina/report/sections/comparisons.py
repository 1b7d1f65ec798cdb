"""How dina differs from every other decoder, query by query, and whether both directions agree."""

import math

import xarray as xr

from dina.report.figures import draw_differences, draw_directions
from dina.report.figures.comparisons import Difference
from dina.report.parts import FigurePart, Section, Table
from dina.report.read_run import Run
from dina.report.sections.accuracy import QUERIES, accuracy_table, p_words, reasons
from dina.report.style import style_of
from dina.report.words import percent, signed

DIRECTIONS = {"image_from_response": "image from response", "response_from_image": "response from image"}


def differences(run: Run) -> Section:
    """Show the paired differences between dina and every other decoder."""
    title = "Paired differences"
    if run.comparisons is None:
        return Section("differences", title, missing=("No comparison was made: the run holds no results/comparisons.nc.",))
    reads = {str(name): run.reads(str(name)) for name in run.comparisons["rival"].to_numpy()}
    parts = []
    for measure, words, unit, scale in (
        ("top1", "top-1 accuracy", "percentage points", 100.0),
        ("mean_log_rank", "mean log rank", "nats", -1.0),
    ):
        found = read_differences(run.comparisons, measure, scale)
        if not any(math.isfinite(d.value) for d in found):
            continue
        # a smaller rank is better, so it is turned round: right is always better for dina
        label = f"dina − other, {words} ({unit})" if scale > 0 else f"other − dina, {words} ({unit})"
        table = Table(
            f"Paired differences of {words}, {unit}; positive is better for dina.",
            ("compared with", "queries", "difference", "95 % interval", "p"),
            tuple(
                (
                    style_of(d.rival, reads[d.rival]).label,
                    QUERIES.get(d.queries, d.queries),
                    signed(d.value, 1 if scale > 0 else 3),
                    f"{signed(d.low, 1 if scale > 0 else 3)} to {signed(d.high, 1 if scale > 0 else 3)}",
                    p_words(d.p_value),
                )
                for d in found
                if math.isfinite(d.value)
            ),
            n_words=2,
        )
        parts.append(
            FigurePart(
                f"differences_{measure}",
                draw_differences(found, label, reads),
                f"Paired differences of {words} between dina and each other decoder, on the same queries; filled marks: averaged responses, hollow: single"
                " trials; bars: 95 % intervals, bootstrapped over images. An interval that leaves out zero tells the two apart.",
                "; ".join(
                    f"{style_of(d.rival, reads[d.rival]).label}, {QUERIES.get(d.queries, d.queries)}: {signed(d.value, 1 if scale > 0 else 3)}"
                    for d in found
                    if math.isfinite(d.value)
                )
                + f" {unit}.",
                table,
            )
        )
    return Section(
        "differences",
        title,
        paragraphs=(
            "Two decoders asked the same queries find the same ones hard. Taking the difference query by query removes what they share, so it is told apart more finely than by two separate intervals. The intervals are not corrected for the number of comparisons.",
        ),
        figures=parts,
        missing=() if parts else ("The comparisons hold no number.",),
    )


def directions(run: Run) -> Section:
    """Show both directions: naming the image from a response, and the response from an image."""
    reads = {row.decoder: run.reads(row.decoder) for row in run.rows}
    parts = []
    for queries in QUERIES:
        rows = [row for row in run.rows if row.queries == queries and row.top1 is not None]
        if not any(row.direction == "response_from_image" for row in rows):
            continue
        table = accuracy_table(
            [row for row in rows if row.direction == "response_from_image"], reads, "Response from image, " + QUERIES[queries]
        )
        parts.append(
            FigurePart(
                f"directions_{queries}",
                draw_directions(rows, queries, reads),
                f"Top-1 accuracy in both directions, {QUERIES[queries]}. Circle: which image belongs to this response? Square: which response belongs to this image?",
                f"Both directions, {QUERIES[queries]}: "
                + "; ".join(
                    f"{style_of(row.decoder, reads[row.decoder]).label}, {DIRECTIONS.get(row.direction, row.direction)} {percent(row.top1)}"
                    for row in rows
                )
                + ".",
                table,
            )
        )
    missing = reasons([row for row in run.rows if row.direction == "response_from_image"])
    return Section(
        "directions",
        "Both directions",
        paragraphs=(
            "The same scores answer a second question: given an image, which of the responses is its own? A decoder that favours a few images or responses for everything does well in one direction and badly in the other.",
        ),
        figures=parts,
        missing=missing or (() if parts else ("The run holds no row for the direction from image to response.",)),
    )


def read_differences(comparisons: xr.Dataset, measure: str, scale: float) -> list[Difference]:
    """Read the paired differences of one measure; a negative ``scale`` turns them and their intervals round."""
    result = []
    for rival in map(str, comparisons["rival"].to_numpy()):
        for queries in map(str, comparisons["queries"].to_numpy()):
            one = comparisons.sel(rival=rival, queries=queries)
            value, low, high = (
                scale * float(one[name]) if name in one else math.nan
                for name in (f"{measure}_difference", f"{measure}_low", f"{measure}_high")
            )
            p_value = float(one[f"{measure}_p_value"]) if f"{measure}_p_value" in one else math.nan
            result.append(Difference(rival, queries, value, min(low, high), max(low, high), p_value))
    return result
