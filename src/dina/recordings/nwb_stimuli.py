"""Which image an NWB file says was shown when, and the images themselves."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float, Int, Shaped

from dina.checks import DataError
from dina.recordings.hdf5_contents import check_hdf5_dataset
from dina.recordings.hdf5_objects import follow, groups_below, read_array, word_of
from dina.recordings.pictures import MAX_TOTAL_BYTES
from dina.recordings.presentations import image_numbers
from dina.recordings.stored_numbers import to_float32
from dina.shapes import Images

IMAGE_COLUMNS = ("frame", "image_index", "image_name", "image", "stimulus_id")
_SCREEN_S = 0.05  # entries of a series that are nearer to each other are frames of a screen; no presentation is so short
_SAY = "under [options] of a .toml that describes the recording"


@dataclass(frozen=True, eq=False)
class Shown:
    """Presentations in the order of their onsets.

    Parameters
    ----------
    name
        Of the series or table that lists them.
    onset_s
        In seconds of the session's clock.
    image
        Number or name of the image of each presentation.
    templates
        Where the images lie, if the series says so.
    """

    name: str
    onset_s: Float[np.ndarray, "onset"]
    image: Shaped[np.ndarray, "onset"]
    templates: Any = None

    def numbers(self, n_images: int, names: tuple[str, ...] | None, path: Path) -> Int[np.ndarray, "onset"]:
        """Return the 0-based position of each presentation's image; -1 where none was shown.

        Raises
        ------
        DataError
            If an image is not there.
        """
        return image_numbers(self.image, n_images, names, f"{path.name}: {self.name}")


def read_presentations(file: h5py.File, wanted: str | None, column: str | None, path: Path, notes: list[str]) -> Shown:
    """Read when which image was shown: the series or table of that name, or the only one.

    Raises
    ------
    DataError
        If there is none, or several and none is chosen.
    """
    series, tables = _index_series(file, path), _tables(file, column, path)
    known = {**series, **tables}
    if wanted is None and len(known) == 1:
        wanted = next(iter(known))
    if not known:
        raise DataError(
            f"{path.name} must say which image was shown when: an IndexSeries in stimulus/presentation, or a table in intervals with"
            f" start_time and {column or ' or '.join(IMAGE_COLUMNS)}; {_say_columns(file, path)}. Name that column with image_column {_SAY}."
        )
    if wanted not in known:
        found = "which to read is not clear" if wanted is None else f"stimuli = {wanted!r} is none of them"
        raise DataError(f"{path.name} lists presentations in {', '.join(known)}; {found}. Choose one with stimuli {_SAY}.")
    if wanted in series:
        shown = _from_series(series[wanted], wanted, path, notes)
    else:
        group, name = tables[wanted]
        shown = Shown(wanted, *_checked(read_array(group, "start_time", path), read_array(group, name, path), wanted, path))
        notes.append(f"Images and onsets were read from the columns {name} and start_time of intervals/{wanted}.")
    order = np.argsort(shown.onset_s, kind="stable")
    order = order[np.isfinite(shown.onset_s[order])]
    if len(order) < len(shown.onset_s):
        notes.append(f"{len(shown.onset_s) - len(order)} presentations without an onset were dropped.")
    if not len(order):
        raise DataError(f"{path.name}: {wanted} must hold presentations; it has none with an onset. Choose others with stimuli.")
    return Shown(shown.name, shown.onset_s[order], shown.image[order], shown.templates)


def read_templates(file: h5py.File, shown: Shown, path: Path, notes: list[str]) -> tuple[Images, tuple[str, ...] | None]:
    """Read the images of the presentations, with the names of those that have one.

    Raises
    ------
    DataError
        If they are not in the file, several could be meant, or they differ in size.
    """
    place = shown.templates
    if place is None:
        templates = follow(file, "stimulus/templates", path)
        inside = [follow(templates, name, path) for name in templates] if isinstance(templates, h5py.Group) else []
        known = {str(one.name).rpartition("/")[2]: one for one in inside if isinstance(one, h5py.Group)}
        stem = shown.name.partition("_presentations")[0]
        fitting = [name for name in known if name.startswith(stem)] or list(known)
        if len(fitting) != 1:
            found = f"it has {', '.join(known)}" if known else "it has none"
            raise DataError(
                f"{path.name} must hold the images of {shown.name} in stimulus/templates; {found}. Give a folder of them with images"
                f" {_SAY}, or with --images."
            )
        place = known[fitting[0]]
        notes.append(f"The images were taken from stimulus/templates/{fitting[0]}.")
    if follow(place, "external_file", path) is not None:
        raise DataError(f"{path.name}: the images of {shown.name} lie in other files. Give their folder with images {_SAY}.")
    if isinstance(stack := follow(place, "data", path), h5py.Dataset):
        check_hdf5_dataset(stack, path)
        if stack.ndim not in (3, 4):
            raise DataError(f"{path.name}: {stack.name} must be (image, height, width) or with colour last; got {stack.shape}.")
        return _as_images(np.asarray(stack[()]), path, notes), None
    datasets = _image_datasets(place, path, notes, shown.image)
    if len({one.shape for one in datasets}) != 1:
        sizes = sorted({one.shape for one in datasets})
        raise DataError(f"{path.name}: images of {place.name} must agree in size; got {sizes[:4]}. Give them with images {_SAY}.")
    stacked = np.stack([one[()] for one in datasets])
    return _as_images(stacked, path, notes), tuple(str(one.name).rpartition("/")[2] for one in datasets)


def _index_series(file: h5py.File, path: Path) -> dict[str, h5py.Group]:
    top = follow(file, "stimulus/presentation", path)
    groups = groups_below(top, path) if isinstance(top, h5py.Group) else []
    return {
        str(group.name).rpartition("/")[2]: group
        for group in groups
        if word_of(group.attrs.get("neurodata_type", "")) == "IndexSeries"
    }


def _tables(file: h5py.File, column: str | None, path: Path) -> dict[str, tuple[h5py.Group, str]]:
    """Return tables of intervals that name an image, with the column that does."""
    top = follow(file, "intervals", path)
    found = {}
    for group in groups_below(top, path) if isinstance(top, h5py.Group) else []:
        named = next((name for name in ([column] if column else IMAGE_COLUMNS) if follow(group, name, path)), None)
        if named is not None and follow(group, "start_time", path):
            found[str(group.name).rpartition("/")[2]] = (group, named)
    return found


def _say_columns(file: h5py.File, path: Path) -> str:
    """Say which tables of intervals there are, with their columns."""
    top = follow(file, "intervals", path)
    tables = [each for each in groups_below(top, path) if each != top] if isinstance(top, h5py.Group) else []
    said = [f"intervals/{str(each.name).rpartition('/')[2]} has {', '.join(list(each)[:12])}" for each in tables[:4]]
    return "; ".join(said) or "there is no table"


def _checked(onsets: np.ndarray | None, images: np.ndarray | None, name: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    if onsets is None or images is None or onsets.ndim != 1 or onsets.shape != images.shape or not len(onsets):
        shapes = [None if each is None else each.shape for each in (onsets, images)]
        raise DataError(
            f"{path.name}: {name} must have one onset and one image for each presentation; got {shapes[0]} and {shapes[1]}."
        )
    if onsets.dtype.kind not in "fiu" or images.dtype.kind not in "fiuU":
        raise DataError(
            f"{path.name}: {name} must hold onsets in seconds and images by number or name. Check how it was written."
        )
    return onsets.astype(np.float64), images


def _from_series(series: h5py.Group, name: str, path: Path, notes: list[str]) -> Shown:
    images, onsets = read_array(series, "data", path), read_array(series, "timestamps", path)
    start = follow(series, "starting_time", path)
    if onsets is None and images is not None and isinstance(start, h5py.Dataset) and float(start.attrs.get("rate", 0)) > 0:
        check_hdf5_dataset(start, path)
        onsets = float(start[()]) + np.arange(len(images)) / float(start.attrs["rate"])
    onsets, images = _checked(onsets, images, name, path)
    if len(images) > 1 and float((images[1:] == images[:-1]).mean()) > 0.5:
        steps = np.diff(onsets)
        interval = float(np.median(steps[np.isfinite(steps)])) if np.isfinite(steps).any() else np.inf
        if interval <= _SCREEN_S:
            begins = np.flatnonzero(np.concatenate([[True], (images[1:] != images[:-1]) | ~(steps <= 2.5 * interval)]))
            notes.append(
                f"{name} lists {len(images)} frames of the screen, {1000 * interval:.0f} ms apart; runs of one image without a pause count as"
                f" one presentation, {len(begins)}."
            )
            onsets, images = onsets[begins], images[begins]
        else:
            notes.append(
                f"{name} often lists one image several times in a row, {interval:.3g} s apart; each entry counts as a presentation of its own."
                " If they are frames of one presentation, write only its first."
            )
    templates = follow(series, "indexed_images", path) or follow(series, "indexed_timeseries", path)
    return Shown(name, onsets, images, templates)


def _image_datasets(place: h5py.Group, path: Path, notes: list[str], words: np.ndarray) -> list[h5py.Dataset]:
    """Return the images of a container in their order, which does not matter where ``words``, what presentations say, are names."""
    order = follow(place, "order_of_images", path)
    if isinstance(order, h5py.Dataset) and h5py.check_ref_dtype(order.dtype) and order.ndim == 1:
        check_hdf5_dataset(order, path)
        # opened by name: HDF5 searches the file for the name of each object that is opened by reference
        named = [follow(place, name, path) for name in place if name != "order_of_images"]
        known = {h5py.h5o.get_info(one.id).addr: one for one in named if one is not None}
        datasets = [known.get(h5py.h5o.get_info(place.file[reference].id).addr) for reference in order[()]]
    else:
        names, reason = _in_order(place, path, words)
        datasets = [follow(place, name, path) for name in names]
        notes.append(f"{place.name} does not state the order of its images; they were ordered {reason}.")
    images = [one for one in datasets if isinstance(one, h5py.Dataset) and one.ndim in (2, 3)]
    if not images or len(images) < len(datasets):
        n = len(datasets) - len(images)
        found = f"{n} of {len(datasets)} entries are none, or lie elsewhere" if datasets else "it holds none"
        raise DataError(f"{path.name}: {place.name} must hold images alone; {found}. Give the images with images {_SAY}.")
    for one in images:
        check_hdf5_dataset(one, path)
    if sum(one.nbytes for one in images) > MAX_TOTAL_BYTES:
        raise DataError(f"{path.name}: the images of {place.name} exceed {MAX_TOTAL_BYTES // 2**30} GiB. Make them smaller.")
    return images


def _in_order(place: h5py.Group, path: Path, words: np.ndarray) -> tuple[list[str], str]:
    """Return the names of images without a stated order, in the only order that is not in doubt, and which one that is."""
    names = [name for name in place if name != "order_of_images"]  # in order of creation where the file keeps it, else by name
    parts = {name: re.split(r"([0-9]+)", name) for name in names}
    differ = [i for i, texts in enumerate(zip(*parts.values(), strict=False)) if len(set(texts)) > 1]
    if len({len(each) for each in parts.values()}) == 1 and len(differ) <= 1 and all(i % 2 for i in differ):
        numbers = {name: int(each[differ[0]]) if differ else 0 for name, each in parts.items()}
        if len(set(numbers.values())) == len(names):
            return sorted(names, key=lambda name: numbers[name]), "by the numbers in their names"
    if place.id.get_create_plist().get_link_creation_order() & h5py.h5p.CRT_ORDER_TRACKED:
        return names, "as they were written, which the file keeps"
    if not names or not {*names, *(PurePath(name).stem for name in names)}.isdisjoint(map(str, words)):
        return sorted(names), "by name; presentations say which they show by name, too"
    raise DataError(
        f"{path.name}: {place.name} must state the order of its images in order_of_images, since presentations give their numbers;"
        f" it does not, so that the order is in doubt: names such as {names[0]!r} and {names[-1]!r} do not differ in one number alone."
        f" Write order_of_images, or give a folder of the images, in order, with images {_SAY}."
    )


def _as_images(stack: np.ndarray, path: Path, notes: list[str]) -> Images:
    """Return (image, height, width[, colour]) as (image, channel, height, width)."""
    if stack.ndim == 4 and stack.shape[3] == 4:
        stack = stack[..., :3]
        notes.append("Transparency of the images was dropped.")
    if stack.ndim == 4 and stack.shape[3] not in (1, 3):
        raise DataError(f"{path.name}: images must be grey, or have 3 colours as the last axis; got shape {stack.shape[1:]}.")
    pixels = stack[:, None] if stack.ndim == 3 else np.moveaxis(stack, -1, 1)
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    pixels = to_float32("images", pixels, ("image", "channel", "height", "width"))
    low, high = float(pixels.min()), float(pixels.max())
    if low >= 0 and 1 < high <= 255 and bool((pixels == np.round(pixels)).all()):
        notes.append("Pixels are whole numbers from 0 to 255 and were taken as 8-bit.")
        return pixels.astype(np.uint8)
    return np.ascontiguousarray(pixels)
