"""A finished folder, whose files are read only as its SHA256SUMS lists them, and whose lines change only with the files written."""

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path, PurePosixPath

from dina.artifacts import atomic_path, sha256_of, write_text
from dina.checks import DataError

CHECKSUMS = "SHA256SUMS"
COMING = ".SHA256SUMS.next"  # of files that are being replaced: until that is done, the old and the new one are both right

# Pages, drawings and logs, from which nothing is read; the note on the recording, without which it is asked for; and weights,
# which are large.
_MAY_BE_LOST = re.compile(r"\S+\.(html|svg|txt)|source\.json|model\.safetensors")


class SignedFolder:
    """The files of a folder; once it holds ``SHA256SUMS``, it consists of the files listed there, each as it is listed.

    A folder without a listing is not finished yet: its files are read as they are.

    Parameters
    ----------
    path
        The folder.

    Raises
    ------
    DataError
        If the folder holds a link or anything else that is neither file nor folder: it could lead out of the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        refuse_links(self.path)

    @property
    def is_signed(self) -> bool:
        """Whether there is a listing."""
        return bool(self._listing)

    def __contains__(self, name: str) -> bool:
        """Say whether the file belongs to the folder."""
        return (name in self._listing or not self.is_signed) and (self.path / name).is_file()

    def names(self, pattern: str) -> list[str]:
        """Return the files of the folder that fit a pattern such as ``results/*.nc``, below it too, in order of name."""
        known = self._listing or [path.relative_to(self.path).as_posix() for path in _checked_files(self.path)]
        return sorted(name for name in known if fnmatchcase(name, pattern))

    def read(self, name: str) -> bytes:
        """Return the content of a file.

        Raises
        ------
        DataError
            If it is not as it was written.
        """
        content = self._inside(name).read_bytes()  # read once: the bytes that are compared are the bytes that are used
        self._compare(name, hashlib.sha256(content).hexdigest())
        return content

    def check(self, name: str) -> None:
        """Refuse a file that is not as it was written, without holding its content."""
        self._compare(name, sha256_of(self._inside(name)))

    @contextmanager
    def writing(self) -> Iterator[Callable[[str], Path]]:
        """Give a function from the name of a file to the path where it is to be written; at the end, all are put in place.

        The lines of these files change and no others. A crash at any moment leaves each file as one of its lines says.
        """
        with ExitStack() as stack:
            places: dict[str, Path] = {}

            def place(name: str) -> Path:
                if name not in places:
                    places[name] = stack.enter_context(atomic_path(self._inside(name)))
                return places[name]

            yield place
            new = {name: sha256_of(path) for name, path in places.items()}
            listing = self._settled()
            if listing:
                write_listing(self.path / COMING, {name: digest for name, digest in new.items() if name in listing})
        if listing:
            write_listing(self.path / CHECKSUMS, listing | new)
            (self.path / COMING).unlink()
        vars(self).pop("_listing", None)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files and their lines, whether or not they are there."""
        gone = list(names)
        listing = self._settled()
        if listing:  # first: a file that is not listed is as good as gone
            write_listing(self.path / CHECKSUMS, {name: digest for name, digest in listing.items() if name not in gone})
        for name in gone:
            self._inside(name).unlink(missing_ok=True)
        vars(self).pop("_listing", None)

    def _settled(self) -> dict[str, str]:
        """Return the checksum of every listed file: of two, after a crash, that of the file which is there."""
        known = _read_listing(self.path)
        return {
            name: either[0] if len(either) == 1 or (found := sha256_of(self._inside(name))) not in either else found
            for name, either in known.items()
        }

    def _inside(self, name: str) -> Path:
        """Return the path of a file; names come from other people, too."""
        parts = PurePosixPath(name).parts
        if not parts or ".." in parts or PurePosixPath(name).is_absolute() or "\\" in name or ":" in name:
            raise DataError(f"{self.path} must hold all its files; {name!r} lies outside. Do not use this folder.")
        return self.path / name

    def _compare(self, name: str, digest: str) -> None:
        if self.is_signed and digest not in self._listing.get(name, ()):
            raise DataError(
                f"{self.path / name} must be as it was written; it differs from its line in {CHECKSUMS}, so one of the two was"
                " changed or damaged. Use another copy of the folder, or repeat the study with --force."
            )

    @cached_property
    def _listing(self) -> dict[str, list[str]]:
        listing = _read_listing(self.path)
        lost = [name for name in listing if not _MAY_BE_LOST.fullmatch(name) and not self._inside(name).is_file()]
        if lost:
            raise DataError(
                f"{self.path / lost[0]} is listed in {CHECKSUMS} and must be there; it is missing. Use another copy of the folder,"
                " or repeat the study with --force."
            )
        return listing


def refuse_links(folder: Path) -> None:
    """Refuse a folder that holds links, pipes or devices anywhere: what is written there could go elsewhere.

    Raises
    ------
    DataError
        At the first of them.
    """
    for root, folders, files in os.walk(folder):
        for path in (Path(root) / name for name in (*folders, *files)):
            mode = path.lstat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise DataError(
                    f"{folder} must hold files and folders alone; {path.relative_to(folder)} is a link or a device, which could"
                    " lead elsewhere. Remove it."
                )


def write_checksums(folder: Path) -> None:
    """Write ``SHA256SUMS`` over all files below ``folder``, in the format that ``sha256sum --check`` reads.

    Hidden files and links are left out, and so are folders below that hold checksums of their own. Call it once, when the folder
    is finished; later changes go through `SignedFolder.writing`.
    """
    folder = Path(folder)
    write_listing(folder / CHECKSUMS, {path.relative_to(folder).as_posix(): sha256_of(path) for path in _checked_files(folder)})


def verify_checksums(folder: Path) -> dict[str, str]:
    """Return each file below ``folder`` that is not as its ``SHA256SUMS`` says, as "missing", "changed" or "not listed".

    Raises
    ------
    DataError
        If there is no ``SHA256SUMS``, or it cannot be read.
    """
    folder = Path(folder)
    expected = _read_listing(folder)
    if not expected:
        raise DataError(f"{folder} must hold {CHECKSUMS} to be verified; it does not. Finish or repeat the study.")
    found = {path.relative_to(folder).as_posix(): path for path in _checked_files(folder)}
    faults = dict.fromkeys(sorted(expected.keys() - found.keys()), "missing")
    known = sorted(expected.keys() & found.keys())
    faults |= {name: "changed" for name in known if sha256_of(found[name]) not in expected[name]}
    return faults | dict.fromkeys(sorted(found.keys() - expected.keys()), "not listed")


def _read_listing(folder: Path) -> dict[str, list[str]]:
    """Return the checksum of each file, and the coming one of a file that is being replaced; empty where nothing is listed."""
    listing = {name: [digest] for name, digest in read_listing(folder / CHECKSUMS).items()}
    if not listing and (folder / CHECKSUMS).is_file():
        raise DataError(f"{folder / CHECKSUMS} is damaged: it lists no file. Repeat the study.")
    for name, digest in read_listing(folder / COMING).items() if listing else ():
        listing.setdefault(name, []).append(digest)
    return listing


def read_listing(path: Path) -> dict[str, str]:
    """Return the checksum of each file that a listing names; empty where there is no listing.

    Raises
    ------
    DataError
        If a line of it cannot be read.
    """
    if not path.is_file():
        return {}
    listing: dict[str, str] = {}
    *lines, rest = path.read_bytes().decode("utf-8", errors="backslashreplace").split("\n")
    for line in [*lines, *([rest] if rest else [])]:
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name or line is rest:
            raise DataError(f"{path} is damaged: {line[:80]!r} is not a checksum and a name. Repeat the study.")
        if name in listing:
            raise DataError(f"{path} is damaged: {name} is listed twice. Repeat the study.")
        listing[name] = digest
    return listing


def write_listing(path: Path, listing: Mapping[str, str]) -> None:
    """Write checksums by the names of files, in the format that ``sha256sum --check`` reads."""
    write_text(path, "".join(f"{listing[name]}  {name}\n" for name in sorted(listing)))


def _checked_files(folder: Path) -> list[Path]:
    """Return the files below ``folder`` that its listing covers, in order of name."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    apart = {path.parent for path in files if path.name == CHECKSUMS and path.parent != folder}
    parts = {path: path.relative_to(folder).parts for path in files if not apart.intersection(path.parents)}
    return sorted(path for path, names in parts.items() if names != (CHECKSUMS,) and not any(n.startswith(".") for n in names))
