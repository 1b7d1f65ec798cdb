"""Whether shape or texture carries the decoding, on the page: figures, words and tables of both analyses."""

import math
import textwrap
from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dina.analyses.shape_texture.altered_images import ALTERATIONS
from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.caption_words import over_whole
from dina.figures.finding_parts import reasons, write_across
from dina.figures.finding_words import finding_columns, in_a_sentence, inside_null
from dina.figures.image_names import colour_image, image_words
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.style import COLOURS
from dina.statistics.finding import Finding

INTERVAL = "95\u202f% interval"
SHOWN_CONTRAST = 2.5  # deviations from grey that reach black and white
WORDS = {name: alteration.words for name, alteration in ALTERATIONS.items()}
SHARES = (
    "Share of the accuracy above chance that is left when {n} test images are altered. Filled: altered images as gallery for the"
    " responses; hollow: altered images as queries for the response. Bars: 95\u202f% intervals over images; grey: central 95\u202f%"
    " if queries are assigned to other images; orange: altered images of other images with the contrast of the right ones;"
    " dotted: originals."
)
UNKNOWN = "Two test images and what is made of them. The share of the accuracy that is left is not known."


EXCHANGED_BOTH = " For both nulls the two are exchanged at random, image by image."
EASIER = "An altered image can be found more often than its original, by luck or because the rest of the original misleads"


