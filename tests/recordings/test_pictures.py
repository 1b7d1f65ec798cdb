"""Pictures in a folder or zip become one array, in an order and with colours that are never guessed."""

import io
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dina.checks import DataError
from dina.recordings.pictures import MAX_PIXELS, read_pictures

GREY = np.random.default_rng(0).integers(0, 256, (3, 7, 9)).astype(np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (3, 7, 9, 3)).astype(np.uint8)


def save(folder: Path, pictures: dict[str, Image.Image]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        picture.save(folder / name)
    return folder


def grey_pictures(*names: str) -> dict[str, Image.Image]:
    return {name: Image.fromarray(GREY[i]) for i, name in enumerate(names)}


def test_a_folder_of_grey_pictures_comes_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = save(tmp_path, grey_pictures("b.png", "a.png", "c.png"))
    (folder / "notes.txt").write_text("passed over", encoding="utf-8")
    (folder / "._a.png").write_bytes(b"passed over too")
    pixels, _, names = read_pictures(folder)
    np.testing.assert_array_equal(pixels[:, 0], GREY[[1, 0, 2]])
    assert names == ("a.png", "b.png", "c.png")


def test_a_zip_of_colour_pictures_is_read_without_being_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(3):
            buffer = io.BytesIO()
            Image.fromarray(COLOUR[i]).save(buffer, "PNG")
            archive.writestr(f"../stimuli/{i}.png", buffer.getvalue())  # a name that would leave the folder
        archive.writestr("__MACOSX/._0.png", b"passed over")
    pixels, _, names = read_pictures(path)
    np.testing.assert_array_equal(pixels, np.moveaxis(COLOUR, -1, 1))
    assert names == ("0.png", "1.png", "2.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images.zip"]


def test_names_that_sort_differently_by_number_need_a_decision(tmp_path: Path) -> None:
    folder = save(tmp_path, grey_pictures("im1.png", "im2.png", "im10.png"))
    with pytest.raises(DataError, match=r"in doubt: 'im10.png' comes before 'im2.png' by name.*order = \"by_name\""):
        read_pictures(folder)
    np.testing.assert_array_equal(read_pictures(folder, order="by_number")[0][:, 0], GREY)
    np.testing.assert_array_equal(read_pictures(folder, order="by_name")[0][:, 0], GREY[[0, 2, 1]])


def test_conversion_to_grey_or_colour_happens_only_on_request(tmp_path: Path) -> None:
    rgba = np.dstack([COLOUR[0], np.full((7, 9), 40, np.uint8)])
    deep = Image.fromarray(GREY[0].astype(np.uint16) * 257)
    folder = save(tmp_path, {"a.png": Image.fromarray(rgba), "b.png": deep})
    with pytest.raises(DataError, match=r"a.png has transparency .*colour = \"grey\""):
        read_pictures(folder)
    colour, grey = read_pictures(folder, "rgb")[0], read_pictures(folder, "grey")[0]
    np.testing.assert_array_equal(colour[0], np.moveaxis(COLOUR[0], -1, 0))  # transparency dropped, not blended
    np.testing.assert_array_equal(grey[1, 0], GREY[0])  # 257 g of 65535 is g of 255
    luminance = COLOUR[0] @ np.array([0.299, 0.587, 0.114])  # ITU-R 601
    np.testing.assert_allclose(grey[0, 0], luminance, atol=1.0)  # rounding to whole levels


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "none": (lambda folder: folder.mkdir(exist_ok=True), "holds no pictures"),
    "other size": (
        lambda f: save(f, {"a.png": Image.new("L", (9, 7)), "b.png": Image.new("L", (7, 9))}),
        "a.png is 7 x 9 grey, b.png is 9 x 7 grey. Crop or pad them to one size.$",
    ),
    "other colour": (
        lambda f: save(f, {"a.png": Image.new("L", (9, 7)), "b.png": Image.new("RGB", (9, 7))}),
        "must agree in size and colour.*9 colour. Say colour = .grey. or .rgb. under .images..$",
    ),
    "16 bit": (lambda f: save(f, {"a.png": Image.fromarray(np.zeros((7, 9), np.uint16))}), "is not 8-bit"),
    "palette": (lambda f: save(f, {"a.png": Image.new("P", (9, 7))}), "uses a palette"),
    "bomb": (lambda f: save(f, {"a.png": Image.new("1", (50_000, 4_000))}), f"more than {MAX_PIXELS} pixels"),
    "large": (lambda f: save(f, {"a.png": Image.new("1", (5_000, 4_000))}), f"is 4000 x 5000, more than {MAX_PIXELS} pixels"),
    "several in one": (
        lambda f: save(f, {}) and Image.new("L", (9, 7)).save(f / "a.tif", save_all=True, append_images=[Image.new("L", (9, 7))]),
        "holds 2 pictures in one file",
    ),
    "no picture": (lambda f: (save(f, {}) / "a.png").write_bytes(b"<html>"), "a.png cannot be read as a picture"),
    "cut off": (lambda f: cut(save(f, grey_pictures("a.png")) / "a.png"), "a.png cannot be read as a picture"),
}


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:60])


