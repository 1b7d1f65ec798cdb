"""Simulated sessions: what was planted is there, conditions share identities, seeds decide everything."""

import numpy as np
import pytest
from scipy.stats import skew

from dina.checks import DataError
from dina.randomness import generator_for
from dina.recordings.recording import Recording
from dina.recordings.simulator import NAMED_SESSIONS, SyntheticSettings, simulate
from dina.recordings.simulator.neurons import Sources
from dina.recordings.simulator.painted_images import low_pass, paint_images, to_contrast

SMALL: dict[str, object] = {"n_neurons": 80, "n_stimuli": 60, "n_subunits": 40, "n_broad_factors": 10, "n_spontaneous": 50}


def _small(**changes: object) -> Recording:
    return simulate("demo", 0, settings=SMALL | changes)


def _planted(recording: Recording, name: str) -> np.ndarray:
    assert recording.truth is not None
    return recording.truth.planted[name]


def _mean(recording: Recording) -> np.ndarray:
    assert recording.truth is not None
    return recording.truth.mean


def test_equal_seeds_give_equal_bytes_and_different_seeds_do_not() -> None:
    first, second, other = (simulate("demo", seed, settings=SMALL) for seed in (5, 5, 6))
    assert first.fingerprint() == second.fingerprint() != other.fingerprint()
    assert _mean(first).tobytes() == _mean(second).tobytes()
    assert first.name == second.name != other.name


def test_statistics_lie_in_the_range_of_mouse_v1() -> None:
    recording = simulate("demo", 0)
    order = np.argsort(recording.stimulus_id, kind="stable").reshape(recording.n_stimuli, -1).T
    first, second = (values - values.mean(0) for values in recording.responses[order])
    variance = ((first**2).mean(0) + (second**2).mean(0)) / 2
    # ranges of Antolik et al. (2016) and Stringer et al. (2019), widened by a tenth
    assert 0.14 < ((first * second).mean(0) / variance).mean() < 0.25
    assert 0.45 < (recording.responses == 0).mean() < 0.55
    assert 2.5 < skew(recording.responses).mean() < 3.5
    correlation = np.corrcoef((first - second).T)[np.triu_indices(recording.n_neurons, 1)]
    assert 0.02 < correlation.mean() < 0.07
    assert recording.responses.min() == 0


@pytest.mark.parametrize("condition", ["white", "8D", "4D", "small"])
def test_conditions_share_identities_and_neurons_but_neither_pixels_nor_trials(condition: str) -> None:
    natural, derived = _small(), _small(condition=condition)
    assert natural.truth is not None
    assert derived.truth is not None
    assert (natural.image_set, natural.condition) == (derived.image_set, "natural")
    assert derived.condition == condition
    np.testing.assert_array_equal(natural.labels, derived.labels)
    np.testing.assert_array_equal(natural.truth.shared_loadings, derived.truth.shared_loadings)
    np.testing.assert_array_equal(natural.neuron_position_um, derived.neuron_position_um)
    assert (natural.images != derived.images).any(axis=(1, 2, 3)).mean() > 0.9
    assert (natural.stimulus_id != derived.stimulus_id).any()


def test_8d_images_span_eight_dimensions_and_4d_images_four() -> None:
    for condition, dimensions in (("8D", 8), ("4D", 4)):
        images = to_contrast(_small(condition=condition).images).reshape(60, -1)
        value = np.linalg.svd(images - images.mean(0), compute_uv=False) ** 2
        # clipping and rounding to 8 bits leak a little
        assert value[:dimensions].sum() / value.sum() > 0.95
        assert value[dimensions - 1] / value.sum() > 0.005


def test_white_images_have_a_flat_amplitude_spectrum() -> None:
    def slope(recording: Recording) -> float:
        amplitude = np.abs(np.fft.rfft(to_contrast(recording.images), axis=2)).mean((0, 1))[2:30]
        return float(np.polyfit(np.log(np.arange(2, 30)), np.log(amplitude), 1)[0])

    # along one axis whitening flattens by less than its degree; natural amplitudes fall, white ones stay level
    assert slope(_small()) < -0.4
    assert abs(slope(_small(condition="white"))) < 0.2


def test_small_images_are_grey_outside_the_fields() -> None:
    images = _small(condition="small").images
    assert (images[:, :, :, -20:] == 128).all()
    assert (images != 128).any()


def test_semantic_neurons_answer_to_the_category_alone() -> None:
    recording = _small(semantic_fraction=0.25, family="random_network")
    is_semantic, category, mean = _planted(recording, "is_semantic"), _planted(recording, "category"), _mean(recording)
    assert is_semantic.sum() == 20
    within = np.stack([mean[category == c].std(0) for c in np.unique(category) if (category == c).sum() > 1]).mean(0)
    # equal up to float32 rounding within a category, and not so for the other neurons
    assert within[is_semantic].max() < 1e-5
    assert mean[:, is_semantic].std(0).min() > 1e-3
    assert within[~is_semantic].min() > 1e-3
    assert np.isnan(_planted(recording, "field_row")[is_semantic]).all()


