"""Needs of a study grow with its data, and are said in words for the machine at hand."""

import json
import re
import resource

import pytest

from dina.checks import DataError
from dina.recordings.recording import Recording
from dina.study import needs
from dina.study.needs import Needs, estimate_needs, refuse_shortage, say_needs
from dina.study.settings import DEFAULT_DECODERS, read_settings
from dina.study.this_machine import free_memory_gb, measure_gigaflops
from dina.study.updates import say_updates

PROMISED = 1.3  # every study keeps within so many times the memory that was said before (docs/trust.md)


@pytest.mark.parametrize(
    ("shape", "gigabytes", "seconds"),
    [  # neurons, images, pixels of one, trials; peak memory and processor time of a study, measured
        ((100, 200, 32 * 32, 400), 0.81, 23),
        ((2000, 200, 32 * 32, 400), 1.04, 47),
        ((100, 1000, 32 * 32, 2000), 1.12, 67),
        ((100, 200, 128 * 128, 400), 1.06, 50),
        ((2000, 1000, 64 * 64, 2000), 1.43, 215),
    ],
)
def test_estimates_are_near_what_was_measured(shape: tuple[int, int, int, int], gigabytes: float, seconds: float) -> None:
    needed = estimate_needs(*shape)
    # 20 %: what docs/trust.md says of studies of these sizes, to which the estimate was fitted
    assert needed.memory_gb == pytest.approx(gigabytes, rel=0.2)
    assert needed.processor_seconds == pytest.approx(seconds, rel=0.2)


@pytest.mark.parametrize(
    ("shape", "gigabytes", "minutes"),
    [  # benchmarks/extreme_shapes.py, measured; of the largest images, what is kept beside reduced ones is added
        ((60, 120, 270 * 480, 120), 1.93 - 0.249, 1.4),
        ((60, 50_000, 16 * 16, 50_000), 1.39, 2.6),
        ((100_000, 120, 32 * 32, 240), 1.72, 2.0),
        ((20_000, 1_000, 32 * 32, 2_000), 1.96, 5.1),
    ],
)
def test_studies_of_extreme_shapes_stay_near_their_estimates(
    shape: tuple[int, int, int, int], gigabytes: float, minutes: float
) -> None:
    needed = estimate_needs(*shape)
    assert gigabytes < PROMISED * needed.memory_gb
    assert needed.memory_gb < PROMISED * gigabytes  # one far too large would refuse studies for which there is room
    assert 60 * minutes < needed.processor_seconds < 2 * 60 * minutes  # it counts rivals, too, which were left out here


def test_times_are_those_of_the_machine() -> None:
    needed = Needs(memory_gb=2.25, processor_seconds=1200)
    assert needed.words(1, 98.0) == "about 2.2 GB of memory and 20 min on 1 thread"
    assert needed.words(4, 49.0) == "about 2.2 GB of memory and between 10 min and 40 min on 4 threads"
    assert measure_gigaflops() > 0.1


def seconds_in(words: str) -> int:
    """Return the seconds that a sentence states for one thread."""
    found = re.search(r"GB of memory and (\d+) s on 1 thread", words)
    assert found is not None, words
    return int(found[1])


def test_the_estimate_follows_the_settings_or_says_that_it_does_not(
    small_session: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needs, "measure_gigaflops", lambda: 98.0)

    def said(*changes: str) -> str:
        return say_needs(small_session, 1, read_settings(None, changes))[0]

    default = say_needs(small_session, 1)[0]
    assert default == said()
    assert default.startswith("A study with the default settings needs about")
    assert "at most" not in default
    n = len(DEFAULT_DECODERS)
    assert f"(at most, since this one fits 2 of {n} decoders)" in said('decoders=["dina", "ridge"]')
    assert said("folds=3").startswith("A study of 3 folds with otherwise default settings needs")
    assert seconds_in(said("folds=3")) == pytest.approx(3 * seconds_in(default), abs=2)  # each is rounded to a second
    assert said("folds=3", "fold=2") == default
    assert "(not counted: changed settings of dina)" in said("dina.order=1")
    assert "(not counted: cebra)" in said(f"decoders={json.dumps([*DEFAULT_DECODERS, 'cebra'])}")


def test_a_study_for_which_memory_is_short_is_refused(small_session: Recording) -> None:
    refuse_shortage(small_session, 2.0)
    with pytest.raises(DataError, match=r"needs about 0\.\d GB of memory; 0\.1 GB are allowed\. Use fewer neurons"):
        refuse_shortage(small_session, 0.1)


def test_limits_of_the_process_count(small_session: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    before = free_memory_gb()
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10**7, 10**7))
    assert before is not None
    assert (free_memory_gb() or 0.0) < before
    with pytest.raises(DataError, match=r"GB are there for it\. Use fewer neurons.* --max-memory allows more"):
        refuse_shortage(small_session)


def test_the_few_updates_of_the_published_towers_are_said(small_session: Recording) -> None:
    n_shown = int((small_session.repeats_per_stimulus() > 0).sum())
    each = -(-int(0.8 * n_shown) // 128)
    few = read_settings(
        None, ['preset="paper"', "dina.fit.n_epochs=3", "split.validation_fraction=0.1", "split.test_fraction=0.1"]
    )
    assert f"updates them {3 * each} times here (epochs: 3)" in say_updates(small_session, few)
    assert say_updates(small_session, read_settings(None, ['preset="paper"', f"dina.fit.n_epochs={500 // each + 1}"])) == ""
    for preset in ("default", "scratch"):  # the latter decodes after few updates
        assert say_updates(small_session, read_settings(None, [f'preset="{preset}"'])) == ""
