"""Read stimuli kept as picture files, in a folder or a zip, as one array of 8-bit images."""

import io
import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Literal

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dina.checks import DataError
from dina.progress import track

Colour = Literal["as_stored", "grey", "rgb"]
Order = Literal["by_name", "by_number"]
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
# Largest picture accepted: 16.8 million pixels, far above any stimulus and far below a decompression bomb.
MAX_PIXELS = 2**24
MAX_FILE_BYTES = 2**26
MAX_TOTAL_BYTES = 2**34


def read_pictures(path: Path, colour: Colour = "as_stored", order: Order | None = None) -> UInt8[np.ndarray, "n c h w"]:
    """Read all pictures of a folder or ``.zip``, which is never unpacked to disk, as 8-bit images with 1 or 3 channels.

    Hidden files and files that are no pictures are passed over. ``colour`` "as_stored" takes 8-bit grey or RGB pictures and refuses
    all others; "grey" and "rgb" convert whatever is stored (transparency is dropped, 16 bits become 8, luminance is that of ITU-R
    601). ``order`` is "by_name" letter by letter, or "by_number" with ``image2`` before ``image10``; needed only where they differ.

    Raises
    ------
    DataError
        If there are no pictures, they differ in size or colour, one is too large, damaged, rotated by its EXIF tag or of
        another kind, or their order is in doubt.
    """
    if path.is_dir():
        files = {str(p.relative_to(path)): p for p in path.rglob("*") if p.is_file()}
        names = _in_order([name for name in files if _is_picture(name)], path, order)
        return _stack(names, lambda name: files[name].open("rb"), path, colour)
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info for info in archive.infolist() if not info.is_dir() and _is_picture(info.filename)}
            names = _in_order(list(members), path, order)
            encrypted = [name for name, info in members.items() if info.flag_bits & 1]
            if encrypted:
                raise DataError(f"{path.name}: {encrypted[0]} is encrypted. Store the pictures without a password.")
            return _stack(names, archive.open, path, colour)
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise DataError(f"{path.name} cannot be read as a zip of pictures: {error}. Copy it again.") from error


def _is_picture(name: str) -> bool:
    parts = Path(name).parts
    return name.lower().endswith(SUFFIXES) and not any(re.match(r"\.[^.]|__MACOSX", part) for part in parts)


def _in_order(names: list[str], path: Path, order: Order | None) -> list[str]:
    if not names:
        raise DataError(f"{path.name} holds no pictures ({', '.join(SUFFIXES)}). Give the folder or zip that holds them.")
    by_name = sorted(names)
    by_number = sorted(names, key=lambda name: [(int(p), "") if p.isdigit() else (-1, p) for p in re.split(r"([0-9]+)", name)])
    if order is None and by_name != by_number:
        a, b = next((a, b) for a, b in zip(by_name, by_number, strict=True) if a != b)
        raise DataError(
            f"The order of the pictures in {path.name} is in doubt: {a!r} comes before {b!r} by name, after it by number."
            ' Pad the numbers with zeros, or say order = "by_name" or "by_number" under [images].'
        )
    return by_number if order == "by_number" else by_name


def _stack(names: list[str], open_file: Callable[[str], IO[bytes]], path: Path, colour: Colour) -> UInt8[np.ndarray, "n c h w"]:
    stack = np.empty(0, dtype=np.uint8)
    for i, name in enumerate(track(names, "Reading pictures")):
        with open_file(name) as stream:
            content = stream.read(MAX_FILE_BYTES + 1)  # the size in a zip's list is only a claim
        if len(content) > MAX_FILE_BYTES:
            raise DataError(f"{path.name}: {name} is larger than {MAX_FILE_BYTES // 2**20} MiB. Make the pictures smaller.")
        picture = _decode(content, name, path, colour)
        if i == 0:
            if len(names) * picture.size > MAX_TOTAL_BYTES:
                size = f"{len(names)} pictures of {picture.shape}"
                raise DataError(f"{path.name}: {size} exceed {MAX_TOTAL_BYTES // 2**30} GiB. Make them smaller.")
            stack = np.empty((len(names), *picture.shape), dtype=np.uint8)
        if picture.shape != stack.shape[1:]:
            raise DataError(
                f"{path.name}: pictures must agree in size and colour; {names[0]} is {_size(stack[0])}, {name} is {_size(picture)}."
                ' Crop or pad them to one size, or say colour = "grey" or "rgb" under [images].'
            )
        stack[i] = picture
    return stack


def _size(picture: np.ndarray) -> str:
    channels, height, width = picture.shape
    return f"{height} x {width} {'grey' if channels == 1 else 'colour'}"


def _decode(content: bytes, name: str, path: Path, colour: Colour) -> UInt8[np.ndarray, "c h w"]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as picture:
                _check_picture(picture, name, path)
                pixels = _convert(picture, name, path, colour)
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{path.name}: {name} has more than {MAX_PIXELS} pixels. Make the pictures smaller.") from error
    except Exception as error:  # Pillow answers a damaged picture with errors of many kinds
        raise DataError(f"{path.name}: {name} cannot be read as a picture. Save it again as a picture.") from error
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(np.moveaxis(pixels, -1, 0))


def _check_picture(picture: Image.Image, name: str, path: Path) -> None:
    n_pictures = getattr(picture, "n_frames", 1)
    if picture.width * picture.height > MAX_PIXELS:
        size = f"{picture.height} x {picture.width}, more than {MAX_PIXELS} pixels"
        raise DataError(f"{path.name}: {name} is {size}. Make the pictures smaller.")
    if n_pictures != 1:
        raise DataError(f"{path.name}: {name} holds {n_pictures} pictures in one file. Save one picture per file.")
    if picture.getexif().get(0x0112, 1) != 1:
        raise DataError(f"{path.name}: {name} carries a rotation (EXIF orientation). Save it as it was shown.")


def _convert(picture: Image.Image, name: str, path: Path, colour: Colour) -> UInt8[np.ndarray, "..."]:
    if colour == "as_stored":
        if picture.mode not in ("L", "RGB"):
            kinds = {"P": "uses a palette", "1": "has 1 bit", "CMYK": "is CMYK"}
            kinds |= {mode: f"has transparency ({mode})" for mode in ("RGBA", "LA")}
            what = kinds.get(picture.mode, f"is not 8-bit ({picture.mode})")
            raise DataError(f'{path.name}: {name} {what}; 8-bit grey or RGB is needed. Set [images] colour = "grey" or "rgb".')
        return np.asarray(picture)
    if picture.mode.startswith("I;16"):
        grey = (np.asarray(picture, dtype=np.uint32) + 128) // 257  # 65535 = 255 x 257
        picture = Image.fromarray(grey.astype(np.uint8))
    elif picture.mode in ("I", "F"):
        raise DataError(f"{path.name}: {name} holds numbers of unknown range ({picture.mode}). Save it with 8 bits, or as .npy.")
    return np.asarray(picture.convert("L" if colour == "grey" else "RGB"))
