"""The table of rivals holds rows of the data that it names only, and says what the rows themselves know."""

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from benchmark_scripts import import_script
from dina.retrieval.hubness import measure_hubness
from dina.study.decoder_scores import DecoderScores, Scored

NAMES = ("default", "paper", "scratch", "vna")
LABELS = {"paper": "paper (Gabor)"}
PLACES = [("preset", name, LABELS.get(name, name), f"preset-{name}", "results/retrieval_dina.nc") for name in NAMES]


@pytest.fixture
def rivals_table() -> ModuleType:
    return import_script("rivals_table")


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
        chosen = {"epochs_done": 3, "epochs_budget": 3 + number, "chosen_epoch": 3}
        scored = {"averaged": Scored(scores, np.arange(12), np.arange(12))}
        DecoderScores("dina", name, "images", scored, {"single_trial": "There are none."}, chosen).write(row / PLACES[0][4])
    return tmp_path


def test_rows_of_other_data_are_left_out_as_unfinished(rivals_table: ModuleType, folder: Path) -> None:
    entries = {entry.name: entry for entry in rivals_table.read_entries([folder], PLACES)}

    assert [len(entries[name].scores) for name in NAMES] == [1, 1, 0, 0]
    assert [entries[name].reason for name in NAMES] == ["", "", rivals_table.UNFINISHED, rivals_table.UNFINISHED]


def test_budgets_are_those_of_the_fits_that_stand_in_the_table(rivals_table: ModuleType, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "table.md"
    rivals_table.write_table({"demo": [folder]}, PLACES, ["A note."], path, 100)

    assert "- Budgets in epochs: 3 for `default`; 4 for `paper` (Gabor).\n" in path.read_text(encoding="utf-8")


def test_a_row_says_itself_that_its_budget_ended_or_that_older_versions_made_it(
    rivals_table: ModuleType, folder: Path, tmp_path: Path
) -> None:
    rivals_table.write_table({"demo": [folder]}, PLACES, ["A note."], tmp_path / "table.md", 100)

    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| ")}
    assert lines["**`default`**"].endswith("| 3 of 3, budget |")
    assert lines["`paper` (Gabor) †"].endswith("| 3 of 3 |")  # four epochs were allowed
    assert "- † Fitted by other source of dina" in text


def test_where_one_kind_of_query_is_missing_its_columns_are_named_once(
    rivals_table: ModuleType, folder: Path, tmp_path: Path
) -> None:
    rivals_table.write_table({"demo": [folder]}, PLACES, ["A note."], tmp_path / "table.md", 100)

    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "- Left empty, single-trial columns of all rows: There are none.\n" in text
    assert f"- Left empty, `scratch`, `vna`: {rivals_table.UNFINISHED}\n" in text
    row = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))["demo"]["rows"][0]
    scores = DecoderScores.read(folder / "preset-default" / PLACES[0][4]).scored["averaged"].scores
    assert row["averaged"]["hubness"] == pytest.approx(measure_hubness(scores, 10))


@pytest.fixture
def rivals() -> ModuleType:
    return import_script("rivals")


def test_a_row_is_done_by_the_same_source_only_and_never_while_it_is_empty(
    rivals: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DINA_CEBRA_PYTHON", raising=False)
    session = rivals.open_session("demo:n_neurons=20,n_stimuli=60", 0, "cpu", 1)
    rows = {row.name: row for row in rivals.all_rows(rivals.EPOCHS, []) if row.name in ("nearest_repeat_raw", "cebra")}
    done = {}
    for name, row in rows.items():
        rivals.fit_row(row, session, tmp_path / row.folder)
        done[name] = rivals.is_done(row, session, tmp_path / row.folder)
    assert done == {"nearest_repeat_raw": True, "cebra": False}

    row = rows["nearest_repeat_raw"]
    other = replace(session, identity=session.identity | {"source": "another"})
    assert not rivals.is_done(row, other, tmp_path / row.folder)
    assert rivals.is_done(row, other, tmp_path / row.folder, keep_older=True)


def test_controls_that_learnt_nothing_are_rows_and_recipes_name_their_encoder(rivals: ModuleType) -> None:
    rows = {row.name: row for row in rivals.all_rows(rivals.EPOCHS, ["vna.encoder=some/dinov2"])}

    assert rows["scratch untrained"].preset_settings().fit.n_epochs == 0
    assert {rows[f"{preset} random"].settings["encoder"] for preset in ("brainclip", "human_aligned", "vna")} == {"random"}
    labels = [rows[name].label for name in ("scratch", "brainclip", "brainclip random", "vna")]
    assert labels == ["scratch", "brainclip (Gabor)", "brainclip (random network)", "vna (dinov2)"]


def test_time_left_scales_published_seconds_by_what_is_known_here(rivals: ModuleType, tmp_path: Path) -> None:
    rows = [row for row in rivals.all_rows({"paper": 3, "objectives": 12}, []) if row.name in ("default", "ridge", "siglip")]
    fits = {"default": [{"epochs_budget": rows[0].settings["fit"]["n_epochs"]}], "ridge": [{}], "siglip": [{"epochs_budget": 6}]}
    seconds = {"default": 170.0, "ridge": 8.0, "siglip": 16.0}
    cell = {"averaged": {}, "single_trial": None}
    told = [{"kind": row.kind, "name": row.name, "seconds": [seconds[row.name]], "fits": fits[row.name], **cell} for row in rows]
    published = tmp_path / "table.json"
    published.write_text(json.dumps({"Some title": {"sessions": [{"session": "benchmark"}], "rows": told}}))

    def guess(session: str) -> float | None:
        return rivals.TimeLeft(tmp_path / "runs", tmp_path / "runs" / "own", published, session, rows).of(rows[1:])

    assert guess("demo") is None  # nothing says yet how much quicker a small session is
    assert guess("benchmark") == pytest.approx(8 + 2 * 16)  # twice the epochs of siglip
    own = tmp_path / "runs" / "own" / rows[0].folder
    own.mkdir(parents=True)
    (own / "row.json").write_text(json.dumps({"identity": {"row": {"settings": rows[0].settings}}, "seconds": 17.0}))
    assert guess("demo") == pytest.approx((8 + 2 * 16) / 10)
