"""The truth of a simulated session agrees with what the session does."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from dina.recordings.recording import Recording
from dina.recordings.simulator import simulate
from dina.recordings.truth import Truth

SMALL = {"n_neurons": 80, "n_stimuli": 60, "n_subunits": 40, "n_broad_factors": 10, "n_spontaneous": 50}


@pytest.fixture(scope="module")
def many_repeats() -> Recording:
    return simulate("demo", 1, settings=SMALL | {"n_neurons": 24, "n_stimuli": 10, "n_repeats": 3000, "drift": 0.2})


def _by_repeat(recording: Recording) -> np.ndarray:
    order = np.argsort(recording.stimulus_id, kind="stable").reshape(recording.n_stimuli, -1).T
    return recording.responses[order]


def _truth(recording: Recording) -> Truth:
    assert recording.truth is not None
    return recording.truth


def test_true_mean_is_the_average_of_many_repeats(many_repeats: Recording) -> None:
    responses, truth = _by_repeat(many_repeats), _truth(many_repeats)
    error = responses.std(0) / np.sqrt(len(responses))
    z = (responses.mean(0) - truth.mean) / error
    # 240 standard normal values: the root mean square is 1 ± 0.05, widened for correlated noise
    assert 0.7 < np.sqrt((z**2).mean()) < 1.3


def test_true_covariance_is_that_of_many_repeats(many_repeats: Recording) -> None:
    responses, truth = _by_repeat(many_repeats), _truth(many_repeats)
    private, gain, loadings = truth.private_variance, truth.shared_gain, truth.shared_loadings
    expected, found = [], []
    for stimulus in range(many_repeats.n_stimuli):
        factors = np.concatenate(
            [gain[stimulus][:, None] * loadings, truth.gain_deviation * truth.mean[stimulus][:, None]], axis=1
        )
        expected.append(np.diag(private[stimulus]) + factors @ factors.T)
        found.append(np.cov(responses[:, stimulus].T))
    theory, measured = np.array(expected), np.array(found)
    diagonal = np.eye(many_repeats.n_neurons, dtype=bool)
    # marginal variances are exact; 3,000 heavy-tailed trials give each to a few per cent, their mean ratio to 1 %
    assert abs((measured[:, diagonal] / theory[:, diagonal]).mean() - 1) < 0.02
    deviation = np.sqrt(np.einsum("snn->sn", theory))
    scale = deviation[:, :, None] * deviation[:, None, :]
    theory, measured = ((values / scale).mean(0)[~diagonal] for values in (theory, measured))
    # correlations averaged over 10 images and 3,000 trials have a standard error of 0.006; they hold to first order
    slope = (measured * theory).sum() / (theory**2).sum()
    assert 0.95 < slope < 1.1
    assert np.abs(measured - theory).mean() < 0.01
    assert np.corrcoef(measured, theory)[0, 1] > 0.95


def test_log_likelihood_equals_the_dense_gaussian() -> None:
    recording = simulate("demo", 2, settings=SMALL)
    truth, chosen = _truth(recording), np.array([3, 5, 40])
    queries, counts = recording.responses[:4], np.array([1, 2, 1, 3])
    pooled, per_stimulus = (truth.log_likelihood(queries, counts, chosen, kind) for kind in ("pooled", "per_stimulus"))
    private, factors = truth.pooled_covariance()
    inverse = np.linalg.inv(np.diag(private) + factors @ factors.T.astype(float))
    for column, stimulus in enumerate(chosen):
        deviation = queries.astype(float) - truth.mean[stimulus]
        expected = -0.5 * counts * np.einsum("qn,nm,qm->q", deviation, inverse, deviation)
        # float32 products of 80 terms
        np.testing.assert_allclose(pooled[:, column], expected, rtol=1e-3)
        own = np.concatenate(
            [truth.shared_gain[stimulus][:, None] * truth.shared_loadings, truth.gain_deviation * truth.mean[stimulus][:, None]],
            axis=1,
        )
        covariance = np.diag(truth.private_variance[stimulus]).astype(float) + own @ own.T
        quadratic = np.einsum("qn,nm,qm->q", deviation, np.linalg.inv(covariance), deviation)
        expected = -0.5 * (counts * quadratic + np.linalg.slogdet(covariance)[1])
        np.testing.assert_allclose(per_stimulus[:, column], expected, rtol=1e-3)


def test_ideal_observer_beats_wrong_covariances_and_is_at_chance_on_shuffled_identities() -> None:
    recording = simulate("demo", 0)
    truth, responses = _truth(recording), _by_repeat(recording).mean(0)
    ids, counts = np.arange(500), np.full(500, 2)
    right = (truth.log_likelihood(responses, counts, ids).argmax(1) == ids).mean()
    private, factors = truth.pooled_covariance()
    deviation = np.sqrt(private + (factors**2).sum(1))
    asked, known = responses / deviation, truth.mean / deviation
    independent = (asked @ known.T - (known**2).sum(1) / 2).argmax(1)
    # the same 500 queries: the observers differ on dozens of them, so a margin of 2 % is no accident
    assert right > (independent == ids).mean() + 0.02
    assert right > (truth.log_likelihood(responses, counts, ids, "per_stimulus").argmax(1) == ids).mean() + 0.02
    shuffled = np.random.default_rng(0).permutation(ids)
    # 500 guesses at 1/500: more than 6 hits have a probability below 1e-4
    assert (truth.log_likelihood(responses[shuffled], counts, ids).argmax(1) == ids).sum() <= 6


def test_more_noise_in_the_signals_directions_lowers_the_ideal_observer() -> None:
    accuracy = []
    for limit in (0.0, 0.85):
        recording = simulate("demo", 4, settings=SMALL | {"n_stimuli": 200, "n_neurons": 200, "information_limit": limit})
        responses, ids = _by_repeat(recording)[0], np.arange(200)
        accuracy.append((_truth(recording).log_likelihood(responses, np.ones(200), ids).argmax(1) == ids).mean())
    assert accuracy[0] > accuracy[1] + 0.05


def test_truth_of_selected_neurons_is_the_truth_of_the_rest_left_out() -> None:
    recording = simulate("demo", 0, settings=SMALL | {"synergistic_pairs": 3})
    truth = _truth(recording)
    pair = truth.planted["synergistic_pairs"][0]
    keep = np.zeros(80, dtype=bool)
    keep[[*pair, 0, 1, 2]] = True
    kept = truth.select_neurons(keep)
    np.testing.assert_array_equal(kept.mean, truth.mean[:, keep])
    np.testing.assert_array_equal(np.flatnonzero(keep)[kept.planted["synergistic_pairs"]][0], pair)
    np.testing.assert_array_equal(kept.planted["category"], truth.planted["category"])


def test_truth_survives_a_round_trip_through_a_dataset() -> None:
    truth = _truth(simulate("demo", 0, settings=SMALL | {"synergistic_pairs": 2}))
    again = Truth.from_dataset(truth.to_dataset())
    np.testing.assert_array_equal(again.mean, truth.mean)
    np.testing.assert_array_equal(again.shared_loadings, truth.shared_loadings)
    assert again.gain_deviation == truth.gain_deviation
    assert set(again.planted) == set(truth.planted)
    for name, values in truth.planted.items():
        np.testing.assert_array_equal(again.planted[name], values)
        assert again.planted[name].dtype == values.dtype
        assert again.planted_axes[name] == truth.planted_axes[name]


def test_truth_survives_a_round_trip_through_a_file(tmp_path: Path) -> None:

    recording = simulate("demo", 0, settings=SMALL)
    recording.write(tmp_path / "session.nc")
    with xr.open_dataset(tmp_path / "session.nc", group="truth", engine="h5netcdf") as dataset:
        again = Truth.from_dataset(dataset.load())
    np.testing.assert_array_equal(again.private_variance, _truth(recording).private_variance)
    np.testing.assert_array_equal(again.planted["is_semantic"], _truth(recording).planted["is_semantic"])
