"""Read stimuli kept as picture files, in a folder or a zip, as one array of 8-bit images."""

import io
import re
import unicodedata
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import IO, Literal

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dina.checks import DataError
from dina.progress import track

Colour = Literal["as_stored", "grey", "rgb"]
Order = Literal["by_name", "by_number"]
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "BMP", "TIFF")  # whatever the name says: other decoders of Pillow start programs or are seldom tested
# Largest picture accepted: 16.8 million pixels, far above any stimulus and far below a decompression bomb.
MAX_PIXELS = 2**24
MAX_FILE_BYTES = 2**26
MAX_TOTAL_BYTES = 2**34
_SIXTEEN = "16 bits became 8"
_FULL_RANGE = 64  # 16-bit pictures of which no pixel, made 8-bit, lies above this hold 14 bits or fewer


def read_pictures(
    path: Path, colour: Colour = "as_stored", order: Order | None = None
) -> tuple[UInt8[np.ndarray, "n c h w"], tuple[str, ...], tuple[str, ...]]:
    """Read all pictures of a folder or ``.zip``, which is never unpacked to disk, as 8-bit images with 1 or 3 channels.

    Hidden files and files that are no pictures are passed over. ``colour`` "as_stored" takes 8-bit grey or RGB pictures and refuses
    all others; "grey" and "rgb" convert whatever is stored (transparency is dropped, 16 bits become 8, luminance is that of ITU-R
    601). ``order`` is "by_name" letter by letter, or "by_number" with ``image2`` before ``image10``; needed only where people would
    see another order: of numbers, of capital and small letters, or of folders.

    Returns
    -------
    images
        The pictures.
    notes
        One sentence for each kind of file that was passed over or converted.
    names
        Of the picture files, in the order of the images; without folders where no two files have one name.

    Raises
    ------
    DataError
        If there are no pictures, they differ in size or colour, one is too large, damaged, rotated by its EXIF tag or of
        another kind, or their order is in doubt.
    """
    if path.is_dir():
        files = {str(p.relative_to(path)): p for p in path.rglob("*") if p.is_file()}
        names = _in_order([name for name in files if _is_picture(name)], path, order)
        pixels, notes = _stack(names, lambda name: files[name].open("rb"), path, colour)
        return pixels, (*_passed_over(list(files), path), *notes), _without_folders(names)
    try:
        with zipfile.ZipFile(path) as archive:
            listed = [info.filename for info in archive.infolist() if not info.is_dir()]
            members = {info.filename: info for info in archive.infolist() if not info.is_dir() and _is_picture(info.filename)}
            names = _in_order(list(members), path, order)
            encrypted = [name for name, info in members.items() if info.flag_bits & 1]
            if encrypted:
                raise DataError(f"{path.name}: {encrypted[0]} is encrypted. Store the pictures without a password.")
            pixels, notes = _stack(names, archive.open, path, colour)
            return pixels, (*_passed_over(listed, path), *notes), _without_folders(names)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # zipfile answers a damaged archive with errors of many kinds
        raise DataError(f"{path.name} cannot be read as a zip of pictures: {error}. Copy it again.") from error


def _without_folders(names: list[str]) -> tuple[str, ...]:
    """Return the last part of each name, or the whole names where these are not all different."""
    last = tuple(PurePath(name).name for name in names)
    return last if len(set(last)) == len(last) else tuple(names)


def _passed_over(names: list[str], path: Path) -> list[str]:
    others = sorted(name for name in names if not _is_picture(name) and not _is_hidden(name))
    if not others:
        return []
    if len(others) == 1:
        return [f"1 file in {path.name} is no picture of these kinds and was passed over: {others[0][:60]}."]
    return [f"{len(others)} files in {path.name} are no pictures of these kinds and were passed over (first: {others[0][:60]})."]


def _is_hidden(name: str) -> bool:
    return any(re.match(r"\.[^.]|__MACOSX", part) for part in Path(name).parts)


