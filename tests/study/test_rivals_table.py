"""The table of rivals holds rows of the data that it names only, and says what the rows themselves know."""

import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from dina.study.retrieval_file import DecoderScores, Scored
from house.sources import ROOT

NAMES = ("default", "paper", "scratch", "vna")
PLACES = [("preset", name, f"preset-{name}", "results/retrieval_dina.nc") for name in NAMES]


@pytest.fixture
def rivals_table(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("rivals_table")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four finished rows: as they should be, of older versions, of another split, and one that failed on another recording."""
    session = {
        "session": "demo",
        "seed": 1,
        "recording": {"name": "demo", "sha256": "a", "n_neurons": 9, "n_stimuli": 40, "is_simulated": True},
        "split": {"sha256": "b", "n_train": 20, "n_test": 12},
        "environment": {"dina": "2", "device": "cpu", "n_threads": 1},
    }
    (tmp_path / "session.json").write_text(json.dumps(session))
    changes = ({}, {"environment": {"dina": "1"}}, {"split": {"sha256": "c"}}, {"recording": {"name": "other"}})
    for number, (name, change) in enumerate(zip(NAMES, changes, strict=True)):
        row = tmp_path / f"preset-{name}"
        row.mkdir()
        kept = json.dumps({"identity": {"row": {"name": name}, **session, **change}, "seconds": 1.0})
        (row / "begun.json").write_text(kept)
        if name == "vna":
            (row / "failed.json").write_text('{"reason": "It failed."}')
            continue
        (row / "row.json").write_text(kept)
        scores = np.random.default_rng(number).standard_normal((12, 12))
        chosen = {"epochs_done": 3, "epochs_budget": 3 + number, "chosen_epoch": 2}
        scored = {"averaged": Scored(scores, np.arange(12), np.arange(12))}
        DecoderScores("dina", name, "images", scored, {"single_trial": "There are none."}, chosen).write(row / PLACES[0][3])
    return tmp_path


def test_rows_of_other_data_are_left_out_as_unfinished(rivals_table: ModuleType, folder: Path) -> None:
    entries = {entry.name: entry for entry in rivals_table.read_entries([folder], PLACES)}

    assert [len(entries[name].scores) for name in NAMES] == [1, 1, 0, 0]
    assert [entries[name].reason for name in NAMES] == ["", "", rivals_table.UNFINISHED, rivals_table.UNFINISHED]


def test_budgets_are_those_of_the_fits_that_stand_in_the_table(rivals_table: ModuleType, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "table.md"
    rivals_table.write_table({"demo": [folder]}, PLACES, ["A note."], path, 100)

    assert "- Budgets in epochs: 3 for `default`; 4 for `paper`.\n" in path.read_text(encoding="utf-8")
