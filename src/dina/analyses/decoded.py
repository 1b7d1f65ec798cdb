"""All that an analysis may read: a recording, the three parts of its split, and the towers fitted on them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile, is_zipfile

import numpy as np
from jaxtyping import Float, Float32

from dina.analyses.comparable_maps import ComparableMaps, channel_names
from dina.artifacts import atomic_path
from dina.checks import DataError
from dina.data.pairs import Pairs, make_task
from dina.data.splits import group_near_identical, split_by_stimulus
from dina.models.transform_choice import TransformName
from dina.recordings.given_numbers import check_recording, check_responses, contrast_of
from dina.recordings.large_images import reduce_images
from dina.recordings.recording import Recording
from dina.shapes import ContrastImages, Responses, Scores
from dina.short_words import brief
from dina.training.aligned_towers import AlignedTowers
from dina.training.dina_decoder import DinaDecoder
from dina.training.image_decoder import learn_pairs
from dina.training.presets import AnyPreset, PresetSettings

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class KeptParts:
    """A folder for the parts of one analysis; without one, nothing is kept.

    The caller makes sure that the folder holds only parts of the same analysis of the same decoding, and empties it when the
    analysis is finished.

    Examples
    --------
    >>> KeptParts().get("a fit", lambda: {"top1": np.array([0.5])})["top1"].tolist()
    [0.5]
    """

    folder: Path | None = None

    def get(self, name: str, compute: Callable[[], Arrays]) -> Arrays:
        """Return the arrays of a part, whose name is unique within the analysis: read them, else compute and keep them.

        They are computed anew where their file cannot be read. Numbers are stored exactly, so that a resumed analysis ends with the
        same ones.
        """
        if self.folder is None:
            return compute()
        path = self.folder / f"{re.sub(r'[^A-Za-z0-9.+-]+', '_', name)}.npz"
        kept = _read(path)
        if kept is None:
            kept = compute()
            _write(path, kept)
        return kept


def _read(path: Path) -> Arrays | None:
    if not is_zipfile(path):  # numpy would leave a file open that is no archive
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            if sum(each.file_size for each in stored.zip.infolist()) > path.stat().st_size:
                return None  # nothing is packed here: a small file that claims more is not ours
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, BadZipFile):
        return None


def _write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


@dataclass(frozen=True, eq=False)
class Decoded:
    """A finished decoding, ready to be interpreted.

    Parameters
    ----------
    recording
        What was decoded; analyses read its scale (``deg_per_pixel``), labels, neuron positions and, in positive
        controls only, the truth of a simulation.
    train, validation, test
        The parts of the split. Whatever an analysis learns or selects comes from the first two; it reads the third once.
    fitted
        The towers, or None where too few images allowed no fit; analyses read `towers`.
    preset, settings
        How the towers were made.
    seed, n_resamples
        Of every random choice; bootstrap resamples and permutations.
    device
        "cpu" or "cuda".
    others
        Further recordings with the same image ids under other conditions, best of the same neurons; usually none.
    image_features
        Features of every image that the objective used, see `dina.training.dina_decoder.DinaDecoder`; None where it used none.
    parts
        Where analyses that fit towers again keep each fit, so that they resume there when stopped; by default nowhere.
    """

    __repr__ = brief

    recording: Recording
    train: Pairs
    validation: Pairs
    test: Pairs
    fitted: AlignedTowers | None
    preset: AnyPreset
    settings: PresetSettings
    seed: int = 0
    device: str = "cpu"
    n_resamples: int = 2000
    others: tuple[Recording, ...] = ()
    image_features: Float[np.ndarray, "image feature"] | None = None
    parts: KeptParts = field(default_factory=KeptParts)

    @property
    def towers(self) -> AlignedTowers:
        """The towers, fitted on ``train``, chosen by ``validation``; on ``device``, in evaluation mode.

        Raises
        ------
        DataError
            If the study could fit none.
        """
        if self.fitted is None:
            raise DataError(
                "This analysis needs fitted towers; there are none: dina was not among the decoders of the study, or had too few training"
                " images. Study the recording with dina, or record more images."
            )
        return self.fitted

    @cached_property
    def maps(self) -> ComparableMaps:
        """Maps of both towers in one unit: what the analyses compare."""
        return ComparableMaps(self.towers, self.train, self.validation, self.seed)

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Name of each channel of `image_maps` and `posterior_mean`; the maps of `encode_images` may have more channels."""
        return channel_names(self.towers.image_tower)

    def encode_images(self, images: Any = None) -> Float32[np.ndarray, "image map_channel map_height map_width"]:
        """Return the image tower's maps of images: pixels as in the recording; without any, of the test images.

        Raises
        ------
        DataError
            If they are no images of the recording's size.
        """
        return self.towers.encode_images(self._contrast(images))

    def encode_responses(self, responses: Any = None) -> Float32[np.ndarray, "trial map_channel map_height map_width"]:
        """Return the neural tower's maps of single trials in the units of the recording; without any, of the average response to each test image.

        With the preset `default` these are evidence about the image's map, in other units; `posterior_mean` is in its units.

        Raises
        ------
        DataError
            If they are no responses of the recording's neurons.
        """
        return self.towers.encode_responses(self._standardised(responses))

    def image_maps(self, images: Any = None) -> Float32[np.ndarray, "image channel height width"]:
        """Return the maps of images as deviations from the mean training image, in units of each channel's deviation.

        Arguments and errors are those of `encode_images`.
        """
        return self.maps.of_images(self._contrast(images))

    def posterior_mean(self, responses: Any = None) -> Float32[np.ndarray, "trial channel height width"]:
        """Return the image maps that are expected given each response, in the unit of `image_maps`.

        It is the posterior mean where the towers meet in a likelihood (preset `default`), else the neural map itself. Arguments and
        errors are those of `encode_responses`.
        """
        return self.maps.of_responses(self._standardised(responses))

    def scores(self) -> Scores:
        """Return the score of every test image, one to a column, for the average response to each: the right ones are on the diagonal."""
        task = make_task(self.test, "averaged")
        return self.towers.score(task.queries, task.gallery)

    def _contrast(self, images: Any) -> ContrastImages:
        return self.test.images if images is None else contrast_of(self.recording, images)

    def _standardised(self, responses: Any) -> Responses:
        if responses is None:
            return self.test.averaged()
        return self.test.standardiser.apply(check_responses(self.recording, responses))

    def refit(self) -> Self:
        """Return this decoding with towers fitted anew on its training pairs; `DataError` where none can be fitted."""
        decoder = DinaDecoder(self.preset, self.settings, self.seed, self.device, image_features=self.image_features)
        return replace(self, fitted=decoder.fit(self.train, self.validation).towers)


