"""Series over time in an NWB file: their names and times, and what the animal did in the window after each onset."""

from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float

from dina.checks import DataError
from dina.recordings.hdf5_contents import check_hdf5_dataset
from dina.recordings.hdf5_objects import follow, groups_below, read_array
from dina.recordings.onset_windows import Window, Windowed, average_in_windows

MOST_TIMES = 2**26  # a day and more at 500 per second
# name of a series → covariate
_BEHAVIOUR = {"running_speed": "running_speed", "speed": "running_speed", "pupil_size": "pupil_size", "pupil_area": "pupil_size"}


def read_behaviour(
    file: h5py.File, onset_s: np.ndarray, window: Window, path: Path, notes: list[str]
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return running speed and pupil size in the window after each onset, where one series alone holds them."""
    columns, names = [], []
    places = [follow(file, place, path) for place in ("processing", "acquisition")]
    groups = [group for place in places if isinstance(place, h5py.Group) for group in groups_below(place, path)]
    known: dict[str, list[h5py.Group]] = {}
    for group in groups:
        covariate = _BEHAVIOUR.get(name_of_series(group).rpartition("/")[2])
        data = follow(group, "data", path) if covariate is not None else None
        if isinstance(data, h5py.Dataset) and data.ndim == 1 and data.dtype.kind in "fiu" and len(data) <= MOST_TIMES:
            known.setdefault(str(covariate), []).append(group)
    for covariate, (series, *others) in known.items():
        if others:
            listed = ", ".join(map(name_of_series, (series, *others)))
            notes.append(
                f"Several series could be {covariate} ({listed}), so none was read. Keep the right one alone in the file."
            )
            continue
        values = np.asarray(read_array(series, "data", path), dtype=np.float64)[:, None]
        try:
            found = _average_one(values, times_of(series, len(values), path), onset_s, window)
        except DataError as error:
            notes.append(f"{name_of_series(series)} was passed over: {error}")
            continue
        columns.append(np.full(len(onset_s), np.nan))
        columns[-1][found.kept] = found.responses[:, 0]
        names.append(covariate)
    return (np.stack(columns, axis=1), tuple(names)) if columns else (None, ())


def _average_one(values: np.ndarray, time_s: np.ndarray, onset_s: np.ndarray, window: Window) -> Windowed:
    def read_rows(begin: int, end: int) -> np.ndarray:
        return values[begin:end]

    return average_in_windows(read_rows, 1, time_s, onset_s, window)


def times_of(series: h5py.Group, n: int, path: Path) -> Float[np.ndarray, "time"]:
    """Return the time of each of ``n`` points of a series in seconds, as its timestamps or its rate say.

    Raises
    ------
    DataError
        If it has neither, or not so many.
    """
    times = read_array(series, "timestamps", path)
    if times is not None:
        if times.shape != (n,) or times.dtype.kind != "f":
            raise DataError(f"{path.name}: {series.name}/timestamps must be ({n},); got {times.shape}. Check how it was written.")
        return times.astype(np.float64)
    start = follow(series, "starting_time", path)
    rate = float(start.attrs.get("rate", 0)) if isinstance(start, h5py.Dataset) else 0.0
    if not (isinstance(start, h5py.Dataset) and rate > 0):
        raise DataError(f"{path.name}: {series.name} must have timestamps, or a starting_time with a rate; it has neither.")
    check_hdf5_dataset(start, path)
    return float(start[()]) + np.arange(n) / rate


def name_of_series(group: h5py.Group) -> str:
    """Return the path of a series in its file."""
    return str(group.name).lstrip("/")
