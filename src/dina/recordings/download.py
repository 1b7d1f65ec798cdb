"""Fetch published files into the cache: listed by a deposit, resumed where a download stopped, verified by checksum."""

import hashlib
import json
import os
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse, HTTPSConnection
from pathlib import Path
from threading import Event, Timer
from typing import Any
from urllib.parse import urlsplit

import platformdirs
import pooch

from dina.artifacts import sha256_of, write_text
from dina.checks import DataError
from dina.progress import track
from dina.recordings.home_folder import expand_home

DATA_VARIABLE = "DINA_DATA"
CHUNK_BYTES = 2**20
TIMEOUT_S = 30.0
MIN_BYTES_PER_S = 1024  # averaged over STALL_S; slower than this is a stalled connection
STALL_S = 60.0
ANSWER_S = 60.0  # until the head of an answer is there
MAX_BYTES = 2**30  # of a file whose size nobody states
ATTEMPTS = 5
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
FILES_PER_PAGE = 100  # the deposit lists ten files at a time unless asked for more
_MAX_LIST_BYTES = 2**23
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def data_folder(deposit: str) -> Path:
    """Return the folder for the files of one deposit, in ``$DINA_DATA`` or else the platform's cache; it need not exist yet."""
    chosen = os.environ.get(DATA_VARIABLE)
    root = expand_home(chosen) if chosen else Path(platformdirs.user_cache_dir("dina", appauthor=False))
    return root / deposit


@dataclass(frozen=True)
class RemoteFile:
    """A file of a deposit and what is known of it beforehand."""

    name: str  # without a folder
    url: str  # https, or http on this machine
    n_bytes: int | None = None  # None where the deposit does not state it
    md5: str | None = None  # 32 hexadecimal digits


def check_url(url: str) -> str:
    """Return ``url`` if it may be opened: https, or plain http on this very machine (for tests and mirrors).

    Raises
    ------
    DataError
        For any other address, ``file:`` and ``ftp:`` among them.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return url
    raise DataError(f"Data are fetched over https only; got {url!r}. Check the address of the deposit.")


def download_file(remote: RemoteFile, target: Path, part: Path, wait_s: float = 2.0) -> None:
    """Download ``remote`` to ``target``, in parts if the connection breaks, and verify size and MD5.

    What has arrived is kept in ``part`` (on the same disk), with the server's mark of the version (ETag) in a file beside it. A later
    call with the same ``part`` goes on from there with a Range request, and starts anew if the server ignores it or has another
    version. ``target`` is written only when the file is complete and verified. ``wait_s`` is the pause before the second attempt,
    doubled each time.

    Raises
    ------
    DataError
        If the server cannot be reached, sends something else, or the checksum differs; what was wrong is removed.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(part.with_name(part.name + ".lock")):
        for attempt in range(ATTEMPTS):
            try:
                _receive(remote, part)
                break
            except (OSError, HTTPException) as error:  # urllib's errors among them; the part stays for the next attempt
                status = error.code if isinstance(error, urllib.error.HTTPError) else None
                if attempt == ATTEMPTS - 1 or (status is not None and status < 500 and status not in (408, 416, 429)):
                    raise DataError(
                        f"{remote.name} could not be fetched from {urlsplit(remote.url).hostname}: {error}. Check the connection"
                        " and run the same command again: it goes on where it stopped."
                    ) from error
                time.sleep(wait_s * 2**attempt)
        with part.open("rb") as stream:
            md5 = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if remote.md5 is not None and md5 != remote.md5.lower():
            _remove(part)
            raise DataError(
                f"{remote.name}: MD5 expected {remote.md5}, got {md5}. The download was removed; run the command again, or"
                " the deposit changed."
            )
        part.replace(target)
        _remove(part)


def list_figshare(article_url: str) -> dict[str, RemoteFile]:
    """Return all files of a Figshare deposit by name, from its address such as ``https://api.figshare.com/v2/articles/6845348``.

    Raises
    ------
    DataError
        If the list cannot be fetched, has another form than expected, or names a file or an address that is not safe.
    """
    files: dict[str, RemoteFile] = {}
    for page in range(1, 51):
        entries = _read_page(f"{article_url.rstrip('/')}/files?page={page}&page_size={FILES_PER_PAGE}")
        known = len(files)
        files |= {remote.name: remote for remote in map(_remote, entries)}
        if len(entries) < FILES_PER_PAGE or len(files) == known:  # the last page, or a server that always sends the same one
            break
    if not files:
        raise DataError(f"The deposit at {article_url} lists no files. Check the address, or try again later.")
    return files


