"""Which spatial frequencies suffice for towers fitted on nothing else, on the page."""

import xarray as xr

from dina.analyses.spatial_frequency.drawing import draw_spatial_frequency_refit
from dina.analyses.spatial_frequency.page import spatial_frequency_table
from dina.figures.parts import FigurePart, Section
from dina.figures.words import percent
from dina.statistics.finding import Finding


def spatial_frequency_refit_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show the accuracy of towers fitted on low-passed images against the cut-off."""
    found = {finding.name: finding for finding in findings}
    without, alone = found["refit_kept_without_highest_octave"], found["refit_kept_highest_octave"]
    told = (
        f"Towers fitted without what lies above half the Nyquist limit keep {percent(without.value)} of the accuracy above chance,"
        f" and towers fitted on nothing else {percent(alone.value)}."
    )
    part = FigurePart(
        "spatial_frequency_refit",
        draw_spatial_frequency_refit(dataset),
        f"Top-1 accuracy of towers that were fitted, and tested on {int(dataset.attrs['n_images'])} images, below each cut-off. Blue"
        " band: 95\u202f% intervals over images; grey: 95\u202f% of the same with queries assigned to other images; dotted: Nyquist limit"
        " of the pixels. The last point is the decoding itself.",
        told,
        spatial_frequency_table(found, "refit_"),
    )
    return Section("spatial-frequency-refit", "Towers fitted on part of the frequencies", paragraphs=(told,), figures=(part,))
