"""Servers that lie, break off or send something else: one line is said, and nothing half-written is taken for a file."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from isocortex.errors import FetchError
from isocortex.recordings.download import Downloader
from isocortex.recordings.fetch import Places, fetch_dataset

BODY = bytes(range(256)) * 40
SHA = hashlib.sha256(BODY).hexdigest()
PAGE = b"\n <!DOCTYPE html><html><body>Please log in</body></html>"


class Server:
    """Gives its answers (status, headers, body[, seconds before the body]) one after the other, the last one for ever."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: list[tuple] = []
        self.asked: list[str] = []

    def says(self, status: int, body: bytes = b"", seconds: float = 0.0, **headers: str) -> None:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        self.answers.append((status, named, body, seconds))


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            found.asked.append(f"{self.path} {self.headers.get('Range', '')}".strip())
            status, headers, body, seconds = found.answers.pop(0) if len(found.answers) > 1 else found.answers[0]
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            over.wait(seconds)
            self.wfile.write(body)

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    found = Server(f"http://127.0.0.1:{running.server_address[1]}")
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield found
    over.set()
    running.shutdown()
    running.server_close()
    thread.join()


def fetch(tmp_path: Path, url: str, **file: object) -> dict:
    entry = {"files": {"x.nii.gz": {"url": url, **file}}, "stimuli": {}}
    return fetch_dataset(entry, Places("d", tmp_path / "d", progress=False, pause=0.0))["files"]["x.nii.gz"]


def refused(tmp_path: Path, url: str, text: str, **file: object) -> None:
    """The fetch ends in one line that says `text`, and no file is there."""
    with pytest.raises(FetchError, match=text) as error:
        fetch(tmp_path, url, **file)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "d/x.nii.gz").exists()


def test_a_length_that_is_too_long(tmp_path, server):
    server.says(200, BODY, Content_Length=str(len(BODY) + 7))
    refused(tmp_path, f"{server.url}/x", rf"\(5 attempts, {len(BODY)} bytes kept in .*x\.nii\.gz\.part\)")


def test_a_length_that_is_too_long_of_a_file_that_is_whole(tmp_path, server):
    server.says(200, BODY, Content_Length=str(len(BODY) + 7))
    server.says(416, Content_Range=f"bytes */{len(BODY)}")
    assert fetch(tmp_path, f"{server.url}/x", sha256=SHA)["bytes"] == len(BODY)
    assert server.asked == ["/x", f"/x bytes={len(BODY)}-"]


def test_a_length_that_is_too_short(tmp_path, server):
    server.says(200, BODY, Content_Length=str(len(BODY) - 7))
    refused(tmp_path, f"{server.url}/x", f"truncated, found {len(BODY) - 7} bytes, expected {len(BODY)}", bytes=len(BODY))
    refused(tmp_path, f"{server.url}/x", f"sha256 found .*, expected {SHA}; deleted", sha256=SHA)
    assert list((tmp_path / "d").iterdir()) == []


def test_a_connection_dropped_midway_is_taken_up_at_its_place(tmp_path, server):
    server.says(200, BODY[:1000], Content_Length=str(len(BODY)))
    server.says(206, BODY[1000:3000], Content_Length=str(len(BODY) - 1000), Content_Range=f"bytes 1000-{len(BODY) - 1}/*")
    server.says(206, BODY[3000:], Content_Range=f"bytes 3000-{len(BODY) - 1}/*")
    assert fetch(tmp_path, f"{server.url}/x", sha256=SHA)["sha256"] == SHA
    assert server.asked == ["/x", "/x bytes=1000-", "/x bytes=3000-"]


def test_a_connection_taken_up_at_another_place_starts_again(tmp_path, server):
    server.says(200, BODY[:1000], Content_Length=str(len(BODY)))
    server.says(206, BODY[500:], Content_Range=f"bytes 500-{len(BODY) - 1}/*")
    server.says(200, BODY)
    assert fetch(tmp_path, f"{server.url}/x", sha256=SHA)["sha256"] == SHA
    assert server.asked == ["/x", "/x bytes=1000-", "/x"]


