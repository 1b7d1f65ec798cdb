"""What a user gives beside a recording: further images and responses of the same kind, from arrays, lists and tables of any library."""

from typing import Any

from dina.checks import DataError, check_finite
from dina.recordings.recording import Recording, to_array
from dina.recordings.stored_numbers import to_float32
from dina.shapes import ContrastImages, Images, Responses


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
    """Return other images, pixels like those of the recording, in units of contrast; errors are those of `check_images`."""
    return recording.in_contrast(check_images(images, recording.images.shape[1:]))


def check_images(images: Any, expected: tuple[int, ...], resize: str = "Resize them.") -> Images:
    """Return images as float32 of shape (image, channel, height, width); the axis of a single channel may be left out.

    Parameters
    ----------
    images
        Pixels.
    expected
        Channels, height and width that they must have.
    resize
        What to do with images of another size.

    Raises
    ------
    DataError
        If they are no finite numbers of this shape; the message says what to do about the axis that differs.
    """
    axes = ("image", "channel", "height", "width")
    pixels = to_float32("images", to_array("images", images, axes), axes)
    if pixels.ndim == 3 and (1, *pixels.shape[1:]) == expected:
        pixels = pixels[:, None]
    if pixels.ndim != 4 or pixels.shape[1:] != expected:
        shape = ", ".join(map(str, expected))
        advice = _advise_on_axes(pixels.shape, expected) or resize
        raise DataError(f"images must be (n_images, {shape}), as in the recording; got shape {pixels.shape}. {advice}")
    return check_finite("images", pixels, axes, "Replace these values.")


def _advise_on_axes(shape: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """Say what to do where axes are missing, in another order, or too few or many; "" where the size alone differs.

    Examples
    --------
    >>> _advise_on_axes((3, 16, 24), (3, 16, 24)), _advise_on_axes((5, 16, 24, 3), (3, 16, 24))
    ('For one image, give images[None].', 'Put the channels before height and width: images.transpose(0, 3, 1, 2).')
    """
    n_channels, height, width = expected
    if shape == expected or shape == (height, width):
        return "For one image, give images[None]."
    if len(shape) == 4 and shape[1:] == (height, width, n_channels):
        return "Put the channels before height and width: images.transpose(0, 3, 1, 2)."
    if len(shape) == 3 and shape[1:] == (height, width):
        return f"Give all {n_channels} channels of each image."
    if len(shape) == 4 and shape[2:] == (height, width):
        return f"Give {n_channels} channels in place of {shape[1]}."
    return "" if len(shape) in (3, 4) else "Give one array with the axes image, channel, height and width."


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
