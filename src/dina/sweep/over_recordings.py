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
from dina.study.judged_decoders import compare_runs
from dina.study.recording_kinds import check_kinds
from dina.study.run_directory import Run
from dina.sweep.sweep_file import Job


@dataclass(frozen=True, eq=False)
class SweepComparison:
    """Every decoder of every study, as `dina compare` has them, and means over animals (None with a reason where there are none)."""

    runs: xr.Dataset
    across: AcrossRecordings | None
    remarks: tuple[str, ...]


def compare_studies(jobs: Sequence[Job], folder: Path, first_way: str) -> SweepComparison:
    """Compare the finished studies of a sweep.

    The reference of each recording and seed is dina, done in ``first_way``, the first of the sweep. Accuracies and differences from the reference are
    averaged over animals; recordings and seeds of one animal count together as one.
    """
    runs = {job.name: Run(folder / job.name) for job in jobs}
    compared = compare_runs([run.path for run in runs.values()], mixed=True, any_network=True)
    stated = {run.summary["recording"]["name"]: run.summary["recording"].get("animal") for run in runs.values()}
    known = _with_tasks(compared, runs, [job.name for job in jobs if job.way == first_way])
    tasks: dict[tuple[str, int], list[Job]] = {}
    for job in jobs:
        tasks.setdefault((job.recording, job.settings.seed), []).append(job)
    found = []
    for (recording, seed), some in tasks.items():
        name = runs[some[0].name].summary["recording"]["name"]
        by_way = {job.way: _findings(runs[job.name], known) for job in some}
        found.append(RecordingFindings(f"{recording} seed {seed}", mouse_of(name, stated[name]), by_way))
    compared = compared.assign_attrs(differs="{}")  # names of studies say it
    try:
        check_kinds(list(runs.values()), "Sweep them apart to see means over animals.")
        across = combine_recordings(found) if len({one.mouse for one in found}) > 1 else None
    except DataError as error:
        return SweepComparison(compared, None, (str(error),))
    if across is None:
        return SweepComparison(compared, None, ("There is one animal alone, so there are no means over animals.",))
    return SweepComparison(compared, across, tuple(filter(None, [explain_guesses(stated)])))


def _with_tasks(compared: xr.Dataset, runs: Mapping[str, Run], first: Sequence[str]) -> xr.Dataset:
    """Return the entries with recording and split of their run, "" where the reference is not one of the ``first`` studies."""
    names = [str(name) for name in compared["run"].to_numpy()]
    of_first = {_task(runs[name]) for name, is_one in zip(names, compared["is_reference"].to_numpy()) if is_one and name in first}
    tasks = [task if task in of_first else "" for task in (_task(runs[name]) for name in names)]
    return compared.assign_coords(study_task=("entry", tasks))


def _task(run: Run) -> str:
    return f"{run.identity['recording']} {run.split['sha256']}"


def _findings(run: Run, compared: xr.Dataset) -> Mapping[str, Finding]:
    """Return accuracy of every decoder of a study, and how much better the reference of its recording and seed is."""
    found = []
    for row in run.rows:
        if row.top1 is None or row.direction != "image_from_response":
            continue
        found.append(_accuracy(row))
        difference = _difference(row, run, compared)
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


def _difference(row: DecodingRow, run: Run, compared: xr.Dataset) -> Finding | None:
    """Return the difference from the reference; of decoders that answered alike in several studies, one is in the comparison."""
    alike = (compared["study_task"].to_numpy() == _task(run)) & (compared["decoder"].to_numpy() == row.decoder)
    own = alike & (compared["run"].to_numpy() == run.path.name)
    place = np.flatnonzero(own if own.any() else alike)[:1]
    if not len(place):
        return None
    cell = compared.isel(entry=place).sel(queries=row.queries)
    value, low, high = (float(number) for end in ("", "_low", "_high") for number in cell[f"top1_difference{end}"])
    if math.isnan(value):  # of the reference itself, too
        return None
    name, n = f"reference_minus_{row.decoder}_{row.queries}", row.n_queries or 0
    return Finding(name, value, "1", n, low, high, low - value, high - value, "no difference")
