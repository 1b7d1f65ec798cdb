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

CONDITIONS: tuple[Condition, ...] = get_args(Condition)


def settle(word: str) -> str:
    """Decide whether a word is a path or a name, so that no later folder can change what it means.

    Parameters
    ----------
    word
        A path, the name of a fetched recording, "demo", "benchmark" or "full", or one of its mice such as "demo:2".

    Returns
    -------
    settled
        The full path where there is one, else the name. A path wins over a name, but for a run directory: what a study
        wrote is no recording.
    """
    path = Path(word)
    is_path = path.exists() and not (word in NAMED_SESSIONS and _is_run(path))
    return str(path.resolve()) if is_path else word


def _is_run(path: Path) -> bool:
    from dina.study.run_directory import IDENTITY  # imported here: threads must be set before torch is loaded

    return (path / IDENTITY).is_file()


def open_recording(word: str, images: Path | None, seed: int) -> Recording:
    """Read the recording at a path; where there is none, simulate the session of that name.

    Parameters
    ----------
    word
        A path, the name of a fetched recording, or "demo", "benchmark" or "full". A path that exists wins, see `settle`.
    images
        Where the images are, if not beside the recording.
    seed
        Of the simulation.

    Raises
    ------
    DataError
        If there is no such path, fetched recording or session, or it cannot be used.
    """
    return open_settled(settle(word), images, seed)


def open_settled(word: str, images: Path | None, seed: int) -> Recording:
    """Open what `settle` gave, now or when a run was written: a name is a session whatever folders there are.

    Parameters
    ----------
    word
        A full path, or the name of a fetched recording or of a session; ``demo:2`` is another mouse that sees the images of
        the session demo.
    images
        Where the images are, if not beside the recording.
    seed
        Of the simulation.

    Raises
    ------
    DataError
        If there is no such path, fetched recording or session, or it cannot be used.
    """
    session, _, mouse = word.partition(":")
    if session in NAMED_SESSIONS and (mouse.isdigit() or word == session):
        if images is not None:
            raise DataError(f"The simulated session {session} has images of its own. Leave --images out.")
        log.info("Simulating the session %s%s …", session, f", mouse {mouse}" if mouse else "")
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
    if len(words) == 1:
        return [open_settled(words[0], images, seed)]
    opened = []
    for word in words:
        try:
            opened.append(open_settled(word, images, seed))
        except DataError as error:
            raise DataError(f"{word}: {error}") from error
    return opened


def open_condition(word: str, first: str, seed: int) -> Recording:
    """Open a further recording of the same neurons: a path, or the condition of a simulated session.

    Parameters
    ----------
    word
        A path, the name of a fetched recording, or "white", "8D", "4D" or "small".
    first
        What names the recording that was studied, settled; a condition belongs to its session.
    seed
        Of the simulation.

    Raises
    ------
    DataError
        If there is no such recording.
    """
    condition = next((known for known in CONDITIONS if known == word), None)
    if condition is not None and first in NAMED_SESSIONS:
        log.info("Simulating the session %s, %s …", first, word)
        return simulate(first, seed=seed, condition=condition)
    return open_recording(word, None, seed)
