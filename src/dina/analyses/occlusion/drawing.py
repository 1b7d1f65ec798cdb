"""Where hiding an image costs score: for several windows, divided by what the fields cover, and for single images."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from dina.figures.canvas import in_style, new_figure
from dina.figures.style import COLOURS

OTHERS = {"blur": "medium, faded to blur", "contrast": "medium, gain follows contrast"}
LOSS = "loss of score (nats)"
N_SINGLE = 3
PANEL_MM = 52


@in_style
def draw_occlusion(dataset: xr.Dataset) -> Figure:
    """Draw maps over the image: mean losses for each window, coverage and its quotient, change of maps, single images.

    Mean losses share one scale of colours whatever the window, and so do single images.

    Parameters
    ----------
    dataset
        From the analysis ``occlusion``.
    """
    height, width = float(dataset.attrs["height"]), float(dataset.attrs["width"])
    names = [str(name) for name in dataset["sweep"].to_numpy()]
    loss = dataset["score_loss"].to_numpy()
    main = names.index("medium")
    deviations = dataset["deviation_px"].to_numpy() * float(dataset.attrs.get("deg_per_pixel", 1.0))
    unit = "degrees" if "deg_per_pixel" in dataset.attrs else "px"
    # title, values, what they are, and all values that share their scale
    panels: list[tuple[str, np.ndarray, str, np.ndarray]] = [
        (OTHERS.get(name, f"{name}, SD {deviation:.3g} {unit}"), loss[number].mean(0), LOSS, loss.mean(1))
        for number, (name, deviation) in enumerate(zip(names, deviations, strict=True))
    ]
    unit = dataset["coverage"].attrs.get("units", "arbitrary")
    others = [
        ("coverage by fields", dataset["coverage"].to_numpy(), f"coverage ({unit})"),
        ("medium, divided by coverage", dataset["score_loss_by_coverage"].to_numpy(), "loss / coverage"),
        ("change of the map", dataset["map_change"].to_numpy()[main].mean(0), "relative change"),
        ("gain of log rank of the image", dataset["log_rank_loss"].to_numpy()[main].mean(0), "log rank (nats)"),
    ]
    if "untrained_score_loss" in dataset:
        others.append(("untrained towers", dataset["untrained_score_loss"].to_numpy().mean((0, 1)), LOSS))
    panels += [(title, values, label, values) for title, values, label in others]
    order = np.argsort(-loss[main].mean(axis=(1, 2)), kind="stable")
    chosen = [order[round(q * (len(order) - 1))] for q in np.linspace(0.1, 0.9, max(2, N_SINGLE - len(panels) % 3))]
    ids = dataset["stimulus_id"].to_numpy()
    panels += [(f"image {ids[i]} alone", loss[main, i], LOSS, loss[main, chosen]) for i in chosen]
    n_rows = -(-len(panels) // 3)
    panel_height = min(40.0, max(16.0, PANEL_MM * height / width))
    figure = new_figure(185, n_rows * (panel_height + 11) + 6)
    grid = figure.subplots(n_rows, 3, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.axis("off")
    for number, (axes, (title, values, label, scale)) in enumerate(zip(grid.flat, panels, strict=False)):
        _draw_panel(axes, dataset, values, title, label, scale)
        _name_axes(axes, dataset, is_left=number % 3 == 0, is_last=number >= len(panels) - 3)
    return figure


def _draw_panel(axes: Axes, dataset: xr.Dataset, values: np.ndarray, title: str, label: str, scale: np.ndarray) -> None:
    """Draw one map over the image, in degrees where their size is known, in colours that reach over ``scale``."""
    degrees = float(dataset.attrs.get("deg_per_pixel", 1.0))
    extent = (0.0, degrees * float(dataset.attrs["width"]), degrees * float(dataset.attrs["height"]), 0.0)
    seen = scale[np.isfinite(scale)]
    is_signed = bool(len(seen)) and float(seen.min()) < 0
    limit = max(float(np.abs(seen).max()) if len(seen) else 0.0, 1e-12)
    image = axes.imshow(
        values,
        cmap="RdBu_r" if is_signed else "Blues",
        norm=Normalize(-limit if is_signed else 0.0, limit),
        extent=extent,
        aspect="auto",
    )
    axes.set_facecolor(COLOURS["grid"][0])
    bar = axes.figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02)
    bar.ax.tick_params(labelsize=6, length=1.5)
    bar.set_label(label, fontsize=6.5)
    bar.outline.set_visible(False)
    axes.set_title(title, fontsize=7.5)


def _name_axes(axes: Axes, dataset: xr.Dataset, *, is_left: bool, is_last: bool) -> None:
    axes.tick_params(labelsize=6.5, length=2)
    unit = "degrees" if "deg_per_pixel" in dataset.attrs else "pixels"
    if is_left:
        axes.set_ylabel(unit, fontsize=7)
    if is_last:
        axes.set_xlabel(unit, fontsize=7)
    axes.spines[:].set_visible(False)
