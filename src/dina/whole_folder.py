"""A folder that is put in place as a whole, in the stead of an earlier one."""

import glob
import shutil
import tempfile
from pathlib import Path

from dina.artifacts import flush_folder

_REPLACED = ".replaced"


def put_in_place(partial: Path, place: Path) -> None:
    """Rename a finished folder to its place; what is there goes only when the new one has taken its place."""
    if place.exists():  # moved into a folder made now: whatever else lies beside it is not ours to delete
        old = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}.", suffix=_REPLACED))
        place.rename(old / place.name)
    partial.rename(place)
    flush_folder(place.parent)
    for old in place.parent.glob(f".{glob.escape(place.name)}.????????{_REPLACED}"):  # one that a crash left, too
        if [path.name for path in old.iterdir()] == [place.name]:
            shutil.rmtree(old)
