"""Neurodata Without Borders (NWB 2): images and when they were shown, and traces of regions of interest or spikes of sorted neurons."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from dina.checks import DataError
from dina.recordings.hdf5_contents import check_attributes, check_hdf5_dataset
from dina.recordings.hdf5_damage import check_hdf5_damage
from dina.recordings.hdf5_objects import follow, follow_reference, groups_below, read_array, word_of
from dina.recordings.layout import RecordingLayout, read_image_files
from dina.recordings.nwb_series import MOST_TIMES, name_of_series, read_behaviour, times_of
from dina.recordings.nwb_stimuli import Shown, read_presentations, read_templates
from dina.recordings.onset_windows import Window, Windowed, average_in_windows, count_in_windows, drop_gaps, leave_unobserved
from dina.recordings.pixel_values import settle_grey
from dina.recordings.presentations import IMAGES_OPTION, say_blank
from dina.recordings.recording import Recording

TRACE_WINDOW: Window = (0.0, 0.5)  # seconds after the onset, where none is stated
SPIKE_WINDOW: Window = (0.0, 0.25)
_SPECIES = {"mus musculus": "mouse", "macaca mulatta": "macaque", "rattus norvegicus": "rat", "homo sapiens": "human"}
_NO_UNIT = ("", "n.a.", "n/a", "na", "none", "unknown")
_DECONVOLVED = ("deconv", "event", "spike", "spks")


def recognises(path: Path) -> bool:
    """Tell whether the path is a ``.nwb`` file."""
    return path.is_file() and path.suffix == ".nwb"


def read(
    path: Path,
    images: Path | None = None,
    stimuli: str | None = None,
    image_column: str | None = None,
    responses: str | None = None,
    window_s: Window | None = None,
    where: Mapping[str, str] | None = None,
    mid_grey: float | None = None,
    contrast_scale: float | None = None,
) -> Recording:
    """Read images, presentations and responses of an NWB file; no extension of the schema is needed, and no code of the file is run.

    Parameters
    ----------
    path
        The file, in version 2 of the schema.
    images
        A folder or zip of pictures, or a .npy file, where the file has no templates of the images.
    stimuli
        Name of the `IndexSeries` or the table of intervals that says when which image was shown; by default the only one.
    image_column
        Column of that table that names the image, by number or name; by default ``frame``, ``image_index``, ``image_name``,
        ``image`` or ``stimulus_id``.
    responses
        "units" for spikes, or the name or path of a `RoiResponseSeries`; by default the only one, else deconvolved, else dF/F.
    window_s
        Begin and end, in seconds after the onset, of the window in which responses are averaged or spikes counted; by default 0 to
        0.5 for traces and 0 to 0.25 for spikes.
    where
        Words that columns of the table of neurons, or of its electrodes, must say: ``{"location": "VISp", "quality": "good"}``.
    mid_grey, contrast_scale
        Of pixels that are not 8-bit.

    Raises
    ------
    DataError
        If the file is damaged or of version 1, lacks a part, or holds several of it and none was chosen.

    References
    ----------
    Rübel et al. (2022), eLife 11:e78362. https://doi.org/10.7554/eLife.78362
    """
    notes: list[str] = []
    with _opened(path) as file:
        shown = read_presentations(file, stimuli, image_column, path, notes)
        source = _choose_responses(file, responses, path, notes)
        windowed, facts, unit = (
            _rates(file, shown, window_s, where, path, notes)
            if source is None
            else _traces(source, shown, window_s, where, path, notes)
        )
        window = window_s or (SPIKE_WINDOW if source is None else TRACE_WINDOW)
        covariates, covariate_names = read_behaviour(file, shown.onset_s, window, path, notes)
        pixels, names = (None, None) if images is not None else read_templates(file, shown, path, notes)
        facts = {**_subject(file, path), **facts}
    if pixels is None:
        pixels, grey, scale, more, names = read_image_files(path.parent, RecordingLayout(), images, IMAGES_OPTION)
        notes += more
    else:
        grey, scale = settle_grey(pixels, path.name, mid_grey, contrast_scale, "[options] of the .toml that describes it")
    stimulus_id = shown.numbers(len(pixels), names, path)[windowed.kept]
    is_image = stimulus_id >= 0
    blank = say_blank(is_image, len(shown.onset_s))
    trials, neurons, gaps = drop_gaps(windowed.responses[is_image])
    behaviour = None if covariates is None else covariates[windowed.kept][is_image][trials]
    return Recording(
        name=path.stem,
        images=pixels,
        stimulus_id=stimulus_id[is_image][trials],
        responses=windowed.responses[is_image][trials][:, neurons],
        mid_grey=grey,
        contrast_scale=scale,
        image_names=None if names is None else np.array(names),
        covariates=behaviour,
        covariate_names=None if behaviour is None else np.array(covariate_names),
        notes=(*notes, *windowed.notes, *blank, *gaps, f"Responses are {unit}."),
        animal=facts.get("animal"),
        species=facts.get("species"),
        area=facts.get("area"),
        indicator=facts.get("indicator"),
        response_units=facts.get("response_units"),
    )


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """Open the file; whatever a damaged one makes the library raise becomes a sentence."""
    try:
        check_hdf5_damage(path)
        with h5py.File(path, "r") as file:
            check_attributes(file, path)
            version = word_of(file.attrs.get("nwb_version", ""))
            if not version.startswith("2"):
                found = "version 1" if "nwb_version" in file else f"version {version}" if version else "no version"
                raise DataError(
                    f"{path.name} must be an NWB file of version 2; it has {found}. Convert it, or fetch a newer one (DANDI archive)."
                )
            yield file
    except (DataError, MemoryError):
        raise
    except Exception as error:  # h5py answers damage with errors of many kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise DataError(f"{path.name} cannot be read as NWB: {reason}. It is damaged or unfinished; copy it again.") from error


def _choose_responses(file: h5py.File, wanted: str | None, path: Path, notes: list[str]) -> h5py.Group | None:
    """Return the traces to read; None for spikes."""
    series = [
        group
        for place in ("processing", "acquisition")
        if isinstance(top := follow(file, place, path), h5py.Group)
        for group in groups_below(top, path)
        if word_of(group.attrs.get("neurodata_type", "")) == "RoiResponseSeries"
    ]
    has_units = isinstance(follow(file, "units/spike_times", path), h5py.Dataset)
    known = [*(["units"] if has_units else []), *(name_of_series(group) for group in series)]
    if not known:
        raise DataError(f"{path.name} must hold responses: a RoiResponseSeries, or units with spike_times; it has neither.")
    if wanted is not None:
        fitting = [name for name in known if wanted.strip("/") in (name, *_last_parts(name))]
    else:
        deconvolved = [name for name in known if any(word in name.lower() for word in _DECONVOLVED)]
        relative = [name for name in known if "dfoverf" in name.lower() or "dff" in name.lower()]
        fitting = known if len(known) == 1 else deconvolved or relative
        if len(known) > 1 and len(fitting) == 1:
            notes.append(
                f"Responses were taken from {fitting[0]}; the file also holds {', '.join(k for k in known if k != fitting[0])}."
            )
    if len(fitting) != 1:
        what = f"responses = {wanted!r} is none of them" if wanted and not fitting else "which to read is not clear"
        raise DataError(
            f"{path.name} holds responses in {', '.join(known)}; {what}. Say it in a .toml: responses = {known[0]!r} under [options]."
        )
    return None if fitting[0] == "units" else next(group for group in series if name_of_series(group) == fitting[0])


def _last_parts(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[at:]) for at in range(1, len(parts))]


def _traces(
    series: h5py.Group, shown: Shown, window: Window | None, where: Mapping[str, str] | None, path: Path, notes: list[str]
) -> tuple[Windowed, dict[str, str], str]:
    data = follow(series, "data", path)
    if not isinstance(data, h5py.Dataset) or data.ndim not in (1, 2) or data.dtype.kind not in "fiu":
        raise DataError(f"{path.name}: {series.name}/data must be numbers of (time, neuron). Check how it was written.")
    check_hdf5_dataset(data, path)
    if max(data.shape) > MOST_TIMES:
        raise DataError(
            f"{path.name}: {series.name} must have at most {MOST_TIMES} time points; it claims {max(data.shape)}. Cut it."
        )
    rois = read_array(series, "rois", path)
    is_turned = data.ndim == 2 and rois is not None and data.shape[1] != len(rois) and data.shape[0] == len(rois)
    if is_turned:
        notes.append(f"{series.name} is stored as (neuron, time), as its number of regions says; it was turned.")
    n_times, n_neurons = data.shape[::-1] if is_turned else (data.shape if data.ndim == 2 else (len(data), 1))
    keep = np.ones(n_neurons, dtype=bool)
    if where:
        table = follow(series, "rois", path)
        segmentation = None if table is None else follow_reference(table, "table")
        keep = _where(_columns(segmentation, rois, where, path), where, n_neurons, path, notes)
    conversion, offset = float(data.attrs.get("conversion", 1.0)), float(data.attrs.get("offset", 0.0))

    def read_rows(begin: int, end: int) -> np.ndarray:
        rows = data[:, begin:end].T if is_turned else data[begin:end].reshape(end - begin, n_neurons)
        return rows * conversion + offset

    chosen = window or TRACE_WINDOW
    times = times_of(series, n_times, path)
    windowed = average_in_windows(read_rows, n_neurons, times, shown.onset_s, chosen)
    windowed = replace(windowed, responses=windowed.responses[:, keep])
    unit = word_of(data.attrs.get("unit", "")).strip()
    facts = _imaging(series, path) | ({"response_units": unit} if unit.lower() not in _NO_UNIT else {})
    return windowed, facts, f"means of {name_of_series(series)} {_in_words(chosen, window)}"


def _in_words(chosen: Window, stated: Window | None) -> str:
    default = "" if stated else "; no window was stated, so this one was taken"
    return f"from {chosen[0]:g} to {chosen[1]:g} s after the onset{default}"


def _rates(
    file: h5py.File, shown: Shown, window: Window | None, where: Mapping[str, str] | None, path: Path, notes: list[str]
) -> tuple[Windowed, dict[str, str], str]:
    times, ends = read_array(file, "units/spike_times", path), read_array(file, "units/spike_times_index", path)
    if (
        times is None
        or ends is None
        or times.ndim != 1
        or ends.ndim != 1
        or ends.dtype.kind not in "iu"
        or times.dtype.kind != "f"
    ):
        raise DataError(f"{path.name}: units must have spike_times and spike_times_index. Check how they were written.")
    ends = ends.astype(np.int64)
    if len(ends) == 0 or (np.diff(ends) < 0).any() or ends[0] < 0 or ends[-1] > len(times):
        raise DataError(f"{path.name}: spike_times_index must ascend up to {len(times)}; it does not. The file is damaged.")
    keep = np.ones(len(ends), dtype=bool)
    areas: np.ndarray | None = None
    table = follow(file, "units", path)
    if isinstance(table, h5py.Group):
        columns = _columns(table, None, {**(where or {}), "location": ""}, path)
        areas = columns.get("location")
        if where:
            keep = _where(columns, where, len(ends), path, notes)
    begins = np.concatenate([[0], ends[:-1]])
    chosen = window or SPIKE_WINDOW
    spikes = [times[begins[i] : ends[i]] for i in np.flatnonzero(keep)]
    recorded_s = (float(times.min()), float(times.max())) if len(times) else None  # by all neurons, kept or not
    windowed = count_in_windows(spikes, shown.onset_s, chosen, recorded_s)
    observed = _observed(file, len(ends), path)
    if observed is not None:
        windowed = leave_unobserved([observed[i] for i in np.flatnonzero(keep)], windowed, shown.onset_s, chosen)
    area = set() if areas is None else set(areas[keep].tolist())
    facts = {"area": area.pop().strip()} if len(area) == 1 and "".join(area).strip() else {}
    facts["response_units"] = "spikes/s"
    if area:
        notes.append(
            f"Neurons lie in {len(area)} areas ({', '.join(sorted(map(str, area)))[:100]}); choose with where = {{location = …}}."
        )
    return windowed, facts, f"spikes per second {_in_words(chosen, window)}"


def _observed(file: h5py.File, n_neurons: int, path: Path) -> list[np.ndarray] | None:
    """Return the intervals (begin, end), in seconds, in which each neuron was observed; None where the file does not say."""
    times, ends = read_array(file, "units/obs_intervals", path), read_array(file, "units/obs_intervals_index", path)
    if times is None:
        return None
    if ends is None and times.shape == (n_neurons, 2):  # one for each neuron
        ends = np.arange(1, n_neurons + 1)
    if (
        times.ndim != 2
        or times.shape[1] != 2
        or times.dtype.kind != "f"
        or ends is None
        or ends.shape != (n_neurons,)
        or ends.dtype.kind not in "iu"
    ):
        raise DataError(
            f"{path.name}: units must have obs_intervals of (interval, 2) and their index. Check how they were written."
        )
    begins = np.concatenate([[0], ends.astype(np.int64)])
    if (np.diff(begins) < 0).any() or begins[-1] > len(times):
        raise DataError(f"{path.name}: obs_intervals_index must ascend up to {len(times)}; it does not. The file is damaged.")
    return [times[first:last] for first, last in pairwise(begins)]


@dataclass(frozen=True, eq=False)
class _Electrodes:
    table: h5py.Group
    row_of_neuron: np.ndarray


def _columns(table: Any, rows: np.ndarray | None, wanted: Mapping[str, str], path: Path) -> dict[str, np.ndarray]:
    """Return columns of a table of neurons, or of the electrodes that its rows name, one entry for each neuron."""
    if not isinstance(table, h5py.Group):
        raise DataError(f"{path.name} has no table of the neurons, so none can be chosen. Leave out where.")
    found = {}
    electrodes = _electrodes(table, path)
    for name in wanted:
        column = read_array(table, name, path)
        if column is not None and column.ndim == 1:
            found[name] = column if rows is None else column[rows]
        elif electrodes is not None and (column := read_array(electrodes.table, name, path)) is not None and column.ndim == 1:
            found[name] = column[electrodes.row_of_neuron]
    return found


def _electrodes(units: h5py.Group, path: Path) -> _Electrodes | None:
    """Return the table of electrodes and the first one of each neuron: by reference, or by ``peak_channel_id`` (Allen Institute)."""
    table = follow(units, "/general/extracellular_ephys/electrodes", path)
    if not isinstance(table, h5py.Group):
        return None
    ids = read_array(table, "id", path)
    rows, ends, peaks = (read_array(units, name, path) for name in ("electrodes", "electrodes_index", "peak_channel_id"))
    if ids is not None and peaks is not None:
        order = np.argsort(ids)
        at = order[np.minimum(np.searchsorted(ids, peaks, sorter=order), len(ids) - 1)]
        return _Electrodes(table, at) if (ids[at] == peaks).all() else None
    if ids is None or rows is None or ends is None or not len(ends):
        return None
    first = np.concatenate([[0], ends[:-1].astype(np.int64)])
    is_there = first < len(rows)
    chosen = rows[np.where(is_there, first, 0)].astype(np.int64) if len(rows) else np.array([-1])
    return _Electrodes(table, chosen) if is_there.all() and chosen.min() >= 0 and chosen.max() < len(ids) else None


def _where(columns: Mapping[str, np.ndarray], where: Mapping[str, str], n: int, path: Path, notes: list[str]) -> np.ndarray:
    keep = np.ones(n, dtype=bool)
    for name, word in where.items():
        if name not in columns or len(columns[name]) != n:
            raise DataError(f"{path.name}: neurons have no column {name!r} to choose by. Correct where under [options].")
        said = columns[name].astype(np.str_)
        keep &= said == word
        if not keep.any():
            words = ", ".join(sorted(set(said.tolist()))[:12])
            raise DataError(
                f"{path.name}: no neuron is left where {name} is {word!r}; it says {words}. Correct where under [options]."
            )
    chosen = " and ".join(f"{name} is {word}" for name, word in where.items())
    notes.append(f"{int(keep.sum())} of {n} neurons were kept, those whose {chosen}.")
    return keep


def _subject(file: h5py.File, path: Path) -> dict[str, str]:
    facts = {}
    for fact, name in (("animal", "subject_id"), ("species", "species")):
        word = word_of(read_array(file, f"general/subject/{name}", path)).strip()
        if word:
            facts[fact] = _SPECIES.get(word.lower(), word)
    return facts


def _imaging(series: h5py.Group, path: Path) -> dict[str, str]:
    """Return area and indicator, where the regions of interest lie in one imaging plane that says so."""
    rois = follow(series, "rois", path)
    regions = None if rois is None else follow_reference(rois, "table")
    plane = follow(regions, "imaging_plane", path) if isinstance(regions, h5py.Group) else None
    facts = {}
    for fact, name in (("area", "location"), ("indicator", "indicator")):
        word = word_of(read_array(plane, name, path)).strip() if isinstance(plane, h5py.Group) else ""
        if word and word.lower() not in ("unknown", "n.a.", "none"):
            facts[fact] = word
    return facts
