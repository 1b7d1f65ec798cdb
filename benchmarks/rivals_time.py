"""Guess how long rows of the table of rivals will take: from what they took before, here, on other sessions, or when published."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rivals_rows import Row

from dina.study.unfinished_run import safe_name

DONE = "row.json"
LEAST = 0.1  # of the seconds of a training, for as good as no epochs: statistics, features and scoring remain


@dataclass
class _Known:
    """Seconds of rows of one place, by the name of their folder, and the epochs that each could use."""

    seconds: dict[str, float] = field(default_factory=dict)
    budget: dict[str, int] = field(default_factory=dict)

    def add(self, folder: str, seconds: float, budget: int | None) -> None:
        """Keep what a row took; of two, the longer."""
        if seconds >= self.seconds.get(folder, 0.0):
            self.seconds[folder] = seconds
            self.budget.pop(folder, None)
            if budget:
                self.budget[folder] = budget

    def of(self, row: Row) -> float | None:
        """Return the seconds of a row, in proportion to its budget; a control takes those of the preset that it controls."""
        folder = next((name for name in (row.folder, safe_name(f"preset-{row.preset}")) if name in self.seconds), None)
        if folder is None:
            return None
        now, then = _budget(row.settings), self.budget.get(folder)
        return self.seconds[folder] * (1.0 if now is None or then is None else max(now / then, LEAST))


class TimeLeft:
    """Guess the seconds of rows to come from those of other places, scaled by the rows that are known in both.

    What a row took here before comes first, then other sessions below ``runs``, then the published table; a row that is known
    nowhere is guessed from the mean of its kind. Nothing is guessed before one row says how quick this machine is, unless the very
    session was fitted elsewhere.
    """

    def __init__(self, runs: Path, own: Path, published: Path, session: str, rows: Sequence[Row]) -> None:
        self.rows = {row.folder: row for row in rows}
        self.own, elsewhere = _Known(), _Known()
        for path in sorted(runs.glob(f"*/*/{DONE}")):
            content = json.loads(path.read_text(encoding="utf-8"))
            if not content.get("is_empty"):
                known = self.own if path.parents[1] == own else elsewhere
                known.add(path.parent.name, float(content["seconds"]), _budget(content["identity"]["row"]["settings"]))
        tables: dict[str, Any] = json.loads(published.read_text(encoding="utf-8")) if published.is_file() else {}
        self.others = [(elsewhere, self._scale(elsewhere, is_same=False))]
        alike = [(table["sessions"][0]["session"] == session, table) for table in tables.values()]
        for is_same, table in sorted(alike, key=lambda pair: not pair[0]):
            known = _published(table["rows"])
            self.others.append((known, self._scale(known, is_same=is_same)))

    def _scale(self, known: _Known, *, is_same: bool) -> float | None:
        both = [(seconds, known.of(self.rows[name])) for name, seconds in self.own.seconds.items() if name in self.rows]
        pairs = [(here, there) for here, there in both if there]
        if pairs:
            return sum(here for here, _ in pairs) / sum(there for _, there in pairs)
        return 1.0 if is_same else None

    def of(self, rows: Sequence[Row]) -> float | None:
        """Return the seconds that these rows will take; None while nothing is known."""
        guessed = [self._one(row) for row in rows]
        if not self.own.seconds and all(seconds is None for seconds in guessed):
            return None
        usual = [seconds for seconds in guessed if seconds is not None] or list(self.own.seconds.values())
        total = 0.0
        for row, seconds in zip(rows, guessed, strict=True):
            alike = [s for name, s in self.own.seconds.items() if name.startswith(f"{row.kind}-")] or usual
            total += float(np.mean(alike)) if seconds is None else seconds
        return total

    def _one(self, row: Row) -> float | None:
        if row.folder in self.own.seconds:
            return self.own.of(row)
        for known, scale in self.others:
            if scale is not None and (seconds := known.of(row)) is not None:
                return scale * seconds
        return None


def _published(rows: Sequence[dict[str, Any]]) -> _Known:
    known = _Known()
    for row in rows:
        is_empty = row["averaged"] is None and row["single_trial"] is None
        if row["seconds"] and not is_empty:
            kind = "baseline" if row["kind"] == "reference" else row["kind"]
            budgets = [int(fit["epochs_budget"]) for fit in row["fits"] if "epochs_budget" in fit]
            known.add(safe_name(f"{kind}-{row['name']}"), float(np.mean(row["seconds"])), max(budgets, default=None))
    return known


def _budget(settings: dict[str, Any]) -> int | None:
    budget = settings.get("fit", {}).get("n_epochs")
    return None if budget is None else int(budget)
