"""Questions to the archives' interfaces over HTTP, and their answers in one form."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

from isocortex.errors import FetchError
from isocortex.recordings.download import PASSING

# The environment's ISOCORTEX_API_<NAME> comes before these.
ROOTS = {
    "dandi": "https://api.dandiarchive.org/api",
    "osf": "https://api.osf.io/v2",
    "figshare": "https://api.figshare.com/v2",
    "gin": "https://gin.g-node.org",
    "openneuro": "https://s3.amazonaws.com/openneuro.org",
}


@dataclass(frozen=True)
class Resolved:
    """A file of an archive: its URL, and what the archive says that it is (None: it does not say).

    `md5` is left out where an ETag is none: those of uploads in several parts hold a '-'.
    """

    url: str
    sha256: str | None = None
    md5: str | None = None
    n_bytes: int | None = None
    version: str | None = None


@dataclass(frozen=True)
class Client:
    """Asks an archive; `roots` {archive: URL} replaces the addresses of its interface.

    `attempts`, `pause`, `timeout`: tries, seconds before the second (doubled each time), seconds without an answer.
    """

    roots: Mapping[str, str] = field(default_factory=dict)
    attempts: int = 3
    pause: float = 1.0
    timeout: float = 60.0

    def root(self, name: str) -> str | None:
        """The address of an archive's interface, without a slash at its end."""
        found = self.roots.get(name) or os.environ.get(f"ISOCORTEX_API_{name.upper()}") or ROOTS.get(name)
        return found.rstrip("/") if found else None

    def ask(self, method: str, url: str) -> requests.Response:
        """The answer 200 to a question; a `FetchError` of one line where there is none."""
        said = ""
        for attempt in range(1, self.attempts + 1):
            try:
                answer = requests.request(method, url, timeout=self.timeout, allow_redirects=True)
            except requests.RequestException as error:
                said = " ".join(str(error).split())[:200] or type(error).__name__
            else:
                if answer.status_code == 200:
                    return answer
                said = f"the archive answered {answer.status_code} {answer.reason}, expected 200"
                if answer.status_code not in PASSING:
                    break
            if attempt < self.attempts:
                time.sleep(self.pause * 2 ** (attempt - 1))
        raise FetchError(f"{url}: {said}; correct the url, check the network, or set ISOCORTEX_MIRROR")

    def json(self, url: str) -> Any:
        """The JSON of an answer."""
        answer = self.ask("GET", url)
        try:
            return answer.json()
        except ValueError:
            start = " ".join(answer.text.split())[:40]
            raise FetchError(
                f"{url}: the archive answered {start!r}, expected JSON; it may be down or have moved: try later, or set "
                "ISOCORTEX_MIRROR"
            ) from None


def take(answer: Any, url: str, *keys: str) -> Any:
    """The value under nested keys of an answer; a `FetchError` where the archive no longer answers so."""
    for key in keys:
        if not isinstance(answer, Mapping) or key not in answer:
            raise FetchError(
                f"{url}: the archive's answer has no {'.'.join(keys)!r}, expected it; its interface may have changed: set "
                "ISOCORTEX_MIRROR to a folder that holds the file"
            )
        answer = answer[key]
    return answer


def rows(answer: Any, url: str, *keys: str) -> list[Any]:
    """The list under nested keys of an answer."""
    found = take(answer, url, *keys)
    if not isinstance(found, list):
        raise FetchError(
            f"{url}: the archive answered {type(found).__name__}, expected a list; its interface may have changed: set "
            "ISOCORTEX_MIRROR to a folder that holds the file"
        )
    return found


def split(uri: str, n_names: int, form: str) -> list[str]:
    """The first `n_names` pieces after `scheme://` and the path after them; a `FetchError` where one is missing."""
    pieces = uri.partition("://")[2].partition("?")[0].split("/", n_names)
    if len(pieces) <= n_names or not all(pieces[:n_names]):
        raise FetchError(f"{uri}: found {len(pieces)} parts, expected {form}; correct the url")
    return pieces
