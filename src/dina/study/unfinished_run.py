"""The folder of one study: begun as RUN.partial, locked, gone on with after a crash, and put in place at the end."""

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dina.artifacts import CHECKSUMS, flush_folder, write_checksums, write_json
from dina.checks import DataError
from dina.study.run_directory import IDENTITY

LOCK = ".lock"
MOST_LISTED = 6  # entries of a list that are named


def safe_name(text: str) -> str:
    """Turn any name into one that is safe as a file name on every system, at most 80 characters long.

    Examples
    --------
    >>> safe_name("../../M17 <b>day 2</b>"), safe_name("CON"), safe_name("…")
    ('M17_b_day_2_b', '_CON', 'recording')
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-")[:80].rstrip("._-") or "recording"
    reserved = re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name)
    return f"_{name}" if reserved else name


def is_finished(run: Path, identity: Mapping[str, Any]) -> bool:
    """Say whether ``run`` is the finished study of this very recording, settings and environment."""
    return (run / CHECKSUMS).is_file() and _read_identity(run) == identity


@contextmanager
def open_run(run: Path, identity: Mapping[str, Any], *, force: bool) -> Iterator[Path]:
    """Give the folder to work in, ``RUN.partial``; on success rename it to ``RUN``, checksums written last.

    If an unfinished study of the same identity (recording, settings, versions, device, threads) is there, its folder is given
    as it was left. ``force`` allows to replace an existing run, or an unfinished one of another identity.

    Raises
    ------
    DataError
        If the place is taken, is not ours to replace, or another process is working in it.
    """
    partial = run.with_name(run.name + ".partial")
    for folder in (run, partial):
        _refuse_foreign(folder)
    if run.exists() and not force:
        changes = differences(_read_identity(run) or {}, identity)
        raise DataError(f"{run} already holds a study ({changes}). Choose another --out, or replace it with --force.")
    try:
        partial.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{partial} cannot be made: {error.strerror}. Choose another place with --out.") from error
    with locked(partial):
        found = _read_identity(partial)
        if found is not None and found != identity:
            if not force:
                raise DataError(
                    f"{partial} holds an unfinished study that differs in {differences(found, identity)}."
                    " Give the same settings to go on with it, choose another --out, or start afresh with --force."
                )
            _empty(partial)
        _remove_halves(partial)
        write_json(partial / IDENTITY, identity)
        yield partial
        write_checksums(partial)
        _put_in_place(partial, run)


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Name what differs between two identities, in a few words.

    Examples
    --------
    >>> differences({"settings": {"seed": 0}}, {"settings": {"seed": 1}})
    'settings.seed: 0 there, 1 now'

    Of lists only what is in one of them:

    >>> differences({"decoders": ["dina", "ridge"]}, {"decoders": ["dina", "cebra", "kay2008"]})
    'decoders: ridge only there, cebra and kay2008 only now'
    """
    old, new = _flat(found), _flat(wanted)
    changed = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    words = [f"{key}: {_changed(old.get(key), new.get(key))}" for key in changed[:3]]
    more = [f"and {len(changed) - 3} more"] if len(changed) > 3 else []
    return "; ".join(words + more) or "nothing: it is the same study"


def _changed(old: Any, new: Any) -> str:
    if isinstance(old, list) and isinstance(new, list):
        only = {"there": [one for one in old if one not in new], "now": [one for one in new if one not in old]}
        words = [f"{_listed(some)} only {where}" for where, some in only.items() if some]
        return ", ".join(words) or "the same in another order"
    words = [_short(old), _short(new)]
    if words[0] == words[1]:  # both cut before the place where they differ
        words = [_text(old), _text(new)]
        first = next((i for i, pair in enumerate(zip(*words, strict=False)) if len(set(pair)) > 1), min(map(len, words)))
        words = ["…" * (first > 4) + _short(text[max(0, first - 4) :]) for text in words]
    return f"{words[0]} there, {words[1]} now"


def _listed(some: Sequence[Any]) -> str:
    words = [_short(one) for one in some]
    words = words if len(words) <= MOST_LISTED else [*words[:MOST_LISTED], f"{len(words) - MOST_LISTED} more"]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _text(value: Any) -> str:
    return "nothing" if value is None else str(value)


def _short(value: Any) -> str:
    text = _text(value)
    return text if len(text) <= 24 else text[:12] + "…"


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _read_identity(folder: Path) -> dict[str, Any] | None:
    try:
        content = json.loads((folder / IDENTITY).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / IDENTITY} is damaged ({error}). Remove {folder} and run the study again.") from error
    return content if isinstance(content, dict) else None


def _refuse_foreign(folder: Path) -> None:
    """Refuse what we did not make: a link, a file, a folder with other things in it."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise DataError(f"{folder} must be a folder or not exist yet; it is a link or a file. Choose another --out.")
    if folder.is_dir() and not (folder / IDENTITY).is_file():
        others = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
        if others:
            raise DataError(f"{folder} is not the folder of a study (it holds {others[0]!r}). Choose another --out.")


def _empty(folder: Path) -> None:
    """Remove all but the lock; the identity goes last, so that a crash midway leaves a folder known as ours."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name == IDENTITY):
        if path.name == LOCK:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _remove_halves(folder: Path) -> None:
    """Remove the temporary files of a process that was killed while it wrote them."""
    for path in folder.rglob(".*.tmp*"):
        path.unlink()


def _put_in_place(partial: Path, run: Path) -> None:
    old = run.with_name(run.name + ".replaced")
    if old.is_dir() and (old / IDENTITY).is_file():
        shutil.rmtree(old)
    if run.exists():
        run.rename(old)
    partial.rename(run)
    flush_folder(run.parent)
    if old.is_dir():
        shutil.rmtree(old)
    (run / LOCK).unlink(missing_ok=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; the system lets go when the process ends, however it ends.

    Raises
    ------
    DataError
        If another process holds it.
    """
    if sys.platform == "win32":  # no lock there: an open file would keep the folder from being renamed
        yield
        return
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _acquire(handle) or not _same_file(handle, folder / LOCK):
            raise DataError(f"Another process is working in {folder}. Wait for it to end, or choose another --out.")
        yield
    finally:
        os.close(handle)


def _same_file(handle: int, path: Path) -> bool:
    """Say whether the locked file is still the one at ``path``: the other process may just have finished."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _acquire(handle: int) -> bool:
    import fcntl  # imported here: it does not exist on Windows

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a network file system without locks
        return True
    return True
