"""Read MATLAB files, version 5 and 7.3 alike, as nested dictionaries, lists, arrays and words."""

from collections.abc import Collection, Sequence
from math import prod
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np
import scipy.io
from scipy.io.matlab import MatlabFunction, MatlabOpaque, mat_struct
from scipy.sparse import csc_array, issparse

from dina.checks import DataError
from dina.recordings.hdf5_contents import check_hdf5_dataset, check_hdf5_entry
from dina.recordings.hdf5_damage import check_hdf5_damage
from dina.recordings.matlab_5 import check_matlab_5
from dina.recordings.stored_numbers import MAX_BYTES

SEVERAL = "a cell array or several structs"  # what MATLAB calls these lists
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_FREE_BYTES, _MOST_SPREAD = 2**28, 10_000  # a sparse matrix becomes so much larger than its numbers at most
_MOST_ENTRIES = 2**22  # of all structs and cells together
_SMALL = 4096  # bytes: MATLAB stores the empty array once, whatever names it


class _Struct(dict[str, Any]):
    """The fields of a struct that were read, and the names of all that it has."""

    def __init__(self, fields: dict[str, Any], names: Collection[str]) -> None:
        super().__init__(fields)
        self.names = tuple(names)


class _Source:
    """A file of version 7.3, and what was read of it: cells can name one array many times, and cells of such cells."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n_entries, self.n_bytes = 0, 0
        self.places: dict[object, str] = {}

    def count(self, entry: h5py.Dataset, where: str) -> None:
        """Count an array before it is read; refuse a large one that was read before, and more than memory should hold."""
        self.n_entries += 1
        self.n_bytes += entry.nbytes
        first = self.places.setdefault(h5py.h5o.get_info(entry.id).addr, where)
        if first != where and entry.nbytes > _SMALL:
            raise DataError(f"{self.path.name}: {where} is {first} under another name. Store every array once.")
        if self.n_entries > _MOST_ENTRIES or self.n_bytes > MAX_BYTES:
            raise DataError(f"{self.path.name}: up to {where} there is more than memory should hold. Save a part of it.")


def read_mat(path: Path, variables: Sequence[str]) -> dict[str, Any]:
    """Read the named variables of a MATLAB file (``-v6``, ``-v7``, ``-v7.3``, or saved by scipy); absent ones are left out.

    Numbers come as arrays with the axes that MATLAB shows, text as str, a struct as a dictionary, an array of structs as a list of
    dictionaries, a cell array as a list. ``stat.redcell`` reads one field of a struct alone, which matters where a struct has
    thousands of elements.

    Raises
    ------
    DataError
        If the file is of version 4 or no MATLAB file, is damaged, claims more than it can hold, or a variable holds a function or
        an object.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(520)
            if head[512:520] == _HDF5_SIGNATURE or head[:8] == _HDF5_SIGNATURE:
                return _read_version_7_3(path, variables)
            if not head.startswith(b"MATLAB 5.0"):
                _refuse_unknown(path, head)
            wanted = _fields_by_variable(variables)
            check_matlab_5(path, stream, wanted)
        content = scipy.io.loadmat(path, variable_names=list(wanted), struct_as_record=False, chars_as_strings=True)
        return {name: _from_version_5(content[name], name, path, fields) for name, fields in wanted.items() if name in content}
    except (DataError, FileNotFoundError, MemoryError):
        raise
    except Exception as error:  # a damaged file makes scipy, zlib and h5py raise nearly anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise DataError(f"{path.name} cannot be read: {reason}. It is damaged or was cut off; copy or fetch it again.") from error


