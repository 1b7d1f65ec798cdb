"""A decoding gives the maps of both towers, takes numbers of any library, and answers questions without files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from dina.analyses import Analysis, Decoded, PlainResult, analyse, decode, draw_analysis
from dina.checks import DataError
from dina.data.pairs import Gallery, Queries
from dina.explorer.kept_maps import STEP, keep_maps
from dina.recordings.recording import Recording
from dina.statistics.finding import Finding
from dina.study.run_directory import Run
from dina.training.presets.default import DefaultSettings
from dina.training.presets.scratch import ScratchSettings


@pytest.fixture(scope="module")
def decoded(small_session: Recording) -> Decoded:
    settings = ScratchSettings(map_channels=2, pathway_width=8, rank=16)
    short = settings.model_copy(update={"fit": settings.fit.model_copy(update={"n_epochs": 1})})
    return decode(
        small_session, "scratch", short, response_transform="power 0.5"
    )  # without a gain, whatever a machine would choose


def test_maps_are_those_of_the_towers(decoded: Decoded) -> None:
    test = decoded.test
    assert np.array_equal(decoded.encode_images(), decoded.towers.encode_images(test.images))
    assert np.array_equal(decoded.encode_images(decoded.recording.images[test.stimulus_id]), decoded.encode_images())
    trials = np.flatnonzero(np.isin(decoded.recording.stimulus_id, test.stimulus_id))
    maps = decoded.encode_responses(decoded.recording.responses[trials])
    assert np.allclose(maps, decoded.towers.encode_responses(test.responses), atol=1e-5)
    assert decoded.channel_names == ("channel 1", "channel 2")
    assert decoded.image_maps().shape == decoded.posterior_mean().shape == (8, 2, *decoded.towers.image_tower.map_shape[1:])


@pytest.mark.long
def test_the_posterior_mean_is_in_the_unit_of_the_image_maps(small_session: Recording) -> None:
    settings = DefaultSettings(spaces=(), widths=(1.1,))
    decoded = decode(small_session, "default", settings)
    images, expected = decoded.image_maps(), decoded.posterior_mean()
    assert images.shape[1] == len(decoded.channel_names) < decoded.encode_images().shape[1]
    assert "luminance" in decoded.channel_names
    assert expected.shape == images.shape
    assert decoded.maps.form == "posterior mean of the image's map, given the response"


def test_tables_lists_and_labelled_arrays_are_taken(decoded: Decoded) -> None:
    responses, images = decoded.recording.responses[:3], decoded.recording.images[:2]
    expected = decoded.encode_responses(responses)
    for given in (responses.tolist(), pd.DataFrame(responses), xr.DataArray(responses.T, dims=("neuron", "trial"))):
        assert np.array_equal(decoded.encode_responses(given), expected)
    assert np.array_equal(decoded.encode_images(images.tolist()), decoded.encode_images(images))
    assert np.array_equal(decoded.encode_images(images[:, 0]), decoded.encode_images(images))  # a single channel needs no axis


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ((24, 48), r"For one image, give images\[None\]\."),
        ((2, 24, 48, 1), r"Put the channels before height and width: images\.transpose\(0, 3, 1, 2\)\."),
        ((2, 3, 24, 48), r"Give 1 channels in place of 3\."),
        ((2, 24, 40), r"Resize them\."),
        ((48,), r"Give one array with the axes image, channel, height and width\."),
    ],
)
def test_images_of_another_shape_are_refused_with_what_to_do(decoded: Decoded, given: tuple[int, ...], advice: str) -> None:
    with pytest.raises(DataError, match=rf"images must be \(n_images, 1, 24, 48\).*{advice}"):
        decoded.encode_images(np.zeros(given))


def test_other_recordings_reach_an_analysis_that_reads_them(decoded: Decoded) -> None:
    def count_others(decoded: Decoded) -> PlainResult:
        return PlainResult(xr.Dataset({"n": ((), len(decoded.others))}), (Finding("n", len(decoded.others), "1", 1),))

    row = Analysis(count_others, "image", "How many?", reads_others=True)
    result = analyse(decoded, row, others=decoded.recording)
    assert result.to_dataset()["n"] == 1
    assert isinstance(result, PlainResult)
    assert result.table()[["name", "value"]].to_numpy().tolist() == [["n", 1]]
    assert decoded.others == ()
    with pytest.raises(DataError, match="count_others reads no other recordings; conditions does"):
        analyse(decoded, count_others, others=[decoded.recording])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([[1.0, 2.0]], r"responses must be \(n_trials, 60\)"),
        ([[1.0], [1.0, 2.0]], "responses cannot be made an array"),
        ("all", "responses must hold real numbers"),
        ({"a": 1}, "responses must hold real numbers"),
        (np.full((2, 60), np.nan), "responses must be finite"),
    ],
)
def test_what_are_no_responses_is_refused(decoded: Decoded, given: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        decoded.encode_responses(given)


def test_an_analysis_is_named_or_given_as_a_function(decoded: Decoded) -> None:
    def count(decoded: Decoded) -> PlainResult:
        return PlainResult(xr.Dataset({"n": ((), decoded.test.n_stimuli)}), ())

    assert analyse(decoded, count).to_dataset()["n"] == 8
    result = analyse(decoded, "neuron_profiles")
    assert result.to_dataset().sizes["neuron"] == 60
    figures = draw_analysis("neuron_profiles", result)
    assert "neuron_distributions" in figures
    assert all(figure.axes for figure in figures.values())
    assert draw_analysis(count, analyse(decoded, count)) == {}
    with pytest.raises(DataError, match=r"Unknown analysis 'oclusion'\. Did you mean 'occlusion'"):
        analyse(decoded, "oclusion")
    with pytest.raises(DataError, match="has no settings; got n"):
        analyse(decoded, "neuron_profiles", {"n": 3})
    with pytest.raises(
        DataError, match=r"must return a result with to_dataset\(\) and findings\(\), such as a PlainResult; got int"
    ):
        analyse(decoded, lambda decoded: 3)


def test_scores_are_those_of_the_towers_with_the_right_images_on_the_diagonal(decoded: Decoded) -> None:
    test = decoded.test
    queries, gallery = (
        Queries(test.averaged(), test.total_presentations()),
        Gallery(test.images[::-1].copy(), test.stimulus_id[::-1]),
    )
    reversed_order = decoded.towers.score(queries, gallery)
    # batches of another order add up in another order
    np.testing.assert_allclose(decoded.scores(), reversed_order[:, ::-1], rtol=1e-5, atol=1e-5)


def test_maps_kept_for_the_explorer_are_those_that_analyses_compare(decoded: Decoded, tmp_path: Path) -> None:
    run = Run(tmp_path)
    kept = keep_maps(run, decoded)
    height, width = kept.attrs["block_rows"], kept.attrs["block_columns"]
    for name, maps in (("image_maps", decoded.image_maps()), ("neural_maps", decoded.posterior_mean())):
        blocks = xr.DataArray(maps, dims=("image", "channel", "y", "x")).coarsen(y=height, x=width, boundary="trim").mean()
        # rounded to steps, cut off at 127 of them
        np.testing.assert_allclose(kept[name] * STEP, blocks.to_numpy().clip(-127 * STEP, 127 * STEP), atol=0.5001 * STEP)
    np.testing.assert_array_equal(kept["stimulus_id"], decoded.test.stimulus_id)
    # averages in the units of the recording: those of its own trials
    recording, image = decoded.recording, int(decoded.test.stimulus_id[4])
    mean = recording.responses[recording.stimulus_id == image].mean(axis=0)
    np.testing.assert_allclose(kept["response"][4], mean, rtol=1e-4, atol=1e-4)  # single precision, through a transform and back
    assert tuple(kept["channel"].to_numpy()) == decoded.channel_names
