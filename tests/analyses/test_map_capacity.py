"""A sweep changes the map and nothing else, and its slopes tell whether the edge follows."""

from dataclasses import replace

import numpy as np
import pytest

from dina.analyses.decoded import Decoded
from dina.analyses.paired_resampling import PairedResampling
from dina.analyses.spatial_frequency.frequency_curves import FrequencyCurves
from dina.analyses.spatial_frequency.map_capacity import (
    MapCapacityResult,
    analyse_map_capacity,
    list_capacities,
    slope_per_octave,
)
from dina.checks import DataError
from dina.training.fit import FitSettings
from dina.training.presets import PresetSettings, RecordingShape, build_towers
from dina.training.presets.default import DefaultSettings
from dina.training.presets.paper import PaperSettings
from dina.training.presets.scratch import ScratchSettings

FREQUENCY = 0.5 * 2.0 ** (-np.arange(15, -1, -1) / 3)


def fabricated(edge: float, n: int = 20) -> FrequencyCurves:
    """Return curves whose matched signal rises evenly from 0.02 to an edge, for queries that all find their image."""
    frequency = np.append(FREQUENCY, 0.71)
    share = np.clip(np.log2(frequency / 0.02) / np.log2(edge / 0.02), 0, 1)
    margin = np.concatenate([[0.0], share])[:, None, None] * np.eye(n)
    tables = np.broadcast_to(np.eye(n), (len(frequency), n, n))
    replaced = np.concatenate([tables[:1], tables])
    return FrequencyCurves(frequency, np.array([0.1]), 0.5, tables, tables[:1], replaced, tables[0], margin)


def result(edges: list[float], sizes: list[tuple[int, int, int]], is_in_slope: list[bool]) -> MapCapacityResult:
    names = tuple(
        "16 × 64" if size == (1, 16, 64) and swept else f"{n}" for n, (size, swept) in enumerate(zip(sizes, is_in_slope))
    )
    curves = tuple(fabricated(edge) for edge in edges)
    draw = PairedResampling.draw(20, 200, seed=0)
    return MapCapacityResult(names, np.array(sizes), tuple(is_in_slope), curves, 5, "cycles/degree", 0, draw)


SIZES = [(1, 4, 16), (1, 8, 32), (1, 16, 64), (1, 32, 128), (4, 16, 64), (1, 16, 64)]


def test_an_edge_that_follows_the_map_has_a_slope_beyond_its_null() -> None:
    # half an octave of frequency for each octave of numbers: 0.04 at 64 numbers, 0.32 at 4,096
    edges = [0.04 * (np.prod(size) / 64) ** 0.5 for size in SIZES[:5]]
    found = {f.name: f for f in result([*edges, 0.32], SIZES, [True] * 5 + [False]).findings()}
    # edges are found to a sixth of an octave, over six octaves of size
    assert found["edge_per_capacity"].value == pytest.approx(0.5, abs=0.06)
    assert found["edge_per_capacity"].beats_null
    assert found["stage_edge_difference"].value == pytest.approx(np.log2(0.32 / edges[2]), abs=1 / 3)


def test_an_edge_that_stays_where_it_is_has_no_slope() -> None:
    found = {f.name: f for f in result([0.1] * 5, SIZES[:5], [True] * 5).findings()}
    assert found["edge_per_capacity"].value == pytest.approx(0.0, abs=1e-9)
    assert not found["edge_per_capacity"].beats_null
    assert "stage_edge_difference" not in found


def test_four_fits_make_no_line() -> None:
    found = {f.name: f for f in result([0.1, 0.2, 0.1, 0.2], SIZES[:4], [True] * 4).findings()}
    assert np.isnan(found["edge_per_capacity"].value)
    assert "needs 5 fits; 4 of 4" in found["edge_per_capacity"].reason


def test_the_largest_maps_count_even_if_their_signal_rises_up_to_the_end() -> None:
    # an edge at the corner of the frequency plane is none: the rate never falls
    one = result([0.05, 0.1, 0.2, 0.71, 0.71], SIZES[:5], [True] * 5)
    data, found = one.to_dataset(), {f.name: f for f in one.findings()}
    np.testing.assert_array_equal(data["edge_is_open"], [0, 0, 0, 1, 1])
    np.testing.assert_allclose(data["edge"][-2:], 0.5)  # the Nyquist limit
    # from 0.05 at 64 numbers to 0.5 at 4,096: more than half an octave per octave
    assert found["edge_per_capacity"].low > 0.4


