"""The page shows frequency, shape, conditions and capacity with chance, units and words, also where nothing was found."""

import json
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from matplotlib.text import Text

from dina.analyses import ANALYSES
from dina.analyses.altered_gallery import first_places
from dina.analyses.conditions.compute import ConditionsResult, MatchedConditions
from dina.analyses.paired_resampling import PairedResampling, score_margins
from dina.analyses.shape_texture.altered_images import ALTERATIONS
from dina.analyses.shape_texture.compute import ShapeTextureResult, describe_refit
from dina.analyses.spatial_frequency.compute import SpatialFrequencyRefitResult, SpatialFrequencyResult
from dina.analyses.spatial_frequency.frequency_curves import FrequencyCurves
from dina.analyses.spatial_frequency.map_capacity import MapCapacityResult
from dina.analyses.spatial_frequency.page import draw_spatial_frequency
from dina.figures.parts import Section
from dina.figures.style import COLOURS
from dina.figures.words import percent
from dina.recordings.recording import Recording
from dina.statistics.finding import Finding
from report.figure_faults import faults_of

N = 24
FREQUENCY = np.append(0.25 * 2.0 ** (-np.arange(12, -1, -1) / 3), 0.36)
DRAW = PairedResampling.draw(N, 100, seed=0)


def scores(signal: float, seed: int) -> np.ndarray:
    return signal * np.eye(N) + np.random.default_rng(seed).standard_normal((N, N))


def tables(signals: list[float]) -> np.ndarray:
    return np.stack([first_places(scores(signal, number)) for number, signal in enumerate(signals)])


def curves(signal: float) -> FrequencyCurves:
    rising = [signal * min(1.0, k / 8) for k in range(len(FREQUENCY))]
    margin = np.stack([score_margins(scores(s, 5)) for s in [0.0, *rising]])
    bands, replaced = tables([3, 1, 0]), tables([0.0, *rising])
    return FrequencyCurves(FREQUENCY, np.array([0.03, 0.1, 0.2]), 0.25, tables(rising), bands, replaced, tables([0])[0], margin)


def of_everything(signal: float, recording: Recording) -> dict[str, object]:
    """Return one result of each analysis, from queries that find their images as well as the signal lets them."""
    n = len(ALTERATIONS)
    examples = np.random.default_rng(0).standard_normal((n + 1, 3, 12, 30)).astype(np.float32)
    matched = MatchedConditions(
        (recording, recording), np.arange(N), np.array([0.4, 0.3]), np.array([0.3, 0.3]), np.ones(2, bool)
    )
    many = tables([signal] * n)
    return {
        "spatial_frequency": SpatialFrequencyResult(curves(signal), DRAW, "cycles/degree"),
        "shape_texture": ShapeTextureResult(
            tables([signal] * 2), np.stack([many, many]), tables([0.0] * n), np.ones(N), np.arange(3), examples, DRAW
        ),
        "conditions": ConditionsResult(
            ("natural", "8D"), tables([signal] * 2), tables([signal] * 2), tables([9.0] * 2), matched, 100, 0, DRAW
        ),
        "spatial_frequency_refit": SpatialFrequencyRefitResult(
            FREQUENCY, curves(signal).low_pass, tables([0])[0], 0.25, "cycles/degree", DRAW
        ),
        "shape_texture_refit": describe_refit(tables([signal])[0], many, DRAW),
        "map_capacity": MapCapacityResult(
            ("4 × 16", "8 × 32", "16 × 64", "first"),
            np.array([(1, 4, 16), (1, 8, 32), (1, 16, 64), (1, 16, 64)]),
            (True, True, True, False),
            tuple(curves(signal) for _ in range(4)),
            5,
            "cycles/degree",
            0,
            DRAW,
        ),
    }


def section_of(name: str, result: object, folder: object) -> Section:
    """Draw a section from what was written and read again, as a report does."""
    path = folder / f"{name}.nc"
    result.to_dataset().to_netcdf(path, engine="h5netcdf")
    told = json.loads(json.dumps([finding.to_json() for finding in result.findings()]))
    with xr.open_dataset(path, engine="h5netcdf") as dataset:
        return ANALYSES[name].draw(dataset.load(), tuple(Finding.from_json(one) for one in told))


