"""The commands that make and show runs (study, demo, joint, report, objectives) and those that give recordings."""

import json
import logging
import shlex
import time
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from dina.cli.hardware import choose_device, neurons_on_workers, set_threads
from dina.cli.noted_source import note_source
from dina.safe_words import say

# everything else is imported in functions: `dina --help` stays quick, and threads are set before torch is loaded

log = logging.getLogger(__name__)

StudyFile = Annotated[Path | None, typer.Option("--study", metavar="FILE.toml", help="Settings of the study.")]
Preset = Annotated[
    str | None,
    typer.Option(
        help="Towers of dina: default, learnt_fields, pretrained_fields, scratch, paper, attention, or of docs/recipes.md."
    ),
]
Overrides = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting; may be repeated.")]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Where the run goes; by default under runs/.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed of every random choice.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads for computation; by default all cores.")]
Features = Annotated[
    Path | None, typer.Option(metavar="FILE.npy", help="A row of features per image, for objectives that need it.")
]
Images = Annotated[
    Path | None, typer.Option(metavar="PATH", help="Images to read in place of those of the recording, or where it has none.")
]
Folds = Annotated[int | None, typer.Option(min=2, metavar="K", help="Test every image once, in K folds; K times the work.")]
MaxMemory = Annotated[
    float | None, typer.Option("--max-memory", min=0.1, metavar="GB", help="Memory it may need; by default what is free.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace what is at the place of the output.")]


def study(
    recordings: Annotated[
        list[str],
        typer.Argument(
            metavar="RECORDING...",
            help="A file or folder, a fetched recording, or a simulated session: demo, benchmark, full. Several are studied together.",
        ),
    ],
    study_file: StudyFile = None,
    preset: Preset = None,
    overrides: Overrides = None,
    out: Out = None,
    seed: Seed = None,
    device: Device = "auto",
    threads: Threads = None,
    force: Force = False,
    images: Images = None,
    features: Features = None,
    folds: Folds = None,
    max_memory: MaxMemory = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="A scheduler of dask, by address or file (.json): its workers fit neurons, too."),
    ] = None,
) -> None:
    """Decode a recording beside all rivals, and write a report; of several recordings, do as dina joint does.

    Stopped at any moment, the same command goes on from what was finished.
    """
    began = time.monotonic()
    n_threads = set_threads(threads)
    from dina.cli.sessions import open_each, settle
    from dina.study import default_run_name, read_settings, read_together_settings, run_study
    from dina.study.needs import say_needs
    from dina.study.settings import StudySettings
    from dina.study.updates import say_updates

    _check_recordings(recordings, features, 1, folds)
    together = len(recordings) > 1
    changes = [*(overrides or []), *_features_words(features)]
    changes += [*([f'preset="{preset}"'] if preset else []), *([f"seed={seed}"] if seed is not None else [])]
    changes += [] if folds is None else [f"folds={folds}"]
    settings = (read_together_settings if together else read_settings)(study_file, changes)
    chosen = choose_device(device)
    words = [settle(recording) for recording in recordings]  # now: the run may come to lie where a path of this name would
    opened = open_each(words, images, settings.seed)
    run = out or Path("runs") / default_run_name(opened, settings)
    if isinstance(settings, StudySettings) and not run.exists():
        before = (
            say_needs(opened[0], n_threads, settings)[0] if settings.preset == "default" else say_updates(opened[0], settings)
        )
        if before:
            logging.getLogger("dina.progress").info("%s", before)  # shown where output is redirected, too

    def finish(folder: Path) -> None:
        if not together:
            note_source(folder, words[0], images, settings.seed)
        _draw_report(folder)

    with neurons_on_workers(scheduler):
        run_study(opened, settings, run, device=chosen, n_threads=n_threads, force=force, finish=finish, max_memory_gb=max_memory)
    del opened
    if not (run / "report.html").is_file():
        finish(run)
    _print_table(run)
    say(f"Report: {run / 'report.html'}   Numbers: {run / 'summary.json'}")
    log.info("Done in %.0f s.", time.monotonic() - began)
    _refuse_failure(run)
    _say_next(run)


def demo(out: Out = None, device: Device = "auto", threads: Threads = None, force: Force = False) -> None:
    """Do the same on a small simulated session: no data needed."""
    study(["demo"], out=out or Path("runs/demo"), device=device, threads=threads, force=force)


