"""A download that is interrupted goes on, one that is wrong is refused, and none is spliced from two versions."""

import fcntl
import hashlib
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import numpy as np
import pytest

from dina.checks import DataError
from dina.recordings import download
from dina.recordings.download import RemoteFile, check_url, download_file, list_figshare
from file_server import FileServer, Served, serving

CONTENT = np.random.default_rng(0).bytes(300_000)
OTHER = np.random.default_rng(1).bytes(300_000)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as running:
        yield running


def remote(server: FileServer, content: bytes = CONTENT) -> RemoteFile:
    return RemoteFile("a.mat", f"{server.url}/a.mat", len(content), hashlib.md5(content).hexdigest())


def fetch(file: RemoteFile, folder: Path) -> bytes:
    download_file(file, folder / "a.mat", folder / "a.mat.part", wait_s=0.0)
    left = sorted(p.name for p in folder.iterdir())
    assert left == ["a.mat"]  # no part, no mark, no lock
    return (folder / "a.mat").read_bytes()


def asked(server: FileServer) -> list[str]:
    return [span for _, span in server.requests]


def test_a_file_arrives_whole(server: FileServer, tmp_path: Path) -> None:
    server.files["/a.mat"] = Served(CONTENT)
    assert fetch(remote(server), tmp_path) == CONTENT
    assert asked(server) == [""]


def test_a_broken_connection_goes_on_where_it_stopped(server: FileServer, tmp_path: Path) -> None:
    server.files["/a.mat"] = Served(CONTENT, breaks_after=[100_000, 50_000])
    assert fetch(remote(server), tmp_path) == CONTENT
    assert asked(server) == ["", "bytes=100000-", "bytes=150000-"]