def test_only_informative_neurons_depend_on_the_image() -> None:
    recording = _small(informative_fraction=0.3)
    informative = _planted(recording, "is_informative")
    assert informative.sum() == 24
    np.testing.assert_array_equal(_mean(recording).std(0) > 1e-4, informative)


def test_equal_signal_to_noise_gives_every_neuron_the_median() -> None:
    np.testing.assert_array_equal(_planted(_small(equal_signal_to_noise=True), "signal_to_noise"), 0.24)
    logarithm = np.log(_planted(_small(n_neurons=400), "signal_to_noise"))
    assert logarithm.std() == pytest.approx(0.9, abs=0.1)  # standard error 0.03


@pytest.mark.parametrize("family", ["gabor_mixture", "random_network"])
def test_neurons_see_nothing_above_their_frequency_limit_or_outside_their_region(family: str) -> None:
    changes = {"frequency_limit_cpd": 0.05, "field_region": (5, 30, 10, 50), "family": family}
    settings = SyntheticSettings.model_validate(NAMED_SESSIONS["demo"].model_dump() | SMALL | changes)
    images = paint_images(settings, 0)
    contrast = to_contrast(images.pixels)
    free = settings.model_copy(update={"field_region": None})
    sources, _ = Sources.make(free, images, 0)
    # filtering twice is filtering once, up to float32
    np.testing.assert_allclose(sources.of(contrast), sources.of(low_pass(contrast, 0.05 * 2)), atol=2e-3)
    confined, inside = Sources.make(settings.model_copy(update={"frequency_limit_cpd": None}), images, 0)
    outside = contrast.copy()
    outside[:, :, 50:] = generator_for(0, "test").standard_normal(outside[:, :, 50:].shape)
    np.testing.assert_allclose(confined.of(outside), inside, atol=1e-5)
    rows = _planted(_small(**changes), "field_row")
    assert 5 <= rows.min() < rows.max() <= 30


def test_the_second_neuron_of_a_synergistic_pair_carries_only_the_noise_of_the_first() -> None:
    recording = _small(synergistic_pairs=5)
    first, second = _planted(recording, "synergistic_pairs").T
    assert _mean(recording)[:, second].std(0).max() < 1e-5
    assert _mean(recording)[:, first].std(0).min() > 1e-4
    order = np.argsort(recording.stimulus_id, kind="stable").reshape(60, 2).T
    difference = recording.responses[order[0]] - recording.responses[order[1]]
    correlation = np.corrcoef(difference.T)
    assert correlation[first, second].mean() > 0.4
    assert abs(np.median(correlation)) < 0.15


def test_drift_moves_responses_with_time() -> None:
    def dependence(drift: float) -> float:
        responses = _small(drift=drift, n_stimuli=200).responses
        time = np.linspace(-1, 1, len(responses))
        return float(np.abs([np.corrcoef(time, values)[0, 1] for values in responses.T]).mean())

    # without drift |r| averages 0.04 over 400 trials
    assert dependence(0.0) < 0.06
    assert dependence(1.0) > 0.2


def test_near_duplicates_are_slightly_changed_copies() -> None:
    recording = _small(near_duplicates=0.2)
    duplicate_of = _planted(recording, "duplicate_of")
    copies = np.flatnonzero(duplicate_of >= 0)
    assert len(copies) == 12
    assert (duplicate_of[duplicate_of[copies]] == -1).all()
    flat = to_contrast(recording.images).reshape(60, -1)
    correlation = np.corrcoef(flat)
    assert correlation[copies, duplicate_of[copies]].min() > 0.95
    assert (recording.images[copies] != recording.images[duplicate_of[copies]]).any(axis=(1, 2, 3)).all()
    assert recording.labels is not None
    np.testing.assert_array_equal(recording.labels[copies], recording.labels[duplicate_of[copies]])


def test_impossible_settings_are_refused_in_one_sentence() -> None:
    with pytest.raises(DataError, match=r"setting n_neurons of the simulation should be .*got -1"):
        simulate("demo", settings={"n_neurons": -1})
    with pytest.raises(DataError, match=r"setting 'neurons' of the simulation\. Did you mean 'n_neurons'"):
        simulate("demo", settings={"neurons": 5})
    with pytest.raises(DataError, match="Did you mean 'benchmark'"):
        simulate("benchmrk")


def test_a_name_tells_changed_settings_apart() -> None:
    assert simulate("demo", 0, settings=SMALL).name.startswith("simulated-demo-")
    assert _small().name != _small(drift=0.1).name
    assert _small(condition="white").name == f"{_small().name}-white"
