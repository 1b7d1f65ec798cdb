"""Images rebuilt from maps, on the page."""

import xarray as xr

from dina.analyses.image_reconstruction.drawing import draw_image_reconstruction
from dina.figures.finding_table import finding_table
from dina.figures.parts import FigurePart, Section
from dina.figures.words import number, percent
from dina.statistics.finding import Finding

METHODS = {
    "linear": "from the response's map, linear",
    "convolutional": "from the response's map, convolutional",
    "linear_from_image_map": "from the image's own map, linear",
}
MEASURES = {
    "pixel_correlation": "correlation of pixels",
    "ssim": "structural similarity",
    "two_way": "how often more like its own image than another",
}
WORDS = {f"{measure}_{method}": f"{said}, {how}" for method, how in METHODS.items() for measure, said in MEASURES.items()}


def image_reconstruction_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show test images rebuilt from maps, and how alike they are with the images that were shown."""
    found = {finding.name: finding for finding in findings}
    linear, ceiling, two_way = (
        found[name] for name in ("pixel_correlation_linear", "pixel_correlation_linear_from_image_map", "two_way_linear")
    )
    verb = "is" if linear.value > linear.null_high else "is not"
    told = (
        f"What is rebuilt from the map of a response {verb} more like the image shown than chance would have it: pixels correlate"
        f" by {number(linear.value)}, where the image's own map allows {number(ceiling.value)}. In {percent(two_way.value)} of the"
        " comparisons the reconstruction is more like its own image than another, where chance is 50\u202f%."
    )
    part = FigurePart(
        "image_reconstruction",
        draw_image_reconstruction(dataset),
        "Test images, what is rebuilt from the averaged response to each, linearly and by the convolutional network, and what is rebuilt"
        " linearly from the map of the image itself; reconstructions as deviations from the mean training image, each drawn in its own"
        " contrast. All are learnt from training images and their own maps, without any response. No generative model is used; but"
        " the maps of responses of “default” are posterior means and so weighted sums of training images' maps, and the weights"
        " follow the statistics of the training images. Images are chosen by rule: those at the 90, 70, 50, 30 and 10\u202f% quantile of the correlation of pixels, of the linear"
        " reconstruction from the averaged response, as deviations from the mean training image. a, all pairs of"
        " reconstructions and test images; b, those of at most 50 test images; vertical lines: means.",
        told,
        finding_table("How alike reconstructions and test images are.", WORDS, found),
    )
    missing = (str(dataset.attrs["reason"]),) if dataset.attrs["reason"] else ()
    return Section("image-reconstruction", "Images rebuilt from maps", paragraphs=(told,), figures=(part,), missing=missing)
