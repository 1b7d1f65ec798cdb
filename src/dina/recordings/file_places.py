"""Files of a folder by name and by number: never one that a link leads to out of the folder."""

import os
import stat
from pathlib import Path

from dina.checks import DataError

IMAGE_NAMES = ("images.npy", "images.zip", "images")
_MOST_FILES = 2**20


def find_images(folder: Path) -> list[Path]:
    """Return what a folder holds under the usual names of images."""
    return [folder / name for name in IMAGE_NAMES if (folder / name).exists()]


def file_inside(folder: Path, name: str) -> Path:
    """Return the path of a file or folder below ``folder``, which need not exist.

    Raises
    ------
    DataError
        If the name, or a link on the way, leads out of the folder.
    """
    path = folder / name
    if _has_links(folder, name) and not path.resolve().is_relative_to(folder.resolve()):
        raise DataError(
            f"{path} leads out of {folder.name}, and links out of a recording are not followed. Copy the file into it."
        )
    return path


def _has_links(folder: Path, name: str) -> bool:
    """Say whether a name could lead out of a folder, as only a link, two dots or a root can."""
    if name.startswith("/") or os.pardir in name or "\\" in name or ":" in name:
        return True
    place = str(folder)
    try:
        for part in name.split("/"):
            place = f"{place}/{part}"
            if stat.S_ISLNK(os.lstat(place).st_mode):
                return True
    except OSError:  # nothing is there
        return False
    return False


def numbered_files(folder: Path, name: str) -> dict[int, Path]:
    """Return the files ``<number>.npy`` of a folder below ``folder`` by their numbers, ascending; others are left out.

    Raises
    ------
    DataError
        If a link leads out of the folder, or there are more files than any recording has.
    """
    found = {}
    with os.scandir(file_inside(folder, name)) as entries:
        for count, entry in enumerate(entries):
            if count > _MOST_FILES:
                raise DataError(f"{folder.name}/{name} holds more than {_MOST_FILES} files. This is no recording.")
            stem, dot, ending = entry.name.rpartition(".")
            if dot and ending == "npy" and stem.isdecimal() and len(stem) < 10:
                found[int(stem)] = file_inside(folder, f"{name}/{entry.name}") if entry.is_symlink() else Path(entry.path)
    return dict(sorted(found.items()))
