"""One validated object holding everything a laboratory gives us: images, trials, responses, neurons."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int, Shaped
from scipy.sparse import issparse

from dina.checks import DataError, check_finite
from dina.recordings.native import read_groups, write_groups
from dina.recordings.stored_numbers import to_float32, to_index
from dina.recordings.truth import Truth
from dina.safe_words import one_line
from dina.shapes import ContrastImages, Images, Responses
from dina.short_words import brief

FORMAT_VERSION = 1
_SINGLE_TRIALS = np.empty(0, dtype=np.int64)  # means 1 for each trial until a recording is made
_STORED: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {  # axes and attributes of each array in a file
    "images": (("stimulus", "channel", "height", "width"), {"units": "pixel value as stored"}),
    "stimulus_id": (("trial",), {"long_name": "0-based position on the stimulus axis"}),
    "responses": (("trial", "neuron"), {"units": "arbitrary"}),
    "n_presentations": (("trial",), {"units": "1"}),
    "neuron_position_um": (("neuron", "axis"), {"units": "um"}),
    "is_red": (("neuron",), {}),
    "spontaneous": (("time", "neuron"), {"units": "arbitrary"}),
    "labels": (("stimulus",), {}),
    "image_names": (("stimulus",), {}),
    "covariates": (("trial", "covariate"), {"units": "as recorded"}),
    "covariate_names": (("covariate",), {}),
}
_STORED_AS = {
    "is_red": np.uint8,
    "labels": object,
    "image_names": object,
    "covariate_names": object,
}  # neither file format holds truth values or text of a fixed width
KIND_FACTS = ("species", "area", "indicator")  # recordings that state different ones are of different kinds
_WORDS = ("name", "condition", "image_set", "animal", *KIND_FACTS, "response_units")
_FACTS = dict.fromkeys(_WORDS, str) | dict.fromkeys(("mid_grey", "contrast_scale", "deg_per_pixel"), float) | {"block_px": int}
_CONTRAST_RANGE = (0.05, 50.0)  # widest and narrowest span of contrast that can be a stimulus in stated units


@dataclass(frozen=True, eq=False)
class Recording:
    """A recording of a neural population and the images that drove it.

    Everything after the readers works on this object alone and depends on no file format. It is checked when it is made.
    Other number types (float64 responses, 16-bit ids) and arrays of other libraries are converted if nothing important is lost;
    otherwise, as where entries are masked, they are refused.

    Parameters
    ----------
    name
        Name of the recording, for example ``natimg2800_M170714_MP032_2017-09-14``.
    images
        Pixels as stored, uint8 or finite float32, with 1 (grey) or 3 (colour) channels.
    stimulus_id
        For each trial the 0-based position of its image along the first axis of ``images``; trials in order of presentation.
    responses
        Arbitrary units (deconvolved fluorescence, spike counts), finite.
    n_presentations
        How many presentations each row of ``responses`` averages; 1 for single trials.
    condition
        Stimulus set: "natural", "white", "8D", "4D", "small" or a laboratory's own word; None where not stated.
    image_set
        Recordings with the same word show the same image identities under the same ids, so that they can be split jointly.
    animal
        A word for the animal, the same in all its recordings; None where unknown. Statistics over recordings count animals.
    species, area, indicator
        Words for what was recorded ("mouse", "V1", "GCaMP6s"); None where unknown. Recordings that differ are not judged together
        unasked.
    response_units
        Of responses and spontaneous activity, as a laboratory says it ("spikes/s", "dF/F"); None where unknown.
    mid_grey, contrast_scale
        Contrast is ``(pixel - mid_grey) / contrast_scale``; 128 and 64 for 8-bit images (Stringer et al. 2019).
    deg_per_pixel
        Degrees of visual angle per pixel, or None if unknown.
    block_px
        Side of the blocks of pixels that each pixel averages, where images were too large (`dina.recordings.large_images`); or None.
    neuron_position_um
        Cortical position in micrometres (x, y, depth); NaN where unknown; or None.
    is_red
        Neurons marked red (GAD+), or None.
    spontaneous
        Responses without stimulus, same units, or None.
    labels
        Semantic category of each image, "" where unknown; or None.
    image_names
        Name of each image, for example of its file, "" where unknown; or None. Pages and tables call images by it.
    covariates
        What the animal did in each trial, as recorded: running speed, pupil; NaN where unknown; or None. Nothing reads it unless it is
        asked to.
    covariate_names
        One word for each; None without covariates.
    notes
        What a reader dropped or converted, one sentence each.
    truth
        What a simulation knows; None for real recordings.

    Raises
    ------
    DataError
        If any of the above does not hold; the message names the field, the position and the remedy.
    """

    __repr__ = brief

    name: str
    images: Images
    stimulus_id: Int[np.ndarray, "trial"]
    responses: Responses
    n_presentations: Int[np.ndarray, "trial"] = field(default_factory=lambda: _SINGLE_TRIALS)
    condition: str | None = None
    image_set: str = ""
    animal: str | None = None
    species: str | None = None
    area: str | None = None
    indicator: str | None = None
    response_units: str | None = None
    mid_grey: float = 128.0
    contrast_scale: float = 64.0
    deg_per_pixel: float | None = None
    block_px: int | None = None
    neuron_position_um: Float[np.ndarray, "neuron 3"] | None = None
    is_red: Bool[np.ndarray, "neuron"] | None = None
    spontaneous: Float[np.ndarray, "time neuron"] | None = None
    labels: Shaped[np.ndarray, "stimulus"] | None = None
    image_names: Shaped[np.ndarray, "stimulus"] | None = None
    covariates: Float[np.ndarray, "trial covariate"] | None = None
    covariate_names: Shaped[np.ndarray, "covariate"] | None = None
    notes: tuple[str, ...] = field(default=())
    truth: Truth | None = None

    def __post_init__(self) -> None:
        def put(name: str, value: object) -> None:  # the one moment at which a frozen recording may change
            object.__setattr__(self, name, value)

        for name, (axes, _) in _STORED.items():
            values = getattr(self, name)
            if values is None and name in ("images", "stimulus_id", "responses"):
                raise DataError(f"A recording must have {name}; got None. Give an array of ({', '.join(axes)}).")
            if values is not None and values is not _SINGLE_TRIALS:
                put(name, to_array(name, values, axes))
        if self.responses.dtype.kind in "iu":
            put("notes", (*self.notes, f"Responses are stored as whole numbers ({self.responses.dtype})."))
        for name in ("responses", "images", "neuron_position_um", "spontaneous", "covariates"):
            values = getattr(self, name)
            if values is not None and (name != "images" or values.dtype != np.uint8):
                put(name, to_float32(name, values, _STORED[name][0]))
        put("stimulus_id", to_index("stimulus_id", self.stimulus_id))
        single = self.n_presentations is _SINGLE_TRIALS
        counts = np.ones(len(self.stimulus_id), dtype=np.int64) if single else self.n_presentations
        put("n_presentations", to_index("n_presentations", counts))
        for name in ("labels", "image_names", "covariate_names"):
            if getattr(self, name) is not None:
                put(name, _to_words(name, getattr(self, name)))
        put("image_set", self.image_set or self.name)
        put("notes", tuple(map(one_line, self.notes)))  # files keep one note a line
        for check in (_check_names, _check_shapes, _check_responses, _check_stimulus_id, _check_images, _check_companions):
            check(self)

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
        return self.in_contrast(self.images[stimulus_id])

    def in_contrast(self, pixels: Images) -> ContrastImages:
        """Return pixels like those of ``images`` in units of contrast, as float32."""
        return (pixels.astype(np.float32) - np.float32(self.mid_grey)) / np.float32(self.contrast_scale)

    def select_trials(self, keep: Bool[np.ndarray, "trial"], note: str) -> Self:
        """Return the recording with only the marked trials; ``note`` says why."""
        names = ("stimulus_id", "responses", "n_presentations", *(() if self.covariates is None else ("covariates",)))
        kept: dict[str, Any] = {name: getattr(self, name)[keep] for name in names}
        return replace(self, **kept, notes=(*self.notes, note))

    def select_neurons(self, keep: Bool[np.ndarray, "neuron"], note: str) -> Self:
        """Return the recording with only the marked neurons; ``note`` says why."""
        return replace(
            self,
            responses=np.ascontiguousarray(self.responses[:, keep]),
            neuron_position_um=None if self.neuron_position_um is None else self.neuron_position_um[keep],
            is_red=None if self.is_red is None else self.is_red[keep],
            spontaneous=None if self.spontaneous is None else self.spontaneous[:, keep],
            truth=None if self.truth is None else self.truth.select_neurons(keep),
            notes=(*self.notes, note),
        )

    def fingerprint(self) -> str:
        """Return a SHA-256 over images, trials, responses and condition: equal data, equal fingerprint, whatever name and image set."""
        digest = hashlib.sha256()
        behaviour = () if self.covariates is None else (self.covariates,)
        for array in (self.images, self.stimulus_id, self.responses, self.n_presentations, *behaviour):
            digest.update(np.ascontiguousarray(array).data)
        digest.update(repr((self.condition, self.mid_grey, self.contrast_scale)).encode())
        return digest.hexdigest()

    def to_dataset(self) -> xr.Dataset:
        """Return everything but the truth as an xarray Dataset with named axes and units."""
        arrays = {name: getattr(self, name) for name in _STORED if getattr(self, name) is not None}
        variables = {
            name: (_STORED[name][0], values.astype(_STORED_AS.get(name, values.dtype), copy=False), self._attributes(name))
            for name, values in arrays.items()
        }
        facts = {name: getattr(self, name) for name in _FACTS if getattr(self, name) is not None}
        return xr.Dataset(variables, attrs={"dina_format": FORMAT_VERSION, **facts, "notes": "\n".join(self.notes)})

    def _attributes(self, name: str) -> dict[str, str]:
        attributes = _STORED[name][1]
        is_said = self.response_units is not None and name in ("responses", "spontaneous")
        return {**attributes, "units": str(self.response_units)} if is_said else attributes

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

        stored: dict[str, Any] = {name: dataset[name].to_numpy() for name in _STORED if name in dataset}
        if "is_red" in stored:
            stored["is_red"] = stored["is_red"].astype(np.bool_)
        stored |= {name: kind(dataset.attrs[name]) for name, kind in _FACTS.items() if name in dataset.attrs}
        notes = tuple(note for note in str(dataset.attrs["notes"]).split("\n") if note)
        return cls(**stored, notes=notes, truth=truth)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a recording as `write` wrote it, the truth of a simulation included; `dina.read` opens other formats too."""
        groups = read_groups(path)
        return cls.from_dataset(groups[""], Truth.from_dataset(groups["truth"]) if "truth" in groups else None)

    def write(self, path: Path | str) -> None:
        """Write one NetCDF-4 file (``.nc``) or one new Zarr folder (``.zarr``), truth included; `dina.read` opens it again.

        The file appears whole or not at all, and carries a checksum of its content, which is verified when it is read.
        """
        write_groups(Path(path), {"": self.to_dataset()} | ({} if self.truth is None else {"truth": self.truth.to_dataset()}))


