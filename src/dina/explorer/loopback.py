"""A server for the explorer on this machine alone: a few known paths, behind a token in the address."""

import hmac
import html
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from dina.checks import DataError
from dina.explorer.compute import EVERYTHING, gather, name_of
from dina.explorer.kept_maps import KEPT, read_kept
from dina.explorer.page import page_text, policy_of
from dina.study.run_directory import read_finished
from dina.study.shown_once import as_shown

ADDRESS = "127.0.0.1"
NAMES = (ADDRESS, "localhost")
NONE: Mapping[str, str] = MappingProxyType({})
SECONDS = 10.0  # for a request to arrive
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # the token is in the address
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class ExplorerServer(ThreadingHTTPServer):
    """Serves the page and the packets of one run from memory; nothing is read from the disk, nothing can be changed.

    It listens on 127.0.0.1. A request is answered if it is a GET that names this machine and port as host, comes from no other
    page, and has the token in its address; and if its path is one of those known. Anything else gets a status and no content.

    Parameters
    ----------
    name
        Of the recording.
    packets
        What `dina.explorer.compute.gather` returned.
    port
        0 for one that is free.
    is_simulated
        Whether the page says so.

    Attributes
    ----------
    address
        What to open in a browser, token included.

    Raises
    ------
    DataError
        If the port is taken.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, name: str, packets: Mapping[str, bytes], port: int = 0, *, is_simulated: bool = False) -> None:
        page = page_text(name, {}, is_simulated=is_simulated).encode()
        self.answers = {"/": ("text/html; charset=utf-8", page)}
        self.answers |= {f"/packet/{key}": ("application/octet-stream", content) for key, content in packets.items()}
        self.token = secrets.token_urlsafe(24)
        try:
            super().__init__((ADDRESS, port), _Handler)
        except OSError as error:
            raise DataError(
                f"Port {port} cannot be used ({error.strerror}). Choose another --port, or 0 for a free one."
            ) from error
        self.port = self.server_address[1]
        self.address = f"http://{ADDRESS}:{self.port}/?token={self.token}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that went away."""


@contextmanager
def private_page(address: str) -> Iterator[Path]:
    """Give a file that leads to an address and that no other user can read; it goes with the server.

    A browser is started with the file and not with the address: every user of a machine can read command lines, and with them a token.
    """
    with tempfile.TemporaryDirectory(prefix="dina-explore-") as folder:  # for its owner alone
        page = Path(folder) / "explorer.html"
        page.touch(mode=0o600)
        link = html.escape(address)
        page.write_text(
            f'<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer"><title>Explorer</title>'
            f'<meta http-equiv="refresh" content="0; url={link}"><p><a href="{link}">Explorer</a></p>\n',
            encoding="utf-8",
        )
        yield page


def serve_run(run: Path, port: int = 0) -> ExplorerServer:
    """Return a server for all of a run whose maps and responses are kept; it answers once its ``serve_forever`` is called.

    Raises
    ------
    DataError
        If the port is taken, maps and responses are not kept, or a file of the run is not as it was written.
    """
    content = read_finished(run)
    kept = read_kept(content)
    if kept is None:
        raise DataError(f"{run} must hold {KEPT} to be served; it does not. Write its explorer first.")
    return ExplorerServer(name_of(content), gather(as_shown(content), kept, EVERYTHING), port, is_simulated=content.is_simulated)


class _Handler(BaseHTTPRequestHandler):
    server: ExplorerServer
    timeout = SECONDS
    policy: ClassVar[str] = policy_of(is_served=True) + "; frame-ancestors 'none'"

    def parse_request(self) -> bool:
        """Refuse every method but GET before anything else is looked at."""
        if not super().parse_request():
            return False
        if self.request_version == "HTTP/0.9":  # its answers have no headers
            self._answer(400)
            return False
        if self.command != "GET":
            self._answer(405, more={"Allow": "GET"})
            return False
        return True

    def do_GET(self) -> None:
        """Answer one request."""
        hosts = self.headers.get_all("Host") or []
        origins = self.headers.get_all("Origin") or []
        allowed = {f"{name}:{self.server.port}" for name in NAMES}
        path, _, query = self.path.partition("?")
        has_token = hmac.compare_digest(query.encode("utf-8", "replace"), f"token={self.server.token}".encode())
        if len(hosts) != 1:
            self._answer(400)
        elif hosts[0] not in allowed or not {f"http://{name}" for name in allowed}.issuperset(origins) or not has_token:
            self._answer(403)
        elif path not in self.server.answers:  # as it was written: nothing is decoded, nothing is a path of a file
            self._answer(404)
        else:
            self._answer(200, *self.server.answers[path])

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Send a status without repeating anything of the request."""
        self._answer(code)

    def _answer(
        self, status: int, kind: str = "text/plain; charset=utf-8", content: bytes = b"", more: Mapping[str, str] = NONE
    ) -> None:
        self.request_version = "HTTP/1.0"
        self.send_response_only(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Content-Security-Policy": self.policy,
            "Connection": "close",
        }
        for name, value in {**headers, **_HEADERS, **more}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        self.close_connection = True

    def log_message(self, format: str, *words: Any) -> None:
        """Log nothing: addresses hold the token."""
