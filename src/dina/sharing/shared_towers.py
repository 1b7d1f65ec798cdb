"""Read a shared study back: towers that encode and score images and responses, and the arrays beside them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Float32, Int

from dina.checks import DataError, check_finite
from dina.data.pairs import Gallery, Queries
from dina.data.standardise import Standardiser
from dina.recordings.given_numbers import check_images
from dina.recordings.recording import to_array
from dina.recordings.stored_numbers import to_float32, to_index
from dina.shapes import ContrastImages, Responses, Scores, StimulusResponses
from dina.signed_folder import CHECKSUMS
from dina.statistics.repeats import sum_by_group
from dina.study.run_directory import Run
from dina.training.aligned_towers import AlignedTowers
from dina.training.presets import Preset
from dina.training.saved import load_towers

MODEL, DATA = "model", "data"
DESCRIPTION = "export.json"
FORMAT_VERSION = 1


@dataclass(frozen=True, eq=False)
class SharedTowers:
    """The towers of a shared study, which take images and responses as they were recorded.

    Parameters
    ----------
    name
        Of these towers among those of the folder, for example "fold1".
    towers
        As they were fitted, in evaluation mode.
    facts
        What the folder says of them: ``recording``, ``preset``, ``mid_grey`` and ``contrast_scale`` (None where images must be
        given in units of contrast), ``block_px`` and ``regressed_out``.
    folder
        The shared folder.
    """

    name: str
    towers: AlignedTowers
    facts: Mapping[str, Any] = field(repr=False)
    folder: Path = field(repr=False)

    def __repr__(self) -> str:
        """Name recording, preset and towers."""
        return f"{type(self).__name__}({self.name!r} of {self.facts['recording']!r}, preset {self.facts['preset']!r}, {self.towers!r})"

    def encode_images(self, images: Any) -> Float32[np.ndarray, "image map_channel map_height map_width"]:
        """Return the image tower's maps of images: pixels as in the recording, shape (image, channel, height, width).

        Raises
        ------
        DataError
            If they are no finite numbers of the size of the images of the recording.
        """
        return self.towers.encode_images(self._contrast(images))

    def encode_responses(self, responses: Any) -> Float32[np.ndarray, "trial map_channel map_height map_width"]:
        """Return the neural tower's maps of single trials in the units of the recording, shape (trial, neuron).

        Raises
        ------
        DataError
            If they are no finite numbers of the neurons of the recording.
        """
        return self.towers.encode_responses(self._standardised(responses))

    def score(self, responses: Any, images: Any, stimulus_id: Any = None) -> Scores:
        """Return the score of each image for each response, larger for a better fit.

        Parameters
        ----------
        responses
            Single trials in the units of the recording, shape (trial, neuron).
        images
            Pixels as in the recording, shape (image, channel, height, width).
        stimulus_id
            For each trial a whole number; trials with one number are averaged, after each was transformed and standardised. None
            to score every trial by itself.

        Returns
        -------
        scores
            One row for each trial, or for each number in rising order; one column for each image.

        Raises
        ------
        DataError
            If sizes or numbers do not fit.
        """
        standard = self._standardised(responses)
        n_presentations = np.ones(len(standard))
        if stimulus_id is not None:
            ids = to_index("stimulus_id", to_array("stimulus_id", stimulus_id, ("trial",)))
            if ids.shape != (len(standard),):
                raise DataError(f"stimulus_id must hold a number for each of {len(standard)} trials; got shape {ids.shape}.")
            standard, n_presentations = _average(standard, ids)
        gallery = self._contrast(images)
        return self.towers.score(Queries(standard, n_presentations), Gallery(gallery, np.arange(len(gallery))))

    def arrays(self, name: str) -> xr.Dataset:
        """Return the arrays of a file in ``data/arrays``, such as "maps", "embeddings" or "retrieval_dina", after checking it.

        Raises
        ------
        DataError
            If there is no such file, or it is not as it was written.
        """
        files = Run(self.folder / DATA)
        known = [file.removeprefix("arrays/").removesuffix(".nc") for file in files.files.names("arrays/*.nc")]
        if name not in known:
            raise DataError(f"{files.path} holds no arrays {name!r}. Choose from: {', '.join(known) or 'none'}.")
        found = files.read_dataset(f"arrays/{name}.nc")
        assert found is not None
        return found

    def _contrast(self, images: Any) -> ContrastImages:
        block = self.facts.get("block_px")
        advice = "Resize them." if block is None else f"Average blocks of {block} x {block} pixels, as dina.read does."
        pixels = check_images(images, self.towers.image_tower.image_shape, advice)
        grey, scale = self.facts.get("mid_grey"), self.facts.get("contrast_scale")
        return pixels if grey is None or scale is None else (pixels - np.float32(grey)) / np.float32(scale)

    def _standardised(self, responses: Any) -> Responses:
        axes, n_neurons = ("trial", "neuron"), self.towers.neural_tower.n_neurons
        values = to_float32("responses", to_array("responses", responses, axes), axes)
        if values.ndim != 2 or values.shape[1] != n_neurons:
            raise DataError(
                f"responses must be (n_trials, {n_neurons}), the neurons of the recording in their order; got shape"
                f" {values.shape}. Give one row for each trial."
            )
        check_finite("responses", values, axes, "Drop these trials.")
        return _standardiser_of(self.towers).apply(values)


def load(
    folder: Path | str, name: str | None = None, *, preset: Preset[Any, Any, Any] | None = None, device: str = "cpu"
) -> SharedTowers:
    """Read the towers of a folder that ``dina export`` or `export_run` wrote, after comparing their files with the checksums.

    Nothing in the folder is run, and nothing is unpickled.

    Parameters
    ----------
    folder
        The shared folder, or its folder ``model``.
    name
        Which towers, where there are several: a fold such as "fold1", or a recording; None where there is one.
    preset
        The preset that built the towers; needed only if it is one of your own.
    device
        "cpu" or "cuda".

    Raises
    ------
    DataError
        If the folder is none that was shared, was written by a newer version, is not as it was written, or holds no such towers.

    Examples
    --------
    >>> shared = load("shared/M170714")  # doctest: +SKIP
    >>> shared.score(responses, images).argmax(axis=1)  # doctest: +SKIP
    """
    whole = Path(folder)
    path = whole / MODEL if (whole / MODEL).is_dir() else whole
    content = _describe(path)
    every = content["towers"]
    if name is None and len(every) > 1:
        raise DataError(f"{folder} holds several towers. Say which with name=: {', '.join(every)}.")
    chosen = next(iter(every)) if name is None else name
    if chosen not in every:
        raise DataError(f"{folder} holds no towers {chosen!r}. Choose from: {', '.join(every)}.")
    facts = every[chosen]
    Run(path).files.check(facts["file"])
    towers = load_towers(path / facts["file"], preset=preset).to(device)
    towers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as after training: sums in the same order
    _standardiser_of(towers)
    return SharedTowers(chosen, towers, facts, path.parent if path.name == MODEL else path)


def _describe(path: Path) -> Mapping[str, Any]:
    """Return what ``export.json`` says, after checking that it is what a release up to this one writes."""
    if not (path / DESCRIPTION).is_file() or not (path / CHECKSUMS).is_file():
        raise DataError(f"{path} must hold {DESCRIPTION} and {CHECKSUMS}; it does not. Give a folder that `dina export` wrote.")
    run = Run(path)
    try:
        content = json.loads(run.files.read(DESCRIPTION))
        version = content["dina_export"]
        if not isinstance(version, int) or version > FORMAT_VERSION:
            raise DataError(f"{path} has format {version}; this version of dina reads up to {FORMAT_VERSION}. Upgrade dina.")
        for facts in content["towers"].values():
            words = [facts[name] for name in ("file", "recording", "preset")]
            numbers = [facts.get(name) for name in ("mid_grey", "contrast_scale") if facts.get(name) is not None]
            if not all(isinstance(word, str) for word in words) or not all(isinstance(one, int | float) for one in numbers):
                raise TypeError("its facts are of another kind")
        if not content["towers"]:
            raise ValueError("it names no towers")
    except DataError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path / DESCRIPTION} is damaged ({error}). Export the run again.") from error
    return content


def _standardiser_of(towers: AlignedTowers) -> Standardiser:
    if towers.standardiser is None:
        raise DataError("These towers do not say how responses are standardised. Export the run again.")
    return towers.standardiser


def _average(standard: Responses, ids: Int[np.ndarray, "trial"]) -> tuple[StimulusResponses, Float[np.ndarray, "stimulus"]]:
    _, place = np.unique(ids, return_inverse=True)
    counts = np.bincount(place)
    return sum_by_group(standard, place, len(counts)) / counts.astype(np.float32)[:, None], counts.astype(np.float64)