def _is_picture(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not _is_hidden(name)


def _in_order(names: list[str], path: Path, order: Order | None) -> list[str]:
    if not names:
        raise DataError(f"{path.name} holds no pictures ({', '.join(SUFFIXES)}). Give the folder or zip that holds them.")
    by_name = sorted(names)
    by_number = sorted(by_name, key=_numbers_first)
    if order is None:
        for seen, words in ((by_number, "by number"), (sorted(by_name, key=_letters), "where capitals and accents do not count")):
            if by_name != seen:
                a, b = next((a, b) for a, b in zip(by_name, seen, strict=True) if a != b)
                raise DataError(
                    f"The order of the pictures in {path.name} is in doubt: {a!r} comes before {b!r} by name, after it {words}."
                    ' Pad the numbers with zeros, or use small letters; for arrays, order = "by_name" or "by_number" under [images] of'
                    " recording.toml says which is meant."
                )
        folders = list(dict.fromkeys(str(PurePath(name).parent) for name in by_name))
        if len(folders) > 1:
            raise DataError(
                f"The order of the pictures in {path.name} is in doubt: they lie in {len(folders)} folders"
                f" ({', '.join(folders[:3])}{', …' if len(folders) > 3 else ''}). Put them into one folder, or say order ="
                ' "by_name" under [images] to take the folders in this order.'
            )
    return by_number if order == "by_number" else by_name


def _numbers_first(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", name)]


def _letters(name: str) -> str:
    """Return a name as file managers sort it: small letters without accents."""
    return "".join(sign for sign in unicodedata.normalize("NFKD", name).casefold() if not unicodedata.combining(sign))


def _stack(
    names: list[str], open_file: Callable[[str], IO[bytes]], path: Path, colour: Colour
) -> tuple[UInt8[np.ndarray, "n c h w"], list[str]]:
    stack, conversions, deep = np.empty(0, dtype=np.uint8), Counter[str](), []
    for i, name in enumerate(track(names, "Reading pictures")):
        with open_file(name) as stream:
            content = stream.read(MAX_FILE_BYTES + 1)  # the size in a zip's list is only a claim
        if len(content) > MAX_FILE_BYTES:
            raise DataError(f"{path.name}: {name} is larger than {MAX_FILE_BYTES // 2**20} MiB. Make the pictures smaller.")
        picture, done = decode_image_file(content, name, path, colour)
        conversions.update(done)
        if i == 0:
            if len(names) * picture.size > MAX_TOTAL_BYTES:
                size = f"{len(names)} pictures of {picture.shape}"
                raise DataError(f"{path.name}: {size} exceed {MAX_TOTAL_BYTES // 2**30} GiB. Make them smaller.")
            stack = np.empty((len(names), *picture.shape), dtype=np.uint8)
        if picture.shape != stack.shape[1:]:
            first = stack[0]
            advice = ['Say colour = "grey" or "rgb" under [images].'] if len(picture) != len(first) else []
            advice += ["Crop or pad them to one size."] if picture.shape[1:] != first.shape[1:] else []
            raise DataError(
                f"{path.name}: pictures must agree in size and colour; {names[0]} is {_size(first)}, {name} is {_size(picture)}."
                f" {' '.join(advice)}"
            )
        stack[i] = picture
        if _SIXTEEN in done:
            deep.append(int(picture.max()))
    if deep and max(deep) <= _FULL_RANGE:
        raise DataError(
            f"{path.name}: pictures with 16 bits must use them to become 8-bit; no pixel of these {len(deep)} lies above"
            f" {257 * max(deep) + 128} of 65535, as where 10, 12 or 14 bits were stored. Scale them to the full range, or save them as"
            " images.npy and state mid_grey and contrast_scale."
        )
    return stack, [f"{n} of {len(names)} pictures were converted: {what}." for what, n in conversions.items()]


def _size(picture: np.ndarray) -> str:
    channels, height, width = picture.shape
    return f"{height} x {width} {'grey' if channels == 1 else 'colour'}"


def decode_image_file(content: bytes, name: str, path: Path, colour: Colour) -> tuple[UInt8[np.ndarray, "c h w"], list[str]]:
    """Return the pixels of one picture file, and what was done to them in words; ``name`` and ``path`` are for messages.

    Raises
    ------
    DataError
        If it is damaged, too large, rotated by its EXIF tag, or of a kind that ``colour`` does not convert.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
                _check_picture(picture, name, path)
                pixels, done = _convert(picture, name, path, colour, _bits(picture, content))
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{path.name}: {name} has more than {MAX_PIXELS} pixels. Make the pictures smaller.") from error
    except Exception as error:  # Pillow answers a damaged picture with errors of many kinds
        raise DataError(f"{path.name}: {name} cannot be read as a picture. Save it again as PNG, JPEG, BMP or TIFF.") from error
    return (pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(np.moveaxis(pixels, -1, 0))), done


def _bits(picture: Image.Image, content: bytes) -> int:
    """Return the bits of each channel as stored, which Pillow's mode does not tell: it makes 8 of 16 without a word."""
    if picture.format == "PNG":
        return content[24]  # the bit depth in the header
    bits = getattr(picture, "tag_v2", {}).get(258, 8)  # BitsPerSample of a TIFF
    return int(np.max(bits))


def _check_picture(picture: Image.Image, name: str, path: Path) -> None:
    n_pictures = getattr(picture, "n_frames", 1)
    if picture.width * picture.height > MAX_PIXELS:
        size = f"{picture.height} x {picture.width}, more than {MAX_PIXELS} pixels"
        raise DataError(f"{path.name}: {name} is {size}. Make the pictures smaller.")
    if n_pictures != 1:
        raise DataError(f"{path.name}: {name} holds {n_pictures} pictures in one file. Save one picture per file.")
    if picture.getexif().get(0x0112, 1) != 1:
        raise DataError(f"{path.name}: {name} carries a rotation (EXIF orientation). Save it as it was shown.")


def _convert(
    picture: Image.Image, name: str, path: Path, colour: Colour, bits: int
) -> tuple[UInt8[np.ndarray, "..."], list[str]]:
    """Return the pixels, with what was done to them in words."""
    kinds = {"P": "uses a palette", "1": "has 1 bit", "CMYK": "is CMYK", "YCbCr": "is YCbCr"}
    kinds |= {mode: f"has transparency ({mode})" for mode in ("RGBA", "LA", "PA")}
    if colour == "as_stored":
        if picture.mode not in ("L", "RGB") or bits > 8:
            depth = f"is not 8-bit ({bits} bits, {picture.mode})" if bits > 8 else f"is not 8-bit ({picture.mode})"
            what = depth if bits > 8 else kinds.get(picture.mode, depth)
            raise DataError(f'{path.name}: {name} {what}; 8-bit grey or RGB is needed. Set [images] colour = "grey" or "rgb".')
        return np.asarray(picture), []
    if picture.mode in ("I", "F"):
        raise DataError(f"{path.name}: {name} holds numbers of unknown range ({picture.mode}). Save it with 8 bits, or as .npy.")
    wanted = "L" if colour == "grey" else "RGB"
    done = [_SIXTEEN] if bits > 8 else []
    if picture.mode.startswith("I;16"):
        grey = (np.asarray(picture, dtype=np.uint32) + 128) // 257  # 65535 = 255 x 257
        picture = Image.fromarray(grey.astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        done.append("transparency was dropped")
    if picture.mode not in ("L", "1", wanted):
        done.append("colour became grey" if wanted == "L" else f"{picture.mode} became RGB")
    return np.asarray(picture.convert(wanted)), done
