"""Getting a data set's files: from a mirror folder, from the user's own folder, or from their URLs."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from isocortex.errors import FetchError
from isocortex.recordings.archives import ARCHIVES, Client, Resolved, resolve
from isocortex.recordings.archives.atlases import fetch_atlas
from isocortex.recordings.archives.by_nilearn import fetch_by_nilearn
from isocortex.recordings.archives.unpack import is_unpacked, unpack
from isocortex.recordings.download import Downloader, wrong
from isocortex.recordings.paths import bind, check_relative, describe

logger = logging.getLogger(__name__)
HERE = "resources"  # the source of a file that somebody put there by hand

# Data sets that are made, not fetched.
MAKERS = {"simulated": "isocortex.recordings.simulated:fetch", "digits": "isocortex.recordings.networks:fetch"}


@dataclass(frozen=True)
class Places:
    """Where files of one data set may come from and where they go.

    `mirror` is the folder `$ISOCORTEX_MIRROR/<dataset>` or None; `root` the user's own folder or None; `target` is
    `resources/<dataset>`.
    """

    name: str
    target: Path
    mirror: Path | None = None
    root: Path | None = None
    accept_terms: bool = False
    progress: bool = True
    pause: float = 1.0


def fetch_dataset(entry: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """Bring every file of `entry` to `places.target`; the manifest says what was found.

    Returns
    -------
    dict with name, version, licence and files {path: {sha256, bytes, source}}; a function of the entry and of the files'
    contents only (`source` is the URL, else 'root' or 'mirror').

    Raises
    ------
    FetchError for terms that were not accepted, a file found nowhere, a failed download, a wrong digest or size.
    """
    files: Mapping[str, Mapping[str, Any] | None] = entry.get("files") or {}
    _check_terms(entry, files, places)
    for path in files:
        check_relative(path, f"data set {places.name}, files")
    places.target.mkdir(parents=True, exist_ok=True)
    found = {}
    for path, file in sorted(files.items()):
        try:
            found[path] = fetch_file(path, {"manual": entry.get("manual"), **_given(file)}, places)
        except OSError as error:
            reason = error.strerror or error
            raise FetchError(
                f"{places.target / path}: could not be written ({reason}); free some space and run again"
            ) from error
    for kind in MAKERS:
        if any((stimuli or {}).get(kind) is not None for stimuli in entry["stimuli"].values()):
            found |= bind(MAKERS, kind, f"data set {places.name}")(entry, places.target)
    return {"name": places.name, "version": entry.get("version"), "licence": entry.get("licence"), "files": found}


def _given(file: Mapping[str, Any] | None) -> dict[str, Any]:
    """What is said of one file; what is said of the data set holds where it says nothing."""
    return {key: value for key, value in (file or {}).items() if value is not None}


def _check_terms(entry: Mapping[str, Any], files: Mapping[str, Any], places: Places) -> None:
    if places.accept_terms:
        return
    for terms in [entry.get("terms"), *((file or {}).get("terms") for file in files.values())]:
        if terms:
            raise FetchError(
                f'data set {places.name}: its terms must be accepted first: "{" ".join(str(terms).split())}"; '
                "if you accept them, set accept_terms: true in the study"
            )


def fetch_file(path: str, file: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """Bring one file (or folder) to its place; returns {sha256, bytes, source}."""
    target = places.target / path
    if file.get("unpack"):
        return _unpacked(path, file, places)
    expected, url = file.get("sha256"), file.get("url")
    source = url or ("root" if places.root is not None else "mirror")
    if expected and (target.exists() or target.is_symlink()):
        # With a digest the copy at hand is as good as any; without one, the user's file may have changed meanwhile.
        found, size = describe(target) if target.exists() else ("nothing", 0)
        if found == expected:
            return {"sha256": found, "bytes": size, "source": source}
        logger.warning("%s: sha256 found %s, expected %s; deleted and fetched again", target, found, expected)
        _remove(target)
    for folder in (places.mirror, places.root):
        if folder is not None and (folder / path).exists():
            return _take(folder / path, target, file, own=folder is places.root) | {"source": source}
    if url is None:
        raise FetchError(_not_found(path, file.get("manual"), places))
    _forget_links(target, places.target)
    origin = _note(target).read_text(encoding="utf-8") if _note(target).is_file() else None
    if expected is None and target.is_file() and origin in (None, url) and not wrong(target, file):
        found, size = describe(target)
        return {"sha256": found, "bytes": size, "source": source if origin else HERE}
    _download(url, target, file, places)
    if target.is_file():
        _note(target).write_text(url, encoding="utf-8")
    found, size = describe(target)
    return {"sha256": found, "bytes": size, "source": source}


def _note(target: Path) -> Path:
    """Where it stands which address a file came from: without a digest nothing else tells it from that of another address."""
    return target.with_name(f".{target.name}.from")


def _unpacked(path: str, file: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """A folder out of an archive, which size and digests are of; a folder that mirror or root hold is taken as it is."""
    target = places.target / path
    source = file.get("url") or ("root" if places.root is not None else "mirror")
    for folder in (places.mirror, places.root):
        if folder is not None and (folder / path).is_dir():
            return _take(folder / path, target, {}, own=folder is places.root) | {"source": source}
    _forget_links(target, places.target)
    if not is_unpacked(target, file.get("sha256"), source):
        archive = f"{path}.{file['unpack']}"
        fetch_file(archive, {**file, "unpack": None}, places)
        try:
            unpack(places.target / archive, target, file["unpack"], source)
        finally:
            # One that could not be unpacked would stand in the way of a better one.
            _remove(places.target / archive)
            _remove(_note(places.target / archive))
    found, size = describe(target)
    return {"sha256": found, "bytes": size, "source": source}


def _not_found(path: str, manual: str | None, places: Places) -> str:
    looked = [
        f"{label} {folder / path}" for label, folder in (("mirror", places.mirror), ("root", places.root)) if folder is not None
    ]
    where = f"looked for it at {' and at '.join(looked)}" if looked else "ISOCORTEX_MIRROR and root are not set"
    if manual:
        return (
            f"data set {places.name}: {path} must be fetched by hand: {' '.join(manual.split())}; put it at "
            f"<folder>/{places.name}/{path} and set ISOCORTEX_MIRROR to that folder ({where})"
        )
    return (
        f"data set {places.name}: {path} was not found and has no url ({where}); set ISOCORTEX_MIRROR to a folder that holds "
        f"{places.name}/{path}, or root: to the folder of your own files"
    )


def _take(origin: Path, target: Path, file: Mapping[str, Any], *, own: bool) -> dict[str, Any]:
    """Link a local file that is what the entry says; the mirror's by hard link or copy, the user's own by symbolic link."""
    digest, size = describe(origin)
    if said := wrong(origin, file, digest, size):
        raise FetchError(f"{origin}: {said}; replace the file there, or correct the data set's entry")
    if target.exists() and target.samefile(origin):
        return {"sha256": digest, "bytes": size}
    _remove(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    if own:
        target.symlink_to(origin.resolve(), target_is_directory=origin.is_dir())
    elif origin.is_dir():
        shutil.copytree(origin, target, copy_function=_link_or_copy)
    else:
        _link_or_copy(origin, target)
    return {"sha256": digest, "bytes": size}


def _link_or_copy(origin: Path | str, target: Path | str) -> None:
    """A hard link where one file system holds both, else a copy that appears whole."""
    origin, target = Path(origin).resolve(), Path(target)
    try:
        os.link(origin, target)
    except OSError:
        part = target.with_name(target.name + ".part")
        shutil.copyfile(origin, part)
        part.replace(target)


def _forget_links(target: Path, folder: Path) -> None:
    """Take out links into the user's own folder, at a place below `folder` or on the way to it: here something is written."""
    for place in (target, *target.parents):
        if place == folder or folder not in place.parents:
            return
        if place.is_symlink():
            place.unlink()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _download(url: str, target: Path, file: Mapping[str, Any], places: Places) -> None:
    """By the address's scheme: a file of this machine, a folder that nilearn fetches, files of an archive, or a plain URL."""
    scheme = urlsplit(url).scheme
    if scheme == "file":
        local = Path(unquote(urlsplit(url).path))
        if not local.exists():
            raise FetchError(f"data set {places.name}: {url} does not exist; correct the url")
        _take(local, target, file, own=False)
    elif scheme == "nilearn":
        fetch_by_nilearn(url, target)
    elif scheme == "nilearn-atlas":
        fetch_atlas(url, target)
    elif scheme in ARCHIVES:
        _from_archive(url, target, file, places)
    else:
        _retrieve(url, target, file, places)
    if target.is_dir() and (said := wrong(target, file)):
        raise FetchError(f"{target}: {said}; the data set has changed at its source ({url}); correct the entry")


