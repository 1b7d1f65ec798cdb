"""A study gives each decoder responses in its units, says what was chosen, and leaves all as it was under the identity."""

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import xarray as xr

from dina.data.response_transform import ResponseTransform
from dina.models.transform_choice import TransformName
from dina.recordings.recording import Recording
from dina.rivals import RIVALS
from dina.study import read_settings, run_study
from dina.study.decoder_scores import DecoderScores, fit_and_score
from dina.study.decoders import units_of
from dina.study.interpret import read_decoded
from dina.study.prepared_recordings import SplitPairs, draw_splits

DECODERS = ("ridge", "encoding_global", "nearest_repeat_raw", "ideal_observer")
WORDS = [f"decoders={json.dumps(DECODERS)}", "evaluation.n_resamples=200"]


def study(recording: Recording, path: Path, transform: str) -> Path:
    run_study(recording, read_settings(overrides=[*WORDS, f"response_transform={transform}"]), path)
    return path


def scores_of(run: Path, decoder: str) -> np.ndarray:
    return next(iter(DecoderScores.read(run / "results" / f"retrieval_{decoder}.nc").scored.values())).scores


@pytest.fixture(scope="module")
def as_recorded(small_session: Recording, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return study(small_session, tmp_path_factory.mktemp("study") / "identity", "identity")


def test_the_identity_gives_what_decoders_give_without_any_transform(as_recorded: Path, small_session: Recording) -> None:
    (split,) = draw_splits([small_session], read_settings(overrides=WORDS).split, [0])
    pairs = SplitPairs.of(small_session, split.train, split.validation, split.test)

    for name in DECODERS:
        scores, _ = fit_and_score(name, "", lambda name=name: RIVALS[name].build(0, small_session.truth), pairs)
        np.testing.assert_array_equal(scores_of(as_recorded, name), next(iter(scores.scored.values())).scores)


def test_only_decoders_of_chosen_units_see_the_transform(as_recorded: Path, small_session: Recording, tmp_path: Path) -> None:
    root = study(small_session, tmp_path / "root", "power 0.5")

    for name in DECODERS:
        is_same = np.array_equal(scores_of(root, name), scores_of(as_recorded, name))
        assert is_same == (units_of(name, "default") == "raw")
    assert units_of("dina", "paper") == "raw"
    assert units_of("dina", "default") == "chosen"


def test_the_summary_says_what_was_chosen_and_test_responses_do_not_matter(small_session: Recording, tmp_path: Path) -> None:
    settings = read_settings(overrides=[*WORDS, 'decoders=["ridge"]'])
    (split,) = draw_splits([small_session], settings.split, [0])
    poisoned = small_session.responses.copy()
    poisoned[np.isin(small_session.stimulus_id, split.test)] *= 7
    other = Recording(name="poisoned", images=small_session.images, stimulus_id=small_session.stimulus_id, responses=poisoned)

    chosen, again = (
        run_study(each, settings, tmp_path / each.name).summary["response_transform"] for each in (small_session, other)
    )

    assert chosen == again
    rank, error = chosen["mean_log_rank"], chosen["standard_error"]
    within = {name for name, value in rank.items() if value - min(rank.values()) <= error[name]}
    assert chosen["name"] == next(name for name in get_args(TransformName) if name in within)  # the simplest of them
    quality = xr.load_dataset(tmp_path / "poisoned" / "results" / "quality.nc", engine="h5netcdf")
    assert quality.attrs["response_transform"] == chosen["name"]
    assert "reason_mean_variance" in quality.attrs or "repeats_mean" in quality


def test_interpretation_takes_the_transform_of_the_towers(small_session: Recording, tmp_path: Path) -> None:
    words = ["preset=scratch", "dina.fit.n_epochs=1", 'decoders=["dina"]', 'response_transform="power 0.5 with gain"']
    run_study(small_session, read_settings(overrides=[*words, "evaluation.n_resamples=200"]), tmp_path / "run")

    decoded = read_decoded(tmp_path / "run", small_session, "cpu")

    transform: ResponseTransform = decoded.train.standardiser.transform
    assert (transform.name, float(transform.power)) == ("power 0.5 with gain", 0.5)
    assert transform.mean_root == pytest.approx(decoded.towers.standardiser.transform.mean_root)
