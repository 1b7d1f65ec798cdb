"""One validated object holding everything a laboratory gives us: images, trials, responses, neurons."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int, Shaped

from dina.checks import DataError
from dina.recordings.conversion import to_float32, to_index, to_text
from dina.recordings.native import write_groups
from dina.recordings.truth import Truth
from dina.recordings.validation import validate_recording
from dina.shapes import ContrastImages, Images, Responses

FORMAT_VERSION = 1


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
    n_presentations: Int[np.ndarray, "trial"] | None = None
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
        if self.n_presentations is None:
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
        validate_recording(self)

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
        assert self.n_presentations is not None  # set in __post_init__; tells the type checker
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

    def with_repeats(self, at_least: int) -> Self:
        """Return the recording without the images shown fewer than ``at_least`` times."""
        counts = self.repeats_per_stimulus()
        keep = counts[self.stimulus_id] >= at_least
        n_dropped = int(((counts > 0) & (counts < at_least)).sum())
        return self.select_trials(keep, f"{n_dropped} images shown fewer than {at_least} times were dropped.")

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
            n_presentations=of("n_presentations", np.int64),
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
