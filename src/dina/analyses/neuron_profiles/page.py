"""What single neurons respond to, and where they lie, on the page."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from dina.figures.canvas import finish_axes, in_style, new_figure, write_plain_numbers
from dina.figures.finding_parts import finding_table, reasons, write_across
from dina.figures.finding_words import SCORE_UNITS
from dina.figures.histograms import dots_of, n_bars
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.style import COLOURS
from dina.figures.words import number, numbers
from dina.models.receptive_fields import WELL_FITTED
from dina.statistics.finding import Finding

# Maps have the same colours on light and on dark paper: they keep paper of their own, and no colour of theirs is one of the page.
MAP_PAPER, MAP_GRID, PALE, DEEP = "#f7f8f9", "#e6e9ed", "#d5dbe1", "#11202e"
WORDS = {
    "median_reliability": "median split-half reliability of the responses as they are decoded, to training images",
    "median_signal_to_noise": "median signal-to-noise ratio of single trials",
    "median_lifetime_sparseness": "median lifetime sparseness",
    "median_field_size_deg": "median size of the receptive field (degrees)",
    "median_frequency_cpd": "median preferred spatial frequency (cycles/degree)",
    "median_fit_correlation": "median correlation of predicted with measured responses to other images",
    "retinotopy_azimuth": "azimuth of field, correlation with prediction from cortical position",
    "retinotopy_elevation": "elevation of field, correlation with prediction from cortical position",
    "planted_centre_error_deg": "error of planted field centres, planted signal-to-noise ratio 1 and more (degrees, median)",
}
COLUMNS = {
    "mean_response": "mean response to training images (units of the recording)",
    "signal_to_noise": "signal-to-noise ratio",
    "lifetime_sparseness": "lifetime sparseness",
    "field_size": "size of field (pixels)",
    "field_size_deg": "size of field (degrees)",
    "orientation_selectivity": "orientation selectivity",
    "frequency": "spatial frequency (cycles/pixel)",
    "frequency_cpd": "spatial frequency (cycles/degree)",
    "fit_correlation": "correlation of predicted with measured responses to other images",
    "planted_centre_error_deg": "error of planted field centre (degrees)",
    "contribution": "contribution (margin lost, {units})",
}
TRUTH = (
    " Last: distance of estimated from planted centres, for every neuron with a field; line: median of eight groups of equally"
    " many neurons."
)
ABOUT_FITS = ("is_at_bound", "n_gabors")  # of sums of Gabors; where another description predicts better, nothing is missing
QUANTILES = (5, 25, 50, 75, 95)
FEWEST_SIZES = 10  # known sizes that make a distribution


def neuron_profiles_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show maps over cortex and screen, and distributions over neurons."""
    found = {finding.name: finding for finding in findings}
    fit = dataset["fit_correlation"].to_numpy()
    n_fitted, n_neurons = int((fit > WELL_FITTED).sum()), len(fit)
    figures = []
    has_cortex = bool(np.isfinite(dataset["position_x_um"].to_numpy()).any())
    where = "Receptive fields on the screen and neurons in cortex" if has_cortex else "Receptive fields on the screen"
    others = "; the others are pale" if has_cortex else ""
    has_ratio = bool(np.isfinite(dataset["signal_to_noise"].to_numpy()).any())
    against = " against the signal-to-noise ratio of the neuron (those below 0.01 are drawn at 0.01)" if has_ratio else ""
    if n_fitted:
        maps = FigurePart(
            "neuron_maps",
            _draw_maps(dataset),
            f"{where}, for the {n_fitted:,} of {n_neurons:,} neurons whose field"
            f" predicts responses to images left out of the fit (r above {WELL_FITTED}{others}). Fields are estimated from"
            " training images. Contribution is the margin that decoding loses without the neuron.",
            f"Maps of {n_fitted:,} neurons; the table gives quantiles of the coloured quantities.",
            _quantiles(dataset),
        )
        distributions = FigurePart(
            "neuron_distributions",
            _draw_distributions(dataset),
            f"How well fields predict responses to other images{against};"
            f" {_sizes(dataset, fit > WELL_FITTED)} preferred orientations of bars (0 is horizontal, anticlockwise) of the"
            " neurons whose fields predict." + (TRUTH if "planted_centre_error_deg" in dataset else ""),
            f"Median correlation of predicted and measured responses {number(float(np.nanmedian(fit)))}.",
            finding_table(f"Neurons, in medians.{_left_out(dataset)}{_below_0(found)}", _with_counts(found), found),
        )
        figures = [maps, distributions]
    shown = [one for name, one in dataset.data_vars.items() if name not in ABOUT_FITS]
    missing = dict.fromkeys(str(one.attrs["reason"]) for one in shown if one.attrs.get("reason"))
    missing |= dict.fromkeys(reasons(WORDS, {name: one for name, one in found.items() if one.reason not in missing}))
    words = (
        "The receptive field of a neuron has a meaning only where the field predicts responses to images that its fit left out. Each field is"
        " one place on the image with few weights, so it can predict better than a regression on a whole map. All neurons"
        " are in results/interpretation/neuron_profiles.csv of the run, one to a row."
    )
    return Section("neuron-profiles", "What single neurons respond to", (words,), figures, missing=tuple(missing))


