"""Statistics of several recordings on fabricated fits, whose answers are known."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from dina.statistics.map_similarity import gram_of
from dina.study.gains import RecordingRounds, compare_together_and_alone


def one_fit(generator, accuracy, maps, n=60, untrained=None):
    found = (generator.random(n) < accuracy).astype(float)
    gram = gram_of(maps)
    untrained = maps[:, ::-1] if untrained is None else untrained
    variables = {
        "top1": ("query", found),
        "rank": ("query", 2 - found),
        "gram_neural": (("query", "other"), gram),
        "gram_image": (("query", "other"), gram),
        "gram_neural_untrained": (("query", "other"), gram_of(untrained)),
        "gram_image_untrained": (("query", "other"), gram_of(untrained)),
        "null_low": ((), 0.0),
        "null_high": ((), 0.05),
    }
    return xr.Dataset(variables, coords={"stimulus_id": ("query", np.arange(n))})


def fabricate(n_mice, joint, alone, n_folds=2, seed=0):
    generator = np.random.default_rng(seed)
    common = generator.standard_normal((60, 6))
    made = []
    for mouse in range(n_mice):
        keys = [(fold, repeat) for fold in range(n_folds) for repeat in range(2)]
        maps = np.hstack([common, generator.standard_normal((60, 3))])
        own = generator.standard_normal((60, 9))
        fits = [{key: one_fit(generator, each, part) for key in keys} for each, part in ((joint, maps), (alone, own))]
        made.append(RecordingRounds(f"M{mouse:06d}_a", *fits, {}))
    return made


def test_a_planted_gain_is_found_over_images_and_over_mice():
    found = compare_together_and_alone(fabricate(8, joint=0.8, alone=0.4), seed=0, n_resamples=200)
    gain = found.across.by_analysis()["joint"]["gain_joint"]
    # eight mice of 240 binary pairs: a standard error of 0.015
    assert gain.value == pytest.approx(0.4, abs=0.05)
    assert gain.low > gain.null_high
    assert gain.n == 8
    assert float(found.p_values["p_over_mice"].sel(name="gain_joint")) == pytest.approx(2 / 2**8)
    assert (found.p_values["q_over_images"] < 0.05).all()


@pytest.mark.long
def test_no_gain_is_found_where_there_is_none():
    calls = []
    for seed in range(12):
        found = compare_together_and_alone(fabricate(6, joint=0.5, alone=0.5, n_folds=1, seed=seed), seed=0, n_resamples=100)
        calls.append(float(found.p_values["p_over_mice"].sel(name="gain_joint")) <= 0.05)
        assert found.components[-1].value > 0
    # one of twenty by chance; four or more of twelve has a probability of 0.002
    assert sum(calls) <= 3


def test_maps_with_a_common_part_are_alike_and_others_are_not():
    found = compare_together_and_alone(fabricate(3, 0.6, 0.6), seed=0, n_resamples=200)
    for (kind, _, _), finding in found.alignment_findings.items():
        assert finding.beats_null == (kind == "neural_joint") or finding.value < 0.15
        if kind == "neural_joint":
            assert finding.value > finding.null_high
    values = found.alignment["alignment"].sel(kind="neural_joint").to_numpy()
    np.testing.assert_allclose(values, values.T)
    np.testing.assert_allclose(np.diag(values), 1)


def test_untrained_towers_are_compared_beside_trained_ones():
    generator = np.random.default_rng(3)
    start = generator.standard_normal((60, 9))
    made = []
    for mouse in range(2):
        own = generator.standard_normal((60, 9))
        fit = {(0, 0): one_fit(generator, 0.5, own, untrained=start)}
        made.append(RecordingRounds(f"M{mouse:06d}_a", fit, fit, {}))
    values = compare_together_and_alone(made, seed=0, n_resamples=100).alignment["alignment"].isel(recording=0, other=1)
    for maps in ("neural", "image"):
        assert float(values.sel(kind=f"{maps}_untrained")) == pytest.approx(1)
        assert float(values.sel(kind=f"{maps}_alone")) < 0.3  # 60 images, unrelated: a deviation of about 0.07


def test_recordings_of_one_mouse_count_once():
    made = fabricate(4, 0.8, 0.4)
    same = [RecordingRounds(f"M000001_day{day}", each.joint, each.alone, {}) for day, each in enumerate(made)]
    found = compare_together_and_alone(same, seed=0, n_resamples=200)
    gain = found.across.by_analysis()["joint"]["gain_joint"]
    assert gain.n == 1
    assert "One animal says nothing" in gain.reason
    assert float(found.p_values["p_over_mice"].sel(name="gain_joint")) == 1.0


def test_animals_that_recordings_state_win_over_names():
    made = fabricate(4, 0.8, 0.4)
    stated = [replace(each, animal=animal) for each, animal in zip(made, "aabb")]
    found = compare_together_and_alone(stated, seed=0, n_resamples=200)
    assert found.across.by_analysis()["joint"]["gain_joint"].n == 2
    assert float(found.p_values["p_over_mice"].sel(name="gain_joint")) == 0.5  # four signs of two mice


def test_sizes_that_a_fold_lacks_are_left_out():
    generator = np.random.default_rng(0)
    made = []
    for each in fabricate(3, 0.6, 0.6):
        joining = {}
        for fold, sizes in ((0, [50, 100]), (1, [50])):
            top1 = (("size", "query"), (generator.random((len(sizes), 60)) < 0.5).astype(float))
            coords = {"size": sizes, "stimulus_id": ("query", np.arange(60))}
            joining[fold, 0] = xr.Dataset({"top1_shared": top1, "top1_alone": top1}, coords)
        made.append(RecordingRounds(each.name, each.joint, each.alone, joining))
    found = compare_together_and_alone(made, seed=0, n_resamples=100).across.by_analysis()["joint"]
    assert found["gain_shared_50"].value == 0
    assert "gain_shared_100" not in found
