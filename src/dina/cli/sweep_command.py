"""The command sweep: many studies from one file, here or on a cluster, and one comparison of all of them."""

import logging
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dina.cli.commands import Device, Out, unanswered
from dina.cli.hardware import choose_device, count_cores, load_dask_part, set_threads
from dina.cli.process import WRONG_INPUT
from dina.safe_words import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dina.sweep.estimates import Estimate
    from dina.sweep.sweep_file import Job
    from dina.sweep.sweep_folder import SweepFolder

# everything else is imported in functions: `dina --help` stays quick, and threads are set before torch is loaded

log = logging.getLogger("dina.progress")


def sweep(
    file: Annotated[Path, typer.Argument(metavar="SWEEP.toml", help="Recordings, seeds, presets and settings of the studies.")],
    out: Out = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="A scheduler of dask, by address or file (.json); by default this machine works alone."
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Studies at once on this machine; by default one per core.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each study; its numbers depend on them in the last digit.")] = 1,
    device: Device = "auto",
    max_memory: Annotated[
        float | None,
        typer.Option(
            "--max-memory", min=0.1, metavar="GB", help="For all studies at once here, for each on a scheduler's workers."
        ),
    ] = None,
    retries: Annotated[int, typer.Option(min=0, help="How often a study is begun again whose worker was lost.")] = 2,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the studies with their memory and time, and end.")] = False,
) -> None:
    """Carry out many studies (recordings x seeds x presets x settings) and compare them, with the animal as the unit.

    Stopped at any moment, the same command goes on from what was finished.
    """
    began = time.monotonic()
    set_threads(threads)
    from dina.cli.sessions import settle
    from dina.cli.tables import print_report_table
    from dina.sweep.sweep_file import read_sweep
    from dina.sweep.sweep_folder import SweepFolder, outcome_table

    jobs = read_sweep(file, settle)
    place = (out or Path("runs") / file.stem).absolute()
    budget = max_memory if max_memory is not None or scheduler is not None else _free()
    folder = SweepFolder(place, device if scheduler else choose_device(device), threads, budget)
    n_workers = workers or max(1, count_cores() // threads)
    if dry_run:
        _list(jobs, folder, n_workers)
        return
    estimates = _look(jobs) if scheduler is None else {}
    run_sweep = load_dask_part("dina.sweep.run_sweep").run_sweep
    folder.prepare(file, jobs)
    here = math.inf if budget is None else budget
    outcomes = run_sweep(jobs, folder, estimates, n_workers, scheduler, here, retries)
    written = folder.write_outcomes(jobs, outcomes)
    print_report_table(outcome_table(jobs, outcomes), ())
    _compare(
        [job for job in jobs if outcomes[job.name].code < WRONG_INPUT and folder.state(job) == "finished"], place, jobs[0].way
    )
    say(f"How each study ended, and its command: {written}")
    log.info("Done in %.0f s.", time.monotonic() - began)
    codes = [outcome.code for outcome in outcomes.values()]
    if any(codes):
        bad = unanswered(f"{len(codes) - codes.count(0)} of {len(codes)} studies have no result; the table says why.")
        raise typer.Exit(WRONG_INPUT) if set(codes) == {WRONG_INPUT} else bad


def _look(jobs: "Sequence[Job]") -> "dict[str, Estimate]":
    from dina.cli.sessions import open_settled
    from dina.sweep.estimates import estimate_recordings

    return estimate_recordings(jobs, lambda word, seed: open_settled(word, None, seed))


def _list(jobs: "Sequence[Job]", folder: "SweepFolder", n_workers: int) -> None:
    """Print the studies of a sweep with what they need; nothing is written."""
    from dina.cli.tables import print_report_table
    from dina.study.this_machine import measure_gigaflops
    from dina.sweep.estimates import plan_table, plan_words

    estimates, states, speed = _look(jobs), {job.name: folder.state(job) for job in jobs}, measure_gigaflops()
    left = [job for job in jobs if states[job.name] != "finished" and not estimates[job.recording].refusal]
    words = plan_words(left, estimates, n_workers, folder, speed)
    print_report_table(plan_table(jobs, estimates, states, folder.n_threads, speed), [words], style="")


def _compare(jobs: "Sequence[Job]", place: Path, first_way: str) -> None:
    """Print and write the comparison of all studies that have a run."""
    if not jobs:
        return
    from dina.cli.tables import print_report_table
    from dina.report.comparison_of_runs import comparison_remarks, comparison_table, write_comparison
    from dina.report.over_mice import across_recordings_section, write_across
    from dina.sweep.over_recordings import compare_studies

    compared = compare_studies(jobs, place, first_way)
    print_report_table(comparison_table(compared.runs), comparison_remarks(compared.runs))
    written = [*write_comparison(compared.runs, place)]
    if compared.across is not None:
        section = across_recordings_section(compared.across.to_dataset(), compared.across.findings())
        tables = [*(part.table for part in section.figures), *section.tables]
        print_report_table(tables[0], compared.remarks)
        written.append(write_across(compared.across, place))
    else:
        say(*compared.remarks)
    say("Written: " + ", ".join(map(str, written)))


def _free() -> float | None:
    from dina.study.this_machine import free_memory_gb  # imported here: threads must be set before numpy is loaded

    return free_memory_gb()
