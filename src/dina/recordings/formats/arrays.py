"""A laboratory's own arrays: .npy, .npz, .mat or .h5 files and pictures, described by a recording.toml where needed."""

from difflib import get_close_matches
from pathlib import Path

import numpy as np

from dina.checks import DataError
from dina.recordings.csv_tables import read_labels, read_neurons
from dina.recordings.home_folder import expand_home
from dina.recordings.layout import RecordingLayout, SpontaneousTable, read_image_files, read_layout, read_trials
from dina.recordings.missing_pictures import say_missing
from dina.recordings.own_files import ENDINGS, PACKED, read_variable
from dina.recordings.presentations import read_covariates
from dina.recordings.recording import Recording
from dina.recordings.stored_numbers import to_float32

LAYOUT_NAME = "recording.toml"
_OPTIONAL = ("neurons.csv", "labels.csv", "covariates.csv", "spontaneous.npy")
_MOST_NAMED = 10


def recognises(path: Path) -> bool:
    """Tell whether the path is a ``.toml``, ``.npz`` or ``.h5``, or a folder that holds a recording.toml or arrays of the usual names."""
    return path.suffix in (".toml", *PACKED) or any(
        (path / name).is_file() for name in (LAYOUT_NAME, "responses.npy", "stimulus_id.npy")
    )


def read(path: Path, images: Path | None = None, labels: Path | None = None) -> Recording:
    """Read a folder of arrays, or the recording.toml that describes one.

    Without a recording.toml a folder holds ``images.npy`` (n_stimuli, height, width[, 3]; uint8) or pictures in ``images/`` or
    ``images.zip``, ``responses.npy`` (n_trials, n_neurons) and 0-based ``stimulus_id.npy`` (n_trials,); and, if there are any,
    ``spontaneous.npy`` (n_times, n_neurons), ``neurons.csv``, ``labels.csv`` and ``covariates.csv``.

    Parameters
    ----------
    path
        The folder; or a ``.toml`` file anywhere, whose ``data`` key, relative to itself, says where the files lie; or a ``.npz`` or
        ``.h5`` that holds ``images``, ``responses`` and ``stimulus_id``.
    images, labels
        A file or folder that takes the place of the images of the recording; a table that takes the place of ``labels.csv``.

    Raises
    ------
    DataError
        If a file is missing or contradicts another; the message says which and what to write.
    """
    layout_file = path if path.is_file() else path / LAYOUT_NAME
    try:
        return _read(layout_file, images, labels)
    except DataError as error:
        if layout_file.suffix != ".toml" or layout_file.name == LAYOUT_NAME:
            raise
        raise DataError(
            str(error).replace(f"a {LAYOUT_NAME}", layout_file.name).replace(LAYOUT_NAME, layout_file.name)
        ) from error


def _read(layout_file: Path, images: Path | None, labels: Path | None) -> Recording:
    layout = read_layout(layout_file) if layout_file.is_file() else RecordingLayout()
    folder = layout_file.parent / expand_home(layout.data or ".")
    if not folder.is_dir():
        advice = f"Write file = {layout.data!r}, and the variable of each table" if folder.is_file() else "Correct that line"
        raise DataError(f"{layout_file.name}: data must be a folder, as seen from the file; got {folder}. {advice}.")
    pixels, mid_grey, contrast_scale, notes, names = read_image_files(folder, layout, images)
    missing = say_missing(names)
    trials = read_trials(folder, layout.responses, layout.stimulus_id, len(pixels), missing)
    notes += trials.notes
    if missing:
        notes.append(
            f"{missing}; ids count the pictures that are there. If yours are the numbers of names, give what is missing."
        )
    keep, n_stored = trials.kept_neurons, len(trials.kept_neurons)
    neurons = _companion(folder, layout.neurons.file if layout.neurons else None, "neurons.csv")
    position, red = read_neurons(neurons, n_stored, notes) if neurons is not None else (None, None)
    labels_file = labels or _companion(folder, layout.labels.file if layout.labels else None, "labels.csv")
    base = layout.stimulus_id.index_base
    words = None if labels_file is None else read_labels(labels_file, len(pixels), notes, base)
    behaviour, behaviour_names = _covariates(folder, layout, trials.kept_trials, notes)
    spontaneous = _spontaneous(folder, layout.spontaneous, n_stored)
    if layout_file.name == LAYOUT_NAME or layout.data is not None:  # beside another .toml lie the files of others
        notes += _unread(folder, layout)
    return Recording(
        name=layout.name or _name(layout_file, layout, folder),
        images=pixels,
        stimulus_id=trials.stimulus_id,
        responses=trials.responses,
        n_presentations=trials.n_presentations,
        condition=layout.condition,
        image_set=layout.image_set,
        animal=layout.animal,
        species=layout.species,
        area=layout.area,
        indicator=layout.indicator,
        response_units=layout.responses.units,
        mid_grey=mid_grey,
        contrast_scale=contrast_scale,
        deg_per_pixel=layout.deg_per_pixel,
        neuron_position_um=None if position is None else position[keep],
        is_red=None if red is None else red[keep],
        spontaneous=None if spontaneous is None else spontaneous[:, keep],
        labels=words,
        image_names=None if names is None else np.array(names),
        covariates=behaviour,
        covariate_names=behaviour_names,
        notes=tuple(notes),
    )


