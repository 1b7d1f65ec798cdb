"""The server of the explorer answers this machine, with the token, for known paths, and nobody and nothing else."""

import re
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dina.checks import DataError
from dina.explorer.loopback import ExplorerServer, private_page, serve_run
from dina.explorer.packets import unpack


@pytest.fixture(scope="module")
def server(explorable: Path) -> Iterator[ExplorerServer]:
    with serve_run(explorable) as started:
        thread = threading.Thread(target=started.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield started
        started.shutdown()
        thread.join()


def ask(server: ExplorerServer, line: str, *headers: str, host: str | None = None) -> tuple[int, str, bytes]:
    """Send a request as it is written here; return status, headers and content of the answer."""
    named = [] if host == "" else [f"Host: {host or f'127.0.0.1:{server.port}'}"]
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall("\r\n".join([line, *named, *headers, "", ""]).encode("latin-1"))
        answer = b""
        while part := connection.recv(65536):
            answer += part
    head, _, content = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode("latin-1"), content


def test_page_and_packets_are_served_with_the_headers_of_the_page(server: ExplorerServer, explorable: Path) -> None:
    status, head, content = ask(server, f"GET /?token={server.token} HTTP/1.1")
    assert status == 200
    assert "default-src 'none'; script-src 'sha256-" in head
    assert "connect-src 'self'" in head
    assert "unsafe" not in head
    for header in ("X-Content-Type-Options: nosniff", "Referrer-Policy: no-referrer", "Cache-Control: no-store"):
        assert header in head
    assert "access-control" not in head.lower()
    assert "python" not in head.lower()
    assert b"packet-overview" not in content.replace(b"packet-${name}", b"")
    assert b"Simulated data" in content
    status, _, packet = ask(server, f"GET /packet/overview?token={server.token} HTTP/1.1", host=f"localhost:{server.port}")
    assert status == 200
    assert unpack(packet)[0]["left_out"] == []
    own = f"Origin: http://127.0.0.1:{server.port}"
    assert ask(server, f"GET /packet/maps-0?token={server.token} HTTP/1.1", own)[0] == 200


REFUSED = {
    "another host": ("GET /?token=TOKEN HTTP/1.1", (), "evil.com", 403),
    "another port": ("GET /?token=TOKEN HTTP/1.1", (), "127.0.0.1:1", 403),
    "the host alone": ("GET /?token=TOKEN HTTP/1.1", (), "127.0.0.1", 403),
    "no host": ("GET /?token=TOKEN HTTP/1.1", (), "", 400),
    "two hosts": ("GET /?token=TOKEN HTTP/1.1", ("Host: evil.com",), None, 400),
    "an opaque origin": ("GET /?token=TOKEN HTTP/1.1", ("Origin: null",), None, 403),
    "another origin": ("GET /?token=TOKEN HTTP/1.1", ("Origin: http://evil.com",), None, 403),
    "no token": ("GET / HTTP/1.1", (), None, 403),
    "a wrong token": ("GET /?token=TOKENx HTTP/1.1", (), None, 403),
    "a token and more": ("GET /?token=TOKEN&a=1 HTTP/1.1", (), None, 403),
    "no token for a packet": ("GET /packet/overview HTTP/1.1", (), None, 403),
    "up, encoded": ("GET /..%2f..%2fetc/passwd?token=TOKEN HTTP/1.1", (), None, 404),
    "up": ("GET /../../etc/passwd?token=TOKEN HTTP/1.1", (), None, 404),
    "up from a packet": ("GET /packet/../packet/overview?token=TOKEN HTTP/1.1", (), None, 404),
    "a file of the run": ("GET /summary.json?token=TOKEN HTTP/1.1", (), None, 404),
    "a folder": ("GET /packet/?token=TOKEN HTTP/1.1", (), None, 404),
    "an absolute address": ("GET http://evil.com/?token=TOKEN HTTP/1.1", (), None, 404),
    "an icon": ("GET /favicon.ico?token=TOKEN HTTP/1.1", (), None, 404),
    "POST": ("POST /?token=TOKEN HTTP/1.1", ("Content-Length: 0",), None, 405),
    "DELETE": ("DELETE /?token=TOKEN HTTP/1.1", (), None, 405),
    "HEAD": ("HEAD /?token=TOKEN HTTP/1.1", (), None, 405),
    "OPTIONS": ("OPTIONS /?token=TOKEN HTTP/1.1", ("Origin: http://evil.com",), None, 405),
    "a made-up method": ("<script>x /?token=TOKEN HTTP/1.1", (), None, 405),
    "an answer without headers": ("GET /?token=TOKEN", (), None, 400),
    "no request": ("rubbish", (), None, 400),
    "a long line": (f"GET /{'a' * 70_000} HTTP/1.1", (), None, 414),
    "many headers": ("GET /?token=TOKEN HTTP/1.1", tuple(f"A{n}: b" for n in range(200)), None, 431),
}


@pytest.mark.parametrize("case", REFUSED)
def test_everything_else_is_refused_with_a_status_and_nothing_more(server: ExplorerServer, case: str) -> None:
    line, headers, host, expected = REFUSED[case]
    status, head, content = ask(server, line.replace("TOKEN", server.token), *headers, host=host)
    assert status == expected
    assert content == b""
    assert "access-control" not in head.lower()
    assert server.token not in head


def test_it_listens_on_this_machine_alone_with_a_new_token_each_time(server: ExplorerServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{32}", server.address)
    with ExplorerServer("another", {}) as other:
        assert other.token != server.token
    with pytest.raises(DataError, match=rf"Port {server.port} cannot be used"):
        ExplorerServer("third", {}, server.port)


def test_the_file_that_a_browser_is_started_with_is_for_its_owner_alone_and_goes(server: ExplorerServer) -> None:
    with private_page(server.address) as page:
        assert page.stat().st_mode & 0o077 == page.parent.stat().st_mode & 0o077 == 0
        assert f'url={server.address}"' in page.read_text(encoding="utf-8")
        assert server.token not in page.as_uri()
    assert not page.parent.exists()


def test_a_browser_that_stops_reading_does_not_stop_the_server(server: ExplorerServer, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            line = f"GET /packet/maps-0?token={server.token} HTTP/1.1"
            connection.sendall(f"{line}\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # hang up at once
    assert ask(server, f"GET /?token={server.token} HTTP/1.1")[0] == 200
    assert capfd.readouterr() == ("", "")  # nothing is logged: addresses hold the token
