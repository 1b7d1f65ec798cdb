"""Most exciting images: the filter of a linear neuron, agreement of two models where there is signal, none without."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from matplotlib.axes import Axes

from dina.analyses.decoded import Decoded, decode
from dina.analyses.most_exciting_images.compute import (
    MostExcitingImagesSettings,
    analyse_most_exciting_images,
    at_contrast,
    blur,
    excite,
)
from dina.analyses.most_exciting_images.page import WORDS, most_exciting_images_section
from dina.artifacts import write_json
from dina.checks import DataError
from dina.recordings.simulator import simulate
from dina.report.page import interpretation_sections
from dina.statistics.correlation import correlate_rows
from dina.statistics.finding import Finding
from dina.study.run_directory import AnalysisRecord, Run
from dina.training.fit import FitSettings
from dina.training.presets.default import DefaultSettings


@pytest.fixture(scope="module")
def rich() -> Decoded:
    """Give the same population with three times as many images: half of them must suffice for a model."""
    small = {"n_neurons": 80, "n_stimuli": 600, "height": 24, "width": 48, "n_subunits": 60, "n_broad_factors": 10}
    session = simulate("demo", seed=3, settings={**small, "n_spontaneous": 50, "signal_to_noise": 2.0})
    settings = DefaultSettings(spaces=(), stride=2, widths=(1.0,), n_orientations=2, fit=FitSettings(n_epochs=0))
    return decode(session, "default", settings, seed=3, test_fraction=0.25, n_resamples=300, response_transform="identity")


QUICK = MostExcitingImagesSettings(n_neurons=5, n_candidates=20, n_steps=20)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def filters(n=3, side=16):
    """Smooth patches at different places."""
    y, x = np.mgrid[:side, :side]
    waves = [np.cos(0.8 * x + k) * np.exp(-((x - 5 - 2 * k) ** 2 + (y - 8) ** 2) / 18) for k in range(n)]
    found = np.array(waves)
    return (found - found.mean(axis=(1, 2), keepdims=True)).astype(np.float32)


def test_the_most_exciting_image_of_a_linear_neuron_is_its_filter() -> None:
    fields = torch.from_numpy(filters())
    found = excite(
        lambda images: images[:, 0].flatten(1) @ fields.flatten(1).T,
        draw(3, 1, 16, 16),
        0.3,
        MostExcitingImagesSettings(blur_px=0.0),
    )
    # steps of a tenth of the first remain at the end, and pixels are clipped at ±2
    assert correlate_rows(found.flatten(1).numpy(), fields.flatten(1).numpy()).min() > 0.95
    np.testing.assert_allclose(found.square().mean((1, 2, 3)).sqrt(), 0.3, rtol=1e-3)


def test_an_energy_neuron_is_excited_by_its_filters_in_any_phase() -> None:
    y, x = np.mgrid[:16, :16]
    envelope = np.exp(-((x - 8) ** 2 + (y - 8) ** 2) / 18)
    pair = torch.tensor(np.array([envelope * np.cos(0.8 * (x - 8)), envelope * np.sin(0.8 * (x - 8))]), dtype=torch.float32)
    pair = pair - pair.mean((1, 2), keepdim=True)

    def energy(images):
        return (images[:, 0].flatten(1) @ pair.flatten(1).T).square().sum(1, keepdim=True)

    found = excite(energy, draw(1, 1, 16, 16), 0.3, MostExcitingImagesSettings(blur_px=0.0))
    basis = torch.linalg.qr(pair.flatten(1).T).Q
    own = found.flatten(1)
    assert float((own @ basis).norm() / own.norm()) > 0.95


def test_contrast_is_held_and_pixels_stay_between_black_and_white() -> None:
    assert float(at_contrast(10 * draw(2, 1, 12, 12).pow(3), 0.8).abs().max()) == 2.0
    images = at_contrast(3 + 10 * draw(2, 1, 12, 12), 0.8)
    # one pixel in eighty lies beyond 2.5 deviations; three rounds give back what clipping takes
    np.testing.assert_allclose(images.mean((1, 2, 3)), 0.0, atol=5e-3)
    np.testing.assert_allclose(images.square().mean((1, 2, 3)).sqrt(), 0.8, rtol=5e-3)


def test_blurring_spreads_a_point_by_the_gaussian_and_keeps_its_sum() -> None:
    point = torch.zeros(1, 1, 21, 21)
    point[0, 0, 10, 10] = 1.0
    spread = blur(point, 1.5)[0, 0]
    place = torch.arange(-10, 11.0)
    assert float(spread.sum()) == pytest.approx(1.0, abs=1e-5)
    # the window ends at three deviations, which takes 3 % of the variance
    assert float((spread.sum(0) * place.square()).sum()) == pytest.approx(1.5**2, rel=0.05)
    assert blur(point, 0.0) is point


@pytest.mark.long
def test_two_models_agree_on_neurons_with_signal_and_not_on_shuffled_ones(rich: Decoded) -> None:
    # of five neurons the null reaches to 0.92, so that no value could lie certainly above it
    of_twenty = QUICK.model_copy(update={"n_neurons": 20})
    found = {finding.name: finding for finding in analyse_most_exciting_images(rich, of_twenty).findings()}
    assert found["mei_agreement"].value > found["mei_agreement"].null_high
    assert found["mei_beats_images"].low > found["mei_beats_images"].null_high
    order = np.random.default_rng(0).permutation(rich.train.n_stimuli)
    shuffled = replace(rich.train, stimulus_index=order[rich.train.stimulus_index])
    nothing = {finding.name: finding for finding in analyse_most_exciting_images(replace(rich, train=shuffled), QUICK).findings()}
    assert not nothing["mei_agreement"].beats_null
    assert not nothing["mei_beats_images"].beats_null


def test_towers_from_scratch_have_most_exciting_images_too_and_the_seed_decides_them(decoded_scratch: Decoded) -> None:
    runs = [decoded_scratch, decoded_scratch, replace(decoded_scratch, seed=9)]
    first, again, other = (analyse_most_exciting_images(run, QUICK).to_dataset()["exciting"].to_numpy() for run in runs)
    np.testing.assert_array_equal(first, again)
    assert first.shape == (2, 5, 24, 48)
    assert not np.allclose(first, other)


def test_what_is_shown_is_written_with_units_and_drawn(decoded: Decoded) -> None:
    result = analyse_most_exciting_images(decoded, QUICK)
    dataset = result.to_dataset()
    assert dataset["exciting"].attrs["units"] == "contrast"
    section = most_exciting_images_section(dataset, result.findings())
    assert len(section.figures) == 1
    assert section.figures[0].table.rows


def test_too_few_images_are_refused(decoded: Decoded) -> None:
    train = decoded.train
    kept = train.stimulus_index < 10
    few = replace(
        train,
        images=train.images[:10],
        stimulus_id=train.stimulus_id[:10],
        responses=train.responses[kept],
        stimulus_index=train.stimulus_index[kept],
        n_presentations=train.n_presentations[kept],
        labels=None,
    )
    with pytest.raises(DataError, match="at least 20 training images and 3 neurons; there are 10 and 80"):
        analyse_most_exciting_images(replace(decoded, train=few))


def test_a_run_that_holds_the_images_under_the_former_name_shows_them(decoded: Decoded, tmp_path: Path) -> None:
    result = analyse_most_exciting_images(decoded, QUICK)
    record = AnalysisRecord(result.findings())
    record.write(Run(tmp_path), "inception_loop", result)
    write_json(tmp_path / "summary.json", {"interpretation": {"inception_loop": record.to_json()}})
    assert [section.anchor for section in interpretation_sections(Run(tmp_path))] == ["most-exciting-images"]


def test_a_model_that_predicts_one_response_for_all_images_has_no_most_exciting_one() -> None:
    where, pairs = ("neuron", "height", "width"), ("neuron", "other_neuron")
    variables = {
        "exciting": (("model", *where), np.ones((2, 3, 4, 6))),
        "best_natural": (where, np.ones((3, 4, 6))),
        "predicted_deviation": (("model", "neuron"), np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 1.0]])),
        **{name: (pairs, np.eye(3)) for name in ("agreement", "beaten")},
        **{name: ("neuron", np.arange(3)) for name in ("test_correlation", "neuron_index")},
    }
    told = [Finding(name, 0.5, "1", 3, low=0.4, high=0.6, null_low=0, null_high=0.1, null="") for name in WORDS]
    section = most_exciting_images_section(xr.Dataset(variables, attrs={"contrast": 0.3, "n_colours": 3}), tuple(told))
    said = [text.get_text() for axes in section.figures[0].figure.findobj(Axes) for text in axes.texts]
    assert said == ["predicts the same\nfor all images"]
    assert "Colours are averaged" in section.figures[0].caption
