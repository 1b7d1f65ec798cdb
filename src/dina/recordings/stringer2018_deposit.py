"""Fetch recordings of Stringer et al. 2018 with their images and labels from the authors' deposit into the cache."""

import json
import re
import urllib.error
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pooch

from dina.artifacts import sha256_of, write_text
from dina.checks import DataError, check_choice
from dina.recordings.cache import data_folder
from dina.recordings.download import RemoteFile, check_url, download_file, open_url
from dina.recordings.stringer2018 import CONDITIONS, stimulus_set_of
from dina.recordings.stringer2018_stimuli import IMAGE_FILES, LABEL_FILE

ARTICLE_URL = "https://api.figshare.com/v2/articles/6845348"
"""The deposit, doi:10.25378/janelia.6845348 (CC BY-NC 4.0 according to third parties: see there)."""

LABELS_COMMIT = "2fb388085acd5fee305e9cf82569b5c50b215689"
LABELS_URL = f"https://raw.githubusercontent.com/MouseLand/stringer-pachitariu-et-al-2018b/{LABELS_COMMIT}/classes/{LABEL_FILE}"
"""The manual image classes, in the authors' repository at a commit that cannot change."""

_PAGE = 100  # the deposit lists ten files at a time unless asked for more
_MAX_LIST_BYTES = 2**23
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def list_stringer2018(base_url: str = ARTICLE_URL) -> tuple[str, ...]:
    """Return the names of all recordings in the deposit, sorted (``natimg2800_M170714_MP032_2017-09-14``, for example).

    Parameters
    ----------
    base_url
        The article in the deposit's interface; another one only for a mirror.

    Raises
    ------
    DataError
        If the list cannot be had, or is not what it should be.
    """
    return _recordings(_files(base_url))


def fetch_stringer2018(
    names: Sequence[str],
    cache: Path | None = None,
    base_url: str = ARTICLE_URL,
    labels_url: str = LABELS_URL,
) -> tuple[Path, ...]:
    """Fetch recordings, the images each was shown, and the manual image classes.

    Every file is checked against the MD5 that the deposit states, and its SHA-256 is written beside it, which
    `read` verifies. What is in the cache already is checked and not fetched again; an interrupted download goes
    on where it stopped.

    Parameters
    ----------
    names
        Names as `list_stringer2018` gives them.
    cache
        Folder to put the files into; by default that in which `read` looks.
    base_url, labels_url
        Where the deposit and the classes lie; others only for a mirror.

    Returns
    -------
    paths
        The ``.mat`` file of each recording, in the order of ``names``.

    Raises
    ------
    DataError
        If a name is unknown, the deposit lacks a file, or a download fails or is not what the deposit states.
    """
    files = _files(base_url)
    known = _recordings(files)
    wanted: dict[str, RemoteFile] = {}
    for name in names:
        check_choice("recording", name.removesuffix(".mat"), known)
        recording = name.removesuffix(".mat")
        image_file = IMAGE_FILES[stimulus_set_of(recording)].format(recording=recording)
        for file in (f"{recording}.mat", image_file):
            if file not in files:
                raise DataError(
                    f"{recording} needs {file}, which the deposit does not hold. Get it from the authors and put it beside the recording."
                )
            wanted[file] = files[file]
    if any(stimulus_set_of(name).startswith("natimg2800") for name in names):
        wanted[LABEL_FILE] = RemoteFile(LABEL_FILE, check_url(labels_url))
    folder = cache or data_folder("stringer2018")
    for remote in wanted.values():
        _fetch(remote, folder)
    return tuple(folder / f"{name.removesuffix('.mat')}.mat" for name in names)


def _fetch(remote: RemoteFile, folder: Path) -> None:
    pooch.get_logger().setLevel("WARNING")  # the progress bar says the same and more
    md5 = None if remote.md5 is None else f"md5:{remote.md5}"
    sidecar = folder / f"{remote.name}.sha256"
    store = pooch.create(path=folder, base_url="", registry={remote.name: md5}, urls={remote.name: remote.url})

    def download(url: str, output_file: str, _: Any) -> None:
        sidecar.unlink(missing_ok=True)  # an old sum must not vouch for a new file
        download_file(remote, Path(output_file), folder / f"{remote.name}.part")

    path = Path(store.fetch(remote.name, downloader=download))
    if not sidecar.is_file():
        write_text(sidecar, f"{sha256_of(path)}  {remote.name}\n")


def _recordings(files: dict[str, RemoteFile]) -> tuple[str, ...]:
    stems = (name.removesuffix(".mat") for name in files if name.endswith(".mat"))
    return tuple(sorted(stem for stem in stems if any(stem.startswith(f"{known}_") for known in CONDITIONS)))


def _files(base_url: str) -> dict[str, RemoteFile]:
    """Read the whole list of files, page by page."""
    files: dict[str, RemoteFile] = {}
    for page in range(1, 51):
        entries = _page(f"{base_url.rstrip('/')}/files?page={page}&page_size={_PAGE}")
        new = [_remote(entry) for entry in entries]
        known = len(files)
        files.update({remote.name: remote for remote in new})
        if len(new) < _PAGE or len(files) == known:  # the last page, or a server that always sends the same one
            break
    if not files:
        raise DataError(f"The deposit at {base_url} lists no files. Check the address, or try again later.")
    return files


def _page(url: str) -> list[Any]:
    try:
        with open_url(url, {"Accept": "application/json"}) as response:
            text = response.read(_MAX_LIST_BYTES)
    except urllib.error.HTTPError as error:
        raise DataError(f"The deposit answered {error.code} to {url}. Try again later.") from error
    except OSError as error:
        raise DataError(f"The deposit at {url} could not be reached: {error}. Check the connection.") from error
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise DataError(
            f"The deposit sent no JSON from {url}, but {text[:30]!r}. Open the address in a browser to see what it says."
        ) from error
    if not isinstance(entries, list):
        raise DataError(
            f"The deposit must send a list of files from {url}; got {type(entries).__name__}. Its interface may have changed."
        )
    return entries


def _remote(entry: Any) -> RemoteFile:
    expected = {"name": str, "size": int, "computed_md5": str, "download_url": str}
    if not isinstance(entry, dict) or any(not isinstance(entry.get(key), kind) for key, kind in expected.items()):
        raise DataError(
            f"The deposit must state {', '.join(expected)} of each file; got {str(entry)[:100]}. Its interface may have changed."
        )
    if not _SAFE_NAME.fullmatch(entry["name"]):
        raise DataError(f"The deposit names a file {entry['name']!r}, which is not safe to write. Nothing was fetched.")
    return RemoteFile(entry["name"], check_url(entry["download_url"]), entry["size"], entry["computed_md5"])
