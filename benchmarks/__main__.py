"""Measure the speed of dina beside its peers: `python -m benchmarks` writes benchmarks/RESULTS.md.

Rows that were measured before are kept in RESULTS.json and not measured again, so that a stopped run goes on; rows named on the
command line are always measured, and ``--again`` measures all. ``--quick`` measures tiny sizes, prints the page and keeps nothing unless
``--out`` names a folder. Install the peers with `pip install '.[benchmarks]'`; a row whose peer is missing says so.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from benchmarks import gpu
from benchmarks.speed import (
    contrastive_loss,
    encoding_fit,
    exact_retrieval,
    full_size,
    image_occlusion,
    map_similarity,
    neuron_attention,
    neuron_contributions,
    resampling,
    starting,
    training_step,
    variance_spectra,
)
from benchmarks.speed.contest import Line, Times, machine_limits
from benchmarks.speed.results_page import BUSY, RowResult, as_json, write_page
from threadpoolctl import threadpool_limits

import dina

HERE = Path(__file__).parent
PAGE, KEPT = "RESULTS.md", "RESULTS.json"
NO_GPU = "needs a GPU, and there was none; `python -m benchmarks.gpu` measures everything that a GPU does"
MINUTES = "takes many minutes and gigabytes; measured where it is named on the command line"


@dataclass(frozen=True)
class Row:
    """One row of the table: how it is measured, on how many threads, and why it is left out unless it is named."""

    measure: Callable[..., Iterator[Line]]
    threads: int = 1
    only_by_name: str = ""


ROWS: dict[str, Row] = {
    "attention": Row(neuron_attention.measure),
    "training": Row(training_step.measure),
    "contributions": Row(neuron_contributions.measure),
    "occlusion": Row(image_occlusion.measure),
    "encoding": Row(encoding_fit.measure, threads=2),
    "loss": Row(contrastive_loss.measure),
    "retrieval": Row(exact_retrieval.measure_hundred_thousand),
    "retrieval_million": Row(exact_retrieval.measure_million),
    "resampling": Row(resampling.measure),
    "spectra": Row(variance_spectra.measure, threads=2),
    "similarity": Row(map_similarity.measure),
    "start": Row(starting.measure),
    "study": Row(full_size.measure_study, threads=2, only_by_name=MINUTES),
    "study_30000": Row(full_size.measure_large_study, threads=2, only_by_name=MINUTES),
    "interpretation": Row(full_size.measure_interpretation, threads=2, only_by_name=MINUTES),
    "gpu": Row(gpu.lines, only_by_name=NO_GPU),
}


def measure_row(row: Row, *, quick: bool) -> RowResult:
    """Measure one row on its threads, the limits of the machine before it."""
    load, before = _load(), torch.get_num_threads()
    began = time.perf_counter()
    try:
        torch.set_num_threads(row.threads)
        with threadpool_limits(row.threads):
            limits = machine_limits(quick=quick)
            lines = tuple(row.measure(quick=quick))
    finally:
        torch.set_num_threads(before)
    versions = f"dina {dina.__version__}, torch {torch.__version__}, Python {platform.python_version()}"
    machine = f"{os.cpu_count()} cores of {_processor()}"
    return RowResult(lines, time.perf_counter() - began, row.threads, limits, load, machine, versions, quick)


def read_results(path: Path) -> dict[str, RowResult]:
    """Read the rows that were kept."""
    if not path.is_file():
        return {}
    found = {}
    for name, entry in json.loads(path.read_text(encoding="utf-8")).items():
        lines = [line | {"times": line["times"] and Times(**line["times"])} for line in entry["lines"]]
        found[name] = RowResult(**entry | {"lines": tuple(Line(**line) for line in lines)})
    return found


def run(rows: Mapping[str, Row], named: Sequence[str], folder: Path | None, *, quick: bool = False, again: bool = False) -> int:
    """Measure rows, keep and write each as soon as it is done, print the page, and return how many failed."""
    results = {} if folder is None else read_results(folder / KEPT)
    wanted = named or [name for name, row in rows.items() if not row.only_by_name and (again or name not in results)]
    reasons = {name: row.only_by_name or "nobody has measured it yet" for name, row in rows.items()}
    n_failed = 0
    for name in wanted:
        print(f"{name} …", file=sys.stderr, flush=True)
        if not quick:
            _wait_for_quiet()
        try:
            results[name] = measure_row(rows[name], quick=quick)
        except Exception as error:  # whatever a peer raises, the other rows are measured
            n_failed += 1
            results.pop(name, None)
            reasons[name] = f"it failed ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
        if folder is not None:
            _keep(folder, {each: results[each] for each in rows if each in results}, reasons)
    print(write_page({name: results[name] for name in rows if name in results}, reasons))
    return n_failed


def _keep(folder: Path, results: Mapping[str, RowResult], reasons: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps({name: as_json(result) for name, result in results.items()}, indent=1)
    for name, text in ((KEPT, content + "\n"), (PAGE, write_page(results, reasons))):
        partial = folder / f"{name}.partial"
        partial.write_text(text, encoding="utf-8")
        partial.replace(folder / name)


def _wait_for_quiet() -> None:
    """Wait until the load that the row before has left is gone, for a minute and a half at most."""
    until = time.monotonic() + 90.0
    while _load() >= BUSY - 0.5 and time.monotonic() < until:
        time.sleep(5.0)


def _load() -> float:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def main(words: Sequence[str] | None = None) -> int:
    """Read the command line, measure, and return the exit code."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that every row works")
    parser.add_argument("--again", action="store_true", help="measure rows that are kept, too")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the page and the rows are kept; by default benchmarks/")
    chosen = parser.parse_args(words)
    unknown = [name for name in chosen.rows if name not in ROWS]
    if unknown:
        parser.error(f"there is no row {', '.join(unknown)}; choose from {', '.join(ROWS)}")
    folder = chosen.out or (None if chosen.quick else HERE)
    return 1 if run(ROWS, chosen.rows, folder, quick=chosen.quick, again=chosen.again) else 0


if __name__ == "__main__":
    sys.exit(main())
