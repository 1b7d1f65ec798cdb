"""The pages of the pathways: what masking parts of the image tower costs, and what towers of one pathway decode."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.caption_words import SAME_GALLERY, is_above_chance, responses_words
from dina.figures.channel_words import ANGLES, bars_of_channel
from dina.figures.difference_words import points_interval
from dina.figures.finding_parts import draw_dots, finding_table, reasons
from dina.figures.finding_words import LOCAL_CHANNELS, in_a_sentence
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.style import COLOURS
from dina.figures.words import DASH, from_to, numbers
from dina.models.spaces import SPACES
from dina.statistics.finding import Finding

# Measure, label, factor.
PANELS = (
    ("ssim", "similarity of\nmaps (SSIM)", 1.0),
    ("correlation", "correlation\nof maps", 1.0),
    ("top1_loss", "top-1 accuracy\nlost (points)", 100.0),
    ("log_rank_loss", "log rank added\n(nats; + is worse)", 1.0),
)
# Numbers that differ by less than this differ by rounding alone.
_ROUNDING = 1e-9
# What the parts of a Gabor tower are.
KINDS = (
    f" {ANGLES} Energy: like complex cells. Normalised: divided by the contrast around. Even, odd: like simple cells of either phase and sign."
    " Pooled: the image averaged without filters."
)
# What the last rows are where the tower stacks feature spaces.
STACKED = (
    " Last rows: one feature space at a time. A space of the whole"
    " image belongs to the global pathway. Similarities are of the channels with places alone. Spaces have no grey band: they"
    " are all channels with places, or none of these."
)


NOTHING_TO_SHARE = "This is no more than chance, so there is nothing to which a pathway could contribute."


def pathway_masking_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show losses by part, and the share of each pathway in the accuracy."""
    found = {finding.name: finding for finding in findings}
    words = {str(part): _words(str(part)) for part in dataset["masked"].to_numpy()}
    pathways = [str(name) for name in dataset["pathway"].to_numpy()]
    full, answer = found["top1_full"], _answer(dataset, found, pathways)
    n, n_compared = int(dataset.attrs["n_images"]), int(dataset.attrs["n_similarity"])
    has_random = bool(np.isfinite(dataset["null_low"].to_numpy()).any())
    band = "Grey: random channels, the central 95\u202f% for as many channels or features drawn at random. " if has_random else ""
    band += "Chance, the range of losses if queries are assigned to other images, is the null in the table."
    kinds = (KINDS if "pooled" in words else "") + (STACKED if any(part.startswith("space_") for part in words) else "")
    masked = {f"top1_loss_{part}": f"{named} masked" for part, named in words.items()}
    figures = [
        FigurePart(
            "pathway_masking",
            _draw_pathway_masking(dataset, words),
            f"Each part of the image tower masked in turn: structural similarity (SSIM) and correlation of the masked with the whole maps ({n_compared} test images), then"
            f" the top-1 accuracy lost and the mean log rank added (right of 0: the right image stands further behind), paired over {n} test images; {responses_words(dataset)} as"
            f" queries. A masked channel is replaced by its mean over training images. Bars: 95\u202f% intervals over images. {band}{kinds}",
            answer,
            finding_table("Top-1 accuracy lost.", masked, found, points=masked),
        )
    ]
    shapley = {f"shapley_{name}": f"{name} pathway" for name in pathways}
    if pathways and is_above_chance(full):
        has_band = bool(np.isfinite(dataset["shapley"].to_numpy()[:, 3]).all())
        of_band = " Grey: random channels, the same for channels assigned to pathways at random." if has_band else ""
        figures.append(
            FigurePart(
                "pathway_shapley",
                _draw_shapley(dataset),
                "Dots: contribution of each pathway to the accuracy above that with all masked, averaged over all orders in which pathways can"
                f" join, with 95\u202f% interval.{of_band} Chance, the range of contributions if queries are assigned to other images, is the null in the table."
                " Line: the accuracy with nothing masked.",
                answer,
                finding_table("Contributions of the pathways to top-1 accuracy.", shapley, found, points=shapley),
            )
        )
    shown = {name: found[name] for name in (*masked, *shapley)}
    missing = reasons(masked | {name: f"contribution of the {words}" for name, words in shapley.items()}, shown)
    if pathways and not is_above_chance(full):
        missing += (f"contributions of the pathways: {NOTHING_TO_SHARE}",)
    tables = (_as_drawn(dataset, words),)
    return Section(
        "pathway-masking", "Pathways and channels", paragraphs=(answer,), figures=figures, tables=tables, missing=missing
    )


def _as_drawn(dataset: xr.Dataset, words: Mapping[str, str]) -> Table:
    """Return every number of the figure of masking: value, interval and what random channels give."""
    rows = []
    for part, named in words.items():
        cells = []
        for measure, _, factor in PANELS:
            one = dataset.sel(masked=part, measure=measure)
            if measure in ("ssim", "correlation") and float(one["values"]) == 1:
                cells.append(DASH)
                continue
            value, *ends = numbers(*(factor * float(one[name]) for name in ("values", "low", "high", "null_low", "null_high")))
            random = from_to(*ends[2:])
            cells.append(f"{value} ({from_to(*ends[:2])}{'' if random == DASH else '; random: ' + random})")
        rows.append((named, *cells))
    columns = ("masked", *(" ".join(label.split()) for _, label, _ in PANELS))
    return Table(
        "What each masked part changes, with 95\u202f% interval, and what as many random channels change. –: no channel with places is masked.",
        columns,
        tuple(rows),
    )


