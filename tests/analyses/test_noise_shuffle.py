"""Exchanging repeats removes noise correlations and nothing else, and decoding shows it where they matter."""

from dataclasses import replace

import numpy as np
import pytest

from dina.analyses import RULES
from dina.analyses.decoded import Decoded, decode
from dina.analyses.noise_shuffle.compute import NoiseShuffleResult, NoiseShuffleSettings, analyse_noise_shuffle
from dina.analyses.verdict import judge
from dina.checks import DataError
from dina.recordings.simulator import simulate
from dina.statistics.finding import Finding
from dina.statistics.repeats import shuffle_repeats
from dina.training.fit import FitSettings
from dina.training.presets.default import DefaultSettings


def decode_repeats(seed: int, **planted: float) -> Decoded:
    size = {"n_neurons": 80, "n_stimuli": 300, "n_repeats": 8, "height": 24, "width": 48, "n_subunits": 60}
    more = {"n_broad_factors": 10, "n_spontaneous": 0, "signal_to_noise": 2.0, "information_limit": 0.0}
    session = simulate("demo", seed, settings={**size, **more, **planted})
    towers = DefaultSettings(spaces=(), stride=2, widths=(0.75, 1.5), n_orientations=2, fit=FitSettings(n_epochs=0))
    return decode(session, "default", towers, seed=seed, test_fraction=0.25, n_resamples=500, response_transform="identity")


def by_name(result: NoiseShuffleResult) -> dict[str, Finding]:
    return {finding.name: finding for finding in result.findings()}


@pytest.mark.parametrize("n_repeats", [2, 5])
def test_one_in_so_many_repeats_of_the_correlation_is_left(n_repeats: int) -> None:
    generator = np.random.default_rng(0)
    image = generator.permutation(np.repeat(np.arange(4000), n_repeats))
    noise = (generator.standard_normal((len(image), 1)) + generator.standard_normal((len(image), 2))).astype(np.float32)
    tuning = generator.standard_normal((4000, 2)).astype(np.float32)[image]
    shuffled = shuffle_repeats(tuning + noise, image, generator)

    # about the true mean: 1/2 at first; 8,000 trials and more give a standard error of 0.01, three of them
    assert np.corrcoef((shuffled - tuning).T)[0, 1] == pytest.approx(0.5 / n_repeats, abs=0.03)
    order = np.lexsort((noise[:, 0], image))
    before, after = ((tuning + noise)[order], shuffled[np.argsort(image, kind="stable")])
    for neuron in range(2):
        kept = [np.sort(values[:, neuron].reshape(4000, n_repeats), axis=1) for values in (before, after)]
        np.testing.assert_array_equal(*kept)  # the very same responses to every image


def test_images_shown_once_stay_as_they_are() -> None:
    responses = np.random.default_rng(1).standard_normal((5, 3)).astype(np.float32)
    image = np.array([0, 1, 1, 2, 2])
    shuffled = shuffle_repeats(responses, image, np.random.default_rng(2))
    np.testing.assert_array_equal(shuffled[0], responses[0])
    assert (shuffled[1:] != responses[1:]).any()


@pytest.mark.long
def test_a_decoder_that_knows_strong_correlations_profits_from_them() -> None:
    found = by_name(analyse_noise_shuffle(decode_repeats(3, broad_noise=0.8)))
    finding = found["knowing_correlations_log_rank"]
    assert finding.low > 0
    assert finding.value > finding.null_high
    for name in ("correlations_left", "correlations_left_test"):
        assert found[name].value == pytest.approx(1 / 8)


def shown(decoded: Decoded, n_times: int) -> Decoded:
    """Keep the first trials of every training image."""
    return replace(decoded, train=decoded.train.select_trials(decoded.train.repeat_number() < n_times))


def test_what_shuffling_removes_is_counted_where_the_noise_is_learnt() -> None:
    decoded = decode_repeats(0, n_repeats=6, signal_to_noise=0.4, broad_noise=0.95, n_broad_factors=2)
    found = {n_times: by_name(analyse_noise_shuffle(shown(decoded, n_times))) for n_times in (1, 2, 6)}
    answers = {n: judge([RULES["functional_interactions"]], {"noise_shuffle": part})[0] for n, part in found.items()}
    for n_times in (2, 6):
        assert found[n_times]["correlations_left"].value == pytest.approx(1 / n_times)
    assert all(part["correlations_left_test"].value == pytest.approx(1 / 6) for part in found.values())
    assert answers[6].verdict == "supported", answers[6].reason
    assert answers[2].verdict != "not supported", answers[2].reason
    assert answers[1].verdict == "cannot tell"
    assert "No training image was shown twice" in answers[1].reason
    # nothing was shuffled, and nothing that needs it is given; what is about tested trials alone is
    once = found[1]
    for name in ("correlations_left", "knowing_correlations_log_rank", "removing_correlations_top1"):
        assert np.isnan(once[name].value), name
        assert "shown twice" in once[name].reason
    assert np.isfinite(once["unexpected_removal_log_rank"].null_high)
    assert np.isfinite(once["knowing_covariance_log_rank"].value)
    assert np.isnan(once["knowing_covariance_log_rank"].null_high)


def test_the_share_left_is_a_mean_over_training_trials(decoded: Decoded) -> None:
    train = decoded.train
    keep = (train.repeat_number() == 0) | (train.stimulus_index % 4 == 0)
    part = train.select_trials(keep)
    left = by_name(analyse_noise_shuffle(replace(decoded, train=part), NoiseShuffleSettings(n_shuffles=2)))["correlations_left"]
    n_twice, n_trials = int((np.bincount(part.stimulus_index) == 2).sum()), len(part.responses)
    assert left.n == n_twice
    assert left.value == pytest.approx((n_trials - n_twice) / n_trials)  # two trials of one half each


def test_without_noise_correlations_nothing_changes() -> None:
    found = by_name(analyse_noise_shuffle(decode_repeats(3, broad_noise=0.0, gain_deviation=0.0)))
    for name in ("knowing_correlations_log_rank", "removing_correlations_log_rank"):
        assert found[name].null_low <= found[name].value <= found[name].null_high, name


def test_other_towers_are_tested_on_shuffled_trials_only(decoded_scratch: Decoded) -> None:
    result = analyse_noise_shuffle(decoded_scratch, NoiseShuffleSettings(n_shuffles=2))
    found = by_name(result)
    assert np.isfinite(found["unexpected_removal_top1"].value)
    assert "no noise model" in found["knowing_correlations_top1"].reason
    assert result.to_dataset()["trained"].values.tolist() == ["intact", "intact"]


def test_averages_without_single_trials_are_refused(decoded: Decoded) -> None:
    averages = replace(decoded.test, n_presentations=np.full(len(decoded.test.responses), 2))
    with pytest.raises(DataError, match="single trials of one image"):
        analyse_noise_shuffle(replace(decoded, test=averages))
