"""The studies of a sweep on workers of dask.distributed: those of this process, or those of a scheduler that is running."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import distributed

from dina.checks import DataError
from dina.sweep.one_study import REFUSED, STOPPED, carry_out
from dina.sweep.sweep_folder import Outcome

log = logging.getLogger("dina.progress")


@dataclass(frozen=True)
class Task:
    """A study to carry out: its name, the words of its command, its folder, and the memory that it needs."""

    name: str
    words: tuple[str, ...]
    run: str
    memory_gb: float = 0.0


class _NoPort:
    """Part of a scheduler or worker that opens no port for pages about itself."""

    def start_http_server(
        self, routes: object, dashboard_address: object, default_port: int = 0, ssl_options: object = None
    ) -> None:
        """Start nothing."""


class _Scheduler(_NoPort, distributed.Scheduler):  # type: ignore[misc]
    pass


class _Worker(_NoPort, distributed.Worker):  # type: ignore[misc]
    pass


@contextmanager
def workers_here(n_workers: int) -> Iterator[distributed.Client]:
    """Give a client of so many workers in this process; they start processes for studies, and open no port."""
    quiet: dict[str, object] = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}
    logging.getLogger("distributed").setLevel(logging.ERROR)
    inside = {"protocol": "inproc://"}
    options = inside | {"nthreads": 1, "memory_limit": 0}
    with (
        dask.config.set(quiet),
        distributed.SpecCluster(
            scheduler={"cls": _Scheduler, "options": inside | {"dashboard": False}},
            workers={number: {"cls": _Worker, "options": options} for number in range(n_workers)},
            silence_logs=logging.ERROR,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@contextmanager
def workers_of(scheduler: str, *, is_default: bool = True) -> Iterator[distributed.Client]:
    """Give a client of a scheduler that is running, by its address or by the file that it wrote (``….json``).

    While a client is the default one, xarray takes the locks of its files from the scheduler, which must then know them.

    Raises
    ------
    DataError
        If there is none.
    """
    logging.getLogger("distributed").setLevel(logging.ERROR)
    is_file = scheduler.endswith(".json")
    place = {"scheduler_file": scheduler} if is_file else {"address": scheduler}
    try:
        if is_file:
            Path(scheduler).stat()  # which dask would wait for for ever
        client = distributed.Client(**place, timeout=20, set_as_default=is_default)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"There must be a scheduler of dask at {scheduler}; it does not answer ({error}). Start one first."
        ) from error
    with client:
        threads = list(client.nthreads().values())
        log.info("The scheduler at %s has %d workers.", scheduler, len(threads))
        if any(n > 1 for n in threads):
            log.warning("Workers with several threads carry out several studies at once. Start them with --nthreads 1.")
        yield client


def carry_out_all(
    tasks: Sequence[Task], sweep: str, client: distributed.Client, n_workers: int, budget_gb: float, n_retries: int
) -> Iterator[Outcome]:
    """Carry out studies as workers and memory allow, and yield how each ended, the first to end first.

    Parameters
    ----------
    tasks
        The studies.
    sweep
        The folder of the sweep, which this process holds.
    client
        Of the workers.
    n_workers
        How many studies may be given to workers at once.
    budget_gb
        Memory for all studies at once; one that needs more runs alone.
    n_retries
        How often a study is begun again whose worker or process was lost.

    Raises
    ------
    DataError
        If the scheduler is lost.
    """
    waiting, lost = list(tasks), dict.fromkeys(tasks, 0)
    running: dict[Any, Task] = {}
    ended = distributed.as_completed()
    while waiting or running:
        for task in list(waiting):
            needed = sum(one.memory_gb for one in running.values()) + task.memory_gb
            if running and (len(running) >= n_workers or needed > budget_gb):
                continue
            waiting.remove(task)
            future = client.submit(carry_out, list(task.words), task.run, sweep, pure=False)
            running[future] = task
            ended.add(future)
        future = next(ended)
        task = running.pop(future)
        outcome = _outcome(task, future)
        if outcome.code in (0, 1, REFUSED):
            yield outcome
            continue
        lost[task] += 1
        if lost[task] > n_retries:
            yield outcome
            continue
        log.info("%s: %s It is begun again, and goes on from what was finished.", task.name, outcome.sentence)
        waiting.append(task)


def _outcome(task: Task, future: Any) -> Outcome:
    if future.status in ("cancelled", "lost"):
        raise DataError(
            "The scheduler must stay until the sweep has ended; it was lost. Start it again, and give the same command."
        )
    try:
        code, sentence, seconds = future.result()
    except distributed.KilledWorker:
        return Outcome(task.name, STOPPED, "The worker was lost.")
    except Exception as error:  # of a worker that has no dina, or another version of it
        return Outcome(
            task.name, 1, f"The worker could not begin it ({type(error).__name__}: {error}). Install the same dina there."
        )
    return Outcome(task.name, int(code), str(sentence), float(seconds))
