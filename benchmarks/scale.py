"""Write docs/scale.md: what large numbers of neurons, images and recordings cost, reckoned from the rows of benchmarks/RESULTS.json.

    python -m benchmarks.scale                  # from benchmarks/RESULTS.json
    python -m benchmarks.scale OTHER.json       # from results kept elsewhere

The rows that the page needs are kept in benchmarks/scale.json, so that the page says what it was reckoned from. A time at a larger size is the measured one times the ratio of sizes to a power. The power lies between that which was measured, over
sizes where parts that do not grow still count, and that of the algorithm, whichever is larger. Nothing here was measured at these sizes.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dina.study.needs import duration_words, estimate_needs

MEASURED, KEPT = (Path(__file__).parent / name for name in ("RESULTS.json", "scale.json"))
PAGE = Path(__file__).parent.parent / "docs" / "scale.md"
Results = Mapping[str, Any]  # rows of the page of results by name, as they are kept
DOLLARS_PER_CORE_HOUR = 0.05  # of rented processors, about what large providers ask
BUSY = 2.0  # load before a row was measured
N_TRIALS, N_IMAGES, N_PIXELS = 6_000, 3_000, 68 * 270


@dataclass(frozen=True)
class Step:
    """A step whose time was measured: its row, the line in it, what grows, the measured size and the power of the algorithm."""

    row: str
    line: int
    words: str
    grows: str
    size: int
    power: float
    engine: str

    def hours(self, results: Results) -> tuple[float, float]:
        """Return core hours at the measured size, and the power with which they were measured to grow."""
        line = results[self.row]["lines"][self.line]
        seconds = line["ours_s"] if line["times"] is None else line["times"]["ours_s"]
        return results[self.row]["threads"] * seconds / 3600, line["growth"][self.grows]

    def hours_at(self, size: float, results: Results) -> tuple[float, float]:
        """Return the least and the most core hours at a size."""
        measured, power = self.hours(results)
        low, high = (measured * (size / self.size) ** each for each in (power, max(power, self.power)))
        return low, high


STEPS = (
    Step("encoding", 0, "ridge weights on 10,000 features, 2,240 images", "neurons", 10_000, 1.0, "dask: blocks of neurons"),
    Step("contributions", 0, "loss without each neuron, 280 trials", "neurons", 10_000, 1.0, "one process"),
    Step("spectra", 0, "variance spectrum, 1,400 images", "neurons", 10_000, 1.0, "one process"),
    Step(
        "attention",
        1,
        "attention between neurons, one batch of 64",
        "neurons",
        1_000,
        2.0,
        "torchrun: parts of the neurons; a GPU",
    ),
    Step("training", 0, "an epoch of `scratch`, 2,000 neurons", "images", 128, 1.0, "torchrun: parts of each batch; a GPU"),
    Step("retrieval", 0, "280 queries in a gallery, 512 features", "images", 100_000, 1.0, "one process, some images at a time"),
)
SIZES = {"neurons": (100_000, 1_000_000), "images": (10_000_000,)}
TOP = """# What scale costs

Written by `python -m benchmarks.scale` from the measured rows of `benchmarks/RESULTS.json`; nothing on this page was measured at the sizes that it speaks of. A time at a larger size is the measured one times the ratio of sizes to a power: the first number takes the power that was measured, the second that of the algorithm where it is larger (column *power*: measured; of the algorithm). Small sizes hold parts that do not grow, so that the truth lies nearer to the second. Money is core hours at {price} US dollars.
"""


def write_page(results: Results) -> str:
    """Return the page in Markdown."""
    parts = [TOP.format(price=DOLLARS_PER_CORE_HOUR), *_machines(results)]
    parts += [
        "## Steps",
        "",
        "| step | measured | power | at | core hours | US dollars | carried by |",
        "|---|---|---|---|---|---|---|",
    ]
    for step in STEPS:
        for size in SIZES[step.grows]:
            cells = ["not measured", "–"] if step.row not in results else _known(step, results)
            hours = ["–", "–"] if step.row not in results else _cost(step.hours_at(size, results))
            parts.append(f"| {' | '.join([step.words, *cells, f'{size:,} {step.grows}', *hours, step.engine])} |")
    parts += ["", *_studies()]
    return "\n".join(parts) + "\n"


def _known(step: Step, results: Results) -> list[str]:
    hours, power = step.hours(results)
    return [f"{3600 * hours:.2g} core seconds, {step.size:,} {step.grows}", f"{power:.2f}; {step.power:g}"]


def _cost(hours: Sequence[float]) -> list[str]:
    return [_range(hours), _range([DOLLARS_PER_CORE_HOUR * each for each in hours])]


def _machines(results: Results) -> list[str]:
    used = {f"{results[step.row]['machine']}; {results[step.row]['versions']}" for step in STEPS if step.row in results}
    busy = [step.words for step in STEPS if step.row in results and results[step.row]["load"] >= BUSY]
    said = f" The machine was busy, so that times are too long: {'; '.join(busy)}." if busy else ""
    return [f"Measured on {'; and on '.join(sorted(used))}.{said}", ""] if used else []


def _studies() -> list[str]:
    """Say what whole studies need, by the estimate that every study is told before it begins."""
    lines = [
        "## Whole studies",
        "",
        f"By the estimate that `dina check` gives ([Trust](trust.md)): preset `default` and all rivals, {N_IMAGES:,} images of 68 x 270 shown"
        " twice, one core of the reference speed.",
        "",
        "| recordings | neurons of each | responses (GB) | memory (GB) | core hours | US dollars | carried by |",
        "|---|---|---|---|---|---|---|",
    ]
    rows = (
        (1, 10_000, "one process"),
        (1, 100_000, "one process; dask: blocks of neurons"),
        (1, 1_000_000, "dask: blocks of neurons"),
        (1_000, 10_000, "[a sweep](sweep.md) on a cluster"),
    )
    for n_recordings, n_neurons, engine in rows:
        needs = estimate_needs(n_neurons, N_IMAGES, N_PIXELS, N_TRIALS)
        hours = n_recordings * needs.processor_seconds / 3600
        data = 4e-9 * n_neurons * N_TRIALS
        cells = [f"{n_recordings:,}", f"{n_neurons:,}", f"{data:,.2g}", f"{needs.memory_gb:,.0f}", _number(hours)]
        lines.append(f"| {' | '.join([*cells, _number(DOLLARS_PER_CORE_HOUR * hours), engine])} |")
    long = duration_words(estimate_needs(1_000_000, N_IMAGES, N_PIXELS, N_TRIALS).processor_seconds)
    return [
        *lines,
        "",
        f"A million neurons in one process take {long} of one core; blocks on workers divide the part that grows with neurons.",
    ]


def _range(ends: Sequence[float]) -> str:
    low, high = (_number(end) for end in ends)
    return low if low == high else f"{low} to {high}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def main(words: Sequence[str]) -> int:
    """Keep the rows that the page needs, and write the page."""
    measured = json.loads((Path(words[0]) if words else MEASURED).read_text(encoding="utf-8"))
    used = {step.row: measured[step.row] for step in STEPS if step.row in measured}
    KEPT.write_text(json.dumps(used, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    PAGE.write_text(write_page(read_kept()), encoding="utf-8")
    return 0


def read_kept() -> Results:
    """Return the rows that were kept."""
    found: Results = json.loads(KEPT.read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
