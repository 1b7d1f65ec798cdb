"""Read the rows that ``rivals.py`` kept for a session: scores, seconds, learning curves, and why one is empty."""

import csv
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import dina
from dina.study.decoder_scores import DecoderScores

BEFORE = "results/retrieval_dina_before_training.nc"
UNFINISHED = "It is not finished for every seed."
SESSION_KEYS = ("session", "seed", "recording", "split")
MAKER_KEYS = ("environment", "source")


class Place(NamedTuple):
    """A row of the table, how it is called there, and where it is kept below the folder of session and seed."""

    kind: str
    name: str
    label: str
    folder: str
    scores: str


@dataclass(frozen=True, eq=False)
class Entry:
    """One row over all seeds of a session: what it said, or why not, what its fit took, and whether older source made it."""

    kind: str
    name: str
    label: str
    scores: list[DecoderScores]
    seconds: list[float]
    curve: list[list[dict[str, float]]]
    reason: str
    is_older: bool

    @property
    def reads(self) -> str:
        """Return what of the gallery it reads."""
        return self.scores[0].reads if self.scores else "images"


@cache
def source_digest() -> str:
    """Return SHA-256 over all of dina's source: equal rows of different source need not be equal."""
    root = Path(dina.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def read_entries(folders: Sequence[Path], places: Sequence[Place]) -> list[Entry]:
    """Read every row; a closed-form start is a row of its own."""
    entries = []
    for kind, name, label, row, path in places:
        done = [folder / row for folder in folders if _belongs(folder / row / "row.json")]
        missing = len(folders) - len(done)
        failed = next((read_json(folder / row / "failed.json")["reason"] for folder in folders if _is_failed(folder / row)), "")
        reason = failed or (UNFINISHED if missing else "")
        scores = [DecoderScores.read(folder / path) for folder in done]
        kind = "reference" if scores and scores[0].reads != "images" else kind
        is_older = any(_is_older(folder / "row.json") for folder in done)
        seconds = [float(read_json(folder / "row.json")["seconds"]) for folder in done]
        curves = [_curve(folder / "history.csv") for folder in done]
        entries.append(Entry(kind, name, label, scores, seconds, curves, reason, is_older))
        before = [DecoderScores.read(folder / BEFORE) for folder in done if (folder / BEFORE).is_file()]
        if kind == "preset" and before and len(before) == len(done):
            words = " before training"
            entries.append(Entry(kind, name + words, label + words, before, [], [], reason, is_older))
    return entries


def _is_failed(folder: Path) -> bool:
    return (folder / "failed.json").is_file() and _belongs(folder / "begun.json")


def _belongs(path: Path) -> bool:
    """Say whether a row was fitted to the data of its session as it is now; versions and threads may have changed since."""
    if not path.is_file():
        return False
    identity, session = read_json(path)["identity"], read_json(path.parents[1] / "session.json")
    return all(identity.get(key) == session[key] for key in SESSION_KEYS)


def _is_older(path: Path) -> bool:
    identity, session = read_json(path)["identity"], read_json(path.parents[1] / "session.json")
    return any(identity.get(key) != session.get(key) for key in MAKER_KEYS)


def read_json(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _curve(path: Path) -> list[dict[str, float]]:
    if not path.is_file():
        return []
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    return [{key: float(row[key]) for key in ("epoch", "validation_top1", "validation_loss")} for row in rows]
