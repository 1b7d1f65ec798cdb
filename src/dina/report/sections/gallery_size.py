"""How accuracy falls as the gallery grows."""

import numpy as np
import xarray as xr

from dina.figures.parts import FigurePart, Section, Table
from dina.figures.style import style_of
from dina.figures.words import DASH, interval, percent
from dina.report.figures import draw_gallery_size
from dina.report.read_run import Run
from dina.report.sections.accuracy import QUERIES


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
