"""What every recipe for several recordings must hold when it is left alone with one, as a row beside other decoders."""

import numpy as np
import pytest

from dina.checks import DataError
from dina.data.pairs import make_task
from dina.retrieval.ranks import retrieve
from dina.training.joint_preset_decoder import JointPresetDecoder
from dina.training.joint_presets import JOINT_PRESETS
from dina.training.preset_settings import DefaultSettings

N_TRAIN, N_VALIDATION, N_NEURONS = 120, 48, 40


def quick(preset, n_epochs=10):
    settings = JOINT_PRESETS[preset].settings_type()
    if isinstance(settings, DefaultSettings):
        fit = settings.fit.model_copy(update={"n_epochs": 1})
        return settings.model_copy(update={"widths": (1.1,), "n_orientations": 2, "stride": 3, "fit": fit})
    fit = settings.fit.model_copy(update={"n_epochs": n_epochs, "batch_size": 40})
    return settings.model_copy(update={"pathway_width": 8, "fit": fit})


def top5(preset, make_toy_pairs, *, is_shuffled):
    train, test = make_toy_pairs(N_TRAIN, N_VALIDATION, N_NEURONS, is_shuffled=is_shuffled)
    decoder = JointPresetDecoder(preset, quick(preset), seed=0).fit(train, train)  # validation apart from what is asked
    task = make_task(test, "averaged")
    scores = decoder.score(task.queries, task.gallery)
    assert decoder.history is not None
    assert decoder.history.summary()["epochs_done"] == decoder.settings.fit.n_epochs
    again = JointPresetDecoder(preset, quick(preset), seed=0).fit(train, train)
    np.testing.assert_array_equal(scores, again.score(task.queries, task.gallery))
    return retrieve(scores, task.target, "image_from_response").top(5).mean()


@pytest.mark.parametrize("preset", JOINT_PRESETS)
def test_it_decodes_what_there_is_and_nothing_else(preset, make_toy_pairs):
    chance = 5 / N_VALIDATION
    four_errors = 4 * np.sqrt(chance * (1 - chance) / N_VALIDATION)
    assert top5(preset, make_toy_pairs, is_shuffled=False) > chance + four_errors
    assert abs(top5(preset, make_toy_pairs, is_shuffled=True) - chance) < four_errors


def test_it_must_be_fitted_before_it_scores(make_toy_pairs):
    _, test = make_toy_pairs(60, 24, 20)
    task = make_task(test, "averaged")
    with pytest.raises(DataError, match="must be fitted"):
        JointPresetDecoder("mindeye2").score(task.queries, task.gallery)
