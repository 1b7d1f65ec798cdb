"""The page of several recordings: sharing an image tower, joining with few images, spread, similarity of maps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from dina.figures.canvas import CHANCE_LINE, finish_axes, in_style, new_figure
from dina.figures.difference_words import signed
from dina.figures.finding_words import finding_columns
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.style import COLOURS
from dina.figures.words import DASH, from_to, interval, number, numbers, percent
from dina.report.what_is_missing import TITLE, sort_what_is_missing
from dina.statistics.finding import Finding

DARK, BRIGHT = "#1b1f23", "#fefefe"  # on coloured fields, which stay as they are on dark paper
PANELS_ACROSS = 3

# Findings of one recording, or of the mean over mice, by name.
Found = Mapping[str, Finding]


@in_style
def draw_together_and_alone(found: Sequence[Found]) -> Figure:
    """Draw top-1 accuracy of each recording, numbered from 1, when towers were trained on all recordings, and on it alone."""
    figure = new_figure(130, 26 + 8 * len(found))
    axes = figure.add_subplot()
    places = np.arange(len(found))[::-1].astype(float)
    for shift, key, colour, marker, label in (
        (0.15, "top1_joint", COLOURS["dina"][0], "o", "image tower shared by all recordings"),
        (-0.15, "top1_alone", COLOURS["rival"][0], "s", "this recording alone"),
    ):
        values, low, high = 100 * np.array([[each[key].value, each[key].low, each[key].high] for each in found]).T
        axes.hlines(places + shift, low, high, color=colour, linewidth=1.4)
        axes.plot(values, places + shift, marker, color=colour, markersize=4.5, linestyle="none", label=label)
    chance = [100 * each["top1_joint"].null_high for each in found]
    axes.vlines(chance, places - 0.4, places + 0.4, **CHANCE_LINE)
    axes.set_yticks(places, [str(place + 1) for place in range(len(found))])
    axes.set(xlim=(0, None), ylim=(-0.6, len(found) - 0.4), xlabel="top-1 accuracy (% of test images)", ylabel="recording")
    figure.legend(loc="outside upper left", ncols=2)
    finish_axes(axes, "x")
    axes.tick_params(axis="y", length=0)
    return figure


@in_style
def draw_adaptation(sizes: Sequence[int], recordings: Sequence[Found], over_mice: Found) -> Figure:
    """Draw accuracy of a recording against the number of its images, with the others' image tower and alone."""
    figure = new_figure(180, 78)
    left, right = figure.subplots(1, 2)
    for key, colour, marker, label in (
        ("shared", COLOURS["dina"][0], "o", "joins the other recordings"),
        ("alone", COLOURS["rival"][0], "s", "alone"),
    ):
        for each in recordings:
            values = [100 * each[f"top1_{key}_{n}"].value if f"top1_{key}_{n}" in each else np.nan for n in sizes]
            left.plot(sizes, values, color=colour, linewidth=0.7, alpha=0.45, marker=marker, markersize=2.5)
        means = [100 * over_mice[f"top1_{key}_{n}"].value for n in sizes]
        left.plot(sizes, means, color=colour, linewidth=2.0, marker=marker, markersize=4, label=label)
    known = [each[f"top1_shared_{n}"].null_high for each in recordings for n in sizes if f"top1_shared_{n}" in each]
    left.axhspan(0, 100 * float(np.mean(known)), color=COLOURS["chance"][0], alpha=0.25, linewidth=0, label="chance")
    left.set(ylim=(0, None), ylabel="top-1 accuracy (% of test images)")
    figure.legend(loc="outside upper center", ncols=3)
    _draw_gains(right, sizes, recordings, over_mice)
    for axes, title in ((left, "Accuracy"), (right, "Gain by joining")):
        axes.set(title=title, xscale="log", xlabel="images of the new recording (logarithmic)")
        axes.set_xticks(list(sizes), [f"{n:,}" for n in sizes])
        axes.xaxis.set_minor_locator(NullLocator())
        finish_axes(axes, "y")
    return figure