def shape_texture_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show what each alteration keeps, beside examples, and the outcome of cue conflict."""
    found = {finding.name: finding for finding in findings}
    n = int(dataset.attrs["n_images"])
    names = [str(name) for name in dataset["alteration"].to_numpy()]
    conflict, difference = found["phase_over_amplitude"], found["shape_minus_texture"]
    rows = [
        (
            WORDS[name],
            *finding_columns(found[f"kept_{name}"], "%"),
            *finding_columns(found[f"kept_{name}_beyond_contrast"], "%"),
            *finding_columns(found[f"kept_{name}_response_from_image"], "%")[:2],
        )
        for name in names
        if math.isfinite(found[f"kept_{name}"].value)
    ]
    table = Table(
        "Share of the top-1 accuracy above chance that altered images keep, and the part of it that contrast alone does not explain. Null of"
        " the share: queries assigned to other images (that of the share as query, nearly the same, is drawn); null of the part beyond contrast: altered images and others"
        " with their contrast exchanged at random, image by image.",
        ("kept", "share", INTERVAL, "null", "beyond contrast", INTERVAL, "null", "as query", INTERVAL),
        tuple(rows),
    )
    in_grey = " Alterations are shown in luminance alone." if colour_image(dataset, 0, "example") is not None else ""
    shares = ", ".join(f"{row[0]} {row[1]}" for row in rows) or "not known"
    missing = {name: one for name, one in found.items() if one.reason}
    part = FigurePart(
        "shape_texture",
        _draw(dataset),
        f"{SHARES.format(n=n) if _are_known(dataset) else UNKNOWN} Here {dataset.attrs['texture']}. All altered images have mean and RMS contrast of their originals.{in_grey}",
        f"Share of the accuracy above chance that altered images keep: {shares}.",
        table,
    )
    return Section(
        "shape-texture",
        "Shape and texture",
        paragraphs=(
            "All responses are responses to the original images; responses to altered images were neither recorded nor simulated. The towers"
            " were fitted on originals, so an altered image may also fail because it differs from all images that they were fitted on.",
            f"When phases and amplitudes come from two images, {in_a_sentence(conflict)} of the queries prefer the phases of the right"
            f" image{inside_null(conflict)}.{_difference(difference)}{_reconciled(conflict, difference)}{EXCHANGED_BOTH * math.isfinite(conflict.value)}{over_whole(EASIER, *(found[f'kept_{name}'] for name in names))}",
        ),
        figures=(part,),
        missing=reasons(_words_of(missing), missing),
    )


def _difference(one: Finding) -> str:
    said = in_a_sentence(one, "points")
    words = f" The share kept by shape alterations minus the share kept by texture alterations is {said}{inside_null(one)}."
    return words if math.isfinite(one.value) else ""


def _reconciled(conflict: Finding, difference: Finding) -> str:
    """Say why phases may lose where shape wins, or the reverse.

    Examples
    --------
    >>> shape, texture = Finding("conflict", 0.6, "1", 50), Finding("difference", -0.2, "1", 50)
    >>> _reconciled(shape, texture).split(":")[0], _reconciled(shape, shape)
    (' The two answer different questions', '')
    """
    if (conflict.value - 0.5) * difference.value >= 0 or math.isnan(difference.value) or math.isnan(conflict.value):
        return ""
    return (
        " The two answer different questions: in the first, both cues are present and compete; in the second, each alteration keeps one"
        " cue alone, and some keep edges or places that phases do not."
    )


def _words_of(found: Mapping[str, Finding]) -> dict[str, str]:
    """Name findings about alterations in words.

    Examples
    --------
    >>> _words_of({"kept_silhouette": Finding("kept_silhouette", 0.5, "1", 9)})
    {'kept_silhouette': 'share kept by silhouette'}
    """
    plain = {f"{start}kept_{name}": f"share kept by {words}" for name, words in WORDS.items() for start in ("", "refit_")}
    plain["shape_minus_texture"] = "share kept by shape minus share kept by texture"
    return {name: plain[name] for name in found if name in plain}


def shape_texture_refit_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show what towers fitted on altered images keep of the accuracy."""
    found = {finding.name: finding for finding in findings}
    names = [str(name) for name in dataset["alteration"].to_numpy()]
    kept = [(WORDS[name], found[f"refit_kept_{name}"]) for name in names]
    title, missing = "Towers fitted on shape or texture", reasons(_words_of(found), found)
    if not any(math.isfinite(one.value) for _, one in kept):
        return Section("shape-texture-refit", title, missing=missing)
    table = Table(
        "Share of the top-1 accuracy above chance that towers fitted and tested on altered images keep.",
        ("kept", "share", INTERVAL, "null"),
        tuple((words, *finding_columns(one, "%")) for words, one in kept if math.isfinite(one.value)),
    )
    summary = "Towers fitted on altered images keep: " + ", ".join(f"{words} {in_a_sentence(one)}" for words, one in kept) + "."
    part = FigurePart(
        "shape_texture_refit",
        _draw_refit(dataset),
        "Share of the accuracy above chance that towers keep after they were fitted on altered images and tested on"
        f" {int(dataset.attrs['n_images'])} images altered in the same way. Bars: 95\u202f% intervals over images; grey: central 95\u202f% if"
        f" queries are assigned to other images; dotted: originals. Here {dataset.attrs['texture']}.",
        summary,
        table,
    )
    return Section(
        "shape-texture-refit",
        title,
        paragraphs=(
            "These towers were fitted on altered images, so test images are of the kind that they were fitted on. The responses are responses to the"
            " original images; the accuracy kept shows how much information they carry about the content that an altered image still has."
            + over_whole(EASIER, *(one for _, one in kept)),
        ),
        figures=(part,),
        missing=missing,
    )


@in_style
def _draw(dataset: xr.Dataset) -> Figure:
    """Draw one row per alteration: two examples, then the accuracy kept in both directions."""
    names = [str(name) for name in dataset["alteration"].to_numpy()]
    figure = new_figure(180, 14 + 12.5 * (len(names) + 1))
    grid = figure.add_gridspec(len(names) + 1, 3, width_ratios=(1, 1, 2))
    examples, names_shown = dataset["examples"].to_numpy(), image_words(dataset, "example")
    for column in range(2):
        spread = SHOWN_CONTRAST * max(float(examples[0, column].std()), 1e-6)
        middle = float(examples[0, column].mean())
        for row in range(len(names) + 1):
            axes = figure.add_subplot(grid[row, column])
            colours = colour_image(dataset, column, "example") if row == 0 else None
            shown = examples[row, column] if colours is None else colours
            axes.imshow(shown, cmap="gray", vmin=middle - spread, vmax=middle + spread, aspect="equal")
            if row == 0:
                axes.set_title("\n".join(textwrap.wrap(names_shown[column], 14)), fontsize=7, fontweight="normal", loc="center")
            finish_axes(axes, None)
            if column == 0:
                label = "original" if row == 0 else WORDS[names[row - 1]]
                axes.set_ylabel(label, rotation=0, ha="right", va="center", labelpad=4)
    _draw_shares(figure.add_subplot(grid[:, 2]), dataset, names)
    if _are_known(dataset):
        figure.legend(loc="outside upper right", ncols=3, fontsize=7.5, handletextpad=0.3)
    return figure


