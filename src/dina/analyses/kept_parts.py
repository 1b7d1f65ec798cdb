"""Parts of a long analysis, each kept in a file as soon as it is computed, so that a stopped analysis resumes from there."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, is_zipfile

import numpy as np

from dina.artifacts import atomic_path

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class KeptParts:
    """A folder for the parts of one analysis; without one, nothing is kept.

    The caller makes sure that the folder holds only parts of the same analysis of the same decoding, and empties it when the
    analysis is finished.

    Examples
    --------
    >>> KeptParts().get("a fit", lambda: {"top1": np.array([0.5])})["top1"].tolist()
    [0.5]
    """

    folder: Path | None = None

    def get(self, name: str, compute: Callable[[], Arrays]) -> Arrays:
        """Return the arrays of a part, whose name is unique within the analysis: read them, else compute and keep them.

        They are computed anew where their file cannot be read. Numbers are stored exactly, so that a resumed analysis ends with the
        same ones.
        """
        if self.folder is None:
            return compute()
        path = self.folder / f"{re.sub(r'[^A-Za-z0-9.+-]+', '_', name)}.npz"
        kept = _read(path)
        if kept is None:
            kept = compute()
            _write(path, kept)
        return kept


def _read(path: Path) -> Arrays | None:
    if not is_zipfile(path):  # asked first: numpy leaves a file open that turns out to be none
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, BadZipFile):
        return None


def _write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
