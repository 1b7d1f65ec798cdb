"""Read Zarr folders in the thread that asks for it, and one chunk of them by itself, for `fuzz_readers.py`, which reads millions."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import zarr

from dina.checks import DataError
from dina.recordings import Recording

_LOOPS: dict[int, asyncio.AbstractEventLoop] = {}  # by process: a fork must not use that of its parent


def stay_in_this_thread() -> None:
    """Let zarr read in this thread for the rest of the process; by default three threads wait for each other, which takes longer."""

    def run_now(work: Coroutine[Any, Any, Any], _: asyncio.AbstractEventLoop) -> Future[Any]:
        if os.getpid() not in _LOOPS:
            _LOOPS[os.getpid()] = asyncio.new_event_loop()
        done: Future[Any] = Future()
        done.set_result(_LOOPS[os.getpid()].run_until_complete(work))
        return done

    async def call(function: Callable[..., Any], *values: Any, **named: Any) -> Any:
        return function(*values, **named)

    asyncio.run_coroutine_threadsafe, asyncio.to_thread = run_now, call


def read_array_first(path: Path, name: str) -> None:
    """Read one array of a recording, whose chunk is the mutant, then the recording; where the array cannot be read, it is refused.

    `Recording.read` answers whatever zarr raises with a refusal, so all that is left out is to open the other arrays.
    """
    if path not in _OPEN:
        _OPEN[path] = zarr.open_array(path / name, mode="r")
    try:
        _OPEN[path][...]
    except MemoryError:
        raise
    except Exception as error:
        raise DataError("the chunk cannot be decoded") from error
    Recording.read(path)


_OPEN: dict[Path, zarr.Array] = {}  # by recording
