"""Accuracy as curves: over the number of best images (k), and over the size of the gallery."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import NullLocator

from dina.figures.canvas import CHANCE_LINE, finish_axes, in_style, new_figure, write_plain_numbers
from dina.figures.caption_words import SAME_GALLERY
from dina.figures.line_names import name_lines
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.style import COLOURS, QUERIES, DecoderStyle, style_of
from dina.figures.words import DASH, interval, percent
from dina.retrieval.evaluate import DecodingRow
from dina.retrieval.ranks import count_better_and_tied
from dina.study.run_directory import Run

STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def rank_curves(run: Run, rows: list[DecodingRow], reads: dict[str, str]) -> list[FigurePart]:
    """Return the figure of how often the right image is among the best k; none where no query of the main kind was scored."""
    kind: Any = run.main_queries
    counts, sizes = {}, {}
    for name in dict.fromkeys(row.decoder for row in rows if row.queries == kind):
        if name in run.retrieval and kind in run.retrieval[name].scored:
            scored = run.retrieval[name].scored[kind]
            counts[name] = count_better_and_tied(scored.scores, scored.target.astype(np.int64))
            sizes[name] = scored.scores.shape[1]
    if not counts:
        return []
    largest, n_queries = max(sizes.values()), len(next(iter(counts.values()))[0])
    steps = [k for k in STEPS if k <= largest]
    lines = [
        (style_of(name, reads[name]).label, *(percent(_share_found(*count, k)) for k in steps)) for name, count in counts.items()
    ]
    chance = ("chance", *(percent(min(1.0, k / next(iter(sizes.values())))) for k in steps))
    words = f"Queries ({QUERIES[kind]}) whose image is among the best k."
    table = Table(words, ("decoder", *(f"k = {k}" for k in steps)), (*lines, chance))
    caption = (
        f"How often the right image is among the best k of {largest}, {QUERIES[kind]}, {n_queries} queries. Its left end is top-1"
        " accuracy; a miss near the left was a near miss. Ties count by expectation. Only top-1 accuracy has an interval, in the table of all"
        " decoders; a curve compares no decoders, the paired differences do."
    )
    spoken = "Fraction of queries whose image is among the best k, for every k and decoder; the numbers are in the table."
    return [FigurePart("ranks", draw_ranks(counts, sizes, reads), caption, spoken, table)]


def _share_found(n_better: np.ndarray, n_tied: np.ndarray, k: int) -> float:
    """Return the share of queries whose target is among the best ``k``, where ties count by expectation as in the table."""
    return float(np.clip((k - n_better) / (n_tied + 1), 0.0, 1.0).mean())


@in_style
def draw_ranks(
    counts: Mapping[str, tuple[np.ndarray, np.ndarray]], n_gallery: Mapping[str, int], reads: Mapping[str, str]
) -> Figure:
    """Draw the fraction of queries whose target is among the best k, against k, with chance of the first decoder's gallery.

    ``counts`` holds for each decoder how many candidates score above the target of each query, and how many score the same.
    """
    longest = max(len(style_of(name, reads.get(name, "images")).short) for name in counts)
    n_columns = 3 if longest <= 20 else 2  # three columns of long names are wider than the figure
    figure = new_figure(130, 77 + 4.5 * -(-(len(counts) + 1) // n_columns))
    axes = figure.add_subplot()
    largest = max(n_gallery.values())
    k = np.unique(np.geomspace(1, largest, 200).round().astype(int))
    for name, count in counts.items():
        style = style_of(name, reads.get(name, "images"))
        found = [100 * _share_found(*count, int(each)) for each in k]
        axes.step(k, found, where="post", color=style.colour, linestyle=style.line, label=style.short, **_look(name, style))
    chance = np.minimum(k / next(iter(n_gallery.values())), 1.0)
    axes.plot(k, 100 * chance, label="chance", **CHANCE_LINE)
    axes.set(xscale="log", xlim=(1, largest), ylim=(0, 101), xlabel="k (number of best images, logarithmic)")
    axes.set_ylabel("right image among the best k (% of queries)")
    axes.set_xticks([step for step in STEPS if step <= largest])
    axes.xaxis.set_minor_locator(NullLocator())
    write_plain_numbers(axes.xaxis, axes.yaxis)
    figure.legend(loc="outside lower center", ncols=n_columns, handlelength=2.6)
    finish_axes(axes, "both")
    return figure


def _look(name: str, style: DecoderStyle) -> dict[str, Any]:
    """Return width and place of a line: dina is wide, and what shares its colour is cut out of it, so that both are seen where they lie on each other."""
    if name == "dina":
        return {"linewidth": 2.8, "zorder": 3}
    if style.kind != "dina":
        return {"linewidth": 1.2, "zorder": 3}
    edge = withStroke(linewidth=3.4, foreground=COLOURS["paper"][0])
    return {"linewidth": 1.2, "zorder": 4, "path_effects": [edge]}


def gallery_sizes(run: Run) -> Section:
    """Show accuracy against the size of the gallery."""
    title, dataset = "Accuracy against gallery size", run.gallery_size
    if dataset is None:
        return Section("gallery-size", title, missing=("It was not computed: the run holds no results/gallery_size.nc.",))
    reads = {str(name): run.reads(str(name)) for name in dataset["decoder"].to_numpy()}
    known = [kind for kind in map(str, dataset["queries"].to_numpy()) if np.isfinite(dataset["top1"].sel(queries=kind)).any()]
    words = f"The more candidates, the harder the task. Accuracies from studies with different galleries can only be compared at the same size. {SAME_GALLERY}"
    missing = () if known else ("The results hold no number.",)
    return Section("gallery-size", title, (words,), [_size_figure(dataset, kind, reads) for kind in known], missing=missing)


def _size_figure(dataset: xr.Dataset, queries: str, reads: dict[str, str]) -> FigurePart:
    one, words = dataset.sel(queries=queries), QUERIES.get(queries, queries)
    sizes = one["gallery_size"].to_numpy()
    caption = f"Top-1 accuracy against the number of candidates, {words}; chance is one over that number. Shaded: 95\u202f% interval of dina; those of the others are in the table."
    spoken = (
        f"Top-1 accuracy of each decoder in galleries of {int(sizes.min())} to {int(sizes.max())} images, {words}; the numbers are in"
        " the table."
    )
    lines = []
    for name in map(str, one["decoder"].to_numpy()):
        values = zip(*(one[key].sel(decoder=name).to_numpy() for key in ("top1", "top1_low", "top1_high")), strict=True)
        cells = (f"{percent(v)}\n({interval(low, high)})" if np.isfinite(v) else DASH for v, low, high in values)
        if np.isfinite(one["top1"].sel(decoder=name)).any():
            lines.append((style_of(name, reads[name]).label, *cells))
    chance = ("chance", *(percent(float(value)) for value in one["chance"].to_numpy()))
    title = f"Top-1 accuracy (95\u202f% interval) by gallery size, {words}."
    table = Table(title, ("decoder", *(f"{int(size)} images" for size in sizes)), (*lines, chance))
    return FigurePart(f"gallery_size_{queries}", draw_gallery_size(dataset, queries, reads), caption, spoken, table)


@in_style
def draw_gallery_size(dataset: xr.Dataset, queries: str, reads: Mapping[str, str]) -> Figure:
    """Draw top-1 accuracy against gallery size for one kind of query, each line named at its end.

    ``dataset`` is ``results/gallery_size.nc``: fractions, NaN where a decoder has no such query.
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
        look: Any = {"color": style.colour, "linestyle": style.line, **_look(name, style)}
        axes.plot(size[seen], top1[seen], marker=style.marker, markersize=3, **look)
        if name == "dina":
            low, high = (100 * line[bound].to_numpy()[seen] for bound in ("top1_low", "top1_high"))
            axes.fill_between(size[seen], low, high, color=style.colour, alpha=0.15, linewidth=0, zorder=2)
        ends.append((float(top1[seen][-1]), style.short, style.colour))
    chance = 100 * one["chance"].to_numpy()
    axes.plot(size, chance, **CHANCE_LINE)
    ends.append((float(chance[-1]), "chance", COLOURS["chance"][0]))
    axes.set_xscale("log")
    ticks = size[(size < 0.6 * size.max()) | (size == size.max())]  # those too near to the last would run into it
    axes.set_xticks(ticks, [f"{int(value)}" for value in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlim=(size.min() * 0.9, size.max() * 1.03), xlabel="gallery size (number of candidate images, logarithmic)")
    axes.set(ylim=(0, 102), ylabel="top-1 accuracy (% of queries)")
    write_plain_numbers(axes.yaxis)
    name_lines(axes, ends, height_points=85 / 25.4 * 72 * 0.78)
    finish_axes(axes, "y")
    return figure