def field(content: Any, where: str, path: Path, advice: str = "Check the file.") -> Any:
    """Return the entry of nested structs that ``where`` names, for example ``stim.istim``; an array of one struct counts as that struct.

    Raises
    ------
    DataError
        If it is not there; the message says which part is missing and what is there, and ends with ``advice``.
    """
    value, reached = content, path.name
    for part in where.split("."):
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if not isinstance(value, dict):
            found = SEVERAL if isinstance(value, list) else type(value).__name__
            advice = (
                f"Write one array of them, such as x = cat(1, {reached}.{part})"
                if isinstance(value, list)
                else "Save it as a struct"
            )
            raise DataError(f"{path.name}: {where} not found; {reached} is no struct but {found}. {advice}.")
        if part not in value:
            present = ", ".join(sorted(value.names if isinstance(value, _Struct) else value)) or "nothing"
            raise DataError(f"{path.name}: {where} not found; {reached} has: {present}. {advice}")
        value, reached = value[part], part if reached == path.name else f"{reached}.{part}"
    return value


def _fields_by_variable(variables: Sequence[str]) -> dict[str, set[str] | None]:
    """Sort dotted names by variable; None means all fields."""
    wanted: dict[str, set[str] | None] = {}
    for name in variables:
        variable, *inside = name.split(".")
        fields = wanted.setdefault(variable, set())
        wanted[variable] = fields | {inside[0]} if fields is not None and inside else None
    return wanted


def _refuse_unknown(path: Path, head: bytes) -> None:
    if len(head) >= 20 and int.from_bytes(head[:4], "little") < 5000 and int.from_bytes(head[16:20], "little") < 256:
        raise DataError(f"{path.name} is a MATLAB file of version 4, which holds no structs. Save it with save(..., '-v7').")
    raise DataError(f"{path.name} is no MATLAB file: it begins with {head[:8]!r}. Check that the download or copy was complete.")


def _refuse_object(where: str, path: Path) -> NoReturn:
    raise DataError(f"{path.name}: {where} holds a MATLAB function or object. Save numbers, text, structs and cells only.")


def _from_version_5(value: Any, where: str, path: Path, fields: set[str] | None = None) -> Any:
    if isinstance(value, MatlabFunction | MatlabOpaque):
        _refuse_object(where, path)
    if isinstance(value, mat_struct):
        names = vars(value)["_fieldnames"]
        chosen = [name for name in names if fields is None or name in fields]
        return _Struct({name: _from_version_5(getattr(value, name), f"{where}.{name}", path) for name in chosen}, names)
    if issparse(value):
        return _fill(value, where, path)
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.kind == "U":
        words = value.ravel().tolist()
        return words[0] if len(words) == 1 else words or ""
    if value.dtype.kind != "O":
        return value
    items = [_from_version_5(item, f"{where}[{i}]", path, fields) for i, item in enumerate(value.ravel(order="F"))]
    is_struct = bool(value.size) and isinstance(value.flat[0], mat_struct)
    return items[0] if is_struct and len(items) == 1 else items


def _fill(stored: Any, where: str, path: Path) -> np.ndarray:
    """Return a sparse matrix as an array; a few bytes can claim a size without end, and places beyond it."""
    indices, begins = stored.indices.astype(np.int64), stored.indptr.astype(np.int64)  # narrow ones wrap around in the checks
    if (np.diff(begins) < 0).any():  # scipy does not look where the last column ends at 0, and writes beyond the array
        raise DataError(
            f"{path.name}: the columns of the sparse matrix {where} must follow one another; they do not. Save it anew."
        )
    matrix = csc_array((stored.data, indices, begins), shape=stored.shape)
    matrix.check_format()
    # of a matrix without columns scipy holds a number for each row all the same
    claimed, held = prod(max(1, n) for n in matrix.shape) * matrix.dtype.itemsize, matrix.nnz * matrix.dtype.itemsize
    size = " x ".join(map(str, matrix.shape))
    if claimed > MAX_BYTES:
        raise DataError(
            f"{path.name}: {where} is sparse and {size}, more than {MAX_BYTES // 2**30} GiB when full. Save a part of it."
        )
    if claimed > _FREE_BYTES + _MOST_SPREAD * held:
        raise DataError(f"{path.name}: {where} is sparse and {size}, but holds {matrix.nnz} numbers. Save a full matrix.")
    return np.asarray(matrix.toarray())