def decode(
    recording: Recording,
    preset: AnyPreset = "default",
    settings: PresetSettings | Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str = "cpu",
    *,
    test_fraction: float = 0.1,
    n_resamples: int = 2000,
    response_transform: TransformName = "chosen",
) -> Decoded:
    """Split a recording by image, choose the transform of its responses, fit the towers of a preset, and return what analyses take.

    It is the decoding step of `dina.study.run_study`, without rivals and without files.

    Parameters
    ----------
    recording
        Anything that `dina.read` or `dina.simulate` gives.
    preset, settings
        Which towers, by name or as an object; settings, or a dictionary of those that differ from what the preset prescribes.
    seed, n_resamples
        Of every random choice; bootstrap resamples and permutations of the analyses.
    device
        "cpu" or "cuda".
    test_fraction
        Of the images; a tenth of the images is kept for validation.
    response_transform
        Of single trials; "chosen" for the best on training images (`dina.models.transform_choice.choose_transform`).

    Raises
    ------
    DataError
        If it is no recording, or has too few images.
    """
    check_recording(recording)
    recording = reduce_images(recording)
    split = split_by_stimulus([recording], group_near_identical(recording.images), seed, 0.1, test_fraction)
    parts = (split.train, split.validation, split.test)
    train, validation, test = learn_pairs(recording, parts, preset, response_transform)
    decoder = DinaDecoder(preset, settings, seed, device).fit(train, validation)
    return Decoded(recording, train, validation, test, decoder.towers, preset, decoder.settings, seed, device, n_resamples)
