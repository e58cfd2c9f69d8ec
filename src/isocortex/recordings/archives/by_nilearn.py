"""Data sets that nilearn knows how to fetch: its own fetcher writes a folder, which is then put into place."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from isocortex.errors import FetchError

# Name in the address: nilearn's function, the folder that it makes below `data_dir`, its arguments by those of the address.
FETCHERS: Mapping[str, tuple[str, str, Mapping[str, str]]] = {
    "haxby2001": ("fetch_haxby", "haxby2001", {"subject": "subjects"}),
    "miyawaki2008": ("fetch_miyawaki2008", "miyawaki2008", {}),
}


def fetch_by_nilearn(uri: str, target: Path) -> None:
    """Fetch `nilearn://haxby2001?subject=2` or `nilearn://miyawaki2008` into the folder `target`, which appears whole.

    Raises `FetchError` for an unknown name or argument, and for whatever goes wrong inside nilearn.
    """
    function, folder, arguments = _known(uri)
    part = target.with_name(target.name + ".part")
    part.mkdir(parents=True, exist_ok=True)
    try:
        from nilearn import datasets

        getattr(datasets, function)(data_dir=str(part), verbose=0, **arguments)
    except Exception as error:  # nilearn passes on what its many sources raise
        text = " ".join(str(error).split())[:200] or type(error).__name__
        raise FetchError(f"{uri}: nilearn could not fetch it ({text}); check the network and run again") from error
    if not (part / folder).is_dir():
        raise FetchError(f"{uri}: nilearn made no folder {folder!r}, expected it in {part}; nilearn may have changed it")
    if target.exists():
        shutil.rmtree(target)
    (part / folder).replace(target)
    shutil.rmtree(part)


def _known(uri: str) -> tuple[str, str, dict[str, Any]]:
    address = urlsplit(uri)
    if address.netloc not in FETCHERS:
        raise FetchError(f"{uri}: found {address.netloc!r}, expected one of {', '.join(sorted(FETCHERS))}; correct the url")
    function, folder, names = FETCHERS[address.netloc]
    asked = parse_qs(address.query)
    strange = sorted(set(asked) - set(names))
    if strange or any(not value.isdigit() for values in asked.values() for value in values):
        expected = ", ".join(f"{name}=<number>" for name in names) or "no argument"
        raise FetchError(f"{uri}: found {address.query!r}, expected {expected}; correct the url")
    return function, folder, {names[name]: [int(value) for value in values] for name, values in asked.items()}
