"""Images that were stored flat are doubted where the other order of height and width is clearly smoother."""

from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from array_folders import N_IMAGES, write_folder
from dina.recordings import read
from dina.recordings.image_axes import doubt_size

RANDOM = np.random.default_rng(0)


def smooth(height: int, width: int) -> np.ndarray:
    images = np.stack([gaussian_filter(RANDOM.normal(size=(height, width)), 2) for _ in range(N_IMAGES)])
    return (128 + 127 * images / np.abs(images).max()).astype(np.uint8)


def test_flat_images_with_height_and_width_swapped_are_doubted(tmp_path: Path) -> None:
    flat = {"images": smooth(24, 40).reshape(N_IMAGES, -1)}
    right = write_folder(tmp_path / "right", flat, {"recording.toml": "[images]\nheight = 24\nwidth = 40\n"})
    assert "sheared" not in " ".join(read(right).notes)
    swapped = write_folder(tmp_path / "swapped", flat, {"recording.toml": "[images]\nheight = 40\nwidth = 24\n"})
    said = "Images look sheared at 40 x 24 pixels (height x width), and much smoother at 24 x 40: swap height and width under [images]"
    assert said in " ".join(read(swapped).notes)


def test_pixels_stored_column_by_column_are_doubted() -> None:
    columns = smooth(24, 40).transpose(0, 2, 1).reshape(N_IMAGES, 1, 24, 40)
    assert "column by column" in " ".join(doubt_size(columns))


def test_images_of_which_nothing_can_be_told_are_not_doubted() -> None:
    rows, columns = np.mgrid[:20, :120]
    stripes = [np.sin(rows * step + phase) for step, phase in RANDOM.uniform(0.2, 3, (N_IMAGES, 2))]
    noise = RANDOM.normal(size=(N_IMAGES, 1, 20, 120))
    for images in (np.stack(stripes)[:, None], noise, noise * np.nan, np.zeros((3, 1, 20, 120)), noise[..., :20]):
        assert doubt_size(images) == []
    upright = np.sin(columns * 0.6)[None, None]  # stripes along columns do tell it
    assert doubt_size(upright) == []
    assert doubt_size(upright.reshape(1, 1, 120, 20))
