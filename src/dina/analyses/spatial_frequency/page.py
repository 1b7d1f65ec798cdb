"""The pages of spatial frequency: which of them carry the decoding, which suffice for a fit, and which maps of other sizes use."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dina.figures.canvas import finish_axes, in_style, new_figure, write_plain_numbers
from dina.figures.caption_words import SAME_GALLERY, is_above_chance, over_whole, responses_words
from dina.figures.difference_words import signed
from dina.figures.finding_parts import NO_NULL, finding_table, reasons
from dina.figures.finding_words import SAME_IN_EVERY_RESAMPLE, finding_columns, in_a_sentence, is_same_in_every_resample
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.style import COLOURS
from dina.figures.words import DASH, from_to, interval, number, numbers, percent
from dina.statistics.finding import Finding

DASHED = (0.0, (3.0, 1.5))
SIGNAL_ENDS = (-10, 115)  # of the axis of the matched signal, in per cent
WORDS = {
    "top1_full": "top-1 accuracy, unfiltered",
    "frequency_edge": "edge of the matched signal",
    "median_frequency": "half of the matched signal lies below",
    "replaced_cutoff_half": "half of the accuracy, content above from another image",
    "replaced_cutoff_ninety": "90\u202f% of the accuracy, content above from another image",
    "low_pass_cutoff_half": "half of the accuracy, low-passed",
    "low_pass_cutoff_ninety": "90\u202f% of the accuracy, low-passed",
    "best_band_frequency": "best octave (its centre)",
    "best_band_top1": "top-1 accuracy of the best octave",
    "kept_without_highest_octave": "accuracy kept if everything above half the Nyquist limit comes from another image",
    "kept_lowest_octaves": "accuracy kept if everything above a quarter of the limit comes from another image",
    "kept_highest_octave": "accuracy kept if everything below half the Nyquist limit comes from another image",
}
# Towers that are fitted anew see images from which the rest is removed, not replaced.
REFIT_WORDS = WORDS | {
    "top1_full": "top-1 accuracy, fitted on unfiltered images",
    "kept_without_highest_octave": "accuracy kept without the content above half the Nyquist limit",
    "kept_lowest_octaves": "accuracy kept without the content above a quarter of the limit",
    "kept_highest_octave": "accuracy kept by the content above half the Nyquist limit alone",
}


EASIER = "What is left of the images can be easier to find than the whole images, by luck or because the rest misleads"


def spatial_frequency_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show accuracy against spatial frequency, the upper edge of the matched signal, and each octave alone."""
    found = {finding.name: finding for finding in findings}
    edge = found["frequency_edge"]
    n, units = int(dataset.attrs["n_images"]), dataset["cutoff"].attrs["units"]
    nyquist, known = float(dataset.attrs["nyquist"]), math.isfinite(edge.low) and math.isfinite(edge.high)
    between = f"95\u202f% interval {_frequencies(edge.low, edge.high, nyquist)}" if known else "no interval"
    between = SAME_IN_EVERY_RESAMPLE if is_same_in_every_resample(edge) else between
    where = f"{number(edge.value)} {units} ({between}{_chance(edge, nyquist)})"
    if not math.isfinite(edge.value):
        summary = f"The frequency edge could not be estimated: {edge.reason}"
    elif edge.null_low <= edge.value <= edge.null_high:
        summary = f"No edge can be told from chance: the matched signal ends at {where}, where queries assigned to other images can end, too."
    else:
        summary = f"The towers use little image content above {where}."
    summary += (f" {edge.reason}" * (math.isfinite(edge.value) and not known)).rstrip()
    unknown = "" if units == "cycles/degree" else " The size of the pixels in degrees is unknown."
    is_decoded = is_above_chance(found["top1_full"])
    matched = " b, share of the score of the true image that lies below the cut-off. c," if is_decoded else " b,"
    part = FigurePart(
        "spatial_frequency",
        draw_spatial_frequency(dataset, (edge.value, edge.low, edge.high), is_decoded=is_decoded),
        f"Retrieval of {n} test images from galleries with part of their spatial frequencies; {responses_words(dataset)} as queries. a, top-1"
        " accuracy when the content above the cut-off comes from another image (blue) or is missing (orange, contrast restored)."
        f"{matched} one octave alone: all else is removed and the contrast restored. The shares of the accuracy in text and table come from"
        f" galleries whose other content is replaced, not removed; {_zero(dataset)}. Blue bands, thin orange lines: 95\u202f% intervals over"
        f" images; grey, or said: central 95\u202f% if queries are assigned to other images;{' purple: frequency edge with interval;' * math.isfinite(edge.value)} dotted:"
        f" {_limit(dataset)}.{unknown} {SAME_GALLERY}",
        f"{summary} The numbers are in the table.",
        _table(found, nyquist, WORDS),
    )
    missing = reasons(WORDS, {name: one for name, one in found.items() if one is not edge})
    if not is_decoded:
        missing += (
            "matched signal by cut-off: the unfiltered images are found no better than by chance, so no part of them is matched.",
        )
    return Section(
        "spatial-frequency",
        "Spatial frequencies that carry the decoding",
        paragraphs=(summary + _detail(found["kept_highest_octave"], found["kept_without_highest_octave"], _zero(dataset)),),
        figures=(part,),
        missing=missing,
    )


