"""The command that foretells what more images, neurons or repeats would give."""

import logging
import time
from pathlib import Path
from typing import Annotated

import typer

from dina.cli.commands import Device, Images, Threads, study
from dina.cli.hardware import choose_device, set_threads
from dina.cli.noted_source import read_source
from dina.safe_words import say

# everything else is imported in functions: `dina --help` stays quick, and threads are set before torch is loaded

log = logging.getLogger(__name__)


def power(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="A run directory that `dina study` wrote, or a simulated session as a pilot: demo:0."),
    ],
    accuracy: Annotated[float, typer.Option(min=0, max=1, help="Top-1 accuracy to reach; 0.9 for 90 %.")] = 0.9,
    gallery: Annotated[int, typer.Option(min=2, help="Candidates among which each image is sought.")] = 50,
    single_trials: Annotated[bool, typer.Option("--single-trials", help="From single trials, not from averages.")] = False,
    folds: Annotated[int, typer.Option(min=2, help="Into which the images are divided; more are better and slower.")] = 4,
    recording: Annotated[str | None, typer.Option(metavar="RECORDING", help="What was studied, if it has moved since.")] = None,
    images: Images = None,
    device: Device = "auto",
    threads: Threads = None,
    force: Annotated[bool, typer.Option("--force", help="Measure the recording again.")] = False,
) -> None:
    """Foretell the accuracy with more images, neurons or repeats, and how many reach a stated one.

    Decodes left-out images with all of the recording and with half of it. Stopped at any moment, the same command goes on from
    what was finished.
    """
    began = time.monotonic()
    n_threads = set_threads(threads)
    from dina.cli.sessions import open_settled
    from dina.cli.tables import print_report_table
    from dina.power.held_out import PowerSettings
    from dina.power.page import power_table, verdict_tables, without_verdicts
    from dina.power.run_power import forecast_run, is_unmeasured
    from dina.recordings.simulator import NAMED_SESSIONS
    from dina.report import write_report
    from dina.study.run_directory import read_finished
    from dina.study.unfinished_run import safe_name

    place = Path(run)
    if not place.exists() and run.partition(":")[0] in NAMED_SESSIONS:
        place = Path("runs") / f"pilot-{safe_name(run)}"
        study([run], overrides=['decoders=["dina"]'], out=place, device=device, threads=threads)
    settings = PowerSettings(n_folds=folds)
    content = read_finished(place)
    opened = None
    if force or is_unmeasured(content, settings):
        opened = open_settled(*read_source(place, recording, images))
    queries = "single_trial" if single_trials else "averaged"
    found = forecast_run(place, opened, accuracy, gallery, queries, settings, choose_device(device), n_threads, force=force)
    del opened
    write_report(place)
    print_report_table(power_table(found), ())
    say(found["sentence"])
    for table in verdict_tables(found):
        print_report_table(table, ())
    for note in without_verdicts(found):
        say(note)
    say(f"Report: {place / 'report.html'}   Numbers: {place / 'results' / 'power.json'}")
    log.info("Done in %.0f s.", time.monotonic() - began)
