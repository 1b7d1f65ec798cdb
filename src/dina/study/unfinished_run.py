"""The folder of one study: begun as RUN.partial, locked, gone on with after a crash, and put in place at the end."""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dina.artifacts import sha256_of, write_json
from dina.checks import DataError
from dina.locked_folder import LOCK, held
from dina.signed_folder import CHECKSUMS, read_listing, refuse_links, write_checksums, write_listing
from dina.study.run_directory import IDENTITY, PROCESSOR, Run
from dina.whole_folder import put_in_place

PARTS = ".parts"  # of analyses under way; gone when they are finished
_BEGUN = ".SHA256SUMS.begun"  # of the parts that are finished; gone when all is
# What commands write into the folder of a study.
_OURS = re.compile(
    r"(fold\d+(\.partial)?/)?("
    r"(identity|summary|split|split_fold\d+|environment|timings|source|model)\.json|SHA256SUMS|study\.toml|history\.csv"
    r"|model\.safetensors|log\.txt|(report|explorer)\.html|results/(interpretation/)?[^/]+\.(nc|csv|json)|figures/[^/]+\.svg"
    r"|models/[^/]+\.(safetensors|json)|checkpoints/.*|\.parts/.*|(.*/)?\.[^/]*\.tmp[^/]*|\.SHA256SUMS\.(next|begun)|\.lock|\.DS_Store)"
)
# Where an unfinished study keeps what took time.
_FITS = ("results/*", "checkpoints/**/*", "fold*/**/*.nc")
_QUICK = ("quality.nc", "gallery.nc")  # made in a moment
# What a study that goes on keeps as it is; all else is made again, and a checkpoint has a checksum of its own.
_KEPT = ("history.csv", "model.*", "models/*", *(f"results/{kind}_*.nc" for kind in ("retrieval", "joint", "alone", "joining")))
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
    """Say whether ``run`` is the finished study of this very recording, settings and environment, on whatever processor."""
    return (run / CHECKSUMS).is_file() and _beside_processor(Run(run).identity) == _beside_processor(identity)


