"""Conditions are compared only after they were made equal, and refusals say why."""

from dataclasses import replace

import numpy as np
import pytest

from dina.analyses.conditions.compute import ConditionsResult, analyse_conditions, have_same_neurons, match_conditions
from dina.analyses.decoded import Decoded
from dina.checks import DataError
from dina.recordings.recording import Recording
from dina.recordings.simulator import simulate
from dina.statistics.reliability import signal_variance_fraction


@pytest.fixture(scope="module")
def white() -> Recording:
    small = {"n_neurons": 80, "n_stimuli": 200, "height": 24, "width": 48, "n_subunits": 60, "n_broad_factors": 10}
    return simulate("demo", seed=3, settings={**small, "n_spontaneous": 50, "signal_to_noise": 2.0}, condition="white")


@pytest.fixture(scope="module")
def result(decoded: Decoded, white: Recording) -> ConditionsResult:
    return analyse_conditions(replace(decoded, others=(replace(white, condition="8D"),)))


def test_signal_variance_is_that_of_the_poorest_condition(decoded: Decoded, white: Recording) -> None:
    matched = match_conditions((decoded.recording, white), decoded.train.stimulus_id, seed=0)
    # the standard error of a mean fraction over 80 neurons and 130 images is near 0.01
    assert matched.fraction_after == pytest.approx(np.full(2, matched.fraction_before.min()), abs=0.03)
    assert abs(np.diff(matched.fraction_before)[0]) > 0.05
    # neither images nor identities change
    np.testing.assert_array_equal(matched.recordings[0].images, decoded.recording.images)


def test_the_truth_knows_of_the_noise_that_was_added(decoded: Decoded, white: Recording) -> None:
    matched = match_conditions((decoded.recording, white), decoded.train.stimulus_id, seed=0)
    richer = int(np.argmax(matched.fraction_before))
    before, after = (decoded.recording, white)[richer], matched.recordings[richer]
    added = after.truth.private_variance - before.truth.private_variance
    differences = (after.responses - before.responses).var(axis=0)
    # 400 trials estimate a variance to 7 %; the mean over 80 neurons to 1 %
    assert added[0].mean() == pytest.approx(differences.mean(), rel=0.05)


def test_images_and_repeats_are_those_that_all_conditions_have(decoded: Decoded, white: Recording) -> None:
    fewer = white.select_trials(white.stimulus_id != 7, "test")
    once = fewer.select_trials(~((fewer.stimulus_id == 9) & (np.arange(fewer.n_trials) > 200)), "test")
    matched = match_conditions((decoded.recording, once), decoded.train.stimulus_id, seed=0)
    counts = [recording.repeats_per_stimulus() for recording in matched.recordings]
    np.testing.assert_array_equal(counts[0], counts[1])
    assert counts[0][7] == 0
    assert counts[0][9] == 1
    assert 7 not in matched.stimulus_id


def test_averages_without_repeats_are_left_as_they_are(decoded: Decoded, white: Recording) -> None:
    first = [r.select_trials(np.arange(r.n_trials) < 200, "first repeat") for r in (decoded.recording, white)]
    matched = match_conditions(first, decoded.train.stimulus_id, seed=0)
    assert np.isnan(matched.fraction_before).all()
    np.testing.assert_array_equal(matched.recordings[0].responses, first[0].responses)
    with pytest.raises(DataError):
        signal_variance_fraction(first[0].responses, first[0].stimulus_id)


def test_every_condition_is_found_within_and_from_the_first(result: ConditionsResult) -> None:
    found = {finding.name: finding for finding in result.findings()}
    assert {"top1_within_natural", "top1_within_8D", "top1_natural_to_8D", "transfer_loss_8D"} <= set(found)
    assert found["top1_within_natural"].beats_null
    assert found["top1_within_8D"].beats_null
    # the ideal observer knows tuning and noise; ties and chance aside nothing passes it
    assert found["ideal_top1_natural"].value >= found["top1_within_natural"].value
    loss = found["top1_within_8D"].value - found["top1_natural_to_8D"].value
    assert found["transfer_loss_8D"].value == pytest.approx(loss)


def test_the_first_condition_needs_no_transfer(result: ConditionsResult) -> None:
    np.testing.assert_array_equal(result.within[0], result.transferred[0])


def test_neurally_derived_images_carry_their_caveat(result: ConditionsResult) -> None:
    assert "neural responses" in result.to_dataset().attrs["caveat"]


def moved_apart(recording: Recording) -> Recording:
    """Return a recording that is said to be of other neurons."""
    return replace(recording, neuron_position_um=recording.neuron_position_um + np.float32(1000.0))


def test_neurons_are_the_same_only_if_their_positions_say_so(session: Recording, white: Recording) -> None:
    assert have_same_neurons(session, white)
    assert not have_same_neurons(session, moved_apart(white))
    assert not have_same_neurons(session, replace(white, neuron_position_um=None))
    unknown = [replace(one, neuron_position_um=np.full((80, 3), np.nan, np.float32)) for one in (session, white)]
    assert not have_same_neurons(*unknown)


def test_of_other_neurons_as_many_are_drawn_and_of_the_same_neurons_the_same(session: Recording, white: Recording) -> None:
    few = moved_apart(white).select_neurons(np.arange(80) < 30, "test")
    third = replace(white, condition="small")
    matched = match_conditions((session, few, third), np.arange(150), seed=0)
    assert [recording.n_neurons for recording in matched.recordings] == [30, 30, 30]
    np.testing.assert_array_equal(matched.has_same_neurons, [True, False, True])
    first, _, last = matched.recordings
    np.testing.assert_array_equal(first.neuron_position_um, last.neuron_position_um)
    again = match_conditions((session, few, third), np.arange(150), seed=0)
    np.testing.assert_array_equal(again.recordings[0].responses, first.responses)


@pytest.mark.long
def test_towers_are_not_asked_about_other_neurons(decoded: Decoded, white: Recording) -> None:
    other = moved_apart(white).select_neurons(np.arange(80) % 4 > 0, "test")
    found = {finding.name: finding for finding in analyse_conditions(replace(decoded, others=(other,))).findings()}
    for name in ("top1_natural_to_white", "transfer_loss_white"):
        assert np.isnan(found[name].value)
        assert "do not say that their neurons are the same" in found[name].reason
    assert found["top1_within_white"].beats_null
    assert np.isfinite(found["within_minus_natural_white"].low)


@pytest.mark.long
def test_images_that_look_like_training_images_elsewhere_are_left_out(decoded: Decoded, white: Recording) -> None:
    images, (known, asked) = white.images.copy(), (decoded.train.stimulus_id[0], decoded.test.stimulus_id[:2])
    images[asked[0]] = images[known]
    images[asked[1]] = images[decoded.test.stimulus_id[5]]  # two test images may look alike
    result = analyse_conditions(replace(decoded, others=(replace(white, images=images),)))
    assert result.n_dropped == result.to_dataset().attrs["n_dropped"] == 1
    assert result.within.shape == (2, 49, 49)


def test_without_other_recordings_the_reason_is_plain(decoded: Decoded) -> None:
    with pytest.raises(DataError, match="none were given"):
        analyse_conditions(decoded)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_set": "another"}, "one set"),
        ({"condition": "natural"}, "given once"),
        ({"condition": None}, r"compared by name; simulated-.* states none\. Say condition = "),
    ],
)
def test_recordings_that_cannot_be_compared_are_refused(
    decoded: Decoded, white: Recording, change: dict[str, str | None], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        analyse_conditions(replace(decoded, others=(replace(white, **change),)))
