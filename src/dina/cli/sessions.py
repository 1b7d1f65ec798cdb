"""From the word RECORDING of the command line to a recording: a path, or the name of a simulated session."""

import logging
from pathlib import Path

from dina.checks import DataError
from dina.recordings import Recording, read
from dina.recordings.synthetic import NAMED_SESSIONS, simulate

log = logging.getLogger("dina.cli")


def open_recording(word: str, images: Path | None, seed: int) -> Recording:
    """Read the recording at a path; where there is none, simulate the session of that name.

    Parameters
    ----------
    word
        A path, or "demo", "benchmark" or "full". A path that exists wins.
    images
        Where the images are, if not beside the recording.
    seed
        Of the simulation.

    Raises
    ------
    DataError
        If there is neither such a path nor such a session.
    """
    path = Path(word)
    if path.exists():
        log.info("Reading %s …", path)
        return read(path, images=images) if images is not None else read(path)
    if word in NAMED_SESSIONS:
        log.info("Simulating the session %s …", word)
        return simulate(word, seed=seed)
    names = ", ".join(sorted(NAMED_SESSIONS))
    raise DataError(f"There is no file or folder {word}. Check the path, or name a simulated session: {names}.")
