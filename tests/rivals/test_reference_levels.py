"""The nearest repeat agrees with the published procedure, and the ideal observer hands the truth responses in their own units."""

from pathlib import Path

import numpy as np
import pytest

from dina.checks import DataError
from dina.data.pairs import Gallery, Pairs, Queries, learn_standardiser, make_pairs, make_task, make_template_tasks
from dina.data.response_transform import FOURTH_ROOT
from dina.recordings.recording import Recording
from dina.recordings.simulator import simulate as simulate_session
from dina.recordings.truth import Truth
from dina.retrieval.ranks import DIRECTIONS, retrieve
from dina.rivals.reference_levels import IdealObserver, NearestRepeatRaw, NearestRepeatZscored

MOUSE = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "antolik2016_mouseV1"


def record(responses: np.ndarray) -> tuple[Recording, Pairs]:
    """Make a recording from responses (repeat, stimulus, neuron), and all its pairs."""
    n_repeats, n_stimuli, n_neurons = responses.shape
    images = np.random.default_rng(0).integers(0, 255, (n_stimuli, 1, 4, 4), dtype=np.uint8)
    stimulus_id = np.tile(np.arange(n_stimuli), n_repeats)
    recording = Recording("r", images, stimulus_id, responses.reshape(-1, n_neurons).astype(np.float32))
    return recording, make_pairs(recording, np.arange(n_stimuli), learn_standardiser(recording, np.arange(n_stimuli)))


def simulate() -> np.ndarray:
    """Make two repeats of positive responses of unequal neurons."""
    generator = np.random.default_rng(1)
    signal = generator.exponential(size=(60, 30))
    return (signal + 0.8 * generator.exponential(size=(2, 60, 30))) * np.arange(1, 31)


def test_zscored_variant_is_the_correlation_of_zscored_repeats():
    responses = simulate()
    task = make_template_tasks(record(responses)[1])[0]

    scores = NearestRepeatZscored().score(task.queries, task.gallery)

    first, second = ((r - r.mean(axis=0)) / r.std(axis=0) for r in responses)
    # responses were standardised in float32 in between
    np.testing.assert_allclose(scores, np.corrcoef(first, second)[:60, 60:], atol=1e-5)


def test_raw_variant_is_the_dot_product_of_responses_in_their_own_units():
    responses = simulate()
    pairs = record(responses)[1]
    task = make_template_tasks(pairs)[0]

    scores = NearestRepeatRaw().fit(pairs, pairs).score(task.queries, task.gallery)

    np.testing.assert_allclose(scores, responses[0] @ responses[1].T, rtol=1e-5)  # float32


def test_a_neuron_that_never_changes_does_not_matter_to_the_zscored_variant():
    responses = simulate()
    silent = np.concatenate([responses, np.zeros((2, 60, 1))], axis=2)
    tasks = [make_template_tasks(record(r)[1])[0] for r in (responses, silent)]

    without, with_silent = (NearestRepeatZscored().score(t.queries, t.gallery) for t in tasks)

    # it adds one zero to each pattern, which moves the means over neurons a little
    assert (without.argmax(axis=1) == with_silent.argmax(axis=1)).mean() > 0.9
    assert np.isfinite(with_silent).all()


def test_a_gallery_without_templates_is_refused():
    pairs = record(simulate())[1]
    task = make_template_tasks(pairs)[0]
    bare = Gallery(task.gallery.images, task.gallery.stimulus_id)

    for decoder in (NearestRepeatZscored(), NearestRepeatRaw().fit(pairs, pairs)):
        with pytest.raises(DataError, match="make_template_tasks"):
            decoder.score(task.queries, bare)
    with pytest.raises(DataError, match="call fit"):
        NearestRepeatRaw().score(task.queries, task.gallery)


@pytest.mark.skipif(not MOUSE.exists(), reason="the mouse recordings are not beside the repository")
@pytest.mark.parametrize(("region", "known"), [("region1", 0.57), ("region2", 0.33), ("region3", 0.66)])
def test_real_mouse_neurons_identify_as_many_of_fifty_images_as_known(region, known):
    pairs = record(np.load(MOUSE / region / "raw_validation_set.npy"))[1]
    tasks = make_template_tasks(pairs)

    scores = np.concatenate([NearestRepeatZscored().score(t.queries, t.gallery) for t in tasks])
    found = retrieve(scores, np.concatenate([t.target for t in tasks]), DIRECTIONS[0])

    # known from another analysis of single trials against the mean of the others; its scaling may differ
    assert found.top(1).mean() == pytest.approx(known, abs=0.1)


