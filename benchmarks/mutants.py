"""Mutants of small files, read in a process of its own that may take so much memory and time: what comes out is counted."""

import json
import mmap
import os
import random
import resource
import signal
import struct
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dina.checks import DataError

ENDS = ("read", "refused", "fault")
MOST_BYTES, MOST_SECONDS = 2 * 2**30, 5.0  # of memory, and of processor time for one file
MOST_WAITING = 600.0  # seconds by the clock, however busy the machine is: a file at which processes wait for each other
_EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**63, 2**64 - 1)
_NUMBERS = (b"0", b"-1", b"1e999", b"NaN", b"99999999999999999999", b"null", b"[]", b"{}", b'""', b"true", b"0.5", b"1_0")

Mend = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Reader:
    """A reader, small files that it reads, what mends checksums in a mutant, and words of the format.

    ``file`` is the place of the mutant in a folder, which ``folder`` fills beforehand and ``read`` takes.
    """

    file: str
    read: Callable[[Path], object]
    seeds: Sequence[bytes]
    mend: Mend | None = None
    words: Sequence[bytes] = ()
    folder: Callable[[Path], object] | None = None


@dataclass
class Found:
    """What came of a reader: number of mutants, ends, faults by kind with the first mutant, seconds, and most memory in MiB.

    Seconds are those of processors.
    """

    runs: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    faults: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    memory: int = 0


def mutate(seeds: Sequence[bytes], words: Sequence[bytes], mend: Mend | None, seed: int, number: int) -> bytes:
    """Return a mutant of one of the files."""
    chance = random.Random((seed << 64) + number)  # five times as fast as numpy's, where a few numbers are drawn
    content = bytearray(chance.choice(seeds))
    for _ in range(chance.randrange(1, 5)):
        _change(content, chance, seeds, words)
    if mend is not None and chance.random() < 0.5:
        try:
            return mend(bytes(content))
        except (struct.error, ValueError, IndexError):
            pass  # nothing is left that could be mended
    return bytes(content)


def _change(content: bytearray, chance: random.Random, seeds: Sequence[bytes], words: Sequence[bytes]) -> None:
    """Change a file in one of eight ways, mostly near its beginning, where headers are."""
    size = len(content)
    reach = size if chance.random() < 0.5 else min(size, 512)
    at = chance.randrange(reach + 1)
    n = 1 << chance.randrange(8)
    kind = chance.randrange(8)
    if kind == 0 and at < size:
        content[at] ^= 1 << chance.randrange(8)
    elif kind == 1 and at < size:
        content[at] = chance.randrange(256)
    elif kind == 2:
        width = 1 << chance.randrange(4)
        number = chance.choice(_EDGES) % 256**width
        content[at : at + width] = number.to_bytes(width, "little" if chance.random() < 0.7 else "big")
    elif kind == 3:
        del content[at : at + n]
    elif kind == 4:
        content[at:at] = content[at : at + n]
    elif kind == 5:
        other = chance.choice(seeds)
        begin = chance.randrange(len(other) + 1)
        content[at : at + n] = other[begin : begin + n]
    elif kind == 6:
        del content[at:]
    else:
        word = chance.choice((*words, *_NUMBERS))
        content[at : at + (len(word) if chance.random() < 0.5 else 0)] = word


def fuzz(reader: Reader, seconds: float, most: int, seed: int = 0, keep: Path | None = None, first: int = 0) -> Found:
    """Read mutants from the one with the number ``first`` on, for so long, or so many of them."""
    found, counts = Found(), memoryview(mmap.mmap(-1, 8 * (1 + len(ENDS)))).cast("Q")
    began = _spent()
    while found.runs < most and _spent() - began < seconds:
        begin, left = first + found.runs, seconds - _spent() + began
        counts[0] = begin
        faults, memory = _fuzz_apart(reader, counts, first + most, seed, left)
        found.memory = max(found.memory, memory)
        for kind, number in faults:
            found.faults.setdefault(kind, number)
            if keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                mutant = mutate(reader.seeds, reader.words, reader.mend, seed, number)
                (keep / f"{reader.file.replace('/', '_')}-{number}").write_bytes(mutant)
        found.runs = counts[0] - first
    found.ends = Counter(dict(zip(ENDS, counts[1:], strict=True)))
    found.seconds = _spent() - began
    return found


def _spent() -> float:
    """Return the processor time of all processes that read mutants, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _fuzz_apart(reader: Reader, counts: memoryview, most: int, seed: int, seconds: float) -> tuple[list[tuple[str, int]], int]:
    """Read mutants in a process of its own, until one of them ends it; return faults by kind with their mutants, and memory.

    ``counts`` holds the number of the mutant that is being read, then how many have ended in each of `ENDS`.
    """
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(sender, "w") as stream:
            _limit_memory()
            _read_mutants(reader, counts, most, seed, seconds, lambda *words: print(json.dumps(words), file=stream, flush=True))
        os._exit(0)
    os.close(sender)
    faults: list[tuple[str, int]] = []
    memory = 0
    with os.fdopen(receiver) as stream:
        for line in stream:
            kind, what, number = json.loads(line)
            if kind == "fault":
                faults.append((what, number))
            else:
                memory = number
    _, status = os.waitpid(child, 0)
    if status:
        faults.append((f"the process ended with {os.waitstatus_to_exitcode(status)}", counts[0]))
        counts[1 + ENDS.index("fault")] += 1
        counts[0] += 1
    return faults, memory


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MOST_BYTES,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _read_mutants(
    reader: Reader, counts: memoryview, most: int, seed: int, seconds: float, tell: Callable[[str, str, int], None]
) -> None:
    warnings.simplefilter("ignore")
    known: set[str] = set()
    until = time.process_time() + seconds
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as place:
        target = Path(place) / reader.file
        target.parent.mkdir(parents=True, exist_ok=True)
        if reader.folder is not None:
            reader.folder(Path(place))
        while counts[0] < most and time.process_time() < until:
            target.write_bytes(mutate(reader.seeds, reader.words, reader.mend, seed, counts[0]))
            signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
            signal.setitimer(signal.ITIMER_REAL, MOST_WAITING)
            end = end_of(reader.read, Path(place))
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.setitimer(signal.ITIMER_PROF, 0)
            counts[1 + ENDS.index(end if end in ENDS else "fault")] += 1
            if end not in ENDS and end not in known:
                known.add(end)
                tell("fault", end, counts[0])
            counts[0] += 1
    tell("memory", "", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def end_of(action: Callable[[Path], object], folder: Path) -> str:
    """Return "read", "refused", or the fault in words: exception and the places where it arose."""
    try:
        action(folder)
    except DataError:
        return "refused"
    except Exception as error:
        places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
        return f"{type(error).__name__} at {' < '.join(reversed(places[-4:]))}: {str(error)[:120]}"
    return "read"
