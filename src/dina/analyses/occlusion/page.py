"""The page of occlusion: where hiding an image costs score, for several windows, divided by coverage, and for single images."""

import math

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.finding_parts import finding_table, reasons
from dina.figures.finding_words import in_a_sentence
from dina.figures.image_names import image_words
from dina.figures.parts import FigurePart, Section
from dina.figures.screen import screen_extent
from dina.figures.style import COLOURS
from dina.figures.words import percent
from dina.randomness import generator_for
from dina.statistics.finding import Finding

WORDS = {
    "participation_score": "part of the image over which the loss of score is spread",
    "participation_score_small": "the same, small window",
    "participation_score_large": "the same, large window",
    "participation_score_blur": "the same, faded to blur",
    "participation_score_contrast": "the same, gain following the contrast of the whole image",
    "participation_map": "part over which the change of the map is spread",
    "participation_coverage": "part over which coverage by fields is spread",
    "participation_covered": "part of the covered area over which the loss of score is spread, undivided",
    "participation_normalised": "part of the covered area over which the loss divided by coverage is spread",
    "coverage_correlation": "rank correlation of loss and coverage over places",
    "score_loss": "mean loss of score (nats)",
    "log_rank_loss": "mean log rank added (nats; positive is worse)",
}
SWEEPS = {"blur": "medium, faded to blur", "contrast": "medium, gain follows contrast"}
LOSS, BY_COVERAGE, LOG_RANK = "loss of score (nats)", "loss / coverage", "log rank added (nats)"
SIGNED = (LOSS, BY_COVERAGE, LOG_RANK)  # red and blue have a meaning in these maps, whatever their values
N_SINGLE = 3
PALE = 3.0  # a map whose colours would reach less than a third of a shared scale has its own
N_FLIPS = 500
MAP_LINE = "#000000"  # on maps, which keep their colours on dark paper
PANEL_MM = 48

# Title, values, their label, all values that share their scale, and where they differ from zero; None where that means nothing.
_Panel = tuple[str, np.ndarray, str, np.ndarray, np.ndarray | None]

UNCOVERED = " Grey places are not covered; a quotient there would be noise."


