"""A picture that a numbered series lacks is named, in refusals and in notes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from array_folders import write_folder
from dina.checks import DataError
from dina.recordings import read
from dina.recordings.missing_pictures import say_missing

N = 24


def series(pattern: str, *without: int, first: int = 0) -> list[str]:
    return [pattern.format(n) for n in range(first, N + first) if n not in without]


def test_names_that_lack_a_number_are_told_as_the_file_would_be_called() -> None:
    assert say_missing(series("im_{:03d}.png", 7)) == "im_007.png is missing among im_000.png to im_023.png"
    assert say_missing(series("s2_{}.tif", 7, 9, first=1)) == "s2_7.tif and s2_9.tif are missing among s2_1.tif to s2_24.tif"
    for names in (
        None,
        (),
        series("im{}.png"),
        series("im{}.png", *range(4, 9)),
        ["a1.png", "b3.png"],
        ["cat.png", "1.png", "3.png"],
    ):
        assert say_missing(names) == ""


@pytest.mark.parametrize("is_last_shown", [True, False])
def test_a_picture_missing_in_the_middle_is_named_first(is_last_shown: bool, tmp_path: Path) -> None:
    ids = np.tile(np.arange(N if is_last_shown else N - 1), 2)
    responses = np.random.default_rng(0).random((len(ids), 5))
    write_folder(tmp_path, {"images": None, "responses": responses, "stimulus_id": ids})
    (tmp_path / "images").mkdir()
    for name in series("im{:02d}.png", 7):
        Image.fromarray(np.random.default_rng(int(name[2:4])).integers(0, 256, (8, 9), dtype=np.uint8)).save(
            tmp_path / "images" / name
        )
    if is_last_shown:
        with pytest.raises(
            DataError, match=r"are outside\)\. im07\.png is missing among im00\.png to im23\.png: give what is missing\."
        ):
            read(tmp_path)
    else:
        assert "im07.png is missing among im00.png to im23.png; ids count the pictures" in " ".join(read(tmp_path).notes)
