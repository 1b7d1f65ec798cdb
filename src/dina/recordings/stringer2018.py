"""Read the recordings of Stringer et al. 2018: ten thousand neurons of mouse V1 and 2,800 natural images."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from dina.artifacts import sha256_of
from dina.checks import DataError
from dina.recordings.conversion import to_float32, to_index
from dina.recordings.mat_file import field, read_mat
from dina.recordings.recording import Recording
from dina.recordings.stringer2018_stimuli import IMAGE_FILES, LABEL_FILE, Screens, find_file, read_images, read_labels

CONDITIONS: dict[str, str] = {
    "natimg2800_white": "white",
    "natimg2800_8D": "8D",
    "natimg2800_4D": "4D",
    "natimg2800_small": "small",
    "natimg2800": "natural",
    "natimg32": "natural",
    "ori32": "gratings",
}
"""Condition of each stimulus set; longer names first, so that the first match is the right one."""


def read_stringer2018(path: Path, images: Path | None = None, labels: Path | None = None, screens: Screens = "all") -> Recording:
    """Read ``<stimulus set>_<mouse>_<date>.mat`` and its images.

    Two-photon calcium imaging, deconvolved and averaged over two time bins, of about 10,000 neurons in primary
    visual cortex of awake mice; each image was shown at least twice. Stimulus ids are 1-based in the file and
    0-based here. The largest id is the grey screen: its rows are dropped. NaN responses are set to 0, as the
    original analysis does. Red (GAD+) cells stay in and are marked.

    Parameters
    ----------
    path
        The file; its name says which stimulus set was shown, and which mouse saw it (``MP032``).
    images
        The image file, or the folder it lies in; by default looked for beside ``path``, then in the cache.
    labels
        The file of manual image classes, or its folder; looked for in the same places, and left out if absent.
    screens
        Screens to keep: "all" (68 by 270 degrees), "left_centre" (the authors' choice for receptive fields),
        "left", "centre" or "right".

    Raises
    ------
    DataError
        If the file lacks a field, its arrays disagree, or the images are not found.

    References
    ----------
    Stringer et al. (2019), Nature 571:361. https://doi.org/10.1038/s41586-019-1346-5
    Data: https://doi.org/10.25378/janelia.6845348
    """
    _check_sidecar(path)
    stimulus_set = stimulus_set_of(path.stem)
    content = read_mat(path, ["stim", "med", "stat.redcell"])
    responses = to_float32("stim.resp", _matrix(field(content, "stim.resp", path), "stim.resp", path), ("trial", "neuron"))
    istim = to_index("stim.istim", np.ravel(field(content, "stim.istim", path)))
    if len(istim) != len(responses):
        raise DataError(
            f"{path.name}: stim.resp has {len(responses)} rows and stim.istim {len(istim)} entries; they must be equal."
        )
    pixels = read_images(_image_file(path, stimulus_set, images), screens)
    notes: list[str] = []
    responses, stimulus_id = _image_trials(responses, istim, len(pixels), path, notes)
    is_2800 = stimulus_set.startswith("natimg2800")
    label_file = find_file([LABEL_FILE], path.parent, labels, "labels") if is_2800 or labels is not None else None
    return Recording(
        name=path.stem,
        images=pixels,
        stimulus_id=stimulus_id,
        responses=responses,
        condition=CONDITIONS[stimulus_set],
        image_set="natimg2800" if is_2800 else stimulus_set,
        animal=_mouse(path.stem),
        deg_per_pixel=1.0,
        neuron_position_um=_positions(content, responses.shape[1], path),
        is_red=_red_cells(content, responses.shape[1], path, notes),
        spontaneous=_spontaneous(content, responses.shape[1], path, notes),
        labels=None if label_file is None else read_labels(label_file, len(pixels)),
        notes=tuple(notes),
    )


def stimulus_set_of(name: str) -> str:
    """Return the stimulus set at the beginning of a recording's name, for example ``natimg2800_8D``.

    Raises
    ------
    DataError
        If the name begins with none.

    Examples
    --------
    >>> stimulus_set_of("natimg2800_8D_M161025_MP030_2017-06-07")
    'natimg2800_8D'
    """
    for stimulus_set in CONDITIONS:
        if name == stimulus_set or name.startswith(stimulus_set + "_"):
            return stimulus_set
    raise DataError(
        f"A Stringer 2018 file must be named <stimulus set>_<mouse>_<date>.mat, with one of {', '.join(CONDITIONS)}; got {name!r}."
        " Keep the name it has in the deposit."
    )


def _mouse(name: str) -> str | None:
    """Return the mouse in a recording's name, None where it has none: the date before it is not needed to tell mice apart."""
    found = re.search(r"_(MP\d+)(?=_|$)", name)
    return found[1] if found else None


def _check_sidecar(path: Path) -> None:
    sidecar = path.with_name(path.name + ".sha256")
    if sidecar.is_file():
        expected, actual = sidecar.read_text(encoding="utf-8").split()[0], sha256_of(path)
        if expected != actual:
            raise DataError(
                f"{path.name}: SHA-256 expected {expected[:12]}…, got {actual[:12]}…. It changed since it was fetched:"
                " remove it and run 'dina fetch stringer2018' again."
            )


def _image_file(path: Path, stimulus_set: str, chosen: Path | None) -> Path:
    name = IMAGE_FILES[stimulus_set].format(recording=path.stem)
    found = find_file([name], path.parent, chosen, "images")
    if found is None:
        raise DataError(
            f"The images of {path.stem} were not found: {name} is neither beside it nor in the cache."
            " Put it there, give it with images=… (--images), or run 'dina fetch stringer2018'."
        )
    return found


def _image_trials(
    responses: np.ndarray, istim: np.ndarray, n_images: int, path: Path, notes: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    if istim.min() < 1:
        raise DataError(f"{path.name}: stim.istim is 1-based; got {istim.min()}. Check that the file is the deposit's own.")
    grey = istim == n_images + 1
    beyond = istim > n_images + 1
    if beyond.any():
        raise DataError(
            f"{path.name}: stim.istim must be 1 to {n_images} for {n_images} images, or {n_images + 1} for the grey screen;"
            f" got {istim[beyond][0]} at presentation {int(np.argmax(beyond))}. These images belong to another recording."
        )
    if grey.all():
        raise DataError(f"{path.name}: no trials left; all {len(grey)} presentations are the grey screen. Check stim.istim.")
    if grey.any():
        notes.append(f"{int(grey.sum())} of {len(grey)} presentations were the grey screen (id {n_images + 1}) and were dropped.")
        responses, istim = responses[~grey], istim[~grey]
    n_nan = int(np.isnan(responses).sum())
    if n_nan:
        responses = np.where(np.isnan(responses), np.float32(0), responses)
        notes.append(f"{n_nan} NaN responses were set to 0, as in the original analysis.")
    return responses, istim - 1


def _matrix(values: Any, where: str, path: Path) -> np.ndarray:
    if not isinstance(values, np.ndarray) or values.ndim != 2:
        raise DataError(
            f"{path.name}: {where} must be a matrix; got {getattr(values, 'shape', type(values).__name__)}. Check the file."
        )
    return values


def _positions(content: dict[str, Any], n_neurons: int, path: Path) -> np.ndarray | None:
    if "med" not in content:
        return None
    positions = _matrix(content["med"], "med", path)
    if positions.shape[0] != n_neurons or positions.shape[1] not in (2, 3):
        raise DataError(
            f"{path.name}: med must be ({n_neurons}, 3), one position per neuron; got {positions.shape}. Check the file."
        )
    out = np.full((n_neurons, 3), np.nan, dtype=np.float32)
    out[:, : positions.shape[1]] = positions
    return out


def _red_cells(content: dict[str, Any], n_neurons: int, path: Path, notes: list[str]) -> np.ndarray | None:
    cells = content.get("stat", [])
    cells = [cells] if isinstance(cells, dict) else cells
    if not cells or "redcell" not in cells[0]:
        return None
    if len(cells) != n_neurons:
        raise DataError(f"{path.name}: stat must describe {n_neurons} neurons; got {len(cells)}. Check the file.")
    red = np.array([bool(np.any(cell["redcell"])) for cell in cells])
    notes.append(f"{int(red.sum())} of {n_neurons} neurons are marked red (GAD+); they were kept.")
    return red


def _spontaneous(content: dict[str, Any], n_neurons: int, path: Path, notes: list[str]) -> np.ndarray | None:
    values = field(content, "stim", path)
    values = values[0] if isinstance(values, list) else values
    stored = values.get("spont")
    if stored is None or not np.size(stored):
        return None
    spontaneous = to_float32("stim.spont", _matrix(stored, "stim.spont", path), ("time", "neuron"))
    if spontaneous.shape[1] != n_neurons:
        raise DataError(
            f"{path.name}: stim.spont must be (times, {n_neurons}) as stim.resp is; got {spontaneous.shape}. Check the file."
        )
    n_nan = int(np.isnan(spontaneous).sum())
    if n_nan:
        notes.append(f"{n_nan} NaN in spontaneous activity were set to 0.")
        spontaneous = np.where(np.isnan(spontaneous), np.float32(0), spontaneous)
    return spontaneous