def fetch_file(remote: RemoteFile, folder: Path) -> None:
    """Fetch a file into a folder, verify it as `download_file` does, and write its SHA-256 beside it (``NAME.sha256``).

    A file that is in the folder already is checked and not fetched again; an interrupted download goes on where it stopped.
    """
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


class _Hasty(HTTPConnection):
    """A connection that gives up where the head of the answer takes long: the limit of a socket counts from its last byte."""

    def getresponse(self) -> HTTPResponse:
        """Return the answer once its head is complete."""
        cut = Event()
        timer = Timer(ANSWER_S, self._cut, [cut])
        timer.start()
        try:
            response = super().getresponse()
        finally:
            timer.cancel()
        if cut.is_set():  # half a head reads as a whole one
            raise TimeoutError(f"no answer in {ANSWER_S:.0f} s")
        return response

    def _cut(self, cut: Event) -> None:
        cut.set()
        with suppress(OSError, AttributeError):  # closed meanwhile
            self.sock.shutdown(socket.SHUT_RDWR)


class _HastySecure(_Hasty, HTTPSConnection):
    pass


class _HastyHandler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_Hasty, req)


class _HastySecureHandler(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_HastySecure, req)


def _open_url(url: str, headers: dict[str, str] | None = None) -> HTTPResponse:
    """Open an address with a time limit; every redirect must satisfy `check_url` too."""
    handlers: list[urllib.request.BaseHandler] = [_CheckedRedirects(), _HastyHandler(), _HastySecureHandler()]
    if urlsplit(check_url(url)).hostname in _LOOPBACK:
        handlers.append(urllib.request.ProxyHandler({}))  # a proxy cannot reach this machine
    request = urllib.request.Request(url, headers={"User-Agent": "dina", "Accept-Encoding": "identity", **(headers or {})})
    response: HTTPResponse = urllib.request.build_opener(*handlers).open(request, timeout=TIMEOUT_S)
    return response


