"""Spectra of images, responses and maps: planted ones are found, and what cannot be had says why."""

from copy import deepcopy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from dina.analyses.decoded import Decoded
from dina.analyses.untrained import untrained
from dina.analyses.variance_spectra.compute import SOURCES, VarianceSpectraSettings, analyse_variance_spectra
from dina.checks import DataError
from dina.data.pairs import Pairs, make_pairs


@cache
def basis_of(n_pixels: int) -> np.ndarray:
    """Draw an orthonormal basis."""
    return np.linalg.qr(np.random.default_rng(99).standard_normal((n_pixels, n_pixels)))[0]


def with_images(pairs: Pairs, exponent: float, seed: int) -> Pairs:
    """Replace images by Gaussian ones whose variance falls as a power of rank, in a basis common to all seeds."""
    shape = pairs.images.shape
    n_pixels = int(np.prod(shape[1:]))
    drawn = np.random.default_rng(seed).standard_normal((shape[0], n_pixels)) * np.arange(1, n_pixels + 1) ** (-exponent / 2)
    return replace(pairs, images=(drawn @ basis_of(n_pixels).T).reshape(shape).astype(np.float32))


@pytest.fixture(scope="module")
def without_repeats(decoded_scratch: Decoded) -> Decoded:
    def first_trials(pairs: Pairs) -> Pairs:
        keep = pairs.repeat_number() == 0
        return replace(
            pairs,
            responses=pairs.responses[keep],
            stimulus_index=pairs.stimulus_index[keep],
            n_presentations=pairs.n_presentations[keep],
        )

    return replace(decoded_scratch, validation=first_trials(decoded_scratch.validation), test=first_trials(decoded_scratch.test))


@pytest.mark.long
def test_images_with_a_planted_power_law_show_it_by_moments(decoded_scratch: Decoded) -> None:
    exponents = []
    for seed in range(6):
        planted = replace(
            decoded_scratch,
            validation=with_images(decoded_scratch.validation, 1.0, seed),
            test=with_images(decoded_scratch.test, 1.0, seed + 100),
            seed=seed,
        )
        found = {
            finding.name: finding
            for finding in analyse_variance_spectra(planted, VarianceSpectraSettings(n_untrained=1)).findings()
        }
        exponents.append(found["moment_exponent_images"].value)
        # 35 ranks of 70 images: the fit over ranks comes out low, which is why there is a second estimator
        assert 0.5 < found["exponent_images"].value < 1.1
    # 70 images: single draws differ by 0.05
    assert np.mean(exponents) == pytest.approx(1.0, abs=0.05)


def test_every_source_has_both_exponents_or_a_reason(decoded: Decoded) -> None:
    result = analyse_variance_spectra(decoded)

    found = {finding.name: finding for finding in result.findings()}
    assert set(found) == {f"{prefix}exponent_{source}" for source in SOURCES for prefix in ("", "moment_")}
    assert all(np.isfinite(finding.value) or finding.reason for finding in found.values())
    # the map of a Gabor tower is the same before training but for gains: no control
    assert np.isnan(found["exponent_image_maps"].null_low)
    assert "changes only the gains" in found["exponent_image_maps"].reason
    # fitting to unrelated responses changes it, too
    assert np.isnan(found["exponent_neural_maps"].null_low)
    assert "has no null" in found["exponent_neural_maps"].reason
    # shares of the whole variance; the last component of centred rows is rounding
    np.testing.assert_allclose(np.nansum(result.to_dataset()["variance"], axis=1), 1.0, rtol=1e-6)


def test_the_range_of_untrained_towers_holds_several_draws_of_their_weights(decoded_scratch: Decoded) -> None:
    one, several = (
        {
            finding.name: finding
            for finding in analyse_variance_spectra(decoded_scratch, VarianceSpectraSettings(n_untrained=n)).findings()
        }
        for n in (1, 4)
    )
    for name in ("exponent_untrained_image_maps", "moment_exponent_untrained_image_maps"):
        # another draw of weights changes the exponent, by more than the error of each
        assert several[name].high - several[name].low > one[name].high - one[name].low


def test_without_repeats_images_have_a_spectrum_and_responses_say_why_not(without_repeats: Decoded) -> None:
    found = {finding.name: finding for finding in analyse_variance_spectra(without_repeats).findings()}

    assert np.isfinite(found["exponent_images"].value)
    assert np.isnan(found["exponent_responses"].value)
    assert "images shown twice" in found["exponent_responses"].reason
    assert "images shown twice" in found["moment_exponent_neural_maps"].reason


def test_unequal_repeats_give_no_spectrum_of_responses_unless_the_first_two_are_asked_for(decoded_scratch: Decoded) -> None:
    keys = ("responses", "stimulus_index", "n_presentations")
    more = {key: np.concatenate([getattr(decoded_scratch.test, key), getattr(decoded_scratch.test, key)[:5]]) for key in keys}
    unequal = replace(decoded_scratch, test=replace(decoded_scratch.test, **more))
    values = {}
    for wanted in ("refuse", "first_two"):
        settings = VarianceSpectraSettings(n_untrained=1, unequal_repeats=wanted)
        findings = {one.name: one for one in analyse_variance_spectra(unequal, settings).findings()}
        values[wanted] = findings["moment_exponent_responses"]
        assert np.isfinite(findings["exponent_images"].value)
    assert "5 images with 3" in values["refuse"].reason
    assert np.isfinite(values["first_two"].value)


def test_too_few_images_are_refused(decoded_scratch: Decoded) -> None:
    few = make_pairs(decoded_scratch.recording, decoded_scratch.test.stimulus_id[:15], decoded_scratch.train.standardiser)
    with pytest.raises(DataError, match="at least 40 images for validation and test; there are 35"):
        analyse_variance_spectra(replace(decoded_scratch, test=few))


def test_untrained_towers_are_of_the_same_build_and_know_nothing(decoded: Decoded, decoded_scratch: Decoded) -> None:
    for fitted in (decoded, decoded_scratch):
        bare = untrained(fitted.towers, seed=1)
        before = fitted.towers.encode_responses(fitted.test.averaged()[:2])
        after = bare.encode_responses(fitted.test.averaged()[:2])
        assert after.shape == before.shape
        assert abs(np.corrcoef(before.ravel(), after.ravel())[0, 1]) < 0.2
        # the fitted towers are left as they were
        np.testing.assert_array_equal(before, fitted.towers.encode_responses(fitted.test.averaged()[:2]))
    kept = untrained(decoded.towers, seed=1).encode_images(decoded.test.images[:2])
    # Gabor channels are given, not learnt; only their gains are lost
    plain = deepcopy(decoded.towers)
    plain.image_tower.gain.data.fill_(1.0)
    plain.image_tower.contrast.gain.data.fill_(1.0)
    np.testing.assert_allclose(kept, plain.encode_images(decoded.test.images[:2]), atol=1e-5)