def test_a_later_call_goes_on_from_the_part_of_an_earlier_one(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["/a.mat"] = Served(CONTENT, breaks_after=[100_000])
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    with pytest.raises(DataError, match=r"a.mat could not be fetched from 127.0.0.1: .* it goes on where it stopped"):
        fetch(remote(server), tmp_path)
    assert not (tmp_path / "a.mat").exists()
    assert fetch(remote(server), tmp_path) == CONTENT
    assert asked(server) == ["", "bytes=100000-"]


def test_a_server_without_ranges_starts_anew(server: FileServer, tmp_path: Path) -> None:
    server.files["/a.mat"] = Served(CONTENT, breaks_after=[100_000], ranges=False)
    assert fetch(remote(server), tmp_path) == CONTENT


def test_another_version_is_never_appended(server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.files["/a.mat"] = Served(CONTENT, breaks_after=[100_000])
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    with pytest.raises(DataError, match="could not be fetched"):
        fetch(remote(server), tmp_path)
    server.files["/a.mat"] = Served(OTHER, etag='"v2"')
    assert fetch(RemoteFile("a.mat", f"{server.url}/a.mat"), tmp_path) == OTHER  # no size, no checksum to save us


def test_without_a_strong_mark_of_the_version_nothing_is_resumed(server: FileServer, tmp_path: Path) -> None:
    server.files["/a.mat"] = Served(CONTENT, etag='W/"weak"', breaks_after=[100_000])
    assert fetch(remote(server), tmp_path) == CONTENT
    assert asked(server) == ["", ""]


def test_a_range_from_another_place_is_thrown_away(server: FileServer, tmp_path: Path) -> None:
    server.files["/a.mat"] = Served(CONTENT, breaks_after=[100_000], wrong_range=True)
    assert fetch(RemoteFile("a.mat", f"{server.url}/a.mat"), tmp_path) == CONTENT
    assert asked(server) == ["", "bytes=100000-", ""]


def test_a_range_the_server_refuses_starts_anew(server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.files["/a.mat"] = Served(CONTENT, breaks_after=[100_000])
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    with pytest.raises(DataError, match="could not be fetched"):
        fetch(remote(server), tmp_path)
    monkeypatch.undo()
    server.files["/a.mat"].status = [416]
    assert fetch(remote(server), tmp_path) == CONTENT
    assert asked(server) == ["", "bytes=100000-", ""]


def test_a_busy_server_is_asked_again(server: FileServer, tmp_path: Path) -> None:
    server.files["/a.mat"] = Served(CONTENT, status=[503, 429])
    assert fetch(remote(server), tmp_path) == CONTENT


REFUSED: dict[str, tuple[Callable[[str], Served], str]] = {
    "a flipped byte": (
        lambda url: Served(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])),
        "MD5 expected .*, got .*The download was removed",
    ),
    "another size": (
        lambda url: Served(CONTENT + b"x"),
        "must have 300000 bytes according to the deposit; the server offers 300001",
    ),
    "no bytes": (lambda url: Served(b""), "the server offers 0"),
    "a web page": (lambda url: Served(CONTENT, content_type="text/html; charset=utf-8"), "sent a web page instead of the file"),
    "gzip unasked": (lambda url: Served(CONTENT, encoding="gzip"), "gzip-encoded, unasked"),
    "not there": (lambda url: Served(CONTENT, status=[404]), "HTTP Error 404"),
    "a redirect to a file": (
        lambda url: Served(b"", location="file:///etc/passwd"),
        r"over https only; got 'file:///etc/passwd'|not allowed",
    ),
    "a redirect to plain http": (
        lambda url: Served(b"", location="http://example.org/a.mat"),
        "over https only; got 'http://example.org",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_the_file_is_refused_and_leaves_nothing(case: str, server: FileServer, tmp_path: Path) -> None:
    make, message = REFUSED[case]
    server.files["/a.mat"] = make(server.url)
    with pytest.raises(DataError, match=message):
        fetch(remote(server), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_connection_slower_than_a_crawl_is_given_up(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "ATTEMPTS", 1)  # what arrives is kept, so that several attempts might finish
    monkeypatch.setattr(download, "STALL_S", -1.0)  # every moment counts as a minute …
    monkeypatch.setattr(download, "MIN_BYTES_PER_S", 1e15)  # … and no speed is enough
    server.files["/a.mat"] = Served(CONTENT)
    with pytest.raises(DataError, match=r"only \d+ bytes arrived in \d+ s"):
        fetch(remote(server), tmp_path)


@pytest.mark.parametrize("what", ["head", "body"])
def test_a_server_that_sends_a_byte_at_a_time_is_given_up(
    what: str, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    monkeypatch.setattr(download, "STALL_S", 0.1)
    monkeypatch.setattr(download, "ANSWER_S", 0.1)
    server.files["/a.mat"] = server.files["/article/files"] = Served(b"", trickles=what)
    with pytest.raises(DataError, match=r"a.mat could not be fetched from 127.0.0.1"):
        fetch(RemoteFile("a.mat", f"{server.url}/a.mat"), tmp_path)
    with pytest.raises(DataError, match=r"The deposit at .* could not be reached"):
        list_figshare(f"{server.url}/article")


def test_an_empty_file_of_unknown_size_is_refused(server: FileServer, tmp_path: Path) -> None:
    server.files["/a.mat"] = Served(b"")
    with pytest.raises(DataError, match="must hold something; the server sends 0 bytes"):
        fetch(RemoteFile("a.mat", f"{server.url}/a.mat"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_redirect_from_https_to_plain_http_is_refused_also_on_this_machine(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HTTPSConnection, "connect", HTTPConnection.connect)  # without encryption, for which there is no server
    server.files["/a.mat"] = Served(b"", location=f"{server.url}/b.mat")
    server.files["/b.mat"] = Served(CONTENT)
    with pytest.raises(DataError, match=r"redirects from https to 'http://127\.0\.0\.1"):
        fetch(RemoteFile("a.mat", f"{server.url}/a.mat".replace("http:", "https:")), tmp_path)


def test_a_redirect_on_the_same_machine_is_followed(server: FileServer, tmp_path: Path) -> None:
    server.files["/a.mat"] = Served(b"", location=f"{server.url}/b.mat")
    server.files["/b.mat"] = Served(CONTENT, breaks_after=[100_000])
    assert fetch(remote(server), tmp_path) == CONTENT
    assert asked(server) == ["", "", "bytes=100000-", "bytes=100000-"]


def test_two_processes_do_not_write_one_download(server: FileServer, tmp_path: Path) -> None:
    server.files["/a.mat"] = Served(CONTENT)
    with (tmp_path / "a.mat.part.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="Another process is fetching the same file"):
            fetch(remote(server), tmp_path)
    assert fetch(remote(server), tmp_path) == CONTENT


@pytest.mark.parametrize(
    "url", ["http://api.figshare.com/x", "file:///etc/passwd", "ftp://127.0.0.1/x", "http://127.0.0.1.evil.org/x"]
)
def test_only_https_or_this_machine_may_be_asked(url: str) -> None:
    with pytest.raises(DataError, match="over https only"):
        check_url(url)
    assert check_url("https://api.figshare.com/v2") == "https://api.figshare.com/v2"
