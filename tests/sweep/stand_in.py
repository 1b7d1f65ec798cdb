"""A command that stands in for `dina study`: it works in RUN.partial for a while and leaves RUN, or fails as it is told."""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path


def words(run: Path, seconds: float = 0.0, code: int = 0, deaths: int = 0) -> list[str]:
    """Return the words that make the command end with ``code`` after some seconds, and die at its first attempts."""
    return [str(run), str(seconds), str(code), str(deaths)]


def _work(run: Path, seconds: float, code: int, deaths: int) -> int:
    partial = run.with_name(run.name + ".partial")
    partial.mkdir(exist_ok=True)
    journal = run.parent / "journal.txt"
    _note(journal, f"begins {run.name}")
    attempts = partial / "attempts"
    attempts.write_text(attempts.read_text() + "." if attempts.exists() else ".")
    if len(attempts.read_text()) <= deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(seconds)
    _note(journal, f"ends {run.name}")
    if code:
        print("some line\ndina: It cannot be.", file=sys.stderr)
        return code
    with suppress(FileExistsError):
        partial.rename(run)
    return 0


def _note(journal: Path, line: str) -> None:
    with journal.open("a") as stream:
        stream.write(line + "\n")


if __name__ == "__main__":
    place, seconds, code, deaths = sys.argv[1:]
    sys.exit(_work(Path(place), float(seconds), int(code), int(deaths)))
