"""Planted Gabor neurons come out low-level, planted semantic neurons semantic, a mixture both, and shuffled pairs nothing."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from dina.analyses import RULES
from dina.analyses.analysis import PlainResult
from dina.analyses.decoded import Decoded
from dina.analyses.semantics.category_models import categorise, fit_category_models
from dina.analyses.semantics.compute import SemanticsSettings, analyse_semantics
from dina.analyses.verdict import judge
from dina.data.pairs import learn_standardiser, make_pairs
from dina.data.splits import group_near_identical, split_by_stimulus
from dina.recordings.recording import Recording
from dina.recordings.simulator import simulate
from dina.statistics.finding import Finding
from dina.training.presets.default import DefaultSettings

CLAIMS = ("low_level_not_semantic", "semantic", "low_level")
SESSION: dict[str, object] = {
    **{"n_neurons": 150, "n_stimuli": 400, "height": 24, "width": 48, "n_subunits": 80, "n_broad_factors": 10},
    **{"n_spontaneous": 0, "signal_to_noise": 0.6},
}
QUICK = SemanticsSettings(n_draws=40)


def split(recording: Recording, seed: int) -> Decoded:
    """All that the analysis reads, without towers."""
    parts = split_by_stimulus([recording], group_near_identical(recording.images), seed, 0.1, 0.2)
    standardiser = learn_standardiser(recording, parts.train)
    train, validation, test = (make_pairs(recording, ids, standardiser) for ids in (parts.train, parts.validation, parts.test))
    return Decoded(recording, train, validation, test, None, "default", DefaultSettings(), seed, n_resamples=300)


@cache
def planted(fraction: float) -> dict[str, Finding]:
    """Findings of a session in which this fraction of the neurons knows the category and nothing else."""
    recording = simulate("demo", 11, settings={**SESSION, "semantic_fraction": fraction})
    return by_name(analyse_semantics(split(recording, 11), QUICK))


def by_name(result: PlainResult) -> dict[str, Finding]:
    return {finding.name: finding for finding in result.findings()}


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [
        (0.0, ("supported", "not supported", "supported")),
        pytest.param(1.0, ("not supported", "supported", "not supported"), marks=pytest.mark.long),
        pytest.param(0.5, ("not supported", "supported", "supported"), marks=pytest.mark.long),
    ],
)
def test_gabor_neurons_are_low_level_semantic_neurons_semantic_and_a_mixture_both(
    fraction: float, expected: tuple[str, str, str]
) -> None:
    found = planted(fraction)

    verdicts = judge([RULES[claim] for claim in CLAIMS], {"semantics": found})
    assert tuple(verdict.verdict for verdict in verdicts) == expected
    assert found["same_class_cost_joint"].beats_null == (fraction > 0)
    assert found["same_class_rivals_joint"].beats_null == (fraction > 0)
    assert found["category_accuracy_responses"].value > 0.8 or fraction == 0


def test_semantic_neurons_share_out_as_planted() -> None:
    found = planted(1.0)

    total = sum(found[f"{name}_share"].value for name in ("category_unique", "low_level_unique", "common"))
    assert total == pytest.approx(1.0)  # an identity
    # all of the explained variance is that of the category; its interval over 80 test images is about ± 0.13
    assert found["category_share"].value == pytest.approx(1.0, abs=0.2)
    assert found["low_level_unique_share"].value < 0.1
    assert found["category_bits"].value > found["low_level_bits"].value + 0.5
    assert found["category_bits"].value < np.log2(11)  # it cannot tell images of one category apart


def shuffled(recording: Recording, seed: int) -> Recording:
    order = np.random.default_rng(seed).permutation(recording.n_stimuli)
    assert recording.labels is not None
    return replace(recording, images=recording.images[order], labels=recording.labels[order], truth=None)


@pytest.mark.long
def test_responses_to_other_images_show_nothing_and_allow_no_verdict() -> None:
    recording = simulate("demo", 13, settings={**SESSION, "semantic_fraction": 0.5})

    found = by_name(analyse_semantics(split(shuffled(recording, 0), 13), QUICK))

    about_pairs = [one for name, one in found.items() if one.null and name not in IMAGES_ALONE and np.isfinite(one.value)]
    outside = [one.name for one in about_pairs if one.beats_null]
    # one in twenty lies outside; statistics of one decoder do so together (where pairs tell, 14 and more lie outside)
    assert len(about_pairs) >= 15
    assert len(outside) <= 4, outside
    assert {verdict.verdict for verdict in judge([RULES[claim] for claim in CLAIMS], {"semantics": found})} == {"cannot tell"}


IMAGES_ALONE = ("category_accuracy_low_level", "category_accuracy_luminance")


@pytest.fixture(scope="module")
def with_towers(decoded: Decoded) -> PlainResult:
    return analyse_semantics(decoded, QUICK)


def test_towers_are_asked_beside_the_decoders_and_everything_has_axes_units_and_json(with_towers: PlainResult) -> None:
    dataset, findings = with_towers.to_dataset(), with_towers.findings()

    assert list(dataset["scored_by"].to_numpy()) == ["towers", "low_level", "joint"]
    assert all("units" in variable.attrs for variable in dataset.data_vars.values())
    assert len({finding.name for finding in findings}) == len(findings)
    for finding in findings:
        assert Finding.from_json(json.loads(json.dumps(finding.to_json()))).name == finding.name
        assert np.isfinite(finding.value) or finding.reason
    assert by_name(with_towers)["low_level_bits"].beats_null


def test_test_images_change_nothing_that_is_learnt(decoded: Decoded) -> None:
    poisoned = replace(decoded, test=replace(decoded.test, responses=decoded.test.responses + 1e3))

    before, after = (fit_category_models(categorise(one), 2, 0) for one in (decoded, poisoned))

    for name in ("low_level", "category_only", "category_then_low_level"):
        np.testing.assert_array_equal(getattr(before.test, name), getattr(after.test, name))
    np.testing.assert_array_equal(before.test.probability, after.test.probability)
