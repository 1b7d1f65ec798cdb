"""Progress of everything that takes more than two seconds: a bar with time left in a terminal, elsewhere now and then a log line."""

import logging
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from dina.safe_words import one_line

Item = TypeVar("Item")

log = logging.getLogger(__name__)

# Seconds before a bar is shown.
DELAY_S = 2.0
# Seconds between two log lines, where standard error is no terminal.
LINE_EVERY_S = 30.0

_TERMINAL = threading.Lock()  # a terminal has room for one bar at a time


def track(
    items: Iterable[Item], description: str, total: int | None = None, detail: dict[str, str] | None = None
) -> Iterator[Item]:
    """Yield ``items``; after two seconds show a bar with time left, or log a line every half minute where there is no terminal.

    ``total`` is the number of items where ``len(items)`` is not defined. The caller may change ``detail`` between items
    (``{"loss": "1.23"}``); it is shown beside the bar.
    """
    count = total if total is not None else len(items) if isinstance(items, Sized) else None
    if not sys.stderr.isatty():
        yield from _logged(items, description, count)
        return
    from rich.console import Console  # imported here: a piped run never needs it
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    if not _TERMINAL.acquire(blocking=False):  # a bar is shown already: the outer one tells the time left
        yield from items
        return
    words = TextColumn("{task.description}", markup=False)
    columns = (words, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, TextColumn("{task.fields[note]}", markup=False), console=Console(stderr=True), transient=True)
    task = bar.add_task(one_line(description), total=count, note="")
    # a timer, because the first item alone may take minutes
    timer = threading.Timer(DELAY_S, bar.start)
    timer.daemon = True
    timer.start()
    try:
        for item in items:
            yield item
            bar.update(task, advance=1, note=one_line(" ".join(f"{k} {v}" for k, v in (detail or {}).items())))
    finally:
        timer.cancel()
        timer.join()
        bar.stop()
        _TERMINAL.release()


def number_passes(description: str, total: int) -> Iterator[str]:
    """Yield what to call each pass of a loop that is gone through several times.

    Examples
    --------
    >>> list(number_passes("Fitting", 2))
    ['Fitting, pass 1 of 2', 'Fitting, pass 2 of 2']
    """
    return (f"{description}, pass {number} of {total}" for number in range(1, total + 1))


def _logged(items: Iterable[Item], description: str, count: int | None) -> Iterator[Item]:
    """Yield ``items``, with a log line whenever the last one is half a minute ago."""
    began = said = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if done and now - said >= LINE_EVERY_S:
            left = "" if count is None else f" of {count}, about {_duration((now - began) * (count - done) / done)} left"
            log.info("%s: %d%s", description, done, left)
            said = now
        yield item


def _duration(seconds: float) -> str:
    """Write a time in words.

    Examples
    --------
    >>> _duration(40.2), _duration(300), _duration(8000)
    ('40 s', '5 min', '2.2 h')
    """
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
