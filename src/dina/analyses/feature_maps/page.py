"""The pages of feature maps: test images beside their maps and those of responses, and the images rebuilt from these maps."""

import textwrap

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.caption_words import channels_words, responses_words
from dina.figures.channel_words import ANGLES, bars_of_channel
from dina.figures.finding_parts import finding_table, reasons
from dina.figures.finding_words import in_a_sentence
from dina.figures.histograms import n_bars
from dina.figures.image_names import colour_image, image_words
from dina.figures.parts import FigurePart, Section
from dina.figures.screen import screen_extent
from dina.figures.style import COLOURS
from dina.statistics.finding import Finding

WORDS = {
    "map_correlation": "correlation of the map of a response with that of its image",
    "map_ssim": "structural similarity of the two",
    "map_two_way": "how often it is more similar to the map of its own image than to another map",
}
HEADINGS = ("image shown", "map of the image", "map of the response")
LIMITS = ("90", "50", "10")  # quantiles of the examples

METHODS = {
    "linear": "from the response's map, linear",
    "convolutional": "from the response's map, convolutional",
    "linear_from_image_map": "from the image's own map, linear",
}
MEASURES = {
    "pixel_correlation": "correlation of pixels",
    "ssim": "structural similarity",
    "two_way": "how often more similar to its own image than to another",
}
REBUILT_WORDS = {f"{measure}_{method}": f"{what}, {how}" for method, how in METHODS.items() for measure, what in MEASURES.items()}
REBUILT_HEADINGS = ("linear", "convolutional", "from its map")
WIDTH_MM = 170
GAP_MM, WORDS_MM = 6, 60  # between pictures, and for their names and scales


def feature_maps_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show maps side by side, and how similar those of matched and of mismatched pairs are."""
    found = {finding.name: finding for finding in findings}
    two_way, correlation = found["map_two_way"], found["map_correlation"]
    verb = "is" if two_way.value > two_way.null_high else "is not"
    answer = (
        f"The map of a response {verb} more similar to the map of its own image than chance predicts. It resembles this map more than"
        f" the map of another image in {in_a_sentence(two_way)} of comparisons. Maps of a response and its image"
        f" correlate by {in_a_sentence(correlation, '')}.{_channels(dataset)}"
    )
    part = FigurePart(
        "feature_maps",
        draw_feature_maps(dataset),
        f"Test images, their maps and the maps of the {responses_words(dataset)} to them. Maps are shown as differences from the mean training"
        " map, in units of the standard deviation of each channel. Both maps of a row share one colour scale, red above and blue"
        " below the mean."
        " Images are chosen by rule: those at the 90, 50 and 10\u202f% quantile of"
        " the correlation; the single channels are the two in which maps of validation images agree best. "
        f"{ANGLES} Maps of responses:"
        f" {dataset.attrs['form']}. a and b, all pairs of test responses and images; vertical lines: means.",
        answer,
        finding_table("How similar the maps of responses and images are.", WORDS, found, ("map_two_way",)),
    )
    title = "Feature maps of images and of responses"
    return Section("feature-maps", title, paragraphs=(answer,), figures=(part,), missing=reasons(WORDS, found))


INFERRED = " The former still helps to infer these channels from responses."
POSTERIOR = " The maps of responses are posterior means, hence weighted sums of training images' maps: the weights follow the statistics of the training images."


def _channels(dataset: xr.Dataset) -> str:
    """Say what the channels are, and how a network that is not among them takes part all the same."""
    said = channels_words(dataset)
    is_posterior = str(dataset.attrs.get("form", "")).startswith("posterior")
    return said + (INFERRED if is_posterior and "trained encoder" in said else "")


def image_reconstruction_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show test images reconstructed from maps, and how similar they are to the images that were shown."""
    found = {finding.name: finding for finding in findings}
    linear, ceiling, two_way = (
        found[name] for name in ("pixel_correlation_linear", "pixel_correlation_linear_from_image_map", "two_way_linear")
    )
    verb = "is" if linear.value > linear.null_high else "is not"
    answer = (
        f"The reconstruction from the map of a response {verb} more similar to the image shown than chance predicts. Pixels correlate"
        f" by {in_a_sentence(linear, '')}; for the reconstruction from the image's own map they correlate by"
        f" {in_a_sentence(ceiling, '')}. In {in_a_sentence(two_way)} of comparisons the reconstruction is more similar to its own"
        " image than to another. The error of the reconstruction from the image's own map is information that the map lacks. Any extra error of"
        " the reconstruction from the response is neural noise, or information lost in the neural tower."
        f"{_channels(dataset)}"
    )
    if "penalty_at_the_end_of_its_grid" in dataset.attrs:
        answer += f" Of the penalties of the linear reconstruction {dataset.attrs['penalty_at_the_end_of_its_grid']}. Other penalties might make it better."
    in_grey = (
        " Reconstructions are of brightness alone, so each colour image stands beside its brightness."
        if _in_colour(dataset)
        else ""
    )
    part = FigurePart(
        "image_reconstruction",
        draw_image_reconstruction(dataset),
        f"Test images; their reconstructions from the {responses_words(dataset)}, linear and by a convolutional network; and their linear"
        f" reconstructions from the map of the image itself.{in_grey} Reconstructions are deviations from the mean training image, each drawn"
        " in its own contrast. All are learnt from training images and their own maps, without any response and without a"
        f" generative model.{POSTERIOR if str(dataset.attrs.get('form', '')).startswith('posterior') else ''} Images are chosen by rule: those at the 90, 70, 50, 30 and"
        " 10\u202f% quantile of the correlation of pixels of the linear reconstruction from the response. a, all pairs of"
        " reconstructions and test images; b, those of at most 50 test images; vertical lines: means.",
        answer,
        finding_table(
            "How similar reconstructions and test images are.", REBUILT_WORDS, found, [f"two_way_{method}" for method in METHODS]
        ),
    )
    missing = ((str(dataset.attrs["reason"]),) if dataset.attrs["reason"] else ()) + reasons(REBUILT_WORDS, found)
    return Section("image-reconstruction", "Images rebuilt from maps", paragraphs=(answer,), figures=(part,), missing=missing)


