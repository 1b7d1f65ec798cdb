"""A table of presentations beside activity over time: when which image was shown, and what the animal did meanwhile."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePath

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from dina.checks import DataError
from dina.recordings.csv_tables import is_number, read_columns, read_numbers
from dina.recordings.file_places import find_images
from dina.recordings.layout import RecordingLayout, read_image_files
from dina.recordings.onset_windows import Windowed, drop_gaps
from dina.recordings.recording import Recording
from dina.recordings.stored_numbers import to_index
from dina.shapes import Images

PRESENTATIONS = "presentations.csv"
COVARIATES = ("running_speed", "pupil_size", "pupil_size_change", "pupil_x", "pupil_y")
IMAGES_OPTION = "[options] and images"  # by which other formats than arrays let images be named
_BLANK = ("", "null", "none", "nan", "n/a", "blank", "grey", "gray")


@dataclass(frozen=True, eq=False)
class Presentations:
    """What a table of presentations says, in the order of onsets, and the images that it names.

    Parameters
    ----------
    onset
        In seconds, or the number of a frame of the responses, counted from 0.
    is_number_of_time
        Whether onsets are such numbers.
    stimulus_id
        Position of each presentation's image; -1 where none was shown.
    images, mid_grey, contrast_scale, image_names
        As in a recording.
    covariates, covariate_names
        What the animal did, as recorded; NaN where unknown; None without.
    notes
        What was dropped or converted.
    """

    onset: Float[np.ndarray, "onset"]
    is_number_of_time: bool
    stimulus_id: Int[np.ndarray, "onset"]
    images: Images
    mid_grey: float
    contrast_scale: float
    image_names: tuple[str, ...] | None
    covariates: Float[np.ndarray, "onset covariate"] | None
    covariate_names: tuple[str, ...]
    notes: tuple[str, ...]

    def with_responses(
        self,
        name: str,
        windowed: Windowed,
        notes: tuple[str, ...] = (),
        position_um: Float[np.ndarray, "neuron 3"] | None = None,
        is_red: Bool[np.ndarray, "neuron"] | None = None,
        response_units: str | None = None,
    ) -> Recording:
        """Return the recording of the presentations that have responses and show an image.

        Parameters
        ----------
        name
            Of the recording.
        windowed
            Activity in a window after each onset.
        notes
            What a reader dropped or converted besides.
        position_um, is_red
            Of each neuron, as in a recording; None where unknown.
        response_units
            In words; None where unknown.

        Raises
        ------
        DataError
            If nothing is left.
        """
        shown = self.stimulus_id[windowed.kept] >= 0
        blank = say_blank(shown, len(self.stimulus_id))
        trials, neurons, gaps = drop_gaps(windowed.responses[shown])
        covariates = None if self.covariates is None else self.covariates[windowed.kept][shown][trials]
        return Recording(
            name=name,
            images=self.images,
            stimulus_id=self.stimulus_id[windowed.kept][shown][trials],
            responses=windowed.responses[shown][trials][:, neurons],
            response_units=response_units,
            mid_grey=self.mid_grey,
            contrast_scale=self.contrast_scale,
            image_names=None if self.image_names is None else np.array(self.image_names),
            neuron_position_um=None if position_um is None else position_um[neurons],
            is_red=None if is_red is None else is_red[neurons],
            covariates=covariates,
            covariate_names=None if covariates is None else np.array(self.covariate_names),
            notes=(*self.notes, *notes, *windowed.notes, *blank, *gaps),
        )


def read_presentations_table(
    folder: Path,
    table: Path | None = None,
    images: Path | None = None,
    mid_grey: float | None = None,
    contrast_scale: float | None = None,
) -> Presentations:
    """Read ``presentations.csv`` of a folder, and the images that it names.

    It has a column ``onset_s`` (seconds) or ``onset_frame``, a column ``image`` (the file name of a picture, with or without its
    ending, or the number of an image, counted from 0; empty where none was shown), and perhaps columns named in `COVARIATES`.

    Parameters
    ----------
    folder
        Where the table and the images (``images/``, ``images.zip`` or ``images.npy``) lie.
    table, images
        Files that take their place; images beside such a table count before those of the folder.
    mid_grey, contrast_scale
        Of pixels that are not 8-bit.

    Raises
    ------
    DataError
        If a file is missing, a cell cannot be read, or an image is not there.
    """
    path, notes = table or folder / PRESENTATIONS, list[str]()
    beside = path.parent if find_images(path.parent) else folder
    if images is None and beside.resolve() != folder.resolve() and find_images(folder):
        notes.append(f"The images were taken from {beside.name}, beside the table; {folder.name} holds others.")
    if not path.is_file():
        raise DataError(
            f"{path} not found: it must say when which image was shown, in columns onset_s and image, one row for each presentation."
            " Write it there, or name it with presentations under [options]."
        )
    times = ("onset_s", "onset_frame")
    needed = {"a column image": ("image",), "one of onset_s and onset_frame": times}
    columns = read_columns(path, (*times, "image", *COVARIATES), notes, needed)
    onsets = [name for name in times if name in columns]
    if len(onsets) != 1:
        raise DataError(f"{path.name} must have one of onset_s and onset_frame; it has both. Remove the one that is not meant.")
    onset = read_numbers(columns[onsets[0]], onsets[0], path, [])  # unknown ones are refused
    if not np.isfinite(onset).all():
        raise DataError(
            f"{path.name}: every row must have {onsets[0]}; that of row {int(np.argmin(np.isfinite(onset))) + 1} is unknown."
        )
    stated = {"mid_grey": mid_grey, "contrast_scale": contrast_scale}
    layout = RecordingLayout.model_validate({"images": stated})
    pixels, grey, scale, more, names = read_image_files(beside, layout, images, IMAGES_OPTION)
    ids = image_numbers(np.array(columns["image"]), len(pixels), names, path.name)
    order = np.argsort(onset, kind="stable")
    known = tuple(name for name in COVARIATES if name in columns)
    behaviour = np.array([read_numbers(columns[name], name, path, notes) for name in known]).T[order] if known else None
    return Presentations(
        onset[order], onsets[0] == "onset_frame", ids[order], pixels, grey, scale, names, behaviour, known, (*notes, *more)
    )


def read_covariates(path: Path, notes: list[str]) -> tuple[Float[np.ndarray, "trial covariate"], tuple[str, ...]]:
    """Read ``covariates.csv``: columns named in `COVARIATES`, one row for each trial, empty where unknown.

    Raises
    ------
    DataError
        If there is no such table or column, or a cell is no number.
    """
    columns = read_columns(path, COVARIATES, notes, {f"one or more of the columns {', '.join(COVARIATES)}": COVARIATES})
    return np.array([read_numbers(cells, name, path, notes) for name, cells in columns.items()]).T, tuple(columns)


def image_numbers(
    words: Shaped[np.ndarray, "onset"], n_images: int, names: tuple[str, ...] | None, source: str
) -> Int[np.ndarray, "onset"]:
    """Return the 0-based position of the image that each presentation names by number or name; -1 where none was shown.

    A word that is the name of a picture, with or without its ending, is that picture, also where it is a number.

    ``names`` are those of the images, ``source`` is for messages.

    Raises
    ------
    DataError
        If an image is not there, or all presentations are blank.
    """
    blank = np.zeros(len(words), dtype=bool)
    if words.dtype.kind == "U":
        words = np.char.strip(words)
        blank = np.isin(np.char.lower(words), _BLANK)
        if _are_positions(words[~blank].tolist(), names or ()):
            words = np.where(blank, "nan", words).astype(np.float64)
    if words.dtype.kind == "U":
        ids = _by_name(words, blank, names or (), source)
    else:
        blank = ~np.isfinite(words) | (words < 0)
        if words.dtype.kind == "u" and words.dtype.itemsize >= 4:
            blank |= words == np.iinfo(words.dtype).max  # -1, once it was stored without a sign
        numbers = to_index(f"the image numbers of {source}", np.where(blank, words.dtype.type(0), words))
        ids = np.where(blank, np.int64(-1), numbers)
    if blank.all():
        raise DataError(f"{source} must name images; every presentation is blank. Choose others, or correct it.")
    if ids.max() >= n_images:
        advice = (
            "They look as if they counted from 1: subtract 1 from each in the file."
            if ids.max() == n_images and 0 not in ids
            else "Give the images that belong to it with images under [options] of a .toml, or with --images."
        )
        raise DataError(
            f"{source} names image {int(ids.max())} in row {int(ids.argmax()) + 1}, but there are {n_images}, counted from 0. {advice}"
        )
    return ids


def say_blank(shown: Bool[np.ndarray, "_"], n_presentations: int) -> list[str]:
    """Say how many presentations in the recording show no image; those that lie outside of it are counted elsewhere."""
    n = int((~shown).sum())
    return [f"{n} of {n_presentations} presentations show no image (blank) and were dropped."] if n else []


def _are_positions(words: list[str], names: tuple[str, ...]) -> bool:
    """Say whether words are positions of images: numbers, unless pictures are called by numbers themselves."""
    stems = [PurePath(name).stem for name in names]
    is_called_so = bool(names) and (set(words) <= {*names, *stems} or all(map(is_number, stems)))
    return not is_called_so and all(map(is_number, words))


def _by_name(words: np.ndarray, blank: np.ndarray, names: tuple[str, ...], source: str) -> np.ndarray:
    stems = [PurePath(name).stem for name in names]
    positions = {stem: number for number, stem in enumerate(stems)} | {n: i for i, n in enumerate(names)}
    doubtful = sorted(word for word in set(words[~blank].tolist()) - set(names) if stems.count(word) > 1)
    if doubtful:
        several = ", ".join(name for name, stem in zip(names, stems) if stem == doubtful[0])
        raise DataError(f"{source} names the image {doubtful[0]!r}, which can be {several}. Write the whole name.")
    unknown = list(dict.fromkeys(word for word in words[~blank].tolist() if word not in positions))
    if unknown:
        there = f"which are {', '.join(names[:3])}, …" if names else "which have no names"
        others = f" and {len(unknown) - 1} more that are" if len(unknown) > 1 else ", which is"
        named = set(words.tolist())
        near = get_close_matches(unknown[0], [one for one in names if not {one, PurePath(one).stem} & named], n=1)
        meant = f" Perhaps {near[0]} was meant; else give" if near else " Give"
        raise DataError(
            f"{source} names the image {unknown[0]!r}{others} not among the images ({there}); it is in row {words.tolist().index(unknown[0]) + 1}."
            f"{meant} the images that belong to it."
        )
    return np.array([-1 if is_blank else positions[word] for word, is_blank in zip(words.tolist(), blank)], dtype=np.int64)