def joint(
    recordings: Annotated[
        list[str],
        typer.Argument(
            metavar="RECORDING...",
            help="Two or more that show the same images; demo:1, demo:2 … are animals that see the images of demo.",
        ),
    ],
    study_file: StudyFile = None,
    preset: Annotated[str | None, typer.Option(help="default, scratch, mindeye2 or mindbridge.")] = None,
    overrides: Overrides = None,
    out: Out = None,
    seed: Seed = None,
    device: Device = "auto",
    threads: Threads = None,
    force: Force = False,
    images: Images = None,
) -> None:
    """Decode several recordings with one image tower, and let each join the others with few images.

    Stopped at any moment, the same command goes on from what was finished.
    """
    _check_recordings(recordings, None, 2)
    study(recordings, study_file, preset, overrides, out, seed, device, threads, force, images)


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory that `dina study` wrote, or one of its folds.")],
    export: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also write tables (CSV), figures (SVG, PDF) and methods for a paper into this folder."),
    ] = None,
) -> None:
    """Draw the figures and the page of a run again; with --export, also files for a paper.

    Towers, maps and scores to share with others are written by `dina export`.
    """
    _refuse_unfinished(run)
    _draw_report(run, export)
    _print_table(run)
    say(f"Report: {run / 'report.html'}")
    if export is not None:
        say(f"For a paper: {export}")


def objectives(
    recording: Annotated[str, typer.Argument(metavar="RECORDING", help="As `dina study` takes it; best with labels.")],
    names: Annotated[list[str] | None, typer.Argument(metavar="[OBJECTIVES]", help="By default all.")] = None,
    seeds: Annotated[list[int] | None, typer.Option("--seed", min=0, help="May be repeated; by default 0, 1 and 2.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Budget of every fit; by default that of the preset scratch.")] = None,
    overrides: Overrides = None,
    out: Out = None,
    device: Device = "auto",
    threads: Threads = None,
    force: Force = False,
    images: Images = None,
    features: Features = None,
) -> None:
    """Train the same towers with every objective, and say whether a low-level bias is made by the contrastive one.

    Stopped at any moment, the same command goes on from what was finished.
    """
    began = time.monotonic()
    n_threads = set_threads(threads)
    from dina.analyses.objectives.page import objectives_remarks, objectives_table, write_objectives
    from dina.cli.sessions import open_recording
    from dina.cli.tables import print_report_table
    from dina.study.objectives_study import study_objectives
    from dina.study.unfinished_run import safe_name

    chosen = seeds or [0, 1, 2]
    changes = [*(overrides or []), *_features_words(features)]
    opened = open_recording(recording, images, chosen[0])
    folder = out or Path("runs") / f"{safe_name(opened.name)}-objectives"
    study = study_objectives(
        opened, folder, names or None, chosen, epochs, choose_device(device), n_threads, changes, force=force
    )
    print_report_table(objectives_table(study.comparison.findings), objectives_remarks(study), style="")
    say("Written: " + ", ".join(str(path) for path in write_objectives(study, folder)))
    log.info("Done in %.0f s.", time.monotonic() - began)


def simulate(
    session: Annotated[str, typer.Argument(metavar="SESSION", help="demo, benchmark or full.")],
    out: Annotated[Path, typer.Option(metavar="FILE.nc", help="The file to write.")],
    condition: Annotated[str | None, typer.Option(help="natural, white, 8D, 4D or small.")] = None,
    overrides: Overrides = None,
    seed: Seed = None,
    threads: Threads = None,
    force: Force = False,
) -> None:
    """Write a simulated session with known truth as a file."""
    _check_place(out, force)
    set_threads(threads)
    from dina.recordings.simulator import simulate
    from dina.study.settings_file import apply_overrides

    changes = apply_overrides({}, overrides or [])
    log.info("Simulating the session %s …", session)
    recording = simulate(session, seed or 0, settings=changes, condition=cast(Any, condition))
    recording.write(out)
    counts = recording.repeats_per_stimulus()
    fewest, most = int(counts.min()), int(counts.max())
    times = f"{most} times" if fewest == most else f"{fewest} to {most} times"
    say(
        f"{out}: {recording.name}, {recording.n_neurons} neurons, {recording.n_stimuli} images"
        f" shown {times}, {out.stat().st_size / 1e6:.0f} MB."
    )


