"""The control of shuffled pairs counts what depends on the pairing, and passes nothing over in silence."""

from types import ModuleType

import pytest

from benchmark_scripts import import_script
from dina.statistics.finding import Finding


@pytest.fixture
def null_control() -> ModuleType:
    return import_script("null_control")


def found(name: str, value: float, null: str) -> Finding:
    return Finding(name, value, "1", 40, null_low=0.0, null_high=0.1, null=null)


def test_only_what_depends_on_the_pairing_is_counted(null_control: ModuleType) -> None:
    pairs = "predictions compared with the responses to other test images, permuted over images"
    sessions = [{"one": (found("inside", 0.05, pairs), found("of_neurons", 0.9, "neurons permuted"))}] * 50
    rows, passed = null_control.count_inside(sessions, ["one"])
    assert passed
    assert [row for row in rows if "inside | 50 | 50" in row]
    assert not [row for row in rows if "of_neurons" in row]
    outside = [{"one": (found("inside", 0.9, pairs),)}] * 50
    assert not null_control.count_inside(outside, ["one"])[1]


def test_what_reads_images_alone_is_left_out(null_control: ModuleType) -> None:
    words = "categories permuted over images"
    findings = (found("category_accuracy_low_level", 0.9, words), found("category_accuracy_responses", 0.05, words))
    rows, passed = null_control.count_inside([{"semantics": findings}] * 50, ["semantics"])
    assert passed
    assert len(rows) == 3


@pytest.mark.parametrize(
    ("sessions", "words"),
    [
        ([], ""),
        ([{"one": ()}], ""),
        ([{"one": (found("of_neurons", 0.05, "neurons permuted"),)}], ""),
        ([{}], "one | no result in 1 of 1"),
        ([{"one": (found("new", 0.05, "something new"), found("old", 0.05, "pairs permuted"))}], "“something new”"),
    ],
)
def test_nothing_counted_no_result_and_an_undecided_null_fail(
    null_control: ModuleType, sessions: list[dict[str, tuple[Finding, ...]]], words: str
) -> None:
    rows, passed = null_control.count_inside(sessions, ["one"])
    assert not passed
    assert words in "\n".join(rows)
