"""The commands that take finished runs: interpret, verdict, compare, verify, explore, export."""

import logging
import shlex
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dina.cli.commands import Device, Images, Threads, unanswered
from dina.cli.hardware import choose_device, set_threads
from dina.cli.noted_source import read_source
from dina.cli.process import Stopped
from dina.safe_words import say

if TYPE_CHECKING:
    from dina.analyses.across_recordings import AcrossRecordings

# everything else is imported in functions: `dina --help` stays quick, and threads are set before torch is loaded

log = logging.getLogger(__name__)


def interpret(
    run: Annotated[Path | None, typer.Argument(metavar="RUN", help="A run directory that `dina study` wrote.")] = None,
    names: Annotated[list[str] | None, typer.Argument(metavar="[ANALYSES]", help="By default all that are not slow.")] = None,
    recording: Annotated[str | None, typer.Option(metavar="RECORDING", help="What was studied, if it has moved since.")] = None,
    images: Images = None,
    others: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="RECORDING", help="The same images under another condition; may be repeated."),
    ] = None,
    device: Device = "auto",
    threads: Threads = None,
    slow: Annotated[bool, typer.Option("--all", help="Slow analyses too: those that fit towers again.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Repeat analyses that are there.")] = False,
    findings: Annotated[bool, typer.Option("--findings", help="Print every statistic, too.")] = False,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One setting of the one analysis that is named; may be repeated."),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List all analyses with their questions and settings.")] = False,
) -> None:
    """Find out what in the image, and which neurons, carry the decoding of a run.

    Stopped at any moment, the same command goes on from what was finished.
    """
    if listed:
        _list_analyses()
        return
    if run is None:
        raise typer.BadParameter("Name the run directory that `dina study` wrote, or give --list.", param_hint="RUN")
    began = time.monotonic()
    n_threads = set_threads(threads)
    from dina.cli.sessions import open_condition, open_settled
    from dina.cli.tables import print_findings, print_verdicts
    from dina.explorer.page import renew_explorer
    from dina.report import write_report
    from dina.study.interpret import interpret_run, judge_run
    from dina.study.own_analyses import changes_of, choose_analyses
    from dina.study.run_directory import read_finished
    from dina.study.settings_file import apply_overrides

    read_finished(run)
    settings = apply_overrides({}, overrides or [])
    changes_of(choose_analyses(names or []), settings)  # refused now, before the recording is read
    word, kept_images, seed = read_source(run, recording, images)
    opened = open_settled(word, kept_images, seed)
    further = tuple(open_condition(other, word, seed) for other in others or [])
    found = interpret_run(
        run, opened, names or [], choose_device(device), n_threads, further, settings, is_slow_wanted=slow, force=force
    )
    del opened, further
    renew_explorer(run)
    write_report(run)
    if findings:
        print_findings(found)
    print_verdicts({run.name: judge_run(run)})
    n_findings = sum(len(one.findings) for one in found.values())
    analyses = "1 analysis" if len(found) == 1 else f"{len(found)} analyses"
    say(f"{n_findings} findings of {analyses}; `dina interpret {run} --findings` prints them.")
    say(f"Report: {run / 'report.html'}   Numbers: {run / 'summary.json'}")
    log.info("Done in %.0f s.", time.monotonic() - began)


def verdict(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Interpreted run directories, one or several.")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where findings over several recordings go.")] = None,
    any_recordings: Annotated[
        bool,
        typer.Option(
            "--any-recordings",
            help="Allow recordings of different kinds together: measured and simulated, or of another species, area or indicator.",
        ),
    ] = False,
) -> None:
    """Say which claims the findings of runs support, by written rules.

    Runs of several recordings are judged together, too, with the animal as the unit.
    """
    from dina.cli.tables import print_verdicts
    from dina.study.interpret import judge_runs

    judged = judge_runs(runs, any_recordings=any_recordings)
    bare = [f"`dina interpret {shlex.quote(str(run))}`" for run in judged.uninterpreted]
    if len(judged.uninterpreted) == len(judged.verdicts):
        raise unanswered(f"No claim can be judged before a run is interpreted. First: {', '.join(bare)}")
    print_verdicts(judged.verdicts)
    if bare:
        say(f"Not interpreted yet: {', '.join(bare)}")
    if judged.guessed:
        say(judged.guessed)
    if out is not None:
        _write_across(judged.across, out)


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run directories that `dina study` wrote.")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where CSV, Markdown and figure go.")] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="DECODER", help="With which all are compared, as the table calls it; by default dina of the first run."
        ),
    ] = None,
    mixed: Annotated[bool, typer.Option("--mixed", help="Allow runs of different recordings or splits, unpaired.")] = False,
    any_network: Annotated[bool, typer.Option("--any-network", help="Allow runs with and without the trained network.")] = False,
    threads: Threads = None,
) -> None:
    """Put several runs into one table and one figure, with paired differences on the same queries."""
    set_threads(threads)
    from dina.cli.tables import print_report_table
    from dina.report.comparison_of_runs import comparison_remarks, comparison_table, write_comparison
    from dina.study.judged_decoders import compare_runs

    comparison = compare_runs(runs, reference, mixed=mixed, any_network=any_network)
    print_report_table(comparison_table(comparison), comparison_remarks(comparison))
    if out is not None:
        say("Written: " + ", ".join(str(path) for path in write_comparison(comparison, out)))


