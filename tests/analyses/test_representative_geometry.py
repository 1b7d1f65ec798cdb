"""The geometry of few neurons is told from that of the population, and noise from both."""

from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import torch

from benchmark_scripts import import_script
from dina.analyses import ANALYSES, RULES
from dina.analyses.decoded import Decoded
from dina.analyses.neuron_readout import readout_of
from dina.analyses.representative_geometry.compute import (
    RepresentativeGeometryResult,
    RepresentativeGeometrySettings,
    analyse_representative_geometry,
)
from dina.analyses.representative_geometry.subset_geometry import GeometryReader, ImageResponses, part_sizes
from dina.analyses.verdict import judge
from dina.statistics.finding import Finding

FAST = RepresentativeGeometrySettings(n_ranking_images=60, n_reference_images=40, n_images=30, n_random=4, n_matched=2)
CLAIM = RULES["population_geometry"]


@pytest.fixture(scope="module")
def planted() -> ModuleType:
    return import_script("geometry_power")


@pytest.fixture(scope="module")
def result(decoded: Decoded) -> RepresentativeGeometryResult:
    return analyse_representative_geometry(decoded, FAST)


def by_name(result: RepresentativeGeometryResult) -> dict[str, Finding]:
    return {finding.name: finding for finding in result.findings()}


def test_few_neurons_with_a_geometry_of_their_own_are_found(planted: ModuleType) -> None:
    verdict, found = planted.judge_population(0.9, 60, np.random.default_rng(0))
    assert verdict.verdict == "not supported", verdict.reason
    # ten components hold the directions of both groups, so that subspaces differ less
    for measure, most in (("rsa", 0.5), ("cka", 0.5), ("subspace", 1.0)):
        assert found[f"kept_without_top_{measure}"].high < most
        assert found[f"kept_without_top_{measure}"].value < found[f"kept_without_top_{measure}"].null_low
        assert abs(found[f"corrected_top_with_others_{measure}"].value) < 0.25


def test_neurons_that_are_alike_are_found_to_be_a_population(planted: ModuleType) -> None:
    verdict, found = planted.judge_population(None, 60, np.random.default_rng(0))
    assert verdict.verdict == "supported", verdict.reason
    assert not found["kept_without_top_cka"].value < found["kept_without_top_cka"].null_low


def test_noise_is_no_geometry(planted: ModuleType) -> None:
    verdict, found = planted.judge_population(None, 60, np.random.default_rng(0), noise=np.inf)
    assert verdict.verdict == "cannot tell"
    assert "do not agree" in verdict.reason
    # a part shares its noise with all neurons, which looks like a geometry
    assert found["others_with_all_rsa"].value > 0.8


def test_noisy_neurons_are_not_taken_for_unlike_ones(planted: ModuleType) -> None:
    verdict, found = planted.judge_population(None, 60, np.random.default_rng(0), noise=2.0)
    assert found["top_with_others_rsa"].high < 0.4  # as measured, few neurons hardly agree with the others
    assert found["corrected_top_with_others_rsa"].value > 0.7
    assert verdict.verdict == "supported", verdict.reason


def test_all_neurons_of_a_sequence_have_the_geometry_of_all(decoded: Decoded) -> None:
    readout = readout_of(decoded.towers, decoded.train.images[:20])
    reader = GeometryReader(readout, ImageResponses.of(decoded, 12), "removed", 4)
    order = np.random.default_rng(0).permutation(80)
    (last,) = list(reader.of_subsets(order, (80,)))
    np.testing.assert_allclose(last, reader.of_all(), atol=1e-8)


def test_the_halves_are_those_of_the_repeats(decoded: Decoded) -> None:
    responses = ImageResponses.of(decoded, 12)
    assert responses.sets.shape == (3, 12, 80)
    # two repeats: their mean is the average response, in single precision
    torch.testing.assert_close(responses.sets[1:].mean(0), responses.sets[0], atol=1e-5, rtol=0)
    assert (np.diff(responses.images) > 0).all()


def test_without_repeats_noise_cannot_be_told_from_geometry(decoded: Decoded) -> None:
    once = replace(decoded, test=decoded.test.select_trials(decoded.test.repeat_number() == 0))
    result = analyse_representative_geometry(once, FAST)
    found = by_name(result)
    assert np.isfinite(found["top_with_all_rsa"].value)
    assert "two single trials" in found["kept_without_top_rsa"].reason
    verdict = judge([CLAIM], {"representative_geometry": found})[0]
    assert verdict.verdict == "cannot tell"
    assert "two single trials" in verdict.reason
    section = ANALYSES["representative_geometry"].draw(
        analyse_representative_geometry(once, FAST).to_dataset(), tuple(found.values())
    )
    assert "as measured" in section.figures[0].caption
    assert any("two single trials" in line for line in section.missing)


