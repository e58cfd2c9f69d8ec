"""Ids of studies, data sets, subjects, regions and models: they become folder names, so they are kept simple."""

from __future__ import annotations

import re
from collections.abc import Iterable

ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}"
RESERVED = frozenset(
    {
        "shared",
        "recordings",
        "features",
        "kernels",
        "geometry",
        "known_models",
        "splits",
        "stimuli",
        "logs",
        "benchmarks",
        "all",
        "index",
    }
)


def check_id(value: object, what: str) -> str:
    """`value` if it is an id; else a `ValueError` whose text says what is allowed."""
    if not isinstance(value, str):
        raise ValueError(
            f'{what} is {value!r} ({type(value).__name__}), and ids are strings; quote it in the YAML, as "{value}"'
        )
    if not re.fullmatch(ID_PATTERN, value):
        raise ValueError(f"{what} is {value!r}, expected 1 to 64 letters, digits or . _ + - and a letter or digit first")
    if value.lower() in RESERVED:
        raise ValueError(
            f"{what} is {value!r}, which is reserved (as are {', '.join(sorted(RESERVED - {value.lower()}))}); choose another"
        )
    return value


def check_unique(values: Iterable[str], what: str) -> None:
    """A `ValueError` where two ids differ only in case: some file systems would make them one folder."""
    seen: dict[str, str] = {}
    for value in values:
        other = seen.setdefault(value.lower(), value)
        if other != value:
            raise ValueError(f"{what}: {other!r} and {value!r} differ only in case; rename one")
