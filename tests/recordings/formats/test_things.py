"""Pictures in folders of categories come in with a table of trials and an array or table of responses."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from dina.checks import DataError
from dina.recordings import read

RANDOM = np.random.default_rng(0)
PICTURES = {
    f"{kind}/{kind}_{i:02d}b": RANDOM.integers(0, 256, (16, 16, 3)).astype(np.uint8)
    for kind in ("aardvark", "zebra")
    for i in (1, 2)
}
NAMES = [name.split("/")[1] for name in PICTURES]
SHOWN = [0, 1, 2, 3, 3, 2, 1, 0]
RESPONSES = RANDOM.random((8, 5))


def write(folder: Path) -> Path:
    """Write four pictures in two categories, a third that was never shown, and eight trials."""
    for name, pixels in {**PICTURES, "yak/yak_01b": PICTURES["zebra/zebra_01b"]}.items():
        (folder / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / "images" / f"{name}.png")
    rows = [f"{NAMES[i]}.png" for i in SHOWN]
    (folder / "trials.csv").write_text("\n".join(["image", *rows]), encoding="utf-8")
    np.save(folder / "responses.npy", RESPONSES)
    return folder


def test_categories_are_the_labels_of_the_pictures_that_were_shown(tmp_path: Path) -> None:
    recording = read(write(tmp_path / "monkeyF"))
    assert recording.labels is not None
    assert recording.image_names is not None
    assert recording.labels.tolist() == ["aardvark", "aardvark", "zebra", "zebra"]
    assert recording.image_names.tolist() == [f"{name}.png" for name in NAMES]
    np.testing.assert_array_equal(recording.stimulus_id, SHOWN)
    np.testing.assert_array_equal(np.moveaxis(recording.images, 1, -1), np.stack(list(PICTURES.values())))
    np.testing.assert_array_equal(recording.responses, RESPONSES.astype(np.float32))


def test_pictures_of_several_sizes_are_brought_to_one(tmp_path: Path) -> None:
    folder = write(tmp_path / "monkeyF")
    wide = np.zeros((20, 40, 3), np.uint8)
    wide[:, 10:30] = 200  # the middle square
    Image.fromarray(wide).save(folder / "images" / "zebra" / "zebra_02b.png")
    recording = read(folder)
    assert recording.images.shape == (4, 3, 128, 128)
    assert (recording.images[3] == 200).all()
    assert "Pictures of 2 sizes were brought to 128 x 128 pixels (their middle square)." in recording.notes
    assert read(folder, options={"size_px": 32, "colour": "grey"}).images.shape == (4, 1, 32, 32)


def test_responses_may_be_a_table_or_lie_in_another_file(tmp_path: Path) -> None:
    folder = write(tmp_path / "monkeyF")
    (folder / "responses.npy").unlink()
    table = "\n".join(["a,b,c,d,e", *(",".join(map(str, row)) for row in RESPONSES)])
    (folder / "responses.csv").write_text(table.replace(str(RESPONSES[0, 0]), "", 1), encoding="utf-8")
    recording = read(folder)
    np.testing.assert_array_equal(recording.responses, RESPONSES[1:].astype(np.float32))
    assert "1 of 8 trials have gaps (NaN) in some neuron and were dropped." in recording.notes
    for names in ("a,b,c,d,e", "0,1,2,3,4"):  # with the numbers of the rows, as pandas writes them
        rows = [f"{number},{','.join(map(str, row))}" for number, row in enumerate(RESPONSES)]
        (folder / "responses.csv").write_text("\n".join([f",{names}", *rows]), encoding="utf-8")
        recording = read(folder)
        np.testing.assert_array_equal(recording.responses, RESPONSES.astype(np.float32))
        assert "The first column of responses.csv numbers the rows" in " ".join(recording.notes)
    with h5py.File(tmp_path / "mua.h5", "w") as file:
        file["train_MUA"] = RESPONSES.T
    rows = [f"{name},{n}" for name, n in zip([f"{NAMES[i]}.png" for i in SHOWN], range(1, 9))]
    (tmp_path / "averages.csv").write_text("\n".join(["stimulus,n_presentations", *rows]), encoding="utf-8")
    (tmp_path / "m.toml").write_text(
        'format = "things"\ndata = "monkeyF"\nspecies = "macaque"\n[options]\nresponses = "mua.h5"\nvariable = "train_MUA"\n'
        'axes = ["neuron", "trial"]\ntrials = "averages.csv"\n'
    )
    recording = read(tmp_path / "m.toml")
    np.testing.assert_array_equal(recording.responses, RESPONSES.astype(np.float32))
    np.testing.assert_array_equal(recording.n_presentations, np.arange(1, 9))


def test_what_does_not_fit_together_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "monkeyF")
    np.save(folder / "responses.npy", RESPONSES.T)
    with pytest.raises(
        DataError, match=r"responses\.npy holds 5 trials, the table of trials 8\. Say axes = \['neuron', 'trial'\]"
    ):
        read(folder)
    np.save(folder / "responses.npy", RESPONSES)
    (folder / "images" / "zebra" / "zebra_01b.png").unlink()
    with pytest.raises(DataError, match=r"trials\.csv names 'zebra_01b\.png', which is not among the 4 pictures of images"):
        read(folder)
    for kind in ("zebra", "yak"):
        Image.fromarray(PICTURES["zebra/zebra_01b"]).save(folder / "images" / kind / "zebra_01b.png")
    with pytest.raises(DataError, match=r"names 'zebra_01b\.png', which is there more than once, among"):
        read(folder)


def test_a_picture_that_is_a_link_out_of_the_folder_is_not_read(tmp_path: Path) -> None:
    folder = write(tmp_path / "monkeyF")
    picture = folder / "images" / "zebra" / "zebra_01b.png"
    picture.rename(tmp_path / "secret.png")
    picture.symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match="links out of a recording are not followed"):
        read(folder)


def test_a_picture_of_two_categories_is_named_with_its_folder(tmp_path: Path) -> None:
    folder = write(tmp_path / "monkeyF")
    (folder / "images" / "yak" / "yak_01b.png").rename(folder / "images" / "yak" / f"{NAMES[0]}.png")
    with pytest.raises(DataError, match="which is there more than once"):
        read(folder)
    table = (folder / "trials.csv").read_text(encoding="utf-8")
    (folder / "trials.csv").write_text(table.replace(f"{NAMES[0]}.png", f"aardvark/{NAMES[0]}"), encoding="utf-8")
    np.testing.assert_array_equal(read(folder).stimulus_id, SHOWN)


def test_a_pipe_is_no_picture_and_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "monkeyF")
    (folder / "images" / "zebra" / "zebra_01b.png").unlink()
    os.mkfifo(folder / "images" / "zebra" / "zebra_01b.png")
    with pytest.raises(DataError, match=r"names 'zebra_01b\.png', which is not among"):
        read(folder)
    with pytest.raises(DataError, match=r"none\.csv not found\. Correct responses under"):
        read(folder, options={"responses": str(tmp_path / "none.csv")})
