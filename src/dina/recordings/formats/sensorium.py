"""The folders of the Sensorium competition, of Franke et al. 2022 and Lurz et al. 2020: one small file for each trial and quantity."""

import hashlib
import re
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dina.checks import DataError
from dina.progress import track
from dina.recordings.file_places import file_inside, numbered_files
from dina.recordings.onset_windows import drop_gaps
from dina.recordings.pictures import MAX_TOTAL_BYTES
from dina.recordings.pixel_values import settle_grey
from dina.recordings.recording import Recording
from dina.recordings.stored_numbers import read_npy, to_float32

BEHAVIOUR = ("pupil_size", "pupil_size_change", "running_speed")  # columns of `data/behavior`
GAZE = ("pupil_x", "pupil_y")  # columns of `data/pupil_center`
_IMAGE_IDS = ("frame_image_id", "colorframeprojector_image_id")
_NO_LETTERS = (0xD800, 0xDFFF)  # halves of letters, which alone are none
_ORDER_UNKNOWN = "Trials are in the order of their files, which need not be that of presentation."


def recognises(path: Path) -> bool:
    """Tell whether the path is a folder with ``meta/trials/tiers.npy``, or with ``data/images`` and ``data/responses``."""
    return (path / "meta" / "trials" / "tiers.npy").is_file() or all(
        (path / "data" / n).is_dir() for n in ("images", "responses")
    )


def read(
    path: Path,
    tiers: tuple[str, ...] | None = None,
    channels: tuple[int, ...] | None = None,
    where: Mapping[str, str] | None = None,
    mid_grey: float | None = None,
    contrast_scale: float | None = None,
) -> Recording:
    """Read a folder with ``data/images/0.npy`` …, ``data/responses/0.npy`` …, and what is said of trials and neurons in ``meta``.

    Trials of identical pixels are repeats of one image. Tiers (train, validation, test) are not used: dina splits by image, never by
    trial. Trials whose responses were withheld (all 0) are dropped.

    Parameters
    ----------
    path
        The folder, as unzipped.
    tiers
        Trials of which tiers are read; by default all.
    channels
        Channels of the images to keep, counted from 0; by default all. Two are averaged to grey.
    where
        Words that files of ``meta/neurons`` must say of a neuron: ``{"area": "V1", "layer": "L2/3"}``.
    mid_grey, contrast_scale
        Of pixels; 128 and 64 where these lie between 0 and 255.

    Raises
    ------
    DataError
        If a file is missing, of another size than the first, or no plain numbers; or nothing is left.

    References
    ----------
    Willeke et al. (2022), arXiv:2206.08666. Franke et al. (2022), Nature 610:128. https://doi.org/10.1038/s41586-022-05270-3
    """
    notes: list[str] = []
    trials = _choose_trials(path, tiers, notes)
    responses = _read_rows(path, "data/responses", trials)
    withheld = (responses == 0).all(axis=1)
    if withheld.any():
        notes.append(
            f"{int(withheld.sum())} of {len(trials)} trials have no responses (all 0, as withheld ones are); they were dropped."
        )
    chosen = _where(path, responses.shape[1], where or {}, notes)
    kept, gaps = np.zeros(0, dtype=bool), tuple[str, ...]()
    if not withheld.all():
        kept, neurons, gaps = drop_gaps(responses[~withheld][:, chosen])  # gaps of other neurons cost no trial
        chosen[chosen] = neurons
    trials = trials[~withheld][kept]
    if len(trials) < 2:
        raise DataError(f"{path.name} must hold trials with responses; {len(trials)} are left. Choose other tiers.")
    pixels = _read_images(path, trials, channels, notes)
    grey, scale = _grey(pixels.images, path, mid_grey, contrast_scale, notes)
    covariates, names = _read_behaviour(path, trials, notes)
    area = _facts_of_neurons(path, "area", chosen, notes)
    notes.append(
        "The folder names no species; all that were published are of mice, so mouse was taken. State another in a .toml."
    )
    return Recording(
        name=path.name or path.resolve().name,
        images=pixels.images,
        stimulus_id=pixels.stimulus_id,
        responses=responses[~withheld][kept][:, chosen],
        animal=_animal(path, chosen, notes),
        species="mouse",
        area=area.pop() if len(area) == 1 else None,
        mid_grey=grey,
        contrast_scale=scale,
        neuron_position_um=_positions(path, chosen, notes),
        image_names=_image_names(path, trials, pixels, notes),
        covariates=covariates,
        covariate_names=names,
        notes=(*notes, *gaps),
    )


