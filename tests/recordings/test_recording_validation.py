"""What a recording refuses, and in which words."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from scipy.sparse import csr_array

from dina.checks import DataError
from dina.recordings.recording import Recording


def parts(**changes: Any) -> dict[str, Any]:
    """Arguments of a valid recording of 6 images shown twice to 5 neurons, some of them changed."""
    generator = np.random.default_rng(0)
    valid = {
        "name": "example",
        "images": generator.integers(0, 256, (6, 1, 8, 9)).astype(np.uint8),
        "stimulus_id": np.tile(np.arange(6), 2),
        "responses": generator.random((12, 5)).astype(np.float32),
    }
    return {**valid, **changes}


def with_value(value: float) -> np.ndarray:
    responses = parts()["responses"].astype(np.float64)
    responses[3, 2] = value
    return responses


FLOATS = np.random.default_rng(2).random((6, 1, 8, 9)).astype(np.float32)

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "NaN": ({"responses": with_value(np.nan)}, r"1 NaN values in 1 of 5 neurons \(first: trial 3, neuron 2\)"),
    "infinity": ({"responses": with_value(-np.inf)}, "1 infinite values"),
    "beyond float32": ({"responses": with_value(1e39)}, r"must fit into float32 .* got 1e\+39 at trial 3, neuron 2"),
    "Python objects": ({"responses": parts()["responses"].astype(object)}, "responses must hold real numbers; got dtype object"),
    "complex": ({"responses": parts()["responses"] + 0j}, "got dtype complex"),
    "truth values": ({"responses": parts()["responses"] > 0.5}, "got dtype bool"),
    "one axis": ({"responses": np.arange(12.0)}, r"responses must be \(n_trials, n_neurons\); got shape \(12,\)"),
    "three axes": ({"responses": np.zeros((2, 6, 5))}, "names the axes"),
    "transposed": ({"responses": parts()["responses"].T}, "5 x 12 with 12 stimulus ids, which looks like neurons x trials"),
    "no neurons": ({"responses": np.zeros((12, 0))}, "got 12 trials, 0 neurons"),
    "one trial": ({"responses": np.zeros((1, 5)), "stimulus_id": np.zeros(1, int)}, "at least 2 trials"),
    "all constant": ({"responses": np.ones((12, 5))}, "responses must vary .* all 5 neurons are constant"),
    "ids in words": (
        {"stimulus_id": np.repeat("cat", 12)},
        "must be whole numbers that count from 0; got dtype <U3.*names.index",
    ),
    "ids too few": ({"stimulus_id": np.arange(6)}, "got 6 ids for 12 trials"),
    "ids 1-based": ({"stimulus_id": np.tile(np.arange(1, 7), 2)}, r"got 1 to 6, which looks 1-based \(MATLAB\).*index_base = 1"),
    "id too large": ({"stimulus_id": np.r_[np.tile(np.arange(6), 2)[:-1], 9]}, "got 9 at trial 11"),
    "id negative": ({"stimulus_id": np.r_[-1, np.tile(np.arange(6), 2)[1:]]}, "got -1 at trial 0"),
    "id wrapped": ({"stimulus_id": np.full(12, 2**64 - 1, dtype=np.uint64)}, r"below 2\*\*31"),
    "id fractional": ({"stimulus_id": np.tile(np.arange(6), 2) + 0.5}, "whole numbers; got 0.5 at position 0"),
    "one image shown": ({"stimulus_id": np.zeros(12, int)}, "every trial shows the same"),
    "images without channel": ({"images": parts()["images"][:, 0]}, r"1 or 3 channels; got shape \(6, 8, 9\)"),
    "images RGBA": ({"images": np.repeat(parts()["images"], 4, axis=1)}, "1 or 3 channels"),
    "images identical": ({"images": np.full((6, 1, 8, 9), 7, np.uint8)}, "all 6 are identical"),
    "images NaN": ({"images": np.where(FLOATS > 0.99, np.nan, FLOATS * 255)}, "images must be finite"),
    "images 0 to 1": ({"images": FLOATS}, r"span .* but mid_grey is 128 .*mid_grey = 0.5"),
    "images 16-bit": ({"images": (FLOATS * 65535).astype(np.uint16)}, "must suit the pixels"),
    "images of 0 and 1 in 8 bits": ({"images": parts()["images"] // 128}, r"span 0 to 1, but mid_grey is 128"),
    "one neuron": ({"responses": parts()["responses"][:, :1]}, "at least 2 trials, 2 images and 2 neurons; got 12, 6 and 1"),
    "masked responses": (
        {"responses": np.ma.masked_less(parts()["responses"], 0.1)},
        r"responses must .* entries are masked. Fill",
    ),
    "masked ids": ({"stimulus_id": np.ma.masked_equal(np.tile(np.arange(6), 2), 3)}, "stimulus_id must .* 2 entries are masked"),
    "ragged list": (
        {"responses": [[1.0, 2.0], [3.0]]},
        r"responses cannot be made an array: .*Give a numpy array of \(trial, neuron\)",
    ),
    "no name": ({"name": " "}, "must have a name"),
    "animal of spaces": ({"animal": " "}, "animal must be a word"),
    "area of spaces": ({"area": "V1 "}, "area must be a word without spaces around it"),
    "labels too few": ({"labels": np.array(["a"])}, r"labels must be \(n_stimuli\) = \(6\)"),
    "positions transposed": ({"neuron_position_um": np.zeros((3, 5))}, r"neuron_position_um must be .*= \(5, 3\)"),
    "positions infinite": ({"neuron_position_um": np.full((5, 3), np.inf)}, "NaN where unknown"),
    "spontaneous of others": ({"spontaneous": np.zeros((4, 6))}, r"= \(any, 5\); got shape \(4, 6\)"),
    "spontaneous NaN": ({"spontaneous": np.full((4, 5), np.nan)}, "spontaneous must be finite; got 20 NaN"),
    "never presented": ({"n_presentations": np.r_[0, np.ones(11, int)]}, "n_presentations must be at least 1; got 0 at trial 0"),
    "red as numbers": ({"is_red": np.zeros(5)}, "is_red must be true or false"),
    "degrees": ({"deg_per_pixel": 0.0}, "deg_per_pixel must be positive"),
    "contrast scale": ({"contrast_scale": 0.0}, "contrast_scale positive"),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("case", REFUSED)
def test_unusable_data_are_refused_in_one_sentence_that_names_the_fault(case: str) -> None:
    changes, message = REFUSED[case]
    with pytest.raises(DataError, match=message) as caught:
        Recording(**parts(**changes))
    assert len(str(caught.value)) < 400
    assert str(caught.value).endswith(".")


def test_the_unchanged_parts_make_a_recording() -> None:
    recording = Recording(**parts())
    assert (recording.n_trials, recording.n_neurons, recording.n_stimuli) == (12, 5, 6)
    assert recording.repeats_per_stimulus().tolist() == [2] * 6


@pytest.mark.usefixtures("unchecked")
def test_integers_and_double_precision_become_float32_without_wrapping_around() -> None:
    responses = np.array([[-128, 127], [5, 0]], dtype=np.int8)
    recording = Recording(**parts(responses=responses, stimulus_id=np.array([3.0, 1.0])))
    assert recording.responses.dtype == np.float32
    assert recording.responses.tolist() == [[-128.0, 127.0], [5.0, 0.0]]
    assert recording.notes == ("Responses are stored as whole numbers (int8).",)
    assert recording.stimulus_id.dtype == np.int64
    assert recording.stimulus_id.tolist() == [3, 1]


def test_a_note_is_one_line_in_memory_and_in_a_file(tmp_path: Path) -> None:
    Recording(**parts(notes=("Columns of a\nAll is well.csv were passed over.",))).write(tmp_path / "m1.nc")
    assert Recording.read(tmp_path / "m1.nc").notes == (r"Columns of a\nAll is well.csv were passed over.",)


@pytest.mark.usefixtures("unchecked")
def test_float_images_are_accepted_once_their_grey_is_stated() -> None:
    recording = Recording(**parts(images=FLOATS.astype(np.float64), mid_grey=0.5, contrast_scale=0.25))
    contrast = recording.contrast(np.array([0]))
    np.testing.assert_allclose(contrast[0], (FLOATS[0] - 0.5) / 0.25, rtol=1e-6)  # float32 rounding


def test_a_neuron_that_never_changes_is_no_reason_to_refuse() -> None:
    responses = parts()["responses"].copy()
    responses[:, 1] = 0
    assert Recording(**parts(responses=responses)).n_neurons == 5


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("kind", ["list", "matrix", "unmasked", "table", "labelled", "tensor", "sparse", "backwards"])
def test_arrays_of_other_kinds_give_the_same_recording(kind: str) -> None:
    plain = parts()["responses"]
    given: dict[str, Any] = {
        "list": plain.tolist(),
        "matrix": np.asmatrix(plain),
        "unmasked": np.ma.array(plain),
        "table": pd.DataFrame(plain),
        "labelled": xr.DataArray(plain.T, dims=("neuron", "trial")),
        "tensor": torch.tensor(plain),
        "sparse": csr_array(plain),
        "backwards": plain[::-1].copy()[::-1],
    }
    recording = Recording(**parts(responses=given[kind], stimulus_id=np.tile(np.arange(6), 2).tolist()))
    assert type(recording.responses) is np.ndarray
    np.testing.assert_array_equal(recording.responses, plain)
    assert min(recording.responses.strides) > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"covariates": np.ones((3, 1))}, r"covariates must be \(n_trials, n_covariates\)"),
        ({"covariate_names": np.array(["a", "b"])}, r"covariate_names must be \(n_covariates\) = \(1\); got shape \(2,\)"),
        ({"covariate_names": None}, "covariates must have covariate_names, one word for each column; got none"),
        ({"covariates": np.full((4, 1), np.inf)}, "covariates must be finite, or NaN where unknown"),
    ],
)
def test_covariates_without_order_are_refused(changes: dict, message: str, unchecked: None) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 1, 8, 9)).astype(np.uint8)
    responses = np.random.default_rng(1).random((4, 3)).astype(np.float32)
    covariates = {"covariates": np.ones((4, 1)), "covariate_names": np.array(["running_speed"])}
    with pytest.raises(DataError, match=message):
        Recording("m", images, np.array([0, 1, 0, 1]), responses, **{**covariates, **changes})
