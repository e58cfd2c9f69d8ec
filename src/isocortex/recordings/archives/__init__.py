"""Addresses of archives (`s3://…`, `dandi://…`) as URLs of files, with what the archive says of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from isocortex.errors import FetchError
from isocortex.recordings.archives.client import Client, Resolved
from isocortex.recordings.archives.dandi import dandi
from isocortex.recordings.archives.repositories import figshare, gin, osf
from isocortex.recordings.archives.s3 import openneuro, s3
from isocortex.recordings.paths import check_relative

# `resolve` of an address: {"": the file}, or {path inside the folder: file} where it ends in a slash.
ARCHIVES: Mapping[str, Callable[[str, Client], dict[str, Resolved]]] = {
    "s3": s3,
    "openneuro": openneuro,
    "dandi": dandi,
    "osf": osf,
    "figshare": figshare,
    "gin": gin,
}


def resolve(uri: str, client: Client | None = None) -> dict[str, Resolved]:
    """The file that an address names, under the key "", or all files below it by their paths where it ends in a slash.

    Raises `FetchError` where the archive does not answer, answers nonsense, or has no such file.
    """
    found = ARCHIVES[urlsplit(uri).scheme](uri, client or Client())
    if not found:
        raise FetchError(f"{uri}: the archive holds no file there, expected at least one; correct the url")
    for name in found:
        if name:
            check_relative(name, uri)
    return found


__all__ = ["ARCHIVES", "Client", "Resolved", "resolve"]