@dataclass(frozen=True, eq=False)
class _Images:
    images: np.ndarray
    stimulus_id: np.ndarray
    first_trial: np.ndarray  # of each image: the number of a trial that showed it


def _choose_trials(path: Path, tiers: tuple[str, ...] | None, notes: list[str]) -> np.ndarray:
    """Return the numbers of the trials to read, in order of presentation where that is known."""
    for name in ("data/images", "data/responses"):
        if not file_inside(path, name).is_dir():
            raise DataError(
                f"{path.name} must hold a folder {name} with 0.npy, 1.npy …; it has none. Unzip the recording as it is."
            )
    shown, recorded = numbered_files(path, "data/images"), numbered_files(path, "data/responses")
    trials = np.array([trial for trial in shown if trial in recorded], dtype=np.int64)
    if len(trials) < max(len(shown), len(recorded)):
        notes.append(
            f"{len(shown)} images and {len(recorded)} responses share {len(trials)} trials; the others were passed over."
        )
    if not len(trials):
        raise DataError(
            f"{path.name}: data/images and data/responses must share trials; they share none. Unzip the recording again."
        )
    said = _optional(path, "trials", "tiers", notes)
    if said is not None and len(said) > trials.max():
        words = said[trials].astype(np.str_)
        counts = ", ".join(f"{n} {word}" for word, n in Counter(words.tolist()).items())
        if tiers is not None:
            trials = trials[np.isin(words, tiers)]
            notes.append(f"Of the tiers ({counts} trials) those of {' and '.join(tiers)} were read.")
        else:
            notes.append(f"The tiers of the folder ({counts} trials) are not used: a study splits by image.")
        if not len(trials):
            raise DataError(
                f"{path.name}: tiers must be among those of the folder ({counts}); got {', '.join(tiers or ())}. Correct them."
            )
    elif tiers is not None:
        raise DataError(f"{path.name} must say the tier of each trial in meta/trials/tiers.npy; it does not. Leave out tiers.")
    order = _optional(path, "trials", "trial_idx", notes)
    if order is None or order.dtype.kind not in "iu" or len(order) <= trials.max() or len(np.unique(order)) < len(order):
        notes.append(_ORDER_UNKNOWN)
        return trials
    return trials[np.argsort(order[trials], kind="stable")]


def _optional(path: Path, kind: str, name: str, notes: list[str]) -> np.ndarray | None:
    """Read an array of ``meta``, if it is there and can be read; Python objects are never loaded."""
    file = file_inside(path, f"meta/{kind}/{name}.npy")
    if not file.is_file():
        return None
    try:
        values = _real_words(read_npy(file))
    except DataError as error:
        notes.append(f"meta/{kind}/{name}.npy was passed over: {error}")
        return None
    return np.array(values) if values.ndim == 1 or name == "cell_motor_coordinates" else None


def _real_words(values: np.ndarray) -> np.ndarray:
    """Return words as text; a damaged file can hold numbers in their place that are no letters."""
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8", "replace")
    if values.dtype.kind == "U":
        codes = np.ascontiguousarray(values).view(np.dtype("u4").newbyteorder(values.dtype.byteorder))
        if codes.size and (codes.max() > sys.maxunicode or ((codes >= _NO_LETTERS[0]) & (codes <= _NO_LETTERS[1])).any()):
            raise DataError("its words hold numbers that are no letters. Copy the folder again.")
    return values


