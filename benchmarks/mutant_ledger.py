"""Keep what came of mutants, one line of JSON for each batch, so that a million for every reader can be reached over several nights."""

import hashlib
import inspect
import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import mutants
from mutants import Found, Reader


@dataclass(frozen=True)
class Batch:
    """Mutants of one reader that were read one after the other, and what came of them.

    ``mutants_of`` is a checksum of what mutants follow from, besides their number: files, words, and how they are changed.
    """

    reader: str
    mutants_of: str
    seed: int
    first: int
    runs: int
    ends: dict[str, int]
    faults: dict[str, int]
    seconds: float
    memory: int


def checksum_of(reader: Reader) -> str:
    """Return what is in `Batch.mutants_of`."""
    digest = hashlib.sha256(inspect.getsource(mutants).encode())
    for content in (*reader.seeds, b"words", *reader.words):
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:16]


class MutantLedger:
    """A file of batches; mutants that are in it need not be read again. Without a path, nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path is not None and path.is_file() else []
        self.batches = [Batch(**json.loads(line)) for line in lines]

    def total(self, name: str, reader: Reader, seed: int) -> Found:
        """Return what came of all mutants of a reader so far, which are those with numbers below ``runs``."""
        found, same = Found(), checksum_of(reader)
        for one in self.batches:
            if (one.reader, one.mutants_of, one.seed, one.first) == (name, same, seed, found.runs):
                found.runs += one.runs
                found.ends += Counter(one.ends)
                found.faults = one.faults | found.faults  # the first of each kind
                found.seconds += one.seconds
                found.memory = max(found.memory, one.memory)
        return found

    def add(self, name: str, reader: Reader, seed: int, first: int, found: Found) -> None:
        """Write what came of the mutants from the one with the number ``first`` on."""
        seconds = round(found.seconds, 3)
        batch = Batch(name, checksum_of(reader), seed, first, found.runs, dict(found.ends), found.faults, seconds, found.memory)
        self.batches.append(batch)
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as stream:
                print(json.dumps(asdict(batch)), file=stream)
