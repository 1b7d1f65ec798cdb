"""How noise correlation, signal correlation and coupling fall with distance, and how noise and signal agree."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dina.measures.finding import Finding
from dina.report.canvas import finish_axes, in_style, new_figure
from dina.report.figures.finding_dots import draw_dots
from dina.report.style import COLOURS

MEASURES = {
    "noise_correlation": ("noise correlation", "dina", "o"),
    "signal_correlation": ("signal correlation", "rival", "s"),
    "coupling": ("coupling", "reference", "^"),
}


@in_style
def draw_couplings(dataset: xr.Dataset, found: Mapping[str, Finding]) -> Figure:
    """Draw the measures against distance, noise against signal correlation, and near less far beside permuted positions.

    Parameters
    ----------
    dataset
        From the analysis ``couplings``.
    found
        Findings by name.
    """
    figure = new_figure(180, 72)
    has_distance = dataset.sizes["bin"] > 0
    panels = figure.subplots(1, 3 if has_distance else 1, squeeze=False)[0]
    if has_distance:
        _draw_distance(panels[0], dataset)
    _draw_agreement(panels[1 if has_distance else 0], dataset, found["signal_noise_agreement"])
    if has_distance:
        rows = [(words, found[f"{name}_near_minus_far"]) for name, (words, _, _) in MEASURES.items()]
        draw_dots(panels[2], rows, "nearest − farthest quarter")
        panels[2].set_title("c  near − far")
    return figure


def _draw_distance(axes: Axes, dataset: xr.Dataset) -> None:
    edges = dataset["distance_edges"].to_numpy()
    middle = (edges[:-1] + edges[1:]) / 2
    for name, (words, colour, marker) in MEASURES.items():
        mean, low, high = dataset["by_distance"].sel(measure=name).to_numpy().T
        shown = np.isfinite(mean)
        shade = COLOURS[colour][0]
        axes.vlines(middle[shown], low[shown], high[shown], color=shade, linewidth=0.8)
        axes.plot(middle[1:], mean[1:], color=shade, marker=marker, markersize=3.2, label=words)
        axes.plot(middle[:1], mean[:1], marker, color=shade, markersize=3.2, markerfacecolor=COLOURS["paper"][0])
    axes.axvspan(edges[0], edges[1], color=COLOURS["grid"][0], alpha=0.7, linewidth=0)
    axes.axhline(0, color=COLOURS["ink"][0], linewidth=0.8, zorder=1)
    # the few nearest pairs have wide intervals: these may leave the axes, nothing else does
    seen = np.concatenate([dataset["by_distance"].to_numpy()[:, 1:].ravel(), dataset["by_distance"].to_numpy()[:, 0, 0], [0.0]])
    low, high = float(np.nanmin(seen)), float(np.nanmax(seen))
    axes.set_ylim(low - 0.05 * (high - low), high + 0.45 * (high - low))  # room for the names
    axes.set_xlim(0, 1.02 * middle[-1])
    axes.set_xlabel("distance between neurons (µm)")
    axes.set_ylabel("mean over pairs")
    axes.set_title("a  distance")
    axes.legend(loc="upper right", fontsize=7.5)
    finish_axes(axes, "y")


def _draw_agreement(axes: Axes, dataset: xr.Dataset, agreement: Finding) -> None:
    """Draw pairs as density, and mean noise correlation by tenth of signal correlation."""
    signal, noise = (dataset[f"{name}_correlation"].to_numpy() for name in ("signal", "noise"))
    known = np.isfinite(signal) & np.isfinite(noise)
    signal, noise = signal[known], noise[known]
    x, y = (np.quantile(values, [0.002, 0.998]) for values in (signal, noise))
    axes.plot(signal, noise, ".", color=COLOURS["chance"][0], markersize=1.0, alpha=0.25, rasterized=True)
    axes.set_xlim(*x)
    axes.set_ylim(*y)
    axes.axhline(float(noise.mean()), color=COLOURS["muted"][0], linewidth=0.8)
    axes.set_xlabel("signal correlation")
    axes.set_ylabel("noise correlation")
    axes.set_title("b  tuning and noise")
    words = f"agreement {agreement.value:.2f}".replace("-", "−")
    axes.annotate(words, (0.03, 0.95), xycoords="axes fraction", va="top", fontsize=7.5, color=COLOURS["ink"][0])
    finish_axes(axes, "both")
