"""Progress bars with time left on everything that takes more than two seconds; silent when piped."""

import sys
import threading
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from dina.safe_words import printable

Item = TypeVar("Item")

# Seconds before a bar is shown.
DELAY_S = 2.0

_TERMINAL = threading.Lock()  # a terminal has room for one bar at a time


def track(
    items: Iterable[Item], description: str, total: int | None = None, detail: dict[str, str] | None = None
) -> Iterator[Item]:
    """Yield ``items``; if standard error is a terminal and two seconds have passed, show a bar with time left.

    ``total`` is the number of items where ``len(items)`` is not defined. The caller may change ``detail`` between items
    (``{"loss": "1.23"}``); it is shown beside the bar.
    """
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console  # imported here: a piped run never needs it
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    if not _TERMINAL.acquire(blocking=False):  # a bar is shown already: the outer one tells the time left
        yield from items
        return
    count = total if total is not None else len(items) if isinstance(items, Sized) else None
    words = TextColumn("{task.description}", markup=False)
    columns = (words, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, TextColumn("{task.fields[note]}", markup=False), console=Console(stderr=True), transient=True)
    task = bar.add_task(printable(description), total=count, note="")
    # a timer, because the first item alone may take minutes
    timer = threading.Timer(DELAY_S, bar.start)
    timer.daemon = True
    timer.start()
    try:
        for item in items:
            yield item
            bar.update(task, advance=1, note=printable(" ".join(f"{k} {v}" for k, v in (detail or {}).items())))
    finally:
        timer.cancel()
        timer.join()
        bar.stop()
        _TERMINAL.release()
