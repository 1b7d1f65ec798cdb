"""What the page of a run says of more images, neurons or repeats."""

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dina.analyses.verdict import in_page_words
from dina.figures.canvas import finish_axes, in_style, new_figure, write_plain_numbers
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.style import COLOURS
from dina.figures.words import DASH, interval, percent
from dina.power.forecast import MOST
from dina.power.run_power import FORETOLD
from dina.power.verdict_forecast import LIKELY
from dina.study.run_directory import Run
from dina.study.shown_once import was_shown_once

POWER_TITLE = "What more data would give"
SURE = (
    "“Rather sure” means that the lower end of the 90\u202f% interval of the mean accuracy over many such studies reaches the accuracy. The"
    " intervals below are those of one study. They are wider, because its test images are drawn, too."
)


def power_sections(run: Run) -> list[Section]:
    """Return the section about larger studies, or nothing where `dina power` was not asked."""
    found = run.read_json(FORETOLD)
    rows = found.get("forecasts", [])
    if not rows:
        return []
    table = power_table(found, "responses" if was_shown_once(run) else "averaged responses")
    caption = (
        f"Top-1 accuracy that one study of another size will find, among {found['gallery']} candidates, with its 90\u202f% prediction"
        " interval: images of the pilot, neurons, the law of growth and the new test images are drawn anew. Dotted: chance."
    )
    spoken = "Accuracy foretold for larger studies; the numbers are in the table."
    has_repeats = any(row["study"].endswith("times the repeats") for row in rows)
    words = (
        str(found["sentence"]),
        "Foretold from left-out images of this recording, decoded with all of it and with half its"
        f" {'images, neurons or repeats' if has_repeats else 'images or neurons'}. The larger study is thought to be of the same kind: more"
        f" images of the same sort, more neurons of the same population{', more repeats in one session' if has_repeats else ''}.",
        _measured_here(run, found),
        SURE,
    )
    figures = [FigurePart("power", draw_power(rows, 1 / found["gallery"]), caption, spoken, table)]
    tables = verdict_tables(found)
    return [Section("power", POWER_TITLE, words, figures, tables, without_verdicts(found))]


def _measured_here(run: Run, found: dict[str, Any]) -> str:
    """Say what the split of this run found, and why the forecast for a study as large is another number."""
    measured = [row for row in run.select(found["queries"]) if row.decoder == "dina" and row.top1 is not None]
    here = "".join(
        f" This split found {percent(row.top1)} ({interval(row.top1_low, row.top1_high)}) among its {row.n_gallery:,} test images"
        f"{'' if row.n_gallery == found['gallery'] else _among_as_many(run, found)}."
        for row in measured
    )
    return (
        "“As it is” is no measurement but the forecast for a study as large as this one."
        f"{here} The forecast rests on other images: all images of the recording are left out once, in folds, and what smaller training"
        " sets give is carried on to the size of this one. So the two may differ."
    )


def _among_as_many(run: Run, found: dict[str, Any]) -> str:
    """Say that the forecast has another gallery, and what this split finds in one as large, if that was computed."""
    sizes, gallery = run.gallery_size, int(found["gallery"])
    apart = f", where the forecast is among {gallery:,}"
    if sizes is None or gallery not in sizes["gallery_size"].to_numpy():
        return apart
    here = float(sizes["top1"].sel(queries=found["queries"], decoder="dina", gallery_size=gallery))
    return apart if math.isnan(here) else f"{apart}; among {gallery:,}, this split finds {percent(here)}"


def power_table(found: dict[str, Any], averages: str = "averaged responses") -> Table:
    """Return the forecasts as a table for the page and for the terminal; ``averages`` is what averaged responses are called."""
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
    kind = averages if found["queries"] == "averaged" else "single trials"
    return Table(
        f"Accuracy foretold among {found['gallery']} candidates (chance {percent(1 / found['gallery'])}), {kind}.", columns, rows
    )


def verdict_tables(found: dict[str, Any]) -> list[Table]:
    """Return the chance that more test images decide each claim, for the page and for the terminal; nothing where none is known."""
    rows = found.get("verdicts", [])
    if not any(row["chance"] for row in rows):
        return []
    every = list(dict.fromkeys(times for row in rows for times in row["chance"]))
    has = found["measured"]["test images"]
    body = tuple(
        (
            str(row["claim"]),
            str(row["verdict"]),
            *(_chance(row["chance"].get(times)) for times in every),
            _images(row, has),
        )
        for row in rows
    )
    caption = (
        f"Probability that new test images decide a claim (supported or not supported), the towers as they are; now there are {has}. Drawn"
        " from the findings of this run and the width that their intervals will have."
    )
    headings = tuple(f"{int(times) * has:,} test images" for times in every)
    chances = Table(caption, ("claim", "now", *headings, f"test images for {100 * LIKELY:.0f}\u202f%"), body, n_words=2)
    by_note: dict[str, list[str]] = {}
    for row in rows:
        if row["note"]:
            by_note.setdefault(in_page_words(row["note"]), []).append(str(row["claim"]))
    notes = tuple((" ".join(claims), note) for note, claims in by_note.items())
    return [
        chances,
        *([Table("Why no number of test images is said above.", ("claim", "reason"), notes, n_words=2)] if notes else []),
    ]


def without_verdicts(found: dict[str, Any]) -> list[str]:
    """Return why no chance to decide a claim is known, where none is."""
    rows = found.get("verdicts", [])
    if not rows or any(row["chance"] for row in rows):
        return []
    return ["Whether more test images decide claims follows from analyses. Do dina interpret RUN, then dina power RUN again."]


def _chance(value: float | None) -> str:
    return DASH if value is None else f"{100 * value:.0f}\u202f%"


def _images(row: dict[str, Any], has: int) -> str:
    is_out_of_reach = row["note"] and row["times"] is None
    if is_out_of_reach or not any(row["chance"].values()):  # not foretold, or no number helps; the notes say why
        return DASH
    times = row["times"]
    return f"more than {MOST * has:,.0f}" if times is None else f"{times * has:,.0f}"


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
