"""The output folder of Suite2p with a table of presentations: deconvolved or relative fluorescence in a window after each onset."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, minimum_filter1d

from dina.checks import DataError
from dina.recordings.csv_tables import read_neurons
from dina.recordings.file_places import IMAGE_NAMES, file_inside
from dina.recordings.formats import arrays, spike_times, things
from dina.recordings.onset_windows import Window, Windowed, average_in_windows
from dina.recordings.presentations import PRESENTATIONS, read_presentations_table
from dina.recordings.recording import Recording
from dina.recordings.stored_numbers import read_npy, to_float32

Signal = Literal["deconvolved", "dff"]

_AT_ONCE = 256  # neurons
_SMOOTH_FRAMES, _BASELINE_S = 10.0, 60.0  # of the running baseline, as Suite2p's own
_PLANE = re.compile(r"plane\d+")
_FILES: dict[Signal, tuple[str, ...]] = {"deconvolved": ("spks.npy",), "dff": ("F.npy", "Fneu.npy")}


def recognises(path: Path) -> bool:
    """Tell whether the path is a folder with ``F.npy`` or ``spks.npy``, or one whose planes are such folders; or that of ``suite2p/``.

    The last one holds the table of presentations, or no other recording: ``suite2p/`` also lies beside arrays made from it.
    """
    places = ("", "plane0", *(("suite2p/plane0",) if _is_home(path) else ()))
    return any((path / place / name).is_file() for place in places for name in ("F.npy", "spks.npy"))


def _is_home(path: Path) -> bool:
    is_complete_inside = any((path / "suite2p" / name).is_file() for name in (PRESENTATIONS, arrays.LAYOUT_NAME))
    is_taken = is_complete_inside or any(other.recognises(path) for other in (arrays, spike_times, things))
    return (path / PRESENTATIONS).is_file() or not is_taken


def read(
    path: Path,
    frame_rate_hz: float | None = None,
    window_s: Window = (0.0, 0.5),
    signal: Signal = "deconvolved",
    presentations: Path | None = None,
    images: Path | None = None,
    neuropil: float = 0.7,
    mid_grey: float | None = None,
    contrast_scale: float | None = None,
    *,
    all_regions: bool = False,
) -> Recording:
    """Read ``spks.npy``, or ``F.npy`` and ``Fneu.npy``, with ``iscell.npy`` and a table of presentations.

    ``ops.npy`` and ``stat.npy`` are Python objects, which are never loaded: what a study needs of them is stated here.

    Parameters
    ----------
    path
        The folder of a plane, of all planes combined, or the folder of the planes, whose neurons are then joined; or the folder that
        holds ``suite2p/``.
    frame_rate_hz
        Frames of one plane per second, ``fs`` of the run.
    window_s
        Begin and end, in seconds after the onset, of the window whose frames are averaged.
    signal
        "deconvolved" for ``spks.npy``; "dff" for fluorescence without neuropil, relative to its running baseline.
    presentations, images
        The table and the images, where they are not ``presentations.csv`` and ``images/`` in the folder, or in that above the folders
        that Suite2p named (``suite2p/plane0``).
    neuropil
        Share of the neuropil that "dff" subtracts.
    mid_grey, contrast_scale
        Of pixels that are not 8-bit.
    all_regions
        Whether regions that Suite2p does not call cells are read, too.

    Raises
    ------
    DataError
        If a file is missing, arrays disagree, or the frame rate is not stated.

    References
    ----------
    Pachitariu et al. (2017), bioRxiv 061507. https://doi.org/10.1101/061507
    """
    if frame_rate_hz is None or not 0 < frame_rate_hz < 10_000:
        found = "it is not stated" if frame_rate_hz is None else f"got {frame_rate_hz:g}"
        described = _find_home(path, (arrays.LAYOUT_NAME,))
        if frame_rate_hz is None and described != path and (described / arrays.LAYOUT_NAME).is_file():
            raise DataError(
                f"frame_rate_hz must be stated; {described / arrays.LAYOUT_NAME} is read only where the folder that holds it is given. Give"
                f" {described}."
            )
        raise DataError(
            f"frame_rate_hz must be the frames of a plane per second; {found}. ops.npy, which knows it as fs, is a Python object and is never"
            f" loaded: write frame_rate_hz under [options] of {path / arrays.LAYOUT_NAME}, or of the .toml that you give, with format ="
            " 'suite2p'."
        )
    folder, places = _find_planes(path)
    home = _find_home(path, (PRESENTATIONS,) if presentations is None else IMAGE_NAMES)
    shown = read_presentations_table(home, presentations, images, mid_grey, contrast_scale)
    onset_s = shown.onset / frame_rate_hz if shown.is_number_of_time else shown.onset
    notes = [f"Neurons of {len(places)} planes were joined: {', '.join(places)}."] if len(places) > 1 else []
    planes = [_read_plane(file_inside(folder, place), signal, all_regions, notes) for place in places]
    parts = [
        _average(traces, frame_rate_hz, onset_s, window_s)
        for plane in planes
        for traces in plane.blocks(signal, neuropil, frame_rate_hz)
    ]
    kept = np.logical_and.reduce([part.kept for part in parts])  # planes may differ by a frame at their end
    responses = np.concatenate([part.responses[kept[part.kept]] for part in parts], axis=1)
    what = "deconvolved fluorescence" if signal == "deconvolved" else f"dF/F, {neuropil:g} of the neuropil subtracted,"
    notes.append(
        f"Responses are means of {what} from {window_s[0]:g} to {window_s[1]:g} s after the onset, at {frame_rate_hz:g} Hz."
    )
    if not shown.is_number_of_time:
        notes += _doubt_rate(onset_s, planes[0].n_frames(signal) / frame_rate_hz, frame_rate_hz)
    cells = np.concatenate([plane.is_cell for plane in planes])
    table = next((place / "neurons.csv" for place in (path, home, folder) if (place / "neurons.csv").is_file()), None)
    row_is = f"region ({int(cells.sum())} that are read, {int((~cells).sum())} that iscell.npy calls no cells)"
    position, red = (None, None) if table is None else read_neurons(table, len(cells), notes, row_is, "Suite2p")
    reds = [plane.is_red for plane in planes if plane.is_red is not None]
    if red is None and len(reds) == len(planes):
        red = np.concatenate(reds)
    windowed = Windowed(responses, kept, tuple(dict.fromkeys(note for part in parts for note in part.notes)))
    return shown.with_responses(
        _name(path),
        windowed,
        tuple(notes),
        position_um=None if position is None else position[cells],
        is_red=None if red is None else red[cells],
        response_units="dF/F" if signal == "dff" else "deconvolved fluorescence, arbitrary",
    )


def _doubt_rate(onset_s: np.ndarray, duration_s: float, frame_rate_hz: float) -> list[str]:
    """Doubt a frame rate by which the traces last far longer than the images, or not as long."""
    last = float(onset_s.max())
    if 0.5 * duration_s <= last <= duration_s:
        return []
    return [
        f"At {frame_rate_hz:g} Hz the traces last {duration_s:,.0f} s; the last image was shown at {last:,.0f} s. Is frame_rate_hz the rate"
        " of one plane, and are onsets in seconds?"
    ]


def _average(traces: np.ndarray, frame_rate_hz: float, onset_s: np.ndarray, window_s: Window) -> Windowed:
    def read_rows(begin: int, end: int) -> np.ndarray:
        return traces[:, begin:end].T

    return average_in_windows(read_rows, len(traces), np.arange(traces.shape[1]) / frame_rate_hz, onset_s, window_s)


def _find_planes(path: Path) -> tuple[Path, list[str]]:
    """Return the folder of the traces, or of the planes with their names; ``""`` is the folder itself."""
    for folder in (path, file_inside(path, "suite2p")):
        if any((folder / name).is_file() for name in ("F.npy", "spks.npy")):
            return folder, [""]
        planes = [each.name for each in folder.iterdir() if _PLANE.fullmatch(each.name)] if folder.is_dir() else []
        if planes:
            return folder, sorted(planes, key=_number)
    raise DataError(
        f"{path} must hold spks.npy or F.npy, or folders plane0, plane1 … that do; it holds none of them. Give the folder that Suite2p"
        " wrote, in a recording.toml as data."
    )


def _find_home(path: Path, names: tuple[str, ...]) -> Path:
    """Return the folder that holds a file of these names: the one given, or one above the folders that Suite2p named.

    Where none does, they belong into the last of these folders, beside ``suite2p/``.
    """
    folder = path
    while not any((folder / name).exists() for name in names) and _is_of_suite2p(folder.absolute().name):
        folder = folder.absolute().parent
    return folder


def _is_of_suite2p(name: str) -> bool:
    return name in ("suite2p", "combined") or _PLANE.fullmatch(name) is not None


def _number(name: str) -> int:
    return int(name.removeprefix("plane"))


def _name(path: Path) -> str:
    """Return the name of the session: that of the nearest folder that Suite2p did not name."""
    names = [name for name in (path.name, *path.resolve().parts[::-1]) if name and name != ".."]
    return next((name for name in names if not _is_of_suite2p(name)), names[0])


@dataclass(frozen=True, eq=False)
class _Plane:
    folder: Path
    is_cell: np.ndarray  # of all regions: which are read
    is_red: np.ndarray | None

    def n_frames(self, signal: Signal) -> int:
        """Return how many frames the traces have."""
        return int(_traces(self.folder, _FILES[signal][0]).shape[1])

    def blocks(self, signal: Signal, neuropil: float, frame_rate_hz: float) -> Iterator[np.ndarray]:
        """Yield traces (neuron, time), some neurons at a time."""
        chosen = np.flatnonzero(self.is_cell)
        stored = {name: _traces(self.folder, name, len(self.is_cell)) for name in _FILES[signal]}
        for start in range(0, len(chosen), _AT_ONCE):
            rows = chosen[start : start + _AT_ONCE]
            block = [to_float32(name, values[rows], ("neuron", "time")) for name, values in stored.items()]
            yield block[0] if signal == "deconvolved" else _relative(block[0] - np.float32(neuropil) * block[1], frame_rate_hz)


def _read_plane(folder: Path, signal: Signal, all_regions: bool, notes: list[str]) -> _Plane:
    n = len(_traces(folder, _FILES[signal][0]))
    file = file_inside(folder, "iscell.npy")
    cells = np.ones(n, dtype=bool)
    if not all_regions and file.is_file():
        stored = _read_marks(file)
        if stored.ndim not in (1, 2) or len(stored) != n:
            raise DataError(f"{file} must have a row for each of {n} regions; got shape {stored.shape}. Copy the folder again.")
        cells = (stored if stored.ndim == 1 else stored[:, 0]) > 0
        if not cells.any():
            raise DataError(f"{file} calls none of {n} regions a cell. Say all_regions = true under [options] to read all.")
        if not cells.all():
            notes.append(f"{int(cells.sum())} of {n} regions of {folder.name} are cells by iscell.npy; the others were left out.")
    elif not all_regions:
        notes.append(f"{folder.name} holds no iscell.npy: all {n} regions were read.")
    file = file_inside(folder, "redcell.npy")
    red = _read_marks(file) if file.is_file() else None
    return _Plane(folder, cells, red[:, 0] > 0 if red is not None and red.ndim == 2 and len(red) == n else None)


def _read_marks(file: Path) -> np.ndarray:
    """Return what is said of regions, above 0 where it holds; truth values pass as they are."""
    stored = read_npy(file)
    return stored if stored.dtype == np.bool_ else to_float32(file.name, stored, ("region", "column"))


def _traces(folder: Path, name: str, n: int | None = None) -> np.ndarray:
    file = file_inside(folder, name)
    if not file.is_file():
        other = "dff" if name == "spks.npy" else "deconvolved"
        raise DataError(f"{file} not found. Copy it there, or say signal = {other!r} under [options].")
    stored = read_npy(file)
    if stored.ndim != 2 or (n is not None and len(stored) != n):
        wanted = f"({n or 'n_regions'}, n_frames)"
        raise DataError(f"{file} must be {wanted}; got shape {stored.shape}. Copy the folder of the same run.")
    return stored


def _relative(traces: np.ndarray, frame_rate_hz: float) -> np.ndarray:
    """Return fluorescence relative to its baseline: smoothed, then its running minimum, then the maximum of that, over a minute."""
    n = max(1, round(_BASELINE_S * frame_rate_hz))
    baseline = maximum_filter1d(minimum_filter1d(gaussian_filter1d(traces, _SMOOTH_FRAMES, axis=1), n, axis=1), n, axis=1)
    floor = np.maximum(np.median(np.abs(traces), axis=1, keepdims=True) * 0.01, 1e-6)  # a baseline near 0 makes nothing huge
    return (traces - baseline) / np.maximum(baseline, floor)
