"""Read one array of a laboratory's own file, .npy, .npz, .mat or .h5, by the name of the variable that holds it."""

import zipfile
from pathlib import Path

import h5py
import numpy as np
import scipy.io
from jaxtyping import Shaped

from dina.checks import DataError
from dina.recordings.hdf5_damage import check_hdf5_damage
from dina.recordings.hdf5_objects import follow, groups_below, read_array
from dina.recordings.mat_file import SEVERAL, field, read_mat
from dina.recordings.stored_numbers import MAX_BYTES, read_npy

PACKED = (".npz", ".h5", ".hdf5")  # several arrays by their names; .mat files are those of a deposit, unless described
ENDINGS = (".npy", ".mat", *PACKED)
_MOST_PACKED, _FREE_BYTES = 1100, 2**20  # deflate never gains more than 1,032 to 1
_MOST_NAMED = 20


def read_variable(path: Path, variable: str | None = None) -> Shaped[np.ndarray, "..."]:
    """Return an array of numbers as stored; a .npy file is mapped from disk, of others one variable is read.

    Parameters
    ----------
    path
        The file; its ending says what it is.
    variable
        Name in the file: ``stimuli``, a field of MATLAB structs ``session.stimuli``, or a place in HDF5 ``session/stimuli``. None
        for .npy, which has no names.

    Raises
    ------
    DataError
        If there is no such file or variable, it is no array of numbers, holds Python objects, or claims more than the file holds.
    """
    if path.suffix not in (".mat", *PACKED):
        if variable is not None and path.suffix == ".npy":
            raise DataError(f"{path.name} holds one array without a name; got variable = {variable!r}. Leave variable out.")
        return read_npy(path)
    if not path.is_file():
        raise DataError(f"{path} not found. Check the name of the file in recording.toml.")
    try:
        stored = _named(path, variable)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # zipfile, numpy, scipy and h5py answer damage with errors of many kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise DataError(f"{path.name} cannot be read: {reason}. It is damaged or unfinished; copy it again.") from error
    if isinstance(stored, list):
        raise DataError(
            f"{path.name}: {variable} must be an array of numbers; got {SEVERAL}. Make one array of it in MATLAB: of images"
            " cat(3, x{:}), of the names of images the position of each, as ismember returns it."
        )
    if isinstance(stored, dict):
        there = ", ".join(f"{variable}.{name}" for name in list(stored)[:_MOST_NAMED]) or "nothing"
        raise DataError(
            f"{path.name}: {variable} must be an array of numbers; got a struct, which holds {there}. Name one of these."
        )
    if not isinstance(stored, np.ndarray) or stored.dtype.kind not in "biuf" or not stored.size:
        what = f"{stored.dtype} of shape {stored.shape}" if isinstance(stored, np.ndarray) else type(stored).__name__
        raise DataError(f"{path.name}: {variable} must be an array of numbers; got {what}. Save it as one.")
    return stored


def describe_own_file(name: str) -> str:
    """Return what a recording.toml says of a file of one's own, as refusals advise it.

    Parameters
    ----------
    name
        Of the file.
    """
    return (
        f"file = {name!r}, variable = … under [images], [responses] and [stimulus_id], axes = … where images or trials do not come first,"
        " and index_base = 1 where ids count from 1 (docs/bring-your-own-recording.md shows one)"
    )


def _named(path: Path, variable: str | None) -> object:
    if path.suffix == ".npz":
        return _from_npz(path, variable)
    if path.suffix == ".mat":
        content = read_mat(path, [] if variable is None else [variable])
        if not content:
            raise _unknown(path, variable, _names_in_mat(path))
        return field(content, variable or "", path, "Correct variable in the .toml that names it.")
    check_hdf5_damage(path)
    with h5py.File(path, "r") as file:
        if variable is None or not isinstance(follow(file, variable, path), h5py.Dataset):
            groups = groups_below(file["/"], path)
            names = [
                f"{g.name.rstrip('/')}/{n}".lstrip("/")
                for g in groups
                for n in g
                if isinstance(g.get(n, getlink=True), h5py.HardLink) and g.get(n, getclass=True) is h5py.Dataset
            ]
            raise _unknown(path, variable, names)
        return read_array(file, variable, path)


def _names_in_mat(path: Path) -> list[str]:
    try:
        return [name for name, _, _ in scipy.io.whosmat(path)]
    except NotImplementedError:  # version 7.3
        with h5py.File(path, "r") as file:
            return [name for name in file if not name.startswith("#")]


def _unknown(path: Path, variable: str | None, names: list[str]) -> DataError:
    there = ", ".join(names[:_MOST_NAMED]) + (", …" if len(names) > _MOST_NAMED else "") or "nothing"
    wanted = "the name of one with variable" if variable is None else f"variable {variable!r}"
    fields = " Fields of a struct follow a dot, as session.images." if path.suffix == ".mat" else ""
    return DataError(
        f"{path.name} needs {wanted}; it holds {there}.{fields} Say in a recording.toml which is which: {describe_own_file(path.name)}."
    )


def _from_npz(path: Path, variable: str | None) -> np.ndarray:
    """Read one member of the archive, whose claims are compared with its size before anything is allocated."""
    with zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
        if variable is None or variable not in names:
            raise _unknown(path, variable, names)
        member = archive.getinfo(f"{variable}.npy")
        packed = min(member.compress_size, path.stat().st_size)  # the size in the archive's list is only a claim
        if member.file_size > MAX_BYTES or member.file_size > _FREE_BYTES + _MOST_PACKED * packed:
            raise DataError(f"{path.name}: {variable} claims {member.file_size / 2**30:.1f} GiB, more than the file can hold.")
        with archive.open(member) as stream:
            version = np.lib.format.read_magic(stream)
            reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = reader(stream, max_header_size=10_000)
            if dtype.hasobject:
                raise DataError(f"{path.name}: {variable} contains Python objects, which are never loaded. Save numbers.")
            n_values = int(np.prod(shape, dtype=object)) if shape else 1
            if min(shape, default=0) < 0 or n_values * dtype.itemsize > member.file_size:
                raise DataError(f"{path.name}: {variable} claims shape {shape}, more than the file holds. Copy it again.")
        with archive.open(member) as stream:
            return np.asarray(np.lib.format.read_array(stream, allow_pickle=False, max_header_size=10_000))