def _read_version_7_3(path: Path, variables: Sequence[str]) -> dict[str, Any]:
    content, source = {}, _Source(path)
    check_hdf5_damage(path)
    with h5py.File(path, "r") as file:
        for name, fields in _fields_by_variable(variables).items():
            if name in file:
                check_hdf5_entry(file, name, path)
                content[name] = _from_version_7_3(file[name], name, source, fields)
    return content


def _from_version_7_3(entry: h5py.Group | h5py.Dataset, where: str, source: _Source, fields: set[str] | None = None) -> Any:
    path = source.path
    if where.count(".") + where.count("[") > 20:
        raise DataError(f"{path.name}: {where} is nested more than 20 deep. The file is damaged.")
    kind = entry.attrs.get("MATLAB_class", b"")
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    if kind in ("function_handle", "opaque") or "MATLAB_object_decode" in entry.attrs:
        _refuse_object(where, path)
    if isinstance(entry, h5py.Group):
        return _struct_from_7_3(entry, where, source, fields)
    check_hdf5_dataset(entry, path)
    source.count(entry, where)
    if "MATLAB_empty" in entry.attrs:
        return "" if kind == "char" else [] if kind in ("cell", "struct") else np.zeros(tuple(int(n) for n in entry[()]))
    if h5py.check_ref_dtype(entry.dtype):
        cells = enumerate(np.ravel(entry[()]))
        return [_from_version_7_3(entry.file[cell], f"{where}[{i}]", source) for i, cell in cells]
    if h5py.check_string_dtype(entry.dtype):  # not by MATLAB, but by other programs
        words = np.ravel(entry.asstr()[()]).tolist()
        return words[0] if len(words) == 1 else words
    values = np.asarray(entry[()]).T  # MATLAB counts the first axis fastest
    if kind == "char":
        return "".join(map(chr, values.ravel()))
    return values.astype(bool) if kind == "logical" else values


def _struct_from_7_3(entry: h5py.Group, where: str, source: _Source, fields: set[str] | None) -> Any:
    if "MATLAB_sparse" in entry.attrs:
        return _sparse_from_7_3(entry, where, source.path)
    names = [name for name in entry if fields is None or name in fields]
    for name in names:
        check_hdf5_entry(entry, name, source.path)
    members = {name: _from_version_7_3(entry[name], f"{where}.{name}", source) for name in names}
    # an array of structs is stored field by field: each a column of references, which bears no class of its own
    columns = [name for name in names if isinstance(entry[name], h5py.Dataset) and h5py.check_ref_dtype(entry[name].dtype)]
    if columns and len(columns) == len(names) and all("MATLAB_class" not in entry[name].attrs for name in columns):
        return [dict(zip(members, row, strict=True)) for row in zip(*members.values(), strict=True)]
    return _Struct(members, entry)


def _sparse_from_7_3(entry: h5py.Group, where: str, path: Path) -> np.ndarray:
    """Return a sparse matrix, stored as its number of rows, its values column by column, their rows, and where columns begin."""
    parts = {}
    for name in ("data", "ir", "jc"):
        if name in entry:  # a matrix of zeros has neither data nor ir
            check_hdf5_entry(entry, name, path)
            parts[name] = np.asarray(entry[name][()])
    values, rows, begins = parts.get("data", np.zeros(0)), parts.get("ir", np.zeros(0, np.int64)), parts.get("jc", np.zeros(1))
    shape = (int(entry.attrs["MATLAB_sparse"]), len(begins) - 1)
    full = _fill(csc_array((values, rows, begins), shape=shape), where, path)
    kind = entry.attrs.get("MATLAB_class", b"")
    return full.astype(bool) if kind in (b"logical", "logical") else full