class _CheckedRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        check_url(newurl)
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise DataError(f"{req.full_url} redirects from https to {newurl!r}; refused. Check the address of the deposit.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _receive(remote: RemoteFile, part: Path) -> None:
    """Bring ``part`` to its full size, or raise OSError with what has arrived in place."""
    version_file = part.with_name(part.name + ".json")
    begin, headers = 0, {}
    if part.is_file() and version_file.is_file():
        known = json.loads(version_file.read_text(encoding="utf-8"))
        if known["url"] == remote.url and known["etag"]:
            begin = part.stat().st_size
            if begin == known["n_bytes"]:
                return
            headers = {"Range": f"bytes={begin}-", "If-Range": known["etag"]}
    try:
        response = _open_url(remote.url, headers)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # our part does not fit the file any more
            _remove(part)
        raise
    with response:
        total = _check_answer(remote, response, begin, part)
        etag = response.headers.get("ETag", "")
        version = {"url": remote.url, "etag": "" if etag.startswith("W/") else etag, "n_bytes": total}
        resumes = response.status == 206
        begin = begin if resumes else 0
        version_file.write_text(json.dumps(version), encoding="utf-8")
        with part.open("ab" if resumes else "wb") as stream:
            n_blocks = None if total is None else -(-(total - begin) // CHUNK_BYTES)
            for block in track(_blocks(response), f"Fetching {remote.name}", total=n_blocks):
                begin += len(block)
                if begin > (total or MAX_BYTES):
                    _remove(part)
                    break
                stream.write(block)
    if total is not None and begin != total:
        raise OSError(f"{begin} of {total} bytes arrived")


def _check_answer(remote: RemoteFile, response: HTTPResponse, begin: int, part: Path) -> int | None:
    """Return the full size of the file that this answer belongs to; refuse answers that are not that file."""
    headers = response.headers
    if headers.get_content_type() == "text/html":
        raise DataError(f"{remote.name}: the server sent a web page instead of the file. Open {remote.url} to see what it says.")
    if headers.get("Content-Encoding", "identity") != "identity":
        raise DataError(f"{remote.name}: the server sent it {headers['Content-Encoding']}-encoded, unasked. Try again later.")
    if response.status == 206:
        total = _range_total(headers.get("Content-Range", ""), begin)
        if total is None:  # another range than requested: nothing of it may be appended
            _remove(part)
            raise OSError(f"bytes from {begin} were requested, got {headers.get('Content-Range', 'no range')}")
    else:
        length = headers.get("Content-Length")
        total = int(length) if length is not None and length.isdigit() else remote.n_bytes
    if total == 0 and remote.n_bytes is None:
        raise DataError(f"{remote.name} must hold something; the server sends 0 bytes. Try again later.")
    if remote.n_bytes is not None and total != remote.n_bytes:
        sizes = f"must have {remote.n_bytes} bytes according to the deposit; the server offers {total}"
        raise DataError(f"{remote.name} {sizes}. The deposit changed: try again later.")
    return total


def _range_total(text: str, begin: int) -> int | None:
    """Read ``bytes 100-199/200``; None unless it begins at ``begin`` and runs to the end."""
    unit, _, rest = text.partition(" ")
    span, _, total = rest.partition("/")
    first, _, last = span.partition("-")
    if unit != "bytes" or not (first.isdigit() and last.isdigit() and total.isdigit()):
        return None
    return int(total) if int(first) == begin and int(last) == int(total) - 1 else None


def _blocks(response: HTTPResponse, most: int | None = None) -> Iterator[bytes]:
    """Yield at most so many bytes that arrive, in blocks of CHUNK_BYTES, and what there is before a connection breaks or stalls."""
    block, began, received, left = bytearray(), time.monotonic(), 0, most
    try:
        while piece := response.read1(CHUNK_BYTES if left is None else min(left, CHUNK_BYTES)):
            block += piece
            received += len(piece)
            left = None if left is None else left - len(piece)
            elapsed = time.monotonic() - began
            if elapsed > STALL_S:
                if received < MIN_BYTES_PER_S * elapsed:
                    raise OSError(f"only {received} bytes arrived in {elapsed:.0f} s")
                began, received = time.monotonic(), 0
            if len(block) >= CHUNK_BYTES:
                yield bytes(block)
                block.clear()
    except (OSError, HTTPException):
        yield bytes(block)
        raise
    yield bytes(block)


def _remove(part: Path) -> None:
    part.unlink(missing_ok=True)
    part.with_name(part.name + ".json").unlink(missing_ok=True)


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    """Let one process at a time write a download; the lock goes with the process, however it ends."""
    import fcntl  # imported here: absent on Windows, where reading recordings must still work

    with lock.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(f"Another process is fetching the same file (lock {lock}). Wait for it to end.") from error
        if not lock.exists() or os.fstat(stream.fileno()).st_ino != lock.stat().st_ino:
            raise DataError(f"Another process has just fetched the same file (lock {lock}). Run the command again.")
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _read_page(url: str) -> list[Any]:
    try:
        with _open_url(url, {"Accept": "application/json"}) as response:
            text = b"".join(_blocks(response, _MAX_LIST_BYTES))
    except urllib.error.HTTPError as error:
        raise DataError(f"The deposit answered {error.code} to {url}. Try again later.") from error
    except OSError as error:
        raise DataError(f"The deposit at {url} could not be reached: {error}. Check the connection.") from error
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise DataError(f"The deposit sent no JSON from {url}, but {text[:30]!r}. See what it says in a browser.") from error
    if not isinstance(entries, list):
        found = type(entries).__name__
        raise DataError(f"The deposit must send a list of files from {url}; got {found}. Its interface may have changed.")
    return entries


def _remote(entry: Any) -> RemoteFile:
    expected = {"name": str, "size": int, "computed_md5": str, "download_url": str}
    if not isinstance(entry, dict) or any(not isinstance(entry.get(key), kind) for key, kind in expected.items()):
        found = str(entry)[:100]
        raise DataError(f"The deposit must state {', '.join(expected)} of each file; got {found}. Its interface may differ now.")
    if not _SAFE_NAME.fullmatch(entry["name"]):
        raise DataError(f"The deposit names a file {entry['name']!r}, which is not safe to write. Nothing was fetched.")
    return RemoteFile(entry["name"], check_url(entry["download_url"]), entry["size"], entry["computed_md5"])
