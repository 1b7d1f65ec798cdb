"""The one door: read a recording in whichever format it comes, recognised by what lies at the path."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from dina.checks import DataError
from dina.recordings.arrays import read_arrays
from dina.recordings.cache import data_folder
from dina.recordings.native import read_groups
from dina.recordings.oddities import find_oddities
from dina.recordings.recording import Recording
from dina.recordings.stringer2018 import read_stringer2018
from dina.recordings.stringer2018_stimuli import Screens
from dina.recordings.truth import Truth


@dataclass(frozen=True)
class RecordingFormat:
    """One format that `read` knows.

    Parameters
    ----------
    accepts
        What may be given, in words, for the message when nothing fits.
    recognises
        Whether a path, which exists, is of this format; looks at names only.
    read
        Reads it: (path, images, labels, screens) → recording.
    takes
        Which of the options "images", "labels", "screens" mean something here.
    """

    accepts: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, Path | None, Path | None, Screens], Recording]
    takes: tuple[str, ...]


def read(
    path: Path | str, images: Path | str | None = None, labels: Path | str | None = None, screens: Screens = "all"
) -> Recording:
    """Read a recording: a Stringer 2018 ``.mat``, a folder of arrays, a ``recording.toml``, or our own ``.nc`` or ``.zarr``.

    Parameters
    ----------
    path
        File or folder; or the name of a fetched recording (``natimg2800_M170714_MP032_2017-09-14``).
    images
        File or folder of images that takes the place of the recording's own.
    labels
        File of image categories that takes the place of the recording's own.
    screens
        For Stringer 2018 only: "all", "left_centre", "left", "centre" or "right".

    Returns
    -------
    recording
        Checked; ``notes`` says what was dropped or converted, and what is odd about the data.

    Raises
    ------
    DataError
        If there is nothing at the path, it is of no known format, or its content cannot be used.
    """
    found = _locate(Path(path).expanduser())
    name = next((name for name, known in RECORDINGS.items() if known.recognises(found)), None)
    if name is None:
        accepted = "; ".join(known.accepts for known in RECORDINGS.values())
        raise DataError(f"{found} is no recording in a known format. Accepted are: {accepted}.")
    given = {"images": images, "labels": labels, "screens": None if screens == "all" else screens}
    surplus = [option for option, value in given.items() if value is not None and option not in RECORDINGS[name].takes]
    if surplus:
        raise DataError(f"{surplus[0]} cannot be chosen for {found.name}, {RECORDINGS[name].accepts}. Leave it out.")
    recording = RECORDINGS[name].read(found, _as_path(images), _as_path(labels), screens)
    news = tuple(sentence for sentence in find_oddities(recording) if sentence not in recording.notes)
    return replace(recording, notes=(*recording.notes, *news)) if news else recording


def _as_path(value: Path | str | None) -> Path | None:
    return None if value is None else Path(value).expanduser()


def _locate(path: Path) -> Path:
    if path.exists():
        return path
    fetched = data_folder("stringer2018") / f"{path.name.removesuffix('.mat')}.mat"
    if len(path.parts) == 1 and fetched.is_file():
        return fetched
    raise DataError(
        f"{path} does not exist, and no recording of that name has been fetched into {fetched.parent}. Check the path."
    )


def _read_native(path: Path, images: Path | None, labels: Path | None, screens: Screens) -> Recording:
    groups = read_groups(path)
    truth = Truth.from_dataset(groups["truth"]) if "truth" in groups else None
    return Recording.from_dataset(groups[""], truth)


def _read_arrays(path: Path, images: Path | None, labels: Path | None, screens: Screens) -> Recording:
    return read_arrays(path, images, labels)


RECORDINGS: dict[str, RecordingFormat] = {
    "stringer2018": RecordingFormat(
        accepts="a .mat file of the Stringer 2018 deposit",
        recognises=lambda path: path.is_file() and path.suffix == ".mat",
        read=read_stringer2018,
        takes=("images", "labels", "screens"),
    ),
    "netcdf": RecordingFormat(
        accepts="a .nc file written by Recording.write",
        recognises=lambda path: path.is_file() and path.suffix == ".nc",
        read=_read_native,
        takes=(),
    ),
    "zarr": RecordingFormat(
        accepts="a .zarr folder written by Recording.write",
        recognises=lambda path: path.is_dir() and (path / "zarr.json").is_file(),
        read=_read_native,
        takes=(),
    ),
    "arrays": RecordingFormat(
        accepts="a folder with responses.npy and stimulus_id.npy, or a recording.toml that says where they are",
        recognises=lambda path: (
            path.suffix == ".toml"
            or any((path / name).is_file() for name in ("recording.toml", "responses.npy", "stimulus_id.npy"))
        ),
        read=_read_arrays,
        takes=("images", "labels"),
    ),
}
