"""The page shows maps, spectra, masking and occlusion with nulls, units and words, for V1-like and for learnt towers."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import xarray as xr
from matplotlib.text import Text

from dina.analyses import ANALYSES, Decoded, decode
from dina.analyses.occlusion.compute import OcclusionSettings, analyse_occlusion
from dina.analyses.pathways.compute import PathwayMaskingSettings, analyse_pathway_masking
from dina.figures.image_names import name_images
from dina.figures.parts import Section
from dina.recordings.simulator import simulate
from dina.statistics.finding import Finding
from dina.training.fit import FitSettings
from dina.training.presets.default import DefaultSettings
from dina.training.presets.scratch import ScratchSettings
from report.figure_faults import faults_of

SETTINGS = {
    "default": DefaultSettings(spaces=("pixels",), stride=2, widths=(0.75,), n_orientations=2, fit=FitSettings(n_epochs=0)),
    "scratch": ScratchSettings(pathway_width=4, rank=8, fit=FitSettings(n_epochs=2, batch_size=64)),
}
NAMES = ("feature_maps", "variance_spectra", "pathway_masking", "occlusion")


@pytest.fixture(scope="module", params=list(SETTINGS))
def decoding(request: pytest.FixtureRequest) -> Decoded:
    small = {"n_neurons": 50, "n_stimuli": 150, "height": 20, "width": 40, "n_subunits": 40, "n_broad_factors": 10}
    session = simulate("demo", seed=1, settings={**small, "n_spontaneous": 20, "signal_to_noise": 2.0})
    return decode(session, request.param, SETTINGS[request.param], seed=1, test_fraction=0.25, n_resamples=50)


@cache
def result_of(name: str, decoding: Decoded):
    if name == "occlusion":
        return analyse_occlusion(decoding, OcclusionSettings(n_images=4, spacing=0.4, n_untrained=3))
    if name == "pathway_masking":
        return analyse_pathway_masking(decoding, PathwayMaskingSettings(n_similarity=10, n_random=20))
    return ANALYSES[name].run(decoding)


def words_of(section: Section) -> str:
    drawn = [text.get_text() for part in section.figures for text in part.figure.findobj(Text)]
    told = [" ".join((part.caption, part.alternative, *part.table.columns)) for part in section.figures]
    return " ".join((*section.paragraphs, *told, *drawn))


@pytest.mark.parametrize("name", NAMES)
def test_a_section_is_drawn_from_the_dataset_alone(name: str, decoding: Decoded) -> None:
    result = result_of(name, decoding)
    # as read from disk: findings as JSON, the dataset without any object behind it
    findings = tuple(Finding.from_json(finding.to_json()) for finding in result.findings())
    section = ANALYSES[name].draw(xr.Dataset.from_dict(result.to_dataset().to_dict()), findings)

    assert section.figures
    assert all(part.table.rows for part in section.figures)
    assert "nan" not in words_of(section)
    assert "95\u202f%" in words_of(section)
    for part in section.figures:
        part.figure.draw_without_rendering()  # layout and all labels
        assert faults_of(part.figure) == []


def test_reasons_for_what_is_missing_are_told(decoding: Decoded) -> None:
    result = result_of("variance_spectra", decoding)
    section = ANALYSES["variance_spectra"].draw(result.to_dataset(), result.findings())
    assert len(section.missing) == len({finding.reason for finding in result.findings() if finding.reason})


def test_two_nulls_of_pathways_have_two_names(decoding: Decoded) -> None:
    result = result_of("pathway_masking", decoding)
    dataset, findings = result.to_dataset().copy(deep=True), {one.name: one for one in result.findings()}
    dataset["shapley"].loc[{"statistic": "null_low"}] = -1.0
    dataset["shapley"].loc[{"statistic": "null_high"}] = 1.0
    seen = {
        one.name: replace(one, value=0.5, null_low=0.0, null_high=0.1) if one.name == "top1_full" else one
        for one in findings.values()
    }
    (said,) = ANALYSES["pathway_masking"].draw(dataset, tuple(seen.values())).paragraphs
    assert "; chance: " in said
    assert "Channels assigned to the pathways at random would contribute: local −100.0 to +100.0\u202fpoints; global" in said
    assert "no pathway contributes more or less than they do" in said

    assert ("The local channels are not the local pathway" in said) == ("top1_loss_space_gabor_channels" in seen)
    assert "a network trained on photographs" not in said
    network = {"top1_loss_space_trained_network": replace(seen["top1_loss_local"], name="top1_loss_space_trained_network")}
    (said,) = ANALYSES["pathway_masking"].draw(dataset, tuple((seen | network).values())).paragraphs
    assert "The global pathway contains a network trained on photographs; the accuracy lost if it alone is masked is" in said
    dataset["shapley"].loc[{"statistic": ["value", "low", "high", "null_low", "null_high"]}] = [0.5, 0.4, 0.6, 0.1, 0.45]
    (said,) = ANALYSES["pathway_masking"].draw(dataset, tuple(seen.values())).paragraphs
    assert "the local pathway does not certainly contribute more than they do" in said
    dataset["shapley"].loc[{"statistic": "null_high"}] = 0.3
    (said,) = ANALYSES["pathway_masking"].draw(dataset, tuple(seen.values())).paragraphs
    assert "the local pathway contributes more than they do" in said

    nothing = replace(seen["top1_full"], value=0.05)
    section = ANALYSES["pathway_masking"].draw(dataset, tuple((seen | {"top1_full": nothing}).values()))
    assert [part.name for part in section.figures] == ["pathway_masking"]
    assert section.missing[-1].startswith("contributions of the pathways: This is no more than chance")


def test_degrees_are_shown_only_where_they_are_known(decoding: Decoded) -> None:
    result = result_of("occlusion", decoding)
    dataset = result.to_dataset().copy()
    assert "degrees" in words_of(ANALYSES["occlusion"].draw(dataset, result.findings()))
    del dataset.attrs["deg_per_pixel"]
    assert "pixels" in words_of(ANALYSES["occlusion"].draw(dataset, result.findings()))


def test_towers_that_lose_nothing_anywhere_say_that_nothing_can_be_said() -> None:
    places = np.zeros((3, 2, 4, 5))
    dataset = xr.Dataset(
        {
            **{name: (("sweep", "image", "row", "column"), places) for name in ("map_change", "score_loss", "log_rank_loss")},
            "untrained_score_loss": (("draw", "image", "coarse_row", "coarse_column"), np.zeros((2, 2, 2, 3))),
            "coverage": (("row", "column"), np.ones((4, 5)), {"long_name": "any"}),
            "score_loss_by_coverage": (("row", "column"), np.full((4, 5), np.nan)),
            "stimulus_id": ("image", [3, 9]),
            "deviation_px": ("sweep", [1.0, 2.0, 4.0]),
        },
        {"sweep": ["small", "medium", "large"], "row": np.arange(4.0), "column": np.arange(5.0)},
        {"height": 8, "width": 10},
    )
    names = ("participation_score", "participation_normalised", "participation_coverage")
    findings = tuple(Finding(name, np.nan, "1", 2, reason="Nothing was lost.") for name in names)

    section = ANALYSES["occlusion"].draw(dataset, findings)

    assert "It is not known where" in section.paragraphs[0]
    section.figures[0].figure.draw_without_rendering()


def test_losses_under_windows_of_one_size_share_one_scale_of_colours(decoding: Decoded) -> None:
    result = result_of("occlusion", decoding)
    dataset = result.to_dataset()
    ids = dataset["stimulus_id"].to_numpy()
    pictures = ("gallery", "thumbnail_height", "thumbnail_width"), np.zeros((len(ids), 4, 9), dtype=np.uint8)
    files = ("gallery", [f"{number}.png" for number in ids])
    gallery = xr.Dataset({"stimulus_id": ("gallery", ids), "thumbnail": pictures, "image_name": files})
    figure = ANALYSES["occlusion"].draw(name_images(dataset, gallery), result.findings()).figures[0].figure
    panels = [axes for axes in figure.axes if axes.images]
    sweeps = panels[: dataset.sizes["sweep"]]

    loss, size = dataset["score_loss"].mean("image").to_numpy(), dataset["deviation_px"].to_numpy()
    for axes, one in zip(sweeps, size, strict=True):
        # a window of another size may lose far more: its scale would leave this map blank
        assert axes.images[0].norm.vmax == pytest.approx(float(np.abs(loss[size == one]).max()))
    assert all("loss of score (nats)" in [text.get_text() for text in axes.texts] for axes in sweeps)
    titles = " ".join(axes.get_title(loc="left") for axes in panels)
    assert "faded to blur" in titles
    single = [axes for axes in panels if axes.get_title(loc="left").startswith("loss, ")]
    for axes in single:  # so that no map of a single image is blank beside that of another
        assert axes.images[0].norm.vmax == pytest.approx(float(np.abs(axes.images[0].get_array()).max()))
    shown = [axes for axes in panels if axes.images[0].get_array().shape == (4, 9)]
    assert len(shown) == 3  # each above its map
    assert all(f"loss, {axes.get_title(loc='left')}" in titles for axes in shown)
    assert all(axes.get_title(loc="left").endswith(".png") for axes in shown)
    assert ("gain follows contrast" in titles) == ("contrast" in dataset["sweep"].to_numpy())


def test_loss_and_coverage_are_called_alike_only_beyond_their_null(decoding: Decoded) -> None:
    result = result_of("occlusion", decoding)
    found = {one.name: one for one in result.findings()}
    given = {
        name: replace(found[name], value=0.5, low=0.4, high=0.6, reason="")
        for name in ("participation_score", "participation_normalised")
    }
    for top, said in ((0.9, "correlated no more than in the null: 0.8"), (0.7, "correlated more than in the null: 0.8")):
        one = replace(found["coverage_correlation"], value=0.8, low=0.7, high=0.9, null_low=-0.9, null_high=top, null="shifted")
        section = ANALYSES["occlusion"].draw(result.to_dataset(), tuple((found | given | {one.name: one}).values()))
        assert said in section.paragraphs[0]


def test_maps_have_a_scale_with_its_unit_and_places_in_degrees(decoding: Decoded) -> None:
    result = result_of("feature_maps", decoding)
    dataset = result.to_dataset().copy()
    figure = ANALYSES["feature_maps"].draw(dataset, result.findings()).figures[0].figure

    maps = [image for axes in figure.axes for image in axes.images if image.colorbar is not None]
    assert len(maps) == 3 * dataset.sizes["shown"]
    assert all("(SD)" in image.colorbar.ax.get_ylabel() for image in maps)
    # 40 pixels of 2 degrees, about the middle of the image, as fields
    assert tuple(maps[0].get_extent()[:2]) == (-40, 40)
    words = words_of(ANALYSES["feature_maps"].draw(dataset, result.findings()))
    del dataset.attrs["deg_per_pixel"]
    assert "degrees" in words
    assert "pixels" in words_of(ANALYSES["feature_maps"].draw(dataset, result.findings()))
