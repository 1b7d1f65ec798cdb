"""A web server on this machine that hands out bytes well or badly, for tests of downloading."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass
class Served:
    """One address and how it behaves.

    ``breaks_after`` lists, request by request, after how many bytes the connection breaks; ``wrong_range`` answers
    a Range request from another offset; ``ranges`` False answers it with the whole file.
    """

    content: bytes
    etag: str = '"v1"'
    content_type: str = "application/octet-stream"
    breaks_after: list[int] = field(default_factory=list)
    ranges: bool = True
    wrong_range: bool = False
    status: list[int] = field(default_factory=list)
    location: str = ""
    trickles: str = ""  # "head" or "body": a byte at a time, without end
    encoding: str = ""


class FileServer:
    """What is served, by path without query, and what was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.requests: list[tuple[str, str]] = []
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        asked = handler.headers.get("Range", "")
        self.requests.append((handler.path, asked))
        served = self.files.get(handler.path.partition("?")[0])
        if served is None or served.status:
            handler.send_error(404 if served is None else served.status.pop(0))
            return
        if served.trickles:
            _trickle(handler, served.trickles)
            return
        if served.location:
            handler.send_response(302)
            handler.send_header("Location", served.location)
            handler.end_headers()
            return
        begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        resumes = bool(asked) and served.ranges and handler.headers.get("If-Range") == served.etag
        if not resumes:
            begin = 0
        elif served.wrong_range:
            begin -= 10
        body, total = served.content[begin:], len(served.content)
        if resumes and served.wrong_range:
            body = body[:-10]  # appended, the sizes would agree: only the stated offset tells
        handler.send_response(206 if resumes else 200)
        if resumes:
            handler.send_header("Content-Range", f"bytes {begin}-{total - 1}/{total}")
        headers = {"Content-Length": str(len(body)), "Content-Type": served.content_type, "ETag": served.etag}
        for name, value in {**headers, "Content-Encoding": served.encoding}.items():
            if value:
                handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body[: served.breaks_after.pop(0)] if served.breaks_after else body)
        handler.close_connection = True

    def list_files(self, entries: list[dict[str, Any]]) -> None:
        """Serve the deposit's list of files."""
        self.files["/article/files"] = Served(json.dumps(entries).encode(), content_type="application/json")


def _trickle(handler: BaseHTTPRequestHandler, what: str) -> None:
    """Send a byte at a time until the other side hangs up."""
    handler.wfile.write(
        b"HTTP/1.1 200 OK\r\nX-Slow: " if what == "head" else b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
    )
    try:
        while True:
            handler.wfile.write(b"x")
            time.sleep(0.01)
    except OSError:
        handler.close_connection = True


@contextmanager
def serving() -> Iterator[FileServer]:
    """Run a server on a free port of 127.0.0.1 for as long as the block lasts."""
    server = FileServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_port}"
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        http.shutdown()
        thread.join()
