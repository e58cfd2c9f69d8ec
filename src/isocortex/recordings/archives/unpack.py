"""Archives as folders: members are written one by one, and none outside the folder."""

from __future__ import annotations

import gzip
import json
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

from isocortex.errors import DataError, FetchError
from isocortex.recordings.paths import check_relative, describe
from isocortex.storage.atomic import digest_file, write_json

Member = tuple[str, IO[bytes]]
BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,
    NotImplementedError,
)


def unpack(archive: Path, target: Path, kind: str) -> None:
    """Write the files of `archive` (`zip`, or `tar` of any compression) to the folder `target`, which appears whole.

    Raises
    ------
    FetchError for an archive that is broken, or a member that is a link or lies outside the folder.
    """
    part = target.with_name(target.name + ".unpacking")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        for name, stream in UNPACKERS[kind](archive):
            file = part / check_relative(name, str(archive))
            file.parent.mkdir(parents=True, exist_ok=True)
            with open(file, "wb") as output:
                shutil.copyfileobj(stream, output)
    except BROKEN as error:
        raise FetchError(f"{archive}: not a readable {kind} archive ({error}); correct 'unpack', or fetch again") from error
    except DataError as error:
        raise FetchError(str(error)) from None
    else:
        if target.is_dir():
            shutil.rmtree(target)
        part.replace(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    write_json(_note(target), {"archive": digest_file(archive), "folder": describe(target)[0]})


def is_unpacked(target: Path, sha256: str | None) -> bool:
    """Whether `target` is, unchanged, what was unpacked from the archive of this digest (None: from any)."""
    try:
        note = json.loads(_note(target).read_text(encoding="utf-8"))
        return sha256 in (None, note["archive"]) and target.is_dir() and describe(target)[0] == note["folder"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _note(target: Path) -> Path:
    return target.with_name(target.name + ".unpacked.json")


def _zip(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if stat.S_ISLNK(member.external_attr >> 16):
                raise _link(path, member.filename)
            if not member.is_dir():
                with archive.open(member) as stream:
                    yield member.filename, stream


def _tar(path: Path) -> Iterator[Member]:
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isdir():
                continue
            stream = archive.extractfile(member) if member.isfile() else None
            if stream is None:
                raise _link(path, member.name)
            with stream:
                yield member.name.removeprefix("./"), stream


def _link(path: Path, name: str) -> FetchError:
    return FetchError(f"{path}: the member {name!r} is a link or a device, expected files; unpack it by hand, with care")


UNPACKERS: Mapping[str, Callable[[Path], Iterator[Member]]] = {"zip": _zip, "tar": _tar}