NAMES = ["spatial_frequency", "shape_texture", "conditions", "spatial_frequency_refit", "shape_texture_refit", "map_capacity"]


@pytest.mark.parametrize("signal", [4.0, 0.0])
@pytest.mark.parametrize("name", NAMES)
def test_a_section_can_be_drawn_from_its_file_alone(name: str, signal: float, small_session: Recording, tmp_path: object) -> None:
    section = section_of(name, of_everything(signal, small_session)[name], tmp_path)
    if not section.figures:
        assert signal == 0.0
        assert section.missing
        assert not section.paragraphs
        return
    (part,) = section.figures
    part.figure.draw_without_rendering()
    assert faults_of(part.figure) == []
    assert part.table.rows or section.missing
    assert all(len(row) == len(part.table.columns) for row in part.table.rows)
    assert "nan" not in " ".join([part.caption, part.alternative, *section.paragraphs, *map(" ".join, part.table.rows)])
    labels = [axes.get_xlabel() + axes.get_ylabel() for axes in part.figure.axes]
    assert any("%" in label for label in labels)


def test_a_coarse_result_is_laid_to_the_maps_only_if_the_edge_follows_their_size(small_session: Recording) -> None:
    result = of_everything(4.0, small_session)["map_capacity"]
    dataset, found = result.to_dataset(), {one.name: one for one in result.findings()}
    for value, said in (
        (0.5, "The edge follows the size, so"),
        (0.05, "does not rise with the size beyond its null"),
        (np.nan, "If the edge followed"),
    ):
        slope = Finding(
            "edge_per_capacity",
            value,
            "octave",
            3,
            value - 0.1,
            value + 0.1,
            -0.2,
            0.2,
            "sizes permuted",
            reason="x" * (value != value),
        )
        section = ANALYSES["map_capacity"].draw(dataset, tuple((found | {slope.name: slope}).values()))
        assert said in section.paragraphs[1]


@pytest.mark.parametrize("name", ["spatial_frequency", "spatial_frequency_refit"])
def test_the_nyquist_limit_is_drawn(name: str, small_session: Recording, tmp_path: object) -> None:
    (part,) = section_of(name, of_everything(4.0, small_session)[name], tmp_path).figures
    for axes in part.figure.axes:
        upright = [line.get_xdata()[0] for line in axes.lines if len(set(line.get_xdata())) == 1]
        assert 0.25 in upright


def test_neurally_derived_images_are_shown_with_their_caveat(small_session: Recording, tmp_path: object) -> None:
    result = of_everything(4.0, small_session)["conditions"]
    section = section_of("conditions", result, tmp_path)
    (said,) = [text for text in section.paragraphs if "put in by neurons" in text]
    assert said.startswith(" and ".join(name for name in result.conditions if name in ("8D", "4D")) + " images are projections")


def test_nothing_is_shown_as_transferred_within_the_first_condition(small_session: Recording, tmp_path: object) -> None:
    section = section_of("conditions", of_everything(4.0, small_session)["conditions"], tmp_path)
    (hollow,) = [line for line in section.figures[0].figure.axes[0].lines if line.get_label() == "trained on natural"]
    assert np.isfinite(hollow.get_ydata()).tolist() == [False, True]
    assert "Minus that of natural" in section.paragraphs[0]


def test_conditions_of_other_neurons_are_shown_without_transfer(small_session: Recording) -> None:
    same = of_everything(4.0, small_session)["conditions"]
    moved = np.where(np.arange(2)[:, None, None] == 0, same.transferred, np.nan)
    result = replace(same, transferred=moved, matched=replace(same.matched, has_same_neurons=np.array([True, False])))
    section = ANALYSES["conditions"].draw(result.to_dataset(), result.findings())
    assert any("do not say that their neurons are the same" in text for text in section.paragraphs)
    assert "nan" not in str(section.figures[0].table.rows).lower()
    assert not any(line.get_label() == "trained on natural" for line in section.figures[0].figure.axes[0].lines)


