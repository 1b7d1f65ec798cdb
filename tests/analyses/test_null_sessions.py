"""The ledger of unrelated sessions goes on where it stopped, and its table finds a null that is too narrow."""

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from benchmark_scripts import import_script
from dina.statistics.finding import Finding


@pytest.fixture
def null_sessions() -> ModuleType:
    return import_script("null_sessions")


def line(session: int, name: str, outside: bool | None) -> dict[str, object]:
    return {"session": session, "analysis": "one", "name": name, "outside": outside}


def test_a_session_that_was_cut_off_is_repeated_and_slow_ones_are_kept_apart(null_sessions: ModuleType, tmp_path: Path) -> None:
    ends = {2: {"session": 2, "slow": False, "seconds": {}}, 3: {"session": 3, "slow": True, "seconds": {}}}
    lines = [line(1, "a", True), line(2, "a", False), ends[2], line(3, "a", True), ends[3], line(4, "a", True)]
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_text("\n".join(map(json.dumps, lines)) + '\n{"session": 4, "ana')
    assert null_sessions.read_ledger(ledger, slow=False) == {2: [line(2, "a", False)]}
    assert null_sessions.read_ledger(ledger, slow=True) == {3: [line(3, "a", True)]}


def test_a_null_that_is_too_narrow_is_found_and_one_that_holds_is_not(null_sessions: ModuleType) -> None:
    sessions = [[line(i, "narrow", i % 5 == 0), line(i, "right", i % 20 == 0), line(i, "none", None)] for i in range(200)]
    narrow, right = null_sessions.count(sessions)
    assert (narrow.n_outside, narrow.n, right.n_outside) == (40, 200, 10)
    # Clopper and Pearson, by scipy.stats.binomtest(40, 200).proportion_ci("exact")
    assert (narrow.low, narrow.high) == pytest.approx((0.1469, 0.2622), abs=1e-4)
    assert narrow.p_value < 0.025 < right.p_value
    assert "mean of 2 findings, those in 20 sessions or more | 50 | 400 | 12.5" in list(null_sessions.table([narrow, right]))[-1]


def test_what_neurons_share_counts_only_where_they_share_nothing(null_sessions: ModuleType) -> None:
    pairs, neurons = (
        Finding("x", 0.5, "1", 3, null_low=0.0, null_high=0.1, null=words)
        for words in ("pairs permuted over images", "neurons permuted")
    )
    assert [null_sessions.counts_here("shuffled", one) for one in (pairs, neurons)] == [True, False]
    assert [null_sessions.counts_here("independent", one) for one in (pairs, neurons)] == [True, True]
    assert not null_sessions.counts_here("independent", Finding("x", 0.5, "1", 3))


def test_unrelated_sessions_are_what_they_say(null_sessions: ModuleType) -> None:
    kind, recording = null_sessions.make_session(1)
    again = null_sessions.make_session(1)[1]
    assert kind == "independent"
    np.testing.assert_array_equal(recording.responses, again.responses)
    correlation = np.corrcoef(np.log(recording.responses), rowvar=False)[np.triu_indices(recording.n_neurons, 1)]
    assert abs(correlation.mean()) < 0.01  # of 435 pairs over 400 trials
    assert null_sessions.make_session(2)[0] == "shuffled"


@pytest.mark.long
def test_two_sessions_run_go_on_and_give_a_table(null_sessions: ModuleType, tmp_path: Path, monkeypatch, capsys) -> None:
    ledger = tmp_path / "ledger.jsonl"
    monkeypatch.setattr("sys.argv", ["null_sessions.py", "--quick", "--ledger", str(ledger)])
    assert null_sessions.main() in (0, 1)
    first = capsys.readouterr().out
    monkeypatch.setattr(null_sessions, "run_session", None)
    assert null_sessions.main() in (0, 1)
    assert capsys.readouterr().out == first
    assert "feature_maps: map_correlation" in first
