"""The commands of `dina` and their options; what they do is in the package."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from dina.cli.errors import Stopped, explain, listening_for_stop
from dina.cli.process import shown_log

app = typer.Typer(
    name="dina",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

StudyFile = Annotated[Path | None, typer.Option("--study", metavar="FILE.toml", help="Settings of the study.")]
Preset = Annotated[str | None, typer.Option(help="Towers of dina: default, scratch, paper, or a recipe (docs/recipes.md).")]
Overrides = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting; may be repeated.")]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Where the run goes; by default under runs/.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed of every random choice.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads for computation; by default all cores.")]
Features = Annotated[
    Path | None,
    typer.Option(metavar="FILE.npy", help="Features of the images, a row for each, for objectives that are told them."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace what is at the place of the output.")]


def _version(wanted: bool | None) -> None:
    if wanted:
        from dina import __version__  # imported here: only this option needs it

        print(f"dina {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Print the traceback of an error; works after a command too.")] = False,
) -> None:
    """Read images out of neural populations with two aligned towers, beside every rival, chance and interval."""


@app.command()
def study(
    recording: Annotated[
        str,
        typer.Argument(
            metavar="RECORDING", help="A file or folder, a fetched recording, or a simulated session: demo, benchmark, full."
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
    images: Annotated[Path | None, typer.Option(metavar="PATH", help="The images, where they are not beside the file.")] = None,
    features: Features = None,
) -> None:
    """Decode a recording beside all rivals, and write a report.

    Stopped at any moment, the same command goes on from what was finished.
    """
    from dina.cli.study_command import carry_out_study  # imported here, as below: `dina --help` stays quick

    carry_out_study(recording, study_file, preset, overrides or [], out, seed, device, threads, force, images, features)


@app.command()
def demo(out: Out = None, device: Device = "auto", threads: Threads = None, force: Force = False) -> None:
    """Do the same on a small simulated session: no data needed."""
    from dina.cli.study_command import carry_out_study

    carry_out_study("demo", None, None, [], out or Path("runs/demo"), None, device, threads, force, None)


@app.command()
def interpret(
    run: Annotated[Path | None, typer.Argument(metavar="RUN", help="A run directory that `dina study` wrote.")] = None,
    names: Annotated[list[str] | None, typer.Argument(metavar="[ANALYSES]", help="By default all that are not slow.")] = None,
    recording: Annotated[str | None, typer.Option(metavar="RECORDING", help="What was studied, if it has moved since.")] = None,
    images: Annotated[Path | None, typer.Option(metavar="PATH", help="The images, where they are not beside the file.")] = None,
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
    from dina.cli.interpret_command import carry_out_interpretation, list_analyses

    if listed:
        list_analyses()
        return
    if run is None:
        raise typer.BadParameter("Name the run directory that `dina study` wrote, or give --list.", param_hint="RUN")
    carry_out_interpretation(
        run, names or [], recording, images, others or [], device, threads, slow, force, findings, overrides or []
    )


@app.command()
def verdict(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Interpreted run directories, one or several.")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where findings over several recordings go.")] = None,
) -> None:
    """Say which claims the findings of runs support, by rules that were written down beforehand.

    Runs of several recordings are judged together, too, with the mouse as the unit.
    """
    from dina.cli.interpret_command import carry_out_verdicts

    carry_out_verdicts(runs, out)


@app.command()
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
    threads: Threads = None,
) -> None:
    """Put several runs into one table and one figure, with paired differences on the same queries."""
    from dina.cli.compare_command import carry_out_comparison

    carry_out_comparison(runs, out, reference, mixed, threads)


@app.command()
def joint(
    recordings: Annotated[
        list[str],
        typer.Argument(
            metavar="RECORDING...",
            help="Two or more that show the same images; demo:1, demo:2 … are mice that see the images of demo.",
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
    images: Annotated[Path | None, typer.Option(metavar="PATH", help="The images, where they are not beside the files.")] = None,
) -> None:
    """Decode several recordings with one image tower, and let each join the others with few images.

    Stopped at any moment, the same command goes on from what was finished.
    """
    from dina.cli.joint_command import carry_out_joint

    carry_out_joint(recordings, study_file, preset, overrides or [], out, seed, device, threads, force, images)


@app.command()
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
    images: Annotated[Path | None, typer.Option(metavar="PATH", help="The images, where they are not beside the file.")] = None,
    features: Features = None,
) -> None:
    """Train the same towers with every objective, and say whether a low-level bias is made by the contrastive one.

    Stopped at any moment, the same command goes on from what was finished.
    """
    from dina.cli.objectives_command import carry_out_objectives
    from dina.cli.study_command import features_words

    told = [*(overrides or []), *features_words(features)]
    carry_out_objectives(recording, names or [], seeds or [0, 1, 2], epochs, told, out, device, threads, force, images)


@app.command()
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
    from dina.cli.data_commands import carry_out_simulation

    carry_out_simulation(session, out, condition, overrides or [], seed, threads, force)


@app.command()
def fetch(
    source: Annotated[str | None, typer.Argument(metavar="[SOURCE]", help="Where from; by default lists the sources.")] = None,
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAMES]", help="Files to fetch; by default lists them.")] = None,
) -> None:
    """Download published recordings into the cache.

    Every file is checked against its checksum; an interrupted download goes on where it stopped.
    """
    from dina.cli.data_commands import carry_out_fetch

    carry_out_fetch(source, names or [])


@app.command()
def report(run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory that `dina study` wrote.")]) -> None:
    """Draw the figures and the page of a run again."""
    from dina.cli.study_command import carry_out_report

    carry_out_report(run)


@app.command()
def doctor(threads: Threads = None) -> None:
    """Show versions, threads, device, memory, cache and speed."""
    from dina.cli.doctor import carry_out_doctor

    carry_out_doctor(threads)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command `dina`; exit code 0, 2 for wrong input, 1 for a bug, 130 after Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        with listening_for_stop(), shown_log(debug):
            app(words, prog_name="dina")
    except (Exception, Stopped) as error:
        sys.exit(explain(error, debug))
