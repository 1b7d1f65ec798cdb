"""The estimator learns from one recording, is scored on images that it has not seen, and refuses those that it has."""

from dataclasses import replace

import numpy as np
import pytest

from dina.checks import DataError
from dina.recordings.recording import Recording
from dina.training.image_decoder import ImageDecoder, train_test_split
from dina.training.presets.scratch import ScratchSettings

SETTINGS = ScratchSettings().model_copy(update={"map_channels": 2, "pathway_width": 8, "rank": 16})


@pytest.fixture(scope="module")
def parts(small_session: Recording) -> tuple[Recording, Recording]:
    return train_test_split(small_session, test_fraction=0.2, seed=1)


@pytest.fixture(scope="module")
def decoder(parts: tuple[Recording, Recording]) -> ImageDecoder:
    quick = SETTINGS.model_copy(update={"fit": SETTINGS.fit.model_copy(update={"n_epochs": 1})})
    return ImageDecoder("scratch", quick, seed=0).fit(parts[0])


def test_a_recording_is_divided_by_image(small_session: Recording, parts: tuple[Recording, Recording]) -> None:
    train, test = parts
    assert not set(train.stimulus_id.tolist()) & set(test.stimulus_id.tolist())
    assert train.n_trials + test.n_trials == small_session.n_trials
    assert len(set(test.stimulus_id.tolist())) == 16


def test_score_is_the_top1_accuracy_of_the_row_and_follows_from_the_predictions(
    decoder: ImageDecoder, parts: tuple[Recording, Recording]
) -> None:
    test = parts[1]
    row = decoder.evaluate(test, n_resamples=100)
    assert decoder.score(test) == row.top1
    assert row.chance_top1 == 1 / 16
    shown = np.unique(test.stimulus_id)
    best = decoder.predict(test.responses, test.images[shown])
    assert np.mean(shown[best] == test.stimulus_id) == pytest.approx(decoder.score(test, "single_trial"))


def test_some_settings_may_be_changed_by_name() -> None:
    decoder = ImageDecoder("scratch", {"fit": {"n_epochs": 2}})
    whole = ScratchSettings()
    assert decoder.settings == whole.model_copy(update={"fit": whole.fit.model_copy(update={"n_epochs": 2})})
    with pytest.raises(DataError, match=r"Unknown setting 'dina\.fit\.n_epoch'\. Did you mean 'n_epochs'"):
        ImageDecoder("scratch", {"fit": {"n_epoch": 2}})


def test_responses_and_images_may_be_lists(decoder: ImageDecoder, parts: tuple[Recording, Recording]) -> None:
    test = parts[1]
    some = decoder.predict(test.responses[:2], test.images[:5])
    assert decoder.predict(test.responses[:2].tolist(), test.images[:5].tolist()).tolist() == some.tolist()


def test_what_is_not_fitted_to_is_refused(parts: tuple[Recording, Recording]) -> None:
    with pytest.raises(DataError, match=r"nothing is fitted to y; got ndarray. Leave it out"):
        ImageDecoder("scratch").fit(parts[0], parts[0].images)


def test_what_cannot_be_scored_is_refused(decoder: ImageDecoder, parts: tuple[Recording, Recording]) -> None:
    train, test = parts
    with pytest.raises(DataError, match=r"must be others than those that were learnt from; 64 of 64 are the same"):
        decoder.score(train)
    brighter = replace(train, images=np.clip(train.images.astype(int) + 1, 0, 255).astype(np.uint8))
    with pytest.raises(DataError, match=r"64 of 64 are the same or nearly so"):
        decoder.score(brighter)
    with pytest.raises(DataError, match=r"images must be \(1, 24, 48\), as those that were learnt from"):
        decoder.score(replace(test, images=test.images[:, :, :20]))
    with pytest.raises(DataError, match=r"must be fitted first"):
        ImageDecoder("scratch").score(test)
    with pytest.raises(DataError, match=r"responses must be \(n_trials, 60\)"):
        decoder.score(test.select_neurons(np.arange(60) < 50, "fewer"))
    with pytest.raises(DataError, match=r"responses must be \(n_trials, 60\).* got shape \(60,\)"):
        decoder.predict(test.responses[0], test.images)
    with pytest.raises(DataError, match=r"images must be \(n_images, 1, 24, 48\)"):
        decoder.predict(test.responses, test.images[:, 0])
    with pytest.raises(DataError, match="Unknown preset 'scrath'"):
        ImageDecoder("scrath")


def test_the_same_recording_and_seed_give_the_same_decoder(decoder: ImageDecoder, parts: tuple[Recording, Recording]) -> None:
    train, test = parts
    again = ImageDecoder("scratch", decoder.settings, seed=0).fit(replace(train, name="other"))
    assert np.array_equal(again.predict(test.responses, test.images), decoder.predict(test.responses, test.images))
