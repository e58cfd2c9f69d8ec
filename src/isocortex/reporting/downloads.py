"""What a page gives to take away: its tables and options as files inside the page, so that they travel with it."""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from isocortex.inference.rows import COMPARISON_COLUMNS, SCORE_COLUMNS, to_frame
from isocortex.reporting.formatting import THIN
from isocortex.reporting.region import Region, Row

# Characters of one file's address, and of all: browsers take addresses up to 2 MiB, and a page stays below 10 MB.
LARGEST = 2_000_000
TOGETHER = 6_000_000
# Bytes above which a CSV is compressed.
PLAIN = 200_000
_TABLES = {"scores": SCORE_COLUMNS, "comparisons": COMPARISON_COLUMNS}
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class Download:
    """A file inside the page: its name when saved, its size in words, and its address, a `data:` URL."""

    name: str
    size: str
    address: str


@dataclass(frozen=True)
class Downloads:
    """The files of a page; `prefix` begins all their names, `left_out` are sentences on what is too large."""

    prefix: str
    links: Sequence[Download]
    left_out: Sequence[str]


@dataclass(frozen=True)
class _File:
    """A file's end of name, media type, bytes (None: too many to be read), their number, and where it lies in the results."""

    end: str
    media: str
    data: bytes | None
    size: int
    place: str


def downloads(region: Region) -> Downloads:
    """Tables as CSV and Parquet and the job's options as YAML, each left out in words where the page would grow too large."""
    begins, room = prefix(region), TOGETHER
    links, left_out = [], []
    for file in _files(region):
        address = _address(file)
        name = f"{begins}-{file.end}"
        if address is None or len(address) > room:
            left_out.append(f"{name} ({_in_words(file.size)}) is too large for this page: see {file.place}.")
            continue
        room -= len(address)
        links.append(Download(name, _in_words(file.size), address))
    return Downloads(begins, links, left_out)


def prefix(region: Region) -> str:
    """`<study>-<region>` by their ids, in characters that every file system takes."""
    parts = (_UNSAFE.sub("-", str(region.options.get(key) or "")).strip("-.")[:60] for key in ("study", "region"))
    return "-".join(part for part in parts if part) or "region"


def _files(region: Region) -> Iterator[_File]:
    """All files, in the order in which they get room."""
    for name, columns in _TABLES.items():
        yield _csv(name, getattr(region, name), columns, _place(region, name))
    options = _yaml(region.options)
    yield _File("options.yaml", "application/yaml", options, len(options), "the study's YAML")
    for name in _TABLES:
        if name in region.files:
            yield _parquet(name, Path(region.files[name]))


def _csv(name: str, rows: Sequence[Row], columns: Sequence[str], place: str) -> _File:
    text = to_frame(rows, columns).to_csv(index=False, lineterminator="\n").encode()
    if len(text) <= PLAIN:
        return _File(f"{name}.csv", "text/csv", text, len(text), place)
    packed = gzip.compress(text, mtime=0)  # without the time, the same table gives the same page
    return _File(f"{name}.csv.gz", "application/gzip", packed, len(packed), place)


def _parquet(name: str, path: Path) -> _File:
    size = path.stat().st_size
    data = path.read_bytes() if size <= LARGEST else None
    return _File(f"{name}.parquet", "application/vnd.apache.parquet", data, size, path.as_posix())


def _yaml(options: Mapping[str, Any]) -> bytes:
    return yaml.safe_dump(_plain(options), sort_keys=False, allow_unicode=True).encode()


def _plain(value: Any) -> Any:
    """Mappings and sequences of any type as YAML writes them."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def _place(region: Region, name: str) -> str:
    """Where a table lies, as the job was told."""
    return str(region.files.get(name) or f"results/{region.options.get('study', '')}/{region.name}/{name}.parquet")


def _address(file: _File) -> str | None:
    """The file as a `data:` URL; None where that is too long."""
    if file.data is None:
        return None
    address = f"data:{file.media};base64,{base64.b64encode(file.data).decode('ascii')}"
    return address if len(address) <= LARGEST else None


def _in_words(size: int) -> str:
    return f"{size / 1e6:.1f}{THIN}MB" if size >= 1e6 else f"{max(size / 1e3, 0.1):.{0 if size >= 1e4 else 1}f}{THIN}kB"
