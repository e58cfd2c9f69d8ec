"""Files from a mirror, from the user's folder and over HTTP, and everything that can go wrong with them."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from isocortex.errors import DataError, FetchError
from isocortex.recordings import fetch
from isocortex.recordings.fetch import Places, fetch_dataset

BODY = np.random.default_rng(0).bytes(700_000)
SHA = hashlib.sha256(BODY).hexdigest()


def entry(file: dict | None = None, **rest) -> dict:
    return {"version": "1", "licence": "CC0", "files": {"a/x.bin": file}, "stimuli": {"all": {"n": 1}}, **rest}


def places(tmp_path: Path, **rest) -> Places:
    return Places(**{"name": "d", "target": tmp_path / "resources/d", "progress": False, "pause": 0.01, **rest})


def local(folder: Path, body: bytes = BODY) -> Path:
    (folder / "a").mkdir(parents=True, exist_ok=True)
    (folder / "a/x.bin").write_bytes(body)
    return folder


def test_the_mirror_is_used_first(tmp_path, site):
    url = f"{site.url}/x"
    found = fetch_dataset(entry({"url": url, "sha256": SHA}), places(tmp_path, mirror=local(tmp_path / "m")))
    assert (tmp_path / "resources/d/a/x.bin").read_bytes() == BODY
    assert found == {
        "name": "d", "version": "1", "licence": "CC0",
        "files": {"a/x.bin": {"sha256": SHA, "bytes": len(BODY), "source": url}},
    }  # fmt: skip
    assert site.asked == []


def test_the_manifest_does_not_depend_on_how_a_file_came(tmp_path, site):
    site.files["/x"] = BODY
    file = {"url": f"{site.url}/x", "sha256": SHA}
    first = fetch_dataset(entry(file), places(tmp_path))
    again = fetch_dataset(entry(file), places(tmp_path))
    mirrored = fetch_dataset(entry(file), places(tmp_path, target=tmp_path / "other", mirror=local(tmp_path / "m")))
    assert first == again == mirrored
    assert len(site.asked) == 1
    assert str(tmp_path) not in json.dumps(first)


def test_own_files_without_digest_are_linked_and_recorded(tmp_path):
    root = local(tmp_path / "mine")
    found = fetch_dataset(entry(None), places(tmp_path, root=root))
    assert found["files"]["a/x.bin"] == {"sha256": SHA, "bytes": len(BODY), "source": "root"}
    assert (tmp_path / "resources/d/a/x.bin").is_symlink()
    local(tmp_path / "mine", b"new")
    assert fetch_dataset(entry(None), places(tmp_path, root=root))["files"]["a/x.bin"]["bytes"] == 3


@pytest.mark.parametrize("kind", ["mirror", "root"])
def test_a_folder_is_one_file_with_one_digest(tmp_path, kind):
    folder = local(tmp_path / kind)
    data = {"files": {"a": None}, "stimuli": {}}
    first = fetch_dataset(data, places(tmp_path, **{kind: folder}))["files"]["a"]
    assert first["bytes"] == len(BODY)
    assert (tmp_path / "resources/d/a/x.bin").read_bytes() == BODY
    (folder / "a/y.bin").write_bytes(b"1")
    assert fetch_dataset(data, places(tmp_path, **{kind: folder}))["files"]["a"]["sha256"] != first["sha256"]
    assert (tmp_path / "resources/d/a/y.bin").exists()


@pytest.mark.parametrize("kind", ["mirror", "root"])
def test_a_local_file_of_another_digest_is_refused_and_left_alone(tmp_path, kind):
    folder = local(tmp_path / kind, b"other")
    with pytest.raises(
        FetchError, match=f"x.bin: sha256 found {hashlib.sha256(b'other').hexdigest()}, expected {SHA}; replace"
    ):
        fetch_dataset(entry({"sha256": SHA}), places(tmp_path, **{kind: folder}))
    assert (folder / "a/x.bin").exists()
    assert not (tmp_path / "resources/d/a/x.bin").exists()


def test_a_wrong_copy_is_deleted_and_fetched_again(tmp_path, site, caplog):
    site.files["/x"] = BODY
    local(tmp_path / "resources/d", b"broken")
    fetch_dataset(entry({"url": f"{site.url}/x", "sha256": SHA}), places(tmp_path))
    assert (tmp_path / "resources/d/a/x.bin").read_bytes() == BODY
    assert f"expected {SHA}; deleted and fetched again" in caplog.text


def test_a_file_that_is_nowhere(tmp_path):
    with pytest.raises(FetchError) as error:
        fetch_dataset(entry({}), places(tmp_path, mirror=tmp_path / "m", root=tmp_path / "r"))
    text = str(error.value)
    assert "data set d: a/x.bin was not found and has no url" in text
    assert str(tmp_path / "m/a/x.bin") in text
    assert str(tmp_path / "r/a/x.bin") in text
    assert "set ISOCORTEX_MIRROR to a folder that holds d/a/x.bin" in text
    with pytest.raises(FetchError, match="ISOCORTEX_MIRROR and root are not set"):
        fetch_dataset(entry({}), places(tmp_path))


@pytest.mark.parametrize("where", ["entry", "file"])
def test_terms_must_be_accepted(tmp_path, where):
    terms = {"terms": "Research only,\n no redistribution."}
    data = entry({}, **terms) if where == "entry" else entry(terms)
    with pytest.raises(FetchError) as error:
        fetch_dataset(data, places(tmp_path, root=local(tmp_path / "r")))
    assert '"Research only, no redistribution."' in str(error.value)
    assert "accept_terms: true" in str(error.value)
    assert "\n" not in str(error.value)
    assert fetch_dataset(data, places(tmp_path, root=local(tmp_path / "r"), accept_terms=True))["files"]


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "~/x", "c:/x", "a\\x", ""])
def test_paths_stay_inside(tmp_path, path):
    with pytest.raises(DataError, match="expected one inside the folder"):
        fetch_dataset({"files": {path: None}, "stimuli": {}}, places(tmp_path))


def test_download_resumes_where_it_stopped(tmp_path, site):
    site.files["/x"] = BODY
    part = tmp_path / "resources/d/a/x.bin.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(BODY[:300_000])
    fetch_dataset(entry({"url": f"{site.url}/x", "sha256": SHA}), places(tmp_path))
    assert site.asked == [("/x", "bytes=300000-")]
    assert (tmp_path / "resources/d/a/x.bin").read_bytes() == BODY
    assert not part.exists()


def test_a_finished_part_is_only_checked(tmp_path, site):
    site.files["/x"] = BODY
    local(tmp_path / "resources/d")
    (tmp_path / "resources/d/a/x.bin").rename(tmp_path / "resources/d/a/x.bin.part")
    fetch_dataset(entry({"url": f"{site.url}/x", "sha256": SHA}), places(tmp_path))
    assert site.asked == [("/x", f"bytes={len(BODY)}-")]


def test_a_part_of_another_version_is_started_again(tmp_path, site):
    site.files["/x"] = BODY
    part = tmp_path / "resources/d/a/x.bin.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"\0" * 1000)
    fetch_dataset(entry({"url": f"{site.url}/x", "sha256": SHA}), places(tmp_path))
    assert [asked for _, asked in site.asked] == ["bytes=1000-", ""]
    assert (tmp_path / "resources/d/a/x.bin").read_bytes() == BODY


def test_a_server_that_cannot_resume_sends_all(tmp_path, site):
    site.files["/x"], site.ranges = BODY, False
    part = tmp_path / "resources/d/a/x.bin.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(BODY[:10])
    fetch_dataset(entry({"url": f"{site.url}/x", "sha256": SHA}), places(tmp_path))
    assert (tmp_path / "resources/d/a/x.bin").read_bytes() == BODY


def test_a_broken_connection_is_taken_up_again(tmp_path, site):
    site.files["/x"], site.cut = BODY, [300_000, 300_000]
    fetch_dataset(entry({"url": f"{site.url}/x", "sha256": SHA}), places(tmp_path))
    assert (tmp_path / "resources/d/a/x.bin").read_bytes() == BODY
    assert len(site.asked) == 3


def test_a_connection_that_keeps_breaking(tmp_path, site):
    site.files["/x"], site.cut = BODY, [1000] * 5
    with pytest.raises(FetchError, match=r"5 attempts, 5000 bytes kept in .*x\.bin\.part\); check the network and run again"):
        fetch_dataset(entry({"url": f"{site.url}/x", "sha256": SHA}), places(tmp_path))
    assert not (tmp_path / "resources/d/a/x.bin").exists()
    fetch_dataset(entry({"url": f"{site.url}/x", "sha256": SHA}), places(tmp_path))
    assert site.asked[-1] == ("/x", "bytes=5000-")


def test_a_passing_failure_is_tried_again(tmp_path, site):
    site.files["/x"], site.failures = BODY, [500, 503]
    fetch_dataset(entry({"url": f"{site.url}/x", "sha256": SHA}), places(tmp_path))
    assert len(site.asked) == 3


def test_a_missing_page_is_not_tried_again(tmp_path, site):
    with pytest.raises(FetchError, match="/x: the server answered 404 Not Found, expected 200; correct the url"):
        fetch_dataset(entry({"url": f"{site.url}/x"}), places(tmp_path))
    assert len(site.asked) == 1


def test_a_wrong_digest_deletes_the_download(tmp_path, site):
    site.files["/x"] = b"tampered"
    with pytest.raises(FetchError, match=f"sha256 found {hashlib.sha256(b'tampered').hexdigest()}, expected {SHA}; deleted"):
        fetch_dataset(entry({"url": f"{site.url}/x", "sha256": SHA}), places(tmp_path))
    assert list((tmp_path / "resources/d/a").iterdir()) == []


def test_a_truncated_file_is_told_by_its_size(tmp_path, site):
    site.files["/x"] = BODY[:-1]
    with pytest.raises(FetchError, match=f"truncated, found {len(BODY) - 1} bytes, expected {len(BODY)}; deleted"):
        fetch_dataset(entry({"url": f"{site.url}/x", "bytes": len(BODY)}), places(tmp_path))


def test_no_server_at_all(tmp_path):
    with pytest.raises(FetchError, match=r"http://127\.0\.0\.1:9/x: .*or set ISOCORTEX_MIRROR"):
        fetch_dataset(entry({"url": "http://127.0.0.1:9/x"}), places(tmp_path, pause=0.0))


def test_two_runs_do_not_write_one_file(tmp_path, site):
    part = tmp_path / "resources/d/a/x.bin.part"
    part.parent.mkdir(parents=True)
    with open(part, "wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(FetchError, match="another run is downloading this file"):
            fetch_dataset(entry({"url": f"{site.url}/x"}), places(tmp_path))


def test_file_urls(tmp_path):
    origin = local(tmp_path / "there") / "a/x.bin"
    found = fetch_dataset(entry({"url": origin.as_uri(), "sha256": SHA}), places(tmp_path))
    assert found["files"]["a/x.bin"]["sha256"] == SHA
    with pytest.raises(FetchError, match="does not exist; correct the url"):
        fetch_dataset(entry({"url": (tmp_path / "no").as_uri()}), places(tmp_path, target=tmp_path / "other"))


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetch, "_link_or_copy", full)
    with pytest.raises(
        FetchError, match=r"x\.bin: could not be written \(No space left on device\); free some space and run again"
    ):
        fetch_dataset(entry({}), places(tmp_path, mirror=local(tmp_path / "m")))


def test_a_link_into_the_users_folder_is_never_written_through(tmp_path, site):
    """What was linked from `root` before, and now has an address: the user's own file stays."""
    own = local(tmp_path / "own")
    target = tmp_path / "resources/d/a/x.bin"
    fetch_dataset(entry(None), places(tmp_path, root=own))
    assert target.is_symlink()
    site.files["/x"] = b"another"
    fetch_dataset(entry({"url": f"{site.url}/x", "bytes": 7}), places(tmp_path))
    assert not target.is_symlink()
    assert target.read_bytes() == b"another"
    assert (own / "a/x.bin").read_bytes() == BODY


