"""Analyses added to a finished run are kept one by one, never repeated unasked, and never spoil the run."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from pydantic import Field

from dina.analyses import Analysis, Decoded
from dina.analyses.analysis import AnalysisSettings
from dina.artifacts import write_json
from dina.checks import DataError
from dina.recordings.recording import Recording
from dina.signed_folder import verify_checksums
from dina.statistics.finding import Finding
from dina.study import interpret as module
from dina.study import read_settings, run_study
from dina.study.interpret import interpret_run, judge_run, judge_runs
from dina.study.run_directory import Run

WORDS = ["preset=scratch", "dina.fit.n_epochs=1", "evaluation.n_resamples=100", 'decoders=["dina"]']


@dataclass(frozen=True)
class Counted:
    """A result that holds how many images the towers were tested on."""

    n_test: int

    def to_dataset(self) -> xr.Dataset:
        return xr.Dataset({"n_test": ((), self.n_test)})

    def findings(self) -> tuple[Finding, ...]:
        return (Finding("n_test", float(self.n_test), "1", self.n_test),)


def count(decoded: Decoded) -> Counted:
    assert decoded.towers.neural_tower.n_neurons == decoded.test.n_neurons
    return Counted(decoded.test.n_stimuli)


@dataclass(frozen=True)
class Tabulated(Counted):
    """A result that is a table of neurons too."""

    def to_frame(self) -> pd.DataFrame:
        return pd.DataFrame({"twice": [0.0, 2.0]}, index=pd.Index([4, 7], name="neuron_index"))


class Counting(AnalysisSettings):
    """What can be set of an analysis that counts."""

    factor: int = Field(1, ge=1)


def count_times(decoded: Decoded, settings: Counting = Counting()) -> Counted:
    return Counted(settings.factor * decoded.test.n_stimuli)


def refuse(decoded: Decoded) -> Counted:
    raise DataError("This needs three screens; the recording has one. Use another recording.")


def stop(decoded: Decoded) -> Counted:
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def finished(small_session: Recording, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("interpreted") / "run"
    run_study(small_session, read_settings(overrides=WORDS), run)
    return run


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> dict[str, Analysis]:
    rows = {
        "count": Analysis(count, "image", "How many?"),
        "refuse": Analysis(refuse, "neural", "Can it be done?"),
        "slow": Analysis(count, "image", "How many, slowly?", is_slow=True),
    }
    for place in ("dina.study.interpret", "dina.study.own_analyses"):
        monkeypatch.setattr(f"{place}.ANALYSES", rows)
    return rows


def test_findings_and_reasons_reach_the_summary_and_the_checksums_hold(
    run: Path, small_session: Recording, table: dict[str, Analysis]
) -> None:
    found = interpret_run(run, small_session)
    summary = json.loads((run / "summary.json").read_text())
    assert list(summary["interpretation"]) == ["count", "refuse"] == list(found)
    # 80 images, a tenth of them to test
    assert summary["interpretation"]["count"]["findings"][0]["value"] == 8
    assert "three screens" in summary["interpretation"]["refuse"]["reason"]
    assert (run / "results" / "interpretation" / "count.nc").is_file()
    assert verify_checksums(run) == {}


def test_an_analysis_that_is_there_is_not_repeated_unless_forced(
    run: Path, small_session: Recording, table: dict[str, Analysis]
) -> None:
    interpret_run(run, small_session, ["count"])
    table["count"] = replace(table["count"], compute=stop)
    assert interpret_run(run, small_session, ["count"])["count"].findings[0].value == 8
    with pytest.raises(KeyboardInterrupt):
        interpret_run(run, small_session, ["count"], force=True)


def test_what_was_done_before_a_stop_is_kept(run: Path, small_session: Recording, table: dict[str, Analysis]) -> None:
    table["refuse"] = replace(table["refuse"], compute=stop)
    with pytest.raises(KeyboardInterrupt):
        interpret_run(run, small_session)
    table["count"] = replace(table["count"], compute=stop)
    table["refuse"] = replace(table["refuse"], compute=count)
    assert list(interpret_run(run, small_session)) == ["count", "refuse"]
    assert verify_checksums(run) == {}


def test_parts_of_a_stopped_analysis_are_kept_until_it_is_finished_or_forced(
    run: Path, small_session: Recording, table: dict[str, Analysis]
) -> None:
    def half(decoded: Decoded) -> Counted:
        decoded.parts.get("first half", lambda: {"n": np.array(decoded.test.n_stimuli)})
        raise KeyboardInterrupt

    def whole(decoded: Decoded) -> Counted:
        return Counted(int(decoded.parts.get("first half", lambda: {"n": np.array(-1)})["n"]))

    table["count"] = replace(table["count"], compute=half)
    with pytest.raises(KeyboardInterrupt):
        interpret_run(run, small_session, ["count"])
    table["count"] = replace(table["count"], compute=whole)
    assert interpret_run(run, small_session, ["count"])["count"].findings[0].value == 8
    assert not list((run / ".parts").rglob("*.npz"))
    table["count"] = replace(table["count"], compute=half)
    with pytest.raises(KeyboardInterrupt):
        interpret_run(run, small_session, ["count"], force=True)
    table["count"] = replace(table["count"], compute=whole)
    assert interpret_run(run, small_session, ["count"], force=True)["count"].findings[0].value == -1


def test_slow_analyses_wait_until_they_are_asked_for(run: Path, small_session: Recording, table: dict[str, Analysis]) -> None:
    assert "slow" not in interpret_run(run, small_session)
    assert "slow" in interpret_run(run, small_session, is_slow_wanted=True)


def test_an_interpreted_run_is_still_the_finished_study(run: Path, small_session: Recording, table: dict[str, Analysis]) -> None:
    interpret_run(run, small_session)
    again = run_study(small_session, read_settings(overrides=WORDS), run)
    assert "interpretation" in again.summary


def count_others(decoded: Decoded) -> Counted:
    if not decoded.others:
        raise DataError("none were given")
    return Counted(len(decoded.others))


def test_an_answer_holds_for_the_other_recordings_that_it_was_given(
    run: Path, small_session: Recording, table: dict[str, Analysis]
) -> None:
    table["others"] = Analysis(count_others, "image", "How many others?", is_slow=True, reads_others=True)
    first, second = (replace(small_session, responses=small_session.responses * factor) for factor in (2, 3))
    assert interpret_run(run, small_session, ["others"])["others"].reason == "none were given"
    assert interpret_run(run, small_session, ["others"], others=(first,))["others"].findings[0].value == 1
    # given, they need not be asked for by name
    assert interpret_run(run, small_session, others=(second, first))["others"].findings[0].value == 2
    table["others"] = replace(table["others"], compute=stop)
    assert interpret_run(run, small_session, ["others"], others=(first, second))["others"].findings[0].value == 2
    with pytest.raises(KeyboardInterrupt):
        interpret_run(run, small_session, ["others"], others=(second,))


def test_a_result_is_not_replaced_for_want_of_other_recordings(
    run: Path, small_session: Recording, table: dict[str, Analysis]
) -> None:
    table["others"] = Analysis(count_others, "image", "How many others?", is_slow=True, reads_others=True)
    interpret_run(run, small_session, ["others"], others=(small_session,))
    for force in (False, True):
        found = interpret_run(run, small_session, is_slow_wanted=True, force=force)
        assert found["others"].findings[0].value == 1


def test_other_recordings_that_nothing_reads_are_refused(run: Path, small_session: Recording, table: dict[str, Analysis]) -> None:
    table["others"] = Analysis(count_others, "image", "How many others?", is_slow=True, reads_others=True)
    with pytest.raises(DataError, match="None of count reads other recordings"):
        interpret_run(run, small_session, ["count"], others=(small_session,))


def test_another_recording_is_refused(run: Path, small_session: Recording, table: dict[str, Analysis]) -> None:
    other = replace(small_session, responses=small_session.responses * 2)
    with pytest.raises(DataError, match="is not the recording"):
        interpret_run(run, other)


def test_an_unknown_analysis_and_an_unfinished_run_are_refused(
    run: Path, small_session: Recording, table: dict[str, Analysis], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="count"):
        interpret_run(run, small_session, ["cuont"])
    with pytest.raises(DataError, match="finished run"):
        interpret_run(tmp_path / "nothing", small_session)


def test_claims_without_findings_cannot_be_told(run: Path) -> None:
    verdicts = judge_run(run)
    assert verdicts
    assert {verdict.verdict for verdict in verdicts.values()} == {"cannot tell"}


def test_a_table_keeps_the_numbers_of_its_rows(run: Path, monkeypatch: pytest.MonkeyPatch, small_session: Recording) -> None:
    monkeypatch.setattr(module, "ANALYSES", {"table": Analysis(lambda _: Tabulated(3), "neural", "Which?")})
    interpret_run(run, small_session)
    assert (run / "results" / "interpretation" / "table.csv").read_text(encoding="utf-8") == "neuron_index,twice\n4,0.0\n7,2.0\n"


def test_a_setting_is_part_of_what_a_result_is(run: Path, small_session: Recording, table: dict[str, Analysis]) -> None:
    table["times"] = Analysis(count_times, "image", "How many times as many?")
    assert interpret_run(run, small_session, ["times"])["times"].findings[0].value == 8

    changed = interpret_run(run, small_session, ["times"], settings={"factor": 3})["times"]
    assert (changed.findings[0].value, changed.settings) == (24, {"factor": 3})
    kept = json.loads((run / "summary.json").read_text())["interpretation"]["times"]
    assert kept["settings"] == {"factor": 3}

    table["times"] = replace(table["times"], compute=lambda decoded, settings=Counting(): stop(decoded))
    assert interpret_run(run, small_session, ["times"], settings={"factor": 3})["times"].findings[0].value == 24
    with pytest.raises(KeyboardInterrupt):
        interpret_run(run, small_session, ["times"])


@pytest.mark.parametrize(
    ("names", "settings", "says"),
    [
        (["times"], {"facter": 2}, r"^Unknown setting 'times\.facter'\. Did you mean 'factor'\? Choose from: factor\.$"),
        (["times"], {"factor": 0}, r"^The setting times\.factor should be greater than or equal to 1; got 0\.$"),
        (["count"], {"factor": 2}, r"^The analysis count has no settings; got factor\. Leave out --set\.$"),
        (["times", "count"], {"factor": 2}, r"^Settings are those of one analysis; 2 were chosen\. Name one"),
        ([], {"factor": 2}, r"^Settings are those of one analysis; 3 were chosen\. Name one"),
    ],
)
def test_settings_that_are_not_those_of_one_analysis_are_refused(
    run: Path,
    small_session: Recording,
    table: dict[str, Analysis],
    names: list[str],
    settings: dict[str, int],
    says: str,
) -> None:
    table["times"] = Analysis(count_times, "image", "How many times as many?")
    with pytest.raises(DataError, match=says):
        interpret_run(run, small_session, names, settings=settings)
    assert not (run / "results" / "interpretation").exists()


MACAQUE = {"species": "macaque", "area": "V4", "is_simulated": False}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"is_simulated": True}, r"first is measured and .*second is simulated\. .*--any-recordings"),
        ({"species": "mouse"}, r"share their species; .*first states macaque and .*second states mouse\. .*--any-recordings"),
        ({"area": "V1"}, r"share their area; .*first states V4 and .*second states V1"),
        ({"indicator": "GCaMP6s"}, ""),  # the first states none
        ({"species": "Macaque"}, ""),
    ],
)
def test_recordings_of_different_kinds_are_judged_together_only_on_request(
    changed: dict[str, object], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, facts in {"first": MACAQUE, "second": {**MACAQUE, **changed}}.items():
        write_json(tmp_path / name / "summary.json", {"recording": {"name": name, **facts}})
    runs = [Run(tmp_path / name) for name in ("first", "second")]
    monkeypatch.setattr(module, "read_several_finished", lambda paths: runs)
    monkeypatch.setattr(module, "judge_run", lambda path: {})
    monkeypatch.setattr(module, "combine_recordings", lambda found: None)
    paths = [run.path for run in runs]
    if said:
        with pytest.raises(DataError, match=said):
            judge_runs(paths)
    assert judge_runs(paths, any_recordings=bool(said)).verdicts.keys() == {"first", "second"}


@pytest.mark.parametrize(
    ("change", "said"),
    [({"test": None}, "is damaged"), ({"test": [-1]}, "each once; it does not"), ({"test": [0, 0]}, "each once; it does not")],
)
def test_a_split_that_no_study_writes_is_refused(
    run: Path, small_session: Recording, table: dict[str, Analysis], change: dict[str, object], said: str
) -> None:
    split = json.loads((run / "split.json").read_text())
    with Run(run).files.writing() as place:
        write_json(place("split.json"), split | change)
    with pytest.raises(DataError, match=rf"split\.json .*{said}"):
        interpret_run(run, small_session, ["count"])
