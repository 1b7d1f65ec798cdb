"""Flip single bits of a run, and count what each command then does: refuse, show the same, show something else, or break.

Run ``python benchmarks/flipped_bits.py --flips 700``. Bits are spread evenly over the files of a small run, each bit on a fresh
copy. A flipped bit counts as "refused" where the command ends with exit code 2; as "the same" where all that it prints and writes
is as without the flip; as "changed" where it is not, or where a checksum now covers the flipped bit; as "a bug" at any other end.
Only the first two may occur. Bits of files that a command does not open count as "not opened"; one try flips a bit in all of these
at once.

"unfinished" goes on with a study that was stopped before its summary: it is refused, or ends in the same run as without the flip.
"""

import argparse
import contextlib
import functools
import hashlib
import io
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np

import dina.cli.tables  # this and the next lines: what commands import when they run, lest every process does
import dina.report.comparison_of_runs
import dina.study.interpret
import dina.study.judged_decoders
import dina.study.needs
import dina.study.verify  # noqa: F401
from dina.cli import main
from dina.cli.process import explain
from dina.recordings import read
from dina.recordings.simulator import simulate
from dina.signed_folder import CHECKSUMS
from dina.study import read_settings, run_study
from dina.study import run as studies

SESSION = {"n_neurons": 20, "n_stimuli": 80, "height": 16, "width": 24, "n_spontaneous": 20}
STUDY = ["preset=scratch", 'decoders=["dina", "ridge"]', "dina.fit.n_epochs=1", "evaluation.n_resamples=100"]
TOGETHER = ["preset=scratch", "sizes=[]", "fewest_updates=0", "dina.fit.n_epochs=1", "evaluation.n_resamples=100"]
THREADS = ["--threads", "1"]
ENDS = ("refused", "the same", "not opened", "changed", "a bug")
TIMES = ("timings.json", "log.txt", CHECKSUMS)  # differ between any two runs
MOST_SECONDS = 120  # of processor time

WRONG = ("changed", "a bug")

Action = Callable[[], object]
Flips = tuple[tuple[str, int], ...]  # names of files and positions of bits


@dataclass(frozen=True)
class End:
    """How a command ended: its exit code and words, then the SHA-256 of every file of the run, its listing, and files opened."""

    code: int
    said: str
    files: Mapping[str, str]
    listing: str
    opened: tuple[str, ...]


def make_run(folder: Path) -> Path:
    """Write a small recording and its finished run, without a page, into a folder, and return the path of the run."""
    begin(folder / "run")
    shutil.copytree(folder / "run", folder / "other")
    return folder / "run"


def make_joint_run(folder: Path) -> Path:
    """Write two small recordings and the finished run of both together into a folder, and return the path of the run."""
    for mouse in range(2):
        simulate("demo", 0, settings=SESSION, mouse=mouse).write(folder / f"mouse{mouse}.nc")
    demand(joint_commands_of(folder / "joint")["joint"])
    return folder / "joint"


def make_unfinished_run(folder: Path) -> Path:
    """Write a small recording and its study, stopped before the summary, into a folder; return the path where it would end."""
    with patch.object(studies, "_summarise", side_effect=KeyboardInterrupt), contextlib.suppress(KeyboardInterrupt):
        begin(folder / "begun")
    return folder / "begun"


def begin(run: Path) -> None:
    """Write a small recording beside a run, if it is not there, and begin or go on with its study."""
    session = run.with_name("session.nc")
    if not session.is_file():
        simulate("demo", 0, settings=SESSION).write(session)
    source = json.dumps({"recording": str(session), "images": None, "seed": 0})
    run_study(read(session), read_settings(None, STUDY), run, n_threads=1, finish=functools.partial(_note, source))


def _note(source: str, folder: Path) -> None:
    (folder / "source.json").write_text(source, encoding="utf-8")
    (folder / "report.html").write_text("<p>Not drawn yet.</p>", encoding="utf-8")