def _name(layout_file: Path, layout: RecordingLayout, folder: Path) -> str:
    """Return the name of the folder, or that of a .toml beside its files where it is for one file, or the folder holds several."""
    is_own = layout.data is None and layout_file.name != LAYOUT_NAME
    if is_own and (layout.file is not None or len(list(folder.glob("*.toml"))) > 1):
        return layout_file.stem
    return folder.name if folder.name not in ("", "..") else folder.resolve().name  # a link keeps its name


def _unread(folder: Path, layout: RecordingLayout) -> list[str]:
    """Say which arrays and tables of a folder were not read, as where a name is misspelt."""
    by_stimulus = "stimulus" in (layout.responses.axes or ()) and layout.stimulus_id.file is None
    counts = layout.responses.n_presentations
    tables = (layout.neurons, layout.labels, layout.covariates, layout.spontaneous, layout.images, layout.stimulus_id)
    stated = {table.file for table in tables if table is not None} | {layout.responses.file, str(counts)}
    usual = ("images.npy", "responses.npy", *(() if by_stimulus else ("stimulus_id.npy",)), *_OPTIONAL)
    read_from = {folder / name for name in (*stated, *usual) if name}
    left = sorted(file.name for file in folder.iterdir() if file.suffix in (*ENDINGS, ".csv") and file not in read_from)
    if not left:
        return []
    near = {name: get_close_matches(name, _OPTIONAL, n=1, cutoff=0.8) for name in left[:_MOST_NAMED]}
    words = [f"{name} (did you mean {alike[0]}?)" if alike else name for name, alike in near.items()]
    count = f"{len(left)} files of {folder.name} were" if len(left) > 1 else f"1 file of {folder.name} was"
    return [f"{count} not read: {', '.join(words)}{', …' if len(left) > len(words) else ''}."]


def _companion(folder: Path, stated: str | None, usual: str) -> Path | None:
    """Return the file that was stated, which must be there, or the usual one if it is there."""
    if stated is not None:
        return folder / stated
    return folder / usual if (folder / usual).is_file() else None


def _covariates(
    folder: Path, layout: RecordingLayout, kept_trials: np.ndarray, notes: list[str]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Read what the animal did in each trial, one row for each as stored."""
    path = _companion(folder, layout.covariates.file if layout.covariates else None, "covariates.csv")
    if path is None:
        return None, None
    if len(kept_trials) == 0:
        raise DataError(
            f"{path.name} needs responses stored by trial; these are by stimulus, in no order of trials. Leave it out."
        )
    values, names = read_covariates(path, notes)
    if len(values) != len(kept_trials):
        raise DataError(
            f"{path.name} must have one row per trial, {len(kept_trials)}; it has {len(values)}. Write them in the order of responses."
        )
    return values[kept_trials], np.array(names)


def _spontaneous(folder: Path, table: SpontaneousTable | None, n_neurons: int) -> np.ndarray | None:
    if table is None:
        if not (folder / "spontaneous.npy").is_file():
            return None
        table = SpontaneousTable()
    stored = read_variable(folder / table.file, table.variable)
    if stored.ndim != 2 or set(table.axes or ("time", "neuron")) != {"time", "neuron"}:
        wanted = f"(n_times, n_neurons), axes time and neuron; got shape {stored.shape}"
        raise DataError(f"{table.file} must be {wanted}. Correct [spontaneous] axes.")
    if table.axes is None and stored.shape[0] == stored.shape[1]:
        raise DataError(
            f"{table.file} is square ({stored.shape[0]} x {stored.shape[1]}), so times and neurons cannot be distinguished. Say which"
            ' is which in recording.toml under [spontaneous], axes = ["time", "neuron"] or ["neuron", "time"].'
        )
    values = stored.T if table.axes == ("neuron", "time") else stored
    if values.shape[1] != n_neurons:
        raise DataError(
            f"{table.file} must be (n_times, {n_neurons}), with the neurons of responses; got shape {stored.shape}."
            ' If neurons come first, say so under [spontaneous], axes = ["neuron", "time"].'
        )
    return np.array(to_float32("spontaneous", values, ("time", "neuron")))
