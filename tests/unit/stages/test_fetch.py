"""The stage that fetches: its manifest, and the environment's mirror."""

from __future__ import annotations

from pathlib import Path

import pytest

from isocortex.errors import FetchError
from isocortex.stages import fetch
from isocortex.storage.atomic import read_json


def spec(entry: dict, name: str = "mine", **options) -> dict:
    return {
        "stage": "fetch",
        "inputs": {},
        "output": f"resources/{name}/manifests/common.json",
        "options": {"name": name, "entry": {"stimuli": {}, **entry}, "accept_terms": False, **options},
    }


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ISOCORTEX_MIRROR", "mirror")
    for where in ("mirror/mine", "own"):
        Path(where).mkdir(parents=True)
        (Path(where) / "x.txt").write_text(where)
    return tmp_path


def test_the_mirror_of_the_environment_comes_before_the_root(folder):
    run = spec({"root": "own", "files": {"x.txt": None}})
    fetch.run(run, "cpu")
    assert Path("resources/mine/x.txt").read_text() == "mirror/mine"
    manifest = Path("resources/mine/manifests/common.json").read_bytes()
    assert str(folder).encode() not in manifest
    fetch.run(run, "cpu")
    assert Path("resources/mine/manifests/common.json").read_bytes() == manifest


def test_without_a_mirror_the_root_is_used(folder, monkeypatch):
    monkeypatch.delenv("ISOCORTEX_MIRROR")
    fetch.run(spec({"root": "own", "files": {"x.txt": None}}), "cpu")
    assert Path("resources/mine/x.txt").read_text() == "own"
    assert read_json("resources/mine/manifests/common.json")["files"]["x.txt"]["source"] == "root"


def test_a_failure_leaves_no_manifest(folder):
    fetch.run(spec({"files": {"x.txt": None}}), "cpu")
    with pytest.raises(FetchError, match=r"y\.txt was not found"):
        fetch.run(spec({"files": {"x.txt": None, "y.txt": None}}), "cpu")
    assert not Path("resources/mine/manifests/common.json").exists()


def test_terms(folder):
    entry = {"files": {"x.txt": None}, "terms": "Be kind."}
    with pytest.raises(FetchError, match="accept_terms: true"):
        fetch.run(spec(entry), "cpu")
    fetch.run(spec(entry, accept_terms=True), "cpu")


@pytest.mark.parametrize("name", ["cowley2023_v4", "cichy2014_rdm92", "haxby2001_25mm", "steinmetz2019"])
def test_every_file_of_the_catalogue_is_what_it_says(name, mirror, catalogued, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ISOCORTEX_MIRROR", str(mirror))
    entry = catalogued(name)
    fetch.run(spec(entry, name), "cpu")
    assert read_json(f"resources/{name}/manifests/common.json")["files"].keys() == entry["files"].keys()
    for path, file in entry["files"].items():
        assert file["url"] is None or entry["version"] in file["url"], path
