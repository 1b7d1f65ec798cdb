"""All that an analysis may read: a recording, the three parts of its split, and the towers fitted on them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self
from zipfile import BadZipFile, is_zipfile

import numpy as np
from jaxtyping import Float

from dina.artifacts import atomic_path
from dina.checks import DataError
from dina.data.pairs import Pairs, learn_standardiser, make_pairs
from dina.data.response_transform import IDENTITY
from dina.data.splits import group_near_identical, split_by_stimulus
from dina.models.transform_choice import TransformName, choose_transform
from dina.recordings.recording import Recording
from dina.short_words import brief
from dina.training.aligned_towers import AlignedTowers
from dina.training.dina_decoder import DinaDecoder
from dina.training.presets import AnyPreset, PresetSettings, find_preset

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
            raise DataError("This analysis needs fitted towers; there are none, for want of training images. Record more images.")
        return self.fitted

    def refit(self) -> Self:
        """Return this decoding with towers fitted anew on its training pairs; `DataError` where none can be fitted."""
        decoder = DinaDecoder(self.preset, self.settings, self.seed, self.device, image_features=self.image_features)
        return replace(self, fitted=decoder.fit(self.train, self.validation).towers)


def decode(
    recording: Recording,
    preset: AnyPreset = "default",
    settings: PresetSettings | None = None,
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
        Which towers, by name or as an object; None for the settings that the preset prescribes.
    seed, n_resamples
        Of every random choice; bootstrap resamples and permutations of the analyses.
    device
        "cpu" or "cuda".
    test_fraction
        Of the images; a tenth of the images is kept for validation.
    response_transform
        Of single trials; "chosen" for the best on training images (`dina.models.transform_choice.choose_transform`).
    """
    split = split_by_stimulus([recording], group_near_identical(recording.images), seed, 0.1, test_fraction)
    is_raw = find_preset(preset).units == "raw"
    transform = IDENTITY if is_raw else choose_transform(recording, split.train, response_transform).transform
    standardiser = learn_standardiser(recording, split.train, transform)
    train, validation, test = (make_pairs(recording, ids, standardiser) for ids in (split.train, split.validation, split.test))
    decoder = DinaDecoder(preset, settings, seed, device).fit(train, validation)
    return Decoded(recording, train, validation, test, decoder.towers, preset, decoder.settings, seed, device, n_resamples)