def _beside_processor(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return an identity without what it says of the processor."""
    environment = identity.get("environment")
    if not isinstance(environment, Mapping):
        return dict(identity)
    return {**identity, "environment": {key: value for key, value in environment.items() if key not in PROCESSOR}}


@contextmanager
def open_run(run: Path, identity: Mapping[str, Any], *, force: bool) -> Iterator[Path]:
    """Give the folder to work in, ``RUN.partial``; on success rename it to ``RUN``, checksums written last.

    If an unfinished study of the same identity (recording, settings, versions, device, processor, threads) is there, its folder is given
    as it was left. ``force`` allows to replace an existing run, or an unfinished one that is damaged or of another identity.

    Raises
    ------
    DataError
        If the place is taken, is not ours to replace, or another process is working in it; or a finished part of an unfinished study
        is not as it was written.
    """
    partial = run.with_name(run.name + ".partial")
    for folder in (run, partial):
        _refuse_foreign(folder)
    if run.exists() and not force:
        changes = differences(Run(run).identity, identity)
        raise DataError(f"{run} already holds a study ({changes}). Choose another --out, or replace it with --force.")
    if run.exists():
        _refuse_own_files(run)
    try:
        partial.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{partial} cannot be made: {error.strerror}. Choose another place with --out.") from error
    with locked(partial):
        _remove_halves(partial)
        found = _found_identity(partial, force=force)
        if found and found != identity:
            if not force and _holds_fits(partial):
                if _beside_processor(found) == _beside_processor(identity):
                    raise DataError(
                        f"{partial} holds this study, begun on another kind of processor ({differences(found, identity)}), where last"
                        " digits differ. Go on with it there, choose another --out, or start afresh here with --force."
                    )
                raise DataError(
                    f"{partial} holds an unfinished study that differs in {differences(found, identity)}."
                    " Give the same settings to go on with it, choose another --out, or start afresh with --force."
                )
            _refuse_own_files(partial)
            _empty(partial)
        elif not _is_as_signed(partial, force=force):
            _refuse_own_files(partial)
            _empty(partial)
        write_json(partial / IDENTITY, identity)
        yield partial
        _is_as_signed(partial, force=False)  # nothing is signed that changed since it was written
        (partial / _BEGUN).unlink(missing_ok=True)
        write_checksums(partial)
        put_in_place(partial, run)
        (run / LOCK).unlink(missing_ok=True)


def sign_finished_parts(folder: Path) -> None:
    """Write down the checksums of the finished parts of an unfinished study that have none yet."""
    listing = read_listing(folder / _BEGUN)
    new = {name: sha256_of(folder / name) for name in _finished_parts(folder) if name not in listing}
    if new:
        write_listing(folder / _BEGUN, listing | new)


def _is_as_signed(folder: Path, *, force: bool) -> bool:
    """Say whether the finished parts of a study are as they were written; they are refused if not, unless ``force``."""
    try:
        listing = read_listing(folder / _BEGUN)
        for name in _finished_parts(folder):
            if name in listing and sha256_of(folder / name) != listing[name]:
                raise DataError(f"{folder / name} must be as it was written; it was changed or damaged since.")
    except DataError as error:
        if force:
            return False
        raise DataError(f"{error} Choose another --out, or start afresh with --force.") from error
    return True


def _finished_parts(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for pattern in _KEPT for path in folder.glob(pattern) if path.name[0] != "."]


def _found_identity(folder: Path, *, force: bool) -> dict[str, Any]:
    """Return the identity of an unfinished study; with ``force`` a damaged one counts as another."""
    try:
        return Run(folder).identity
    except DataError as error:
        if force:
            return {"damaged": str(error)}
        raise DataError(f"{error} Or choose another --out, or start afresh with --force.") from error


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any], where: tuple[str, str] = ("there", "now")) -> str:
    """Name what differs between two identities, in a few words; ``where`` says where each of them is.

    Examples
    --------
    >>> differences({"settings": {"seed": 0}}, {"settings": {"seed": 1}})
    'settings.seed: 0 there, 1 now'

    Of lists only what is in one of them:

    >>> differences({"decoders": ["dina", "ridge"]}, {"decoders": ["dina", "cebra", "kay2008"]})
    'decoders: ridge only there, cebra and kay2008 only now'

    Of two runs, the places are their names:

    >>> differences({"seed": 0}, {"seed": 1}, ("in first", "in second"))
    'seed: 0 in first, 1 in second'
    """
    old, new = _flat(found), _flat(wanted)
    changed = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    words = [f"{key}: {_changed(old.get(key), new.get(key), where)}" for key in changed[:3]]
    more = [f"and {len(changed) - 3} more"] if len(changed) > 3 else []
    return "; ".join(words + more) or "nothing: it is the same study"


def _changed(old: Any, new: Any, where: tuple[str, str]) -> str:
    if isinstance(old, list) and isinstance(new, list):
        only = ([one for one in old if one not in new], [one for one in new if one not in old])
        words = [f"{_listed(some)} only {place}" for place, some in zip(where, only, strict=True) if some]
        return ", ".join(words) or "the same in another order"
    words = [_short(old), _short(new)]
    if words[0] == words[1]:  # both cut before the place where they differ
        words = [_text(old), _text(new)]
        first = next((i for i, pair in enumerate(zip(*words, strict=False)) if len(set(pair)) > 1), min(map(len, words)))
        words = ["…" * (first > 4) + _short(text[max(0, first - 4) :]) for text in words]
    return ", ".join(f"{word} {place}" for word, place in zip(words, where, strict=True))


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


def _refuse_foreign(folder: Path) -> None:
    """Refuse what we did not make: a link, a file, a folder with other things in it."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise DataError(f"{folder} must be a folder or not exist yet; it is a link or a file. Choose another --out.")
    refuse_links(folder)
    if folder.is_dir() and not (folder / IDENTITY).is_file():
        others = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
        if others:
            raise DataError(f"{folder} is not the folder of a study (it holds {others[0]!r}). Choose another --out.")


def _refuse_own_files(folder: Path) -> None:
    """Refuse to delete a folder that holds files which no study writes: they are the user's."""
    files = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    own = [name for name in files if not _OURS.fullmatch(name)]
    if own:
        raise DataError(
            f"{folder} holds {own[0]}, which no study writes, and would be deleted with it. Move it elsewhere, or choose another --out."
        )


def _holds_fits(folder: Path) -> bool:
    """Say whether an unfinished study holds anything that took time."""
    return any(path.is_file() and path.name not in _QUICK for pattern in _FITS for path in folder.glob(pattern))


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
        if path.is_file() and PARTS not in path.parts:
            path.unlink()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; the system lets go when the process ends, however it ends.

    Raises
    ------
    DataError
        If another process holds it.
    """
    refuse_links(folder)
    with held(folder):
        _remove_halves(folder)
        yield
