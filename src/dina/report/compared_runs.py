"""The table of several runs as words, as Markdown and CSV for papers, and as a figure, each file whole or not at all."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from dina.artifacts import write_text
from dina.figures.parts import Table
from dina.figures.style import style_of
from dina.figures.svg import svg_of
from dina.figures.words import DASH, number, percent, signed
from dina.report.figures.compared_runs import draw_compared_runs

QUERIES = {"averaged": "averaged", "single_trial": "single trial"}
MARKS = {"templates": " †", "truth": " ‡"}


def comparison_table(comparison: xr.Dataset) -> Table:
    """Return the table of several runs: accuracies with intervals, paired differences, q-values.

    Parameters
    ----------
    comparison
        From `dina.study.compared_runs.compare_runs`.
    """
    heads = [f"{words}, {what}" for words in QUERIES.values() for what in ("top-1", "minus reference", "q")]
    rows = []
    for entry in range(comparison.sizes["entry"]):
        one = comparison.isel(entry=entry)
        cells = [cell for queries in QUERIES for cell in _cells(one.sel(queries=queries))]
        galleries = {int(size) for size in one["n_gallery"].to_numpy() if math.isfinite(size)}
        rows.append((entry_words(one), *cells, " / ".join(map(str, sorted(galleries))) or DASH))
    caption = "Which image was shown? Top-1 accuracy in %, and paired differences in percentage points, with 95\u202f% intervals."
    return Table(caption, ("decoder", *heads, "gallery"), tuple(rows))


def entry_words(one: xr.Dataset) -> str:
    """Return how an entry of the table is called: its decoder in words, its run where needed, and a mark for what it reads."""
    label, decoder, reads = (str(one[name].item()) for name in ("label", "decoder", "reads"))
    words = style_of(decoder, reads).label + label.removeprefix(decoder)
    return words + MARKS.get(reads, "") + (" (reference)" if bool(one["is_reference"].item()) else "")


def _cells(one: xr.Dataset) -> tuple[str, str, str]:
    value, low, high, minus, minus_low, minus_high, q_value = (
        float(one[name])
        for name in (
            "top1",
            "top1_low",
            "top1_high",
            "top1_difference",
            "top1_difference_low",
            "top1_difference_high",
            "top1_q_value",
        )
    )
    own = DASH if math.isnan(value) else f"{100 * value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
    paired = (
        DASH if math.isnan(minus) else f"{signed(100 * minus, 1)} [{signed(100 * minus_low, 1)}, {signed(100 * minus_high, 1)}]"
    )
    return own, paired, number(q_value, 2)


def comparison_remarks(comparison: xr.Dataset) -> tuple[str, ...]:
    """Return what a reader must know beside the table: chance, pairing, marks, and how the runs differ.

    Parameters
    ----------
    comparison
        From `dina.study.compared_runs.compare_runs`.
    """
    chances = sorted({float(chance) for chance in comparison["chance_top1"].to_numpy().ravel() if math.isfinite(chance)})
    references = [entry_words(comparison.isel(entry=i)).removesuffix(" (reference)") for i in _references(comparison)]
    n_tasks = len(references)
    lines = [
        f"Chance: {', '.join(map(percent, chances))}. Differences are to {' and '.join(references)}, on the same queries; intervals are"
        f" bootstrapped over images ({comparison.attrs['n_resamples']:,} resamples), p-values come from exchanging the two"
        " decoders image by image, and q controls the false discovery rate over all decoders of the table that read images.",
    ]
    if n_tasks > 1:
        lines.append(
            f"The runs are of {n_tasks} different recordings or splits: nothing is paired between them, and their accuracies"
            " differ by the data as well as by the decoder."
        )
    reads = {str(word) for word in comparison["reads"].to_numpy()}
    lines += ["† reads responses to the very images of the gallery: a reference level, not a rival."] * ("templates" in reads)
    lines += ["‡ knows the simulation: the bound for its family."] * ("truth" in reads)
    lines += _empty(comparison)
    first = str(comparison["run"].to_numpy()[0])
    told = json.loads(str(comparison.attrs["differs"]))
    return (*lines, *(f"{run} differs from {first} in: {what}." for run, what in told.items()))


def _empty(comparison: xr.Dataset) -> list[str]:
    """Say which entries have no numbers, or none of one kind of query, and why; those of one reason together."""
    missing: dict[tuple[str, str], list[str]] = {}
    for entry in range(comparison.sizes["entry"]):
        one = comparison.isel(entry=entry)
        told = {words: str(one["reason"].sel(queries=queries).item()) for queries, words in QUERIES.items()}
        empty = {words: reason for words, reason in told.items() if reason}
        where = "" if len(empty) == len(QUERIES) else ", ".join(empty)
        for reason in dict.fromkeys(empty.values()):
            missing.setdefault((where, reason), []).append(entry_words(one))
    return [
        f"Left empty, {', '.join(names)}{f' ({where} queries)' if where else ''}: {reason}"
        for (where, reason), names in missing.items()
    ]


def _references(comparison: xr.Dataset) -> list[int]:
    return [i for i, is_one in enumerate(comparison["is_reference"].to_numpy()) if is_one]


def comparison_markdown(comparison: xr.Dataset) -> str:
    """Return table and remarks as Markdown."""
    table = comparison_table(comparison)
    rule = ["---"] * table.n_words + ["---:"] * (len(table.columns) - table.n_words)
    rows = [_line(cells) for cells in (table.columns, rule, *table.rows)]
    return "\n".join([table.caption, "", *rows, "", *(f"- {line}" for line in comparison_remarks(comparison))]) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def write_comparison(comparison: xr.Dataset, folder: Path) -> tuple[Path, ...]:
    """Write ``comparison.csv``, ``comparison.md`` and ``comparison.svg``.

    Parameters
    ----------
    comparison
        From `dina.study.compared_runs.compare_runs`.
    folder
        Made if it is not there.

    Returns
    -------
    paths
        Of the three files.
    """
    texts = {
        "csv": comparison.to_dataframe().reset_index().drop(columns="entry").to_csv(index=False, lineterminator="\n"),
        "md": comparison_markdown(comparison),
        "svg": svg_of(draw_compared_runs(comparison), "comparison"),
    }
    paths = tuple(folder / f"comparison.{ending}" for ending in texts)
    for path, text in zip(paths, texts.values(), strict=True):
        write_text(path, text)
    return paths