def _zero(dataset: xr.Dataset) -> str:
    """Say which accuracy counts as none where other content is replaced: foreign images share contrast with the true ones."""
    return f"0 is the accuracy with nothing but foreign images of the same contrast ({percent(dataset.attrs['foreign_top1'])})"


def _limit(dataset: xr.Dataset) -> str:
    """Say what the Nyquist limit bounds: frequencies along rows and columns, while those of diagonals go further."""
    further = float(dataset["cutoff"][-1]) / float(dataset.attrs["nyquist"])
    return f"Nyquist limit of the pixels along rows and columns; diagonals hold frequencies up to {further:.2f} times as high"


def _detail(alone: Finding, without: Finding, zero: str) -> str:
    """Say what is kept if fine detail is replaced, and if everything else is, where that is known."""
    if not (math.isfinite(alone.value) and math.isfinite(without.value)):
        return ""
    return (
        f" Detail means the content above half the Nyquist limit. If it comes from another image, {in_a_sentence(without)} of the accuracy"
        f" is kept; if everything else comes from another image, {in_a_sentence(alone)}. Here {zero}, not chance.{over_whole(EASIER, alone, without)}"
    )


def spatial_frequency_refit_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show the accuracy of towers fitted on low-passed images against the cut-off."""
    found = {finding.name: finding for finding in findings}
    without, alone = found["refit_kept_without_highest_octave"], found["refit_kept_highest_octave"]
    summary = (
        f"Towers fitted on images without the content above half the Nyquist limit keep {in_a_sentence(without)} of the accuracy above chance,"
        f" and towers fitted on that content alone {in_a_sentence(alone)}.{over_whole(EASIER, alone, without)}"
    )
    part = FigurePart(
        "spatial_frequency_refit",
        _draw_refit(dataset),
        f"Top-1 accuracy of towers that were fitted, and tested on {int(dataset.attrs['n_images'])} images, below each cut-off. Blue"
        f" band: 95\u202f% intervals over images; grey: central 95\u202f% if queries are assigned to other images; dotted: {_limit(dataset)}."
        f" The last point is the decoding itself. {SAME_GALLERY}",
        summary,
        _table(found, float(dataset.attrs["nyquist"]), REFIT_WORDS, "refit_"),
    )
    missing = reasons({f"refit_{name}": words for name, words in REFIT_WORDS.items()}, found)
    title = "Towers fitted on part of the frequencies"
    return Section("spatial-frequency-refit", title, paragraphs=(summary,), figures=(part,), missing=missing)


@in_style
def draw_spatial_frequency(dataset: xr.Dataset, edge: tuple[float, float, float], *, is_decoded: bool = True) -> Figure:
    """Draw accuracy and matched signal against the cut-off, accuracy by octave, and the edge with its interval (or NaN).

    Where nothing is decoded, there is no matched signal to draw.
    """
    figure = new_figure(180 if is_decoded else 130, 72)
    first, *middle, third = figure.subplots(1, 3 if is_decoded else 2)
    _draw_curve(first, dataset, "cutoff", "replaced_top1", 100, "a: another image above the cut-off")
    cutoff = dataset["cutoff"].to_numpy()
    low_pass, low, high = (100 * dataset[f"low_pass_top1{end}"].to_numpy() for end in ("", "_low", "_high"))
    # a second band over the blue one would look like the grey of the null
    first.plot(cutoff, np.transpose([low, high]), color=COLOURS["rival"][0], linewidth=0.6, alpha=0.7, zorder=2)
    first.plot(
        cutoff, low_pass, color=COLOURS["rival"][0], linestyle=DASHED, linewidth=1.2, zorder=3, label="a: nothing above it"
    )
    first.set_ylabel("top-1 accuracy (% of queries)")
    first.set_title("a  below the cut-off")
    end = float(dataset["cutoff"][-1])
    for second in middle:
        _draw_curve(second, dataset, "cutoff", "matched_signal", 100)
        second.set_ylabel("matched signal below (% of all)")
        second.set_title("b  matched signal")
    _draw_curve(third, dataset, "band", "band_top1", 100)
    third.set_ylabel("top-1 accuracy (% of queries)")
    third.set_title(f"{'c' if middle else 'b'}  one octave alone")
    lowest = min(float(dataset["band"][0]), float(dataset["cutoff"][0]))
    for axes, axis in ((first, "cut-off"), *((second, "cut-off") for second in middle), (third, "octave's centre")):
        _finish(axes, dataset, lowest, end)
        axes.set_xlabel(f"{axis} ({dataset['cutoff'].attrs['units']})")
    if np.isfinite(edge[0]):
        for axes in (first, *middle):
            axes.axvspan(edge[1], edge[2], color=COLOURS["reference"][0], alpha=0.18, linewidth=0, zorder=1)
            name = "frequency edge" if axes is first else None
            axes.axvline(edge[0], color=COLOURS["reference"][0], linewidth=1.0, zorder=2, label=name)
    for second in middle:
        second.set_ylim(*SIGNAL_ENDS)
    figure.legend(loc="outside upper left", ncols=3, fontsize=7.5)
    return figure


@in_style
def _draw_refit(dataset: xr.Dataset) -> Figure:
    """Draw accuracy of towers fitted on low-passed images against the cut-off."""
    figure = new_figure(100, 72)
    axes = figure.add_subplot()
    _draw_curve(axes, dataset, "cutoff", "refit_top1", 100)
    axes.set_ylabel("top-1 accuracy (% of queries)")
    axes.set_xlabel(f"cut-off ({dataset['cutoff'].attrs['units']})")
    _finish(axes, dataset, float(dataset["cutoff"][0]), float(dataset["cutoff"][-1]))
    return figure


def _draw_curve(axes: Axes, dataset: xr.Dataset, axis: str, name: str, scale: float, label: str | None = None) -> None:
    """Draw one curve with its interval, above the range of its null."""
    place = dataset[axis].to_numpy()
    value, low, high, null_low, null_high = (
        scale * dataset[name + end].to_numpy() for end in ("", "_low", "_high", "_null_low", "_null_high")
    )
    # the null of a share has no bounds: where it leaves the panel it is cut off, and where it fills the panel it is said
    if name == "matched_signal" and np.mean((null_low < SIGNAL_ENDS[0]) & (null_high > SIGNAL_ENDS[1])) > 0.5:
        look: Any = {"xycoords": "axes fraction", "va": "top", "fontsize": 7, "color": COLOURS["chance"][0]}
        axes.annotate("chance: anywhere", (0.03, 0.97), **look)
    else:
        axes.fill_between(place, null_low, null_high, color=COLOURS["chance"][0], alpha=0.25, linewidth=0, zorder=1)
    axes.fill_between(place, low, high, color=COLOURS["dina"][0], alpha=0.15, linewidth=0, zorder=2)
    axes.plot(place, value, color=COLOURS["dina"][0], linewidth=1.6, marker="o", markersize=2.8, zorder=4, label=label)


def _finish(axes: Axes, dataset: xr.Dataset, lowest: float, highest: float) -> None:
    """Give the axis its octaves and the Nyquist limit."""
    axes.set_xscale("log", base=2)
    axes.set_xlim(lowest / 1.15, highest * 1.15)
    ticks = dataset.attrs["nyquist"] / 2.0 ** np.arange(0, 12, 2)
    axes.set_xticks(ticks[ticks >= lowest / 1.15])
    write_plain_numbers(axes.xaxis, form=".3g")
    axes.axvline(dataset.attrs["nyquist"], color=COLOURS["muted"][0], linestyle=(0.0, (1.0, 1.5)), linewidth=1.0, zorder=1)
    if "signal" not in axes.get_ylabel():
        axes.set_ylim(bottom=0)
    finish_axes(axes, "y")


def _table(found: Mapping[str, Finding], nyquist: float, words: Mapping[str, str], prefix: str = "") -> Table:
    """Return the table of findings about spatial frequency, in the order of the page."""
    there = {name: found[prefix + name] for name in words if prefix + name in found}
    known = {name: one for name, one in there.items() if math.isfinite(one.value)}
    rows = tuple(
        (_named(words[name], one), *_cells(one, nyquist), one.null or NO_NULL[bool(one.reason)]) for name, one in known.items()
    )
    return Table(
        "Statistics by spatial frequency, with 95\u202f% intervals over images; nulls: the central 95\u202f%.",
        ("statistic", "value", "95\u202f% interval", "null", "what the null is"),
        rows,
    )


def _named(words: str, one: Finding) -> str:
    return f"{words} ({one.n:,} images)" if "top1" in one.name else words


def _cells(one: Finding, nyquist: float) -> tuple[str, str, str]:
    if one.units == "1":
        return finding_columns(one, "%")
    value = f"{number(one.value)} {one.units}" if one.value <= nyquist else f"beyond the Nyquist limit ({number(nyquist)})"
    between = SAME_IN_EVERY_RESAMPLE if is_same_in_every_resample(one) else _frequencies(one.low, one.high, nyquist)
    return value, between, _frequencies(one.null_low, one.null_high, nyquist)


def _frequencies(low: float, high: float, nyquist: float) -> str:
    """Write a range of frequencies. There are none below zero, and beyond the Nyquist limit along diagonals alone.

    Examples
    --------
    >>> _frequencies(0.1, 0.3, 0.5), _frequencies(0.1, 0.55, 0.5), _frequencies(-0.1, 0.3, 0.5)
    ('0.1 to 0.3', '0.1 to beyond the Nyquist limit (0.5)', 'anything up to 0.3')
    >>> _frequencies(-0.1, 0.6, 0.5), _frequencies(float("nan"), 0.6, 0.5)
    ('anywhere, even beyond the Nyquist limit (0.5)', '–')
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return DASH
    limit = f"the Nyquist limit ({number(nyquist)})"
    if low <= 0:
        return f"anywhere, even beyond {limit}" if high > nyquist else f"anything up to {number(high)}"
    if low > nyquist:
        return f"beyond {limit}"
    return f"{number(low)} to beyond {limit}" if high > nyquist else from_to(*numbers(low, high))