@in_style
def draw_feature_maps(dataset: xr.Dataset) -> Figure:
    """Draw three examples, each with its maps averaged over channels and in single channels, above two histograms."""
    shown = [str(name) for name in dataset["shown"].to_numpy()]
    n_examples, n_shown = dataset.sizes["example"], len(shown)
    pixels = dataset["pixels"].to_numpy()
    row_mm = float(np.clip(45.0 * pixels.shape[1] / pixels.shape[2], 12.0, 20.0))
    tall = row_mm * n_examples * n_shown
    figure = new_figure(WIDTH_MM, tall + 58)
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[tall, 52]).flat
    # pictures that are not wide stand side by side, and what is left of the width stays empty at the right
    wide = row_mm * pixels.shape[2] / pixels.shape[1] + GAP_MM
    spare = max(WIDTH_MM - 3 * wide - WORDS_MM, 0.0)
    grid = above.add_gridspec(n_examples * n_shown, 4, width_ratios=[wide, wide, wide, max(spare, 1e-3)])
    panels = np.array([[above.add_subplot(grid[row, column]) for column in range(3)] for row in range(n_examples * n_shown)])
    maps = np.stack([dataset[name].to_numpy() for name in ("image_maps", "neural_maps")])
    block = 1.0 if "deg_per_pixel" in dataset.attrs else float(dataset.attrs.get("block_px", 1.0))
    extent, (across, _) = screen_extent(block * pixels.shape[1], block * pixels.shape[2], dataset.attrs.get("deg_per_pixel"))
    for axes in panels.flat:
        finish_axes(axes, None)
    names = image_words(dataset, "example")
    for example in range(n_examples):
        for place, name in enumerate(shown):
            row = panels[example * n_shown + place]
            if place == 0:
                _draw_image(row[0], pixels[example], extent, colour_image(dataset, example, "example"))
                _name_row(row[0], LIMITS[example], names[example])
            else:
                row[0].axis("off")
            limit = max(float(np.abs(maps[:, example, place]).max()), 1e-6)
            for side in range(2):
                drawn = row[1 + side].imshow(
                    maps[side, example, place], cmap="RdBu_r", norm=Normalize(-limit, limit), extent=extent, aspect="equal"
                )
            _add_bar(row, drawn, name)
    for panel in panels[-1, 1:]:
        panel.tick_params(axis="x", bottom=True, labelbottom=True, labelsize=6.5, length=2)
        panel.xaxis.set_major_locator(MaxNLocator(3))
        panel.set_xlim(*extent[:2])
        panel.set_xlabel(across, fontsize=7, labelpad=1)
    for panel, heading in zip(panels[0], HEADINGS, strict=True):
        panel.set_title(heading.replace(" of ", "\nof ") if spare else heading)
    left, right = below.subplots(1, 2)
    _draw_matched_pairs(left, dataset["correlation"].to_numpy(), "a", "correlation of maps")
    _draw_matched_pairs(right, dataset["similarity"].to_numpy(), "b", "structural similarity (SSIM)")
    return figure


