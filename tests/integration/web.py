"""A web server on loopback that plays what a test tells it, misbehaviour included.

Belongs here: the server and its answers. Does not belong here: what a client should make of them.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Reply:
    """One answer.

    Attributes
    ----------
    status : int
    body : bytes
    headers : dict
        Beside the content type; a ``Content-Length`` given here is told instead of the true one.
    type : str
    cut : int, optional
        The connection ends after so many bytes of the body.
    chunked : bool
        Without a length; with ``cut`` the last chunk never comes.
    silent : bool
        Nothing is answered until the client goes away.
    endless : bool
        Neither length nor chunks.
    pause : float
        Seconds between one byte of the body and the next.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    type: str = "application/json"
    cut: int | None = None
    chunked: bool = False
    silent: bool = False
    endless: bool = False
    pause: float = 0


@dataclass
class Web:
    """What the server answers and what it was asked.

    Attributes
    ----------
    url : str
    replies : dict
        Path to the answers that come next; the last one stays.
    asked : list
        Path with query, and headers, of every request.
    """

    url: str
    replies: dict[str, deque[Reply]] = field(default_factory=lambda: defaultdict(deque))
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def answer(self, path: str, *replies: Reply) -> None:
        """Set what a path answers from now on."""
        self.replies[path] = deque(replies)

    def next_reply(self, path: str) -> Reply:
        waiting = self.replies.get(path)
        if not waiting:
            return Reply(404, b"no such file", type="text/html")
        return waiting.popleft() if len(waiting) > 1 else waiting[0]


@contextmanager
def web_server() -> Iterator[Web]:
    """Run a server on a free port of 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            # A client that has gone away is what some tests are about.
            with suppress(ConnectionError):
                super().handle()

        def do_GET(self) -> None:
            web.asked.append((self.path, dict(self.headers)))
            reply = web.next_reply(urlsplit(self.path).path)
            self.close_connection = True
            if reply.silent:
                web.closing.wait(10)
                return
            etag = reply.headers.get("ETag")
            if etag and self.headers.get("If-None-Match") == etag:
                self.send_response(304)
                self.end_headers()
                return
            self.send_response(reply.status)
            headers = {"Content-Type": reply.type, "Connection": "close", **reply.headers}
            if reply.chunked:
                headers["Transfer-Encoding"] = "chunked"
            elif not reply.endless:
                headers.setdefault("Content-Length", str(len(reply.body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            body = reply.body if reply.cut is None else reply.body[: reply.cut]
            if reply.chunked:
                body = b"%x\r\n%s\r\n" % (len(body), body) + (b"" if reply.cut is not None else b"0\r\n\r\n")
            for part in [body] if not reply.pause else [bytes([byte]) for byte in body]:
                self.wfile.write(part)
                if web.closing.wait(reply.pause):
                    break

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web = Web(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        web.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