def fetch(
    source: Annotated[str | None, typer.Argument(metavar="[SOURCE]", help="Where from; by default lists the sources.")] = None,
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAMES]", help="Files to fetch; by default lists them.")] = None,
) -> None:
    """Download published recordings into the cache.

    Every file is checked against its checksum; an interrupted download goes on where it stopped.
    """
    from dina.checks import check_choice
    from dina.recordings.formats import FORMATS

    deposits = {name: known.deposit for name, known in FORMATS.items() if known.deposit is not None}
    if source is None:
        say(*deposits)
        return
    deposit = deposits[check_choice("source", source, deposits)]
    say(*(deposit.fetch(names) if names else deposit.list_recordings()))


def doctor(threads: Threads = None) -> None:
    """Show versions, threads, device, memory, cache and speed."""
    n_threads = set_threads(threads)
    from dina.cli.tables import print_doctor

    print_doctor(n_threads)


def _check_recordings(recordings: list[str], features: Path | None, fewest: int, folds: int | None = None) -> None:
    """Refuse too few recordings, and for several what is for one."""
    from dina.checks import DataError

    if len(recordings) < fewest:
        raise DataError(f"dina joint needs at least two recordings; got {recordings[0]}. Give others that show the same images.")
    if len(recordings) > 1 and features is not None:
        raise DataError("Features of images are for a study of one recording; several were given. Leave --features out.")
    if len(recordings) > 1 and folds is not None:
        raise DataError("--folds is for a study of one recording; several were given. Set n_folds, as in --set n_folds=3.")


def _check_place(out: Path, force: bool) -> None:
    """Refuse a place where no recording can be written."""
    from dina.checks import DataError

    if out.suffix not in (".nc", ".zarr"):
        raise DataError(f"A recording is written as FILE.nc or FOLDER.zarr; got {out}. Change the ending of --out.")
    if out.exists() and (out.suffix == ".zarr" or not force):
        remedy = "Choose another --out." if out.suffix == ".zarr" else "Choose another --out, or replace it with --force."
        raise DataError(f"{out} already exists. {remedy}")


def _refuse_unfinished(run: Path) -> None:
    from dina.checks import DataError

    if (run / "summary.json").is_file() and not (run / "SHA256SUMS").is_file():
        raise DataError(f"{run} must hold SHA256SUMS, as every finished study does. Finish or repeat the study.")


def _draw_report(run: Path, export: Path | None = None) -> None:
    """Draw figures and page of a run, bring its checksums up to date, and export what a paper needs."""
    from dina.checks import DataError

    if not (run / "summary.json").is_file():
        raise DataError(f"{run} must be a finished run directory with summary.json; it is not. Give the --out of `dina study`.")
    from dina.report import write_report

    log.info("Drawing the report …")
    write_report(run, export)


def unanswered(words: str) -> typer.Exit:
    """Say on standard error that what was asked for could not be computed, and return the end with exit code 1."""
    say(f"dina: {words}", is_error=True)
    return typer.Exit(1)


def _refuse_failure(run: Path) -> None:
    """End with exit code 1 where dina was asked for and has no number, or no decoder has one."""
    from dina.study.run_directory import Run

    rows = Run(run).rows
    failed = {
        row.decoder: row.reason for row in reversed(rows) if not any(r.top1 is not None for r in rows if r.decoder == row.decoder)
    }
    reason = failed.get("dina") or (failed[rows[0].decoder] if len(failed) == len({row.decoder for row in rows}) > 0 else "")
    if reason:
        decoder = "dina" if "dina" in failed else rows[0].decoder
        raise unanswered(f"The study is written, but {decoder} has no result: {reason}")


def _say_next(run: Path) -> None:
    """Say which command comes next, where there is one: towers of one recording can be interpreted."""
    from dina.study.run_directory import TOWERS, Run

    made = Run(run)
    interpretable = made.fold(1).path if made.folds else run
    if not made.has_several_recordings and TOWERS in Run(interpretable).files:
        say(f"Next: dina interpret {shlex.quote(str(interpretable))}")


def _print_table(run: Path) -> None:
    from dina.cli.tables import print_run
    from dina.study.run_directory import Run

    print_run(Run(run))


def _features_words(features: Path | None) -> list[str]:
    """Return the option --features as a setting, with its full path: ``study.toml`` may be read from another folder."""
    from dina.cli.sessions import full_path

    return [] if features is None else [f"image_features={json.dumps(str(full_path(features)), ensure_ascii=False)}"]
