"""Files of a BIDS tree by the entities in their names (bids-specification.readthedocs.io, fMRIPrep's outputs)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isocortex.errors import DataError

SHOWN = 6  # names in a message


@dataclass(frozen=True)
class BidsFile:
    """A file, its path below the data set's folder, and its entities (without `sub`)."""

    path: str
    entities: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]


def files_of(root: Path, tree: str, participant: str, suffix: str, extension: str, folder: str = "func") -> list[BidsFile]:
    """All files `sub-<participant>_…_<suffix>.<extension>` of one kind of data below `root/tree`."""
    from nilearn.interfaces.bids import get_bids_files

    found = get_bids_files(root / tree, file_tag=suffix, file_type=extension, sub_label=participant, modality_folder=folder)
    # A tree with sessions may hold files outside of them, which nilearn then passes over.
    found += [
        str(file) for file in (root / tree / f"sub-{participant}" / folder).glob(f"sub-{participant}_*_{suffix}.{extension}")
    ]
    return _parsed(root, found)


def files_of_all(root: Path, tree: str, suffix: str, extension: str) -> list[BidsFile]:
    """Files at the top of a tree, which are of every subject (`task-x_events.tsv`)."""
    return _parsed(root, [str(file) for file in (root / tree).glob(f"*_{suffix}.{extension}")])


def _parsed(root: Path, found: Sequence[str]) -> list[BidsFile]:
    from nilearn.interfaces.bids import parse_bids_filename

    files = []
    for name in sorted(set(found)):
        entities: Any = parse_bids_filename(name)["entities"]
        own = {key: str(value) for key, value in entities.items() if key != "sub" and value is not None}
        files.append(BidsFile(Path(name).relative_to(root).as_posix(), own))
    return files


def matching(files: Sequence[BidsFile], wanted: Mapping[str, str | None]) -> list[BidsFile]:
    """Files that have these entities; None asks for a file without it."""
    return [file for file in files if all(file.entities.get(key) == value for key, value in wanted.items())]


def the_one(files: Sequence[BidsFile], where: str, what: str) -> BidsFile:
    """The only file; a `DataError` that says in which entity several differ."""
    if len(files) == 1:
        return files[0]
    keys = dict.fromkeys(key for file in files for key in file.entities)
    differing = {key: sorted({file.entities.get(key, "none") for file in files}) for key in keys}
    deciding = {key: values for key, values in differing.items() if len(values) > 1}
    decide = " and ".join(f"{key} ({', '.join(values)})" for key, values in deciding.items()) or "their folder"
    first = next(iter(deciding), "res")
    raise DataError(
        f"{where}: found {len(files)} files for {what}, expected one: {listed(files)}; they differ in {decide}, "
        f"say entities: {{{first}: …}}"
    )


def listed(files: Sequence[BidsFile]) -> str:
    """Names for a message, at most six."""
    if not files:
        return "none"
    names = ", ".join(file.name for file in files[:SHOWN])
    return f"{names} and {len(files) - SHOWN} more" if len(files) > SHOWN else names


def inherited(files: Sequence[BidsFile], entities: Mapping[str, str], where: str, what: str) -> BidsFile | None:
    """The file that applies to a run by BIDS' principle of inheritance.

    It has no entity that the run has otherwise, and of these the most; None where there is none.
    """
    fit = [file for file in files if all(entities.get(key) == value for key, value in file.entities.items())]
    most = max((len(file.entities) for file in fit), default=0)
    best = [file for file in fit if len(file.entities) == most]
    return the_one(best, where, what) if best else None