def _with_counts(found: Mapping[str, Finding]) -> dict[str, str]:
    """Return the words of each finding with the number of neurons behind it: fewer have a size than a field."""
    return {name: f"{words}, {found[name].n:,} neurons" for name, words in WORDS.items() if name in found}


def _left_out(dataset: xr.Dataset) -> str:
    """Say which neurons the medians of sizes and frequencies leave out, if any."""
    n_at_bound = int((dataset["is_at_bound"].to_numpy() == 1).sum())
    if not n_at_bound:
        return ""
    return f" Sizes and frequencies leave out the {n_at_bound:,} neurons whose fitted frequency is the lowest or highest tried."


def _below_0(found: Mapping[str, Finding]) -> str:
    """Say why the null of retinotopy lies below zero, if there is one."""
    if not any(name.startswith("retinotopy") and one.null for name, one in found.items()):
        return ""
    return " Predictions from cortical position leave the neuron itself out, so that without any map of the screen they correlate below 0."


def _sizes(dataset: xr.Dataset, fitted: np.ndarray) -> str:
    """Say how sizes are defined, which depends on the description of fields."""
    n_gabors = dataset["n_gabors"].to_numpy()[fitted]
    if np.isnan(n_gabors).all():
        return "sizes of fields (standard deviation of the energy of weights, which includes the filters: an upper bound) and"
    n_several = int((n_gabors > 1).sum())
    if n_several < FEWEST_SIZES:
        return ""
    n_at_bound = int((dataset["is_at_bound"].to_numpy()[fitted] == 1).sum())
    return (
        f"sizes of fields (standard deviation, for the {n_several:,} neurons that mix several Gabors; a single Gabor has a fixed envelope,"
        f" so its size is not estimated; for {n_at_bound:,} of all neurons whose field predicts, the fitted frequency is the lowest or highest tried) and"
    )


def _quantiles(dataset: xr.Dataset) -> Table:
    rows = []
    for name, words in COLUMNS.items():
        values = dataset[name].to_numpy() if name in dataset else np.full(1, np.nan)
        known = values[np.isfinite(values)]
        if len(known):
            units = SCORE_UNITS[str(dataset[name].attrs.get("units", "1"))] if "{units}" in words else ""
            rows.append(
                (
                    words.format(units=units),
                    f"{len(known):,}",
                    *numbers(*(float(np.percentile(known, step)) for step in QUANTILES)),
                )
            )
    return Table(
        "Distribution over all neurons that have the number, whether their field predicts other images or not.",
        ("property", "neurons", *(f"{step} % quantile" for step in QUANTILES)),
        tuple(rows),
    )


@in_style
def _draw_maps(dataset: xr.Dataset) -> Figure:
    """Draw neurons over cortex by place of their field and by contribution, and fields by frequency and contribution.

    Panels whose columns are NaN are left out.
    """
    fitted = dataset["fit_correlation"].to_numpy() > WELL_FITTED
    has_cortex = bool(np.isfinite(dataset["position_x_um"].to_numpy()).any())
    in_degrees = bool(np.isfinite(dataset["field_azimuth_deg"].to_numpy()).any())
    contribution = dataset["contribution"].to_numpy()
    contributed = f"contribution ({SCORE_UNITS[str(dataset['contribution'].attrs.get('units', '1'))]})"
    figure = new_figure(180, 140 if has_cortex else 62)
    rows = figure.subfigures(2 if has_cortex else 1, 1, squeeze=False, height_ratios=[1.4, 1] if has_cortex else None)[:, 0]
    across, down, words = _on_screen(dataset, in_degrees)
    screen = rows[-1].subplots(1, 2)
    frequency, unit = ("frequency_cpd", "cycles/degree") if in_degrees else ("frequency", "cycles/pixel")
    pairs = ((dataset[frequency].to_numpy(), f"frequency ({unit})"), (contribution, contributed))
    for axes, (values, label) in zip(screen, pairs, strict=True):
        _scatter(axes, across[fitted], down[fitted], values[fitted], label)
        axes.set(xlabel=words[0], ylabel=words[1].replace(" (", "\n("))  # a screen is wider than high
        axes.set_aspect("equal", adjustable="datalim")
    screen[0].set_title("Fields on the screen")
    if has_cortex:
        x, y = dataset["position_x_um"].to_numpy(), dataset["position_y_um"].to_numpy()
        places = ((across, words[0]), (down, words[1]), (contribution, contributed))
        for place, (axes, (values, label)) in enumerate(zip(rows[0].subplots(1, 3), places, strict=True)):
            shown = fitted if place < 2 else np.isfinite(values)
            axes.plot(x[~shown], y[~shown], ".", color=PALE, markersize=2, markeredgewidth=0, rasterized=len(x) > 1000)
            _scatter(axes, x[shown], y[shown], values[shown], label)
            axes.set(xlabel="cortex, x (µm)", ylabel="cortex, y (µm)")
            axes.set_aspect("equal", adjustable="datalim")  # a square map would be narrower than its bar
            if place == 0:
                axes.set_title("Neurons in cortex")
    return figure