def test_a_page_instead_of_a_file(tmp_path, server):
    server.says(200, PAGE)
    text = r"/x: an HTML page, not x\.nii\.gz; the archive may ask for a login or have moved"
    refused(tmp_path, f"{server.url}/x", text)
    assert len(server.asked) == 1
    server.answers.clear()
    server.says(200, b"<p>Sign in", Content_Type="text/html; charset=utf-8")
    refused(tmp_path, f"{server.url}/x", text)


def test_a_page_is_not_kept_for_the_next_run(tmp_path, server):
    server.says(200, PAGE)
    refused(tmp_path, f"{server.url}/x", "an HTML page")
    server.answers.clear()
    server.says(200, BODY)
    assert fetch(tmp_path, f"{server.url}/x")["sha256"] == SHA
    assert server.asked == ["/x", "/x"]


def test_a_binary_that_is_called_a_page_is_a_file(tmp_path, server):
    server.says(200, BODY, Content_Type="text/html")
    assert fetch(tmp_path, f"{server.url}/x")["sha256"] == SHA


def test_a_pointer_instead_of_a_file(tmp_path, server):
    server.says(200, b"/annex/objects/SHA256E-s99--00ff.nii.gz\n")
    refused(tmp_path, f"{server.url}/x", r"a pointer of git-annex, not x\.nii\.gz; .* with datalad")


def test_a_login_behind_a_redirect_is_named_by_its_address(tmp_path, server):
    server.says(302, Location=f"{server.url}/login")
    server.says(200, PAGE)
    refused(tmp_path, f"{server.url}/x", f"{server.url}/login: an HTML page")


def test_a_redirect_leads_to_the_file(tmp_path, server):
    server.says(302, Location=f"{server.url}/there")
    server.says(200, BODY)
    found = fetch(tmp_path, f"{server.url}/x")
    assert found == {"sha256": SHA, "bytes": len(BODY), "source": f"{server.url}/x"}


def test_redirects_without_end(tmp_path, server):
    server.says(302, Location=f"{server.url}/x")
    refused(tmp_path, f"{server.url}/x", "Exceeded 30 redirects.*; correct the url or set ISOCORTEX_MIRROR")


@pytest.mark.parametrize("status", [401, 403, 410])
def test_what_is_refused_for_good(tmp_path, server, status):
    server.says(status)
    refused(tmp_path, f"{server.url}/x", f"/x: the server answered {status} .*, expected 200; correct the url")
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_fails_every_time(tmp_path, server, status):
    server.says(status)
    refused(tmp_path, f"{server.url}/x", rf"the server answered {status} .* \(5 attempts, 0 bytes kept")
    assert len(server.asked) == 5


def test_a_server_that_falls_silent(tmp_path, server):
    server.says(200, BODY, seconds=30.0)
    start = time.monotonic()
    with pytest.raises(FetchError, match=r"timed out.* \(2 attempts, 0 bytes kept in .*; check the network and run again"):
        Downloader(tmp_path / "x.part", attempts=2, pause=0.0, timeout=0.1, progress=False)(f"{server.url}/x", tmp_path / "x")
    assert time.monotonic() - start < 10
    assert not (tmp_path / "x").exists()


def test_a_folder_is_not_taken_for_whole_when_it_broke_off(tmp_path, server, monkeypatch):
    monkeypatch.setenv("ISOCORTEX_API_S3", server.url)
    listing = b"<R><Contents><Key>p/a</Key><Size>3</Size></Contents><Contents><Key>p/b</Key><Size>3</Size></Contents></R>"
    for status, body in ((200, listing), (200, b"aaa"), (403, b"")):
        server.says(status, body)
    with pytest.raises(FetchError, match="/b/p/b: the server answered 403"):
        fetch(tmp_path, "s3://b/p/")
    server.answers.clear()
    for body in (listing, b"bbb"):
        server.says(200, body)
    assert fetch(tmp_path, "s3://b/p/")["bytes"] == 6
    assert [asked.split("?")[0] for asked in server.asked[-2:]] == ["/b/", "/b/p/b"]