@pytest.mark.parametrize("case", REFUSED)
def test_pictures_that_cannot_be_used_are_refused_by_name(case: str, tmp_path: Path) -> None:
    make, message = REFUSED[case]
    make(tmp_path / "images")
    with pytest.raises(DataError, match=message):
        read_pictures(tmp_path / "images")


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 7\n%%EndComments\nshowpage\n%%EOF\n"


def test_what_is_no_picture_starts_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*words: object, **_: object) -> None:
        pytest.fail(f"a program was started: {words}")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    (tmp_path / "a.png").write_bytes(POSTSCRIPT)
    with pytest.raises(DataError, match=r"a.png cannot be read as a picture. Save it again as PNG, JPEG, BMP or TIFF"):
        read_pictures(tmp_path)


@pytest.mark.parametrize("kind", ["GIF", "PPM", "ICO", "WEBP"])
def test_other_kinds_of_pictures_are_refused_whatever_their_name(tmp_path: Path, kind: str) -> None:
    Image.fromarray(GREY[0]).save(tmp_path / "a.png", format=kind)
    with pytest.raises(DataError, match="Save it again as PNG, JPEG, BMP or TIFF"):
        read_pictures(tmp_path)


def test_a_picture_rotated_by_its_exif_tag_is_refused(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREY[0]).save(tmp_path / "a.jpg", exif=exif)
    with pytest.raises(DataError, match="carries a rotation"):
        read_pictures(tmp_path)


def test_a_zip_that_is_none_or_lies_about_a_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "images.zip"
    path.write_bytes(b"no zip")
    with pytest.raises(DataError, match="cannot be read as a zip"):
        read_pictures(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(2**26 + 10))  # 64 MiB of nothing in 64 KiB
    with pytest.raises(DataError, match=r"a.png is larger than 64 MiB"):
        read_pictures(path)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("adder.png", "Badger.png", "crow.png"), r"'Badger.png' comes before 'adder.png' by name, after it where capitals"),
        (("émeu.png", "ibis.png", "zebra.png"), "where capitals and accents do not count"),
        (("shown/a.png", "left_out/b.png", "shown/c.png"), r"they lie in 2 folders \(left_out, shown\)"),
    ],
)
def test_an_order_that_people_see_otherwise_needs_a_decision(names: tuple[str, ...], said: str, tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
    save(tmp_path, grey_pictures(*names))
    with pytest.raises(DataError, match=said):
        read_pictures(tmp_path)
    order = sorted(range(3), key=lambda i: names[i])
    np.testing.assert_array_equal(read_pictures(tmp_path, order="by_name")[0][:, 0], GREY[order])


def write_deep_png(path: Path, pixels: np.ndarray) -> None:
    """Write 16 bits for each channel, which Pillow cannot for colour."""
    height, width, n = pixels.shape

    def part(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 16, 2 if n == 3 else 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b""))


@pytest.mark.parametrize("n_channels", [1, 3])
def test_sixteen_bits_are_converted_only_on_request_and_only_if_used(n_channels: int, tmp_path: Path) -> None:
    deep = np.random.default_rng(4).integers(0, 2**16, (7, 9, n_channels), dtype=np.uint16)
    write_deep_png(tmp_path / "a.png", deep)
    with pytest.raises(DataError, match=r"a.png is not 8-bit \(16 bits"):
        read_pictures(tmp_path)
    pixels, notes, _ = read_pictures(tmp_path, "rgb")
    np.testing.assert_allclose(pixels[0], np.broadcast_to(np.moveaxis(deep / 257, -1, 0), (3, 7, 9)), atol=1.0)
    assert "1 of 1 pictures were converted: 16 bits became 8." in notes
    write_deep_png(tmp_path / "a.png", deep // 64)  # 10 bits in 16
    with pytest.raises(DataError, match=r"no pixel of these 1 lies above .* of 65535, as where 10, 12 or 14 bits"):
        read_pictures(tmp_path, "grey")


def test_what_was_passed_over_or_converted_is_counted(tmp_path: Path) -> None:
    clear = Image.fromarray(np.dstack([COLOUR[0], np.full((7, 9), 40, np.uint8)]))
    save(tmp_path, {"a.png": clear, "b.png": Image.fromarray(GREY[0])})
    (tmp_path / "c.gif").write_bytes(b"GIF89a")
    assert read_pictures(tmp_path, "grey")[1] == (
        "1 file in " + tmp_path.name + " is no picture of these kinds and was passed over: c.gif.",
        "1 of 2 pictures were converted: transparency was dropped.",
        "1 of 2 pictures were converted: colour became grey.",
    )


@pytest.mark.parametrize(("place", "value"), [(b"PK\x01\x02", 6), (b"PK\x01\x02", 10), (b"PK\x01\x02", 8), (b"PK\x03\x04", 10)])
def test_a_damaged_zip_is_refused_whatever_zipfile_makes_of_it(place: bytes, value: int, tmp_path: Path) -> None:
    path = tmp_path / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("é.png", b"a picture")
    content = bytearray(path.read_bytes())
    content[content.index(place) + value] = 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"images\.zip"):
        read_pictures(path)
