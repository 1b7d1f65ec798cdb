"""The table of neurons as maps: what lies where in cortex, and where on the screen fields lie."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.style import COLOURS
from dina.models.field_profiles import WELL_FITTED

PALE = "#d5dbe1"


@in_style
def draw_neuron_maps(dataset: xr.Dataset) -> Figure:
    """Draw neurons over cortex by place of their field and by contribution, and fields by frequency and contribution.

    Parameters
    ----------
    dataset
        As `NeuronProfilesResult.to_dataset` gives; panels whose columns are NaN are left out.
    """
    fitted = dataset["fit_correlation"].to_numpy() > WELL_FITTED
    has_cortex = bool(np.isfinite(dataset["position_x_um"].to_numpy()).any())
    in_degrees = bool(np.isfinite(dataset["field_azimuth_deg"].to_numpy()).any())
    contribution = dataset["contribution"].to_numpy()
    unit = str(dataset["contribution"].attrs.get("units", "1")).replace("1", "units of the score")
    contributed = f"contribution ({unit})"
    figure = new_figure(180, 140 if has_cortex else 62)
    rows = figure.subfigures(2 if has_cortex else 1, 1, squeeze=False, height_ratios=[1.4, 1] if has_cortex else None)[:, 0]
    across, down, words = _on_screen(dataset, in_degrees)
    screen = rows[-1].subplots(1, 2)
    frequency, unit = ("frequency_cpd", "cycles/degree") if in_degrees else ("frequency", "cycles/pixel")
    pairs = ((dataset[frequency].to_numpy(), f"frequency ({unit})"), (contribution, contributed))
    for axes, (values, label) in zip(screen, pairs, strict=True):
        _scatter(axes, across[fitted], down[fitted], values[fitted], label)
        axes.set_xlabel(words[0])
        axes.set_ylabel(words[1])
        axes.set_aspect("equal")
    screen[0].set_title("Fields on the screen")
    if has_cortex:
        x, y = dataset["position_x_um"].to_numpy(), dataset["position_y_um"].to_numpy()
        places = ((across, words[0]), (down, words[1]), (contribution, contributed))
        for number, (axes, (values, label)) in enumerate(zip(rows[0].subplots(1, 3), places, strict=True)):
            shown = fitted if number < 2 else np.isfinite(values)
            axes.plot(x[~shown], y[~shown], ".", color=PALE, markersize=2, markeredgewidth=0, rasterized=len(x) > 1000)
            _scatter(axes, x[shown], y[shown], values[shown], label)
            axes.set_xlabel("cortex, x (µm)")
            axes.set_ylabel("cortex, y (µm)")
            axes.set_aspect("equal")
            if number == 0:
                axes.set_title("Neurons in cortex")
    return figure


@in_style
def draw_neuron_distributions(dataset: xr.Dataset) -> Figure:
    """Draw fit quality against signal-to-noise ratio, field sizes, preferred orientations, and the error of planted fields.

    Parameters
    ----------
    dataset
        As `NeuronProfilesResult.to_dataset` gives.
    """
    ratio, fit = dataset["signal_to_noise"].to_numpy(), dataset["fit_correlation"].to_numpy()
    fitted = fit > WELL_FITTED
    in_degrees = bool(np.isfinite(dataset["field_size_deg"].to_numpy()).any())
    has_truth = "planted_centre_error_deg" in dataset
    figure = new_figure(180, 58)
    quality, size, orientation = (figure.add_subplot(1, 3 + has_truth, number) for number in (1, 2, 3))
    if has_truth:
        _errors(figure.add_subplot(1, 4, 4), dataset)
    if np.isfinite(ratio).any():
        _against_ratio(quality, ratio, fit)
        quality.set_xlabel("signal-to-noise ratio")
        quality.set_ylabel("field predicts other images (r)")
    else:
        _histogram(quality, fit, "field predicts other images (r)")
    _histogram(size, dataset["field_size_deg" if in_degrees else "field_size"].to_numpy()[fitted],
               f"size of field ({'degrees' if in_degrees else 'pixels'})")  # fmt: skip
    _histogram(orientation, dataset["orientation_deg"].to_numpy()[fitted], "preferred orientation (degrees)", (0.0, 180.0))
    orientation.set_xticks([0, 45, 90, 135, 180])
    return figure


def _against_ratio(axes: Axes, ratio: np.ndarray, values: np.ndarray) -> None:
    """Draw a point for every neuron; a ratio of zero has no logarithm and is drawn at the left border."""
    axes.plot(np.maximum(ratio, 1e-2), values, ".", color=COLOURS["dina"][0], markersize=2.5, markeredgewidth=0, alpha=0.5,
              rasterized=len(values) > 1000)  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))  # mathematical text is switched off
    axes.xaxis.set_minor_formatter(NullFormatter())
    finish_axes(axes, "both")


def _errors(axes: Axes, dataset: xr.Dataset) -> None:
    """Draw the error of planted centres against the planted ratio, and its median in eight groups of equally many neurons."""
    ratio, error = dataset["planted_signal_to_noise"].to_numpy(), dataset["planted_centre_error_deg"].to_numpy()
    known = np.isfinite(error) & (ratio > 0)
    _against_ratio(axes, ratio[known], error[known])
    groups = [group for group in np.array_split(np.argsort(ratio[known]), 8) if len(group)]
    middle = [(np.median(ratio[known][group]), np.median(error[known][group])) for group in groups]
    axes.plot(*zip(*middle, strict=True), "o-", color=COLOURS["ink"][0], markersize=3, linewidth=1)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("planted s/n ratio (log)")
    axes.set_ylabel("error of centre (degrees)")


def _on_screen(dataset: xr.Dataset, in_degrees: bool) -> tuple[np.ndarray, np.ndarray, tuple[str, str]]:
    if in_degrees:
        azimuth, elevation = (dataset[f"field_{name}_deg"].to_numpy() for name in ("azimuth", "elevation"))
        return azimuth, elevation, ("azimuth of field (degrees)", "elevation of field (degrees)")
    height = dataset.attrs["image_height"]
    row, column = dataset["field_row"].to_numpy(), dataset["field_column"].to_numpy()
    return column, height - 1 - row, ("column of field (pixels)", "row from below (pixels)")


def _scatter(axes: Axes, x: np.ndarray, y: np.ndarray, values: np.ndarray, label: str) -> None:
    """Draw points coloured by value, the largest on top, colours cut at the 2nd and 98th percentile."""
    colours = LinearSegmentedColormap.from_list("values", [PALE, COLOURS["dina"][0], COLOURS["ink"][0]])
    known = np.isfinite(values)
    if not known.any():
        axes.annotate("not known", (0.5, 0.5), xycoords="axes fraction", ha="center", color=COLOURS["muted"][0])
        return
    low, high = np.percentile(values[known], [2, 98])
    norm = Normalize(float(low), float(high) if high > low else float(low) + 1)
    order = np.argsort(values[known])
    axes.scatter(
        x[known][order], y[known][order], c=values[known][order], s=5, cmap=colours, norm=norm, linewidths=0,
        rasterized=len(order) > 1000,
    )  # fmt: skip
    figure = axes.get_figure()
    if figure is not None:
        # below the map: beside it a bar would be longer than axes of equal scales
        mappable = ScalarMappable(norm, colours)
        bar = figure.colorbar(mappable, ax=axes, location="bottom", label=label, shrink=0.9, aspect=28, pad=0.02, extend="both")
        bar.ax.locator_params(nbins=5)
    finish_axes(axes, "both")


def _histogram(axes: Axes, values: np.ndarray, label: str, limits: tuple[float, float] | None = None) -> None:
    known = values[np.isfinite(values)]
    if limits is None and len(known):
        low, high = np.percentile(known, [0.5, 99.5])
        limits = (float(low), float(high)) if high > low else (float(low) - 0.5, float(low) + 0.5)
        known = np.clip(known, *limits)
    axes.hist(known, bins=30, range=limits, color=COLOURS["dina"][0], linewidth=0)
    axes.set_xlabel(label)
    axes.set_ylabel("neurons")
    finish_axes(axes, "y")
