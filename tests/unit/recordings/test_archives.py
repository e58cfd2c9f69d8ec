"""Addresses of archives, asked of a server on this machine that answers as each archive's interface does."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from isocortex.errors import FetchError
from isocortex.recordings.archives import ARCHIVES, Client, Resolved, resolve
from isocortex.recordings.archives.s3 import bucket_url, md5_of
from isocortex.recordings.fetch import Places, fetch_dataset
from isocortex.study.adapters import ADAPTERS
from isocortex.study.datasets import File

BODY = b"forty-two voxels"
SHA, SHA1, MD5 = (hashlib.new(name, BODY).hexdigest() for name in ("sha256", "sha1", "md5"))


class Archive:
    """Answers {path with query: (headers, body)}; the client asks it in every archive's place."""

    def __init__(self, url: str) -> None:
        self.url, self.asked = url, []
        self.answers: dict[str, tuple[dict[str, str], bytes]] = {}
        names = ("s3", "openneuro", "dandi", "osf", "figshare", "gin")
        self.client = Client({name: f"{url}/{name}" for name in names}, attempts=2, pause=0.0)

    def says(self, path: str, value: object, **headers: str) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.answers[path] = ({name.replace("_", "-"): text for name, text in headers.items()}, body)

    def resolve(self, uri: str) -> dict[str, Resolved]:
        return resolve(uri, self.client)


