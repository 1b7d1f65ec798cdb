"""Paths that people write with ``~`` for their home folder."""

import os
from pathlib import Path


def expand_home(path: str | Path) -> Path:
    """Return the path with ``~`` replaced; a name such as ``~images.npy``, of which there is no home folder, stays as it is.

    Examples
    --------
    >>> expand_home("~no such person/images.npy").name
    'images.npy'
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111 - `Path.expanduser` raises where there is no home folder
