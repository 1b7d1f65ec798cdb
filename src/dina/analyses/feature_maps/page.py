"""Maps of both towers for the same test images, on the page."""

import xarray as xr

from dina.analyses.feature_maps.drawing import draw_feature_maps
from dina.figures.finding_table import finding_table
from dina.figures.parts import FigurePart, Section
from dina.figures.words import number, percent
from dina.statistics.finding import Finding

WORDS = {
    "map_correlation": "correlation of the map of a response with that of its image",
    "map_ssim": "structural similarity of the two",
    "map_two_way": "how often it is more like its own image's map than another's",
}


def feature_maps_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show maps side by side, and how alike those of matched and of mismatched pairs are."""
    found = {finding.name: finding for finding in findings}
    two_way, correlation = found["map_two_way"], found["map_correlation"]
    verb = "is" if two_way.value > two_way.null_high else "is not"
    told = (
        f"The map made of a response {verb} more like the map of its own image than chance would have it: in"
        f" {percent(two_way.value)} of the comparisons with another image, where chance is 50\u202f%. Their correlation is"
        f" {number(correlation.value)}."
    )
    part = FigurePart(
        "feature_maps",
        draw_feature_maps(dataset),
        "Test images, their maps and the maps of the averaged responses to them, as deviations from the mean map of the training"
        " images, in deviations of each channel; both maps of a row share the scale beside them (in deviations; arrows: values beyond it),"
        " red above and blue below the mean. Images are"
        " chosen by rule, not by beauty: those at the 90, 50 and 10\u202f% quantile of the correlation; the single channels are the two"
        f" in which maps of validation images agree best. Maps of responses: {dataset.attrs['form']}. a and b, all pairs of test"
        " responses and images; vertical lines: means.",
        told,
        finding_table("How alike the maps of responses and images are.", WORDS, found),
    )
    return Section("feature-maps", "Feature maps of images and of responses", paragraphs=(told,), figures=(part,))
