"""The estimator learns from one recording, is scored on images that it has not seen, and refuses those that it has."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone

from dina.checks import DataError
from dina.recordings.recording import Recording
from dina.training import image_decoder
from dina.training.image_decoder import ImageDecoder, train_test_split
from dina.training.objectives import SigLip
from dina.training.presets import Scratch
from dina.training.presets.scratch import ScratchSettings

SETTINGS = {"map_channels": 2, "pathway_width": 8, "rank": 16, "fit": {"n_epochs": 1}}


@pytest.fixture(scope="module")
def parts(small_session: Recording) -> tuple[Recording, Recording]:
    return train_test_split(small_session, test_fraction=0.2, seed=1)


@pytest.fixture(scope="module")
def decoder(parts: tuple[Recording, Recording]) -> ImageDecoder:
    return ImageDecoder("scratch", SETTINGS, seed=0).fit(parts[0])


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


def test_some_settings_may_be_changed_by_name(decoder: ImageDecoder) -> None:
    whole = ScratchSettings()
    changes = {**SETTINGS, "fit": whole.fit.model_copy(update=SETTINGS["fit"])}
    assert decoder.towers.recipe["settings"] == whole.model_copy(update=changes).model_dump(mode="json")
    with pytest.raises(DataError, match=r"Unknown setting 'dina\.fit\.n_epoch'\. Did you mean 'n_epochs'"):
        ImageDecoder("scratch", {"fit": {"n_epoch": 2}})


def test_a_decoder_is_copied_and_changed_as_scikit_learn_does(decoder: ImageDecoder) -> None:
    copy = clone(decoder)
    assert copy.get_params() == decoder.get_params() == {"preset": "scratch", "settings": SETTINGS, "seed": 0, "device": "cpu"}
    with pytest.raises(DataError, match="must be fitted first"):
        copy.predict(decoder, decoder)
    own = clone(ImageDecoder(Scratch(objective=SigLip)))
    assert own.get_params()["preset"].own_parts() == {"objective": "SigLip"}
    assert copy.set_params(seed=3, settings=None) is copy
    assert (copy.seed, copy.settings, copy.preset) == (3, None, "scratch")
    with pytest.raises(DataError, match="Unknown preset 'scrath'"):
        copy.set_params(seed=4, preset="scrath")
    assert copy.seed == 3


def test_an_evaluation_is_a_table(decoder: ImageDecoder, parts: tuple[Recording, Recording]) -> None:
    row = decoder.evaluate(parts[1], n_resamples=100)
    (shown,) = row.table().to_dict("records")
    assert (shown["top1"], shown["chance"], shown["n_gallery"], shown["p_value"]) == (100 * row.top1, 6.25, 16, row.p_value)


def test_names_of_scikit_learn_mean_the_same(small_session: Recording, parts: tuple[Recording, Recording]) -> None:
    for part, same in zip(parts, train_test_split(small_session, test_size=0.2, random_state=1), strict=True):
        np.testing.assert_array_equal(part.stimulus_id, same.stimulus_id)


def test_responses_and_images_may_be_lists(decoder: ImageDecoder, parts: tuple[Recording, Recording]) -> None:
    test = parts[1]
    some = decoder.predict(test.responses[:2], test.images[:5])
    assert decoder.predict(test.responses[:2].tolist(), test.images[:5].tolist()).tolist() == some.tolist()


def test_a_large_gallery_is_read_some_images_at_a_time(
    decoder: ImageDecoder, parts: tuple[Recording, Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    test = parts[1]
    gallery = np.concatenate([test.images, test.images[::-1]])  # of copies the first is found
    whole = decoder.predict(test.responses, gallery)
    read, checked = [], image_decoder.contrast_of

    def contrast_of(recording: Recording, images: np.ndarray) -> np.ndarray:
        read.append(len(images))
        return checked(recording, images)

    monkeypatch.setattr(image_decoder, "contrast_of", contrast_of)
    monkeypatch.setattr(image_decoder, "PIXELS_AT_ONCE", 30 * test.images[0].size)
    np.testing.assert_array_equal(decoder.predict(test.responses, gallery), whole)
    assert read == [30] * (len(gallery) // 30) + [len(gallery) % 30]


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
        decoder.predict(test.responses, test.images[0, 0])
    with pytest.raises(DataError, match="Unknown preset 'scrath'"):
        ImageDecoder("scrath")


def test_the_same_recording_and_seed_give_the_same_decoder(decoder: ImageDecoder, parts: tuple[Recording, Recording]) -> None:
    train, test = parts
    again = ImageDecoder("scratch", decoder.settings, seed=0).fit(replace(train, name="other"))
    assert np.array_equal(again.predict(test.responses, test.images), decoder.predict(test.responses, test.images))
