"""Every format in which a recording can come, one row of `FORMATS` each.

To add a format, write ``formats/<source>.py`` with two functions, ``recognises(path)``, which looks at names only, and
``read(path, …)``, whose further arguments are the options of the format and have defaults, and which raises a `DataError` for what
it cannot use; then add its row here. If recordings of the format can be fetched, the file also offers what a `Deposit` needs.
`dina.read`, ``dina fetch`` and the tests of ``tests/contracts/test_formats.py`` take the format from its row.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dina.recordings import native
from dina.recordings.formats import arrays, nwb, sensorium, spike_times, stringer2018, suite2p, things
from dina.recordings.recording import Recording


@dataclass(frozen=True)
class Deposit:
    """Where published recordings of a format can be fetched from."""

    list_recordings: Callable[[], tuple[str, ...]]  # names of all recordings that can be fetched
    fetch: Callable[[Sequence[str]], tuple[Path, ...]]  # fetches recordings by name with all that `dina.read` needs
    locate: Callable[[str], Path]  # where the recording of a name lies once it has been fetched


@dataclass(frozen=True)
class RecordingFormat:
    """One format that `dina.read` opens."""

    accepts: str  # what may be given, in words, for the message when nothing fits
    examples: tuple[str, ...]  # names that are recognised: of a file, or of a file in the folder that is given
    recognises: Callable[[Path], bool]  # whether a path, which exists, is of this format; looks at names only
    read: Callable[..., Recording]  # (path, …) → recording; further arguments are the options of the format
    deposit: Deposit | None = None  # where recordings can be fetched from

    def options(self) -> tuple[str, ...]:
        """Return the names of what can be chosen when a recording of this format is read."""
        return _arguments(self.read)[1:]


@lru_cache
def _arguments(read: Callable[..., Recording]) -> tuple[str, ...]:
    return tuple(inspect.signature(read).parameters)


FORMATS: dict[str, RecordingFormat] = {
    "stringer2018": RecordingFormat(
        accepts="a .mat file of the Stringer 2018 deposit",
        examples=("natimg2800_M170714_MP032_2017-09-14.mat",),
        recognises=stringer2018.recognises,
        read=stringer2018.read,
        deposit=Deposit(stringer2018.list_recordings, stringer2018.fetch, stringer2018.locate),
    ),
    "saved": RecordingFormat(
        accepts="a .nc file or .zarr folder written by Recording.write",
        examples=("mouse7.nc", "mouse7.zarr/zarr.json"),
        recognises=native.recognises,
        read=Recording.read,
    ),
    "nwb": RecordingFormat(
        accepts="a .nwb file (Neurodata Without Borders 2)",
        examples=("sub-1_ses-1_behavior+image+ophys.nwb",),
        recognises=nwb.recognises,
        read=nwb.read,
    ),
    "sensorium": RecordingFormat(
        accepts="a folder of the Sensorium competition (data/images, data/responses, meta)",
        examples=("static21067-10-18-GrayImageNet/meta/trials/tiers.npy",),
        recognises=sensorium.recognises,
        read=sensorium.read,
    ),
    "suite2p": RecordingFormat(
        accepts="an output folder of Suite2p with presentations.csv",
        examples=("mouse7/F.npy", "mouse7/spks.npy", "mouse7/plane0/F.npy"),
        recognises=suite2p.recognises,
        read=suite2p.read,
    ),
    "spike_times": RecordingFormat(
        accepts="a folder with spike_times.npy, spike_clusters.npy and presentations.csv",
        examples=("mouse7/spike_times.npy",),
        recognises=spike_times.recognises,
        read=spike_times.read,
    ),
    "things": RecordingFormat(
        accepts="a folder with trials.csv and pictures in folders of categories (THINGS)",
        examples=("monkeyF/trials.csv",),
        recognises=things.recognises,
        read=things.read,
    ),
    "arrays": RecordingFormat(
        accepts="a folder with images, responses.npy and stimulus_id.npy, a .npz or .h5 file with these three arrays, or a recording.toml"
        " that says where they are and what they are called",
        examples=(
            "mouse7.toml",
            "mouse7.npz",
            "mouse7.h5",
            "mouse7/recording.toml",
            "mouse7/responses.npy",
            "mouse7/stimulus_id.npy",
        ),
        recognises=arrays.recognises,
        read=arrays.read,
    ),
}
