"""What the studies of a sweep need, how many of them fit into memory at once, and how long all of them take."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dina.checks import DataError
from dina.figures.parts import Table
from dina.memory import give_back_memory
from dina.recordings.recording import Recording
from dina.study.needs import Needs, duration_words, needs_of
from dina.sweep.sweep_file import Job
from dina.sweep.sweep_folder import SweepFolder

log = logging.getLogger("dina.progress")


NOTHING = Needs(0.0, 0.0)


@dataclass(frozen=True)
class Estimate:
    """What a study of a recording needs, or the sentence that says why the recording cannot be studied."""

    needs: Needs = NOTHING
    refusal: str = ""


def estimate_recordings(jobs: Sequence[Job], open_recording: Callable[[str, int], Recording]) -> dict[str, Estimate]:
    """Open every recording of a sweep once, one after the other, and return what its studies need, by name in the sweep."""
    found: dict[str, Estimate] = {}
    for job in jobs:
        if job.recording in found:
            continue
        log.info("Looking at %s …", job.recording)
        try:
            found[job.recording] = Estimate(needs_of(open_recording(job.word, job.settings.seed)))
        except DataError as error:
            found[job.recording] = Estimate(refusal=str(error))
        give_back_memory()
    return found


def n_at_once(needs: Sequence[Needs], n_workers: int, budget_gb: float) -> int:
    """Return how many studies certainly fit into memory at once: at least one, at most one for each worker.

    Examples
    --------
    >>> n_at_once([Needs(3.0, 60.0), Needs(2.0, 60.0), Needs(1.0, 60.0)], 4, 5.5)
    2
    """
    total, fitting = 0.0, 0
    for one in sorted((each.memory_gb for each in needs), reverse=True)[:n_workers]:
        total += one
        fitting += total <= budget_gb
    return max(1, fitting)


def plan_table(
    jobs: Sequence[Job], estimates: Mapping[str, Estimate], states: Mapping[str, str], n_threads: int, gigaflops: float
) -> Table:
    """Return the table of a sweep before it starts: each study with its state, and the memory and time that it needs."""
    rows = []
    for job in jobs:
        one = estimates[job.recording]
        times = one.needs.seconds_at(gigaflops) * job.settings.n_studied_folds
        span = duration_words(times) if n_threads == 1 else f"{duration_words(times / n_threads)} to {duration_words(times)}"
        cells = ("–", "–") if one.refusal else (f"{one.needs.memory_gb:.1f}", span)
        rows.append((job.name, one.refusal or states[job.name], *cells))
    caption = (
        "Studies of the sweep. Memory and time are those of the preset default with all rivals; other presets may need less."
    )
    return Table(caption, ("study", "state", "memory, GB", "time"), tuple(rows), n_words=2)


def plan_words(
    jobs: Sequence[Job], estimates: Mapping[str, Estimate], n_workers: int, folder: SweepFolder, gigaflops: float
) -> str:
    """Say in a sentence how many studies are left, how many run at once on this machine, and how long all of them take at most."""
    if not jobs:
        return "Nothing is left to do."
    needs = [estimates[job.recording].needs for job in jobs]
    budget = math.inf if folder.max_memory_gb is None else folder.max_memory_gb
    many, most = n_at_once(needs, n_workers, budget), min(n_workers, len(jobs))
    seconds = [one.seconds_at(gigaflops) * job.settings.n_studied_folds for one, job in zip(needs, jobs, strict=True)]
    about = duration_words(max(max(seconds), sum(seconds) / many))
    room = "" if math.isinf(budget) else f" within {budget:.1f} GB"
    limit = "" if many == most else f"; memory is too small for {most}"
    studies = "1 study is" if len(jobs) == 1 else f"{len(jobs)} studies are"
    return f"{studies} left. On this machine {many} run at once{room}{limit}, which takes about {about} if each has one thread."