def _answer(dataset: xr.Dataset, found: Mapping[str, Finding], pathways: list[str]) -> str:
    """Say what each pathway contributes to the accuracy, if there is any, and what masking can show."""
    full = found["top1_full"]
    answer = f"Top-1 accuracy among {full.n:,} test images is {in_a_sentence(full)}."
    if not is_above_chance(full):
        answer += f" {NOTHING_TO_SHARE}"
    elif pathways:
        shares = "; ".join(f"the {name} pathway {in_a_sentence(found[f'shapley_{name}'], 'points')}" for name in pathways)
        answer += f" To it contribute {shares}.{_beside_random_channels(dataset)}{_of_spaces(found)}"
    return (
        f"{answer} Masking gives the towers maps that did not occur in training. Towers fitted with one pathway alone are a stronger test."
        f" {SAME_GALLERY}"
    )


def _of_spaces(found: Mapping[str, Finding]) -> str:
    """Say what masking a trained network alone costs, and how the local channels differ from the local pathway."""
    said = ""
    if "top1_loss_space_trained_network" in found:
        loss = in_a_sentence(found["top1_loss_space_trained_network"], "points")
        said += (
            f" The global pathway contains a network trained on photographs; the accuracy lost if it alone is masked is {loss}."
        )
    if "top1_loss_space_gabor_channels" in found:
        loss = in_a_sentence(found["top1_loss_space_gabor_channels"], "points")
        said += _part_beside_whole(found)
        said += (
            f" The {LOCAL_CHANNELS} are not the local pathway: they are the Gabor channels with places on the map, of all wavelengths, and one"
            f" feature space among others, which may replace them (lost if they are masked: {loss}). The local pathway holds"
            " the local features of every feature space."
        )
    return said


def _part_beside_whole(found: Mapping[str, Finding]) -> str:
    """Say how masking the local channels can cost more than masking the pathway that contains them, where it does."""
    part, whole = found["top1_loss_space_gabor_channels"], found.get("top1_loss_local")
    if whole is None or not part.value > whole.value:
        return ""
    overlap = "; but the intervals overlap, so this is not certain" if part.low <= whole.high else ""
    return (
        f" Masking the {LOCAL_CHANNELS} costs more than masking the whole local pathway ({in_a_sentence(whole, 'points')}): what is left of a"
        f" pathway can mislead more than none of it{overlap}."
    )


def _beside_random_channels(dataset: xr.Dataset) -> str:
    """Say what channels assigned to the pathways at random contribute, and whether the pathways contribute more or less.

    A pathway certainly contributes more, or less, where its interval does not overlap with their range.
    """
    value, begin, end, low, high = dataset["shapley"].to_numpy().T
    if not np.isfinite([low, high]).all():
        return ""
    names = [str(name) for name in dataset["pathway"].to_numpy()]
    ranges = "; ".join(f"{name} {points_interval(*ends)}" for name, *ends in zip(names, low, high, strict=True))
    is_certain = (begin > high + _ROUNDING) | (end < low - _ROUNDING)
    special = [
        f"the {name} pathway {'contributes' if certain else 'does not certainly contribute'} {'more' if one > top else 'less'} than they do"
        for name, one, bottom, top, certain in zip(names, value, low, high, is_certain, strict=True)
        if not bottom - _ROUNDING <= one <= top + _ROUNDING
    ]
    found = "; ".join(special) if special else "no pathway contributes more or less than they do"
    more = (
        "" if is_certain.any() else " So these contributions may come from how many channels a pathway has, and not from which."
    )
    return f" Channels assigned to the pathways at random would contribute: {ranges}; {found}.{more}"


