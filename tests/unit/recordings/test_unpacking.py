"""Files that become folders: archives that are unpacked, and data sets that nilearn fetches."""

from __future__ import annotations

import hashlib
import inspect
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from nilearn import datasets

from isocortex.errors import FetchError
from isocortex.recordings.archives.by_nilearn import FETCHERS
from isocortex.recordings.fetch import Places, fetch_dataset


def fetch(tmp_path: Path, **file: object) -> dict:
    entry = {"files": {"a/x": file}, "stimuli": {}}
    return fetch_dataset(entry, Places("d", tmp_path / "d", progress=False, pause=0.0))["files"]["a/x"]


def zipped(*members: tuple[str, bytes], mode: int = 0) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, body in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            file.writestr(info, body)
    return stream.getvalue()


def tarred(*members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as file:
        for name, body in members:
            info = tarfile.TarInfo(name)
            info.size, info.type, info.linkname = len(body) if kind == tarfile.REGTYPE else 0, kind, "/etc/passwd"
            file.addfile(info, io.BytesIO(body))
    return stream.getvalue()


@pytest.mark.parametrize(("kind", "make"), [("zip", zipped), ("tar", tarred)])
def test_an_archive_becomes_a_folder(site, tmp_path, kind, make):
    packed = make(("im/1.png", b"one"), ("im/2.png", b"two"))
    site.files["/x"] = packed
    file = {"url": f"{site.url}/x", "unpack": kind, "sha256": hashlib.sha256(packed).hexdigest()}
    found = fetch(tmp_path, **file)
    assert (tmp_path / "d/a/x/im/1.png").read_bytes() == b"one"
    assert (tmp_path / "d/a/x/im/2.png").read_bytes() == b"two"
    assert found["bytes"] == 6
    assert sorted(path.name for path in (tmp_path / "d/a").iterdir()) == ["x", "x.unpacked.json"]
    assert fetch(tmp_path, **file) == found
    assert len(site.asked) == 1
    (tmp_path / "d/a/x/im/1.png").write_bytes(b"changed")
    assert fetch(tmp_path, **file) == found
    assert len(site.asked) == 2


def test_a_mirror_may_hold_the_archive_or_the_folder(tmp_path):
    mirror = tmp_path / "m"
    (mirror / "a").mkdir(parents=True)
    (mirror / "a/x.zip").write_bytes(zipped(("1.png", b"one")))
    entry = {"files": {"a/x": {"unpack": "zip"}}, "stimuli": {}}
    first = fetch_dataset(entry, Places("d", tmp_path / "d", mirror))["files"]
    (mirror / "a/x.zip").unlink()
    (mirror / "a/x").mkdir()
    (mirror / "a/x/1.png").write_bytes(b"one")
    assert fetch_dataset(entry, Places("d", tmp_path / "e", mirror))["files"] == first


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("zip", zipped(("../evil", b"x")), "found the path '../evil', expected one inside the folder"),
        ("zip", zipped(("/evil", b"x")), "found the path '/evil', expected one inside the folder"),
        ("zip", zipped(("evil", b"/etc/passwd"), mode=0o120777), "the member 'evil' is a link or a device"),
        ("tar", tarred(("a/../../evil", b"x")), "found the path 'a/../../evil', expected one inside the folder"),
        ("tar", tarred(("evil", b""), kind=tarfile.SYMTYPE), "the member 'evil' is a link or a device"),
        ("tar", tarred(("evil", b""), kind=tarfile.LNKTYPE), "the member 'evil' is a link or a device"),
        ("zip", b"no archive", "not a readable zip archive"),
        ("tar", b"no archive", "not a readable tar archive"),
        ("tar", tarred(("a", b"x" * 4000))[:-20], "not a readable tar archive"),
    ],
    # A gzip file holds the time at which it was made: as the name of a test it would be another in each worker.
    ids=[f"{kind}-{number}" for number, kind in enumerate(["zip"] * 3 + ["tar"] * 3 + ["zip", "tar", "tar"])],
)
def test_archives_that_are_refused(site, tmp_path, kind, body, text):
    site.files["/x"] = body
    with pytest.raises(FetchError, match=text):
        fetch(tmp_path, url=f"{site.url}/x", unpack=kind)
    assert list((tmp_path / "d/a").iterdir()) == []
    assert not list(tmp_path.rglob("evil"))
    site.files["/x"] = {"zip": zipped, "tar": tarred}[kind](("1.png", b"one"))
    assert fetch(tmp_path, url=f"{site.url}/x", unpack=kind)["bytes"] == 3


