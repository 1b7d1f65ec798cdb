"""The page of results: every row of the table with its ratio, the machine's limit, the agreement and how time grows; or why not run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.speed.contest import Line

BUSY = 2.0  # load of a machine on which something else computes


@dataclass(frozen=True)
class RowResult:
    """What one row gave, under the conditions that are written with it."""

    lines: tuple[Line, ...]
    seconds: float
    threads: int
    limits: Mapping[str, float]
    load: float  # of the machine before the row began, averaged over a minute
    machine: str
    versions: str
    is_quick: bool = False


COLUMNS = (
    "work",
    "dina",
    "peer",
    "peer takes",
    "ratio (range)",
    "goal",
    "reached",
    "share of the limit",
    "agreement",
    "grows as",
)
TOP = """# Speed: dina beside its peers

Written by `python -m benchmarks`; `python -m benchmarks --help` says how. Both sides of a row take turns in one process. The ratio is the
peer's time over dina's: the median over rounds, with the smallest and the largest. Where a side did a part of the work, its time is
multiplied up, and the part is named. The share of the limit is dina's rate of multiplications and additions in single precision over that
of a product of matrices by the same threads, measured before each row; of work that is not made of products there is none.
Exponents say with which power of its size time grows, over four sizes (see `benchmarks/speed/`).
"""


def write_page(results: Mapping[str, RowResult], reasons: Mapping[str, str]) -> str:
    """Return the page in Markdown, rows in the order of ``reasons``, which say why a row without result has none."""
    lines = [TOP, *_notes(results), f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    for name, reason in reasons.items():
        if name in results:
            lines += [_cells(line, results[name]) for line in results[name].lines]
        else:
            lines.append(f"| {name} | not run: {reason} |{' – |' * (len(COLUMNS) - 2)}")
    lines += [
        "",
        "## Conditions",
        "",
        "| row | threads | matrix product | copy | load before | seconds in all |",
        "|---|---|---|---|---|---|",
    ]
    for name, result in results.items():
        product, copying = result.limits["matrix_product_gflop_s"], result.limits["copy_gb_s"]
        lines.append(
            f"| {name} | {result.threads} | {product:.0f} GFLOP/s | {copying:.0f} GB/s | {result.load:.1f} | {result.seconds:.0f} |"
        )
    return "\n".join(lines) + "\n"


def _notes(results: Mapping[str, RowResult]) -> Iterator[str]:
    for conditions in sorted({f"{result.machine}; {result.versions}." for result in results.values()}):
        yield f"{conditions}\n"
    busy = [name for name, result in results.items() if result.load >= BUSY]
    if busy:
        yield f"**Not to be quoted, the machine was busy (load {BUSY:g} or more):** {', '.join(busy)}.\n"
    if any(result.is_quick for result in results.values()):
        yield "**Not to be quoted: tiny sizes (`--quick`).**\n"


def _cells(line: Line, result: RowResult) -> str:
    times, ours = line.times, line.ours_s
    if times is not None:
        ours = times.ours_s
    product = result.limits["matrix_product_gflop_s"]
    share = "–" if ours is None or line.gflop is None else f"{line.gflop / ours / product:.0%}"
    memory = "" if line.memory_mb is None else f", {line.memory_mb:,.0f} MB"
    if times is None and line.note and ours is None:
        theirs, ratio = f"not run: {line.note}", "–"
    elif times is None:
        theirs, ratio = line.note or "–", "–"
    else:
        low, high = (_round(end) for end in times.ratio[1:])
        theirs, ratio = _duration(times.other_s), f"{_round(times.ratio[0])} ({low} to {high})"
    reached = "–" if line.is_reached is None else "yes" if line.is_reached else ": ".join(filter(None, ("**no**", line.note)))
    growth = ", ".join(f"{name}^{value:.2f}" for name, value in line.growth.items()) or "–"
    mine = "–" if ours is None else _duration(ours) + memory
    cells = (line.work, mine, line.peer, theirs, ratio, line.goal, reached, share, line.agreement, growth)
    return f"| {' | '.join(cells)} |"


def _round(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.2g}"


def _duration(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    if seconds >= 120:
        return f"{seconds / 60:.1f} min"
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


def as_json(result: RowResult) -> dict[str, Any]:
    """Return what a file keeps of a result."""
    return vars(result) | {"lines": [vars(line) | {"times": line.times and vars(line.times)} for line in result.lines]}
