"""CEBRA in an interpreter of its own: what goes there and comes back, and what is said when it is not there."""

import json

import numpy as np
import pytest

from cebra_stand_in import CEBRA, write_stand_in
from dina.checks import DataError
from dina.data.pairs import Pairs, make_task
from dina.data.standardise import Standardiser
from dina.rivals import cebra
from dina.rivals.cebra import INTERPRETER, Cebra


def some_pairs(n=40, seed=0):
    generator = np.random.default_rng(seed)
    images = generator.standard_normal((n, 1, 16, 16)).astype(np.float32)
    unit = Standardiser(np.zeros(9, np.float32), np.ones(9, np.float32))
    index = np.tile(np.arange(n), 2)
    responses = generator.standard_normal((2 * n, 9)).astype(np.float32)
    return Pairs(images, np.arange(n), responses, index, np.ones(2 * n, dtype=np.int64), unit)


def test_without_an_environment_it_is_said_how_to_name_one(monkeypatch):
    monkeypatch.delenv(INTERPRETER, raising=False)
    monkeypatch.setattr(cebra.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=rf"environment of its own, and none was named.*set {INTERPRETER} to its python"):
        Cebra().fit(some_pairs(), some_pairs(10))
    monkeypatch.setenv(INTERPRETER, "/nowhere/python")
    with pytest.raises(DataError, match="must name a Python interpreter; /nowhere/python is no file"):
        Cebra().fit(some_pairs(), some_pairs(10))


def test_trials_features_and_settings_arrive_and_two_neighbourhoods_are_tried(tmp_path, monkeypatch):
    interpreter, train = write_stand_in(tmp_path), some_pairs()
    run, arrived = cebra._run, []

    def note(python, what, folder, asked):
        arrived.append((what, json.loads((folder / "settings.json").read_text()), np.load(folder / "responses.npy")))
        features = np.load(folder / "features.npy")
        # both trials of an image have its features, but for what keeps them apart
        np.testing.assert_allclose(features[:40], features[40:], atol=0.1)
        assert len(np.unique(features, axis=0)) == 80
        np.testing.assert_allclose(features[:40].std(0), 1.0, atol=0.05)
        return run(python, what, folder, asked)

    monkeypatch.setattr(cebra, "_run", note)
    Cebra(3, interpreter).fit(train, some_pairs(10, seed=1))
    assert [(what, settings["delta"]) for what, settings, _ in arrived] == [("fit", 0.3), ("fit", 1.0)]
    assert arrived[0][1]["seed"] != arrived[1][1]["seed"]
    np.testing.assert_array_equal(arrived[0][2], train.responses)


def test_queries_are_mapped_by_the_model_that_was_fitted(tmp_path):
    decoder = Cebra(0, write_stand_in(tmp_path)).fit(some_pairs(), some_pairs(10, seed=1))
    task = make_task(some_pairs(12, seed=2), "single_trial")
    scores = decoder.score(task.queries, task.gallery)
    assert scores.shape == (24, 12)
    assert np.abs(scores).max() <= 1
    np.testing.assert_array_equal(decoder.score(task.queries, task.gallery), scores)


def test_it_must_be_fitted_before_it_scores():
    task = make_task(some_pairs(5), "averaged")
    with pytest.raises(DataError, match="must be fitted before it scores"):
        Cebra().score(task.queries, task.gallery)


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("raise ImportError('no such library')", "failed with exit code 1: ImportError: no such library"),
        (CEBRA.replace("return (X - self.mean) @", "return np.nan * X @"), "one finite row for each response"),
        (CEBRA.replace("return (X - self.mean) @", "return X[1:] @"), r"got shape \(49, 32\) for 50 responses"),
    ],
)
def test_failures_over_there_become_reasons_here(cause, words, tmp_path):
    with pytest.raises(DataError, match=words):
        Cebra(0, write_stand_in(tmp_path, cause)).fit(some_pairs(), some_pairs(10))


def test_a_run_that_never_ends_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(cebra, "LONGEST_RUN_S", 0.5)
    with pytest.raises(DataError, match=r"could not be run: .*timed out"):
        Cebra(0, write_stand_in(tmp_path, "import time; time.sleep(30)")).fit(some_pairs(), some_pairs(10))
