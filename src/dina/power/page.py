"""What the page of a run says of more images, neurons or repeats."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dina.figures.canvas import finish_axes, in_style, new_figure, write_plain_numbers
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.style import COLOURS
from dina.figures.words import interval, percent
from dina.power.run_power import FORETOLD
from dina.study.run_directory import Run


def power_sections(run: Run) -> list[Section]:
    """Return the section about larger studies, or nothing where `dina power` was not asked."""
    found = run.read_json(FORETOLD)
    rows = found.get("forecasts", [])
    if not rows:
        return []
    table = power_table(found)
    caption = (
        f"Top-1 accuracy that one study of another size will find, among {found['gallery']} candidates, with its 90\u202f% prediction"
        " interval: images of the pilot, neurons, the law of growth and the new test images are drawn anew. Dotted: chance."
    )
    spoken = "Accuracy foretold for twice and four times the images, neurons and repeats; the numbers are in the table."
    words = (
        str(found["sentence"]),
        "Foretold from left-out images of this recording, decoded with all of it and with half its images, neurons or repeats"
        " (docs/power.md). The larger study is thought to be of the same kind: more images of the same sort, more neurons of the same"
        " population, more repeats in one session.",
    )
    return [
        Section(
            "power",
            "What more data would give",
            words,
            [FigurePart("power", draw_power(rows, 1 / found["gallery"]), caption, spoken, table)],
        )
    ]


def power_table(found: dict[str, Any]) -> Table:
    """Return the forecasts as a table for the page and for the terminal."""
    rows = tuple(
        (
            str(row["study"]),
            f"{row['n_images']:,.0f}",
            f"{row['n_neurons']:,.0f}",
            f"{row['n_repeats']:g}",
            percent(row["top1"]),
            interval(row["low"], row["high"]),
        )
        for row in found["forecasts"]
    )
    columns = ("study", "images to learn from", "neurons", "repeats", "top-1, foretold", "90\u202f% prediction interval")
    kind = "averaged responses" if found["queries"] == "averaged" else "single trials"
    return Table(
        f"Accuracy foretold among {found['gallery']} candidates (chance {percent(1 / found['gallery'])}), {kind}.", columns, rows
    )


@in_style
def draw_power(rows: list[dict[str, Any]], chance: float) -> Figure:
    """Draw each forecast with its interval, one row for each study."""
    figure = new_figure(130, 22 + 8 * len(rows))
    axes = figure.add_subplot()
    place = -np.arange(len(rows))
    top1, low, high = (100 * np.array([row[name] for row in rows]) for name in ("top1", "low", "high"))
    axes.hlines(place, low, high, color=COLOURS["dina"][0], linewidth=2)
    axes.plot(top1, place, "o", color=COLOURS["dina"][0], markersize=5)
    axes.axvline(100 * chance, color=COLOURS["muted"][0], linestyle=":")
    axes.set_yticks(place, [str(row["study"]) for row in rows])
    axes.set(
        xlim=(0, 101), ylim=(-len(rows) + 0.4, 0.6), xlabel="top-1 accuracy foretold (% of queries), 90 % prediction interval"
    )
    write_plain_numbers(axes.xaxis)
    finish_axes(axes, "x", has_named_rows=True)
    return figure