def _read_rows(path: Path, name: str, trials: np.ndarray) -> np.ndarray:
    """Read one vector for each trial."""
    files = numbered_files(path, name)
    rows = np.zeros((0, 0), dtype=np.float32)
    for i, trial in enumerate(track(trials, f"Reading {name}")):
        row = np.ravel(read_npy(files[int(trial)]))
        if i == 0:
            if len(trials) * row.size * 4 > MAX_TOTAL_BYTES * 4:
                raise DataError(f"{path.name}: {name} is larger than {MAX_TOTAL_BYTES * 4 // 2**30} GiB. Choose tiers.")
            rows = np.empty((len(trials), row.size), dtype=np.float32)
        if row.size != rows.shape[1]:
            raise DataError(
                f"{path.name}: {name}/{trial}.npy must have {rows.shape[1]} numbers, as others have; it has {row.size}."
            )
        rows[i] = to_float32(f"{name}/{trial}.npy", row, ("number",))
    return rows


def _read_images(path: Path, trials: np.ndarray, channels: tuple[int, ...] | None, notes: list[str]) -> _Images:
    """Read the images of trials, each only once however often it was shown."""
    files = numbered_files(path, "data/images")
    known: dict[bytes, int] = {}
    different: list[np.ndarray] = []
    first, ids = [], []
    for trial in track(trials, "Reading data/images"):
        image = _one_image(read_npy(files[int(trial)]), channels, f"{path.name}: data/images/{trial}.npy")
        number = known.setdefault(hashlib.blake2b(image.tobytes(), digest_size=16).digest(), len(different))
        if number == len(different):
            if different and image.shape != different[0].shape:
                raise DataError(
                    f"{path.name}: images must agree in size; trial {trial} has {image.shape}, others {different[0].shape}."
                )
            if image.nbytes * (len(different) + 1) > MAX_TOTAL_BYTES:
                raise DataError(
                    f"{path.name}: the images exceed {MAX_TOTAL_BYTES // 2**30} GiB. Choose tiers, or make them smaller."
                )
            different.append(image)
            first.append(trial)
        ids.append(number)
    images = np.stack(different)
    n_channels = images.shape[1]
    if n_channels == 2:
        images = images.mean(axis=1, keepdims=True, dtype=np.float32)
        notes.append("The two colour channels of the images were averaged to grey; choose one with channels.")
    low, high = float(images.min()), float(images.max())
    if images.dtype != np.uint8 and low >= 0 and 1 < high <= 255 and bool((images == np.round(images)).all()):
        images = images.astype(np.uint8)
    notes.append(f"{len(trials)} trials show {len(images)} different images; identical pixels count as repeats.")
    return _Images(images, np.array(ids), np.array(first))


def _one_image(stored: np.ndarray, channels: tuple[int, ...] | None, where: str) -> np.ndarray:
    image = stored[None] if stored.ndim == 2 else stored
    if image.ndim != 3 or image.shape[0] > 3:
        raise DataError(
            f"{where} must be (channel, height, width) with 1 to 3 channels; got shape {stored.shape}. This is no still image."
        )
    if channels is not None:
        if not channels or min(channels) < 0 or max(channels) >= image.shape[0]:
            raise DataError(f"channels must be between 0 and {image.shape[0] - 1}; got {channels}. Correct them.")
        image = image[list(channels)]
    return np.ascontiguousarray(image if image.dtype == np.uint8 else to_float32("images", image, ("channel", "height", "width")))


def _grey(images: np.ndarray, path: Path, grey: float | None, scale: float | None, notes: list[str]) -> tuple[float, float]:
    if images.dtype != np.uint8 and grey is None and scale is None and images.min() >= 0 and 1 < images.max() <= 255.5:
        notes.append("Pixels lie between 0 and 255 and were taken as grey levels of 8 bits, with grey at 128.")
        return 128.0, 64.0
    return settle_grey(images, path.name, grey, scale, "[options] of the .toml that describes it")