@in_style
def _draw_distributions(dataset: xr.Dataset) -> Figure:
    """Draw fit quality against signal-to-noise ratio, field sizes, preferred orientations, and the error of planted fields."""
    ratio, fit = dataset["signal_to_noise"].to_numpy(), dataset["fit_correlation"].to_numpy()
    fitted = fit > WELL_FITTED
    in_degrees = bool(np.isfinite(dataset["field_size_deg"].to_numpy()).any())
    has_truth = "planted_centre_error_deg" in dataset
    sizes = dataset["field_size_deg" if in_degrees else "field_size"].to_numpy()[fitted]
    has_sizes = np.isfinite(sizes).sum() >= FEWEST_SIZES
    figure = new_figure(180, 58)
    panels = list(figure.subplots(1, 2 + has_sizes + has_truth))
    quality, orientation = panels[0], panels[1 + has_sizes]
    if has_truth:
        _errors(panels[-1], dataset)
    if np.isfinite(ratio).any():
        _against_ratio(quality, ratio, fit)
        quality.set(xlabel="signal-to-noise ratio (logarithmic)", ylabel="field predicts other images (r)")
    else:
        _histogram(quality, fit, "field predicts other images (r)")
    if has_sizes:
        _histogram(panels[1], sizes, f"size of field ({'degrees' if in_degrees else 'pixels'})")
    _histogram(orientation, dataset["orientation_deg"].to_numpy()[fitted], "preferred orientation\n(degrees)", (0.0, 180.0))
    orientation.set_xticks([0, 45, 90, 135, 180])
    return figure


def _against_ratio(axes: Axes, ratio: np.ndarray, values: np.ndarray) -> None:
    """Draw a point for every neuron; a ratio of zero has no logarithm and is drawn at the left border."""
    look = dots_of(len(values))
    axes.plot(np.maximum(ratio, 1e-2), values, ".", color=COLOURS["dina"][0], rasterized=len(values) > 1000, **look)
    axes.set_xscale("log")
    write_plain_numbers(axes.xaxis)
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
    write_plain_numbers(axes.yaxis)
    axes.set(xlabel="planted signal-to-noise\n(logarithmic)", ylabel="error of centre (degrees, log.)")


def _on_screen(dataset: xr.Dataset, in_degrees: bool) -> tuple[np.ndarray, np.ndarray, tuple[str, str]]:
    if in_degrees:
        azimuth, elevation = (dataset[f"field_{name}_deg"].to_numpy() for name in ("azimuth", "elevation"))
        return azimuth, elevation, ("azimuth of field (degrees)", "elevation of field (degrees)")
    height = dataset.attrs["image_height"]
    row, column = dataset["field_row"].to_numpy(), dataset["field_column"].to_numpy()
    return column, height - 1 - row, ("column of field (pixels)", "row from below (pixels)")


def _scatter(axes: Axes, x: np.ndarray, y: np.ndarray, values: np.ndarray, label: str) -> None:
    """Draw points coloured by value, the largest on top, colours cut at the 2nd and 98th percentile."""
    colours = LinearSegmentedColormap.from_list("values", [PALE, "#0c60a6", DEEP])
    known = np.isfinite(values)
    if not known.any():
        write_across(axes, "not known")
        return
    low, high = np.percentile(values[known], [2, 98])
    norm = Normalize(float(low), float(high) if high > low else float(low) + 1)
    axes.set_facecolor(MAP_PAPER)
    order = np.argsort(values[known])
    axes.scatter(
        x[known][order], y[known][order], c=values[known][order], s=20 if len(order) < 100 else 5, cmap=colours, norm=norm, linewidths=0,
        rasterized=len(order) > 1000,
    )  # fmt: skip
    figure = axes.get_figure()
    if figure is not None:
        # below the map: beside it there is no room
        mappable = ScalarMappable(norm, colours)
        bar = figure.colorbar(mappable, ax=axes, location="bottom", label=label, shrink=0.9, aspect=28, pad=0.02, extend="both")
        bar.ax.locator_params(nbins=5)
    finish_axes(axes, "both")
    axes.grid(color=MAP_GRID)


def _histogram(axes: Axes, values: np.ndarray, label: str, limits: tuple[float, float] | None = None) -> None:
    known = values[np.isfinite(values)]
    if limits is None and len(known):
        low, high = np.percentile(known, [0.5, 99.5])
        is_one = high - low <= 1e-6 * max(abs(low), abs(high))  # one value, or bars too narrow for numbers to tell apart
        limits = (float(low) - 0.5, float(low) + 0.5) if is_one else (float(low), float(high))
        known = np.clip(known, *limits)
    axes.hist(known, bins=n_bars(len(known)), range=limits, color=COLOURS["dina"][0], linewidth=0)
    axes.set(xlabel=label, ylabel="neurons")
    finish_axes(axes, "y")