def _chance(edge: Finding, nyquist: float) -> str:
    """Say at which edges queries that are assigned to other images would arrive, if that is known."""
    between = _frequencies(edge.null_low, edge.null_high, nyquist)
    return "" if between == DASH else f"; chance: {between}"


CAPACITY = {
    "edge_per_capacity": "frequency edge in octaves, by size",
    "edge_per_places": "frequency edge in octaves, by number of places",
    "top1_per_capacity": "top-1 accuracy, by size",
    "stage_edge_difference": "frequency edge in octaves, first minus second stage of the image tower, at one size",
}


def map_capacity_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show edge and accuracy of towers with maps of other sizes, and whether the edge follows the size."""
    found = {finding.name: finding for finding in findings}
    slope = found["edge_per_capacity"]
    n, epochs = int(dataset.attrs["n_images"]), int(dataset.attrs["n_epochs"])
    if math.isfinite(slope.value):
        answer = (
            f"The frequency edge changes by {signed(slope.value, 2)} octaves with every doubling of the map"
            f" ({signed(slope.low, 2)} to {signed(slope.high, 2)}; if the size had no effect,"
            f" {signed(slope.null_low, 2)} to {signed(slope.null_high, 2)})."
        )
    else:
        answer = f"It is not known whether the frequency edge follows the size of the map: {slope.reason}"
    part = FigurePart(
        "map_capacity",
        _draw_map_capacity(dataset),
        f"Towers fitted with maps of other sizes, at most {epochs} epochs each, tested on {n} images. a, frequency edge: above"
        f" it the matched signal hardly rises{_marks(dataset)}. b, top-1 accuracy; grey: central 95\u202f% if queries are assigned to"
        f" other images. Bars: 95\u202f% intervals over images{'' if dataset['is_in_slope'].all() else '; hollow: differs in more than size'}. {SAME_GALLERY}",
        answer,
        _table_of_fits(dataset),
    )
    return Section(
        "map-capacity",
        "Size of the maps",
        paragraphs=(answer, _meaning_of_slope(slope)),
        figures=(part,),
        tables=(finding_table("What changes with every doubling of the map.", CAPACITY, found, points=("top1_per_capacity",)),),
        missing=reasons(CAPACITY, {name: one for name, one in found.items() if one is not slope or math.isfinite(one.value)}),
    )


def _meaning_of_slope(slope: Finding) -> str:
    """Say whether a coarse result may come from the size of the maps."""
    coarse = "a coarse result may come from the maps and not from the neurons"
    if not math.isfinite(slope.value):
        return f"If the edge followed the size, {coarse.replace('may', 'could')}."
    if slope.value > slope.null_high:
        return f"The edge follows the size, so {coarse}."
    return f"The edge does not rise with the size beyond its null, so nothing here says that {coarse}."


def _marks(dataset: xr.Dataset) -> str:
    """Say what is drawn beside the edges of the fits, where there is any."""
    known = np.isfinite(dataset["edge"].to_numpy())
    is_open = dataset["edge_is_open"].to_numpy().astype(bool) & known
    return "; dotted: Nyquist limit" * bool(known.any()) + "; triangles: fits whose signal still rises there" * bool(
        is_open.any()
    )


def _table_of_fits(dataset: xr.Dataset) -> Table:
    rows = []
    for name in map(str, dataset["fit"].to_numpy()):
        one = dataset.sel(fit=name)
        channels, height, width = (int(extent) for extent in one["map_shape"].to_numpy())
        edge = float(one["edge"])
        value, *between = numbers(edge, float(one["edge_low"]), float(one["edge_high"]))
        ends = f"{value} ({from_to(*between)})"
        accuracy = f"{percent(float(one['top1']))} ({interval(float(one['top1_low']), float(one['top1_high']))})"
        chance = interval(float(one["top1_null_low"]), float(one["top1_null_high"]))
        words = "1 channel" if name == "1 channels" else name  # the name is kept in runs
        rows.append((words, f"{channels} × {height} × {width}", ends if math.isfinite(edge) else DASH, accuracy, chance))
    return Table(
        "Towers with maps of other sizes (95\u202f% intervals over images; chance: central 95\u202f% if queries are assigned to other images).",
        ("fit", "channels × height × width", f"frequency edge, {dataset['edge'].attrs['units']}", "top-1 accuracy", "chance"),
        tuple(rows),
        n_words=2,
    )


@in_style
def _draw_map_capacity(dataset: xr.Dataset) -> Figure:
    """Draw edge and accuracy of every fit against the numbers in its map.

    Hollow are fits that differ in more than size; triangles, fits whose matched signal still rises at the Nyquist limit.
    """
    figure = new_figure(160, 76)
    first, second = figure.subplots(1, 2)
    _draw_fits(first, dataset, "edge", 1, dataset["edge_is_open"].to_numpy().astype(bool))
    units = dataset["edge"].attrs["units"]
    if np.isfinite(dataset["edge"].to_numpy()).any():
        first.set_yscale("log", base=2)
        write_plain_numbers(first.yaxis, form=".3g")
        first.axhline(dataset.attrs["nyquist"], color=COLOURS["muted"][0], linestyle=(0.0, (1.0, 1.5)), linewidth=1.0)
    else:
        first.annotate("no fit is better than chance", (0.5, 0.5), xycoords="axes fraction", ha="center", fontsize=7.5)
        first.set_yticks([])
    first.set_ylabel(f"frequency edge ({units})")
    first.set_title("a  frequency edge")
    low, high = (100 * dataset[f"top1_null_{end}"].to_numpy() for end in ("low", "high"))
    second.axhspan(float(low.min()), float(high.max()), color=COLOURS["chance"][0], alpha=0.3, linewidth=0)
    _draw_fits(second, dataset, "top1", 100, np.zeros(dataset.sizes["fit"], dtype=bool))
    second.set_ylim(bottom=0)
    second.set_ylabel("top-1 accuracy (% of queries)")
    second.set_title("b  accuracy")
    sizes = dataset["map_shape"].to_numpy().prod(axis=1)
    for axes in (first, second):
        axes.set_xscale("log", base=2)
        axes.set_xlim(sizes.min() / 1.3, sizes.max() * 1.3)  # the same where nothing is drawn
        write_plain_numbers(axes.xaxis, form=",.0f")
        axes.set_xlabel("size of the map (channels × places)")
        finish_axes(axes, "y")
    return figure


def _draw_fits(axes: Axes, dataset: xr.Dataset, name: str, scale: float, is_open: Bool[np.ndarray, "fit"]) -> None:
    """Draw one point with interval for each fit; a triangle marks a lower bound."""
    size = dataset["map_shape"].to_numpy().prod(axis=1)
    value, low, high = (scale * dataset[name + end].to_numpy() for end in ("", "_low", "_high"))
    blue = COLOURS["dina"][0]
    axes.vlines(size, low, high, color=blue, linewidth=1.2, zorder=2)
    is_swept = dataset["is_in_slope"].to_numpy().astype(bool)
    for marker, has_it in (("o", ~is_open), ("^", is_open)):
        for face, chosen in ((blue, is_swept & has_it), (COLOURS["paper"][0], ~is_swept & has_it)):
            axes.plot(size[chosen], value[chosen], marker, color=blue, markerfacecolor=face, markersize=4.5, zorder=3)