@pytest.fixture
def truth():
    generator = np.random.default_rng(0)
    return Truth(
        mean=(10 * generator.exponential(size=(20, 6))).astype(np.float32),
        # the same for all images, so that their pooled covariance is that of each
        private_variance=np.tile(generator.uniform(1, 4, 6), (20, 1)).astype(np.float32),
        shared_gain=np.ones((20, 6), dtype=np.float32),
        shared_loadings=np.zeros((6, 1), dtype=np.float32),
    )


def test_scores_of_the_ideal_observer_are_gaussian_log_likelihoods_of_the_responses_as_recorded(truth):
    generator = np.random.default_rng(1)
    responses = (truth.mean + generator.standard_normal((20, 6))).astype(np.float32)
    recording = Recording("r", np.arange(320, dtype=np.float32).reshape(20, 1, 4, 4), np.arange(20), responses, truth=truth)
    pairs = make_pairs(recording, np.array([3, 8, 11]), learn_standardiser(recording, np.arange(20)))

    observer = IdealObserver(truth).fit(pairs, pairs)
    scores = observer.score(Queries(pairs.responses, np.array([1.0, 1.0, 4.0])), Gallery(pairs.images, pairs.stimulus_id))

    for query, image, presentations in ((0, 1, 1), (2, 0, 4)):
        ids = (3, 8, 11)
        mean, variance = truth.mean[ids[image]].astype(float), truth.private_variance[ids[image]].astype(float) / presentations
        log_p = -0.5 * (((responses[ids[query]] - mean) ** 2 / variance) + np.log(2 * np.pi * variance)).sum()
        own = -0.5 * np.log(2 * np.pi) * 6
        # up to a constant per response: compare differences between two candidates
        other_mean, other = truth.mean[ids[query]].astype(float), truth.private_variance[ids[query]].astype(float) / presentations
        log_q = -0.5 * (((responses[ids[query]] - other_mean) ** 2 / other) + np.log(other)).sum() + own
        assert scores[query, image] - scores[query, query] == pytest.approx(log_p - log_q, rel=1e-3, abs=1e-2)  # float32


def test_the_ideal_observer_finds_responses_from_images_as_well(truth):
    generator = np.random.default_rng(2)
    # every other response is far from all means: unlikely under any image, but least unlikely under its own
    distance = np.where(np.arange(20) % 2, 4.0, 0.3)[:, None]
    responses = (truth.mean + distance * generator.standard_normal((20, 6))).astype(np.float32)
    recording = Recording("r", np.arange(320, dtype=np.float32).reshape(20, 1, 4, 4), np.arange(20), responses, truth=truth)
    pairs = make_pairs(recording, np.arange(20), learn_standardiser(recording, np.arange(20)))

    observer = IdealObserver(truth).fit(pairs, pairs)
    scores = observer.score(Queries(pairs.responses, np.ones(20)), Gallery(pairs.images, pairs.stimulus_id))

    np.testing.assert_array_equal(scores.argmax(axis=0), np.arange(20))


def test_the_ideal_observer_must_be_fitted_first(truth):
    with pytest.raises(DataError, match="call fit"):
        IdealObserver(truth).score(
            Queries(np.zeros((1, 6)), np.ones(1)), Gallery(np.zeros((1, 1, 4, 4), dtype=np.float32), np.zeros(1, dtype=np.int64))
        )


def test_after_a_power_it_is_the_ideal_observer_of_powered_responses():
    recording = simulate_session("demo", 0, settings={"n_neurons": 40, "n_stimuli": 60, "n_subunits": 30})
    assert recording.truth is not None
    pairs = make_pairs(recording, np.arange(60), learn_standardiser(recording, np.arange(60), FOURTH_ROOT))
    task = make_task(pairs, "averaged")

    scores = IdealObserver(recording.truth).fit(pairs, pairs).score(task.queries, task.gallery)
    order = np.argsort(recording.stimulus_id, kind="stable").reshape(60, 2)
    averaged = (recording.responses**0.25)[order].mean(axis=1)
    expected = recording.truth.after_power(0.25).log_likelihood(averaged, np.full(60, 2), np.arange(60))

    # up to a constant of each query; float32 products of 40 terms
    difference = scores - expected
    np.testing.assert_allclose(difference, np.broadcast_to(difference[:, :1], difference.shape), atol=0.01)


def test_a_transform_without_a_true_law_is_refused(truth):
    recording = Recording("r", np.arange(320, dtype=np.float32).reshape(20, 1, 4, 4), np.arange(20), truth.mean, truth=truth)
    gained = FOURTH_ROOT.with_gain(truth.mean)
    pairs = make_pairs(recording, np.arange(20), learn_standardiser(recording, np.arange(20), gained))

    with pytest.raises(DataError, match=r"one power of them; these went through 'power 0\.25 with gain'"):
        IdealObserver(truth).fit(pairs, pairs)
