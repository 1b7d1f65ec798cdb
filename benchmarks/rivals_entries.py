"""Read the rows that ``rivals.py`` kept for a session: scores, seconds, learning curves, and why one is empty."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dina.study.retrieval_file import DecoderScores

BEFORE = "results/retrieval_dina_before_training.nc"
UNFINISHED = "It is not finished for every seed."
SESSION_KEYS = ("session", "seed", "recording", "split")


@dataclass(frozen=True, eq=False)
class Entry:
    """One row over all seeds of a session: what it said, or why not, and what its fit took."""

    kind: str
    name: str
    scores: list[DecoderScores]
    seconds: list[float]
    curve: list[list[dict[str, float]]]
    reason: str

    @property
    def reads(self) -> str:
        """Return what of the gallery it reads."""
        return self.scores[0].reads if self.scores else "images"


def read_entries(folders: Sequence[Path], places: Sequence[tuple[str, str, str, str]]) -> list[Entry]:
    """Read every row; a closed-form start is a row of its own."""
    entries = []
    for kind, name, row, path in places:
        done = [folder / row for folder in folders if _belongs(folder / row / "row.json")]
        missing = len(folders) - len(done)
        failed = next((read_json(folder / row / "failed.json")["reason"] for folder in folders if _is_failed(folder / row)), "")
        reason = failed or (UNFINISHED if missing else "")
        scores = [DecoderScores.read(folder / path) for folder in done]
        kind = "reference" if scores and scores[0].reads != "images" else kind
        seconds = [float(read_json(folder / "row.json")["seconds"]) for folder in done]
        entries.append(Entry(kind, name, scores, seconds, [_curve(folder / "history.csv") for folder in done], reason))
        before = [DecoderScores.read(folder / BEFORE) for folder in done if (folder / BEFORE).is_file()]
        if kind == "preset" and before and len(before) == len(done):
            entries.append(Entry(kind, f"{name} before training", before, [], [], reason))
    return entries


def _is_failed(folder: Path) -> bool:
    return (folder / "failed.json").is_file() and _belongs(folder / "begun.json")


def _belongs(path: Path) -> bool:
    """Say whether a row was fitted to the data of its session as it is now; versions and threads may have changed since."""
    if not path.is_file():
        return False
    identity, session = read_json(path)["identity"], read_json(path.parents[1] / "session.json")
    return all(identity.get(key) == session[key] for key in SESSION_KEYS)


def read_json(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _curve(path: Path) -> list[dict[str, float]]:
    if not path.is_file():
        return []
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    return [{key: float(row[key]) for key in ("epoch", "validation_top1", "validation_loss")} for row in rows]
