"""A server on this machine that misbehaves when told to."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Site:
    """What is served, what has gone wrong so far, and what was asked for."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    failures: list[int] = field(default_factory=list)  # status codes of the next answers
    cut: list[int] = field(default_factory=list)  # bytes after which the next answers break off
    ranges: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)  # path, Range


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            site.asked.append((self.path, asked))
            if site.failures:
                return self._end(site.failures.pop(0))
            if self.path not in site.files:
                return self._end(404)
            body = site.files[self.path]
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and site.ranges else 0
            if start and start >= len(body):
                return self._end(416, {"Content-Range": f"bytes */{len(body)}"})
            headers = {"Content-Length": str(len(body) - start)}
            if start:
                headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            self._head(206 if start else 200, headers)
            self.wfile.write(body[start : start + site.cut.pop(0)] if site.cut else body[start:])
            return None

        def _head(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def _end(self, status: int, headers: dict[str, str] | None = None) -> None:
            self._head(status, {"Content-Length": "0"} | (headers or {}))

    return Handler


@contextmanager
def serving() -> Iterator[Site]:
    """A site on 127.0.0.1 for the length of a test."""
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An empty site; proxies of the surroundings are left out."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as found:
        yield found