def to_array(name: str, values: Any, axes: tuple[str, ...]) -> Shaped[np.ndarray, "..."]:
    """Turn lists, tables, matrices, tensors, and labelled or sparse arrays into a plain array; refuse where something would be lost.

    A labelled array whose dimensions are ``axes`` in another order is transposed.

    Raises
    ------
    DataError
        If entries are masked, or the values are no array.
    """
    if isinstance(values, np.ma.MaskedArray):
        n_masked = int(np.ma.getmaskarray(values).sum())
        if n_masked:
            raise DataError(
                f"{name} must have a value everywhere; {n_masked} entries are masked. Fill or drop masked entries first, for"
                " example with filled(np.nan)."
            )
        values = values.data
    if issparse(values):
        values = values.toarray()  # type: ignore[attr-defined]
    names = getattr(values, "dims", None)
    if isinstance(names, tuple) and names != axes and set(names) == set(axes):
        values = values.transpose(*axes)
    try:
        array = np.asarray(values)
    except Exception as error:  # each library has errors of its own for what is no array yet
        reason = str(error).splitlines()[0][:200].rstrip(".") if str(error) else type(error).__name__
        raise DataError(f"{name} cannot be made an array: {reason}. Give a numpy array of ({', '.join(axes)}).") from error
    return array.copy() if any(step < 0 for step in array.strides) else array