def _where(path: Path, n_neurons: int, where: Mapping[str, str], notes: list[str]) -> np.ndarray:
    """Return which neurons stay."""
    keep = np.ones(n_neurons, dtype=bool)
    for name, word in where.items():
        said = _optional(path, "neurons", name, notes) if re.fullmatch(r"\w+", name) else None
        if said is None or len(said) != n_neurons:
            there = ", ".join(sorted(file.stem for file in (path / "meta" / "neurons").glob("*.npy"))[:12]) or "nothing"
            raise DataError(
                f"{path.name}: meta/neurons/{name}.npy must say a word for each of {n_neurons} neurons; meta/neurons holds {there}."
                " Correct where."
            )
        keep &= said.astype(np.str_) == word
        if not keep.any():
            words = ", ".join(sorted(set(said.astype(np.str_).tolist()))[:12])
            raise DataError(f"{path.name}: no neuron is left where {name} is {word!r}; it says {words}. Correct where.")
    if where:
        chosen = " and ".join(f"{name} is {word}" for name, word in where.items())
        notes.append(f"{int(keep.sum())} of {len(keep)} neurons were kept, those whose {chosen}.")
    return keep


def _facts_of_neurons(path: Path, name: str, chosen: np.ndarray, notes: list[str]) -> set[str]:
    said = _optional(path, "neurons", name, notes)
    return set() if said is None or len(said) != len(chosen) else {word.strip() for word in said[chosen].astype(np.str_).tolist()}


def _animal(path: Path, chosen: np.ndarray, notes: list[str]) -> str | None:
    """Return the number of the mouse: as said of its neurons, or from a name such as static21067-10-18-GrayImageNet."""
    said = _facts_of_neurons(path, "animal_ids", chosen, notes)
    named = re.match(r"(?:static|dynamic)?(\d{4,6})-\d+-\d+", path.name or path.resolve().name)
    return said.pop() if len(said) == 1 else named[1] if named else None


def _positions(path: Path, chosen: np.ndarray, notes: list[str]) -> np.ndarray | None:
    stored = _optional(path, "neurons", "cell_motor_coordinates", notes)
    if stored is None or stored.shape != (len(chosen), 3):
        return None
    return to_float32("cell_motor_coordinates", stored, ("neuron", "axis"))[chosen]


def _image_names(path: Path, trials: np.ndarray, pixels: _Images, notes: list[str]) -> np.ndarray | None:
    """Return the ids of the images, and say where they and pixels disagree about which trials are repeats."""
    for name in _IMAGE_IDS:
        ids = _optional(path, "trials", name, notes)
        if ids is not None and len(ids) > trials.max():
            n = sum(len(set(group)) > 1 for group in _groups(pixels.stimulus_id, ids[trials]))
            n += sum(len(set(group)) > 1 for group in _groups(ids[trials], pixels.stimulus_id))
            if n:
                notes.append(
                    f"meta/trials/{name}.npy and pixels disagree about {n} images; pixels decided which trials are repeats."
                )
            notes.append(
                f"Images are numbered from 0 in the order in which they were first shown, not by {name}, which names them."
            )
            return ids[pixels.first_trial].astype(np.str_)
    return None


def _groups(key: np.ndarray, values: np.ndarray) -> list[list[Any]]:
    groups: dict[Any, list[Any]] = {}
    for one, value in zip(key.tolist(), values.tolist()):
        groups.setdefault(one, []).append(value)
    return list(groups.values())


def _read_behaviour(path: Path, trials: np.ndarray, notes: list[str]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return pupil and running speed, where they were recorded and not withheld."""
    columns: list[np.ndarray] = []
    names: list[str] = []
    for name, words in (("data/behavior", BEHAVIOUR), ("data/pupil_center", GAZE)):
        folder = file_inside(path, name)
        if not folder.is_dir() or not set(trials.tolist()) <= set(numbered_files(path, name)):
            continue
        rows = _read_rows(path, name, trials)
        rows[~np.isfinite(rows)] = np.nan
        if not np.nan_to_num(rows).any():
            notes.append(f"{name} is 0 throughout, as withheld behaviour is; it was left out.")
        elif rows.shape[1] == len(words):
            columns, names = [*columns, rows], [*names, *words]
        else:
            notes.append(
                f"{name} has {rows.shape[1]} numbers for each trial where {len(words)} are known ({', '.join(words)}); left out."
            )
    return (np.concatenate(columns, axis=1), np.array(names)) if columns else (None, None)
