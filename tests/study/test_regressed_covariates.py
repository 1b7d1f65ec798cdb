"""A study regresses out what the animal did only where it is asked to, says what that changed, and interprets the same responses."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dina.checks import DataError
from dina.data.covariates import regress_out
from dina.recordings.recording import Recording
from dina.report.paper_methods import methods_paragraph
from dina.report.recording_quality import data_quality
from dina.rivals import RIVALS
from dina.study import read_settings, run_study
from dina.study.decoder_scores import DecoderScores, fit_and_score
from dina.study.interpret import read_decoded
from dina.study.prepared_recordings import SplitPairs
from dina.study.run_directory import Run
from dina.study.settings import read_together_settings

WORDS = ['decoders=["ridge"]', "evaluation.n_resamples=100", "response_transform=identity"]
ASKED = [*WORDS, 'regress_out=["running_speed"]']


@pytest.fixture(scope="module")
def running(small_session: Recording) -> Recording:
    """The small session with a speed that adds to every response."""
    random = np.random.default_rng(0)
    speed = random.normal(size=small_session.n_trials)
    added = np.outer(speed, random.uniform(1, 2, small_session.n_neurons)).astype(np.float32)
    return replace(
        small_session,
        responses=small_session.responses + added,
        covariates=speed[:, None],
        covariate_names=np.array(["running_speed"]),
        truth=None,
    )


def scores_of(run: Path) -> np.ndarray:
    return next(iter(DecoderScores.read(run / "results" / "retrieval_ridge.nc").scored.values())).scores


def test_decoders_and_analyses_get_the_cleaned_responses_and_the_page_says_so(running: Recording, tmp_path: Path) -> None:
    summary = run_study(running, read_settings(overrides=ASKED), tmp_path / "asked").summary
    parts = [np.array(Run(tmp_path / "asked").split[name]) for name in ("train", "validation", "test")]
    cleaned, effect = regress_out(running, ["running_speed"], parts[0])
    assert summary["covariates"] == effect.to_json()
    assert summary["recording"]["sha256"] == running.fingerprint()
    by_hand, _ = fit_and_score("ridge", "", lambda: RIVALS["ridge"].build(0, None), SplitPairs.of(cleaned, *parts))
    np.testing.assert_array_equal(scores_of(tmp_path / "asked"), next(iter(by_hand.scored.values())).scores)
    np.testing.assert_array_equal(read_decoded(tmp_path / "asked", running, "cpu").recording.responses, cleaned.responses)
    methods = " ".join(methods_paragraph(Run(tmp_path / "asked")))
    assert (
        "Running speed was regressed out of every response, with weights from deviations from the mean response to each"
        in methods
    )
    assert effect.in_words() in data_quality(Run(tmp_path / "asked")).paragraphs


def test_a_covariate_that_is_not_there_is_refused(running: Recording, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Unknown covariate 'pupil_size'"):
        run_study(running, read_settings(overrides=[*WORDS, 'regress_out=["pupil_size"]']), tmp_path / "run")


def test_studies_of_several_recordings_refuse_the_setting() -> None:
    with pytest.raises(DataError, match="Unknown setting 'regress_out'"):
        read_together_settings(overrides=['regress_out=["running_speed"]'])
