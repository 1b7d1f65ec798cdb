"""Figures of several recordings: accuracy together and alone, accuracy against number of images, likeness of maps."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.style import COLOURS
from dina.statistics.finding import Finding

DARK, BRIGHT = "#1b1f23", "#fefefe"  # on coloured fields, which stay as they are on dark paper

PANELS_ACROSS = 3

Found = Mapping[str, Finding]
"""Findings of one recording, or of the mean over mice, by name."""


@in_style
def draw_together_and_alone(found: Sequence[Found]) -> Figure:
    """Draw top-1 accuracy of each recording when towers were trained on all recordings, and on it alone.

    Parameters
    ----------
    found
        ``top1_joint`` and ``top1_alone`` of every recording; recordings are numbered in this order, from 1.
    """
    figure = new_figure(130, 26 + 8 * len(found))
    axes = figure.add_subplot()
    places = np.arange(len(found))[::-1].astype(float)
    for shift, key, colour, marker, label in (
        (0.15, "top1_joint", COLOURS["dina"][0], "o", "image tower shared by all recordings"),
        (-0.15, "top1_alone", COLOURS["rival"][0], "s", "this recording alone"),
    ):
        values = [100 * each[key].value for each in found]
        ends = np.array([[100 * each[key].low, 100 * each[key].high] for each in found])
        axes.hlines(places + shift, ends[:, 0], ends[:, 1], color=colour, linewidth=1.4)
        axes.plot(values, places + shift, marker, color=colour, markersize=4.5, linestyle="none", label=label)
    chance = [100 * each["top1_joint"].null_high for each in found]
    axes.vlines(chance, places - 0.4, places + 0.4, color=COLOURS["chance"][0], linewidth=1.0, linestyle=(0, (2, 1.5)))
    axes.set_yticks(places, [str(place + 1) for place in range(len(found))])
    axes.set_ylim(-0.6, len(found) - 0.4)
    axes.set_xlim(left=0)
    axes.set_ylabel("recording")
    axes.set_xlabel("top-1 accuracy (% of test images)")
    figure.legend(loc="outside upper left", ncols=2)
    finish_axes(axes, "x")
    axes.tick_params(axis="y", length=0)
    return figure


@in_style
def draw_adaptation(sizes: Sequence[int], recordings: Sequence[Found], over_mice: Found) -> Figure:
    """Draw accuracy of a recording against the number of its images, with the others' image tower and alone.

    Parameters
    ----------
    sizes
        Numbers of images.
    recordings
        With ``top1_shared_<size>`` and ``top1_alone_<size>`` where there are so many images.
    over_mice
        The same over mice, and ``gain_shared_<size>``.
    """
    figure = new_figure(180, 78)
    left, right = figure.subplots(1, 2)
    for key, colour, marker, label in (
        ("shared", COLOURS["dina"][0], "o", "joins the other recordings"),
        ("alone", COLOURS["rival"][0], "s", "alone"),
    ):
        for own in recordings:
            values = [100 * own[f"top1_{key}_{n}"].value if f"top1_{key}_{n}" in own else np.nan for n in sizes]
            left.plot(sizes, values, color=colour, linewidth=0.7, alpha=0.45)
        means = [100 * over_mice[f"top1_{key}_{n}"].value for n in sizes]
        left.plot(sizes, means, color=colour, linewidth=2.0, marker=marker, markersize=4, label=label)
    known = [own[f"top1_shared_{n}"].null_high for own in recordings for n in sizes if f"top1_shared_{n}" in own]
    left.axhspan(0, 100 * float(np.mean(known)), color=COLOURS["chance"][0], alpha=0.25, linewidth=0, label="chance")
    left.set_ylabel("top-1 accuracy (% of test images)")
    left.set_ylim(bottom=0)
    figure.legend(loc="outside upper center", ncols=3)
    _draw_gains(right, sizes, recordings, over_mice)
    for axes, title in ((left, "Accuracy"), (right, "Gain by joining")):
        axes.set_xscale("log")
        axes.set_xticks(list(sizes), [f"{n:,}" for n in sizes])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("images of the new recording (logarithmic)")
        axes.set_title(title)
        finish_axes(axes, "y")
    return figure


def _draw_gains(axes: Axes, sizes: Sequence[int], recordings: Sequence[Found], over_mice: Found) -> None:
    axes.axhline(0, color=COLOURS["muted"][0], linewidth=0.8)
    for own in recordings:
        values = [100 * own[f"gain_shared_{n}"].value if f"gain_shared_{n}" in own else np.nan for n in sizes]
        axes.plot(sizes, values, "o", color=COLOURS["muted"][0], markersize=3)
    gains = [over_mice[f"gain_shared_{n}"] for n in sizes]
    axes.plot(sizes, [100 * gain.value for gain in gains], "D", color=COLOURS["dina"][0], markersize=5)
    for size, gain in zip(sizes, gains, strict=True):
        if np.isfinite(gain.low):
            axes.plot([size, size], [100 * gain.low, 100 * gain.high], color=COLOURS["dina"][0], linewidth=1.6)
    axes.set_ylabel("shared − alone (percentage points)")


@in_style
def draw_alignment(panels: Mapping[str, Float[np.ndarray, "recording other"]]) -> Figure:
    """Draw the linear kernel alignment of maps between recordings, one panel for each kind of map.

    Parameters
    ----------
    panels
        Title → values; recordings are numbered from 1.
    """
    n_rows = -(-len(panels) // PANELS_ACROSS)
    figure = new_figure(180, 74 * n_rows)
    drawn = figure.subplots(n_rows, PANELS_ACROSS, squeeze=False).ravel()
    for spare in drawn[len(panels) :]:
        spare.set_axis_off()
    for number, (axes, (title, values)) in enumerate(zip(drawn, panels.items(), strict=False)):
        image = axes.imshow(values, vmin=0, vmax=1, cmap="Blues")
        for row, column in np.ndindex(*values.shape):
            value = values[row, column]
            if np.isfinite(value) and len(values) <= 8:
                colour = BRIGHT if value > 0.55 else DARK
                axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
        numbers = [str(place + 1) for place in range(len(values))]
        axes.set_xticks(range(len(values)), numbers)
        axes.set_yticks(range(len(values)), numbers)
        axes.set_title(title, fontsize=7.5, fontweight="normal")
        axes.set_xlabel("recording")
        if number % PANELS_ACROSS == 0:
            axes.set_ylabel("recording")
        axes.tick_params(length=0)
    figure.colorbar(image, ax=list(drawn), label="linear kernel alignment", shrink=0.8 / n_rows)
    return figure