def commands_of(run: Path) -> dict[str, list[str]]:
    """Return the commands that read a run, by name."""
    other = str(run.with_name("other"))
    return {
        "report": ["report", str(run)],
        "interpret": ["interpret", str(run), "feature_maps", *THREADS],
        "interpret, neural side": ["interpret", str(run), "contributions", *THREADS],
        "verdict": ["verdict", str(run), other],
        "compare": ["compare", str(run), other, "--mixed"],
        "study": ["study", str(run.with_name("session.nc")), "--out", str(run), *_sets(STUDY), *THREADS],
        "verify": ["verify", str(run), *THREADS],
    }


def joint_commands_of(run: Path) -> dict[str, list[str]]:
    """Return the commands that read a run of several recordings, by name."""
    recordings = [str(run.with_name(f"mouse{mouse}.nc")) for mouse in range(2)]
    return {
        "joint": ["joint", *recordings, "--out", str(run), *_sets(TOGETHER), *THREADS],
        "report, joint": ["report", str(run)],
        "verify, joint": ["verify", str(run), *THREADS],
    }


def _sets(words: list[str]) -> list[str]:
    return [word for each in words for word in ("--set", each)]


def demand(words: list[str]) -> None:
    """Carry out a command that must succeed."""
    code, said = end_of(functools.partial(main, words))
    if code:
        raise SystemExit(said)