def test_nilearn_fetches_a_folder(tmp_path, monkeypatch):
    def fetch_haxby(data_dir: str, subjects: list[int], verbose: int) -> None:
        assert verbose == 0
        folder = Path(data_dir) / "haxby2001"
        folder.mkdir()
        (folder / "subjects.txt").write_text(str(subjects))

    monkeypatch.setattr(datasets, "fetch_haxby", fetch_haxby)
    found = fetch(tmp_path, url="nilearn://haxby2001?subject=2")
    assert (tmp_path / "d/a/x/subjects.txt").read_text() == "[2]"
    assert found["bytes"] == 3
    assert [path.name for path in (tmp_path / "d/a").iterdir()] == ["x"]


def test_nilearn_has_the_functions_that_are_named():
    for function, _, arguments in FETCHERS.values():
        known = inspect.signature(getattr(datasets, function)).parameters
        assert {"data_dir", "verbose", *arguments.values()} <= set(known)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("nilearn://nothing", "found 'nothing', expected one of haxby2001, miyawaki2008"),
        ("nilearn://haxby2001?sub=2", "found 'sub=2', expected subject=<number>"),
        ("nilearn://haxby2001?subject=two", "found 'subject=two', expected subject=<number>"),
        ("nilearn://miyawaki2008?subject=2", "expected no argument"),
    ],
)
def test_addresses_that_nilearn_does_not_know(tmp_path, url, text):
    with pytest.raises(FetchError, match=text):
        fetch(tmp_path, url=url)


def test_nilearn_fails(tmp_path, monkeypatch):
    def fails(**arguments: object) -> None:
        raise OSError("no route\nto host")

    monkeypatch.setattr(datasets, "fetch_miyawaki2008", fails)
    with pytest.raises(FetchError, match=r"nilearn could not fetch it \(no route to host\); check the network and run again"):
        fetch(tmp_path, url="nilearn://miyawaki2008")
    monkeypatch.setattr(datasets, "fetch_miyawaki2008", lambda **arguments: None)
    with pytest.raises(FetchError, match="nilearn made no folder 'miyawaki2008'"):
        fetch(tmp_path, url="nilearn://miyawaki2008")
    assert not (tmp_path / "d/a/x").exists()


def test_another_address_is_another_archive(site, tmp_path):
    site.files |= {"/v1": zipped(("1.png", b"one")), "/v2": zipped(("1.png", b"two"))}
    for version, body in (("v1", b"one"), ("v2", b"two"), ("v2", b"two")):
        fetch(tmp_path, url=f"{site.url}/{version}", unpack="zip")
        assert (tmp_path / "d/a/x/1.png").read_bytes() == body
    assert len(site.asked) == 2


def test_an_archive_that_would_fill_the_disk(site, tmp_path, monkeypatch):
    site.files["/x"] = zipped(("1.png", b"one"))
    full = type("Usage", (), {"free": 100 << 20})()
    monkeypatch.setattr("isocortex.recordings.archives.unpack.shutil.disk_usage", lambda folder: full)
    with pytest.raises(FetchError, match="the disk has less than 512 MB left while it is unpacked; free some space"):
        fetch(tmp_path, url=f"{site.url}/x", unpack="zip")
    assert not (tmp_path / "d/a/x").exists()