def _to_words(name: str, labels: Any) -> Shaped[np.ndarray, "stimulus"]:
    """Return labels or names as a text array; None and NaN become "", the word for unknown."""
    words = []
    for value in np.asarray(labels, dtype=object).ravel():
        if value is None or (isinstance(value, float) and np.isnan(value)):
            words.append("")
        elif isinstance(value, str | int | float | np.generic):
            words.append(str(value))
        else:
            raise DataError(f"{name} must be words; got {type(value).__name__} at position {len(words)}. Give one for each.")
    return np.array(words, dtype=np.str_) if words else np.zeros(0, dtype="<U1")


def _check_names(recording: Recording) -> None:
    if not isinstance(recording.name, str) or not recording.name.strip():
        raise DataError(f"A recording must have a name; got {recording.name!r}. Give one, for example 'mouse3_2024-05-01'.")
    for name in ("animal", *KIND_FACTS, "response_units"):
        word = getattr(recording, name)
        if word is not None and (not isinstance(word, str) or not word.strip() or word != word.strip()):
            raise DataError(
                f"{name} must be a word without spaces around it, or None where unknown; got {word!r}. Write the same word in all"
                " recordings that it is true of, for example 'mouse3'."
            )


def _check_shapes(recording: Recording) -> None:
    images, responses, ids = recording.images, recording.responses, recording.stimulus_id
    if responses.ndim != 2:
        raise DataError(
            f"responses must be (n_trials, n_neurons); got shape {responses.shape}. Write a recording.toml that names the axes."
        )
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise DataError(
            f"images must be (n_stimuli, n_channels, height, width) with 1 or 3 channels; got shape {images.shape}."
            " Move the axes with np.moveaxis, or add a channel axis for grey images with images[:, None]."
        )
    if ids.ndim != 1:
        raise DataError(f"stimulus_id must be (n_trials,); got shape {ids.shape}. Give one id for each row of responses.")
    n_trials, n_neurons = responses.shape
    if 0 in responses.shape or 0 in images.shape:
        raise DataError(
            f"A recording must hold trials, neurons and images; got {n_trials} trials, {n_neurons} neurons and images of shape"
            f" {images.shape}. Check what was dropped before."
        )
    if len(ids) == n_neurons != n_trials:
        raise DataError(
            f"responses must be (n_trials, n_neurons); got {n_trials} x {n_neurons} with {len(ids)} stimulus ids, which looks like"
            " neurons x trials. Transpose it: responses.T."
        )
    if len(ids) != n_trials:
        raise DataError(
            f"stimulus_id must have one entry per row of responses; got {len(ids)} ids for {n_trials} trials."
            " Drop the surplus rows or complete the ids."
        )
    if n_trials < 2 or len(images) < 2 or n_neurons < 2:
        raise DataError(
            f"A recording must hold at least 2 trials, 2 images and 2 neurons; got {n_trials}, {len(images)} and {n_neurons}. Add the"
            " rest."
        )


