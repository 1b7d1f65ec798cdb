"""What the command sets for its process: where log lines go, and how it stops and ends."""

import logging
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TextIO

from dina.safe_words import PrintableFormatter, say

WRONG_INPUT, BUG = 2, 1


@contextmanager
def shown_log(debug: bool) -> Iterator[None]:
    """Send log lines to standard error while a command runs: all in a terminal, only warnings and progress where it is redirected.

    Warnings of dina itself become log lines; those of libraries are for developers and show with ``--debug``.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter("%(message)s"))
    handler.setLevel(logging.INFO)
    if not (debug or sys.stderr.isatty()):
        handler.addFilter(lambda record: record.levelno >= logging.WARNING or record.name == "dina.progress")
    logger = logging.getLogger("dina")
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.showwarning = _log_warning
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


def _log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    is_ours = Path(filename).is_relative_to(Path(__file__).parents[1])
    level = logging.WARNING if is_ours else logging.DEBUG
    logging.getLogger("dina.warnings").log(level, "%s", message if is_ours else f"{filename}:{lineno}: {message}")


class Stopped(BaseException):
    """The user or the system stopped the command (Ctrl-C, SIGTERM)."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.exit_code = 128 + signal_number


@contextmanager
def listening_for_stop() -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into `Stopped`, so that files under way are cleaned up and the exit code is right."""

    def stop(signal_number: int, frame: FrameType | None) -> None:
        raise Stopped(signal_number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def explain(error: BaseException, debug: bool) -> int:
    """Print what went wrong to standard error, after the traceback if ``debug``, and return the exit code."""
    if debug:
        # indented: what an error says on a second line of its own is no line of dina
        say(*(f"  {line}" for line in "".join(traceback.format_exception(error)).splitlines()), is_error=True)
    message, code = _message_of(error)
    say(f"dina: {message}", is_error=True)
    return code


def _message_of(error: BaseException) -> tuple[str, int]:
    from dina.checks import DataError  # imported here: it loads numpy, which `dina --help` must not

    if isinstance(error, Stopped):
        return "Stopped. What was finished is kept: the same command goes on from there.", error.exit_code
    if isinstance(error, DataError):
        return str(error), WRONG_INPUT
    from dina.processes import ProcessLost  # imported here: it loads torch

    if isinstance(error, ProcessLost):
        return str(error), BUG
    words = ("can't allocate memory", "out of memory", "Cannot allocate memory")
    if isinstance(error, MemoryError) or any(each in str(error) for each in words):
        return (
            "Memory ran out. Close other programs, use a machine with more, or fewer neurons or smaller batches;"
            " the same command goes on from what was finished.",
            WRONG_INPUT,
        )
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}. Check the path, its permissions and the space on the disk.", WRONG_INPUT
    return (
        f"This is a bug in dina ({type(error).__name__}: {error}). Run the command again with --debug and report what it prints.",
        BUG,
    )
