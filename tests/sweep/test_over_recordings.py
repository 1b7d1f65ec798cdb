"""Studies of a sweep are compared within each recording, and over recordings with the animal as the unit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dina.recordings.recording import Recording
from dina.report.over_mice import across_recordings_section, write_across
from dina.study import read_settings, run_study
from dina.sweep.over_recordings import SweepComparison, compare_studies
from dina.sweep.sweep_file import Job

QUICK = ['decoders=["nearest_repeat_raw", "nearest_repeat_zscored"]', "evaluation.n_resamples=100"]
ANIMALS = ("one", "one", "two")


@pytest.fixture(scope="module")
def studies(small_session: Recording, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Job], Path]:
    """Study three recordings of two animals; the first in two ways."""
    folder = tmp_path_factory.mktemp("sweep")
    jobs = []
    for number, animal in enumerate(ANIMALS):
        recording = replace(
            small_session, name=f"day{number}", animal=animal, responses=np.roll(small_session.responses, number, axis=1)
        )
        for way in ("plain", "more") if number == 0 else ("plain",):
            settings = read_settings(None, [*QUICK, *(["evaluation.n_resamples=200"] if way == "more" else [])])
            jobs.append(Job(f"r{number}-{way}", f"r{number}", "", way, settings))
            run_study(recording, settings, folder / jobs[-1].name, n_threads=1)
    return jobs, folder


@pytest.fixture(scope="module")
def compared(studies: tuple[list[Job], Path]) -> SweepComparison:
    """Compare the studies."""
    return compare_studies(*studies, "plain")


def test_recordings_of_one_animal_count_as_one(compared: SweepComparison) -> None:
    across = compared.across
    assert across is not None
    assert across.mice == ANIMALS
    finding = across.by_analysis()["plain"]["top1_nearest_repeat_raw_single_trial"]
    assert finding.n == 2
    values = across.values[across.keys.index(("plain", "top1_nearest_repeat_raw_single_trial"))]
    assert finding.value == pytest.approx(np.mean([values[:2].mean(), values[2]]))
    assert not compared.remarks  # all animals are stated


def test_every_way_has_all_its_decoders_though_some_answered_alike(compared: SweepComparison) -> None:
    assert compared.across is not None
    found = compared.across.by_analysis()
    assert found["more"].keys() == found["plain"].keys()
    difference = found["plain"]["reference_minus_nearest_repeat_zscored_single_trial"]
    mine = found["plain"]
    expected = mine["top1_nearest_repeat_raw_single_trial"].value - mine["top1_nearest_repeat_zscored_single_trial"].value
    assert difference.value == pytest.approx(expected)
    assert difference.null_low < 0 < difference.null_high


def test_findings_over_animals_are_shown_and_written(compared: SweepComparison, tmp_path: Path) -> None:
    assert compared.across is not None
    section = across_recordings_section(compared.across.to_dataset(), compared.across.findings())
    assert section.paragraphs[0].startswith("3 recordings of 2 animals.")
    assert write_across(compared.across, tmp_path).is_file()
    assert (tmp_path / "across_recordings.nc").is_file()


def test_animals_of_other_kinds_are_not_averaged(studies: tuple[list[Job], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dina.study.run_directory.Run.is_simulated", property(lambda run: run.path.name.startswith("r1")))
    compared = compare_studies(studies[0][2:4], studies[1], "plain")
    assert compared.across is None
    assert compared.remarks[0].startswith("Recordings that are judged together must all be measured or all be simulated;")
    assert compared.remarks[0].endswith("Sweep them apart to see means over animals.")
