"""Run something in a copy of this process: another process, in which nothing has to be imported again."""

import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path


def _start_copy(action: Callable[[], int]) -> int:
    """Return the number of a copy of this process that carries out one action and ends with the exit code that it returns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the other threads of this process belong to pytest-xdist
        child = os.fork()
    if not child:
        code = 1
        try:
            code = action()
        finally:  # whatever happens, the copy runs no other test
            os._exit(code)
    return child


def end_of_copy(action: Callable[[], int], said: Path) -> int:
    """Return the exit code of a copy that carries out one action; what it says on standard error is in a file."""
    return ends_of_copies([action], [said])[0]


def ends_of_copies(actions: Sequence[Callable[[], int]], said: Sequence[Path]) -> list[int]:
    """Return the exit codes of copies that carry out an action each, at the same time."""

    def say_into(file: Path, action: Callable[[], int]) -> int:
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), 2)
        with os.fdopen(2, "w") as sys.stderr:
            return action()

    copies = [_start_copy(partial(say_into, file, action)) for file, action in zip(said, actions, strict=True)]
    return [os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1]) for copy in copies]


def kill_while_repeating(action: Callable[[int], object], n_times: int, delay: float = 0.0) -> None:
    """Let a copy repeat an action with 0, 1, 2, …, and kill it ``delay`` seconds after it was done for the n-th time."""
    reading, writing = os.pipe()

    def repeat() -> int:
        for number in count():
            action(number)
            os.write(writing, b".")
        return 0

    child = _start_copy(repeat)
    os.close(writing)
    for _ in range(n_times):
        assert os.read(reading, 1), "the copy ended by itself"
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reading)
