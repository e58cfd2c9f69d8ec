"""Repositories of files: OSF (developer.osf.io), figshare (docs.figshare.com) and GIN (gin.g-node.org)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from isocortex.errors import FetchError
from isocortex.recordings.archives.client import Client, Resolved, rows, split, take

PAGE = 100


def osf(uri: str, client: Client) -> dict[str, Resolved]:
    """`osf://<node>/<path or id of a file>`, of the node's own storage; with a slash at its end all files below it."""
    node, path = split(uri, 1, "osf://<node>/<path or id of the file>")
    root = client.root("osf") or ""
    where = f"{root}/nodes/{node}/files/osfstorage/"
    names = [name for name in path.split("/") if name]
    for depth, name in enumerate(names):
        items = _items(where, client)
        found = next((item for item in items if take(item, where, "attributes", "name") == name), None)
        if found is None and len(names) == 1:
            return {"": _osf_by_id(name, uri, root, items, client)}
        if found is None:
            raise _missing(uri, name, [str(take(item, where, "attributes", "name")) for item in items])
        if take(found, where, "attributes", "kind") == "file" and depth == len(names) - 1:
            return {"": _osf_file(found, where)}
        where = take(found, where, "relationships", "files", "links", "related", "href")
    return _osf_folder(where, client)


def _items(url: str | None, client: Client) -> list[Any]:
    found = []
    while url:
        page = client.json(url)
        found += rows(page, url, "data")
        url = (page.get("links") or {}).get("next")
    return found


def _osf_folder(url: str, client: Client, prefix: str = "") -> dict[str, Resolved]:
    found = {}
    for item in _items(url, client):
        name = prefix + str(take(item, url, "attributes", "name"))
        if take(item, url, "attributes", "kind") == "file":
            found[name] = _osf_file(item, url)
        else:
            found |= _osf_folder(take(item, url, "relationships", "files", "links", "related", "href"), client, f"{name}/")
    return found


def _osf_by_id(name: str, uri: str, root: str, items: list[Any], client: Client) -> Resolved:
    url = f"{root}/files/{quote(name)}/"
    try:
        return _osf_file(take(client.json(url), url, "data"), url)
    except FetchError:
        raise _missing(uri, name, [str(item.get("attributes", {}).get("name")) for item in items]) from None


def _osf_file(item: Any, url: str) -> Resolved:
    attributes = take(item, url, "attributes")
    hashes = (attributes.get("extra") or {}).get("hashes") or {}
    return Resolved(take(item, url, "links", "download"), hashes.get("sha256"), hashes.get("md5"), attributes.get("size"))


def figshare(uri: str, client: Client) -> dict[str, Resolved]:
    """`figshare://<article>/<file name>[?version=2]`; without a name all files of the article."""
    article, name = split(uri, 1, "figshare://<article>/<file name>")
    version = parse_qs(urlsplit(uri).query).get("version", [None])[0]
    root = f"{client.root('figshare')}/articles/{article}" + (f"/versions/{version}" if version else "")
    files: dict[str, Resolved] = {}
    page = 1
    while True:
        url = f"{root}/files?page={page}&page_size={PAGE}"
        found = rows({"files": client.json(url)}, url, "files")
        for item in found:
            files[take(item, url, "name")] = Resolved(
                take(item, url, "download_url"), None, item.get("computed_md5") or None, item.get("size"), version
            )
        if len(found) < PAGE:
            break
        page += 1
    if not name:
        return files
    if name not in files:
        raise _missing(uri, name, list(files))
    return {"": files[name]}


def gin(uri: str, client: Client) -> dict[str, Resolved]:
    """`gin://<owner>/<repository>/<path>[?ref=branch or commit]`; GIN tells neither digest nor size."""
    owner, repository, path = split(uri, 2, "gin://<owner>/<repository>/<path>")
    if not path or path.endswith("/"):
        raise FetchError(f"{uri}: GIN lists no folders, expected the path of a file; list the files one by one")
    ref = parse_qs(urlsplit(uri).query).get("ref", ["master"])[0]
    return {"": Resolved(f"{client.root('gin')}/{owner}/{repository}/raw/{quote(ref)}/{quote(path)}", version=ref)}


def _missing(uri: str, name: str, found: list[str]) -> FetchError:
    listed = f"found {', '.join(found[:8])}{' …' if len(found) > 8 else ''}" if found else "the folder is empty"
    return FetchError(f"{uri}: the archive has no {name!r} there ({listed}); correct the url")
