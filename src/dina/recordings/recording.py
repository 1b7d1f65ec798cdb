"""One validated object holding everything a laboratory gives us: images, trials, responses, neurons."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int, Shaped

from dina.checks import DataError, check_finite
from dina.recordings.native import write_groups
from dina.recordings.stored_numbers import to_float32, to_index, to_text
from dina.recordings.truth import Truth
from dina.shapes import ContrastImages, Images, Responses

FORMAT_VERSION = 1
_SINGLE_TRIALS = np.empty(0, dtype=np.int64)  # stands for a 1 for each trial until a recording is made
_CONTRAST_RANGE = (0.05, 50.0)  # widest and narrowest span of contrast that can be a stimulus in stated units


@dataclass(frozen=True, eq=False)
class Recording:
    """A recording of a neural population and the images that drove it.

    Everything after the readers works on this object alone and knows no file format. It is checked when it is
    made; a recording that exists is usable. Numbers of other types (float64 responses, 16-bit ids) are converted
    on the way in where that loses nothing that matters, and refused where it would.

    Parameters
    ----------
    name
        Name of the recording, for example ``natimg2800_M170714_MP032_2017-09-14``.
    images
        Pixels as stored, shape ``(n_stimuli, n_channels, height, width)`` with 1 (grey) or 3 (colour) channels;
        uint8, or finite float32.
    stimulus_id
        For each trial the position of its image along the first axis of ``images``, 0-based, shape ``(n_trials,)``.
        Trials are in order of presentation.
    responses
        Arbitrary units (deconvolved fluorescence, spike counts), shape ``(n_trials, n_neurons)``, finite.
    n_presentations
        How many presentations each row of ``responses`` averages, shape ``(n_trials,)``; 1 for single trials.
    condition
        Stimulus set: "natural", "white", "8D", "4D", "small" or a laboratory's own word.
    image_set
        Recordings with the same word here show the same image identities under the same ids (the five sets of
        2,800 images do), so that a split can be made jointly.
    animal
        A word for the animal, the same in all its recordings; None where unknown. Statistics over recordings count animals.
    mid_grey, contrast_scale
        Contrast is ``(pixel - mid_grey) / contrast_scale``; 128 and 64 for 8-bit images (Stringer et al. 2019).
    deg_per_pixel
        Degrees of visual angle per pixel, or None if unknown.
    neuron_position_um
        Cortical position in micrometres (x, y, depth), shape ``(n_neurons, 3)``; NaN where unknown; or None.
    is_red
        Neurons marked red (GAD+), shape ``(n_neurons,)``, or None.
    spontaneous
        Responses without stimulus, same units, shape ``(n_times, n_neurons)``, or None.
    labels
        Semantic category of each image, shape ``(n_stimuli,)``, "" where unknown; or None.
    notes
        What a reader dropped or converted, one sentence each.
    truth
        What a simulation knows; None for real recordings.

    Raises
    ------
    DataError
        If any of the above does not hold; the message names the field, the position and the remedy.
    """

    name: str
    images: Images
    stimulus_id: Int[np.ndarray, "trial"]
    responses: Responses
    n_presentations: Int[np.ndarray, "trial"] = field(default_factory=lambda: _SINGLE_TRIALS)
    condition: str = "natural"
    image_set: str = ""
    animal: str | None = None
    mid_grey: float = 128.0
    contrast_scale: float = 64.0
    deg_per_pixel: float | None = None
    neuron_position_um: Float[np.ndarray, "neuron 3"] | None = None
    is_red: Bool[np.ndarray, "neuron"] | None = None
    spontaneous: Float[np.ndarray, "time neuron"] | None = None
    labels: Shaped[np.ndarray, "stimulus"] | None = None
    notes: tuple[str, ...] = field(default=())
    truth: Truth | None = None

    def __post_init__(self) -> None:
        def put(name: str, value: object) -> None:  # the one moment at which a frozen recording may change
            object.__setattr__(self, name, value)

        put("responses", to_float32("responses", self.responses, ("trial", "neuron")))
        put("stimulus_id", to_index("stimulus_id", self.stimulus_id))
        if self.images.dtype != np.uint8:
            put("images", to_float32("images", self.images, ("stimulus", "channel", "row", "column")))
        if self.n_presentations is _SINGLE_TRIALS:
            put("n_presentations", np.ones(len(self.stimulus_id), dtype=np.int64))
        else:
            put("n_presentations", to_index("n_presentations", self.n_presentations))
        if self.neuron_position_um is not None:
            put("neuron_position_um", to_float32("neuron_position_um", self.neuron_position_um, ("neuron", "axis")))
        if self.spontaneous is not None:
            put("spontaneous", to_float32("spontaneous", self.spontaneous, ("time", "neuron")))
        if self.labels is not None:
            put("labels", to_text("labels", self.labels))
        if not self.image_set:
            put("image_set", self.name)
        _check(self)

    @property
    def n_trials(self) -> int:
        """Number of rows of ``responses``."""
        return int(self.responses.shape[0])

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return int(self.responses.shape[1])

    @property
    def n_stimuli(self) -> int:
        """Number of images, shown or not."""
        return int(self.images.shape[0])

    @property
    def is_simulated(self) -> bool:
        """Whether the recording comes with the truth of a simulation."""
        return self.truth is not None

    def repeats_per_stimulus(self) -> Int[np.ndarray, "stimulus"]:
        """Count the trials of each image, shape ``(n_stimuli,)``; 0 for an image never shown."""
        return np.bincount(self.stimulus_id, minlength=self.n_stimuli)

    def contrast(self, stimulus_id: Int[np.ndarray, "stimulus"]) -> ContrastImages:
        """Return images in units of contrast, ``(pixel - mid_grey) / contrast_scale``, as float32."""
        pixels = self.images[stimulus_id].astype(np.float32)
        return (pixels - np.float32(self.mid_grey)) / np.float32(self.contrast_scale)

    def select_trials(self, keep: Bool[np.ndarray, "trial"], note: str) -> Self:
        """Return the recording with only the marked trials; ``note`` says why."""
        return replace(
            self,
            stimulus_id=self.stimulus_id[keep],
            responses=self.responses[keep],
            n_presentations=self.n_presentations[keep],
            notes=(*self.notes, note),
        )

    def select_neurons(self, keep: Bool[np.ndarray, "neuron"], note: str) -> Self:
        """Return the recording with only the marked neurons; ``note`` says why."""

        def of(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[keep]

        return replace(
            self,
            responses=np.ascontiguousarray(self.responses[:, keep]),
            neuron_position_um=of(self.neuron_position_um),
            is_red=of(self.is_red),
            spontaneous=None if self.spontaneous is None else self.spontaneous[:, keep],
            truth=None if self.truth is None else self.truth.select_neurons(keep),
            notes=(*self.notes, note),
        )

    def fingerprint(self) -> str:
        """Return a SHA-256 over images, trials and responses: equal data, equal fingerprint, whatever name and animal."""
        digest = hashlib.sha256()
        for array in (self.images, self.stimulus_id, self.responses, self.n_presentations):
            digest.update(np.ascontiguousarray(array).data)
        digest.update(repr((self.condition, self.image_set, self.mid_grey, self.contrast_scale)).encode())
        return digest.hexdigest()

    def to_dataset(self) -> xr.Dataset:
        """Return everything but the truth as an xarray Dataset with named axes and units."""
        variables: dict[str, tuple[Sequence[str], np.ndarray | None, dict[str, str]]] = {
            "images": (("stimulus", "channel", "height", "width"), self.images, {"units": "pixel value as stored"}),
            "stimulus_id": (("trial",), self.stimulus_id, {"long_name": "0-based position on the stimulus axis"}),
            "responses": (("trial", "neuron"), self.responses, {"units": "arbitrary"}),
            "n_presentations": (("trial",), self.n_presentations, {"units": "1"}),
            "neuron_position_um": (("neuron", "axis"), self.neuron_position_um, {"units": "um"}),
            "is_red": (("neuron",), None if self.is_red is None else self.is_red.astype(np.uint8), {}),
            "spontaneous": (("time", "neuron"), self.spontaneous, {"units": "arbitrary"}),
            "labels": (("stimulus",), None if self.labels is None else self.labels.astype(object), {}),
        }
        attributes: dict[str, str | int | float | list[str]] = {
            "dina_format": FORMAT_VERSION,
            "name": self.name,
            "condition": self.condition,
            "image_set": self.image_set,
            "mid_grey": self.mid_grey,
            "contrast_scale": self.contrast_scale,
            "notes": "\n".join(self.notes),
        }
        for known, value in (("deg_per_pixel", self.deg_per_pixel), ("animal", self.animal)):
            if value is not None:
                attributes[known] = value
        present = {name: (axes, values, attrs) for name, (axes, values, attrs) in variables.items() if values is not None}
        return xr.Dataset(present, attrs=attributes)

    @classmethod
    def from_dataset(cls, dataset: xr.Dataset, truth: Truth | None = None) -> Self:
        """Make a recording from what `to_dataset` gave.

        Raises
        ------
        DataError
            If the dataset lacks a variable, or was written by a newer version of dina.
        """
        version = int(dataset.attrs.get("dina_format", 0))
        if not 1 <= version <= FORMAT_VERSION:
            raise DataError(
                f"A recording file must carry dina_format between 1 and {FORMAT_VERSION}; got {version or 'none'}."
                " Write it with Recording.write, or upgrade dina."
            )
        missing = [name for name in ("images", "stimulus_id", "responses", "n_presentations") if name not in dataset]
        if missing:
            raise DataError(f"A recording file must hold {', '.join(missing)}; it has {', '.join(map(str, dataset))}.")

        def of(name: str, dtype: type | None = None) -> np.ndarray | None:
            if name not in dataset:
                return None
            values = dataset[name].to_numpy()
            return values if dtype is None else values.astype(dtype)

        attributes = dataset.attrs
        degrees, animal = attributes.get("deg_per_pixel"), attributes.get("animal")
        return cls(
            name=str(attributes["name"]),
            images=dataset["images"].to_numpy(),
            stimulus_id=dataset["stimulus_id"].to_numpy().astype(np.int64),
            responses=dataset["responses"].to_numpy(),
            n_presentations=dataset["n_presentations"].to_numpy().astype(np.int64),
            condition=str(attributes["condition"]),
            image_set=str(attributes["image_set"]),
            animal=None if animal is None else str(animal),
            mid_grey=float(attributes["mid_grey"]),
            contrast_scale=float(attributes["contrast_scale"]),
            deg_per_pixel=None if degrees is None else float(degrees),
            neuron_position_um=of("neuron_position_um"),
            is_red=of("is_red", np.bool_),
            spontaneous=of("spontaneous"),
            labels=of("labels", np.str_),
            notes=tuple(note for note in str(attributes["notes"]).split("\n") if note),
            truth=truth,
        )

    def write(self, path: Path | str) -> None:
        """Write one NetCDF-4 file (``.nc``) or one Zarr folder (``.zarr``), truth included; `dina.read` opens it again.

        The file appears whole or not at all, and carries a checksum of its content, so that a flipped bit is an
        error when it is read.

        Raises
        ------
        DataError
            If the name ends in neither ``.nc`` nor ``.zarr``, or a Zarr folder of that name exists.
        """
        groups = {"": self.to_dataset()} | ({} if self.truth is None else {"truth": self.truth.to_dataset()})
        write_groups(Path(path), groups)


def _check(recording: Recording) -> None:
    """Refuse a recording that later steps could not use; `dina.recordings.reading.find_oddities` reports what is only odd."""
    _check_name(recording)
    _check_shapes(recording)
    _check_responses(recording)
    _check_stimulus_id(recording)
    _check_images(recording)
    _check_companions(recording)


def _check_name(recording: Recording) -> None:
    if not isinstance(recording.name, str) or not recording.name.strip():
        raise DataError(f"A recording must have a name; got {recording.name!r}. Give one, for example 'mouse3_2024-05-01'.")
    animal = recording.animal
    if animal is not None and (not isinstance(animal, str) or not animal.strip() or animal != animal.strip()):
        raise DataError(
            f"animal must be a word without spaces around it, or None where unknown; got {animal!r}. Leave it out, or write the same"
            " word, for example 'mouse3', in all recordings of the animal."
        )


def _check_shapes(recording: Recording) -> None:
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


def _check_responses(recording: Recording) -> None:
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


def _check_stimulus_id(recording: Recording) -> None:
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


def _check_images(recording: Recording) -> None:
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


def _check_companions(recording: Recording) -> None:
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
    if presentations.min() < 1:
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
