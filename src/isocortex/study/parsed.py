"""What was read in modules of the package, kept in the user's cache by the modules' bytes: a parse is not made twice.

The file may be deleted at any time, and one that cannot be read or written is done without.
"""

from __future__ import annotations

import json
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

# Raise it when what `study.code` makes of a module changes.
FORM = 1


def file_of_parses() -> Path:
    """Where parses are kept: one file per Python, whose syntax trees differ."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "isocortex" / f"code-{FORM}-{sys.version_info.major}.{sys.version_info.minor}.json"


@cache
def _kept() -> dict[str, Any]:
    try:
        found = json.loads(file_of_parses().read_text(encoding="utf-8"))
    except (OSError, RuntimeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


_new: dict[str, Any] = {}


def remembered(key: str) -> tuple[str, tuple[str, ...]] | None:
    """The digest and the imports of the module whose bytes have the digest `key`; None where it was never read."""
    match _new.get(key) or _kept().get(key):
        case [str(digest), [*imports]] if all(isinstance(name, str) for name in imports):
            return digest, tuple(imports)
    return None


def remember(key: str, digest: str, imports: tuple[str, ...]) -> None:
    """Keep what was read; `keep` writes it."""
    _new[key] = [digest, list(imports)]


def keep() -> None:
    """Write what is new, whole or not at all; two workflows at once may lose one's parses, never mix them."""
    if not _new:
        return
    try:
        file = file_of_parses()
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        temporary.write_text(json.dumps({**_kept(), **_new}), encoding="utf-8")
        os.replace(temporary, file)
    except (OSError, RuntimeError):
        return
    _kept().update(_new)
    _new.clear()
