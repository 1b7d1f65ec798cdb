"""Write one small simulated session in every format that laboratories use, to try the doors of dina by hand.

Run ``python benchmarks/write_recordings.py OUT``, then for example ``dina check OUT/suite2p``. NWB needs pynwb (``pip install pynwb``).
"""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image

from dina.recordings import Recording
from dina.recordings.simulator import simulate

RATE_HZ = 10.0
BEGIN_S, APART_S, SHOWN_S = 1.0, 1.0, 0.5  # of the first onset, between onsets, and for how long an image was shown


def onsets(recording: Recording) -> np.ndarray:
    """Return the onset of each trial in seconds."""
    return BEGIN_S + APART_S * np.arange(recording.n_trials)


def traces(recording: Recording) -> np.ndarray:
    """Return activity over time, (time, neuron): each response for half a second, then nothing."""
    first = np.round(RATE_HZ * onsets(recording)).astype(int)
    values = np.zeros((first[-1] + int(2 * RATE_HZ), recording.n_neurons), np.float32)
    for step in range(int(RATE_HZ * SHOWN_S)):
        values[first + step] = recording.responses
    return values


def spike_counts(recording: Recording) -> np.ndarray:
    """Return responses as numbers of spikes, (trial, neuron)."""
    positive = recording.responses - recording.responses.min(axis=0)
    return np.round(5 * positive / positive.std(axis=0).clip(1e-6)).astype(int)


def write_pictures(recording: Recording, folder: Path) -> None:
    """Write the images as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(_bytes(recording)):
        Image.fromarray(image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)).save(folder / f"image{number:04d}.png")


def write_presentations(recording: Recording, folder: Path) -> None:
    """Write the pictures and the table of presentations."""
    write_pictures(recording, folder / "images")
    rows = [f"{onset},image{number:04d}.png" for onset, number in zip(onsets(recording), recording.stimulus_id)]
    (folder / "presentations.csv").write_text("\n".join(["onset_s,image", *rows]), encoding="utf-8")


def write_suite2p(recording: Recording, folder: Path) -> Path:
    """Write a folder of Suite2p."""
    write_presentations(recording, folder)
    np.save(folder / "spks.npy", traces(recording).T)
    np.save(folder / "iscell.npy", np.ones((recording.n_neurons, 2)))
    (folder / "recording.toml").write_text(f'format = "suite2p"\n[options]\nframe_rate_hz = {RATE_HZ}\n', encoding="utf-8")
    return folder


def write_spikes(recording: Recording, folder: Path) -> Path:
    """Write a folder of spike times in seconds."""
    write_presentations(recording, folder)
    trial, neuron = np.nonzero(spike_counts(recording))
    repeated = np.repeat(np.arange(len(trial)), spike_counts(recording)[trial, neuron])
    within = 0.2 * np.random.default_rng(0).random(len(repeated)) + 0.01
    np.save(folder / "spike_times.npy", onsets(recording)[trial[repeated]] + within)
    np.save(folder / "spike_clusters.npy", neuron[repeated])
    return folder


def write_sensorium(recording: Recording, folder: Path) -> Path:
    """Write a folder of the Sensorium competition."""
    for name, values in (("images", _bytes(recording)[recording.stimulus_id]), ("responses", recording.responses)):
        (folder / "data" / name).mkdir(parents=True, exist_ok=True)
        for number, value in enumerate(values):
            np.save(folder / "data" / name / f"{number}.npy", value)
    (folder / "meta" / "trials").mkdir(parents=True, exist_ok=True)
    np.save(folder / "meta" / "trials" / "tiers.npy", np.full(recording.n_trials, "train"))
    np.save(folder / "meta" / "trials" / "trial_idx.npy", np.arange(recording.n_trials))
    return folder


def write_mat(recording: Recording, folder: Path) -> Path:
    """Write a MATLAB file with the axes that MATLAB users have, and its description."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "stimuli": np.moveaxis(_bytes(recording)[:, 0], 0, -1),
        "resp": recording.responses.T,
        "ids": recording.stimulus_id + 1.0,
    }
    scipy.io.savemat(folder / "session.mat", content)
    (folder / "session.toml").write_text(
        'file = "session.mat"\n[images]\nvariable = "stimuli"\naxes = ["height", "width", "stimulus"]\n[responses]\nvariable = "resp"\n'
        'axes = ["neuron", "trial"]\n[stimulus_id]\nvariable = "ids"\nindex_base = 1\n',
        encoding="utf-8",
    )
    return folder / "session.toml"


