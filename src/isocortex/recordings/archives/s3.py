"""Public buckets of Amazon S3, asked without an account; OpenNeuro's is one.

Sources: the S3 API reference (ListObjectsV2, HeadObject, "Checking object integrity") and OpenNeuro's documentation.
"""

from __future__ import annotations

import json
import logging
import re
import xml.etree.ElementTree as ElementTree
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from isocortex.errors import FetchError
from isocortex.recordings.archives.client import Client, Resolved, split

logger = logging.getLogger(__name__)


def s3(uri: str, client: Client) -> dict[str, Resolved]:
    """`s3://bucket/key[?versionId=…]`, or `s3://bucket/prefix/` for all keys below a prefix."""
    bucket, key = split(uri, 1, "s3://<bucket>/<key>")
    return _resolve(bucket_url(bucket, client), key, client, urlsplit(uri).query)


def openneuro(uri: str, client: Client) -> dict[str, Resolved]:
    """`openneuro://ds001499/path[?tag=1.3.1]`; the bucket holds the latest snapshot only, and another tag is refused."""
    dataset, path = split(uri, 1, "openneuro://ds<number>/<path>")
    if not re.fullmatch(r"ds\d{6}", dataset):
        raise FetchError(f"{uri}: found the data set {dataset!r}, expected ds and six digits, as ds001499; correct the url")
    root = client.root("openneuro") or ""
    tag = parse_qs(urlsplit(uri).query).get("tag", [None])[0]
    if tag is not None:
        _check_tag(uri, f"{root}/{dataset}", tag, client)
    return _resolve(root, f"{dataset}/{path}", client, "")


def bucket_url(bucket: str, client: Client) -> str:
    """The address of a bucket; one with a dot in its name has no certificate as a host."""
    root = client.root("s3")
    if root:
        return f"{root}/{bucket}"
    return f"https://s3.amazonaws.com/{bucket}" if "." in bucket else f"https://{bucket}.s3.amazonaws.com"


def _resolve(root: str, key: str, client: Client, query: str) -> dict[str, Resolved]:
    if key == "" or key.endswith("/"):
        return _listed(root, key, client)
    url = f"{root}/{quote(key)}" + (f"?{query}" if query else "")
    headers = client.ask("HEAD", url).headers
    length = headers.get("Content-Length", "")
    return {
        "": Resolved(
            url,
            # Under a key of one's own an ETag is no digest of the content.
            md5=None if "kms" in headers.get("x-amz-server-side-encryption", "") else md5_of(headers.get("ETag")),
            n_bytes=int(length) if length.isdigit() else None,
            version=headers.get("x-amz-version-id"),
        )
    }


def md5_of(etag: str | None) -> str | None:
    """The MD5 that an ETag is, unless the file was uploaded in parts ('…-12')."""
    plain = (etag or "").strip('"')
    return plain if re.fullmatch(r"[0-9a-f]{32}", plain) else None


def _listed(root: str, prefix: str, client: Client) -> dict[str, Resolved]:
    """All files below a prefix, page by page. Other encryption than S3's own is not told here: sizes only are taken."""
    found: dict[str, Resolved] = {}
    token: str | None = None
    while True:
        asked = {"list-type": "2", "prefix": prefix} | ({"continuation-token": token} if token else {})
        url = f"{root}/?{urlencode(asked)}"
        page = _xml(client.ask("GET", url).content, url)
        for item in page.iterfind("Contents"):
            key, size = item.findtext("Key") or "", item.findtext("Size") or ""
            if key.endswith("/"):
                continue
            found[key.removeprefix(prefix)] = Resolved(f"{root}/{quote(key)}", n_bytes=int(size) if size.isdigit() else None)
        last, token = token, page.findtext("NextContinuationToken")
        if page.findtext("IsTruncated") != "true":
            return found
        if not token or token == last:
            raise FetchError(f"{url}: the listing is cut off without a token for its next page; try again later")


def _xml(text: bytes, url: str) -> ElementTree.Element:
    """A listing without its namespace."""
    try:
        page = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        start = " ".join(text[:80].decode("utf-8", "replace").split())[:40]
        raise FetchError(f"{url}: the archive answered {start!r}, expected the XML of a listing; correct the bucket") from None
    for element in page.iter():
        element.tag = element.tag.rpartition("}")[2]
    return page


def _check_tag(uri: str, root: str, tag: str, client: Client) -> None:
    found = _version(root, client)
    if found is None:
        logger.warning("%s: the data set does not tell its version, so that tag %s could not be checked", uri, tag)
    elif found != tag:
        raise FetchError(
            f"{uri}: the bucket holds version {found}, asked for {tag}; OpenNeuro's bucket holds the latest snapshot only: "
            f"leave out the tag, or fetch {tag} with datalad and set ISOCORTEX_MIRROR"
        )


def _version(root: str, client: Client) -> str | None:
    """The snapshot that the data set says it is: by its DOI, else by the first line of its CHANGES."""
    try:
        description = json.loads(client.ask("GET", f"{root}/dataset_description.json").text)
        doi = re.search(r"\.v(\d[\w.]*)$", str(description.get("DatasetDOI", "")))
    except (ValueError, AttributeError):
        doi = None
    if doi:
        return doi[1]
    try:
        first = re.match(r"\s*v?(\d+\.\d+\.\d+)\b", client.ask("GET", f"{root}/CHANGES").text)
    except FetchError:
        return None
    return first[1] if first else None
