"""Objects of the interface are shown in one short line, whatever they hold."""

import numpy as np
import pytest
import xarray as xr

from dina.analyses import ANALYSES, Decoded
from dina.analyses.analysis import PlainResult
from dina.data.pairs import learn_standardiser, make_pairs, make_task
from dina.data.splits import split_by_stimulus
from dina.recordings.recording import Recording
from dina.short_words import LONGEST
from dina.statistics.finding import Finding
from dina.study import StudySettings, TogetherSettings
from dina.study.run_directory import AnalysisRecord
from dina.study.settings import resolve
from dina.study.study_result import InterpretedRun
from dina.training.presets import PRESETS, RecordingShape, build_towers


@pytest.fixture(scope="module")
def decoded(small_session: Recording) -> Decoded:
    split = split_by_stimulus([small_session], np.arange(small_session.n_stimuli), seed=0)
    standardiser = learn_standardiser(small_session, split.train)
    parts = [make_pairs(small_session, ids, standardiser) for ids in (split.train, split.validation, split.test)]
    towers = build_towers("default", None, RecordingShape.of(parts[0]), seed=0)
    return Decoded(small_session, *parts, fitted=towers, preset="default", settings=PRESETS["default"].settings_type())


def test_every_object_that_a_user_meets_has_a_short_representation(small_session: Recording, decoded: Decoded) -> None:
    task = make_task(decoded.test, "averaged")
    split = split_by_stimulus([small_session], np.arange(small_session.n_stimuli), seed=0)
    finding = Finding("lost", 0.5, "1", 40, 0.4, 0.6, 0.0, 0.1, "pairs shuffled " * 40)
    shown = [small_session, small_session.truth, split, decoded, decoded.towers, decoded.test, decoded.test.standardiser]
    shown += [task, task.queries, task.gallery, finding, PlainResult(xr.Dataset({"a": ("x", np.zeros(9999))}), (finding,) * 50)]
    shown.append(InterpretedRun(dict.fromkeys(ANALYSES, AnalysisRecord())))
    shown += [preset.settings_type() for preset in PRESETS.values()]
    shown += [resolve(StudySettings()), resolve(TogetherSettings())]
    long = {type(one).__name__: len(repr(one)) for one in shown if not 5 < len(repr(one)) <= LONGEST or "\n" in repr(one)}
    assert not long


def test_a_plain_result_says_what_was_found_and_what_it_holds() -> None:
    result = PlainResult(xr.Dataset({"agreement": ("image", np.zeros(9))}), (Finding("correlation", 0.512, "1", 9),))
    assert repr(result) == "PlainResult(findings: correlation = 0.512; arrays: agreement)"


def test_a_representation_says_what_differs_from_the_defaults(small_session: Recording) -> None:
    assert repr(StudySettings(seed=3, preset="scratch")) == "StudySettings(seed=3, preset='scratch')"
    words = repr(small_session)
    assert words.startswith("Recording(name='simulated-demo")
    assert "images=uint8 (80, 1, 24, 48)" in words
    assert "responses=float32 (160, 60)" in words
