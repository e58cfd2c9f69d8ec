"""DANDI, by its REST interface (api.dandiarchive.org/swagger)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from isocortex.errors import FetchError
from isocortex.recordings.archives.client import Client, Resolved, rows, split, take


def dandi(uri: str, client: Client) -> dict[str, Resolved]:
    """`dandi://000021/<version or draft>/<path of an asset>`; with a slash at its end all assets below it."""
    number, version, path = split(uri, 2, "dandi://<number>/<version or draft>/<path of the asset>")
    root = client.root("dandi") or ""
    asked = f"{root}/dandisets/{number}/versions/{version}/assets/"
    url: str | None = f"{asked}?{urlencode({'path': path, 'page_size': 100})}"
    assets: list[Any] = []
    while url:
        page = client.json(url)
        assets += rows(page, url, "results")
        # The interface matches the start of paths.
        if exact := [asset for asset in assets if asset.get("path") == path]:
            return {"": _asset(exact[0], version, root, client)}
        url = page.get("next")
    if path and not path.endswith("/"):
        near = next((str(asset.get("path")) for asset in assets), None)
        raise FetchError(
            f"{uri}: dandiset {number}, version {version}, holds no asset {path!r}"
            f"{f' (but {near!r})' if near else ''}; correct the path, or the version"
        )
    return {str(asset.get("path")).removeprefix(path): _asset(asset, version, root, client) for asset in assets}


def _asset(asset: Any, version: str, root: str, client: Client) -> Resolved:
    identifier = take(asset, root, "asset_id")
    url = f"{root}/assets/{identifier}/"
    digests = client.json(url).get("digest") or {}
    return Resolved(f"{url}download/", digests.get("dandi:sha2-256"), None, asset.get("size"), version)
