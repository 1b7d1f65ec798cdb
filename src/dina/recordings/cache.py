"""Where fetched data is kept: the folder named by DINA_DATA, else the platform's cache folder."""

import os
from pathlib import Path

import platformdirs

DATA_VARIABLE = "DINA_DATA"


def data_folder(deposit: str) -> Path:
    """Return the folder in which the files of one deposit are kept; it need not exist yet.

    Parameters
    ----------
    deposit
        Name of the deposit, for example ``stringer2018``.

    Returns
    -------
    folder
        ``$DINA_DATA/deposit`` where that variable is set, else the platform's cache folder for dina.
    """
    chosen = os.environ.get(DATA_VARIABLE)
    root = Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("dina", appauthor=False))
    return root / deposit
