"""The page of variance spectra: variance by rank of images, responses and maps, and power-law exponents by two estimators."""

import math
from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dina.figures.canvas import finish_axes, in_style, new_figure, write_plain_numbers
from dina.figures.finding_parts import finding_table, reasons
from dina.figures.finding_words import finding_columns
from dina.figures.parts import FigurePart, Section
from dina.figures.style import COLOURS
from dina.statistics.finding import Finding

SOURCES = {
    "images": "images (pixels)",
    "responses": "responses",
    "image_maps": "maps of images",
    "neural_maps": "maps of responses",
    "untrained_image_maps": "maps of images, untrained",
    "untrained_neural_maps": "maps of responses, untrained",
    "random_filters": "random filters",
}
WORDS = {f"exponent_{source}": f"exponent by rank: {words}" for source, words in SOURCES.items()}
WORDS |= {f"moment_exponent_{source}": f"exponent by moments: {words}" for source, words in SOURCES.items()}
UNTRAINED = "; dotted: untrained towers"
LOWEST = 1e-5  # shares of variance below are rounding and noise

# Source → colour and line.
LINES: dict[str, tuple[str, str | tuple[float, tuple[float, ...]]]] = {
    "images": ("ink", "-"),
    "responses": ("reference", "-"),
    "image_maps": ("dina", "-"),
    "neural_maps": ("rival", "-"),
    "untrained_image_maps": ("dina", (0.0, (1.0, 1.5))),
    "untrained_neural_maps": ("rival", (0.0, (1.0, 1.5))),
    "random_filters": ("chance", (0.0, (4.0, 1.5))),
}


def variance_spectra_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show spectra and exponents by both estimators."""
    found = {finding.name: finding for finding in findings}
    known = [
        "{} {} ({})".format(words, *finding_columns(found[f"exponent_{source}"])[:2])
        for source, words in SOURCES.items()
        if math.isfinite(found[f"exponent_{source}"].value)
    ]
    controls = " Untrained towers and random filters are there to compare with. None is a null: a fit to unrelated responses changes α, too."
    answer = (
        f"Variance falls as rank to the power −α, with these α (95\u202f% intervals): {'; '.join(known)}.{controls}"
        if known
        else "No power law could be fitted."
    )
    has_responses = math.isfinite(found["exponent_responses"].value) or math.isfinite(found["moment_exponent_responses"].value)
    halves = "; responses and their maps are cross-validated between repeats" if has_responses else ""
    others = (
        " The exponent of the responses under data quality is another one: it is fitted to all images of the recording, and these to the"
        f" {dataset.attrs['n_images']} of validation and test, so that responses and maps of towers are compared on the same images."
    )
    others = others if has_responses else ""
    part = FigurePart(
        "variance_spectra",
        _draw_variance_spectra(dataset),
        f"a, variance along principal components, in per cent of the whole, on {dataset.attrs['n_images']} images of validation and"
        f" test{halves}. Shaded: ranks to which power laws were fitted. A line"
        " ends where variance falls below 0.001\u202f% of the whole. b, exponents with 95\u202f% intervals: dots, least squares over the shaded ranks; open squares, from"
        " moments, which need no components and are not biased by few images, for the ranks beyond a break at rank 10. Vertical line: 1."
        f" Colours as in b{UNTRAINED if _has_untrained(dataset) else ''}.",
        answer,
        finding_table("Power-law exponents.", WORDS, found),
    )
    paragraphs = (
        answer
        + f" With few images the fit over ranks underestimates the exponent of slowly falling spectra.{_disagreement(found)}{others}",
    )
    return Section("variance-spectra", "Variance spectra", paragraphs=paragraphs, figures=(part,), missing=reasons(WORDS, found))


def _has_untrained(dataset: xr.Dataset) -> bool:
    return any(str(source).startswith("untrained") for source in dataset["source"].to_numpy())


def _disagreement(found: Mapping[str, Finding]) -> str:
    """Name the spectra whose two exponents have intervals that do not overlap."""
    apart = []
    for source, words in SOURCES.items():
        one, other = found[f"exponent_{source}"], found[f"moment_exponent_{source}"]
        if one.high < other.low or other.high < one.low:  # not where an interval is missing
            apart.append(words)
    if not apart:
        return ""
    return f" The two estimators disagree, their intervals being apart, for {'; '.join(apart)}: believe neither there without more images."


@in_style
def _draw_variance_spectra(dataset: xr.Dataset) -> Figure:
    """Draw spectra on logarithmic axes beside the exponents with their intervals."""
    sources = [str(source) for source in dataset["source"].to_numpy()]
    figure = new_figure(180, 78)
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1.0))
    rank = dataset["rank"].to_numpy()
    for source in sources:
        variance = dataset["variance"].sel(source=source).to_numpy()
        # the first rank of hardly any variance ends the line: beyond it there is only noise about 0
        is_noise = ~(variance > LOWEST)
        end = int(np.argmax(is_noise)) if is_noise.any() else len(variance)
        colour, line = LINES[source]
        left.plot(rank[:end], 100 * variance[:end], color=COLOURS[colour][0], linestyle=line, linewidth=1.2)
    fitted = dataset["fitted_ranks"].to_numpy()
    if fitted.any():
        left.axvspan(fitted[fitted > 0].min(), fitted.max(), color=COLOURS["band"][0], linewidth=0, zorder=0)
    left.set_xscale("log")
    left.set_yscale("log")
    left.set_ylim(bottom=max(100 * LOWEST, left.get_ylim()[0]))
    write_plain_numbers(left.xaxis, left.yaxis)
    left.set_xlabel("rank of component (logarithmic)")
    left.set_ylabel("signal variance (% of all, logarithmic)")
    left.set_title("a")
    finish_axes(left, "both")
    is_known = np.isfinite(dataset["exponent"].sel(estimator=["rank", "moment"]).transpose("source", ...).to_numpy())
    _draw_exponents(right, dataset, [source for source, row in zip(sources, is_known, strict=True) if row.any()] or sources)
    return figure


def _draw_exponents(axes: Axes, dataset: xr.Dataset, sources: list[str]) -> None:
    """Draw both estimates of every source: by rank filled, by moments hollow."""
    for place, source in enumerate(sources):
        colour, line = LINES[source]
        for offset, estimator, marker, face in (
            (-0.14, "rank", "o", COLOURS[colour][0]),
            (0.14, "moment", "s", COLOURS["paper"][0]),
        ):
            value, low, high = dataset["exponent"].sel(source=source, estimator=estimator).to_numpy()
            if not np.isfinite(value):
                continue
            axes.plot([low, high], [place + offset] * 2, color=COLOURS[colour][0], linestyle=line, linewidth=1.2)
            axes.plot(value, place + offset, marker, color=COLOURS[colour][0], markerfacecolor=face, markersize=4.5, zorder=3)
    axes.axvline(1.0, color=COLOURS["muted"][0], linewidth=0.8, linestyle=(0.0, (2.0, 1.5)))
    axes.set_yticks(range(len(sources)), [SOURCES[source] for source in sources])
    axes.set_ylim(len(sources) - 0.4, -0.6)
    axes.set_xlabel("power-law exponent α")
    axes.set_title("b")
    finish_axes(axes, "x", has_named_rows=True)
