"""Alterations of the gallery cost what they should, and nothing is kept where pairs are shuffled."""

from dataclasses import replace

import numpy as np
import pytest

from dina.analyses.decoded import Decoded
from dina.analyses.paired_resampling import PairedResampling
from dina.analyses.shape_texture.altered_images import ALTERATIONS, Alteration
from dina.analyses.shape_texture.compute import (
    ShapeTextureResult,
    analyse_shape_texture,
    analyse_shape_texture_refit,
    describe_refit,
)
from dina.data.pairs import Pairs
from dina.statistics.finding import Finding


@pytest.fixture(scope="module")
def result(decoded: Decoded) -> ShapeTextureResult:
    return analyse_shape_texture(decoded)


def noise(images: np.ndarray, amplitude: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return generator.standard_normal(images.shape).astype(np.float32)


def by_name(findings: tuple[Finding, ...]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def test_place_matters_to_neurons_with_local_fields(result: ShapeTextureResult) -> None:
    found = by_name(result.findings())
    # simulated neurons are local Gabor filters: phases in place are read, amplitudes without place are not
    assert found["kept_phase_only"].low > found["kept_amplitude_only"].value
    assert found["kept_phase_only"].beats_null
    assert found["kept_phase_only_beyond_contrast"].beats_null
    assert not found["kept_texture_beyond_contrast"].beats_null
    assert found["phase_over_amplitude"].low > 0.5
    assert found["shape_minus_texture"].value > 0


def test_every_alteration_has_three_findings_and_names_are_unique(result: ShapeTextureResult) -> None:
    names = [finding.name for finding in result.findings()]
    assert len(set(names)) == len(names) == 3 * len(ALTERATIONS) + 3
    assert all(np.isfinite([f.low, f.high, f.null_low, f.null_high]).all() for f in result.findings())


def test_an_alteration_that_changes_nothing_keeps_everything(decoded: Decoded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ALTERATIONS, "phase_only", Alteration("shape", "nothing", lambda images, *_: images))
    found = by_name(analyse_shape_texture(decoded).findings())
    # matching mean and contrast to themselves changes single bits, which may break a tie
    assert found["kept_phase_only"].value == pytest.approx(1.0, abs=0.05)
    assert found["kept_phase_only_response_from_image"].value == pytest.approx(1.0, abs=0.1)
    # other images of the same contrast keep next to nothing
    assert found["kept_phase_only_beyond_contrast"].value > 0.7


def test_shuffled_pairs_stay_inside_every_null(decoded: Decoded) -> None:
    order = np.random.default_rng(1).permutation(decoded.test.n_stimuli)
    test = replace(decoded.test, stimulus_index=order[decoded.test.stimulus_index])
    findings = analyse_shape_texture(replace(decoded, test=test)).findings()
    known = [finding for finding in findings if np.isfinite(finding.value)]
    # 95 % ranges of up to twenty dependent numbers: three outside would happen in 8 % of cases if they were independent
    assert sum(finding.beats_null for finding in known) <= 3


def test_examples_show_the_original_first(result: ShapeTextureResult, decoded: Decoded) -> None:
    data = result.to_dataset()
    assert list(data["shown"].to_numpy()) == ["original", *ALTERATIONS]
    assert data["examples"].shape == (1 + len(ALTERATIONS), 3, *decoded.test.images.shape[2:])
    assert "Heeger & Bergen" in data.attrs["texture"]


def two_tone(pairs: Pairs) -> Pairs:
    """Make of each image one of -1 and 1, as many of each, so that all have exactly one mean and one contrast."""
    flat = pairs.images.reshape(len(pairs.images), -1)
    rank = np.argsort(np.argsort(flat, axis=1, kind="stable"), axis=1)
    images = np.where(2 * rank < flat.shape[1], -1, 1).astype(np.float32)
    return replace(pairs, images=images.reshape(pairs.images.shape))


@pytest.mark.long
def test_towers_fitted_on_unaltered_images_keep_everything(decoded: Decoded, monkeypatch: pytest.MonkeyPatch) -> None:
    # altered images get the contrast of their originals, which finds some of them: here it is the same for all, to the last bit
    train, validation, test = (two_tone(pairs) for pairs in (decoded.train, decoded.validation, decoded.test))
    of_one_contrast = replace(decoded, train=train, validation=validation, test=test).refit()
    for name in list(ALTERATIONS)[1:]:
        monkeypatch.delitem(ALTERATIONS, name)
    monkeypatch.setitem(ALTERATIONS, "phase_only", Alteration("shape", "nothing", lambda images, *_: images))
    noises = [f"noise {number}" for number in range(4)]
    for name in noises:
        monkeypatch.setitem(ALTERATIONS, name, Alteration("texture", "noise", noise))
    found = by_name(analyse_shape_texture_refit(of_one_contrast).findings())
    assert found["refit_kept_phase_only"].value == pytest.approx(1.0, abs=0.05)
    # noise has nothing to do with the responses: one image of fifty is found in each set on average (Poisson, as few are), of
    # eight in the originals; three of four beat their 95 % null in one of 2,000 cases, and thirteen are found in one of 3,000
    kept = [found[f"refit_kept_{name}"] for name in noises]
    assert sum(one.beats_null for one in kept) <= 2
    assert np.mean([one.value for one in kept]) < 0.3
    assert found["refit_shape_minus_texture"].beats_null


def test_altered_images_that_keep_everything_do_not_keep_it_for_certain() -> None:
    n = 40
    first = np.where(np.arange(n)[:, None] < 24, np.eye(n), np.roll(np.eye(n), 1, axis=1))
    tables = np.broadcast_to(first, (len(ALTERATIONS), n, n))
    found = by_name(describe_refit(first, tables, PairedResampling.draw(n, 400, seed=0)).findings())
    kept = found["refit_kept_silhouette"]
    assert kept.value == pytest.approx(1)
    # an image in fourteen (1 - 0.05 ** (1 / 40) of all) found in one and missed in the other: an eighth of 24 in 40, less chance
    assert (1 - kept.low, kept.high - 1) == pytest.approx((0.13, 0.13), rel=0.25)
