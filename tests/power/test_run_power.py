"""Forecasts are kept in a run, on its page and by its checksums; what they rest on is measured once, and goes on after a stop."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from dina.analyses import RULES
from dina.analyses.decoded import Decoded, KeptParts
from dina.artifacts import write_dataset, write_json
from dina.checks import DataError
from dina.data.pairs import Gallery, Pairs, Queries, learn_standardiser, make_pairs
from dina.figures.canvas import svg_of
from dina.figures.words import percent
from dina.power import Pilot, PowerSettings, held_out, measure_pilot
from dina.power.page import power_sections
from dina.power.run_power import FORETOLD, MEASURED, TABLE, forecast_run
from dina.recordings.recording import Recording
from dina.signed_folder import verify_checksums, write_checksums
from dina.statistics.finding import Finding
from dina.study.run_directory import AnalysisRecord, Run
from dina.training.aligned_towers import AlignedTowers
from dina.training.comparison import Comparison
from dina.training.presets.scratch import ScratchSettings
from report.fabricated_run import fabricate_run


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a made-up run whose recording was measured before."""
    folder = fabricate_run(tmp_path_factory.mktemp("measured") / "run")
    write_json(folder / "identity.json", {})
    generator = np.random.default_rng(0)
    rows = {
        name: (generator.uniform(size=300) < mean).astype(float)
        for name, mean in (("all", 0.7), ("images", 0.5), ("neurons", 0.5))
    }
    pilot = Pilot({"averaged": rows}, np.array([0.5, 0.52, 0.48]), 50, 210, 400, 2.0)
    known = pilot.to_dataset().assign_attrs(settings=PowerSettings().model_dump_json())
    write_dataset(folder / MEASURED, known)
    write_checksums(folder)
    return folder


@pytest.fixture
def run(measured: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(measured, tmp_path / "run"))


def test_forecasts_are_kept_by_the_rules_of_runs_and_shown_on_the_page(run: Path) -> None:
    found = forecast_run(run, None, accuracy=0.8)
    assert verify_checksums(run) == {}
    assert json.loads((run / FORETOLD).read_text()) == found
    table = pd.read_csv(run / TABLE).set_index("study")
    as_it_is, twice = table.loc["as it is"], table.loc["2 times the images"]
    assert twice["n_images"] == pytest.approx(2 * as_it_is["n_images"])
    assert as_it_is["low"] < as_it_is["top1"] < as_it_is["high"]
    assert twice["top1"] > as_it_is["top1"]
    assert "4 times the repeats" not in table.index  # they could not be halved
    assert found["sentence"].startswith("To find 80\u202f% of the images among 50 from averaged responses: ")
    (section,) = power_sections(Run(run))
    assert section.paragraphs[0] == found["sentence"]
    (measured,) = [row for row in Run(run).select("averaged") if row.decoder == "dina"]
    assert f"This split found {percent(measured.top1)}" in " ".join(section.paragraphs)
    assert "“Rather sure” means" in " ".join(section.paragraphs)
    (figure,) = section.figures
    assert [row[0] for row in figure.table.rows] == list(table.index)
    assert "2 times the neurons" in svg_of(figure.figure, figure.name)


def test_the_chance_to_decide_claims_follows_from_the_analyses_of_the_run(run: Path) -> None:
    found = forecast_run(run, None, accuracy=0.8)
    assert {row["note"] for row in found["verdicts"] if row["name"] == "coarse"} == {
        "The analysis spatial_frequency was not done."
    }
    (section,) = power_sections(Run(run))
    assert section.tables == []
    assert "Do dina interpret RUN" in section.missing[0]

    kept = Finding("kept_lowest_octaves", 0.45, "1", 60, low=0.25, high=0.65, null_low=-0.1, null_high=0.1, null="shuffled")
    AnalysisRecord((kept,)).write(Run(run), "spatial_frequency")
    found = forecast_run(run, None, accuracy=0.8)
    (row,) = [row for row in found["verdicts"] if row["name"] == "coarse"]
    assert row["verdict"] == "cannot tell"
    assert row["chance"]["1"] < row["chance"]["2"]
    assert row["chance"]["2"] == row["chance"]["4"]  # 96 images are read at most
    assert row["note"].startswith("“Spatial frequencies that carry the decoding” reads no more than 96 test images")
    assert row["note"].endswith("Without “Size of the maps” (dina interpret RUN map_capacity), not every answer can be given.")
    (section,) = power_sections(Run(run))
    table, reasons = section.tables
    assert sum(each[1] == row["note"] for each in reasons.rows) == 1
    assert {each[-1] for each in table.rows if each[0] == row["claim"]} == {"–"}  # more images than are read cannot decide
    assert [each[1] for each in table.rows] == ["cannot tell"] * len(RULES)
    assert sum(each[2] != "–" for each in table.rows) == 1


