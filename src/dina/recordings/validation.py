"""The questions asked of every recording when it is made."""

from typing import TYPE_CHECKING

import numpy as np

from dina.checks import DataError, check_finite

if TYPE_CHECKING:
    from dina.recordings.recording import Recording

_CONTRAST_RANGE = (0.05, 50.0)  # widest and narrowest span of contrast that can be a stimulus in stated units


def validate_recording(recording: "Recording") -> None:
    """Refuse a recording that later steps could not use.

    What is only odd (a silent neuron, a blank image) is no reason to refuse: `find_oddities` reports it.

    Raises
    ------
    DataError
        At the first thing that does not hold, in the order: shapes, responses, stimulus ids, images, the rest.
    """
    _check_name(recording)
    _check_shapes(recording)
    _check_responses(recording)
    _check_stimulus_id(recording)
    _check_images(recording)
    _check_companions(recording)


def _check_name(recording: "Recording") -> None:
    if not isinstance(recording.name, str) or not recording.name.strip():
        raise DataError(f"A recording must have a name; got {recording.name!r}. Give one, for example 'mouse3_2024-05-01'.")
    animal = recording.animal
    if animal is not None and (not isinstance(animal, str) or not animal.strip() or animal != animal.strip()):
        raise DataError(
            f"animal must be a word without spaces around it, or None where unknown; got {animal!r}. Leave it out, or write the same"
            " word, for example 'mouse3', in all recordings of the animal."
        )


def _check_shapes(recording: "Recording") -> None:
    images, responses, ids = recording.images, recording.responses, recording.stimulus_id
    if responses.ndim != 2:
        raise DataError(
            f"responses must be (n_trials, n_neurons); got shape {responses.shape}. For responses stored by stimulus and"
            " repeat write a recording.toml that names the axes."
        )
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise DataError(
            f"images must be (n_stimuli, n_channels, height, width) with 1 or 3 channels; got shape {images.shape}."
            " Move the axes with np.moveaxis, or add a channel axis for grey images with images[:, None]."
        )
    if ids.ndim != 1:
        raise DataError(f"stimulus_id must be (n_trials,); got shape {ids.shape}. Give one id for each row of responses.")
    if 0 in responses.shape or 0 in images.shape:
        raise DataError(
            f"A recording must hold trials, neurons and images; got {responses.shape[0]} trials, {responses.shape[1]} neurons"
            f" and images of shape {images.shape}. Check what was dropped on the way."
        )
    if len(ids) != len(responses):
        if len(ids) == responses.shape[1]:
            raise DataError(
                f"responses must be (n_trials, n_neurons); got {responses.shape[0]} x {responses.shape[1]} with {len(ids)}"
                " stimulus ids, which looks like neurons x trials. Transpose it (responses.T, or in recording.toml"
                ' axes = ["neuron", "trial"]).'
            )
        raise DataError(
            f"stimulus_id must have one entry per row of responses; got {len(ids)} ids for {len(responses)} trials."
            " Drop the surplus rows or complete the ids."
        )
    if len(responses) < 2 or len(images) < 2:
        raise DataError(
            f"A recording must hold at least 2 trials and 2 images; got {len(responses)} and {len(images)}."
            " One of a kind cannot be told from another."
        )


def _check_responses(recording: "Recording") -> None:
    responses = recording.responses
    low, high = responses.min(axis=0), responses.max(axis=0)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):  # NaN passes through min and max: no mask is needed
        advice = 'Drop these trials or neurons (in recording.toml: missing = "drop_trial" or "drop_neuron"), or repair the file.'
        check_finite("responses", responses, ("trial", "neuron"), advice)
    if (low == high).all():
        raise DataError(
            f"responses must vary between trials; all {responses.shape[1]} neurons are constant over the"
            f" {responses.shape[0]} trials. Check which array was given as responses."
        )


