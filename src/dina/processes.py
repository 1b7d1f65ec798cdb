"""Several processes that compute together, started by torchrun: the first one leads, the others carry out what it sends them."""

import datetime
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from dina.checks import DataError
from dina.safe_words import say

Result = TypeVar("Result")

# The others wait while the first reads, judges and writes.
LONGEST_WAIT = datetime.timedelta(days=30)

LOST = (
    "All processes of a fit must stay until its end; one was lost (killed, out of memory, or stopped by an error of its own)."
    " Give the same command again: training goes on from its last checkpoint."
)

log = logging.getLogger("dina.progress")


class ProcessLost(RuntimeError):
    """Another process of a fit in several processes ended before the fit did; nothing can go on in this one, either."""


class _State:
    """Whether these processes compute together just now, and whether they still can."""

    waiting: Any = None  # the group through which tasks are sent
    is_together = False
    is_broken = False


@contextmanager
def joined_processes() -> Iterator[None]:
    """Join the processes that torchrun started; inside, the first one leads, and fits use all of them.

    The others never come inside: they work for the first one until it leaves, and end there. Without torchrun nothing happens.

    Raises
    ------
    SystemExit
        In every process but the first.
    """
    if not dist.is_torchelastic_launched() or int(os.environ["WORLD_SIZE"]) < 2 or dist.is_initialized():
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    _State.waiting = dist.new_group(timeout=LONGEST_WAIT, backend="gloo")
    del os.environ["TORCHELASTIC_RUN_ID"]  # what this process starts is none of them
    if dist.get_rank() > 0:
        sys.exit(_work())
    log.info("%d processes train together; this one leads.", dist.get_world_size())
    try:
        yield
    finally:
        if not _State.is_broken:
            with suppress(RuntimeError):  # of processes that are gone: they have nothing more to do
                _send(None)
                dist.destroy_process_group()


def on_every_process(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call a function with the same arguments in every process, and return what it returns in this one.

    In the other processes the arguments are copies. Where there is one process, or where all compute together already, the
    function is called here alone.

    Raises
    ------
    ProcessLost
        If another process was lost.
    """
    if _State.waiting is None or _State.is_together:
        return function(*arguments)
    if _State.is_broken:
        raise ProcessLost(LOST)
    with _together():
        _send((function, arguments, torch.get_num_threads()))
        return function(*arguments)


def n_processes() -> int:
    """Return how many processes compute together just now; 1 outside of `on_every_process`."""
    return dist.get_world_size() if _State.is_together else 1


def process_number() -> int:
    """Return the number of this process among them; the first is 0, and it alone may write."""
    return dist.get_rank() if _State.is_together else 0


def from_first(function: Callable[[], Result]) -> Result:
    """Return what a function returns in the first process, where alone it is called; a `DataError` there is one in all."""
    if n_processes() == 1:
        return function()
    content: list[Any] = [None]
    if process_number() == 0:
        try:
            content = [function()]
        except DataError as error:
            content = [error]
    dist.broadcast_object_list(content, src=0)
    if isinstance(content[0], DataError):
        raise content[0]
    result: Result = content[0]
    return result


def _send(task: Any) -> None:
    dist.broadcast_object_list([task], src=0, group=_State.waiting)


def _work() -> int:
    """Carry out what the first process sends until it sends nothing more; return the exit code."""
    warnings.simplefilter("ignore")  # the first process says the same
    try:
        while True:
            task: list[Any] = [None]
            with _together():
                dist.broadcast_object_list(task, src=0, group=_State.waiting)
            if task[0] is None:
                dist.destroy_process_group()
                return 0
            function, arguments, n_threads = task[0]
            torch.set_num_threads(n_threads)
            with suppress(DataError), _together():  # the data are those of the first process, which says what is wrong with them
                function(*arguments)
            del task, function, arguments
    except Exception as error:
        words = [str(error)] if isinstance(error, ProcessLost) else traceback.format_exc().splitlines()
        say(f"dina, process {dist.get_rank()}:", *words, is_error=True)
        return 1


@contextmanager
def _together() -> Iterator[None]:
    """Let `n_processes` count all. An error inside, except one of the data, leaves the others alone, which ends them, too."""
    _State.is_together = True
    try:
        yield
    except DataError:
        raise
    except BaseException as error:
        _State.is_broken = True
        if isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error).lower()):
            raise ProcessLost(LOST) from error
        raise
    finally:
        _State.is_together = False
