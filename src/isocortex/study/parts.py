"""Which of a data set's files belong together: those of one subject, of one stimulus set, or of several.

Each part is fetched by a job of its own, so that a study downloads what its subjects and stimuli need and no more, and so that
another study's choice makes nothing anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

COMMON = "common"
# Folder of atlases that are asked for by name; each is a part, for another study may ask for others.
ATLASES = "atlases/"
OWNERS = (("subject", "subjects"), ("stimuli", "stimuli"))


def named_paths(spec: Any) -> Iterator[str]:
    """Every `path` in an entry, however deep."""
    if isinstance(spec, Mapping):
        for key, value in spec.items():
            if key == "path" and isinstance(value, str):
                yield value
            else:
                yield from named_paths(value)
    elif isinstance(spec, list | tuple):
        for value in spec:
            yield from named_paths(value)


def part_name(kind: str, name: str) -> str:
    """The part of one subject (kind `subject`) or stimulus set (`stimuli`)."""
    return f"{kind}-{name}"


def atlas_part(path: str) -> str:
    """The part of an atlas by a path that lies in its folder."""
    return part_name("atlas", path.split("/")[1])


def parts(entry: Mapping[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """The files of a data set by part: {part: {path: file}}.

    A file that nobody names, or more than one subject or stimulus set, is of the part `common`; an atlas that is asked for by
    name is a part of its own. A path that is named and not listed is fetched from the entry's `base`; without one it is left
    out here, and refused by whoever reads it.
    """
    listed = entry["files"]
    owners: dict[str, set[str]] = {path: set() for path in listed}
    for kind, key in OWNERS:
        for name, one in entry[key].items():
            for path in named_paths(one):
                file = _listed(path, listed)
                if file is not None or entry.get("base"):
                    owners.setdefault(file or path, set()).add(part_name(kind, name))
    for name, region in entry["regions"].items():
        for path in named_paths(region):
            if entry.get("base") and _listed(path, listed) is None:
                owners.setdefault(path, set()).add(part_name("region", name))
    found: dict[str, dict[str, dict[str, Any]]] = {COMMON: {}}
    for path, names in owners.items():
        file = listed.get(path) or _at_base(entry, path)
        if path.startswith(ATLASES) and str(file.get("url")).startswith("nilearn-atlas://"):
            found[atlas_part(path)] = {path: file}
            continue
        alone = len(names) == 1 and not next(iter(names)).startswith("region-")
        found.setdefault(next(iter(names)) if alone else COMMON, {})[path] = file
    return found


def _listed(path: str, listed: Mapping[str, Any]) -> str | None:
    """The file, or the folder that is listed as a whole, that a path lies in."""
    pieces = path.split("/")
    return next((name for end in range(len(pieces), 0, -1) if (name := "/".join(pieces[:end])) in listed), None)


def _at_base(entry: Mapping[str, Any], path: str) -> dict[str, Any]:
    if not entry.get("base"):
        return {}
    base, mark, query = entry["base"].partition("?")
    return {"url": f"{base.rstrip('/')}/{path}{mark}{query}"}