def _draw_gains(axes: Axes, sizes: Sequence[int], recordings: Sequence[Found], over_mice: Found) -> None:
    axes.axhline(0, color=COLOURS["muted"][0], linewidth=0.8)
    for each in recordings:
        values = [100 * each[f"gain_shared_{n}"].value if f"gain_shared_{n}" in each else np.nan for n in sizes]
        axes.plot(sizes, values, "o", color=COLOURS["muted"][0], markersize=3)
    gains = [over_mice[f"gain_shared_{n}"] for n in sizes]
    axes.plot(sizes, [100 * gain.value for gain in gains], "D", color=COLOURS["dina"][0], markersize=5)
    for size, gain in zip(sizes, gains, strict=True):
        if np.isfinite(gain.low):
            axes.plot([size, size], [100 * gain.low, 100 * gain.high], color=COLOURS["dina"][0], linewidth=1.6)
    axes.set_ylabel("shared − alone (percentage points)")


@in_style
def draw_alignment(panels: Mapping[str, Float[np.ndarray, "recording other"]]) -> Figure:
    """Draw the linear kernel alignment of maps between recordings, one panel for each kind of map (title → values)."""
    n_rows = -(-len(panels) // PANELS_ACROSS)
    figure = new_figure(180, 74 * n_rows)
    drawn = figure.subplots(n_rows, PANELS_ACROSS, squeeze=False).ravel()
    for spare in drawn[len(panels) :]:
        spare.set_axis_off()
    for position, (axes, (title, values)) in enumerate(zip(drawn, panels.items(), strict=False)):
        image = axes.imshow(values, vmin=0, vmax=1, cmap="Blues")
        for row, column in np.ndindex(*values.shape):
            value = values[row, column]
            if np.isfinite(value) and len(values) <= 8:
                colour = BRIGHT if value > 0.55 else DARK
                axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
        places = [str(place + 1) for place in range(len(values))]
        axes.set_xticks(range(len(values)), places)
        axes.set_yticks(range(len(values)), places)
        axes.set_title(title, fontsize=7.5, fontweight="normal")
        axes.set(xlabel="recording", ylabel="" if position % PANELS_ACROSS else "recording")
        axes.tick_params(length=0)
    figure.colorbar(image, ax=list(drawn), label="linear kernel alignment", shrink=0.8 / n_rows)
    return figure


KINDS = {
    "neural_joint": "neural towers, trained together",
    "neural_alone": "neural towers, each trained alone",
    "neural_untrained": "neural towers, untrained",
    "image_alone": "image towers, each trained alone",
    "image_untrained": "image towers, untrained",
}


def several_recordings_headline(summary: Mapping[str, Any]) -> list[str]:
    """Return the answer of a study of several recordings in two sentences."""
    over = _by_name(summary["over_mice"])
    n_mice = len({recording["mouse"] for recording in summary["recordings"]})
    gain = over["gain_joint"]
    together = over["top1_joint"]
    answer = (
        f"With one image tower for {len(summary['recordings'])} recordings of {n_mice} {'animal' if n_mice == 1 else 'animals'}, top-1 accuracy is"
        f" {percent(together.value)} on average over animals; each recording alone gives {percent(over['top1_alone'].value)}"
        f" (chance: {interval(together.null_low, together.null_high)})."
    )
    if gain.reason:
        return [answer, gain.reason]
    side = "gains" if gain.low > 0 else "loses" if gain.high < 0 else "neither clearly gains nor loses"
    value, between = _points(gain)
    return [answer, f"The population of animals {side} by sharing: {value} percentage points, 95\u202f% interval {between}."]


def _points(gain: Finding) -> tuple[str, str]:
    """Write a gain and its interval in percentage points."""
    value, low, high = (signed(100 * one, 1) for one in (gain.value, gain.low, gain.high))
    return value, from_to(low, high)


def several_recordings_sections(summary: Mapping[str, Any], alignment: xr.Dataset) -> list[Section]:
    """Return the sections of the page in reading order, from ``summary.json`` and ``results/alignment.nc``."""
    names = [str(recording["name"]) for recording in summary["recordings"]]
    found = [_by_name(recording["findings"]) for recording in summary["recordings"]]
    over = _by_name(summary["over_mice"])
    made = [
        _together(summary, names, found, over),
        _joining(summary, found, over),
        _updates(summary),
        _spread(summary),
        _similarity(summary, names, alignment),
    ]
    lacking = sort_what_is_missing([f"{section.title} – {reason}" for section in made for reason in section.missing])
    shown = [section for section in made if section.figures or section.tables]
    missing = [Section("missing", TITLE, lists=lacking)] if lacking else []
    return [*shown, *missing, Section("methods", "Settings and how to repeat this")]


def _by_name(findings: Sequence[Mapping[str, Any]]) -> Found:
    return {str(each["name"]): Finding.from_json(dict(each)) for each in findings}


def _together(summary: Mapping[str, Any], names: Sequence[str], found: Sequence[Found], over: Found) -> Section:
    p_values = {str(gain["name"]): gain for gain in summary["gains"]}["gain_joint"]
    rows = [
        _row(f"{place}: {name}", each, p_values["p_over_images"][name], p_values["q_over_images"][name])
        for place, (name, each) in enumerate(zip(names, found, strict=True), 1)
    ]
    rows.append(_row("mean over animals", over, p_values["p_over_mice"], p_values["q_over_mice"]))
    bounds = "95\u202f% interval"
    columns = ("recording", "together", bounds, "alone", bounds, "gain (points)", bounds, "p", "q")
    table = Table("Top-1 accuracy from averaged responses.", columns, tuple(rows))
    caption = (
        "Top-1 accuracy from averaged responses, image tower shared by all recordings or trained on each alone; bars: 95\u202f%"
        " intervals over images; dashed: upper end of chance, queries assigned to other images."
        f" {_numbered(names)}"
    )
    spoken = "Top-1 accuracy together and alone: " + "; ".join(f"{row[0]}, {row[1]} and {row[3]}" for row in rows) + "."
    part = FigurePart("together", draw_together_and_alone(found), caption, spoken, table)
    tests = (
        "p: two-sided; together and alone are exchanged at random, image by image within a recording, animal by animal over animals. With"
        " n animals p cannot be below 2/2\u207f. q: p adjusted for the number of gains tested (Benjamini–Hochberg): it"
        " bounds the expected share of false findings, not the share in one study."
    )
    shared = (
        "All recordings have the same test images, and an image that is easy for one may be easy for all. Intervals and p over"
        " animals hold for other animals and these images; the null ranges of means over animals treat the recordings as independent, so they"
        " are too narrow if the recordings share test images."
    )
    return Section("together", "Together and alone", paragraphs=(tests, shared), figures=(part,))


def _numbered(names: Sequence[str]) -> str:
    return "Recordings: " + "; ".join(f"{place} {name}" for place, name in enumerate(names, 1)) + "."


def _row(name: str, found: Found, p_value: float | None, q_value: float | None) -> tuple[str, ...]:
    both = (found["top1_joint"], found["top1_alone"])
    accuracies = [text for each in both for text in (percent(each.value), interval(each.low, each.high))]
    return (name, *accuracies, *_points(found["gain_joint"]), number(p_value, 2), number(q_value, 2))


def _joining(summary: Mapping[str, Any], found: Sequence[Found], over: Found) -> Section:
    sizes = sorted(int(name.rsplit("_", 1)[1]) for name in over if name.startswith("gain_shared_"))
    words = (
        "Each recording in turn is left out, and towers are trained on the others together. It then joins them with few of its"
        " images: the shared weights stay fixed, and only the weights that read its neurons are fitted. For comparison, towers are"
        " trained on the same images alone. No tower has seen a test image. The number of images counts those for training (four of"
        " five) and for validation."
    )
    if not sizes:
        missing = ("There is one animal only, or no recording has enough images for the sizes of the settings.",)
        return Section("joining", "Joining with few images", paragraphs=(words,), missing=missing)
    p_values = {str(gain["name"]): gain for gain in summary["gains"]}
    rows = []
    for size in sizes:
        shared, alone, gain = (over[f"{key}_{size}"] for key in ("top1_shared", "top1_alone", "gain_shared"))
        tests = (number(p_values[gain.name][key], 2) for key in ("p_over_mice", "q_over_mice"))
        rows.append((f"{size:,}", str(gain.n), percent(shared.value), percent(alone.value), *_points(gain), *tests))
    columns = ("images", "animals", "joining", "alone", "gain (points)", "95\u202f% interval over animals", "p", "q")
    table = Table("Mean over animals of top-1 accuracy from averaged responses.", columns, tuple(rows))
    has_interval = any(np.isfinite(over[f"gain_shared_{n}"].low) for n in sizes)
    with_interval = " with 95\u202f% interval" if has_interval else ""
    caption = (
        "Left: pale, recordings; strong, mean over animals; grey, chance (queries assigned to other images). Right: dots, recordings;"
        f" diamonds, mean over animals{with_interval}."
    )
    by_size = "; ".join(f"{row[0]} images, {row[2]} and {row[3]}" for row in rows)
    spoken = f"Mean over animals of top-1 accuracy, joining the others and alone: {by_size}."
    part = FigurePart("joining", draw_adaptation(sizes, found, over), caption, spoken, table)
    return Section("joining", "Joining with few images", paragraphs=(words,), figures=(part,))


def _updates(summary: Mapping[str, Any]) -> Section:
    fits = {"together": "all recordings together", "alone": "alone", "joining": "joining the others"}
    rows = []
    for each in summary["updates"]:
        size = "all" if each["size"] is None else f"{each['size']:,}"
        rows.append((fits[each["fit"]], size, str(each["n_fits"]), *(f"{each[part]:,.0f}" for part in ("made", "kept"))))
    columns = ("fit", "images", "fits", "updates made", "updates kept")
    table = Table("Updates of the weights, medians over recordings, folds and seeds.", columns, tuple(rows))
    words = (
        "An update is one batch. Where towers are trained from random weights, a recording alone and one with few images may make"
        " as many updates as the recordings together; the patience is longer by the same factor. With equal epochs they would"
        " make fewer updates, and a gain by sharing could come from longer training. Training ends earlier where validation does not"
        " improve; the weights that validation chose are kept. A preset with a closed-form start (default) has the same epochs everywhere."
    )
    return Section("updates", "How long each was trained", paragraphs=(words,), tables=(table,))


def _spread(summary: Mapping[str, Any]) -> Section:
    components = [Finding.from_json(dict(each)) for each in summary["variance_components"]]
    rows = []
    for each in components:
        root = number(100 * each.value**0.5) if each.value > 0 else "0" if each.value <= 0 else DASH
        value, *ends = numbers(*(1e4 * one for one in (each.value, each.low, each.high)))
        values = (value, from_to(*ends), root)
        rows.append((each.name.removeprefix("variance_"), str(each.n), *(values if not each.reason else (DASH,) * 3)))
    columns = ("source", "levels", "variance (points²)", "95\u202f% interval", "deviation (points)")
    table = Table("Where the variance of top-1 accuracy comes from.", columns, tuple(rows))
    words = (
        "Accuracy varies with the recording, with the images held out (folds) and with the seed of training. The estimates are"
        " unbiased and can fall below 0 where a source adds nothing."
    )
    more = " To have more folds and seeds, repeat the study with --set n_folds=3 --set n_seeds=3."
    missing = tuple(dict.fromkeys(each.reason + more for each in components if each.reason))
    tables = () if all(each.reason for each in components) else (table,)
    return Section("spread", "Seeds, folds, recordings", paragraphs=(words,), tables=tables, missing=missing)


def _similarity(summary: Mapping[str, Any], names: Sequence[str], alignment: xr.Dataset) -> Section:
    kinds = [str(kind) for kind in alignment["kind"].to_numpy()]
    values = alignment["alignment"].transpose("kind", "recording", "other").to_numpy()
    panels = {KINDS[kind]: values[place] for place, kind in enumerate(kinds)}
    rows = []
    for entry in summary["alignment"]:
        pair = f"{entry['recording']} and {entry['other']}"
        each = Finding.from_json({key: value for key, value in entry.items() if key not in ("maps", "recording", "other")})
        rows.append((KINDS[entry["maps"]], pair, str(each.n), *finding_columns(each)))
    columns = ("maps", "recordings", "images", "alignment", "95\u202f% interval", "images permuted")
    table = Table("Linear kernel alignment between recordings.", columns, tuple(rows), n_words=2)
    caption = (
        "How similar the maps of the same test images are in two recordings; the table has intervals, and the range for permuted"
        f" images. {_numbered(names)}"
    )
    spoken = "Linear kernel alignment of every pair of recordings, for five kinds of maps; the numbers are in the table."
    part = FigurePart("likeness", draw_alignment(panels), caption, spoken, table)
    words = (
        "Linear centred kernel alignment, estimated without the bias of few images, compares which images are similar in two maps:"
        " 1 for maps that differ by a rotation, 0 for unrelated ones. Maps of neural towers are those of averaged responses to test"
        " images, so noise lowers their alignment."
    )
    against = (
        "Untrained towers of one architecture may already separate the same images. Permuted images are the null for maps without"
        " information about the images; untrained towers are the null for maps that learnt nothing. If the alignment is above that of"
        " untrained towers, training made the maps similar; if it is below, training made them differ. Each recording alone starts"
        " with different random weights."
    )
    return Section("likeness", "Similarity of maps between recordings", paragraphs=(words, against), figures=(part,))
