"""What single neurons respond to, and where they lie, on the page."""

import numpy as np
import xarray as xr

from dina.analyses.neuron_profiles.drawing import draw_neuron_distributions, draw_neuron_maps
from dina.figures.finding_table import finding_table
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.words import number
from dina.models.field_profiles import WELL_FITTED
from dina.statistics.finding import Finding

WORDS = {
    "median_reliability": "median reliability (correlation of two halves of the repeats)",
    "median_signal_to_noise": "median signal-to-noise ratio of single trials",
    "median_lifetime_sparseness": "median lifetime sparseness",
    "median_field_size_deg": "median size of the receptive field (degrees)",
    "median_frequency_cpd": "median preferred spatial frequency (cycles/degree)",
    "median_fit_correlation": "median correlation of predicted with measured responses to other images",
    "retinotopy_azimuth": "azimuth of field against what cortical position lets expect",
    "retinotopy_elevation": "elevation of field against what cortical position lets expect",
    "planted_centre_error_deg": "error of planted field centres, signal-to-noise ratio 1 and more (degrees, median)",
}
COLUMNS = {
    "mean_response": "mean response",
    "signal_to_noise": "signal-to-noise ratio",
    "lifetime_sparseness": "lifetime sparseness",
    "field_size": "size of field (pixels)",
    "field_size_deg": "size of field (degrees)",
    "orientation_selectivity": "orientation selectivity",
    "frequency": "spatial frequency (cycles/pixel)",
    "frequency_cpd": "spatial frequency (cycles/degree)",
    "fit_correlation": "fit correlation",
    "planted_centre_error_deg": "error of planted field centre (degrees)",
    "contribution": "contribution (margin lost, {units})",
}
TRUTH = (
    " Last: distance of estimated from planted centres, for every neuron with a field; black: median of eight groups of equally"
    " many neurons."
)
QUANTILES = (5, 25, 50, 75, 95)


def neuron_profiles_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show maps over cortex and screen, and distributions over neurons."""
    found = {finding.name: finding for finding in findings}
    fit = dataset["fit_correlation"].to_numpy()
    n_fitted, n_neurons = int((fit > WELL_FITTED).sum()), len(fit)
    figures = []
    if n_fitted:
        maps = FigurePart(
            "neuron_maps",
            draw_neuron_maps(dataset),
            f"Receptive fields on the screen and neurons in cortex, for the {n_fitted:,} of {n_neurons:,} neurons whose field"
            f" predicts responses to images left out of the fit (r above {WELL_FITTED}; the others are pale). Fields are estimated from"
            " training images. Contribution is the margin that decoding loses without the neuron.",
            f"Maps of {n_fitted:,} neurons; the quantiles of what is coloured are in the table.",
            _quantiles(dataset),
        )
        distributions = FigurePart(
            "neuron_distributions",
            draw_neuron_distributions(dataset),
            "How well fields predict responses to other images against the reliability of the neuron; sizes of fields"
            f" ({_sizes(dataset, fit > WELL_FITTED)}) and preferred orientations of bars (0 is horizontal, anticlockwise) of those"
            " that predict." + (TRUTH if "planted_centre_error_deg" in dataset else ""),
            f"Median correlation of predicted and measured responses {number(float(np.nanmedian(fit)))}.",
            finding_table("Neurons, in medians.", WORDS, found),
        )
        figures = [maps, distributions]
    reasons = dict.fromkeys(str(one.attrs["reason"]) for one in dataset.data_vars.values() if one.attrs.get("reason"))
    return Section(
        "neuron-profiles",
        "What single neurons respond to",
        paragraphs=(
            "The whole table, one row per neuron, is in the run's folder. A field of a neuron that no model predicts means nothing.",
        ),
        figures=tuple(figures),
        missing=tuple(reasons),
    )


def _sizes(dataset: xr.Dataset, fitted: np.ndarray) -> str:
    """Say what sizes are those of, which depends on how fields were described."""
    n_gabors = dataset["n_gabors"].to_numpy()[fitted]
    if np.isnan(n_gabors).all():
        return "standard deviation of the energy of weights, which includes the filters: an upper bound"
    n_at_bound = int((dataset["is_at_bound"].to_numpy()[fitted] == 1).sum())
    return (
        f"standard deviation, of the {int((n_gabors > 1).sum()):,} neurons that mix several Gabors; of a single one, with its fixed"
        f" envelope, there is none. The frequency of {n_at_bound:,} neurons is the lowest or highest that was looked for"
    )


def _quantiles(dataset: xr.Dataset) -> Table:
    rows = []
    for name, words in COLUMNS.items():
        values = dataset[name].to_numpy() if name in dataset else np.full(1, np.nan)
        known = values[np.isfinite(values)]
        if len(known):
            units = str(dataset[name].attrs.get("units", "1")).replace("1", "units of the score")
            rows.append((words.format(units=units), *(number(float(np.percentile(known, step))) for step in QUANTILES)))
    return Table("Distribution over neurons.", ("property", *(f"{step} % quantile" for step in QUANTILES)), tuple(rows))
