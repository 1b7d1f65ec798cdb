"""One study of a sweep as a worker carries it out: the command `dina study`, in a process of its own that ends with the sweep."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from dina.locked_folder import BUSY, is_held

# Workers receive and send words and numbers only. Nothing here loads torch: a worker stays small, and a study begins afresh.
COMMAND = (sys.executable, "-m", "dina.cli.tied_process")
LOGS = "logs"
REFUSED, STOPPED = 2, 130
LONGEST_WAIT_S = 3600.0  # for another process to leave the run
_LOOK_S, _FAREWELL_S = 0.5, 20.0


def carry_out(words: Sequence[str], run: str, sweep: str, longest_wait_s: float = LONGEST_WAIT_S) -> tuple[int, str, float]:
    """Carry out one study and return its exit code, its last sentence of an error, and the seconds that it took.

    Called again, after a worker was lost, it goes on from what was finished. If the lost worker is still at work, for example on a
    machine that cannot be reached, its lock on the folder of the run is waited for: two processes never work in one run.

    Parameters
    ----------
    words
        Words of the command after ``dina``.
    run
        The run directory that the study makes.
    sweep
        The folder of the sweep, which the process that leads the sweep holds; when it lets go, the study is stopped.
    longest_wait_s
        How long to wait for another process that works in the run.
    """
    began = time.monotonic()
    folder, partial = Path(sweep), Path(f"{run}.partial")
    if not is_held(folder):
        return REFUSED, _explain_place(folder), 0.0
    log = folder / LOGS / f"{Path(run).name}.txt"
    log.parent.mkdir(exist_ok=True)
    while True:
        waited = time.monotonic() - began
        if is_held(partial) and waited < longest_wait_s and is_held(folder):
            time.sleep(_LOOK_S)
            continue
        code, said = _run(words, log, folder)
        if not (code == REFUSED and said.startswith(BUSY) and waited < longest_wait_s):  # else another one was quicker
            return code, said, time.monotonic() - began


def _explain_place(folder: Path) -> str:
    if not folder.is_dir():
        return f"A worker must see the folder of the sweep, {folder}; it does not. Put it on a disk that all workers share."
    return (
        f"Locks on {folder} must reach every worker, so that no two work in one run; here they do not. Put the sweep on a file system"
        " with locks that all machines share (NFS 4; Lustre mounted with flock)."
    )


def _run(words: Sequence[str], log: Path, sweep: Path) -> tuple[int, str]:
    """Run the command until it ends, or until nobody leads the sweep any more."""
    with log.open("ab") as said:
        began = said.tell()
        # its standard input is a pipe that this process holds: when this process dies, the command ends, too
        child = subprocess.Popen([*COMMAND, *words], stdin=subprocess.PIPE, stdout=said, stderr=said)
        try:
            is_stopped = _wait(child, sweep)
        finally:
            if child.poll() is None:
                child.kill()
            _close(child.stdin)
    if is_stopped:
        return STOPPED, "The sweep was stopped before this study was finished."
    code = child.wait()
    return code, _last_sentence(log, began) or (f"It was ended by signal {-code}." if code < 0 else "")


def _wait(child: "subprocess.Popen[bytes]", sweep: Path) -> bool:
    """Wait for the command to end, and say whether it was stopped."""
    while True:
        try:
            child.wait(_LOOK_S)
            return False
        except subprocess.TimeoutExpired:
            if is_held(sweep):
                continue
        child.terminate()
        try:
            child.wait(_FAREWELL_S)
        except subprocess.TimeoutExpired:
            child.kill()
        return True


def _close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        pipe.close()


def _last_sentence(log: Path, began: int) -> str:
    """Return what the command said last of an error; "" for nothing."""
    with log.open("rb") as stream:
        stream.seek(began)
        lines = stream.read().decode("utf-8", errors="replace").splitlines()
    return next((line.removeprefix("dina: ") for line in reversed(lines) if line.startswith("dina: ")), "")
