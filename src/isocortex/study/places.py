"""Where a region's neuroids lie, as the clauses that its job tests, and the files that those name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from isocortex.study.options.places import Atlas, Placed

Clause = dict[str, Any]
# The space of images that nilearn 0.13 fetches, by its own word (`template`); of Juelich's, by that of FSL, which has made it.
SPACES = {
    "aal": "MNIColin27",
    "destrieux": "fsaverage",
    "harvard_oxford": "MNI152NLin6Asym",
    "juelich": "MNI152NLin6Asym",
    "schaefer_2018": "MNI152NLin6Asym",
    "yeo_2011": "MNI152NLin6Asym",
}


def clauses(entry: Placed, directory: Path | None = None) -> list[Clause]:
    """What a neuroid must fit beside `where`: one mapping per kind of place.

    Files are in the data set's folder (`path`), unless one of that name lies in the study's own `directory`: then `file` is its
    path from the working directory.
    """
    found: list[Clause] = []
    if entry.mask is not None:
        found.append({"kind": "mask", **entry.mask.model_dump(exclude={"path"}), "image": _place(entry.mask.path, directory)})
    if entry.atlas is not None:
        found.append({"kind": "atlas", "labels": entry.labels, **_atlas(entry.atlas, directory)})
    spheres = entry.spheres or ([entry.sphere] if entry.sphere is not None else [])
    if spheres:
        found.append({"kind": "spheres", "spheres": [sphere.model_dump() for sphere in spheres]})
    bounds = {kind: getattr(entry, kind) for kind in ("at_least", "at_most")}
    return [*found, *({"kind": kind, "bounds": dict(given)} for kind, given in bounds.items() if given is not None)]


def _atlas(atlas: Atlas, directory: Path | None) -> Clause:
    if atlas.path is None:
        folder, name = atlas_folder(atlas), str(atlas.name)
        table = {"index": "index", "name": "name", "place": {"path": f"{folder}/labels.tsv"}}
        return {"image": {"path": f"{folder}/atlas.nii.gz"}, "table": table, "space": atlas.space or SPACES[name]}
    table = None
    if atlas.table is not None:
        columns = atlas.table.model_dump(exclude={"path"})
        table = {**columns, "place": _place(atlas.table.path, directory)}
    return {"image": _place(atlas.path, directory), "table": table, "space": atlas.space}


def atlas_folder(atlas: Atlas) -> str:
    """The folder of the data set that an atlas is fetched into; its choices tell it from others of the name."""
    return "/".join(["atlases", "-".join([str(atlas.name), *(str(value) for value in atlas.choices.values())])])


def atlas_url(atlas: Atlas) -> str:
    """The address that the fetching of atlases resolves."""
    query = urlencode(atlas.choices)
    return f"nilearn-atlas://{atlas.name}{'?' if query else ''}{query}"


def _place(path: str, directory: Path | None) -> dict[str, str]:
    if directory is not None and (directory / path).is_file():
        return {"file": Path(os.path.relpath(directory / path)).as_posix()}
    return {"path": path}


def own_files(places: Any) -> list[str]:
    """Files of the study's own that clauses name, from the working directory."""
    if isinstance(places, dict):
        return [text for key, value in places.items() for text in ([value] if key == "file" else own_files(value))]
    return [text for value in places for text in own_files(value)] if isinstance(places, list) else []


def resolved(places: Any, resources: str) -> Any:
    """Clauses whose files are all paths from the working directory: those of the data set lie in `resources`."""
    if isinstance(places, dict):
        return {
            "file" if key == "path" else key: f"{resources}/{value}" if key == "path" else resolved(value, resources)
            for key, value in places.items()
        }
    return [resolved(value, resources) for value in places] if isinstance(places, list) else places