def test_a_run_that_was_not_asked_has_no_section(run: Path) -> None:
    assert power_sections(Run(run)) == []


def test_what_cannot_be_foretold_is_refused(run: Path) -> None:
    with pytest.raises(DataError, match=r"between chance, 0.02, and 1; got 0.01"):
        forecast_run(run, None, accuracy=0.01)
    with pytest.raises(DataError, match=r"cannot tell about single_trial queries"):
        forecast_run(run, None, queries="single_trial")
    with pytest.raises(DataError, match=r"needs the recording once"):
        forecast_run(run, None, settings=PowerSettings(n_folds=5))
    assert FORETOLD not in Run(run).files


class Drawn(AlignedTowers):
    """Towers whose scores are drawn, better with more images and neurons."""

    def __init__(self, quality: float) -> None:
        torch.nn.Module.__init__(self)
        self.quality, self.comparison = quality, Comparison()

    def score(self, queries: Queries, gallery: Gallery) -> np.ndarray:
        n, m = len(queries.responses), len(gallery.images)
        own = np.equal.outer(np.arange(n) % m, np.arange(m))
        return np.random.default_rng(n).standard_normal((n, m)) + self.quality * own


class Quick:
    """Stands for the fit of towers."""

    n_fits = 0

    def __init__(self, *given: Any, **more: Any) -> None:
        self.towers: Drawn | None = None

    def fit(self, train: Pairs, validation: Pairs) -> "Quick":
        Quick.n_fits += 1
        self.towers = Drawn(0.01 * np.sqrt(train.n_stimuli * train.n_neurons))
        return self


@pytest.fixture
def few(small_session: Recording, monkeypatch: pytest.MonkeyPatch) -> Decoded:
    monkeypatch.setattr(held_out, "DinaDecoder", Quick)
    monkeypatch.setattr(held_out, "MIN_TRAIN", 20)
    standardiser = learn_standardiser(small_session, np.arange(60))
    parts = [make_pairs(small_session, ids, standardiser) for ids in (np.arange(60), np.arange(60, 70), np.arange(70, 80))]
    return Decoded(small_session, *parts, None, "scratch", ScratchSettings())


def test_every_image_is_left_out_once_and_each_fit_is_kept(few: Decoded, tmp_path: Path) -> None:
    Quick.n_fits = 0
    kept = replace(few, parts=KeptParts(tmp_path))
    pilot = measure_pilot(kept, PowerSettings(n_folds=4))
    assert Quick.n_fits == 4 * 7
    assert (pilot.n_neurons, pilot.n_repeats, pilot.gallery) == (60, 2.0, 19)
    for rows in pilot.by_image.values():
        assert {name: len(values) for name, values in rows.items()} == dict.fromkeys(("all", "neurons", "images", "repeats"), 80)
    # stopped and begun again: what was finished is read
    again = measure_pilot(kept, PowerSettings(n_folds=4))
    assert Quick.n_fits == 4 * 7
    np.testing.assert_array_equal(again.by_image["averaged"]["images"], pilot.by_image["averaged"]["images"])


def test_too_few_images_are_refused(few: Decoded, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"at least 12 images in each of 7 folds; the smallest has 11"):
        measure_pilot(few, PowerSettings(n_folds=7))
    monkeypatch.setattr(held_out, "MIN_TRAIN", 50)
    with pytest.raises(
        DataError,
        match=r"half the training images, at least 50; in 4 folds the half of this recording is 26\. Record about 160 images in all\.$",
    ):
        measure_pilot(few)
    monkeypatch.setattr(held_out, "MIN_TRAIN", 28)
    with pytest.raises(DataError, match=r"Record about 90 images in all, or ask for more folds\.$"):
        measure_pilot(few)
