"""How fast variance falls with rank in images, responses and maps, on the page."""

import math

import xarray as xr

from dina.analyses.variance_spectra.drawing import draw_variance_spectra
from dina.figures.finding_table import finding_table
from dina.figures.parts import FigurePart, Section
from dina.figures.words import number
from dina.statistics.finding import Finding

SOURCES = {
    "images": "images (pixels)",
    "responses": "responses",
    "image_maps": "maps of images",
    "neural_maps": "maps of responses",
    "untrained_image_maps": "maps of images, untrained",
    "untrained_neural_maps": "maps of responses, untrained",
    "random_filters": "random filters",
}
WORDS = {f"exponent_{source}": f"exponent by rank: {words}" for source, words in SOURCES.items()}
WORDS |= {f"moment_exponent_{source}": f"exponent by moments: {words}" for source, words in SOURCES.items()}


def variance_spectra_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show spectra and exponents by both estimators."""
    found = {finding.name: finding for finding in findings}
    known = [
        f"{words} {number(found[f'exponent_{source}'].value)}"
        for source, words in SOURCES.items()
        if math.isfinite(found[f"exponent_{source}"].value)
    ]
    told = f"Variance falls as a power of rank, with exponents: {'; '.join(known)}." if known else "No power law could be fitted."
    part = FigurePart(
        "variance_spectra",
        draw_variance_spectra(dataset, SOURCES),
        f"a, variance along principal components, as a share of the whole, on {dataset.attrs['n_images']} images of validation and"
        " test; responses and their maps cross-validated between repeats. Shaded: ranks to which power laws were fitted. A line ends"
        " where variance is no longer positive. b, exponents: dots, least squares over the shaded ranks; open squares, from moments"
        " that need no components and are not biased by few images. Vertical line: 1. Colours as in b; dotted: towers whose weights"
        " are random.",
        told,
        finding_table("Power-law exponents; those of maps beside the interval of untrained towers.", WORDS, found),
    )
    missing = tuple(f"{WORDS[name]}: {one.reason}" for name, one in found.items() if name in WORDS and one.reason)
    paragraphs = (
        told + " With few images the fit over ranks comes out too low for slowly falling spectra; where the two estimators"
        " disagree, believe neither without more images.",
    )
    return Section("variance-spectra", "Variance spectra", paragraphs=paragraphs, figures=(part,), missing=missing)