def occlusion_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show losses over the image as they are and divided by coverage."""
    found = {finding.name: finding for finding in findings}
    score, normalised, coverage = (found[f"participation_{name}"] for name in ("score", "normalised", "coverage"))
    unknown = [one.reason for one in (score, normalised) if not math.isfinite(one.value)]
    answer = (
        f"It is not known where in the image the decoding comes from: {unknown[0]}"
        if unknown
        else f"The loss of score is spread over {in_a_sentence(score)} of the image; the coverage by the receptive fields, which the fitted"
        f" towers fix, is spread over {percent(coverage.value)}. Divided by coverage, the loss is spread over {in_a_sentence(normalised)} of the covered area."
    )
    uncovered = UNCOVERED if any(np.isnan(panel[1]).any() for panel in _mean_panels(dataset)) else ""
    part = FigurePart(
        "occlusion",
        _draw_occlusion(dataset),
        f"A Gaussian window fades {dataset.sizes['image']} test images to grey (or to their own blur) place by place. Each pixel of a"
        " map is one position of the window's centre. In maps of loss and of log rank, red: with this place hidden, the right image fits the"
        " response worse; blue: better. In maps of coverage and of change, darker: more."
        " Contrast gain is fixed at its value for the whole image, unless a panel states otherwise. Coverage:"
        f" {dataset['coverage'].attrs['long_name']}. Colours: one scale for windows of one size, but for maps that would be pale on it; every other map has its own, that of each"
        f" single image, too.{uncovered}"
        f" Single images are at evenly spaced quantiles of the mean loss, from the 90\u202f% to the 10\u202f% quantile. {_null_in_words(dataset)}",
        answer,
        finding_table(
            "How widely the effect of occlusion is spread, with intervals over images.",
            WORDS,
            found,
            [name for name in WORDS if name.startswith("participation")],
            instead=dict.fromkeys(("score_loss", "log_rank_loss"), "none: if hiding places cost nothing, it would be 0"),
        ),
    )
    paragraphs = (answer if unknown else f"{answer}{_beside_coverage(found['coverage_correlation'])}",)
    title = "Where in the image the decoding comes from"
    return Section("occlusion", title, paragraphs=paragraphs, figures=(part,), missing=reasons(WORDS, found))


def _beside_coverage(one: Finding) -> str:
    """Say why the loss is divided by coverage, and whether the two are as alike as they seem."""
    said = " A map of losses also shows where the receptive fields lie. Only the loss divided by coverage shows which places the decoding uses."
    if not math.isfinite(one.value):
        return said
    place = "more than in the null" if one.value > one.null_high else "no more than in the null"
    return f"{said} Over places, loss and coverage are correlated {place}: {in_a_sentence(one, '')}."


def differs_from_zero(losses: Float[np.ndarray, "image row column"]) -> Bool[np.ndarray, "row column"]:
    """Say at which places the mean over images differs from zero, if all places are looked at together.

    If hiding a place does not matter, a loss is as often above zero as below. So the null exchanges the signs of whole images at
    random, and a place must exceed what the most extreme place of 95 of 100 such maps reaches.

    Examples
    --------
    >>> differs_from_zero(np.array([[[1.0 + image % 3, (-1.0) ** image]] for image in range(12)])).tolist()
    [[True, False]]
    """
    flat = losses.reshape(len(losses), -1)
    unit = flat / np.maximum(np.sqrt((flat**2).sum(axis=0)), 1e-12)
    signs = generator_for(0, "signs of occluded images").choice(np.array([-1.0, 1.0]), size=(N_FLIPS, len(losses)))
    limit = np.quantile(np.abs(signs @ unit).max(axis=1), 0.95)
    found: np.ndarray = (np.abs(unit.sum(axis=0)) > limit).reshape(losses.shape[1:])
    return found


def _null_in_words(dataset: xr.Dataset) -> str:
    """Say what the line around places means, and how many it surrounds under the medium window."""
    share = float(differs_from_zero(dataset["score_loss"].sel(sweep="medium").to_numpy()).mean())
    where = f"under the medium window {percent(share)} of the places" if share else "no place under the medium window"
    return (
        f"Black lines surround the places whose mean loss differs from zero: {where}. In 95 of 100 maps without any effect (the signs of"
        " whole images exchanged at random), no place would. Coverage and the change of the map are never negative and have no such"
        " null; a map of a single image has one number for each place, too few for one."
    )


@in_style
def _draw_occlusion(dataset: xr.Dataset) -> Figure:
    """Draw maps over the image: mean losses for each window, coverage and its quotient, change of maps, single images.

    Mean losses under windows of one size share a scale of colours. Single images stand above their maps; each map has its own
    scale, since one image may lose a hundred times as much as another.
    """
    panels: list[_Panel | None] = [*_mean_panels(dataset)]
    panels += [None] * (-len(panels) % 3)  # single images begin a row
    chosen = _chosen_images(dataset)
    pictures = range(len(panels), len(panels) + (len(chosen) if "thumbnail" in dataset.coords else 0))
    panels += [*[None] * len(pictures), *_single_panels(dataset, chosen)]
    n_rows = -(-len(panels) // 3)
    panel_height = min(40.0, max(18.0, PANEL_MM * float(dataset.attrs["height"]) / float(dataset.attrs["width"])))
    figure = new_figure(185, n_rows * (panel_height + 13) + 6)
    grid = figure.subplots(n_rows, 3, squeeze=False)
    names = image_words(dataset)
    for number, axes in enumerate(grid.flat):
        panel = panels[number] if number < len(panels) else None
        if number in pictures:
            which = chosen[number - pictures[0]]
            axes.imshow(dataset["thumbnail"].to_numpy()[which], cmap="gray", vmin=0, vmax=255, aspect="equal")
            axes.set_title(names[which], fontsize=7.5)
            finish_axes(axes, None)
        elif panel is None:
            axes.axis("off")
        else:
            _draw_panel(axes, dataset, panel)
            _name_axes(axes, dataset, is_left=number % 3 == 0, is_last=number >= len(panels) - 3)
    return figure


def _mean_panels(dataset: xr.Dataset) -> list[_Panel]:
    """Return the maps of means over images."""
    names = [str(name) for name in dataset["sweep"].to_numpy()]
    loss, main = dataset["score_loss"].to_numpy(), names.index("medium")
    deviations = dataset["deviation_px"].to_numpy() * float(dataset.attrs.get("deg_per_pixel", 1.0))
    unit = "degrees" if "deg_per_pixel" in dataset.attrs else "px"
    panels = [
        (
            SWEEPS.get(name, f"{name}, SD {deviation:.3g} {unit}"),
            loss[number].mean(0),
            LOSS,
            _scale_of(loss[number].mean(0), loss[deviations == deviation].mean(1)),
            differs_from_zero(loss[number]),
        )
        for number, (name, deviation) in enumerate(zip(names, deviations, strict=True))
    ]
    covered = f"coverage ({dataset['coverage'].attrs.get('units', 'arbitrary')})"
    ranks = dataset["log_rank_loss"].to_numpy()[main]
    others: list[tuple[str, np.ndarray, str, np.ndarray | None]] = [
        ("coverage by fields", dataset["coverage"].to_numpy(), covered, None),
        ("medium, divided by coverage", dataset["score_loss_by_coverage"].to_numpy(), BY_COVERAGE, panels[main][-1]),
        ("change of the map", dataset["map_change"].to_numpy()[main].mean(0), "relative change", None),
        ("log rank added", ranks.mean(0), LOG_RANK, differs_from_zero(ranks)),
    ]
    if "untrained_score_loss" in dataset:
        others.append(("untrained towers", dataset["untrained_score_loss"].to_numpy().mean((0, 1)), LOSS, None))
    return panels + [(title, values, label, values, line) for title, values, label, line in others]


def _scale_of(values: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """Return what a map shares its scale of colours with: the maps of its window size, or none where it would be pale among them.

    Examples
    --------
    >>> _scale_of(np.array([1.0]), np.array([1.0, 2.0])), _scale_of(np.array([0.5]), np.array([0.5, 2.0]))
    (array([1., 2.]), array([0.5]))
    """
    return shared if np.abs(values).max() >= np.abs(shared).max() / PALE else values


def _chosen_images(dataset: xr.Dataset) -> list[int]:
    """Return the images at evenly spaced quantiles of the mean loss under the medium window."""
    loss = dataset["score_loss"].sel(sweep="medium").to_numpy()
    order = np.argsort(-loss.mean(axis=(1, 2)), kind="stable")
    return [int(order[round(q * (len(order) - 1))]) for q in np.linspace(0.1, 0.9, N_SINGLE)]


def _single_panels(dataset: xr.Dataset, chosen: list[int]) -> list[_Panel]:
    """Return the maps of single images under the medium window."""
    loss = dataset["score_loss"].sel(sweep="medium").to_numpy()
    names = image_words(dataset)
    return [(f"loss, {names[i]}", loss[i], LOSS, loss[i], None) for i in chosen]


def _draw_panel(axes: Axes, dataset: xr.Dataset, panel: _Panel) -> None:
    """Draw one map over the image, in degrees where their size is known, in colours that reach over the scale."""
    title, values, label, scale, differs = panel
    extent, _ = _on_screen(dataset)
    seen = scale[np.isfinite(scale)]
    is_signed = label in SIGNED
    limit = max(float(np.abs(seen).max()) if len(seen) else 0.0, 1e-12)
    image = axes.imshow(
        values,
        cmap="RdBu_r" if is_signed else "Blues",
        norm=Normalize(-limit if is_signed else 0.0, limit),
        extent=extent,
        aspect="equal",
    )
    axes.set_facecolor(COLOURS["grid"][0])
    if differs is not None and differs.any() and not differs.all():
        fine = differs.repeat(8, axis=0).repeat(8, axis=1)  # so that the line follows the edges of places
        left, right, bottom, top = extent
        x, y = (
            begin + (np.arange(n) + 0.5) / n * (end - begin)
            for n, begin, end in zip(fine.shape[::-1], (left, top), (right, bottom), strict=True)
        )
        axes.contour(x, y, fine.astype(float), levels=[0.5], colors=MAP_LINE, linewidths=0.7)
    beside = axes.inset_axes((1.02, 0.0, 0.05, 1.0))  # as high as the map, whose shape is that of the image
    bar = axes.figure.colorbar(image, cax=beside)
    bar.ax.tick_params(labelsize=6, length=1.5)
    bar.outline.set_visible(False)
    axes.set_title(title, fontsize=7.5, pad=13)
    axes.annotate(label, (0, 1), (0, 3), xycoords="axes fraction", textcoords="offset points", fontsize=6.5, va="bottom")


def _on_screen(dataset: xr.Dataset) -> tuple[tuple[float, float, float, float], tuple[str, str]]:
    return screen_extent(float(dataset.attrs["height"]), float(dataset.attrs["width"]), dataset.attrs.get("deg_per_pixel"))


def _name_axes(axes: Axes, dataset: xr.Dataset, *, is_left: bool, is_last: bool) -> None:
    axes.tick_params(labelsize=6.5, length=2)
    _, (across, up) = _on_screen(dataset)
    if is_left:
        axes.set_ylabel(up.replace(" (", "\n("), fontsize=7)
    if is_last:
        axes.set_xlabel(across, fontsize=7)
    axes.spines[:].set_visible(False)
