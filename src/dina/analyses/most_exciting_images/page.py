"""Most exciting images, on the page."""

import xarray as xr

from dina.analyses.most_exciting_images.drawing import draw_inception_loop
from dina.figures.finding_table import finding_table
from dina.figures.parts import FigurePart, Section
from dina.figures.words import number, percent
from dina.statistics.finding import Finding

WORDS = {
    "mei_agreement": "correlation of the images that two models make for one neuron",
    "mei_beats_images": "share of test images that excite the second model less",
}


def inception_loop_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show the images that excite model neurons most, and how far two models agree on them."""
    found = {finding.name: finding for finding in findings}
    agreement, beats = found["mei_agreement"], found["mei_beats_images"]
    verb = "agree" if agreement.value > agreement.null_high else "do not agree"
    told = (
        f"Two encoding models fitted on different images {verb} on what excites a neuron most: their images correlate by"
        f" {number(agreement.value)}, where exchanging the neurons at random gives means of {number(agreement.null_low)} to"
        f" {number(agreement.null_high)}. The second model rates the first one's image above {percent(beats.value)} of the test images"
        " at the same contrast."
    )
    part = FigurePart(
        "inception_loop",
        draw_inception_loop(dataset),
        "Images that an encoding model of each neuron rates highest, found by gradient ascent from noise at a fixed contrast; first and second"
        " model were fitted on different halves of the training images. Beside them the training image, brought to the same"
        " contrast, that the first model rates highest. Neurons: those that left-out training images predict best; r, correlation of"
        " prediction and averaged response over test images. a and b, each dot a neuron, or a pair of different ones; lines: means."
        " No animal has seen these images.",
        told,
        finding_table("How far the two models agree.", WORDS, found),
    )
    return Section("inception-loop", "Most exciting images", paragraphs=(told,), figures=(part,))
