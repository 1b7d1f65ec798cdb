"""What images are called in figures and tables, by file or by number, and how they look."""

import numpy as np
import xarray as xr

from dina.safe_words import shown_letters

_ENDING = "stimulus_id"
_MOST_LETTERS = 26
_MOST_THUMBNAILS = 64


def name_images(dataset: xr.Dataset, gallery: xr.Dataset | None) -> xr.Dataset:
    """Return the arrays of an analysis with names and thumbnails of their images, where the gallery of the run has them.

    Beside every ``stimulus_id`` (or ``<axis>_stimulus_id``) stands an ``image_name`` (or ``<axis>_image_name``), and along short axes
    a ``thumbnail`` of 8 bits; an image that the gallery lacks has the name "" and makes an axis have no thumbnails.
    """
    if gallery is None or "stimulus_id" not in gallery:
        return dataset
    place = {number: at for at, number in enumerate(gallery["stimulus_id"].to_numpy().tolist())}
    for ids in [str(name) for name in dataset.variables if str(name).endswith(_ENDING) and dataset[name].ndim == 1]:
        head, axis, found = (
            ids.removesuffix(_ENDING),
            dataset[ids].dims[0],
            [place.get(n) for n in dataset[ids].to_numpy().tolist()],
        )
        if "image_name" in gallery:
            names = list(map(str, gallery["image_name"].to_numpy()))
            words = np.array(["" if at is None else names[at] for at in found], dtype=object)
            dataset = dataset.assign_coords({f"{head}image_name": (axis, words)})
        if "thumbnail" in gallery and None not in found and len(found) <= _MOST_THUMBNAILS:
            pixels = gallery["thumbnail"].to_numpy()[[at for at in found if at is not None]]
            axes = (axis, *(f"thumbnail_{name}" for name in ("height", "width", "colour")[: pixels.ndim - 1]))
            dataset = dataset.assign_coords({f"{head}thumbnail": (axes, pixels)})
    return dataset


def image_words(dataset: xr.Dataset, axis: str = "") -> list[str]:
    """Return what the images along an axis are called in a figure; "" where neither name nor number is known.

    Examples
    --------
    >>> ids = xr.Dataset(coords={"stimulus_id": ("image", [4, 9])})
    >>> gallery = xr.Dataset({"stimulus_id": ("gallery", [4]), "image_name": ("gallery", ["cat.png"])})
    >>> image_words(ids), image_words(name_images(ids, gallery))
    (['image 4', 'image 9'], ['cat.png', 'image 9'])
    """
    head = f"{axis}_" if axis else ""
    if head + _ENDING not in dataset.variables:
        return [""] * dataset.sizes.get(axis, 0)
    ids = dataset[head + _ENDING].to_numpy().tolist()
    names = map(str, dataset[head + "image_name"].to_numpy()) if head + "image_name" in dataset.variables else [""] * len(ids)
    return [image_word(number, name) for number, name in zip(ids, names, strict=True)]


def colour_image(dataset: xr.Dataset, place: int, axis: str) -> np.ndarray | None:
    """Return an image along ``axis`` in its colours, as `name_images` has put it there, or None where it has none."""
    name = f"{axis}_thumbnail"
    known = dataset[name].to_numpy() if name in dataset.coords else np.zeros((0, 0, 0))
    return known[place] if known.ndim == 4 else None


def image_word(number: int, name: str = "") -> str:
    """Return the name of one image with printable letters only, the start of a long one left out, or its number.

    Examples
    --------
    >>> image_word(3), image_word(3, "a photograph of a red_car_001.png")
    ('image 3', '…graph of a red_car_001.png')
    """
    words = shown_letters(name)
    if not words:
        return f"image {number}"
    return words if len(words) <= _MOST_LETTERS + 1 else "…" + words[-_MOST_LETTERS:]
