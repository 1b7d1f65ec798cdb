"""Every row of the table of analyses keeps the contract: it serialises, is seeded, reports nulls, and is drawn from its file."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from described_axes import undescribed
from dina.analyses import ANALYSES, AnalysisResult, Decoded, decode
from dina.artifacts import write_dataset
from dina.checks import DataError
from dina.figures.canvas import svg_of
from dina.figures.finding_parts import NO_NULL
from dina.recordings.simulator import simulate
from dina.statistics.finding import Finding
from dina.training.fit import FitSettings
from dina.training.presets.default import DefaultSettings
from dina.training.presets.paper import PaperSettings

WITHOUT_NULL = ("variance_spectra",)  # a fit to unrelated responses changes exponents, too: other towers stand beside them
QUICK = [name for name, row in ANALYSES.items() if not row.is_slow]
SMALL = {"n_neurons": 60, "n_stimuli": 160, "height": 24, "width": 48, "n_subunits": 40, "n_broad_factors": 10}
# less than users have of what only says how sure an answer is, and costs most of the time
FEW = {
    "attention_interactions": {"n_permutations": 20},
    "attention_received": {
        "n_training_images": 8,
        "n_permutations": 20,
        "n_images": 12,
        "n_random": 2,
        "n_partners": 20,
        "n_untrained": 2,
        "are_fields_fitted": False,
    },
    "attention_subsets": {"n_images": 12, "n_random": 2},
    "brain_score": {"n_untrained": 2},
    "contributions": {"n_permutations": 4, "n_shuffles": 4},
    "functional_interactions": {"n_null_models": 3},
    "image_reconstruction": {"n_epochs": 3},
    "occlusion": {"n_images": 6, "n_untrained": 2, "spacing": 0.25},
    "pathway_masking": {"n_random": 20},
    "representative_geometry": {"n_ranking_images": 60, "n_images": 20, "n_random": 4, "n_matched": 4},
    "semantics": {"n_draws": 40},
    "sparse_subsets": {"n_ranking_images": 60, "n_random": 20, "n_matched": 8},
    "variance_spectra": {"n_untrained": 1},
}


def carry_out(name: str, subject: Decoded) -> AnalysisResult:
    row = ANALYSES[name]
    return row.run(subject, row.settings_type(**FEW[name]) if name in FEW else None)


@pytest.fixture(scope="module")
def subject() -> Decoded:
    session = simulate("demo", seed=5, settings={**SMALL, "n_spontaneous": 30, "signal_to_noise": 2.0})
    settings = DefaultSettings(spaces=("pixels",), stride=2, widths=(1.0,), n_orientations=2, fit=FitSettings(n_epochs=0))
    return decode(session, "default", settings, seed=5, test_fraction=0.2, n_resamples=100)


@pytest.fixture(scope="module")
def subjects(subject: Decoded) -> dict[str, Decoded]:
    """Give each analysis towers that it can be asked of: attention is asked of neurons that attend."""
    attending = decode(
        subject.recording, "paper", PaperSettings(fit=FitSettings(n_epochs=0)), seed=5, test_fraction=0.2, n_resamples=100
    )
    return dict.fromkeys(QUICK, subject) | dict.fromkeys([name for name in QUICK if name.startswith("attention_")], attending)


@pytest.fixture(scope="module")
def results(subjects: dict[str, Decoded]) -> dict[str, AnalysisResult]:
    return {name: carry_out(name, subjects[name]) for name in QUICK}


@pytest.mark.parametrize("name", QUICK)
def test_a_result_reads_back_as_it_was_written(name: str, results: dict[str, AnalysisResult], tmp_path: Path) -> None:
    dataset = results[name].to_dataset()
    write_dataset(tmp_path / "result.nc", dataset)
    with xr.open_dataset(tmp_path / "result.nc", engine="h5netcdf") as read:
        assert set(read.variables) == set(dataset.variables)
        for variable in dataset.variables:
            np.testing.assert_array_equal(read[variable].to_numpy(), dataset[variable].to_numpy())
    assert not [axis for axis in dataset.dims if str(axis).startswith("dim_")]


@pytest.mark.parametrize("name", QUICK)
def test_numbers_have_units_and_axes_say_which_images_and_places_they_are(name: str, results: dict[str, AnalysisResult]) -> None:
    assert undescribed(results[name].to_dataset()) == []


@pytest.mark.parametrize("name", QUICK)
def test_findings_have_names_of_their_own_and_a_null_or_the_reason_for_none(
    name: str, results: dict[str, AnalysisResult]
) -> None:
    findings = results[name].findings()
    names = [finding.name for finding in findings]
    assert names
    assert len(set(names)) == len(names)
    told = json.loads(json.dumps([finding.to_json() for finding in findings], allow_nan=False))
    assert [Finding.from_json(one).name for one in told] == names
    has_null = any(finding.null and np.isfinite(finding.null_high) for finding in findings)
    assert has_null or (name in WITHOUT_NULL and any(np.isfinite(finding.value) and finding.reason for finding in findings))
    assert all(np.isfinite(finding.value) or finding.reason for finding in findings)
    assert list(results[name].table()["name"]) == names


@pytest.mark.parametrize("name", QUICK)
def test_the_same_seed_gives_the_same_findings_and_arrays(
    name: str, subjects: dict[str, Decoded], results: dict[str, AnalysisResult]
) -> None:
    again = carry_out(name, subjects[name])
    assert [finding.to_json() for finding in again.findings()] == [finding.to_json() for finding in results[name].findings()]
    assert again.to_dataset().identical(results[name].to_dataset())


@pytest.mark.parametrize("name", QUICK)
def test_the_section_is_drawn_from_arrays_and_findings_alone(name: str, results: dict[str, AnalysisResult]) -> None:
    section = ANALYSES[name].draw(results[name].to_dataset(), results[name].findings())
    assert section.title
    assert section.figures
    cells = {cell for part in section.figures for row in part.table.rows for cell in row}
    assert section.missing or NO_NULL[True] not in cells  # where a reader is sent to look for the reason
    for part in section.figures:
        assert svg_of(part.figure, part.name).lstrip().startswith("<")
        assert part.caption
        assert part.table.rows


def refusal(name: str, subject: Decoded) -> str:
    """Return the reason that an analysis gives, "" where it can be carried out."""
    try:
        carry_out(name, subject)
    except DataError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", QUICK)
def test_without_towers_an_analysis_works_or_says_that_it_needs_them(name: str, subjects: dict[str, Decoded]) -> None:
    said = refusal(name, replace(subjects[name], fitted=None))
    assert said == "" or "needs fitted towers" in said