def test_a_link_on_the_way_is_taken_out_too(tmp_path, site):
    own = local(tmp_path / "own")
    folder = {"files": {"a": None}, "stimuli": {"all": {"n": 1}}, "version": "1", "licence": "CC0"}
    fetch_dataset(folder, places(tmp_path, root=own))
    assert (tmp_path / "resources/d/a").is_symlink()
    site.files["/x"] = b"another"
    fetch_dataset(entry({"url": f"{site.url}/x"}), places(tmp_path))
    assert (tmp_path / "resources/d/a/x.bin").read_bytes() == b"another"
    assert (own / "a/x.bin").read_bytes() == BODY


def test_another_address_is_another_file_where_no_digest_tells(tmp_path, site):
    site.files |= {"/v1": b"one", "/v2": b"two"}
    for version, body in (("v1", b"one"), ("v2", b"two"), ("v2", b"two")):
        found = fetch_dataset(entry({"url": f"{site.url}/{version}"}), places(tmp_path))["files"]["a/x.bin"]
        assert (tmp_path / "resources/d/a/x.bin").read_bytes() == body
        assert found["source"] == f"{site.url}/{version}"
        assert found["sha256"] == hashlib.sha256(body).hexdigest()
    assert len(site.asked) == 2


def test_a_file_put_there_by_hand_is_taken_and_not_said_to_be_another(tmp_path, site):
    local(tmp_path / "resources/d", b"mine")
    found = fetch_dataset(entry({"url": f"{site.url}/x"}), places(tmp_path))["files"]["a/x.bin"]
    assert found == {"sha256": hashlib.sha256(b"mine").hexdigest(), "bytes": 4, "source": "resources"}
    assert not site.asked
