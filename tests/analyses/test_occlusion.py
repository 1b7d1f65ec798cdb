"""Occlusion finds the pixel that a tower reads, and planted fields; its fast form is the plain one."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from described_axes import undescribed
from dina.analyses.analysis import PlainResult
from dina.analyses.decoded import Decoded, decode
from dina.analyses.occlusion.compute import (
    OcclusionSettings,
    analyse_occlusion,
    cover_windows,
    estimate_coverage,
    measure_losses,
)
from dina.analyses.occlusion.occlusion_windows import Sweep, place_windows
from dina.analyses.untrained import draw_untrained
from dina.data.pairs import make_task
from dina.models.towers.tower import ImageTower, NeuralTower
from dina.randomness import generator_for
from dina.recordings.simulator import simulate
from dina.training.aligned_towers import AlignedTowers
from dina.training.comparison import Comparison
from dina.training.fit import FitSettings
from dina.training.presets.default import DefaultSettings

ROW, COLUMN = 7, 30


class OnePixel(ImageTower):
    """A tower that sees one pixel and nothing else."""

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        super().__init__(image_shape, (1, 1, 1), ())
        self.scale = torch.nn.Parameter(torch.ones(()))

    def draw_parameters(self, generator: torch.Generator) -> None:
        self.scale.data.fill_(1.0)

    def forward(self, images: torch.Tensor, masked: tuple[str, ...] = ()) -> torch.Tensor:
        return self.scale * images[:, :1, ROW : ROW + 1, COLUMN : COLUMN + 1]


class NoResponse(NeuralTower):
    """A tower whose map is 0 whatever the neurons do."""

    def forward(self, responses: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(responses), *self.map_shape)


class FurthestFromGrey(Comparison):
    """Scores an image by the square of its map."""

    def forward(self, neural_maps: torch.Tensor, image_maps: torch.Tensor, n_presentations: torch.Tensor) -> torch.Tensor:
        return image_maps.flatten(1).square().sum(1).expand(len(neural_maps), -1)


@pytest.fixture(scope="module")
def one_pixel(decoded_scratch: Decoded) -> PlainResult:
    shape = decoded_scratch.towers.image_tower.image_shape
    towers = AlignedTowers(OnePixel(shape), NoResponse(80, (1, 1, 1)), FurthestFromGrey())
    settings = OcclusionSettings(n_images=12, spacing=0.0834)  # 2 pixels apart
    return analyse_occlusion(replace(decoded_scratch, fitted=towers.eval()), settings)


def test_a_tower_that_reads_one_pixel_is_changed_most_by_a_window_over_it(one_pixel: PlainResult) -> None:
    dataset = one_pixel.to_dataset().sel(sweep=["small", "medium", "large"])
    for measure in ("map_change", "score_loss"):
        mean = dataset[measure].mean("image")
        for name in ("small", "medium", "large"):
            row, column = np.unravel_index(mean.sel(sweep=name).to_numpy().argmax(), mean.shape[1:])
            # windows are 2 pixels apart
            assert abs(float(dataset["row"][row]) - ROW) <= 1
            assert abs(float(dataset["column"][column]) - COLUMN) <= 1


def test_the_change_falls_with_distance_as_the_square_of_the_window(one_pixel: PlainResult) -> None:
    medium = one_pixel.to_dataset().sel(sweep="medium")
    distance = ((medium["row"] - ROW) ** 2 + (medium["column"] - COLUMN) ** 2).to_numpy()
    deviation = float(medium["deviation_px"])
    weight = np.exp(-0.5 * distance / deviation**2)

    change = medium["map_change"].to_numpy()

    # the map is the pixel less its training mean m: p w with grey fill, over (p - m)²; so all places share one factor
    ratio = change / change.max(axis=(1, 2), keepdims=True)
    near = distance < 4 * deviation**2
    expected = np.broadcast_to(weight**2 / weight.max() ** 2, ratio.shape)
    np.testing.assert_allclose(ratio[:, near], expected[:, near], rtol=1e-3)


def test_windows_are_in_pixels_of_the_images_given(decoded_scratch: Decoded) -> None:
    towers = AlignedTowers(
        OnePixel(decoded_scratch.towers.image_tower.image_shape), NoResponse(80, (1, 1, 1)), FurthestFromGrey()
    )
    plain = replace(decoded_scratch, fitted=towers.eval())
    reduced = replace(plain, recording=replace(plain.recording, block_px=4, deg_per_pixel=8.0))
    before, after = (
        analyse_occlusion(each, OcclusionSettings(n_images=2, spacing=0.5)).to_dataset() for each in (plain, reduced)
    )
    np.testing.assert_allclose(after["row"], 4 * before["row"] + 1.5)
    np.testing.assert_allclose(after["deviation_px"], 4 * before["deviation_px"])
    assert [after.attrs[name] for name in ("height", "width", "deg_per_pixel")] == [96, 192, 2.0]
    np.testing.assert_array_equal(after["score_loss"], before["score_loss"])


def test_losing_score_lets_other_images_pass(one_pixel: PlainResult) -> None:
    # the score is the square of the pixel: hiding it can only lower the score and raise the rank
    dataset = one_pixel.to_dataset().sel(sweep=["small", "medium", "large"])
    assert dataset["score_loss"].min() >= 0
    assert dataset["log_rank_loss"].min() >= 0
    assert dataset["log_rank_loss"].sel(sweep="medium").max() > 0


@pytest.fixture(scope="module")
def in_one_third() -> Decoded:
    """Give a decoding of neurons that see the left third of the image alone, and nearly all of them a third of that."""
    small = {"n_neurons": 600, "n_stimuli": 600, "height": 24, "width": 72, "n_subunits": 200, "n_broad_factors": 10}
    planted = {"field_region": (0, 24, 0, 24), "signal_to_noise": 3.0, "n_spontaneous": 50}
    session = simulate("demo", seed=5, settings={**small, **planted})
    is_dense = session.truth.planted["field_column"] < 8
    kept = session.select_neurons(is_dense | (np.arange(600) % 12 == 0), "one in twelve outside the dense part")
    settings = DefaultSettings(spaces=(), stride=2, widths=(0.75, 1.5), n_orientations=2, fit=FitSettings(n_epochs=0))
    return decode(kept, "default", settings, seed=5, test_fraction=0.2, n_resamples=200, response_transform="identity")


@pytest.mark.long
def test_fields_planted_in_one_third_are_found_and_explained_by_coverage(in_one_third: Decoded) -> None:
    result = analyse_occlusion(in_one_third, OcclusionSettings(n_images=64, spacing=0.167))
    found = {finding.name: finding for finding in result.findings()}

    dataset = result.to_dataset()
    loss = dataset["score_loss"].sel(sweep="medium").mean("image").clip(0).to_numpy()
    is_left = dataset["column"].to_numpy() < 24
    # where nothing is planted: a third of the area; a window over the edge reaches 9 pixels beyond it
    for places in (loss, dataset["coverage"].to_numpy()):
        assert places[:, is_left].sum() / places.sum() > 0.8
    # before division the loss is confined to where the fields are
    assert found["participation_score"].value < 1 / 3
    assert found["participation_score"].high < 1 / 2
    # and lies there where they are dense; after it, it is spread over what they cover
    assert found["participation_covered"].value < 0.8
    assert found["participation_normalised"].value > found["participation_covered"].value + 0.1
    assert found["participation_normalised"].value > found["participation_normalised"].null_high


def test_coverage_of_a_likelihood_is_half_the_information_about_what_a_window_takes(decoded: Decoded) -> None:
    towers = decoded.towers
    sweep = Sweep("any", 4.0, "mean", (12.0,), (6.0, 40.0), is_contrast_held=False)
    coverage = cover_windows(decoded, sweep)
    chosen = generator_for(decoded.seed, "images of coverage").permutation(decoded.train.n_stimuli)[:24]
    images = torch.from_numpy(decoded.train.images[np.sort(chosen)])

    for number, column in enumerate(sweep.columns):
        window = torch.from_numpy(np.outer(sweep.weights(12.0, 24), sweep.weights(column, 48)).astype(np.float32))
        with torch.no_grad():
            taken = towers.image_tower(images) - towers.image_tower(images * (1 - window))
            drive = towers.neural_tower.predict(taken)
            expected = float(0.5 * (drive * towers.neural_tower.whiten(drive)).sum(1).mean())
        # single precision, and differences of large scores
        assert coverage.value[0, number] == pytest.approx(expected, rel=0.01, abs=1e-3)
    assert coverage.units == "nats"


def test_nulls_of_untrained_towers_are_given_where_they_are_controls(decoded: Decoded, decoded_scratch: Decoded) -> None:
    settings = OcclusionSettings(n_images=6, spacing=0.25, n_untrained=3)
    learnt = analyse_occlusion(decoded_scratch, settings)
    given = analyse_occlusion(decoded, settings)

    change = next(finding for finding in learnt.findings() if finding.name == "participation_map")
    assert change.null_high > change.null_low
    assert learnt.to_dataset()["untrained_score_loss"].sizes == {"draw": 3, "image": 6, "coarse_row": 2, "coarse_column": 4}
    assert undescribed(learnt.to_dataset()) == []
    found = {finding.name: finding for finding in given.findings()}
    assert "changes only the gains" in found["participation_map"].reason
    assert np.isnan(found["participation_score"].null_low)
    assert "raises its score" in found["participation_score"].reason
    assert "untrained_score_loss" not in given.to_dataset()


def test_random_fields_expect_a_loss_below_zero(decoded: Decoded) -> None:
    towers = next(draw_untrained(decoded.towers, 0, 1))
    chosen, rows_and_columns = np.arange(8), place_windows((24, 48), 6.0)
    losses = measure_losses(
        towers,
        make_task(decoded.test, "averaged"),
        chosen,
        Sweep("any", 3.0, "mean", *rows_and_columns),
        np.zeros(towers.image_tower.map_shape),
    )
    assert losses.score_loss.mean() < 0


def test_towers_without_projective_fields_take_coverage_from_estimated_centres(decoded_scratch: Decoded) -> None:
    coverage, words = estimate_coverage(decoded_scratch)

    assert coverage.shape == decoded_scratch.towers.image_tower.map_shape[1:]
    assert "field centres" in words
    assert coverage.min() >= 0 < coverage.max()


def test_towers_without_projective_fields_are_covered_by_the_squared_window(decoded_scratch: Decoded) -> None:
    places, _ = estimate_coverage(decoded_scratch)
    sweep = Sweep("any", 5.0, "mean", (8.0, 15.0), (10.0, 30.0, 44.0))
    coverage = cover_windows(decoded_scratch, sweep)

    # the pixel in the middle of each place
    rows, columns = (((np.arange(n) + 0.5) * size / n - 0.5).round() for n, size in zip(places.shape, (24, 48), strict=True))
    for i, j in np.ndindex(2, 3):
        down, across = rows[:, None] - sweep.rows[i], columns[None] - sweep.columns[j]
        # a Gaussian of five pixels, cut off beyond three deviations along each axis
        window = np.exp(-(down**2 + across**2) / (2 * 5**2)) * (np.maximum(abs(down), abs(across)) <= 15)
        assert coverage.value[i, j] == pytest.approx((window**2 * places).sum())


def test_coverage_of_projective_fields_is_their_fisher_information(decoded: Decoded) -> None:
    tower = decoded.towers.neural_tower
    n = len(decoded.towers.image_tower.channels)
    places = [(2, 3), (6, 12), (11, 23)]

    coverage, _ = estimate_coverage(decoded)

    for row, column in places:
        unit = torch.zeros(n, *tower.map_shape)
        unit[torch.arange(n), torch.arange(n), row, column] = 1.0
        with torch.no_grad():
            drive = tower.predict(unit)
            expected = float((drive * tower.whiten(drive)).sum())
        # single precision
        assert coverage[row, column] == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_results_open_with_units(decoded: Decoded) -> None:
    dataset = analyse_occlusion(decoded, OcclusionSettings(n_images=4, spacing=0.5, n_untrained=1)).to_dataset()

    assert dataset["score_loss"].dims == ("sweep", "image", "row", "column")
    assert dataset["row"].attrs["units"] == "pixel"
    assert dataset.attrs["deg_per_pixel"] == decoded.recording.deg_per_pixel
