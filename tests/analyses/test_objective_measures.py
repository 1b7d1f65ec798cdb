"""What is measured of an objective finds planted category, finds none where there is none, and counts as it says."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from dina.analyses.decoded import Decoded
from dina.analyses.objectives.compute import BEYOND, MATCHED, SEMANTIC, compare_objectives
from dina.analyses.objectives.objective_measures import (
    CategoryReadout,
    CategorySurrogates,
    make_category_surrogates,
    measure_objective,
    measure_responses,
)
from dina.statistics.intervals import wilson_interval

N_IMAGES, N_CATEGORIES, N_DRAWS = 200, 4, 30


@pytest.fixture(scope="module")
def surrogates(decoded: Decoded) -> CategorySurrogates:
    return make_category_surrogates(decoded)


def fabricate(knows: float, seed: int) -> xr.Dataset:
    """Make the measurements of towers that tell category in a fraction of the images and else guess, as surrogates do."""
    generator = np.random.default_rng(seed)
    category = np.arange(N_IMAGES) % N_CATEGORIES
    drawn = generator.integers(N_CATEGORIES, size=(N_DRAWS, N_IMAGES))
    own = np.where(generator.random(N_IMAGES) < knows, category, generator.integers(N_CATEGORIES, size=N_IMAGES))
    guesses = {name: ("labelled_image", own) for name in ("guess", "guess_image", "guess_by_match")}
    others = {f"{name}_surrogate": (("draw", "labelled_image"), drawn) for name in ("guess", "guess_by_match", "category")}
    maps = {f"{side}_maps": (("test_image", side), generator.standard_normal((20, 6))) for side in ("image", "response")}
    top1 = {f"top1_{kind}": ("test_image", np.ones(20)) for kind in ("averaged", "single_trial")}
    statistics = ["kept_lowest_octaves", "kept_without_highest_octave", "median_frequency"]
    profile = {"profile": (("statistic", "end"), np.tile([0.5, 0.4, 0.6, -0.1, 0.1], (3, 1)))}
    profile["profile_resamples"] = (("statistic", "resample"), generator.beta(2, 1, size=(3, 400)).astype(np.float32))
    return xr.Dataset(
        {**guesses, **others, **maps, **top1, **profile, "category": ("labelled_image", category)},
        coords={"statistic": statistics},
        attrs={"units_of_median_frequency": "cycles/degree"},
    )


def test_a_readout_tells_classes_apart_among_many_more_features_than_images() -> None:
    generator = np.random.default_rng(0)
    category = np.arange(60) % 3
    features = generator.standard_normal((60, 500))
    features[:, :3] += 6 * np.eye(3)[category]
    fresh = generator.standard_normal((300, 500))
    fresh[:, :3] += 6 * np.eye(3)[np.arange(300) % 3]

    guess = CategoryReadout(features, category).guess(fresh)

    # the classes lie 8.5 standard deviations apart in 3 of 500 features; at chance a third would be right
    assert (guess == np.arange(300) % 3).mean() > 0.8


def test_responses_that_know_the_category_are_found_out(decoded: Decoded, surrogates: CategorySurrogates) -> None:
    parts = surrogates.parts
    generator = np.random.default_rng(0)
    marks = 5 * generator.standard_normal((len(parts.names), parts.train.n_neurons)).astype(np.float32)
    train = replace(parts.train, responses=parts.train.responses + marks[parts.train_category][parts.train.stimulus_index])
    test = replace(parts.test, responses=parts.test.responses + marks[parts.test_category][parts.test.stimulus_index])
    planted = replace(
        surrogates, parts=replace(parts, train=train, test=test), residual=surrogates.residual + marks[parts.test_category]
    )

    plain, found = measure_responses(surrogates), measure_responses(planted)

    assert (found["guess"] == found["category"]).mean() > 0.95
    # their residuals carry the category of the donor along, and so tell that one
    assert (found["guess_surrogate"] == found["category_surrogate"]).mean() > 0.95
    assert (plain["guess"] == plain["category"]).mean() < 0.7


@pytest.mark.long
def test_neurons_of_gabors_know_no_category_beyond_low_level_structure(decoded: Decoded, surrogates: CategorySurrogates) -> None:
    measured = measure_objective(decoded, surrogates)

    found = compare_objectives({("contrastive", 3): measured}, {3: measure_responses(surrogates)})

    for finding in (found.findings["responses"][BEYOND], found.findings["contrastive"][MATCHED]):
        assert finding.low < 0.1
        assert abs(finding.value) < 0.5
    assert found.verdict.verdict == "cannot tell"  # no objective was trained by category
    assert found.findings["contrastive"]["top1_averaged"].value > 5 / 50  # chance is 1 of 50


def test_without_labels_retrieval_and_frequencies_remain(decoded: Decoded) -> None:
    measured = measure_objective(decoded, None)

    found = compare_objectives({("contrastive", 3): measured}, {})

    assert set(found.findings) == {"contrastive"}
    assert BEYOND not in found.findings["contrastive"]
    assert found.verdict.verdict == "cannot tell"


def test_an_objective_that_withholds_category_is_distinguished_from_one_that_does_not() -> None:
    knows = {"contrastive": 0.1, "classification": 0.9, "category_contrastive": 0.9, "untrained": 0.0}
    measured = {(name, seed): fabricate(share, seed) for name, share in knows.items() for seed in (0, 1)}
    responses = {seed: fabricate(0.9, seed) for seed in (0, 1)}

    found = compare_objectives(measured, responses)

    assert found.verdict.verdict == "supported"
    # 0.9 of the images are told: of what is possible the share is 0.9 (two seeds of 200 images: ± 0.05)
    assert found.findings["responses"][BEYOND].value == pytest.approx(0.9, abs=0.05)
    assert found.findings[SEMANTIC[0]][MATCHED].low > 0.8
    assert not found.findings["untrained"][MATCHED].low > 0.1


def test_an_objective_that_keeps_category_is_acquitted() -> None:
    knows = {"contrastive": 0.9, "classification": 0.9}
    measured = {(name, seed): fabricate(share, seed) for name, share in knows.items() for seed in (0, 1)}

    found = compare_objectives(measured, {seed: fabricate(0.9, seed) for seed in (0, 1)})

    assert found.verdict.verdict == "not supported"


def test_an_accuracy_of_none_leaves_what_wilson_leaves_and_shares_stay_where_their_resamples_are() -> None:
    measured = {("contrastive", seed): fabricate(0.5, seed) for seed in (0, 1)}
    measured = {key: one.assign(top1_averaged=0 * one["top1_averaged"]) for key, one in measured.items()}

    found = compare_objectives(measured, {}).findings["contrastive"]

    none, all_of_them = found["top1_averaged"], found["top1_single_trial"]
    assert (none.low, none.high) == wilson_interval(0.0, 40)  # twenty images of each of two seeds
    assert all_of_them.low == pytest.approx(wilson_interval(1.0, 40)[0])
    kept = found["kept_lowest_octaves"]
    resamples = [one["profile_resamples"].to_numpy()[0] for one in measured.values()]
    means = np.mean([np.random.default_rng(i).permutation(row) for i, row in enumerate(resamples)], axis=0)
    assert 0 <= kept.low < kept.value < kept.high <= 1
    # half the pairs of seeds are one seed twice, which takes nothing from the spread within seeds: ends of 400 resamples
    np.testing.assert_allclose((kept.low, kept.high), np.quantile(means, [0.025, 0.975]), atol=0.06)


def test_similarity_of_maps_is_one_with_themselves_and_symmetric() -> None:
    measured = {(name, 0): fabricate(0.5, number) for number, name in enumerate(("contrastive", "siglip"))}

    similarity = compare_objectives(measured, {}).similarity

    np.testing.assert_array_equal(similarity.to_numpy()[:, [0, 1], [0, 1]], 1.0)
    np.testing.assert_allclose(similarity.to_numpy(), similarity.to_numpy().swapaxes(1, 2))
    assert abs(float(similarity.sel(side="image", first="contrastive", second="siglip"))) < 0.5  # unrelated maps