def verify(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory that `dina study` wrote.")],
    recording: Annotated[str | None, typer.Option(metavar="RECORDING", help="What was studied, if it has moved since.")] = None,
    images: Images = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Check every file of a run against its checksum, and compute its accuracies again from model and recording.

    Ends with exit code 2 where a file differs, and with 1 where a number does.
    """
    n_threads = set_threads(threads)
    from dina.cli.sessions import open_settled
    from dina.cli.tables import print_verified
    from dina.study.run_directory import read_run
    from dina.study.verify import verify_files, verify_run

    verify_files(run)  # first: nothing is read from a run that differs
    opened = None if read_run(run).has_several_recordings else open_settled(*read_source(run, recording, images))
    verified = verify_run(run, opened, choose_device(device), n_threads)
    print_verified(run, verified)
    wrong = [number for number in (*verified.from_scores, *verified.from_model) if not number.is_same]
    if wrong:
        raise unanswered(f"{len(wrong)} accuracies of {run} do not follow from what it holds, first that of {wrong[0].decoder}.")


def explore(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory that `dina study` wrote, or one of its folds.")],
    recording: Annotated[str | None, typer.Option(metavar="RECORDING", help="What was studied, if it has moved since.")] = None,
    images: Images = None,
    device: Device = "auto",
    threads: Threads = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the server on 127.0.0.1; 0 for a free one.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address, and open no browser.")] = False,
    file_only: Annotated[bool, typer.Option("--file-only", help="Write explorer.html and end; serve nothing.")] = False,
) -> None:
    """Look at single images and single neurons of a run: write explorer.html, and serve all of the run on this machine.

    The server answers this machine alone, and ends with Ctrl-C.
    """
    n_threads = set_threads(threads)
    from dina.cli.sessions import open_settled
    from dina.explorer.page import PAGE, needs_recording, write_explorer
    from dina.report import write_report
    from dina.study.environment import fixed_threads
    from dina.study.run_directory import read_finished

    content = read_finished(run)
    is_new = PAGE not in content.files
    opened = open_settled(*read_source(run, recording, images)) if needs_recording(content) else None
    with fixed_threads(n_threads):
        write_explorer(run, opened, choose_device(device))
    del opened
    if is_new:
        write_report(run)  # whose page now leads to the explorer
    say(f"Explorer: {run / PAGE}")
    if not file_only:
        _serve_explorer(run, port, is_opened=not no_browser)


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory that `dina study` wrote.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write, which must not exist.")],
    recording: Annotated[str | None, typer.Option(metavar="RECORDING", help="What was studied, if it has moved since.")] = None,
    images: Images = None,
    licence: Annotated[
        str | None, typer.Option(metavar="WORD", help="Licence of towers and arrays, for the cards, such as CC-BY-4.0.")
    ] = None,
    device: Device = "auto",
    threads: Threads = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export.")] = False,
) -> None:
    """Write towers, maps, scores and findings of a run as a folder to share, which dina.load reads back.

    DIR/model can go to a model hub and DIR/data to a deposit. Tables and figures for a paper are made by `dina report --export`.
    """
    n_threads = set_threads(threads)
    from dina.cli.sessions import open_settled
    from dina.sharing.shared_folder import check_export, export_run
    from dina.study.environment import fixed_threads

    content = check_export(run, folder, force=force)  # before the recording is read
    opened = None if content.has_several_recordings else open_settled(*read_source(run, recording, images))
    with fixed_threads(n_threads):
        export_run(run, folder, opened, choose_device(device), licence=licence, force=force)
    say(f"Shared: {folder}   (model for a hub, data for a deposit; dina.load reads both)")
    if licence is None:
        say("Both cards still say that no licence is stated; --licence states one.")


def _serve_explorer(run: Path, port: int, *, is_opened: bool) -> None:
    """Serve a run until the user stops it."""
    import webbrowser

    from dina.explorer.loopback import private_page, serve_run

    with serve_run(run, port) as server, private_page(server.address) as page:
        say(f"All of it: {server.address}   (this machine alone; Ctrl-C ends)")
        sys.stdout.flush()  # the address is of use before the command ends
        try:
            if is_opened:
                webbrowser.open(page.as_uri())
            server.serve_forever()
        except Stopped as stopped:
            if stopped.exit_code != 128 + signal.SIGINT:
                raise
            say("Ended.")


def _write_across(across: "AcrossRecordings | None", out: Path) -> None:
    """Write the findings over recordings as arrays, table and figures."""
    from dina.checks import DataError
    from dina.report.over_mice import write_across

    if across is None:
        raise DataError("--out needs runs of at least two recordings decoded with one preset. Give such runs, or leave it out.")
    say(f"Findings over recordings: {write_across(across, out)}")


def _list_analyses() -> None:
    """Print every analysis with its question, what can be set, and whether it is slow."""
    from dina.analyses import ANALYSES

    for name, row in ANALYSES.items():
        known = [] if row.settings_type is None else list(row.settings_type.model_fields)
        say(f"{name}{' (slow)' if row.is_slow else ''}: {row.question}")
        say(f"    side: {row.side}; settings: {', '.join(known) or 'none'}")