def _are_known(dataset: xr.Dataset) -> bool:
    """Say whether any share is known; without accuracy above chance none is."""
    return bool(
        np.isfinite(dataset["kept"].to_numpy()).any() or np.isfinite(dataset["kept_response_from_image"].to_numpy()).any()
    )


@in_style
def _draw_refit(dataset: xr.Dataset) -> Figure:
    """Draw the accuracy that towers fitted on altered images keep, one row per alteration."""
    names = [str(name) for name in dataset["alteration"].to_numpy()]
    figure = new_figure(120, 18 + 7.0 * len(names))
    axes = figure.add_subplot()
    place = np.arange(len(names))
    _draw_kept(axes, dataset, "refit_kept", place, 0.5, COLOURS["dina"][0], None)
    axes.set_yticks(place, [WORDS[name] for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    _finish(axes)
    axes.tick_params(axis="y", length=0)
    return figure


def _draw_shares(axes: Axes, dataset: xr.Dataset, names: list[str]) -> None:
    """Draw the kept shares as dots with intervals, level with the examples."""
    place = np.arange(1, len(names) + 1)
    _draw_kept(axes, dataset, "kept", place - 0.14, 0.26, COLOURS["dina"][0], "altered gallery, for responses")
    query = "altered query, for the response"
    _draw_kept(axes, dataset, "kept_response_from_image", place + 0.14, 0.26, COLOURS["paper"][0], query)
    other, contrast = 100 * dataset["kept_other"].to_numpy(), "contrast alone, for responses"
    axes.plot(other, place - 0.14, "|", color=COLOURS["rival"][0], markersize=9, markeredgewidth=1.6, label=contrast)
    axes.set_ylim(len(names) + 0.5, -0.5)
    axes.set_yticks([])
    n_shape = int((dataset["keeps"].to_numpy() == "shape").sum())
    axes.axhline(n_shape + 0.5, color=COLOURS["muted"][0], linewidth=0.6)
    for level, words in ((0.45, "shape kept"), (n_shape + 0.58, "texture kept")):
        axes.annotate(words, (97.0, level), color=COLOURS["muted"][0], fontsize=7.5, ha="right", va="top")
    if not _are_known(dataset):
        write_across(axes, "not known", 0.93)
    _finish(axes)
    axes.spines["left"].set_visible(False)


def _draw_kept(
    axes: Axes, dataset: xr.Dataset, name: str, place: np.ndarray, height: float, face: str, label: str | None
) -> None:
    """Draw kept shares as dots with intervals, in front of the ranges of their nulls."""
    ends = ("", "_low", "_high", "_null_low", "_null_high")
    value, low, high, null_low, null_high = (100 * dataset[name + end].to_numpy() for end in ends)
    axes.barh(place, null_high - null_low, left=null_low, height=height, color=COLOURS["chance"][0], alpha=0.3, linewidth=0)
    axes.hlines(place, low, high, color=COLOURS["dina"][0], linewidth=1.2, zorder=2)
    axes.plot(value, place, "o", color=COLOURS["dina"][0], markerfacecolor=face, markersize=4.5, zorder=3, label=label)


def _finish(axes: Axes) -> None:
    """Mark what nothing and everything kept would be, and name the axis."""
    axes.axvline(0, color=COLOURS["ink"][0], linewidth=0.8, zorder=1)
    axes.axvline(100, color=COLOURS["muted"][0], linestyle=(0.0, (1.0, 1.5)), linewidth=1.0, zorder=1)
    axes.set_xlabel("accuracy above chance kept (% of that of the originals)")
    finish_axes(axes, "x")