@pytest.fixture
def archive(monkeypatch) -> Iterator[Archive]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            found.asked.append(f"{self.command} {self.path}")
            status = 200 if self.path in found.answers else 404
            headers, body = found.answers.get(self.path, ({}, b""))
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 (the name that the base class looks for)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Archive(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(tmp_path: Path, **file: object) -> dict:
    entry = {"files": {"a/x": file}, "stimuli": {}}
    return fetch_dataset(entry, Places("d", tmp_path / "d", progress=False, pause=0.0))["files"]["a/x"]


@pytest.mark.parametrize("scheme", [*ARCHIVES, "nilearn", "https", "file"])
def test_an_entry_may_name_every_scheme(scheme):
    assert File(url=f"{scheme}://a/b").url == f"{scheme}://a/b"


def test_an_entry_may_not_name_another():
    with pytest.raises(ValueError, match="pattern"):
        File(url="ftp://a/b")


# S3


def test_the_urls_of_buckets():
    assert bucket_url("natural-scenes-dataset", Client()) == "https://natural-scenes-dataset.s3.amazonaws.com"
    assert bucket_url("openneuro.org", Client()) == "https://s3.amazonaws.com/openneuro.org"


def test_an_object_is_known_by_its_etag(archive):
    archive.says("/s3/b/a%20dir/x%2B1.nii", BODY, ETag=f'"{MD5}"', x_amz_version_id="v7")
    found = archive.resolve("s3://b/a dir/x+1.nii")
    assert found == {"": Resolved(f"{archive.url}/s3/b/a%20dir/x%2B1.nii", None, MD5, len(BODY), "v7")}


def test_a_version_of_an_object_is_asked_for(archive):
    archive.says("/s3/b/x?versionId=v.1", BODY)
    assert archive.resolve("s3://b/x?versionId=v.1")[""].url == f"{archive.url}/s3/b/x?versionId=v.1"


def test_an_etag_of_several_parts_is_no_md5(archive):
    assert md5_of(f'"{MD5}-12"') is None
    assert md5_of(None) is None
    archive.says("/s3/b/x", BODY, ETag=f'"{MD5}"', x_amz_server_side_encryption="aws:kms")
    assert archive.resolve("s3://b/x")[""].md5 is None


def listing(keys: list[str], token: str | None = None) -> bytes:
    contents = "".join(f"<Contents><Key>{key}</Key><Size>3</Size></Contents>" for key in keys)
    more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{contents}{more}</ListBucketResult>'.encode()


def test_a_folder_is_listed_page_by_page(archive):
    archive.says("/s3/b/?list-type=2&prefix=sub%2F", listing(["sub/", "sub/a.nii"], "t/1"))
    archive.says("/s3/b/?list-type=2&prefix=sub%2F&continuation-token=t%2F1", listing(["sub/deep/b c.nii"]))
    found = archive.resolve("s3://b/sub/")
    assert found == {
        "a.nii": Resolved(f"{archive.url}/s3/b/sub/a.nii", n_bytes=3),
        "deep/b c.nii": Resolved(f"{archive.url}/s3/b/sub/deep/b%20c.nii", n_bytes=3),
    }


def test_an_empty_folder_is_refused(archive):
    archive.says("/s3/b/?list-type=2&prefix=no%2F", listing([]))
    with pytest.raises(FetchError, match="s3://b/no/: the archive holds no file there"):
        archive.resolve("s3://b/no/")


def test_a_folder_is_fetched_file_by_file_and_taken_up_again(archive, tmp_path, monkeypatch):
    monkeypatch.setenv("ISOCORTEX_API_S3", f"{archive.url}/s3")
    archive.says("/s3/b/?list-type=2&prefix=sub%2F", listing(["sub/a", "sub/deep/b"]))
    archive.says("/s3/b/sub/a", b"aaa")
    with pytest.raises(FetchError, match="sub/deep/b: the server answered 404"):
        fetch(tmp_path, url="s3://b/sub/")
    archive.says("/s3/b/sub/deep/b", b"bbb")
    found = fetch(tmp_path, url="s3://b/sub/")
    assert (tmp_path / "d/a/x/a").read_bytes() == b"aaa"
    assert (tmp_path / "d/a/x/deep/b").read_bytes() == b"bbb"
    assert found["bytes"] == 6
    assert archive.asked.count("GET /s3/b/sub/a") == 1
    with pytest.raises(FetchError, match=r"sha256 found .*, expected 0{64}; the data set has changed at its source"):
        fetch(tmp_path, url="s3://b/sub/", sha256="0" * 64)


# OpenNeuro


def test_openneuro_by_its_number(archive):
    archive.says("/openneuro/ds001499/sub-1/a.nii.gz", BODY)
    assert archive.resolve("openneuro://ds001499/sub-1/a.nii.gz")[""].url.endswith("/openneuro/ds001499/sub-1/a.nii.gz")
    with pytest.raises(FetchError, match="found the data set '1499', expected ds and six digits"):
        archive.resolve("openneuro://1499/x")


def test_openneuro_holds_the_latest_snapshot_only(archive):
    archive.says("/openneuro/ds001499/x", BODY)
    archive.says("/openneuro/ds001499/dataset_description.json", {"DatasetDOI": "doi:10.18112/openneuro.ds001499.v1.3.1"})
    assert archive.resolve("openneuro://ds001499/x?tag=1.3.1")[""].n_bytes == len(BODY)
    with pytest.raises(FetchError, match=r"holds version 1\.3\.1, asked for 1\.3\.0; .* latest snapshot only: leave out"):
        archive.resolve("openneuro://ds001499/x?tag=1.3.0")


def test_openneuro_tells_its_version_in_changes(archive, caplog):
    archive.says("/openneuro/ds001499/x", BODY)
    archive.says("/openneuro/ds001499/dataset_description.json", {"Name": "n"})
    archive.resolve("openneuro://ds001499/x?tag=2.0.0")
    assert "tag 2.0.0 could not be checked" in caplog.text
    archive.says("/openneuro/ds001499/CHANGES", b"1.2.0 2020-01-01\n - fixed\n1.1.0 2019-01-01\n")
    with pytest.raises(FetchError, match=r"holds version 1\.2\.0, asked for 1\.1\.0"):
        archive.resolve("openneuro://ds001499/x?tag=1.1.0")


# DANDI

ASSETS = "/dandi/dandisets/000021/versions/draft/assets/"


def test_an_asset_of_dandi_by_its_path(archive, tmp_path, monkeypatch):
    monkeypatch.setenv("ISOCORTEX_API_DANDI", f"{archive.url}/dandi")
    other = {"asset_id": "id0", "path": "sub-1/x.nwb.bak", "size": 1}
    mine = {"asset_id": "id1", "path": "sub-1/x.nwb", "size": len(BODY)}
    more = f"{archive.url}{ASSETS}?page=2"
    archive.says(f"{ASSETS}?path=sub-1%2Fx.nwb&page_size=100", {"results": [other], "next": more})
    archive.says(f"{ASSETS}?page=2", {"results": [mine], "next": None})
    archive.says("/dandi/assets/id1/", {"digest": {"dandi:sha2-256": SHA, "dandi:dandi-etag": "e-1"}})
    url = f"{archive.url}/dandi/assets/id1/download/"
    assert archive.resolve("dandi://000021/draft/sub-1/x.nwb") == {"": Resolved(url, SHA, None, len(BODY), "draft")}
    archive.says("/dandi/assets/id1/download/", b"another content!")
    with pytest.raises(FetchError, match=f"sha256 found .*, expected {SHA}"):
        fetch(tmp_path, url="dandi://000021/draft/sub-1/x.nwb")
    archive.says("/dandi/assets/id1/download/", BODY)
    found = fetch(tmp_path, url="dandi://000021/draft/sub-1/x.nwb")
    assert found == {"sha256": SHA, "bytes": len(BODY), "source": "dandi://000021/draft/sub-1/x.nwb"}


def test_dandi_lacks_the_asset(archive):
    archive.says(f"{ASSETS}?path=x&page_size=100", {"results": [{"asset_id": "1", "path": "x.nwb", "size": 1}], "next": None})
    with pytest.raises(FetchError, match=r"version draft, holds no asset 'x' \(but 'x\.nwb'\); correct the path"):
        archive.resolve("dandi://000021/draft/x")
    with pytest.raises(FetchError, match="expected dandi://<number>/<version or draft>/<path"):
        archive.resolve("dandi://000021/draft")


# OSF, figshare, GIN


def osf_item(archive: Archive, name: str, kind: str = "file", **hashes: str) -> dict:
    item = {"attributes": {"name": name, "kind": kind, "size": 16, "extra": {"hashes": hashes}}}
    if kind == "file":
        return item | {"links": {"download": f"{archive.url}/dl/{name}"}}
    return item | {"relationships": {"files": {"links": {"related": {"href": f"{archive.url}/osf/in/{name}/"}}}}}


def test_a_file_of_osf_by_its_path(archive):
    first = "/osf/nodes/jum2f/files/osfstorage/"
    archive.says(first, {"data": [osf_item(archive, "a")], "links": {"next": f"{archive.url}{first}?page=2"}})
    archive.says(f"{first}?page=2", {"data": [osf_item(archive, "dir", "folder")], "links": {"next": None}})
    archive.says("/osf/in/dir/", {"data": [osf_item(archive, "b.zip", sha256=SHA, md5=MD5)], "links": {}})
    expected = Resolved(f"{archive.url}/dl/b.zip", SHA, MD5, 16)
    assert archive.resolve("osf://jum2f/dir/b.zip") == {"": expected}
    assert archive.resolve("osf://jum2f/dir/") == {"b.zip": expected}
    assert sorted(archive.resolve("osf://jum2f/")) == ["a", "dir/b.zip"]
    with pytest.raises(FetchError, match=r"the archive has no 'c' there \(found b\.zip\)"):
        archive.resolve("osf://jum2f/dir/c")


def test_a_file_of_osf_by_its_id(archive):
    archive.says("/osf/nodes/jum2f/files/osfstorage/", {"data": [osf_item(archive, "a")], "links": {}})
    archive.says("/osf/files/5d3f/", {"data": osf_item(archive, "b")})
    assert archive.resolve("osf://jum2f/5d3f")[""].url == f"{archive.url}/dl/b"
    with pytest.raises(FetchError, match=r"the archive has no 'nope' there \(found a\)"):
        archive.resolve("osf://jum2f/nope")


def test_a_file_of_figshare_by_its_name(archive):
    page = [{"name": f"f{k}", "size": k, "computed_md5": "", "download_url": f"u{k}"} for k in range(100)]
    last = [{"name": "S1.h5", "size": 16, "computed_md5": MD5, "download_url": f"{archive.url}/dl"}]
    archive.says("/figshare/articles/7387130/files?page=1&page_size=100", page)
    archive.says("/figshare/articles/7387130/files?page=2&page_size=100", last)
    assert archive.resolve("figshare://7387130/S1.h5") == {"": Resolved(f"{archive.url}/dl", None, MD5, 16)}
    assert archive.resolve("figshare://7387130/f3")[""] == Resolved("u3", None, None, 3)
    assert len(archive.resolve("figshare://7387130/")) == 101
    with pytest.raises(FetchError, match=r"no 'S9\.h5' there \(found f0, f1, .* …\)"):
        archive.resolve("figshare://7387130/S9.h5")


def test_a_file_of_gin():
    found = resolve("gin://lab/repo/a dir/x.hdf?ref=v2", Client())
    assert found == {"": Resolved("https://gin.g-node.org/lab/repo/raw/v2/a%20dir/x.hdf", version="v2")}
    with pytest.raises(FetchError, match="GIN lists no folders"):
        resolve("gin://lab/repo/dir/", Client())


# What an archive and an entry say of a file


def test_the_archive_and_the_entry_differ(archive, tmp_path, monkeypatch):
    monkeypatch.setenv("ISOCORTEX_API_S3", f"{archive.url}/s3")
    archive.says("/s3/b/x", BODY, ETag=f'"{MD5}"')
    with pytest.raises(FetchError, match=f"the archive now holds another file, md5 found {MD5}, expected 0{{32}}"):
        fetch(tmp_path, url="s3://b/x", md5="0" * 32)
    assert "GET /s3/b/x" not in archive.asked
    assert fetch(tmp_path, url="s3://b/x", md5=MD5, sha1=SHA1)["sha256"] == SHA


@pytest.mark.parametrize(("name", "digest"), [("sha1", SHA1), ("md5", MD5)])
def test_other_digests_are_checked(archive, tmp_path, name, digest):
    archive.says("/x", BODY)
    with pytest.raises(FetchError, match=f"{name} found {digest}, expected 0+; deleted"):
        fetch(tmp_path, url=f"{archive.url}/x", **{name: "0" * len(digest)})
    assert list((tmp_path / "d/a").iterdir()) == []
    assert fetch(tmp_path, url=f"{archive.url}/x", **{name: digest})["sha256"] == SHA
    (tmp_path / "d/a/x").write_bytes(b"changed since")
    assert fetch(tmp_path, url=f"{archive.url}/x", **{name: digest})["sha256"] == SHA


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"<html>down</html>", "the archive answered '<html>down</html>', expected JSON; it may be down or have moved"),
        ({"detail": "x"}, "the archive's answer has no 'results', expected it; its interface may have changed"),
        ({"results": {"a": 1}}, "the archive answered dict, expected a list"),
        ([1], "the archive's answer has no 'results'"),
    ],
)
def test_an_archive_that_answers_nonsense(archive, answer, text):
    archive.says(f"{ASSETS}?path=x&page_size=100", answer)
    with pytest.raises(FetchError, match=text.replace("(", r"\(")) as error:
        archive.resolve("dandi://000021/draft/x")
    assert "\n" not in str(error.value)


def test_a_listing_that_is_no_xml(archive):
    archive.says("/s3/b/?list-type=2&prefix=", b"not a listing")
    with pytest.raises(FetchError, match="answered 'not a listing', expected the XML of a listing"):
        archive.resolve("s3://b/")


def test_an_archive_that_is_not_there():
    with pytest.raises(FetchError, match=r"http://127\.0\.0\.1:9/articles/1/files.*; correct the url, check the network"):
        resolve("figshare://1/x", Client({"figshare": "http://127.0.0.1:9"}, attempts=2, pause=0.0))


# The guide


def test_every_snippet_of_the_guide_is_taken():
    text = (Path(__file__).parents[3] / "docs/recordings.md").read_text(encoding="utf-8")
    chapter = text.split("# Fetching\n", 1)[1].split("\n# ", 1)[0]
    files, subject = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", chapter, re.DOTALL))
    for file in files["files"].values():
        assert File.model_validate(file).url == file["url"]
    assert ADAPTERS[subject["adapter"]].model_validate(subject).model_dump()["where"] == {"animal": ["Tito"]}
    named = set(re.findall(r"`([a-z0-9]+)://", chapter))
    assert named == {*ARCHIVES, "nilearn", "https", "file"}
