"""A sweep from its studies to their outcomes: what can begin is given to workers, and what ends is logged."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from dina.locked_folder import held
from dina.sweep.estimates import Estimate
from dina.sweep.one_study import REFUSED
from dina.sweep.sweep_file import Job
from dina.sweep.sweep_folder import Outcome, SweepFolder
from dina.sweep.workers import Task, carry_out_all, workers_here, workers_of

log = logging.getLogger("dina.progress")


def run_sweep(
    jobs: Sequence[Job],
    folder: SweepFolder,
    estimates: Mapping[str, Estimate],
    n_workers: int,
    scheduler: str | None = None,
    budget_gb: float = float("inf"),
    n_retries: int = 2,
) -> dict[str, Outcome]:
    """Carry out all studies of a sweep, and return how each ended; those that are finished are checked and kept.

    Parameters
    ----------
    jobs
        The studies.
    folder
        Where they go; prepared, and held by this process until the end.
    estimates
        What studies need by recording; a recording that is refused there is not studied. Empty where workers are to find out.
    n_workers
        Studies at once in this process; without meaning for a ``scheduler``.
    scheduler
        Address or file of a scheduler that is running; None for workers of this process.
    budget_gb
        Memory for all studies at once in this process.
    n_retries
        How often a study is begun again whose worker was lost.

    Raises
    ------
    DataError
        If another process leads a sweep in the folder, or the scheduler is not there or is lost.
    """
    outcomes: dict[str, Outcome] = {}

    def note(outcome: Outcome) -> None:
        outcomes[outcome.name] = outcome
        reason = f": {outcome.sentence}" if outcome.sentence else "."
        log.info("%d of %d: %s is %s%s", len(outcomes), len(jobs), outcome.name, outcome.state, reason)

    tasks = []
    for job in jobs:
        estimate = estimates.get(job.recording, Estimate())
        if estimate.refusal:
            note(Outcome(job.name, REFUSED, estimate.refusal))
        else:
            tasks.append(Task(job.name, folder.words(job), str(folder.run(job)), estimate.needs.memory_gb))
    if not tasks:
        return outcomes
    with ExitStack() as stack:
        client = stack.enter_context(workers_here(min(n_workers, len(tasks))) if scheduler is None else workers_of(scheduler))
        stack.enter_context(held(folder.path))  # let go first: studies that are under way stop then
        most = n_workers if scheduler is None else len(tasks)
        for outcome in carry_out_all(tasks, str(folder.path), client, most, budget_gb, n_retries):
            note(outcome)
    return outcomes