def test_without_repeats_in_training_nothing_is_matched_by_signal_to_noise(decoded: Decoded) -> None:
    train = decoded.train.select_trials(decoded.train.repeat_number() == 0)
    found = by_name(analyse_representative_geometry(replace(decoded, train=train), FAST))
    assert "repeats" in found["kept_without_snr_matched_rsa"].reason
    assert "repeats" in found["overlap_snr_matched"].reason
    assert np.isfinite(found["kept_without_top_rsa"].value)


def test_test_images_do_not_choose_the_neurons(decoded: Decoded, result: RepresentativeGeometryResult) -> None:
    other = replace(decoded, test=replace(decoded.test, responses=decoded.test.responses[:, ::-1].copy()))
    again = analyse_representative_geometry(other, FAST)
    # the neurons drawn and matched are the same, whatever the test responses are
    assert by_name(again)["overlap_snr_matched"] == by_name(result)["overlap_snr_matched"]


def test_the_dataset_holds_every_curve(result: RepresentativeGeometryResult) -> None:
    dataset = result.to_dataset()
    np.testing.assert_allclose(dataset["part"], np.array(part_sizes(80)) / 80)
    assert {"top", "random", "snr_matched", "rate_matched"} == set(dataset["sequence"].values)
    assert dataset["dissimilarity"].shape == (3, 30, 30)
    found = by_name(result)
    tenth = dataset.sel(sequence="top", comparison="rest_all", measure="rsa", part=0.1)
    np.testing.assert_allclose(tenth["measured"], found["others_with_all_rsa"].value)
    np.testing.assert_allclose(tenth["corrected"] * abs(tenth["corrected"]), found["kept_without_top_rsa"].value)


def found_shares(kept: float, spread: float = 0.02, by_cka: float = 0.9, reliability: float = 0.6) -> dict[str, Finding]:
    def one(name: str, value: float, width: float, low: float, high: float) -> Finding:
        return Finding(name, value, "1", 100, value - width, value + width, low, high, "draws")

    listed = [
        one("accuracy_full", 0.6, 0.05, 0.0, 0.05),
        one("reliability_rsa", reliability, 0.05, -0.05, 0.05),
        one("kept_without_top_rsa", kept, spread, 0.95, 1.0),
        one("kept_without_top_cka", by_cka, spread, 0.95, 1.0),
    ]
    return {finding.name: finding for finding in listed}


@pytest.mark.parametrize(
    ("found", "answer", "words"),
    [
        (found_shares(0.97), "supported", "97"),
        (found_shares(0.97, 0.1), "cannot tell", "97"),
        (found_shares(0.97, by_cka=0.2), "cannot tell", "by kernel alignment"),
        (found_shares(0.3, by_cka=0.3), "not supported", "Without a random tenth"),
        (found_shares(0.3, by_cka=0.97), "cannot tell", "30"),
        (found_shares(0.7), "cannot tell", "a part of it, but not most"),
        (found_shares(0.97, reliability=0.06), "cannot tell", "do not agree"),
        (found_shares(0.97) | {"accuracy_full": Finding("accuracy_full", 0.06, "1", 9, 0.0, 0.2, 0.0, 0.1, "chance")}, "cannot tell", "chance"),
        (found_shares(0.3) | {"kept_without_top_rsa": Finding("kept_without_top_rsa", np.nan, "1", 9, reason="Noise hides it.")}, "cannot tell", "Noise hides it"),
    ],
)  # fmt: skip
def test_the_rule_gives_each_answer(found: dict[str, Finding], answer: str, words: str) -> None:
    verdict = judge([CLAIM], {"representative_geometry": found})[0]
    assert verdict.verdict == answer, verdict.reason
    assert words in verdict.reason


def test_a_loss_that_any_tenth_would_make_is_not_laid_on_the_few() -> None:
    found = found_shares(0.3, by_cka=0.3)
    found["kept_without_top_rsa"] = replace(found["kept_without_top_rsa"], null_low=0.2)
    assert judge([CLAIM], {"representative_geometry": found})[0].verdict == "cannot tell"
