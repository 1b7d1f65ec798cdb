"""Where hiding an image costs score: for several windows, divided by what the fields cover, and for single images."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from dina.report.canvas import in_style, new_figure
from dina.report.style import COLOURS

OTHERS = {"blur": "medium, faded to blur", "contrast": "medium, gain follows contrast"}
N_SINGLE = 3
PANEL_MM = 52


@in_style
def draw_occlusion(dataset: xr.Dataset) -> Figure:
    """Draw maps over the image: mean losses for each window, coverage and its quotient, change of maps, single images.

    Parameters
    ----------
    dataset
        From the analysis ``occlusion``.
    """
    height, width = float(dataset.attrs["height"]), float(dataset.attrs["width"])
    names = [str(name) for name in dataset["sweep"].to_numpy()]
    loss = dataset["score_loss"].to_numpy()
    main = names.index("medium")
    panels: list[tuple[str, np.ndarray, str]] = [
        (
            f"{name}, SD {float(deviation):.3g} px" if name != "blur" else "medium, faded to blur",
            loss[number].mean(0),
            "loss of score",
        )
        for number, (name, deviation) in enumerate(zip(names, dataset["deviation_px"].to_numpy(), strict=True))
    ]
    panels += [
        ("coverage by fields", dataset["coverage"].to_numpy(), "coverage"),
        ("medium, divided by coverage", dataset["score_loss_by_coverage"].to_numpy(), "loss / coverage"),
        ("change of the map", dataset["map_change"].to_numpy()[main].mean(0), "relative change"),
        ("untrained towers", dataset["untrained_score_loss"].to_numpy().mean(0), "loss of score"),
        ("rank of the right image", dataset["log_rank_loss"].to_numpy()[main].mean(0), "gain of log rank"),
    ]
    order = np.argsort(-loss[main].mean(axis=(1, 2)), kind="stable")
    chosen = [order[round(q * (len(order) - 1))] for q in np.linspace(0.1, 0.9, N_SINGLE - (len(names) > 4))]
    ids = dataset["stimulus_id"].to_numpy()
    panels += [(f"image {ids[i]} alone", loss[main, i], "loss of score") for i in chosen]
    n_rows = -(-len(panels) // 3)
    panel_height = min(40.0, max(16.0, PANEL_MM * height / width))
    figure = new_figure(185, n_rows * (panel_height + 11) + 6)
    grid = figure.subplots(n_rows, 3, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.axis("off")
    for number, (axes, (title, values, label)) in enumerate(zip(grid.flat, panels, strict=False)):
        _draw_panel(axes, dataset, values, title, label, is_left=number % 3 == 0, is_last=number >= len(panels) - 3)
    return figure


def _draw_panel(
    axes: Axes, dataset: xr.Dataset, values: np.ndarray, title: str, label: str, *, is_left: bool, is_last: bool
) -> None:
    """Draw one map over the image, in degrees where the scale is known."""
    degrees = dataset.attrs.get("deg_per_pixel")
    scale = 1.0 if degrees is None else float(degrees)
    extent = (0.0, scale * float(dataset.attrs["width"]), scale * float(dataset.attrs["height"]), 0.0)
    seen = values[np.isfinite(values)]
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
    axes.tick_params(labelsize=6.5, length=2)
    unit = "pixels" if degrees is None else "degrees"
    if is_left:
        axes.set_ylabel(unit, fontsize=7)
    if is_last:
        axes.set_xlabel(unit, fontsize=7)
    axes.spines[:].set_visible(False)