def write_things(recording: Recording, folder: Path) -> Path:
    """Write pictures in one folder for each of two categories, a table of trials and the responses."""
    write_pictures(recording, folder / "images" / "even")
    (folder / "images" / "odd").mkdir(exist_ok=True)
    for picture in sorted((folder / "images" / "even").iterdir())[1::2]:
        picture.replace(folder / "images" / "odd" / picture.name)
    rows = [f"image{number:04d}" for number in recording.stimulus_id]
    (folder / "trials.csv").write_text("\n".join(["image", *rows]), encoding="utf-8")
    np.save(folder / "responses.npy", recording.responses)
    return folder


def write_nwb(recording: Recording, folder: Path) -> Path:
    """Write an NWB file with images, an index series and traces."""
    from pynwb import NWBHDF5IO, NWBFile  # imported here: the other formats need no further package
    from pynwb.base import Images
    from pynwb.image import GrayscaleImage, IndexSeries
    from pynwb.ophys import DfOverF, ImageSegmentation, OpticalChannel, RoiResponseSeries

    folder.mkdir(parents=True, exist_ok=True)
    nwb = NWBFile(session_description="simulated", identifier="simulated", session_start_time=datetime(2026, 1, 1, tzinfo=UTC))
    each = [GrayscaleImage(name=f"image{number:04d}", data=image[0]) for number, image in enumerate(_bytes(recording))]
    scenes = Images(name="scenes", description="simulated images", images=each)
    nwb.add_stimulus_template(scenes)
    shown = recording.stimulus_id.astype(np.uint32)
    nwb.add_stimulus(IndexSeries(name="shown", data=shown, indexed_images=scenes, unit="N/A", timestamps=onsets(recording)))
    channel = OpticalChannel(name="green", description="channel", emission_lambda=520.0)
    plane = nwb.create_imaging_plane(
        name="plane", optical_channel=channel, description="one plane", device=nwb.create_device(name="microscope"),
        excitation_lambda=910.0, imaging_rate=RATE_HZ, indicator="GCaMP6s", location="V1",
    )  # fmt: skip
    module, segmentation, container = nwb.create_processing_module("ophys", "imaging"), ImageSegmentation(), DfOverF()
    module.add(segmentation)
    module.add(container)
    regions = segmentation.create_plane_segmentation(name="regions", description="regions", imaging_plane=plane)
    for number in range(recording.n_neurons):
        regions.add_roi(pixel_mask=[(number, number, 1.0)])
    chosen = regions.create_roi_table_region(description="all", region=list(range(recording.n_neurons)))
    container.add_roi_response_series(
        RoiResponseSeries(name="dff", data=traces(recording), rois=chosen, unit="a.u.", rate=RATE_HZ, starting_time=0.0)
    )
    with NWBHDF5IO(folder / "session.nwb", "w") as stream:
        stream.write(nwb)
    return folder / "session.nwb"


WRITERS: dict[str, Callable[[Recording, Path], Path]] = {
    "nwb": write_nwb,
    "sensorium": write_sensorium,
    "suite2p": write_suite2p,
    "spike_times": write_spikes,
    "mat": write_mat,
    "things": write_things,
}


def _bytes(recording: Recording) -> np.ndarray:
    """Return the images with 8 bits, grey at 128 and 64 levels for one unit of contrast."""
    contrast = recording.contrast(np.arange(recording.n_stimuli))
    return np.clip(np.round(128 + 64 * contrast), 0, 255).astype(np.uint8)


def main() -> None:
    """Write every format into a folder of its own, and print what to give to `dina check`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--formats", nargs="*", default=list(WRITERS), choices=list(WRITERS))
    words = parser.parse_args()
    recording = simulate("demo", seed=0)
    for name in words.formats:
        print(WRITERS[name](recording, words.out / name), flush=True)


if __name__ == "__main__":
    main()
