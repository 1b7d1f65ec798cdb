"""A folder of spike times, as Kilosort and Phy write it, with a table of presentations: spikes per second after each onset."""

import csv
from pathlib import Path

import numpy as np

from dina.checks import DataError
from dina.recordings.csv_tables import MAX_BYTES
from dina.recordings.file_places import file_inside
from dina.recordings.onset_windows import Window, count_in_windows
from dina.recordings.presentations import read_presentations_table
from dina.recordings.recording import Recording
from dina.recordings.stored_numbers import read_npy, to_index

GROUPS = ("cluster_group.tsv", "cluster_KSLabel.tsv")  # of Phy and, before anything was sorted by hand, of Kilosort
_FAR = 30.0  # times as late as the last onset; milliseconds are 1000 times as late


def recognises(path: Path) -> bool:
    """Tell whether the path is a folder with ``spike_times.npy``."""
    return (path / "spike_times.npy").is_file()


def read(
    path: Path,
    window_s: Window = (0.0, 0.25),
    sample_rate_hz: float | None = None,
    groups: tuple[str, ...] | None = None,
    presentations: Path | None = None,
    images: Path | None = None,
    mid_grey: float | None = None,
    contrast_scale: float | None = None,
) -> Recording:
    """Read ``spike_times.npy``, ``spike_clusters.npy`` (the neuron of each spike) and a table of presentations.

    Parameters
    ----------
    path
        The folder.
    window_s
        Begin and end, in seconds after the onset, of the window in which spikes are counted.
    sample_rate_hz
        Samples per second, where spike times are whole numbers of samples; by default they are seconds.
    groups
        Which groups of ``cluster_group.tsv`` are read, or of ``cluster_KSLabel.tsv`` where there is none; by default all but "noise".
    presentations, images
        The table and the images, where they are not ``presentations.csv`` and ``images/`` in the folder.
    mid_grey, contrast_scale
        Of pixels that are not 8-bit.

    Raises
    ------
    DataError
        If a file is missing, arrays disagree, the sample rate is needed and not stated, or no neuron is left.
    """
    notes: list[str] = []
    time_s, neuron = _read_spikes(path, sample_rate_hz)
    neurons = _choose_neurons(path, np.unique(neuron), groups, notes)
    shown = read_presentations_table(path, presentations, images, mid_grey, contrast_scale)
    if shown.is_number_of_time:
        raise DataError(
            "Spikes have no frames: presentations must have a column onset_s, in seconds of the clock of the spikes. Add it."
        )
    order = np.argsort(neuron, kind="stable")
    begin, end = (np.searchsorted(neuron[order], neurons, side) for side in ("left", "right"))
    spikes = [time_s[order[first:last]] for first, last in zip(begin, end)]
    notes.append(f"Responses are spikes per second from {window_s[0]:g} to {window_s[1]:g} s after the onset.")
    name = path.name or path.resolve().name
    recorded_s = (float(time_s.min()), float(time_s.max()))  # by all neurons, read or not
    if recorded_s[1] > _FAR * max(1.0, float(shown.onset.max())):
        notes.append(
            f"Spikes reach to {recorded_s[1]:,.0f} s, but presentations to {shown.onset.max():,.0f} s: check that both are in seconds."
        )
    windowed = count_in_windows(spikes, shown.onset, window_s, recorded_s)
    return shown.with_responses(name, windowed, tuple(notes), response_units="spikes/s")


def _read_spikes(path: Path, sample_rate_hz: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the time of each spike in seconds and the number of its neuron."""
    stored = {}
    for name in ("spike_times.npy", "spike_clusters.npy"):
        values = read_npy(file_inside(path, name))
        if values.size != max(values.shape, default=0):
            raise DataError(f"{path.name}/{name} must be (n_spikes,); got shape {values.shape}. Check the file.")
        stored[name] = np.ravel(values)
    times, neuron = stored["spike_times.npy"], to_index("spike_clusters.npy", stored["spike_clusters.npy"])
    if times.shape != neuron.shape:
        raise DataError(
            f"{path.name} must hold a neuron for each spike; got {len(times)} spikes and {len(neuron)} neurons. Copy it again."
        )
    if times.dtype.kind not in "iuf" or (sample_rate_hz is not None and not 0 < sample_rate_hz < np.inf):
        raise DataError(f"Spike times and sample_rate_hz must be numbers; got {times.dtype} and {sample_rate_hz}. Correct them.")
    is_whole = times.dtype.kind in "iu" or bool((times == np.round(times)).all())  # as samples are; no spikes keep to seconds
    if is_whole and sample_rate_hz is None:
        raise DataError(
            f"sample_rate_hz must be stated, since spike_times.npy of {path.name} counts samples ({times.dtype}). Write it under [options]"
            f" of {path / 'recording.toml'}, or of the .toml that you give, with format = 'spike_times'."
        )
    if sample_rate_hz is not None and not is_whole:
        raise DataError(
            f"sample_rate_hz must be stated for whole numbers of samples alone; spike_times.npy of {path.name} holds fractions, so it is in"
            " seconds. Leave sample_rate_hz out."
        )
    return times.astype(np.float64) / (sample_rate_hz or 1.0), neuron


def _choose_neurons(path: Path, known: np.ndarray, groups: tuple[str, ...] | None, notes: list[str]) -> np.ndarray:
    """Return the numbers of the neurons to read."""
    file = next((file for file in (file_inside(path, name) for name in GROUPS) if file.is_file()), None)
    if file is None:
        if groups is not None:
            raise DataError(f"{path.name} holds no {' or '.join(GROUPS)}, so groups cannot be chosen. Leave them out.")
        return known
    said = _read_groups(file)
    words = [said.get(int(number), "unsorted") for number in known]
    keep = np.array([word in groups if groups is not None else word != "noise" for word in words])
    counts = ", ".join(f"{words.count(word)} {word}" for word in sorted(set(words)))
    if not keep.any():
        raise DataError(f"{path.name}: no neuron is left; {file.name} says {counts}. Choose other groups.")
    notes.append(f"{int(keep.sum())} of {len(known)} sorted neurons were read ({counts} by {file.name}).")
    return known[keep]


def _read_groups(file: Path) -> dict[int, str]:
    if file.stat().st_size > MAX_BYTES:
        raise DataError(f"{file.name} is larger than {MAX_BYTES // 2**20} MiB, which is no such table. Check the file.")
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.reader(stream, delimiter="\t", strict=True))
        return {int(row[0]): row[1].strip() for row in rows[1:] if row}
    except (UnicodeDecodeError, csv.Error, ValueError, IndexError) as error:
        raise DataError(
            f"{file.name} must have columns cluster_id and group, separated by tabs; it cannot be read: {error}."
        ) from error