def test_replaced_content_and_removed_content_have_two_names(small_session: Recording) -> None:
    result = of_everything(4.0, small_session)["spatial_frequency"]
    findings = tuple(
        replace(one, null_low=-1.0, null_high=9.0) if one.name == "frequency_edge" else one for one in result.findings()
    )
    section = ANALYSES["spatial_frequency"].draw(result.to_dataset(), findings)
    (said,), (part,) = section.paragraphs, section.figures
    assert "; chance: anywhere, even beyond the Nyquist limit (" in said
    assert said.startswith("No edge can be told from chance: the matched signal ends at ")
    assert "if everything else comes from another image" in said
    assert "alone" not in said
    zero = percent(result.to_dataset().attrs["foreign_top1"])
    assert f"nothing but foreign images of the same contrast ({zero}), not chance" in said
    assert "one octave alone: all else is removed" in part.caption
    refit = of_everything(4.0, small_session)["spatial_frequency_refit"]
    (part,) = ANALYSES["spatial_frequency_refit"].draw(refit.to_dataset(), refit.findings()).figures
    assert not any("another image" in row[0] and row[0].startswith("accuracy kept") for row in part.table.rows)


def test_without_signal_no_frequency_is_named(small_session: Recording, tmp_path: object) -> None:
    section = section_of("spatial_frequency", of_everything(0.0, small_session)["spatial_frequency"], tmp_path)
    assert "frequency edge could not be estimated" in section.paragraphs[0]
    assert "–" not in section.paragraphs[0]
    assert "purple" not in section.figures[0].caption
    assert any("accuracy kept if everything" in reason for reason in section.missing)
    assert len(section.figures[0].figure.axes) == 2  # of the matched signal nothing is drawn or said
    assert "share of the score" not in section.figures[0].caption
    assert any(reason.startswith("matched signal by cut-off: ") for reason in section.missing)


def test_without_signal_no_share_of_an_alteration_is_named(small_session: Recording, tmp_path: object) -> None:
    section = section_of("shape_texture", of_everything(0.0, small_session)["shape_texture"], tmp_path)
    assert "–" not in section.paragraphs[1]
    (part,) = section.figures
    assert part.table.rows == ()
    assert not part.figure.legends
    assert "not known" in {text.get_text() for text in part.figure.findobj(Text)}
    assert "hollow" not in part.caption
    assert any("share kept by" in reason for reason in section.missing)


def test_the_row_of_an_alteration_stands_beside_its_examples(small_session: Recording, tmp_path: object) -> None:
    (part,) = section_of("shape_texture", of_everything(4.0, small_session)["shape_texture"], tmp_path).figures
    words = {text.get_text() for text in part.figure.findobj(Text)}
    assert part.figure.legends  # outside the axes, so that it lies on no interval
    assert not any(axes.get_legend() for axes in part.figure.axes)
    assert {"original", "phases only", "texture in place", "shape kept", "contrast alone, for responses"} <= words


def test_every_curve_of_frequency_has_its_interval_and_the_matched_signal_its_null(small_session: Recording) -> None:
    dataset = of_everything(4.0, small_session)["spatial_frequency"].to_dataset()
    first, second, third = draw_spatial_frequency(dataset, (np.nan, np.nan, np.nan)).axes
    # interval and null; the interval of the other curve is two thin lines, as two bands would look like the null
    assert [len(axes.collections) for axes in (first, second, third)] == [2, 2, 2]
    assert sum(line.get_linewidth() < 1 and line.get_color() == COLOURS["rival"][0] for line in first.lines) == 2
    assert not first.texts  # the names of the curves stand outside, where no curve is
    assert [text.get_text() for text in first.figure.legends[0].texts] == [
        "a: another image above the cut-off",
        "a: nothing above it",
    ]
    lowest = min(path.vertices[:, 1].min() for path in second.collections[0].get_paths())
    assert lowest == pytest.approx(100 * float(dataset["matched_signal_null_low"].min()))
