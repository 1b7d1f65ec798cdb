"""Small valid files of the formats in which laboratories keep recordings, for `fuzz_readers.py` to damage."""

import io
import shutil
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from mutants import Reader
from PIL import Image

from dina.recordings import read
from dina.recordings.own_files import read_variable
from dina.recordings.presentations import read_covariates, read_presentations_table

RANDOM = np.random.default_rng(1)
IMAGES = RANDOM.integers(0, 256, (2, 8, 9)).astype(np.uint8)
SHOWN = [0, 1, 0, 1]
ONSETS = 1 + 0.5 * np.arange(4)
TRACES = RANDOM.random((30, 3)).astype(np.float32)
TABLE = "\n".join(["onset_s,image,running_speed", *(f"{onset},{image}.png,1.5" for onset, image in zip(ONSETS, SHOWN))])
WORDS = (b"onset_frame", b"image", b"nan", b"1e400", b",", b'"', b"\xef\xbb\xbf", b"-1")
TOML = """format = "suite2p"
animal = "m1"
[options]
frame_rate_hz = 10.0
window_s = [0.0, 0.4]
all_regions = false
"""


def write_nwb(path: Path) -> None:
    """Write the parts of an NWB file that are read: images, a series and a table of presentations, traces, spikes, electrodes."""
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.7.0"
        scenes = file.create_group("stimulus/templates/scenes")
        for number, image in enumerate(IMAGES):
            scenes[f"scene{number}"] = image
        order = [scenes[f"scene{number}"].ref for number in range(len(IMAGES))]
        scenes.create_dataset("order_of_images", data=order, dtype=h5py.ref_dtype)
        series = file.create_group("stimulus/presentation/scenes_shown")
        series.attrs["neurodata_type"] = "IndexSeries"
        series["data"], series["timestamps"], series["indexed_images"] = (
            SHOWN,
            ONSETS,
            h5py.SoftLink("/stimulus/templates/scenes"),
        )
        table = file.create_group("intervals/scenes_presentations")
        table["start_time"], table["frame"] = ONSETS, [f"scene{image}" for image in SHOWN]
        traces = file.create_group("processing/ophys/DfOverF/RoiResponseSeries")
        traces.attrs["neurodata_type"] = "RoiResponseSeries"
        traces["data"], traces["starting_time"] = TRACES, 0.0
        traces["starting_time"].attrs["rate"] = 10.0
        units = file.create_group("units")
        units["spike_times"], units["spike_times_index"] = np.linspace(0, 3, 30), np.array([10, 20, 30], np.uint8)
        units["electrodes"], units["electrodes_index"], units["quality"] = [0, 1, 0], [1, 2, 3], ["good", "good", "noise"]
        units["obs_intervals"], units["obs_intervals_index"] = [[0.0, 3.0]] * 3, np.array([1, 2, 3], np.uint8)
        running = file.create_group("processing/behavior/running_speed")
        running["data"], running["timestamps"] = np.arange(30.0), 0.1 * np.arange(30)
        electrodes = file.create_group("general/extracellular_ephys/electrodes")
        electrodes["id"], electrodes["location"] = [0, 1], ["V1", "V4"]
        file["general/subject/species"] = "Mus musculus"


def read_nwb(folder: Path) -> None:
    """Read traces and the series in one half of the files, spikes and the table in the other; the content says in which."""
    traces = {"stimuli": "scenes_shown", "responses": "RoiResponseSeries", "window_s": (0.0, 0.4)}
    spikes = {"stimuli": "scenes_presentations", "responses": "units", "where": {"quality": "good"}}
    read(folder / "m.nwb", options=spikes if zlib.crc32((folder / "m.nwb").read_bytes()) % 2 else traces)


