"""How accuracy falls as the gallery grows."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.style import COLOURS, style_of
from dina.figures.words import DASH, interval, percent
from dina.report.accuracy import QUERIES
from dina.study.run_directory import Run


@in_style
def draw_gallery_size(dataset: xr.Dataset, queries: str, reads: Mapping[str, str]) -> Figure:
    """Draw top-1 accuracy against gallery size for one kind of query, each line named at its end.

    Parameters
    ----------
    dataset
        ``top1``, ``top1_low``, ``top1_high`` (decoder, queries, gallery_size) and ``chance`` (gallery_size),
        fractions; NaN where a decoder has no such query.
    queries
        "averaged" or "single_trial".
    reads
        Decoder name → "images", "templates" or "truth".
    """
    one = dataset.sel(queries=queries).transpose(..., "decoder", "gallery_size")
    size = one["gallery_size"].to_numpy().astype(float)
    figure = new_figure(130, 85)
    axes = figure.add_subplot()
    ends: list[tuple[float, str, str]] = []
    for name in map(str, one["decoder"].to_numpy()):
        line = one.sel(decoder=name)
        top1 = 100 * line["top1"].to_numpy()
        seen = np.isfinite(top1)
        if not seen.any():
            continue
        style = style_of(name, reads.get(name, "images"))
        width = 2.2 if name == "dina" else 1.2
        axes.plot(
            size[seen],
            top1[seen],
            color=style.colour,
            linestyle=style.line,
            linewidth=width,
            marker=style.marker,
            markersize=3,
            zorder=3,
        )
        if name == "dina":
            low, high = (100 * line[bound].to_numpy()[seen] for bound in ("top1_low", "top1_high"))
            axes.fill_between(size[seen], low, high, color=style.colour, alpha=0.15, linewidth=0, zorder=2)
        ends.append((float(top1[seen][-1]), style.short, style.colour))
    chance = 100 * one["chance"].to_numpy()
    axes.plot(size, chance, color=COLOURS["chance"][0], linestyle=(0, (2, 1.5)), linewidth=1.0)
    ends.append((float(chance[-1]), "chance", COLOURS["chance"][0]))
    axes.set_xscale("log")
    ticks = size[(size < 0.6 * size.max()) | (size == size.max())]  # those too near to the last would run into it
    axes.set_xticks(ticks, [f"{int(value)}" for value in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(0, 102)
    axes.set_xlim(size.min() * 0.9, size.max() * 1.03)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("gallery size (number of candidate images, logarithmic)")
    axes.set_ylabel("top-1 accuracy (% of queries)")
    _name_lines(axes, ends, height_points=85 / 25.4 * 72 * 0.78)
    finish_axes(axes, "y")
    return figure


def _name_lines(axes: Axes, ends: list[tuple[float, str, str]], height_points: float) -> None:
    """Write each line's name at its right end, moved up or down just enough that no two names overlap."""
    low, high = axes.get_ylim()
    spacing = 9.5 * (high - low) / height_points  # one line of text in the units of the axis
    places = spread(np.array([end for end, _, _ in ends]), spacing, low + spacing / 2, high)
    for place, (end, text, colour) in zip(places, ends, strict=True):
        axes.annotate(
            text,
            (1.0, end),
            xycoords=axes.get_yaxis_transform(),
            xytext=(1.035, float(place)),
            textcoords=axes.get_yaxis_transform(),
            color=colour,
            va="center",
            fontsize=7.5,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.5, "shrinkA": 1, "shrinkB": 0},
        )


def spread(values: np.ndarray, spacing: float, low: float, high: float) -> np.ndarray:
    """Move values apart until neighbours are ``spacing`` apart, keeping their order and staying in [low, high] if they fit.

    Examples
    --------
    >>> spread(np.array([1.0, 1.0, 5.0]), 1.0, 0.0, 10.0).tolist()
    [0.5, 1.5, 5.0]
    """
    order = np.argsort(values, kind="stable")
    # Blocks of touching labels, each centred on the mean of its members, merged until none overlap (pool adjacent violators).
    blocks: list[tuple[float, int]] = []
    for value in values[order]:
        blocks.append((float(value), 1))
        while len(blocks) > 1 and blocks[-1][0] - blocks[-2][0] < spacing * (blocks[-1][1] + blocks[-2][1]) / 2:
            (centre_b, n_b), (centre_a, n_a) = blocks.pop(), blocks.pop()
            n = n_a + n_b
            centre = (centre_a * n_a + centre_b * n_b) / n
            half = spacing * (n - 1) / 2
            blocks.append((min(max(centre, low + half), max(high - half, low + half)), n))
    placed = np.concatenate([centre + spacing * (np.arange(n) - (n - 1) / 2) for centre, n in blocks])
    result = np.empty_like(placed)
    result[order] = placed
    return result


def gallery_sizes(run: Run) -> Section:
    """Show accuracy against the size of the gallery."""
    title = "Accuracy against gallery size"
    if run.gallery_size is None:
        return Section("gallery-size", title, missing=("It was not computed: the run holds no results/gallery_size.nc.",))
    dataset = run.gallery_size
    reads = {str(name): run.reads(str(name)) for name in dataset["decoder"].to_numpy()}
    parts = []
    for queries in map(str, dataset["queries"].to_numpy()):
        one = dataset.sel(queries=queries)
        if not np.isfinite(one["top1"].to_numpy()).any():
            continue
        sizes = one["gallery_size"].to_numpy()
        parts.append(
            FigurePart(
                f"gallery_size_{queries}",
                draw_gallery_size(dataset, queries, reads),
                f"Top-1 accuracy against the number of candidates, {QUERIES.get(queries, queries)}; chance is one over that number. Shaded: 95\u202f% interval of dina.",
                f"Top-1 accuracy of each decoder in galleries of {int(sizes.min())} to {int(sizes.max())} images, {QUERIES.get(queries, queries)}; the numbers are in the table.",
                _gallery_size_table(one, reads, queries),
            )
        )
    return Section(
        "gallery-size",
        title,
        paragraphs=(
            "The more candidates, the harder the task. Accuracies from studies with different galleries can only be compared at the same size.",
        ),
        figures=parts,
        missing=() if parts else ("The results hold no number.",),
    )


def _gallery_size_table(one: xr.Dataset, reads: dict[str, str], queries: str) -> Table:
    sizes = one["gallery_size"].to_numpy()
    lines = []
    for name in map(str, one["decoder"].to_numpy()):
        line = one.sel(decoder=name)
        values = zip(line["top1"].to_numpy(), line["top1_low"].to_numpy(), line["top1_high"].to_numpy(), strict=True)
        lines.append(
            (
                style_of(name, reads[name]).label,
                *(f"{percent(v)}\n({interval(low, high)})" if np.isfinite(v) else DASH for v, low, high in values),
            )
        )
    chance = ("chance", *(percent(float(value)) for value in one["chance"].to_numpy()))
    return Table(
        f"Top-1 accuracy (95\u202f% interval) by gallery size, {QUERIES.get(queries, queries)}.",
        ("decoder", *(f"{int(size)} images" for size in sizes)),
        (*lines, chance),
    )
