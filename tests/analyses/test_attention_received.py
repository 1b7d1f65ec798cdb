"""Attention received: planted hubs are recovered, equal attention gives nothing, tuning that is kept is seen, substitutes are found."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmark_scripts import import_script
from described_axes import undescribed
from dina.analyses import ANALYSES
from dina.analyses.attention_received import tuning_change
from dina.analyses.attention_received.attention_hubs import most_attended, receive_attention
from dina.analyses.attention_received.compute import (
    AttentionReceivedResult,
    AttentionReceivedSettings,
    analyse_attention_received,
)
from dina.analyses.attention_received.silenced_hubs import SilencedHubsSettings, analyse_silenced_hubs
from dina.analyses.attention_received.threshold_sweep import KEPT
from dina.analyses.decoded import Decoded
from dina.analyses.paid_attention import received_attention
from dina.checks import DataError
from dina.figures.canvas import svg_of
from dina.models.receptive_fields import FieldProfiles
from dina.models.towers.neural.paper_neuron_attention import NeuronAttention
from dina.statistics.finding import Finding
from dina.statistics.map_similarity import structural_similarity
from report.figure_faults import faults_of

FEW = AttentionReceivedSettings(
    n_training_images=8, n_permutations=39, n_images=30, n_random=4, n_partners=60, n_untrained=2, are_fields_fitted=False
)


@pytest.fixture(scope="module")
def planted(decoded: Decoded) -> Callable[[str], Decoded]:
    """Give the shared session with towers in which attention was planted."""
    controls = import_script("planted_controls").CONTROLS
    return lambda name: replace(decoded, fitted=controls[name].towers(decoded))


@pytest.fixture(scope="module")
def attended(planted: Callable[[str], Decoded]) -> tuple[Decoded, AttentionReceivedResult]:
    subject = planted("attended")
    return subject, analyse_attention_received(subject, FEW)


def _check(name: str, result: AttentionReceivedResult, decoded: Decoded) -> tuple[str, bool]:
    return import_script("planted_controls").CONTROLS[name].check({"attention_received": result}, decoded.recording)


def _by_name(findings: tuple[Finding, ...]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def test_planted_hubs_are_recovered_and_rebuild_the_map(attended: tuple[Decoded, AttentionReceivedResult]) -> None:
    subject, result = attended
    words, is_right = _check("attended", result, subject)
    assert is_right, words
    # e^8 : 1 for 20 of 80 neurons
    assert _by_name(result.findings())["share_of_top_10_percent"].value == pytest.approx(
        8 * np.exp(8) / (20 * np.exp(8) + 60), abs=1e-5
    )


def test_figures_say_that_the_reading_is_ours_and_have_no_fault(attended: tuple[Decoded, AttentionReceivedResult]) -> None:
    _, result = attended
    section = ANALYSES["attention_received"].draw(result.to_dataset(), result.findings())
    assert [part.name for part in section.figures] == ["attention_sweep", "attention_hubs", "attention_tuning"]
    for part in section.figures:
        assert part.caption.startswith("This is our reading of Figure 6 of the article; the article's caption is not known")
        svg_of(part.figure, part.name)
        assert faults_of(part.figure) == []
    (thresholds,) = section.tables
    assert len(thresholds.rows) == len(KEPT)


def test_the_page_says_where_accuracies_or_similarities_tell_nothing(attended: tuple[Decoded, AttentionReceivedResult]) -> None:
    _, result = attended
    found = _by_name(result.findings())
    at_chance = replace(found["accuracy_all"], value=0.02).without_null("The same in every draw of the null.")
    alike = replace(found["ssim_kept_10_percent"], null_low=0.99, null_high=0.995)
    above = replace(found["accuracy_all"], value=0.5, null_low=0.0, null_high=0.1, null="queries assigned to other images")
    for others, expected in (((at_chance, alike), True), ((above, found["ssim_kept_10_percent"]), False)):
        changed = found | {one.name: one for one in others}
        words = " ".join(ANALYSES["attention_received"].draw(result.to_dataset(), tuple(changed.values())).paragraphs)
        assert ("decode no better than chance" in words) is expected
        assert ("hardly different" in words) is expected


def test_equal_attention_has_no_hubs_and_carries_nothing(planted: Callable[[str], Decoded]) -> None:
    subject = planted("equal_attention")
    result = analyse_attention_received(subject, FEW)
    words, is_right = _check("equal_attention", result, subject)
    assert is_right, words
    found = _by_name(result.findings())
    assert not found["signal_correlation"].beats_null
    assert found["attention_skewness"].reason.startswith("All neurons receive the same")
    assert not _check("attended", result, subject)[1]


def test_a_neuron_that_attends_to_itself_keeps_its_tuning(
    planted: Callable[[str], Decoded], monkeypatch: pytest.MonkeyPatch
) -> None:
    profiles = iter([_profiles(0.0), _profiles(10.0)])
    monkeypatch.setattr(tuning_change, "fit_field_profiles", lambda *_: next(profiles))
    subject = planted("own_attention")
    result = analyse_attention_received(subject, FEW.model_copy(update={"are_fields_fitted": True}))
    found = _by_name(result.findings())
    words, is_right = _check("own_attention", result, subject)
    assert is_right, words
    # fields fitted before and after attention differ by ten degrees and an octave, those of other neurons by more
    assert found["orientation_change"].value == pytest.approx(10)
    assert found["frequency_change"].value == pytest.approx(1)


def _profiles(turn: float) -> FieldProfiles:
    unknown = FieldProfiles.unknown(80)
    orientation, octave = (np.arange(80) * 37 + turn) % 180, np.arange(80) % 3 + turn / 10
    return replace(unknown, orientation_deg=orientation, frequency=0.1 * 2**octave, fit_correlation=np.full(80, 0.5))


def test_attention_by_trial_adds_up_and_its_null_permutes_the_attended(attended: tuple[Decoded, AttentionReceivedResult]) -> None:
    subject, _ = attended
    tower = subject.towers.neural_tower
    assert isinstance(tower, NeuronAttention)
    every = receive_attention(subject, 10**6, 5)
    assert len(every.by_trial) == subject.train.n_stimuli
    np.testing.assert_allclose(every.by_trial.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(every.permuted.sum(axis=1), 1, rtol=1e-6)
    few = receive_attention(subject, 3)
    again = received_attention(tower, subject.train.responses)
    # all trials agree here, and attention is rounded to five decimals of equal attention
    np.testing.assert_allclose(few.mean, 80 * again, atol=1e-5)


def test_neurons_that_receive_the_same_come_in_random_order() -> None:
    attention = np.array([1.0, 3.0, *[2.0] * 20])
    orders = [most_attended(attention, np.random.default_rng(seed)) for seed in (0, 1)]
    for order in orders:
        assert order[0] == 1
        assert order[-1] == 0
    assert not np.array_equal(*orders)


def test_maps_are_those_of_the_neurons_at_or_above_the_threshold(attended: tuple[Decoded, AttentionReceivedResult]) -> None:
    subject, result = attended
    order = np.argsort(-result.received.mean, kind="stable")
    hubs, responses = np.sort(order[:20]), subject.test.averaged()[:30]
    # half of the neurons are kept: the twenty hubs, which are all that is read, and others
    place = KEPT.index(0.5)
    whole = subject.towers.encode_responses(responses)
    masked = np.zeros_like(responses)
    masked[:, hubs] = responses[:, hubs]
    span = np.ptp(whole, axis=(2, 3)).reshape(-1)
    expected = structural_similarity(subject.towers.encode_responses(masked)[:, 0], whole[:, 0], span)
    # what the others receive, e^-8 of it, is left
    np.testing.assert_allclose(result.sweep.values["attended"][0, 0, 0, place], expected, atol=2e-3)
    scores = subject.scores()[:30]
    right = (scores.argmax(axis=1) == np.arange(30)).mean()
    assert _by_name(result.findings())["accuracy_all"].value == pytest.approx(right)
    assert result.sweep.threshold[place] < 0.1 < result.sweep.threshold[KEPT.index(0.2)]


def test_test_responses_do_not_choose_neurons_and_other_towers_are_refused(
    attended: tuple[Decoded, AttentionReceivedResult], decoded: Decoded
) -> None:
    subject, result = attended
    other = replace(subject, test=replace(subject.test, responses=subject.test.responses * 3))
    np.testing.assert_array_equal(receive_attention(other, 8).mean, result.received.mean)
    for analyse in (analyse_attention_received, analyse_silenced_hubs):
        with pytest.raises(DataError, match="preset 'paper'"):
            analyse(decoded)


def test_without_repeats_nothing_is_matched_and_the_reasons_are_given(attended: tuple[Decoded, AttentionReceivedResult]) -> None:
    subject, _ = attended
    once = {name: part.select_trials(part.repeat_number() == 0) for name, part in
            (("train", subject.train), ("test", subject.test))}  # fmt: skip
    few = FEW.model_copy(update={"n_random": 2, "n_images": 5})
    result = analyse_attention_received(replace(subject, train=once["train"], test=once["test"]), few)
    found = _by_name(result.findings())
    assert list(result.to_dataset()["selection"]) == ["attended", "random"]
    assert found["kept_attended_minus_snr_matched_ssim"].reason
    assert "share noise" in found["signal_correlation"].reason
    assert all(np.isfinite(one.value) or one.reason for one in found.values())


@pytest.mark.parametrize("is_of_the_neuron", [True, False])
def test_substitutes_are_the_next_where_being_attended_belongs_to_neurons(
    attended: tuple[Decoded, AttentionReceivedResult], monkeypatch: pytest.MonkeyPatch, is_of_the_neuron: bool
) -> None:
    subject, _ = attended

    def attract(decoded: Decoded) -> Decoded:
        """Let neurons attract attention by their mean response, or by the seed of the fit."""
        again = import_script("planted_controls").plant_attention("quarter")(decoded)
        strength = decoded.train.standardiser.mean
        if not is_of_the_neuron:
            strength = np.random.default_rng(decoded.seed).random(decoded.train.n_neurons)
        with torch.no_grad():
            again.neural_tower.tokens.bias[:, 0] = torch.from_numpy(strength / strength.max()).float()
        return replace(decoded, fitted=again)

    monkeypatch.setattr(Decoded, "refit", attract)
    result = analyse_silenced_hubs(attract(subject), SilencedHubsSettings(n_training_images=4))
    found = _by_name(result.findings())
    assert np.isnan(result.without_hubs[result.hubs]).all()
    assert undescribed(result.to_dataset()) == []
    (part,) = ANALYSES["silenced_hubs"].draw(result.to_dataset(), result.findings()).figures
    assert len(part.table.rows) == len(found)
    svg_of(part.figure, part.name)
    assert faults_of(part.figure) == []
    if is_of_the_neuron:
        assert found["rank_agreement"].value == pytest.approx(1)
        assert found["substitutes_among_runners_up"].value == 1
        return
    assert found["rank_agreement"].low < 0 < found["rank_agreement"].high
    assert not found["rank_agreement"].beats_null
    assert found["substitutes_among_runners_up"].value < 0.5