def write_pictures(folder: Path) -> None:
    """Write the images as pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(IMAGES):
        Image.fromarray(image).save(folder / f"{number}.png")


def write_suite2p(folder: Path) -> None:
    """Write a folder of Suite2p with its description."""
    write_pictures(folder / "images")
    np.save(folder / "spks.npy", TRACES.T)
    np.save(folder / "iscell.npy", np.ones((3, 2)))
    (folder / "presentations.csv").write_text(TABLE, encoding="utf-8")
    (folder / "recording.toml").write_text(TOML, encoding="utf-8")


def write_spikes(folder: Path) -> None:
    """Write a folder of spike times."""
    write_pictures(folder / "images")
    np.save(folder / "spike_times.npy", np.linspace(0, 3, 30))
    np.save(folder / "spike_clusters.npy", np.arange(30) % 3)
    (folder / "cluster_group.tsv").write_text("cluster_id\tgroup\n0\tgood\n1\tmua\n", encoding="utf-8")
    (folder / "presentations.csv").write_text(TABLE, encoding="utf-8")


def write_numbered(write: Callable[[Path], None], folder: Path) -> None:
    """Write a folder whose images lie in one array, by number: pictures take most of the time, and have readers of their own."""
    write(folder)
    shutil.rmtree(folder / "images")
    np.save(folder / "images.npy", IMAGES)
    (folder / "presentations.csv").write_text(TABLE.replace(".png", ""), encoding="utf-8")


def write_sensorium(folder: Path) -> None:
    """Write a folder of the Sensorium competition."""
    for name, values in (("images", IMAGES[:, None]), ("responses", TRACES[:2]), ("behavior", TRACES[2:4])):
        (folder / "data" / name).mkdir(parents=True, exist_ok=True)
        for number, value in enumerate(values):
            np.save(folder / "data" / name / f"{number}.npy", value)
    for name, values in (("trials/tiers", np.array(["train", "test"])), ("trials/trial_idx", np.arange(2))):
        (folder / "meta" / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / "meta" / f"{name}.npy", values)


def write_things(folder: Path) -> None:
    """Write pictures in folders of categories, a table of trials and a table of responses."""
    write_pictures(folder / "images" / "cat")
    (folder / "trials.csv").write_text(
        "\n".join(["image,n_presentations", *(f"{image}.png,2" for image in SHOWN)]), encoding="utf-8"
    )
    (folder / "responses.csv").write_text("\n".join(",".join(map(str, row)) for row in TRACES[:4]), encoding="utf-8")


def door_readers(files_of: Callable[[Callable[[Path], object]], dict[str, bytes]]) -> dict[str, Reader]:
    """Return a reader of each file that can be damaged, by the name of its format."""
    nwb = files_of(lambda folder: write_nwb(folder / "m.nwb"))["m.nwb"]
    made = {"NWB": Reader("m.nwb", read_nwb, [nwb], words=(b"scene0", b"frame", b"\xff" * 8, b"\0" * 8))}
    for write, names in (
        (write_suite2p, ("spks.npy", "presentations.csv")),
        (write_spikes, ("spike_times.npy", "cluster_group.tsv")),
        (write_sensorium, ("data/images/0.npy", "meta/trials/tiers.npy")),
        (write_things, ("trials.csv", "responses.csv")),
    ):
        files = files_of(write)
        for name in names:
            around = (
                write if name.endswith(".csv") or write not in (write_suite2p, write_spikes) else partial(write_numbered, write)
            )
            made[f"{write.__name__[6:]} {name}"] = Reader(name, read, [files[name]], words=WORDS, folder=around)
    packed = io.BytesIO()
    np.savez_compressed(packed, stimuli=IMAGES, responses=TRACES)
    made["npz variable"] = Reader("m.npz", lambda folder: read_variable(folder / "m.npz", "stimuli"), [packed.getvalue()])
    speeds = b"running_speed,pupil_size\n" + b"1.5,\n" * 8
    made["covariates.csv"] = Reader("c.csv", lambda folder: read_covariates(folder / "c.csv", []), [speeds], words=WORDS)
    made["presentations by frame"] = Reader(
        "presentations.csv",
        read_presentations_table,
        [TABLE.replace("onset_s", "onset_frame").encode()],
        words=WORDS,
        folder=write_spikes,
    )
    return made
