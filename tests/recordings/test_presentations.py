"""Presentations name images by number or by name, and where both could be meant the name counts."""

import numpy as np
import pytest

from dina.checks import DataError
from dina.recordings.presentations import image_numbers

NAMES = ("cat.png", "dog.png", "owl.png")


def numbers(words: np.ndarray, names: tuple[str, ...] | None = NAMES) -> list[int]:
    return image_numbers(words, 3, names, "t.csv").tolist()


def test_names_with_and_without_ending_and_numbers_are_images() -> None:
    assert numbers(np.array(["owl", "cat.png", "", "blank"])) == [2, 0, -1, -1]
    assert numbers(np.array(["2", "0", "", "1"])) == [2, 0, -1, 1]
    assert numbers(np.array([2.0, np.nan, -1.0, 0.0])) == [2, -1, -1, 0]


def test_pictures_called_by_numbers_are_meant_by_their_names() -> None:
    names = ("1.png", "2.png", "3.png")
    assert numbers(np.array(["1", "2", "1"]), names) == [0, 1, 0]
    with pytest.raises(DataError, match="t.csv names the image '0', which is not among the images".replace(".", r"\.")):
        numbers(np.array(["0", "1"]), names)


def test_a_misspelt_picture_is_told_with_its_row_and_the_name_that_no_row_has() -> None:
    names = ("cat1.png", "cat2.png", "owl.png")
    with pytest.raises(DataError, match=r"names the image 'oul\.png', which is .*it is in row 3\. Perhaps owl\.png was meant"):
        numbers(np.array(["cat1", "", "oul.png", "cat2.png"]), names)
    with pytest.raises(
        DataError, match=r"it is in row 1\. Give the images that belong to it"
    ):  # cat1 and cat2 are there, and named
        numbers(np.array(["cat3.png", "cat1", "cat2", "owl"]), names)


def test_a_name_of_several_pictures_must_be_written_whole() -> None:
    names = ("cat.jpg", "cat.png", "dog.png")
    assert numbers(np.array(["cat.jpg", "dog"]), names) == [0, 2]
    with pytest.raises(DataError, match=r"names the image 'cat', which can be cat\.jpg, cat\.png\. Write the whole name"):
        numbers(np.array(["cat", "dog"]), names)


def test_minus_one_stored_without_a_sign_is_no_image() -> None:
    assert numbers(np.array([1, 2**32 - 1, 0], dtype=np.uint32), None) == [1, -1, 0]


def test_numbers_beyond_the_images_are_refused() -> None:
    with pytest.raises(
        DataError,
        match=r"names image 3 in row 3, but there are 3, counted from 0\. They look as if they counted from 1: .* file\.$",
    ):
        numbers(np.array([1, 2, 3]), None)
    with pytest.raises(
        DataError, match=r"names image 7 in row 3, but there are 3, counted from 0\. Give the images that belong to it"
    ):
        numbers(np.array([0, 2, 7]), None)
    with pytest.raises(DataError, match="every presentation is blank"):
        numbers(np.array(["", ""]))
