"""What a user gives beside a recording: further images and responses of the same kind, from arrays, lists and tables of any library."""

from typing import Any

from dina.checks import DataError, check_finite
from dina.recordings.recording import Recording, to_array
from dina.recordings.stored_numbers import to_float32
from dina.shapes import ContrastImages, Responses


def check_recording(recording: Any) -> Recording:
    """Return a recording, and refuse anything else: arrays become one with `Recording`.

    Raises
    ------
    DataError
        If it is none.
    """
    if not isinstance(recording, Recording):
        raise DataError(
            f"A Recording is needed; got {type(recording).__name__}. Make one with dina.read, or from arrays with"
            " dina.Recording(name, images, stimulus_id, responses)."
        )
    return recording


def contrast_of(recording: Recording, images: Any) -> ContrastImages:
    """Return other images, pixels like those of the recording, in units of contrast.

    Raises
    ------
    DataError
        If they are no finite numbers of shape (image, channel, height, width), or of another size than the recording's.
    """
    axes = ("image", "channel", "height", "width")
    pixels = to_float32("images", to_array("images", images, axes), axes)
    if pixels.ndim != 4 or pixels.shape[1:] != recording.images.shape[1:]:
        expected = ", ".join(map(str, recording.images.shape[1:]))
        raise DataError(f"images must be (n_images, {expected}), as in the recording; got shape {pixels.shape}. Resize them.")
    return recording.in_contrast(check_finite("images", pixels, axes, "Replace these values."))


def check_responses(recording: Recording, responses: Any) -> Responses:
    """Return other responses of the same neurons, in the units of the recording, as float32.

    Raises
    ------
    DataError
        If they are no finite numbers of shape (trial, neuron), or of another number of neurons.
    """
    axes = ("trial", "neuron")
    values = to_float32("responses", to_array("responses", responses, axes), axes)
    if values.ndim != 2 or values.shape[1] != recording.n_neurons:
        raise DataError(
            f"responses must be (n_trials, {recording.n_neurons}), the neurons of the recording in their order; got shape"
            f" {values.shape}. Give one row for each trial."
        )
    return check_finite("responses", values, axes, "Drop these trials.")
