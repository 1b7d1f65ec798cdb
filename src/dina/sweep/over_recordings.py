"""One comparison of all finished studies of a sweep: query by query within a recording, and over recordings with the animal as unit."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from scipy.stats import binom

from dina.analyses.across_recordings import (
    AcrossRecordings,
    RecordingFindings,
    combine_recordings,
    explain_guesses,
    mouse_of,
)
from dina.checks import DataError
from dina.retrieval.evaluate import DecodingRow
from dina.statistics.finding import Finding
from dina.study.interpret import check_kinds
from dina.study.judged_decoders import compare_runs
from dina.study.run_directory import Run
from dina.sweep.sweep_file import Job


@dataclass(frozen=True, eq=False)
class SweepComparison:
    """Every decoder of every study, as `dina compare` has them, and means over animals (None with a reason where there are none)."""

    runs: xr.Dataset
    across: AcrossRecordings | None
    remarks: tuple[str, ...]


def compare_studies(jobs: Sequence[Job], folder: Path) -> SweepComparison:
    """Compare the finished studies of a sweep.

    The reference of each recording and seed is dina, done the first way of the sweep. Accuracies and differences from the reference are
    averaged over animals; recordings and seeds of one animal count together as one.
    """
    runs = {job.name: Run(folder / job.name) for job in jobs}
    compared = compare_runs([run.path for run in runs.values()], mixed=True, any_network=True)
    compared = compared.assign_attrs(differs="{}")  # names of studies say it
    stated = {run.summary["recording"]["name"]: run.summary["recording"].get("animal") for run in runs.values()}
    ways = {job.name: job.way for job in jobs}
    tasks: dict[tuple[str, int], list[Job]] = {}
    for job in jobs:
        tasks.setdefault((job.recording, job.settings.seed), []).append(job)
    found = []
    for (recording, seed), some in tasks.items():
        name = runs[some[0].name].summary["recording"]["name"]
        by_way = {job.way: _findings(runs[job.name], job, compared, ways) for job in some}
        found.append(RecordingFindings(f"{recording} seed {seed}", mouse_of(name, stated[name]), by_way))
    try:
        check_kinds(list(runs.values()), "Sweep them apart to see means over animals.")
        across = combine_recordings(found) if len({one.mouse for one in found}) > 1 else None
    except DataError as error:
        return SweepComparison(compared, None, (str(error),))
    if across is None:
        return SweepComparison(compared, None, ("There is one animal alone, so there are no means over animals.",))
    return SweepComparison(compared, across, tuple(filter(None, [explain_guesses(stated)])))


def _findings(run: Run, job: Job, compared: xr.Dataset, ways: Mapping[str, str]) -> Mapping[str, Finding]:
    """Return accuracy of every decoder of a study, and how much better the reference of its recording and seed is."""
    found = []
    for row in run.rows:
        if row.top1 is None or row.direction != "image_from_response":
            continue
        found.append(_accuracy(row))
        difference = _difference(row, job, compared, ways)
        found += [] if difference is None else [difference]
    return {one.name: one for one in found}


def _accuracy(row: DecodingRow) -> Finding:
    low, high = (math.nan if end is None else end for end in (row.top1_low, row.top1_high))
    n = row.n_queries or 0
    chance = row.chance_top1 or 0.0
    null_low, null_high = (binom.ppf(end, n, chance) / n if n else float("nan") for end in (0.025, 0.975))
    return Finding(
        f"top1_{row.decoder}_{row.queries}",
        row.top1 or 0.0,
        "1",
        n,
        low,
        high,
        null_low,
        null_high,
        "queries assigned to other images",
    )


def _difference(row: DecodingRow, job: Job, compared: xr.Dataset, ways: Mapping[str, str]) -> Finding | None:
    """Return the difference from the reference; of decoders that answered alike in several studies, one is in the comparison."""
    names, tasks, decoders = (compared[name].to_numpy() for name in ("run", "task", "decoder"))
    own = tasks[names == job.name]
    together = tasks == own[0] if len(own) else names == job.name
    reference = names[together & compared["is_reference"].to_numpy()]
    if not len(own) or ways[str(reference[0])] != next(iter(ways.values())):
        return None
    alike = together & (decoders == row.decoder)
    place = np.flatnonzero(alike & (names == job.name) if (alike & (names == job.name)).any() else alike)
    cell = compared.isel(entry=place[:1]).sel(queries=row.queries)
    value, low, high = (float(number) for end in ("", "_low", "_high") for number in cell[f"top1_difference{end}"])
    if math.isnan(value):  # of the reference itself, too
        return None
    name, n = f"reference_minus_{row.decoder}_{row.queries}", row.n_queries or 0
    return Finding(name, value, "1", n, low, high, low - value, high - value, "no difference")
