"""What the command says, and with which exit code it ends, when something goes wrong."""

import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

WRONG_INPUT, BUG = 2, 1


class Stopped(BaseException):
    """The user or the system asked the command to stop (Ctrl-C, SIGTERM).

    Parameters
    ----------
    signal_number
        The signal that was received.
    """

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
    """Print what went wrong to standard error and return the exit code.

    Parameters
    ----------
    error
        What ended the command.
    debug
        Whether to print the traceback too.
    """
    if debug:
        traceback.print_exception(error)
    message, code = _message_of(error)
    print(f"dina: {message}", file=sys.stderr)
    return code


def _message_of(error: BaseException) -> tuple[str, int]:
    from dina.checks import DataError  # imported here: it loads numpy, which `dina --help` must not

    if isinstance(error, Stopped):
        return "Stopped. What was finished is kept: the same command goes on from there.", error.exit_code
    if isinstance(error, DataError):
        return str(error), WRONG_INPUT
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error) or "out of memory" in str(error):
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
