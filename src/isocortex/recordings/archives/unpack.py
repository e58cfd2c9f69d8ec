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
BLOCK, SPARE = 8 << 20, 512 << 20  # bytes written at a time, and left free for other jobs
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


def unpack(archive: Path, target: Path, kind: str, source: str) -> None:
    """Write the files of `archive` (`zip`, or `tar` of any compression) to the folder `target`, which appears whole.

    `source` is where the archive came from; it is kept beside the folder.

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
                _copy(stream, output, part, archive)
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
    write_json(_note(target), {"archive": digest_file(archive), "folder": describe(target)[0], "source": source})


def _copy(stream: IO[bytes], output: IO[bytes], folder: Path, archive: Path) -> None:
    """Write a member, as long as the disk has room to spare: an archive may hold far more than its size tells."""
    while block := stream.read(BLOCK):
        if shutil.disk_usage(folder).free < SPARE + len(block):
            raise FetchError(
                f"{archive}: the disk has less than {SPARE >> 20} MB left while it is unpacked; free some space, or unpack it "
                "elsewhere and set ISOCORTEX_MIRROR"
            )
        output.write(block)


def is_unpacked(target: Path, sha256: str | None, source: str) -> bool:
    """Whether `target` is, unchanged, what was unpacked from the archive of this digest, or without one from this source."""
    try:
        note = json.loads(_note(target).read_text(encoding="utf-8"))
        same = sha256 == note["archive"] if sha256 else source == note["source"]
        return same and target.is_dir() and describe(target)[0] == note["folder"]
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