def _from_archive(url: str, target: Path, file: Mapping[str, Any], places: Places) -> None:
    """The file that an address names, or all files below it; those of a folder that are there whole are left as they are."""
    for name, found in resolve(url, Client(pause=places.pause)).items():
        expected = {"sha256": found.sha256, "md5": found.md5, "bytes": found.n_bytes}
        if not name:
            _retrieve(found.url, target, _agreed(url, file, found), places)
        elif not (target / name).is_file() or wrong(target / name, expected):
            _retrieve(found.url, target / name, expected, places)


def _agreed(url: str, file: Mapping[str, Any], found: Resolved) -> dict[str, Any]:
    """What the entry and the archive say of a file; refused before the download where they differ."""
    said = {"sha256": found.sha256, "md5": found.md5, "bytes": found.n_bytes}
    for what, value in said.items():
        if None not in (value, file.get(what)) and value != file[what]:
            raise FetchError(
                f"{url}: the archive now holds another file, {what} found {value}, expected {file[what]}; "
                "correct the data set's entry, or ask for the version that it means"
            )
    return {key: value for key, value in said.items() if value is not None} | {
        key: value for key, value in file.items() if value is not None
    }


def _retrieve(url: str, target: Path, file: Mapping[str, Any], places: Places) -> None:
    """Through pooch, which chooses the protocol, checks the digest and moves the whole file into place."""
    import pooch

    target.parent.mkdir(parents=True, exist_ok=True)
    downloader = Downloader(
        part=target.with_name(target.name + ".part"),
        sha256=file.get("sha256"),
        md5=file.get("md5"),
        sha1=file.get("sha1"),
        n_bytes=file.get("bytes"),
        progress=places.progress,
        pause=places.pause,
    )
    _remove(target)
    known = f"sha256:{file['sha256']}" if file.get("sha256") else None
    pooch.retrieve(url, known, fname=target.name, path=target.parent, downloader=downloader, progressbar=False)
