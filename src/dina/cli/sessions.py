"""From the word RECORDING of the command line to a recording: a path, or the name of a simulated session."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from dina.checks import DataError
from dina.recordings import Recording, read
from dina.recordings.simulator import NAMED_SESSIONS, simulate
from dina.recordings.simulator.session_settings import Condition

log = logging.getLogger(__name__)


def settle(word: str) -> str:
    """Return the full path where the word is one, else the word, so that no later folder can change its meaning.

    A path wins over the name of a session such as "demo" or "demo:2", unless it is a run directory, which is no recording.
    """
    path = Path(word)
    is_path = path.exists() and not (word in NAMED_SESSIONS and _is_run(path))
    return str(full_path(path)) if is_path else word


def full_path(path: Path) -> Path:
    """Return the full path; a last part that is a link stays one, since names and companions are those beside the link."""
    return path.resolve() if path.name in ("", "..") else path.parent.resolve() / path.name


def _is_run(path: Path) -> bool:
    from dina.study.run_directory import IDENTITY  # imported here: threads must be set before torch is loaded

    return (path / IDENTITY).is_file()


def open_recording(word: str, images: Path | None, seed: int) -> Recording:
    """Read the recording at a path, or simulate the session of that name; see `settle` and `open_settled`."""
    return open_settled(settle(word), images, seed)


def open_settled(word: str, images: Path | None, seed: int) -> Recording:
    """Open what `settle` gave, now or when a run was written: a name is a session whatever folders there are.

    ``demo:2`` is another mouse that sees the images of the session demo. ``seed`` is that of a simulation.

    Raises
    ------
    DataError
        If there is no such path, fetched recording or session, or it cannot be used.
    """
    session, _, mouse = word.partition(":")
    if session in NAMED_SESSIONS and (mouse.isdigit() or word == session):
        if images is not None:
            raise DataError(f"The simulated session {session} has images of its own. Leave --images out.")
        log.info("Simulating the session %s%s …", session, f", animal {mouse}" if mouse else "")
        return simulate(session, seed=seed, mouse=int(mouse)) if mouse else simulate(session, seed=seed)
    path = Path(word)
    log.info("Reading %s …", path)
    try:
        return read(path, images=images)
    except DataError as error:
        if path.exists():
            raise
        raise DataError(f"{error} Simulated sessions are: {', '.join(sorted(NAMED_SESSIONS))}.") from error


def open_each(words: Sequence[str], images: Path | None, seed: int) -> list[Recording]:
    """Open one or several recordings as `open_settled` does.

    Raises
    ------
    DataError
        If one cannot be opened; of several, the error names it.
    """
    opened = []
    for word in words:
        try:
            opened.append(open_settled(word, images, seed))
        except DataError as error:
            if len(words) == 1:
                raise
            raise DataError(f"{word}: {error}") from error
    return opened


def open_condition(word: str, first: str, seed: int) -> Recording:
    """Open a further recording of the same neurons: a path, or a condition ("white", "8D", …) of the simulated session ``first``."""
    condition = next((known for known in get_args(Condition) if known == word), None)
    if condition is not None and first in NAMED_SESSIONS:
        log.info("Simulating the session %s, %s …", first, word)
        return simulate(first, seed=seed, condition=condition)
    return open_recording(word, None, seed)
