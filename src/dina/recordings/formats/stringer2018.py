"""The recordings of Stringer et al. 2018: ten thousand neurons of mouse V1 and 2,800 natural images, read and fetched."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Shaped

from dina.artifacts import sha256_of
from dina.checks import DataError, check_choice
from dina.recordings.download import RemoteFile, check_url, data_folder, fetch_file, list_figshare
from dina.recordings.mat_file import field, read_mat
from dina.recordings.own_files import describe_own_file
from dina.recordings.recording import Recording
from dina.recordings.stored_numbers import to_float32, to_index
from dina.shapes import Images

# Condition of each stimulus set; longer names first, so that the first match is the right one.
CONDITIONS: dict[str, str] = {
    "natimg2800_white": "white",
    "natimg2800_8D": "8D",
    "natimg2800_4D": "4D",
    "natimg2800_small": "small",
    "natimg2800": "natural",
    "natimg32": "natural",
    "ori32": "gratings",
}

Screens = Literal["all", "left", "centre", "right", "left_centre"]
# Columns of each choice of screens; receptive fields lie on the left and centre one (Stringer et al. 2019).
SCREEN_COLUMNS: dict[Screens, slice] = {
    "all": slice(0, 270),
    "left": slice(0, 90),
    "centre": slice(90, 180),
    "right": slice(180, 270),
    "left_centre": slice(0, 180),
}

# Name of the image file of each stimulus set: shared by all mice, or belonging to one recording.
IMAGE_FILES: dict[str, str] = {
    "natimg2800": "images_natimg2800_all.mat",
    "natimg2800_white": "images_natimg2800_white_all.mat",
    "natimg2800_8D": "images_{recording}.mat",
    "natimg2800_4D": "images_{recording}.mat",
    "natimg2800_small": "images_{recording}.mat",
    "ori32": "images_ori_all.mat",
    "natimg32": "images_natimg32_all.mat",
}

SOURCE = "stringer2018"
LABEL_FILE = "stimuli_class_assignment_confident.mat"
# The deposit, doi:10.25378/janelia.6845348 (CC BY-NC 4.0 according to third parties: see there).
ARTICLE_URL = "https://api.figshare.com/v2/articles/6845348"

LABELS_COMMIT = "2fb388085acd5fee305e9cf82569b5c50b215689"
# The manual image classes, in the authors' repository at a commit that cannot change.
LABELS_URL = f"https://raw.githubusercontent.com/MouseLand/stringer-pachitariu-et-al-2018b/{LABELS_COMMIT}/classes/{LABEL_FILE}"


def recognises(path: Path) -> bool:
    """Tell whether the path is a ``.mat`` file."""
    return path.is_file() and path.suffix == ".mat"


def read(path: Path, images: Path | None = None, labels: Path | None = None, screens: Screens = "all") -> Recording:
    """Read ``<stimulus set>_<mouse>_<date>.mat`` and its images.

    Two-photon calcium imaging, deconvolved and averaged over two time bins, of about 10,000 neurons in primary visual cortex of
    awake mice; each image was shown at least twice. Stimulus ids are 1-based in the file and 0-based here. The largest id is the
    grey screen: its rows are dropped. NaN responses are set to 0, as in the original analysis. Red (GAD+) cells stay in and are
    marked.

    Parameters
    ----------
    path
        The file; its name says which stimulus set was shown, and to which mouse (``MP032``).
    images
        The image file, or the folder it lies in; by default looked for beside ``path``, then in the cache.
    labels
        The file of manual image classes, or its folder; looked for in the same places, and left out if absent.
    screens
        Screens to keep: "all" (68 by 270 degrees), "left_centre" (the authors' choice for receptive fields), "left", "centre" or
        "right".

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
        raise DataError(f"{path.name}: stim.resp has {len(responses)} rows and stim.istim {len(istim)} entries. Both must agree.")
    image_name = IMAGE_FILES[stimulus_set].format(recording=path.stem)
    image_file = _find_file(image_name, path.parent, images, "images")
    if image_file is None:
        raise DataError(
            f"The images of {path.stem} were not found: {image_name} is neither beside it nor in the cache."
            " Put it there, give it with images=… (--images), or run 'dina fetch stringer2018'."
        )
    pixels = _read_images(image_file, screens)
    notes: list[str] = []
    responses, stimulus_id = _image_trials(responses, istim, len(pixels), path, notes)
    mouse = re.search(r"_(MP\d+)(?=_|$)", path.stem)
    is_2800 = stimulus_set.startswith("natimg2800")
    label_file = _find_file(LABEL_FILE, path.parent, labels, "labels") if is_2800 or labels is not None else None
    return Recording(
        name=path.stem,
        images=pixels,
        stimulus_id=stimulus_id,
        responses=responses,
        condition=CONDITIONS[stimulus_set],
        image_set="natimg2800" if is_2800 else stimulus_set,
        animal=mouse[1] if mouse else None,
        species="mouse",
        area="V1",
        deg_per_pixel=1.0,
        neuron_position_um=_positions(content, responses.shape[1], path),
        is_red=_red_cells(content, responses.shape[1], path, notes),
        spontaneous=_spontaneous(content, responses.shape[1], path, notes),
        labels=None if label_file is None else _read_labels(label_file, len(pixels)),
        notes=tuple(notes),
    )


def list_recordings(base_url: str = ARTICLE_URL) -> tuple[str, ...]:
    """Return the names of all recordings in the deposit or in a mirror of it, sorted."""
    return _recordings(list_figshare(base_url))


def fetch(
    names: Sequence[str], cache: Path | None = None, base_url: str = ARTICLE_URL, labels_url: str = LABELS_URL
) -> tuple[Path, ...]:
    """Fetch recordings, the images each was shown, and the manual image classes; return the ``.mat`` file of each recording.

    Every file is checked against the MD5 that the deposit states, and its SHA-256 is written beside it, which `read` verifies.
    Files go into ``cache``, by default the folder in which `read` looks; those that are there are checked and not fetched again.
    An interrupted download goes on where it stopped. The addresses differ only for a mirror.

    Raises
    ------
    DataError
        If a name is unknown, the deposit lacks a file, or a download fails or is not what the deposit states.
    """
    files = list_figshare(base_url)
    known = _recordings(files)
    wanted: dict[str, RemoteFile] = {}
    recordings = [check_choice("recording", name.removesuffix(".mat"), known) for name in names]
    for recording in recordings:
        for file in (f"{recording}.mat", IMAGE_FILES[stimulus_set_of(recording)].format(recording=recording)):
            if file not in files:
                raise DataError(f"{recording} needs {file}, which the deposit does not hold. Get it from the authors.")
            wanted[file] = files[file]
    if any(recording.startswith("natimg2800") for recording in recordings):
        wanted[LABEL_FILE] = RemoteFile(LABEL_FILE, check_url(labels_url))
    folder = cache or data_folder(SOURCE)
    for remote in wanted.values():
        fetch_file(remote, folder)
    return tuple(folder / f"{recording}.mat" for recording in recordings)


def locate(name: str) -> Path:
    """Return where the recording of that name lies once it has been fetched."""
    return data_folder(SOURCE) / f"{name.removesuffix('.mat')}.mat"


def stimulus_set_of(name: str) -> str:
    """Return the stimulus set at the beginning of a recording's name, for example "natimg2800_8D".

    Raises
    ------
    DataError
        If the name begins with none.
    """
    for stimulus_set in CONDITIONS:
        if name == stimulus_set or name.startswith(stimulus_set + "_"):
            return stimulus_set
    raise DataError(
        f"{name}.mat is read as a file of the Stringer 2018 deposit, and must be named <stimulus set>_<mouse>_<date>.mat, with one of"
        f" {', '.join(CONDITIONS)}. If it is a .mat of your own, write a recording.toml beside it and give that: {describe_own_file(f'{name}.mat')}."
    )


def _check_sidecar(path: Path) -> None:
    sidecar = path.with_name(path.name + ".sha256")
    if sidecar.is_file():
        expected, actual = (sidecar.read_text(encoding="utf-8-sig").split() or [""])[0], sha256_of(path)
        if expected != actual:
            raise DataError(
                f"{path.name}: SHA-256 expected {expected[:12]}…, got {actual[:12]}…. It changed since it was fetched:"
                " remove it and run 'dina fetch stringer2018' again."
            )


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
    responses, n_nan = _zero_for_nan(responses)
    if n_nan:
        notes.append(f"{n_nan} NaN responses were set to 0, as in the original analysis.")
    return responses, istim - 1


def _zero_for_nan(values: np.ndarray) -> tuple[np.ndarray, int]:
    gap = np.isnan(values)
    return (np.where(gap, np.float32(0), values) if gap.any() else values), int(gap.sum())


def _matrix(values: Any, where: str, path: Path) -> np.ndarray:
    if not isinstance(values, np.ndarray) or values.ndim != 2:
        found = getattr(values, "shape", type(values).__name__)
        raise DataError(f"{path.name}: {where} must be a matrix; got {found}. Check the file.")
    return values


def _positions(content: dict[str, Any], n_neurons: int, path: Path) -> np.ndarray | None:
    if "med" not in content:
        return None
    positions = _matrix(content["med"], "med", path)
    if positions.shape not in ((n_neurons, 2), (n_neurons, 3)):
        wanted = f"({n_neurons}, 3), one position per neuron"
        raise DataError(f"{path.name}: med must be {wanted}; got {positions.shape}. Check the file.")
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
        wanted = f"(times, {n_neurons}), with the neurons of stim.resp"
        raise DataError(f"{path.name}: stim.spont must be {wanted}; got {spontaneous.shape}. Check the file.")
    spontaneous, n_nan = _zero_for_nan(spontaneous)
    if n_nan:
        notes.append(f"{n_nan} NaN in spontaneous activity were set to 0.")
    return spontaneous


def _find_file(name: str, beside: Path, chosen: Path | None, what: str) -> Path | None:
    """Find a companion file: the one the user names, which must be there, else beside the recording, else in the cache."""
    if chosen is not None and chosen.is_file():
        return chosen
    folders = [beside, data_folder(SOURCE)] if chosen is None else [chosen]
    found = next((folder / name for folder in folders if (folder / name).is_file()), None)
    if found is None and chosen is not None:
        raise DataError(f"{what} must be a file, or a folder that holds {name}; got {chosen}. Check the path.")
    return found


def _read_images(path: Path, screens: Screens) -> Images:
    """Read ``imgs`` (68 degrees by 270 degrees by number of images), shape ``(n, 1, 68, width)``.

    Whole numbers from 0 to 255 come as uint8; anything else in that range of values as float32.
    """
    check_choice("screens", screens, get_args(Screens))
    stored = field(read_mat(path, ["imgs"]), "imgs", path)
    if not isinstance(stored, np.ndarray) or stored.ndim != 3 or stored.shape[1] != 270 or stored.shape[0] == 270:
        shape = getattr(stored, "shape", type(stored).__name__)
        wanted = "(68, 270, number of images), image number last"
        raise DataError(f"{path.name}: imgs must be {wanted}; got {shape}. Move the axes before saving.")
    pixels = np.moveaxis(stored[:, SCREEN_COLUMNS[screens], :], -1, 0)[:, None]
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    pixels = np.ascontiguousarray(to_float32("imgs", pixels, ("image", "channel", "row", "column")))
    low, high = float(pixels.min()), float(pixels.max())
    if low >= -1 and high <= 1:
        wanted = f"0 to 255 with grey at 128; got {low:g} to {high:g}"
        raise DataError(f"{path.name}: imgs must be {wanted}. Bring them to that range before saving.")
    is_8_bit = low >= 0 and high <= 255 and bool((pixels == np.round(pixels)).all())
    return pixels.astype(np.uint8) if is_8_bit else pixels


def _read_labels(path: Path, n_stimuli: int) -> Shaped[np.ndarray, "stimulus"]:
    """Read the manual class of each image as a word, "" where unknown."""
    content = read_mat(path, ["class_assignment", "class_names"])
    numbers = np.ravel(field(content, "class_assignment", path)).astype(np.int64)
    names = field(content, "class_names", path)
    names = [names] if isinstance(names, str) else [str(name) for name in names]
    if len(numbers) != n_stimuli:
        wanted = f"a class for each of {n_stimuli} images; it holds {len(numbers)}"
        raise DataError(f"{path.name} must name {wanted}. Leave labels out or give the right file.")
    if numbers.min() < 0 or numbers.max() >= len(names):
        wanted = f"0 to {len(names) - 1}, one per name; got {numbers.min()} to {numbers.max()}"
        raise DataError(f"{path.name}: classes must be {wanted}. Fetch it again.")
    return np.array(["" if number == 0 else names[number] for number in numbers])


def _recordings(files: dict[str, RemoteFile]) -> tuple[str, ...]:
    stems = (name.removesuffix(".mat") for name in files if name.endswith(".mat"))
    return tuple(sorted(stem for stem in stems if any(stem.startswith(f"{known}_") for known in CONDITIONS)))
