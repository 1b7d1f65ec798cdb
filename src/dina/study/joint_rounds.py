"""Folds and seeds of a joint study, and where what was found in each is kept."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from dina.data.splits import Split
from dina.study.unfinished_run import safe_name


@dataclass(frozen=True, eq=False)
class Round:
    """One fold of images and one seed of training.

    Parameters
    ----------
    fold, repeat
        Numbers of the split and of the training on it.
    split
        Of image identities, for all recordings.
    seed
        Of training.
    """

    fold: int
    repeat: int
    split: Split
    seed: int

    def path(self, folder: Path, kind: str, recording: str) -> Path:
        """Return where results about a recording are kept; ``kind`` is "joint", "alone" or "joining"."""
        return folder / "results" / f"{kind}_{file_name_of(recording)}_fold{self.fold}_seed{self.repeat}.nc"


def file_name_of(recording: str) -> str:
    """Return a word for files about a recording: different names, different words, also on systems blind to case.

    Examples
    --------
    >>> file_name_of("M1 day 2"), file_name_of("m1 day 2")
    ('M1_day_2-7abead', 'm1_day_2-1d0955')
    """
    return f"{safe_name(recording)}-{hashlib.sha256(recording.encode()).hexdigest()[:6]}"


def read_rounds(rounds: Sequence[Round], folder: Path, kind: str, recording: str) -> Mapping[tuple[int, int], xr.Dataset]:
    """Read what was written about a recording, by fold and seed; what is not there is left out."""
    found = {}
    for each in rounds:
        path = each.path(folder, kind, recording)
        if path.is_file():
            with xr.open_dataset(path, engine="h5netcdf") as opened:
                found[each.fold, each.repeat] = opened.load()
    return found
