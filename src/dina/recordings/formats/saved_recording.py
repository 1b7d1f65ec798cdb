"""The package's own file, written by `Recording.write`: NetCDF-4 (``.nc``) or a Zarr folder (``.zarr``)."""

from pathlib import Path

from dina.recordings.native import read_groups
from dina.recordings.recording import Recording
from dina.recordings.truth import Truth


def recognises(path: Path) -> bool:
    """Tell whether the path is a ``.nc`` file or a Zarr folder."""
    return path.suffix == ".nc" if path.is_file() else (path / "zarr.json").is_file()


def read(path: Path) -> Recording:
    """Read a recording as it was written, the truth of a simulation included.

    Raises
    ------
    DataError
        If the file cannot be read, was not written by dina, or is damaged.
    """
    groups = read_groups(path)
    truth = Truth.from_dataset(groups["truth"]) if "truth" in groups else None
    return Recording.from_dataset(groups[""], truth)