def test_maps_that_all_read_up_to_the_end_have_no_slope() -> None:
    found = {f.name: f for f in result([0.71] * 5, SIZES[:5], [True] * 5).findings()}
    assert "Every fit reads up to the Nyquist limit" in found["edge_per_capacity"].reason
    assert np.isfinite(found["top1_per_capacity"].value)


def test_fits_that_find_no_more_than_chance_are_left_out() -> None:
    seen = result([0.1] * 6, [*SIZES[:5], (16, 16, 64)], [True] * 6)
    at_chance = np.broadcast_to(1 / 20, (len(FREQUENCY) + 1, 20, 20))
    blind = replace(seen.curves[1], low_pass=at_chance)
    four = replace(seen, curves=(blind, blind, *seen.curves[2:]))
    reasons = {f.name: f.reason for f in four.findings()}
    assert "4 of 6 can be used" in reasons["edge_per_capacity"]


def test_no_slope_on_places_is_asked_for_where_all_maps_have_as_many() -> None:
    channels = [(n, 9, 34) for n in (1, 2, 4, 8, 16)]
    names = [f.name for f in result([0.1] * 5, channels, [True] * 5).findings()]
    assert names == ["edge_per_capacity", "top1_per_capacity"]


def test_two_numbers_of_places_make_no_line() -> None:
    sizes = [(n, 9, 34) for n in (1, 2, 4, 8)] + [(1, 18, 68)]
    found = {f.name: f for f in result([0.1] * 5, sizes, [True] * 5).findings()}
    assert "needs maps of 3 sizes; the fits that can be used have 2" in found["edge_per_places"].reason
    assert np.isfinite(found["edge_per_capacity"].value)


def test_a_slope_is_told_per_octave() -> None:
    assert slope_per_octave(np.array([64, 256, 1024]), np.array([[1.0, 2.0, 3.0]]))[0] == pytest.approx(0.5)
    assert np.isnan(slope_per_octave(np.array([4, 4]), np.array([[1.0, 2.0]]))[0])


@pytest.mark.parametrize(
    ("preset", "settings", "expected"),
    [
        ("paper", PaperSettings(), {(1, 4, 16), (1, 32, 128), (4, 16, 64), (16, 16, 64)}),
        ("scratch", ScratchSettings(), {(1, 9, 34), (16, 9, 34)}),
        ("default", DefaultSettings(), {(105, 4, 17), (105, 34, 135), (57, 17, 68), (201, 17, 68)}),
    ],
)
def test_the_sweep_goes_from_small_to_large_maps(
    preset: str, settings: PresetSettings, expected: set[tuple[int, int, int]]
) -> None:
    swept = list_capacities(settings, (68, 270), n_epochs=3)
    shape = RecordingShape(1, 68, 270, 4)
    shapes = {build_towers(preset, one.settings, shape, 0).image_tower.map_shape for one in swept}
    assert expected <= shapes
    assert all(one.settings.fit.n_epochs <= 3 for one in swept)
    assert len({one.name for one in swept}) == len(swept)


def test_windows_keep_their_size_on_the_screen() -> None:
    swept = list_capacities(DefaultSettings(spaces=(), widths=(1.0,)), (68, 270), n_epochs=0)
    in_pixels = {one.settings.widths[0] * one.settings.stride for one in swept if one.settings.stride is not None}
    assert in_pixels == {4.0}


def test_settings_of_another_preset_are_refused() -> None:
    with pytest.raises(DataError, match="default, scratch and paper"):
        list_capacities(PresetSettings(), (68, 270), n_epochs=1)


def test_a_sweep_of_small_towers_runs_from_end_to_end(decoded_scratch: Decoded) -> None:
    brief = decoded_scratch.settings.model_copy(update={"fit": FitSettings(n_epochs=2, batch_size=64)})
    data = analyse_map_capacity(replace(decoded_scratch, settings=brief)).to_dataset()
    np.testing.assert_array_equal(data["map_shape"].sel(axis="channel"), [1, 2, 4, 8, 16])
    assert data.attrs["n_epochs"] == 2
