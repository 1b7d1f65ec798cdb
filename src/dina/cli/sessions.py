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
        A path, the name of a fetched recording, or "demo", "benchmark" or "full". A path that exists wins.
    images
        Where the images are, if not beside the recording.
    seed
        Of the simulation.

    Raises
    ------
    DataError
        If there is no such path, fetched recording or session, or it cannot be used.
    """
    path = Path(word)
    if word in NAMED_SESSIONS and not path.exists():
        if images is not None:
            raise DataError(f"The simulated session {word} has images of its own. Leave --images out.")
        log.info("Simulating the session %s …", word)
        return simulate(word, seed=seed)
    log.info("Reading %s …", path)
    try:
        return read(path, images=images)
    except DataError as error:
        if path.exists():
            raise
        raise DataError(f"{error} Simulated sessions are: {', '.join(sorted(NAMED_SESSIONS))}.") from error