@in_style
def draw_image_reconstruction(dataset: xr.Dataset) -> Figure:
    """Draw examples with their reconstructions, above the distributions of two similarities."""
    pixels, rebuilt = dataset["pixels"].to_numpy(), dataset["rebuilt"].to_numpy()
    n_examples = len(pixels)
    tall = min(24.0, 0.9 * WIDTH_MM / (5 if _in_colour(dataset) else 4) * pixels.shape[1] / pixels.shape[2])
    figure = new_figure(WIDTH_MM, (tall + 2) * n_examples + 62)
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[(tall + 2) * n_examples + 8, 54]).flat
    shown = ("image shown", "its brightness") if _in_colour(dataset) else ("image shown",)
    panels = above.subplots(n_examples, len(shown) + 3, squeeze=False)
    names = image_words(dataset, "example")
    for example, row in enumerate(panels):
        for axes, image in zip(row, [*[pixels[example]] * len(shown), *rebuilt[:, example]], strict=True):
            finish_axes(axes, None)
            _draw_image(axes, image, photograph=colour_image(dataset, example, "example") if axes is row[0] else None)
        _name_row(row[0], f"{100 * float(dataset['quantile'][example]):.0f}", names[example])
    for axes, heading in zip(panels[0], (*shown, *REBUILT_HEADINGS), strict=True):
        axes.set_title(heading)
    left, right = below.subplots(1, 2)
    _draw_matched_pairs(left, dataset["correlation"].to_numpy()[0], "a", "correlation of pixels, linear")
    _draw_matched_pairs(right, dataset["similarity"].to_numpy()[0], "b", "structural similarity (SSIM), linear")
    return figure


def _in_colour(dataset: xr.Dataset) -> bool:
    """Say whether the images shown are drawn in colour."""
    return dataset.sizes.get("example", 0) > 0 and colour_image(dataset, 0, "example") is not None


def _draw_image(
    axes: Axes,
    image: np.ndarray,
    extent: tuple[float, float, float, float] | None = None,
    photograph: np.ndarray | None = None,
) -> None:
    """Draw an image in its own contrast, since reconstructions are fainter than the images; a dash where there is none.

    A colour ``photograph`` of it is drawn as it is.
    """
    if photograph is not None:
        axes.imshow(photograph, extent=extent, aspect="equal")
        return
    if np.isnan(image).any():
        axes.text(0.5, 0.5, "–", ha="center", va="center", transform=axes.transAxes)
        return
    middle, spread = float(image.mean()), 2.5 * max(float(image.std()), 1e-6)
    axes.imshow(image, cmap="gray", vmin=middle - spread, vmax=middle + spread, extent=extent, aspect="equal")


def _name_row(axes: Axes, percentage: str, name: str) -> None:
    """Write quantile and name of an image at its left, a long name in lines."""
    lines = "\n".join(textwrap.wrap(name, 14, break_long_words=True))
    axes.set_ylabel(f"{percentage}\u202f%\n{lines}".strip(), rotation=0, ha="right", va="center", labelpad=3, fontsize=7)


def _add_bar(row: np.ndarray, drawn: AxesImage, name: str) -> None:
    """Put the scale that both maps of a row share beside them, named by the channel."""
    bar = row[2].figure.colorbar(drawn, ax=list(row[1:]), fraction=0.03, pad=0.01, aspect=8)
    bar.ax.tick_params(labelsize=6, length=1.5)
    bar.ax.locator_params(nbins=3)
    bar.outline.set_visible(False)
    signed = bars_of_channel(name).replace("-", "\N{MINUS SIGN}")  # even− and odd− are of negative sign
    bar.ax.set_ylabel(f"{signed}\n(SD)", rotation=0, ha="left", va="center", fontsize=7, color=COLOURS["muted"][0])


def _draw_matched_pairs(axes: Axes, pairs: Float[np.ndarray, "item other"], letter: str, label: str) -> None:
    """Draw two histograms, each with its mean: similarities of matched pairs (on the diagonal) and of all others."""
    matched, others = pairs.diagonal(), pairs[~np.eye(len(pairs), dtype=bool)]
    bins = np.linspace(float(np.quantile(pairs, 0.001)), float(pairs.max()) + 1e-9, n_bars(len(matched)) + 1)
    for values, colour, words in ((others, "chance", "other images"), (matched, "dina", "its own image")):
        share = 100 * np.histogram(np.clip(values, bins[0], bins[-1]), bins)[0] / len(values)
        axes.stairs(share, bins, fill=True, color=COLOURS[colour][0], alpha=0.55 if colour == "dina" else 0.4, label=words)
        axes.axvline(float(values.mean()), color=COLOURS[colour][0], linewidth=1.2)
    axes.set(xlabel=label, ylabel="pairs (%)", title=letter)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.2, handlelength=1.2)
    finish_axes(axes, "y")