def _check_responses(recording: Recording) -> None:
    responses = recording.responses
    low, high = responses.min(axis=0), responses.max(axis=0)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):  # NaN passes through min and max: no mask is needed
        check_finite("responses", responses, ("trial", "neuron"), "Drop these trials or neurons, or repair the array.")
    if (low == high).all():
        raise DataError(f"responses must vary between trials; all {responses.shape[1]} neurons are constant. Check the array.")


def _check_stimulus_id(recording: Recording) -> None:
    ids, n = recording.stimulus_id, len(recording.images)
    low, high = int(ids.min()), int(ids.max())
    expected = f"stimulus_id must run from 0 to {n - 1} for {n} images; got"
    if low >= 1 and high == n:
        advice = "Subtract 1, or say index_base = 1 under [stimulus_id] of a recording.toml."
        raise DataError(f"{expected} {low} to {high}, which looks 1-based (MATLAB). {advice}")
    if low < 0 or high >= n:
        bad = (ids < 0) | (ids >= n)
        first = int(np.argmax(bad))
        raise DataError(
            f"{expected} {int(ids[first])} at trial {first} ({int(bad.sum())} of {len(ids)} trials are outside)."
            " Drop trials of the grey screen (drop under [stimulus_id] of a recording.toml), state index_base there, or give all images."
        )
    if low == high:
        raise DataError("At least 2 different images must have been shown; every trial shows the same. Check stimulus_id.")


