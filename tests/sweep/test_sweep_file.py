"""A sweep file is checked before anything starts, and gives one study for each recording, seed, preset and group of settings."""

from pathlib import Path

import pytest

from dina.checks import DataError
from dina.sweep.sweep_file import Job, read_sweep
from house.sources import ROOT

FULL = """
recordings = ["a/m1.nc", "demo:2"]
seeds = [3, 4]
presets = ["default", "scratch"]

[study]
decoders = ["dina"]
split.test_fraction = 0.2
evaluation.n_resamples = 500

[settings.plain]

[settings.few]
split.validation_fraction = 0.2
"""


def jobs_of(text: str, folder: Path) -> tuple[Job, ...]:
    (folder / "sweep.toml").write_text(text, encoding="utf-8")
    return read_sweep(folder / "sweep.toml", lambda word: f"/full/{word}")


def test_every_combination_is_one_study_with_its_settings_written_out(tmp_path: Path) -> None:
    jobs = jobs_of(FULL, tmp_path)
    assert len(jobs) == 16
    assert [job.name for job in jobs[:4]] == [
        "m1-default-seed3-plain",
        "m1-default-seed3-few",
        "m1-scratch-seed3-plain",
        "m1-scratch-seed3-few",
    ]
    assert jobs[-1].name == "demo_2-scratch-seed4-few"
    few = jobs[3]
    assert (few.word, few.way, few.settings.seed, few.settings.preset) == ("/full/a/m1.nc", "scratch, few", 3, "scratch")
    assert (few.settings.split.test_fraction, few.settings.split.validation_fraction) == (0.2, 0.2)
    assert few.settings.dina["map_channels"] == 8  # what the preset prescribes


def test_the_example_of_the_documents_is_what_it_says(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "sweep.md").read_text(encoding="utf-8")
    names = [job.name for job in jobs_of(page.split("```toml\n")[1].split("```")[0], tmp_path)]
    assert len(names) == 36
    assert "MP031-scratch-seed2-raw" in names
    assert "36 studies, with names such as `MP031-scratch-seed2-raw`" in page


def test_recordings_may_be_named(tmp_path: Path) -> None:
    jobs = jobs_of('[recordings]\nfirst = "a/m.nc"\nsecond = "b/m.nc"', tmp_path)
    assert [(job.name, job.word) for job in jobs] == [
        ("first-default-seed0", "/full/a/m.nc"),
        ("second-default-seed0", "/full/b/m.nc"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('recordings = ["demo"]\nseed = [0]', "Unknown setting 'seed'.*Did you mean 'seeds'"),
        ("seeds = [0]", "recordings"),
        ("recordings = []", "recordings"),
        ('recordings = ["demo"]\nseeds = [-1]', "seeds"),
        ('recordings = ["demo"]\npresets = ["defalt"]', "demo-defalt-seed0 cannot be: Unknown preset.*Did you mean 'default'"),
        ('recordings = ["demo"]\n[study]\nsplit.test_fraction = 2', "demo-default-seed0 cannot be: .*split.test_fraction"),
        ('recordings = ["demo"]\n[study]\nspilt.test_fraction = 0.2', "Unknown setting 'spilt'"),
        ('recordings = ["demo"]\n[settings.x]\nseed = 2', r"\[settings.x\].*must not set seed.*seeds = \[0, 1\]"),
        ('recordings = ["demo"]\nseeds = [1, 1]', "would have one name, demo-default-seed1"),
        ('recordings = ["a/m.nc", "b/m.nc"]', r"names of their own where paths end alike \(m\)"),
        ('[recordings]\na = "demo"\nA = "demo:1"', "would have one name, a-default-seed0"),
        ('recordings = ["demo"]\n[settings.x]\n[settings.y]', "demo-default-seed0-x and demo-default-seed0-y.*the same study"),
        ("recordings = [", "must be a TOML file"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        jobs_of(text, tmp_path)
