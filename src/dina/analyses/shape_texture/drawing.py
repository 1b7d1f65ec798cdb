"""What galleries of altered images keep of the accuracy, beside what the alterations look like."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.style import COLOURS

SHOWN_CONTRAST = 2.5  # deviations from grey that reach black and white


@in_style
def draw_shape_texture(dataset: xr.Dataset, words: dict[str, str]) -> Figure:
    """Draw one row per alteration: two examples, then the accuracy kept in both directions.

    Parameters
    ----------
    dataset
        From the analysis ``shape_texture``.
    words
        Name of each alteration as readers know it.
    """
    names = [str(name) for name in dataset["alteration"].to_numpy()]
    figure = new_figure(180, 14 + 12.5 * (len(names) + 1))
    grid = figure.add_gridspec(len(names) + 1, 3, width_ratios=(1, 1, 2))
    examples = dataset["examples"].to_numpy()
    for column in range(2):
        spread = SHOWN_CONTRAST * max(float(examples[0, column].std()), 1e-6)
        middle = float(examples[0, column].mean())
        for row in range(len(names) + 1):
            axes = figure.add_subplot(grid[row, column])
            axes.imshow(examples[row, column], cmap="gray", vmin=middle - spread, vmax=middle + spread, aspect="equal")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
            if column == 0:
                label = "original" if row == 0 else words[names[row - 1]]
                axes.set_ylabel(label, rotation=0, ha="right", va="center", labelpad=4)
    _draw_shares(figure.add_subplot(grid[:, 2]), dataset, names)
    return figure


@in_style
def draw_shape_texture_refit(dataset: xr.Dataset, words: dict[str, str]) -> Figure:
    """Draw what towers fitted on altered images keep, one row per alteration.

    Parameters
    ----------
    dataset
        From the analysis ``shape_texture_refit``.
    words
        Name of each alteration as readers know it.
    """
    names = [str(name) for name in dataset["alteration"].to_numpy()]
    figure = new_figure(120, 18 + 7.0 * len(names))
    axes = figure.add_subplot()
    place = np.arange(len(names))
    value, low, high, null_low, null_high = (
        100 * dataset["refit_kept" + end].to_numpy() for end in ("", "_low", "_high", "_null_low", "_null_high")
    )
    axes.barh(place, null_high - null_low, left=null_low, height=0.5, color=COLOURS["chance"][0], alpha=0.3, linewidth=0)
    axes.hlines(place, low, high, color=COLOURS["dina"][0], linewidth=1.2, zorder=2)
    axes.plot(value, place, "o", color=COLOURS["dina"][0], markersize=4.5, zorder=3)
    axes.axvline(0, color=COLOURS["ink"][0], linewidth=0.8, zorder=1)
    axes.axvline(100, color=COLOURS["muted"][0], linestyle=(0.0, (1.0, 1.5)), linewidth=1.0, zorder=1)
    axes.set_yticks(place, [words[name] for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel("accuracy above chance kept (% of that of the originals)")
    finish_axes(axes, "x")
    axes.tick_params(axis="y", length=0)
    return figure


def _draw_shares(axes: Axes, dataset: xr.Dataset, names: list[str]) -> None:
    """Draw the kept shares as dots with intervals, level with the examples."""
    place = np.arange(1, len(names) + 1)
    styles = {
        "kept": (-0.14, COLOURS["dina"][0], "altered gallery, for responses"),
        "kept_response_from_image": (0.14, COLOURS["paper"][0], "altered query, for the response"),
    }
    for name, (shift, face, label) in styles.items():
        value, low, high, null_low, null_high = (
            100 * dataset[name + end].to_numpy() for end in ("", "_low", "_high", "_null_low", "_null_high")
        )
        axes.barh(
            place + shift, null_high - null_low, left=null_low, height=0.26, color=COLOURS["chance"][0], alpha=0.3, linewidth=0
        )
        axes.hlines(place + shift, low, high, color=COLOURS["dina"][0], linewidth=1.2, zorder=2)
        axes.plot(
            value, place + shift, "o", color=COLOURS["dina"][0], markerfacecolor=face, markersize=4.5, zorder=3, label=label
        )
    axes.plot(
        100 * dataset["kept_other"].to_numpy(),
        place - 0.14,
        "|",
        color=COLOURS["rival"][0],
        markersize=9,
        markeredgewidth=1.6,
        label="contrast alone, for responses",
    )
    axes.legend(loc="upper left", bbox_to_anchor=(0.12, 1.02), fontsize=7, labelspacing=0.25, handletextpad=0.3)
    axes.axvline(0, color=COLOURS["ink"][0], linewidth=0.8, zorder=1)
    axes.axvline(100, color=COLOURS["muted"][0], linestyle=(0.0, (1.0, 1.5)), linewidth=1.0, zorder=1)
    axes.set_ylim(len(names) + 0.5, -0.5)
    axes.set_yticks([])
    axes.set_xlabel("accuracy above chance kept (% of that of the originals)")
    n_shape = int((dataset["keeps"].to_numpy() == "shape").sum())
    axes.axhline(n_shape + 0.5, color=COLOURS["muted"][0], linewidth=0.6)
    for level, what in ((0.45, "shape kept"), (n_shape + 0.58, "texture kept")):
        axes.annotate(
            what,
            (0.94, level),
            xycoords=axes.get_yaxis_transform(),
            color=COLOURS["muted"][0],
            fontsize=7.5,
            ha="right",
            va="top",
        )
    finish_axes(axes, "x")
    axes.spines["left"].set_visible(False)