def _check_images(recording: Recording) -> None:
    images, grey, scale = recording.images, recording.mid_grey, recording.contrast_scale
    if not np.isfinite(grey) or not np.isfinite(scale) or scale <= 0:
        raise DataError(f"mid_grey must be finite, contrast_scale positive; got {grey} and {scale}. Use 128 and 64 for 8 bits.")
    low, high = float(images.min()), float(images.max())
    if not np.isfinite(low + high):
        check_finite("images", images, _STORED["images"][0], "Replace these pixels or drop the images.")
    if all(np.array_equal(images[0], image) for image in images):
        raise DataError(f"Images must differ; all {len(images)} are identical. Check that the right array or axis was given.")
    if not _CONTRAST_RANGE[0] <= (high - low) / scale <= _CONTRAST_RANGE[1]:
        raise DataError(
            f"mid_grey and contrast_scale must suit the pixels; they span {low:.4g} to {high:.4g}, but mid_grey is {grey:g} and"
            f" contrast_scale {scale:g}. State both in pixel units, for pixels from 0 to 1 mid_grey = 0.5 and contrast_scale = 0.25."
        )


def _check_companions(recording: Recording) -> None:
    n_trials, n_neurons = recording.responses.shape
    expected: dict[str, tuple[tuple[int | None, ...], str]] = {
        "n_presentations": ((n_trials,), "n_trials"),
        "neuron_position_um": ((n_neurons, 3), "n_neurons, 3"),
        "is_red": ((n_neurons,), "n_neurons"),
        "spontaneous": ((None, n_neurons), "n_times, n_neurons"),
        "labels": ((len(recording.images),), "n_stimuli"),
        "image_names": ((len(recording.images),), "n_stimuli"),
        "covariates": ((n_trials, None), "n_trials, n_covariates"),
        "covariate_names": ((0 if recording.covariates is None else recording.covariates.shape[-1],), "n_covariates"),
    }
    for name, (shape, words) in expected.items():
        values = getattr(recording, name)
        if values is None or (len(shape) == values.ndim and all(a in (None, b) for a, b in zip(shape, values.shape))):
            continue
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise DataError(f"{name} must be ({words}) = ({wanted}); got shape {values.shape}. Give one for each, in the same order.")
    least, trial = int(recording.n_presentations.min()), int(recording.n_presentations.argmin())
    if least < 1:
        raise DataError(f"n_presentations must be at least 1; got {least} at trial {trial}. Drop trials never shown.")
    if recording.covariates is not None and recording.covariate_names is None:
        raise DataError("covariates must have covariate_names, one word for each column; got none. Name them.")
    spontaneous = recording.spontaneous
    red, degrees = recording.is_red, recording.deg_per_pixel
    if spontaneous is not None:
        if not spontaneous.size:
            raise DataError("spontaneous must hold at least one time point; got none. Leave it out instead.")
        check_finite("spontaneous", spontaneous, ("time", "neuron"), "Drop these time points.")
    for name in ("neuron_position_um", "covariates"):
        if getattr(recording, name) is not None and np.isinf(getattr(recording, name)).any():
            raise DataError(f"{name} must be finite, or NaN where unknown; got an infinite value. Write NaN there.")
    if red is not None and red.dtype != np.bool_:
        raise DataError(f"is_red must be true or false for each neuron; got dtype {red.dtype}. Convert with astype(bool).")
    if degrees is not None and not (np.isfinite(degrees) and degrees > 0):
        raise DataError(f"deg_per_pixel must be positive degrees of visual angle, or None if unknown; got {degrees}. Correct it.")
