"""One file over HTTP: streamed, resumed where a run before it stopped, tried again while that can help."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

import requests
from tqdm import tqdm
from urllib3.exceptions import HTTPError

from isocortex.errors import FetchError
from isocortex.recordings.paths import describe
from isocortex.storage.atomic import digest_file

BLOCK = 1 << 18
BEGINNING = 512  # bytes that tell a page from a file
# Answers that another attempt may turn into a file; every other error is final.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


# Digests that archives give for the whole file; ours is the SHA-256.
DIGESTS = {"sha256": digest_file, "sha1": lambda path: _digest(path, "sha1"), "md5": lambda path: _digest(path, "md5")}
PAGES = (b"<!doctype html", b"<html")


def _digest(path: Path, name: str) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.new(name, usedforsecurity=False)).hexdigest()


def wrong(path: Path, expected: Mapping[str, Any], sha256: str | None = None, size: int | None = None) -> str:
    """What of {bytes, sha256, sha1, md5} is another at `path` than `expected` says (None: nothing is said); "" where all agree.

    Of a folder bytes and SHA-256 are those of `paths.describe`. `sha256` and `size` are given where they are known already.
    """
    if path.is_dir():
        sha256, size = describe(path)
    size = path.stat().st_size if size is None else size
    if expected.get("bytes") is not None and size != expected["bytes"]:
        return f"bytes found {size}, expected {expected['bytes']}"
    for name, digest in DIGESTS.items():
        if expected.get(name) is not None and (name == "sha256" or not path.is_dir()):
            found = sha256 if name == "sha256" and sha256 else digest(path)
            if found != expected[name]:
                return f"{name} found {found}, expected {expected[name]}"
    return ""


class _TryAgainError(Exception):
    """An attempt that failed in a way that the next may not."""


@dataclass(frozen=True)
class Downloader:
    """Downloads a URL through `<file>.part`, which outlives a killed run and is resumed by HTTP Range.

    Calling it as `downloader(url, file, pooch)` is pooch's protocol, so that `pooch.retrieve` may use it.

    Parameters
    ----------
    part : the file that holds what has arrived so far.
    sha256, sha1, md5, n_bytes : what the whole file must be, where known.
    attempts, pause, timeout : tries, seconds before the second one (doubled each time), seconds without a byte.
    """

    part: Path
    sha256: str | None = None
    n_bytes: int | None = None
    attempts: int = 5
    pause: float = 1.0
    timeout: float = 60.0
    progress: bool = True
    sha1: str | None = None
    md5: str | None = None

    def __call__(
        self,
        fname: str,
        action: str | os.PathLike[str] | None,
        pooch: Any = None,  # noqa: ARG002
        *,
        check_only: bool | None = None,  # noqa: ARG002
    ) -> None:
        """Download the URL `fname` to the file `action`; names and the unused arguments are those of pooch's protocol.

        Raises `FetchError` where the server refuses, the connection keeps breaking, or size or digest are others than expected.
        """
        url, output_file = fname, Path(action or self.part.with_suffix(""))
        self.part.parent.mkdir(parents=True, exist_ok=True)
        with _alone(self.part) as stream:
            resumed = stream.seek(0, 2) > 0
            self._complete(url, stream)
            wrong = self._wrong(stream)
            if wrong and resumed:
                # What was there before may stem from another version of the file: once more, from nothing.
                stream.truncate(0)
                self._complete(url, stream)
                wrong = self._wrong(stream)
            if wrong:
                self.part.unlink()
                raise FetchError(f"{url}: {wrong}; deleted; run again, and if it persists the file has changed at its source")
            self.part.replace(output_file)

    def _wrong(self, stream: IO[bytes]) -> str:
        stream.flush()
        size = stream.seek(0, 2)
        if self.n_bytes is not None and size != self.n_bytes:
            kind = "truncated, " if size < self.n_bytes else ""
            return f"{kind}found {size} bytes, expected {self.n_bytes}"
        return wrong(self.part, {"sha256": self.sha256, "sha1": self.sha1, "md5": self.md5})

    def _complete(self, url: str, stream: IO[bytes]) -> None:
        """Attempts until one reaches the end of the file."""
        for attempt in range(1, self.attempts + 1):
            try:
                self._attempt(url, stream)
            except (
                _TryAgainError,
                requests.ConnectionError,
                requests.Timeout,
                requests.exceptions.ChunkedEncodingError,
            ) as error:
                stream.flush()
                if attempt == self.attempts:
                    raise FetchError(
                        f"{url}: {_short(error)} ({self.attempts} attempts, {stream.seek(0, 2)} bytes kept in {self.part}); "
                        "check the network and run again (it resumes), or set ISOCORTEX_MIRROR to a folder that holds the file"
                    ) from error
                time.sleep(self.pause * 2 ** (attempt - 1))
            except requests.RequestException as error:
                raise FetchError(f"{url}: {_short(error)}; correct the url or set ISOCORTEX_MIRROR") from error
            else:
                return

    def _attempt(self, url: str, stream: IO[bytes]) -> None:
        start = stream.seek(0, 2)
        # Identity keeps the bytes as stored: offsets into a compressed transfer would mean nothing.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        with requests.get(url, headers=headers, stream=True, timeout=self.timeout) as answer:
            if answer.status_code == 416:
                total = re.fullmatch(r"bytes \*/(\d+)", answer.headers.get("Content-Range", ""))
                if total and int(total[1]) == start:
                    return
                stream.truncate(0)
                raise _TryAgainError("the server refused to resume")
            if answer.status_code in PASSING:
                raise _TryAgainError(f"the server answered {answer.status_code} {answer.reason}")
            if answer.status_code not in (200, 206):
                raise FetchError(
                    f"{url}: the server answered {answer.status_code} {answer.reason}, expected 200; "
                    "correct the url or set ISOCORTEX_MIRROR"
                )
            if answer.status_code == 200 or not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                if answer.status_code == 206:
                    stream.truncate(0)
                    raise _TryAgainError("the server resumed at another place than asked")
                start = stream.seek(0)
                stream.truncate(0)
            self._receive(answer, stream, start)

    def _receive(self, answer: requests.Response, stream: IO[bytes], start: int) -> None:
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length and length.isdigit() else self.n_bytes
        name = self.part.name.removesuffix(".part")
        with tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=name, disable=not self.progress) as bar:
            # What has arrived is kept, however little: a full block may never come.
            first = b""
            while block := self._read(answer):
                if start == 0 and len(first) < BEGINNING:  # a server may send its first bytes one by one
                    first += block
                    self._refuse_page(first, answer, name)
                stream.write(block)
                bar.update(len(block))
        size = stream.seek(0, 2)
        if length and total is not None and size < total:
            raise _TryAgainError(f"the connection ended at {size} of {total} bytes")

    @staticmethod
    def _refuse_page(block: bytes, answer: requests.Response, name: str) -> None:
        """What servers send with 200 instead of the file: a page to log in, or a pointer of git-annex."""
        start = block[:BEGINNING].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
        says_page = "text/html" in answer.headers.get("Content-Type", "") and start.startswith(b"<")
        if (says_page or start.startswith(PAGES)) and PurePosixPath(name).suffix.lower() not in (".html", ".htm"):
            raise FetchError(
                f"{answer.url}: an HTML page, not {name}; the archive may ask for a login or have moved: correct the url, or "
                "download the file by hand and set ISOCORTEX_MIRROR to a folder that holds it"
            )
        if start.startswith(b"/annex/objects/"):
            raise FetchError(
                f"{answer.url}: a pointer of git-annex, not {name}; the server does not hold the content: fetch it with "
                "datalad and set ISOCORTEX_MIRROR to a folder that holds it"
            )

    @staticmethod
    def _read(answer: requests.Response) -> bytes:
        try:
            return answer.raw.read1(BLOCK)
        except (HTTPError, OSError) as error:
            raise _TryAgainError(_short(error)) from error


def _short(error: Exception) -> str:
    """One line of a library's error."""
    return " ".join(str(error).split())[:200] or type(error).__name__


@contextmanager
def _alone(part: Path) -> Iterator[IO[bytes]]:
    """The part file, open for reading and writing, locked against a second run."""
    with open(part, "a+b") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FetchError(f"{part}: another run is downloading this file; wait for it, or stop it") from None
        yield stream