def end_of(action: Action) -> tuple[int, str]:
    """Return exit code and output of a command; that of an error, too."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            action()
        except SystemExit as ended:
            return int(ended.code or 0), out.getvalue()
        except Exception as error:
            return explain(error, debug=False), out.getvalue()
    return 0, out.getvalue()


def apart(action: Action, begun: Path, run: Path, whole: Path, tries: Sequence[Flips]) -> list[tuple[list[str], End]]:
    """Carry out a command after each try, in a process of its own, which has everything imported that this one has.

    Returned are the checksums of the flipped files and how the command ended; fewer than tries if the process did.
    """
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        logging.getLogger("dina.progress").disabled = True  # it depends on the clock
        opened: set[str] = set()
        sys.addaudithook(lambda event, words: opened.add(str(words[0])) if event == "open" else None)
        with os.fdopen(sender, "w") as stream:
            for flips in tries:
                signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
                flipped = _copy_with(flips, begun, run, whole)
                opened.clear()
                code, said = end_of(action)
                names = sorted(name.removeprefix(f"{run}/") for name in opened if name.startswith(f"{run}/"))
                listing = (run / CHECKSUMS).read_text(errors="replace") if (run / CHECKSUMS).is_file() else ""
                print(json.dumps([flipped, code, said, digests(run), listing, names]), file=stream, flush=True)
        os._exit(0)
    os.close(sender)
    with os.fdopen(receiver) as stream:
        lines = [json.loads(line) for line in stream]
    os.waitpid(child, 0)
    return [(flipped, End(*rest)) for flipped, *rest in lines]


def _copy_with(flips: Flips, begun: Path, run: Path, whole: Path) -> list[str]:
    """Make the folder anew, flip bits in it, and return the checksums of the flipped files."""
    for path in {begun, run}:
        shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(whole, begun)
    for name, bit in flips:
        flip(begun / name, bit)
    return [hashlib.sha256((begun / name).read_bytes()).hexdigest() for name, _ in flips]


def digests(run: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a run, by name."""
    files = (path for path in run.rglob("*") if path.is_file())
    return {path.relative_to(run).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def draw_bits(run: Path, n_flips: int, seed: int) -> dict[str, list[int]]:
    """Return the positions of bits by file, spread evenly over the files."""
    generator = np.random.default_rng(seed)
    files = sorted(path for path in run.rglob("*") if path.is_file() and path.stat().st_size)
    drawn: dict[str, list[int]] = {}
    for i in generator.permutation(max(n_flips, len(files)))[:n_flips]:
        path = files[i % len(files)]
        drawn.setdefault(path.relative_to(run).as_posix(), []).append(int(generator.integers(8 * path.stat().st_size)))
    return drawn


def flip(path: Path, bit: int) -> None:
    """Flip one bit of a file in place."""
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(bytes(content))


def measure(
    action: Action, begun: Path, run: Path, n_flips: int, *, opened_alone: bool = False
) -> tuple[Counter[str], list[str]]:
    """Return how often a command ended in each of `ENDS`, and the bits after which it should not have ended so.

    ``begun`` is the folder in which bits are flipped and ``run`` where the run lies afterwards, mostly the same. With
    ``opened_alone`` bits of files that the command does not open are not tried at all.
    """
    whole = begun.with_name("whole")
    begun.rename(whole)
    ends: Counter[str] = Counter()
    wrong: list[str] = []
    try:
        ((_, expected),) = apart(action, begun, run, whole, [()])
        tries: list[list[Flips]] = []
        unopened: dict[str, int] = {}
        for name, bits in draw_bits(whole, n_flips, seed=0).items():
            if name in expected.opened or begun != run:
                tries.append([((name, bit),) for bit in bits])
            else:
                unopened[name] = bits[0]
                ends["not opened"] += len(bits)
        if unopened and not opened_alone:
            tries.append([tuple(unopened.items())])
        for some in tries:
            left = some
            while left:
                found = apart(action, begun, run, whole, left)
                judged = [_compare(end, expected, flips, flipped) for flips, (flipped, end) in zip(left, found, strict=False)]
                said = [end.said for _, end in found]
                if len(found) < len(left):
                    judged, said = [*judged, "a bug"], [*said, "The process ended."]
                ends.update(judged if len(some[0]) == 1 else [end for end in judged if end in WRONG])
                wrong += [
                    f"{end}: bit {flips[0][1]} of {flips[0][0]}. {words[-300:]}"
                    for flips, end, words in zip(left, judged, said, strict=False)
                    if end in WRONG or (len(flips) > 1 and end != "the same")
                ]
                left = left[len(judged) :]
    finally:
        for path in {begun, run}:
            shutil.rmtree(path, ignore_errors=True)
        whole.rename(begun)
    return ends, wrong


def _compare(found: End, expected: End, flips: Flips, flipped: Sequence[str]) -> str:
    """Return which of `ENDS` a command found; ``flipped`` are the checksums of the files after the flips."""
    if found.code not in (0, 2):
        return "a bug"
    after = dict(zip((name for name, _ in flips), flipped, strict=True))
    if any(f"{digest}  {name}" in found.listing for name, digest in after.items() if name not in TIMES):
        return "changed"
    if found.code == 2:
        return "refused"
    passed_over = {*TIMES, *(name for name, digest in after.items() if found.files.get(name) == digest)}
    shown = [{key: digest for key, digest in end.files.items() if key not in passed_over} for end in (found, expected)]
    return "the same" if found.said == expected.said and shown[0] == shown[1] else "changed"


def main_of_flips() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=700, help="bits, for each command")
    parser.add_argument("--commands", nargs="*", help="by default all")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        run, joint, begun = make_run(folder), make_joint_run(folder), make_unfinished_run(folder)
        for command in (["interpret", str(run), "contributions", *THREADS], ["report", str(run.with_name("other"))]):
            demand(command)
        each = {name: (functools.partial(main, command), run) for name, command in commands_of(run).items()}
        each |= {name: (functools.partial(main, command), joint) for name, command in joint_commands_of(joint).items()}
        each["unfinished"] = functools.partial(begin, begun), begun
        print("command", *ENDS, sep="\t", flush=True)
        for name in words.commands or each:
            action, last = each[name]
            first = last.with_name("begun.partial") if last == begun else last
            ends, wrong = measure(action, first, last, words.flips)
            print(name, *(ends[end] for end in ENDS), sep="\t", flush=True)
            print(*wrong, sep="\n", end="\n" if wrong else "", flush=True)


if __name__ == "__main__":
    main_of_flips()