def pathway_refits_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show the accuracy of towers with all pathways and with each alone."""
    found = {finding.name: finding for finding in findings}
    names = [str(name) for name in dataset["pathways"].to_numpy()]
    words = {"top1_all": "all pathways"} | {f"top1_{name}_alone": f"{name} alone" for name in names[1:]}
    losses = {f"top1_loss_{name}_alone": f"lost with {name} alone" for name in names[1:]}
    accuracies = "; ".join(f"{words[name]} {in_a_sentence(found[name])}" for name in words if name in found)
    answer = f"Top-1 accuracy of towers that were fitted with {accuracies}."
    part = FigurePart(
        "pathway_refits",
        _draw_refits([(text, found[name]) for name, text in (words | losses).items()]),
        "Accuracy of towers fitted anew with one pathway of the image tower alone, and the loss against towers with all, paired over"
        f" {dataset.sizes['query']} test images; {responses_words(dataset)} as queries. Bars: 95\u202f% intervals over images; grey: central"
        " 95\u202f% if queries are assigned to other images; for losses, if the two fits are exchanged image by image."
        f" {SAME_GALLERY}",
        answer,
        finding_table("Towers fitted with one pathway alone.", words | losses, found, words, losses),
    )
    missing = reasons(words | losses, found)
    return Section("pathway-refits", "Each pathway fitted alone", paragraphs=(answer,), figures=(part,), missing=missing)


def _words(part: str) -> str:
    """Write the name of a part as readers know it.

    Examples
    --------
    >>> _words("scale_8px"), _words("orientation_45deg"), _words("kind_energy_normalised"), _words("space_pursued_gabors")
    ('8 px per cycle', 'bars at 45°', 'energy normalised', 'sums of a few Gabors')
    >>> _words("kind_even-"), _words("space_gabor_channels")
    ('even−', 'local channels')
    """
    if part.startswith("space_"):
        name = part.removeprefix("space_")
        if name == "gabor_channels":
            return LOCAL_CHANNELS
        return SPACES[name].label if name in SPACES else name.replace("_", " ")
    if part.startswith("scale_"):
        return f"{part.removeprefix('scale_').removesuffix('px')} px per cycle"
    if part.startswith("orientation_"):
        return f"bars at {bars_of_channel(part.removeprefix('orientation_').removesuffix('deg') + '°')}"
    return part.removeprefix("kind_").replace("_", " ").replace("-", "\N{MINUS SIGN}")  # even− and odd− are of negative sign


@in_style
def _draw_pathway_masking(dataset: xr.Dataset, words: Mapping[str, str]) -> Figure:
    """Draw one line per masked part and one panel per measure: dot with interval on the band of random parts."""
    parts = [str(part) for part in dataset["masked"].to_numpy()]
    family = [str(name) for name in dataset["family"].to_numpy()]
    place = np.arange(len(parts)) + 0.6 * np.cumsum([0, *(a != b for a, b in pairwise(family))])
    figure = new_figure(185, 20 + 5.2 * (place[-1] + 1))
    panels = figure.subplots(1, len(PANELS), sharey=True)
    for axes, (measure, label, factor) in zip(panels, PANELS, strict=True):
        _draw_measure(axes, dataset.sel(measure=measure), place, factor)
        axes.set_xlabel(label)
    panels[0].set_yticks(place, [words[part] for part in parts])
    panels[0].set_ylim(place[-1] + 0.7, -0.7)
    return figure


@in_style
def _draw_shapley(dataset: xr.Dataset) -> Figure:
    """Draw each pathway's contribution to the accuracy."""
    pathways = [str(name) for name in dataset["pathway"].to_numpy()]
    figure = new_figure(130, 24 + 9 * len(pathways))
    axes = figure.add_subplot()
    value, low, high, null_low, null_high = (100 * dataset["shapley"].to_numpy()).T
    place = np.arange(len(pathways))
    axes.barh(place, null_high - null_low, left=null_low, height=0.6, color=COLOURS["chance"][0], alpha=0.3, linewidth=0)
    axes.hlines(place, low, high, color=COLOURS["dina"][0], linewidth=1.4)
    axes.plot(value, place, "o", color=COLOURS["dina"][0], markersize=5, label="contribution")
    axes.axvline(100 * float(dataset.attrs["top1"]), color=COLOURS["ink"][0], linewidth=1.0, label="nothing masked")
    axes.set_yticks(place, pathways)
    axes.set_ylim(len(pathways) - 0.4, -0.6)
    axes.margins(x=0.04)
    axes.set_xlim(min(0.0, axes.get_xlim()[0]), None)
    axes.set_xlabel("top-1 accuracy (percentage points)")
    figure.legend(loc="outside upper left", ncols=3, handletextpad=0.4, columnspacing=0.8, fontsize=6.5)
    finish_axes(axes, "x")
    return figure


@in_style
def _draw_refits(rows: list[tuple[str, Finding]]) -> Figure:
    figure = new_figure(120, 16 + 7 * len(rows))
    draw_dots(figure.add_subplot(), rows, "top-1 accuracy (% of queries), and what is lost (points)", 100)
    return figure


def _draw_measure(axes: Axes, one: xr.Dataset, place: np.ndarray, factor: float) -> None:
    value, low, high, null_low, null_high = (
        factor * one[name].to_numpy() for name in ("values", "low", "high", "null_low", "null_high")
    )
    # a null as narrow as a line would not be seen
    seen = 0.008 * max(float(np.nanmax(high) - np.nanmin(low)), 1e-9)
    width = np.maximum(null_high - null_low, seen)
    axes.barh(
        place, width, left=(null_high + null_low - width) / 2, height=0.8, color=COLOURS["chance"][0], alpha=0.35, linewidth=0
    )
    axes.use_sticky_edges = False  # of the bars: a mark that lies at the end of one would be cut in half
    axes.hlines(place, low, high, color=COLOURS["dina"][0], linewidth=1.2)
    axes.plot(value, place, "o", color=COLOURS["dina"][0], markersize=3.5, zorder=3)
    if low.min() < 0 < high.max():
        axes.axvline(0, color=COLOURS["muted"][0], linewidth=0.6)
    finish_axes(axes, "x", has_named_rows=True)
