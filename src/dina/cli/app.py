"""The command `dina`: its commands in one table, its general options, and its end."""

import io
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from dina.cli.check_command import check
from dina.cli.commands import demo, doctor, fetch, joint, objectives, report, simulate, study
from dina.cli.hardware import joined_processes
from dina.cli.power_command import power
from dina.cli.pretrain_command import pretrain
from dina.cli.process import Stopped, explain, listening_for_stop, shown_log
from dina.cli.run_commands import compare, explore, export, interpret, verdict, verify
from dina.cli.streams import open_streams
from dina.cli.sweep_command import sweep
from dina.safe_words import one_line, say
from dina.version import __version__

GROUPS = {
    "From a recording to a page": (check, study, demo, joint, pretrain, sweep),
    "From a finished run to answers": (interpret, verdict, compare, power, report, explore, export, verify),
    "Recordings, objectives and this machine": (fetch, simulate, objectives, doctor),
}


class _GroupedHelp(TyperGroup):
    """The commands under the headings of `GROUPS` in ``dina --help``."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for heading, commands in GROUPS.items():
            known = [(each.__name__, self.get_command(ctx, each.__name__)) for each in commands]
            with formatter.section(heading):
                formatter.write_dl([(name, command.get_short_help_str(90)) for name, command in known if command is not None])


app = typer.Typer(
    name="dina",
    cls=_GroupedHelp,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool | None) -> None:
    if wanted:
        say(f"dina {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Print the traceback of an error; works after a command too.")] = False,
) -> None:
    """Read images out of neural populations with two aligned towers, beside every rival, chance and interval."""


for each in (command for commands in GROUPS.values() for command in commands):
    app.command()(each)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command `dina`; exit code 0, 2 for wrong input, 1 for a study without result or a bug, 130 after Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    open_streams()
    try:
        with listening_for_stop(), shown_log(debug), joined_processes():
            sys.exit(app(words, prog_name="dina", standalone_mode=False))
    except (Exception, Stopped) as error:
        sys.exit(_explain_usage(error) if hasattr(error, "format_message") else explain(error, debug))


def _explain_usage(error: Any) -> int:
    """Print how a command is used, with each word that was given on one line, and return the exit code."""
    stream = io.StringIO()
    error.show(file=stream)
    shown, message = stream.getvalue(), error.format_message()
    if not shown.startswith(message):  # else it is the help, where no word was given
        shown = shown.replace(message, one_line(message))
    say(*shown.splitlines(), is_error=True)
    return int(error.exit_code)