def _check_stimulus_id(recording: "Recording") -> None:
    ids, n = recording.stimulus_id, len(recording.images)
    low, high = int(ids.min()), int(ids.max())
    if low >= 1 and high == n:
        raise DataError(
            f"stimulus_id must run from 0 to {n - 1} for {n} images; got {low} to {high}, which looks 1-based (MATLAB)."
            " Subtract 1 (in recording.toml: index_base = 1)."
        )
    if low < 0 or high >= n:
        bad = (ids < 0) | (ids >= n)
        first = int(np.argmax(bad))
        raise DataError(
            f"stimulus_id must run from 0 to {n - 1} for {n} images; got {int(ids[first])} at trial {first}"
            f" ({int(bad.sum())} of {len(ids)} trials are outside). Drop grey-screen trials, set the index base,"
            " or give all images."
        )
    if low == high:
        raise DataError(f"At least 2 different images must have been shown; every trial shows image {low}. Check stimulus_id.")


def _check_images(recording: "Recording") -> None:
    images, grey, scale = recording.images, recording.mid_grey, recording.contrast_scale
    if not np.isfinite(grey) or not np.isfinite(scale) or scale <= 0:
        raise DataError(
            f"mid_grey must be finite and contrast_scale positive; got {grey} and {scale}. Use 128 and 64 for 8-bit images."
        )
    low, high = float(images.min()), float(images.max())
    if not np.isfinite(low + high):
        check_finite("images", images, ("stimulus", "channel", "row", "column"), "Replace these pixels or drop the images.")
    first = images[:1]
    if all(np.array_equal(first[0], image) for image in images):
        raise DataError(f"Images must differ; all {len(images)} are identical. Check that the right array or axis was given.")
    span = (high - low) / scale
    if images.dtype != np.uint8 and not _CONTRAST_RANGE[0] <= span <= _CONTRAST_RANGE[1]:
        raise DataError(
            f"mid_grey and contrast_scale must suit the pixels; they span {low:.4g} to {high:.4g}, but mid_grey is {grey:g} and"
            f" contrast_scale {scale:g}. State both in pixel units, for pixels from 0 to 1 mid_grey = 0.5 and contrast_scale = 0.25."
        )


def _check_companions(recording: "Recording") -> None:
    n_trials, n_neurons, n_stimuli = len(recording.responses), recording.responses.shape[1], len(recording.images)
    expected = {
        "n_presentations": (recording.n_presentations, (n_trials,), "n_trials"),
        "neuron_position_um": (recording.neuron_position_um, (n_neurons, 3), "n_neurons, 3"),
        "is_red": (recording.is_red, (n_neurons,), "n_neurons"),
        "spontaneous": (recording.spontaneous, (None, n_neurons), "n_times, n_neurons"),
        "labels": (recording.labels, (n_stimuli,), "n_stimuli"),
    }
    for name, (values, shape, words) in expected.items():
        if values is None:
            continue
        if len(shape) != values.ndim or any(want not in (None, got) for want, got in zip(shape, values.shape, strict=True)):
            wanted = ", ".join("any" if size is None else str(size) for size in shape)
            raise DataError(
                f"{name} must be ({words}) = ({wanted}); got shape {values.shape}. Give one entry for each, in the same order."
            )
    presentations = recording.n_presentations
    if presentations is not None and presentations.min() < 1:
        trial = int(np.argmin(presentations))
        raise DataError(
            f"n_presentations must be at least 1; got {int(presentations[trial])} at trial {trial}. Drop trials never shown."
        )
    if recording.spontaneous is not None:
        if not recording.spontaneous.size:
            raise DataError("spontaneous must hold at least one time point; got none. Leave it out instead.")
        check_finite("spontaneous", recording.spontaneous, ("time", "neuron"), "Drop these time points.")
    position = recording.neuron_position_um
    if position is not None and np.isinf(position).any():
        raise DataError("neuron_position_um must be finite, or NaN where unknown; got an infinite value. Write NaN there.")
    if recording.is_red is not None and recording.is_red.dtype != np.bool_:
        raise DataError(
            f"is_red must be true or false for each neuron; got dtype {recording.is_red.dtype}. Convert with astype(bool)."
        )
    degrees = recording.deg_per_pixel
    if degrees is not None and not (np.isfinite(degrees) and degrees > 0):
        raise DataError(
            f"deg_per_pixel must be positive, or None where unknown; got {degrees}. Give degrees of visual angle per pixel."
        )
