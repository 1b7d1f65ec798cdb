"""Whatever a file holds, a reader gives its content or a refusal in words; `benchmarks/fuzz_readers.py` tries far more."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmark_scripts import import_script
from dina.checks import DataError


@pytest.fixture(scope="module")
def fuzzing() -> ModuleType:
    return import_script("fuzz_readers")


def test_no_mutant_of_any_file_makes_a_fault(fuzzing: ModuleType) -> None:
    for name, reader in fuzzing.readers().items():
        found = fuzzing.fuzz(reader, 0.1, 40, seed=1)
        assert not found.faults, name
        assert found.ends.total() == found.runs > 0, name


def test_mutants_go_on_where_they_stopped(fuzzing: ModuleType, tmp_path: Path) -> None:
    reader, path = (
        fuzzing.Reader("a.npy", lambda folder: fuzzing.read_npy(folder / "a.npy"), [bytes(range(200))]),
        tmp_path / "ledger",
    )
    for runs in (30, 25):
        ledger = fuzzing.MutantLedger(path)
        first = ledger.total("npy", reader, 1).runs
        ledger.add("npy", reader, 1, first, fuzzing.fuzz(reader, 60, runs, 1, None, first))
    whole, found = fuzzing.fuzz(reader, 60, 55, 1), fuzzing.MutantLedger(path).total("npy", reader, 1)
    assert (found.runs, found.ends) == (55, +whole.ends)
    assert fuzzing.MutantLedger(path).total("npy", replace(reader, words=(b"nan",)), 1).runs == 0  # other mutants


def end_of(read: Callable[[], object]) -> str:
    """Say how reading ended: only a refusal in words may stop it."""
    try:
        read()
    except DataError:
        return "refused"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "read"


# a busy machine takes long to make the first example, which says nothing of the test
UNCHECKED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = ("decoding", "interpretation", "recording", "recordings", "folds", "quality")


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=UNCHECKED)
@given(summary=st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, JSON)))
def test_a_summary_of_any_shape_is_read_or_refused(fuzzing: ModuleType, tmp_path: Path, summary: dict[str, Any]) -> None:
    (tmp_path / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    assert end_of(lambda: fuzzing.read_run(tmp_path)) in ("read", "refused")


@settings(max_examples=40, deadline=None, database=None, suppress_health_check=UNCHECKED)
@given(content=st.fixed_dictionaries({}, optional={"preset": st.just("scratch") | JSON, "settings": JSON, "shape": JSON}))
def test_a_recipe_of_any_shape_is_built_or_refused(fuzzing: ModuleType, tmp_path: Path, content: dict[str, Any]) -> None:
    (tmp_path / "content.json").write_text(json.dumps({"recipe": content, "n_neurons": 5}), encoding="utf-8")
    assert end_of(lambda: fuzzing.load_invented(tmp_path)) in ("read", "refused")
