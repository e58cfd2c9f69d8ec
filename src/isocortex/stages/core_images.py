"""The pictures that a core is trained on: read once, made small, and known by their digests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from isocortex.encoding.cores.architecture import Architecture, prepare
from isocortex.errors import DataError
from isocortex.features.checking import Files
from isocortex.stages.subjects import Subject
from isocortex.storage.images import ImageReader
from isocortex.storage.sounds import is_sound
from isocortex.storage.tables import read_parquet


@dataclass(frozen=True)
class Pictures:
    """images : (N, channel, size, size) uint8 of all stimuli. rows, digests : per subject, the image of each of its stimuli and
    the digest of the picture as it was shown."""

    images: np.ndarray
    rows: Mapping[str, np.ndarray]
    digests: Mapping[str, list[str]]


def read_pictures(tables: Mapping[str, str], root: str, members: Mapping[str, Subject], plan: Architecture) -> Pictures:
    """Pictures of the stimuli of all subjects; subjects of one stimulus set share them.

    Raises `DataError` for stimuli without image, that are not in the set's table, or whose picture is another by now.
    """
    images: list[np.ndarray] = []
    place: dict[tuple[str, str], int] = {}
    rows: dict[str, np.ndarray] = {}
    digests: dict[str, list[str]] = {}
    with ImageReader(root) as reader:
        for name, subject in members.items():
            table = read_parquet(tables[subject.set_name])
            files, own = Files(reader, table), _rows(table, subject, tables[subject.set_name])
            digests[name] = [str(value) for value in table["digest"].fillna("").iloc[own]]
            for key, row in zip(subject.ids, own, strict=True):
                if (subject.set_name, key) not in place:
                    place[subject.set_name, key] = len(images)
                    images.append(prepare(files.read(row), plan.size, plan.color))
            rows[name] = np.array([place[subject.set_name, key] for key in subject.ids])
    return Pictures(np.stack(images), rows, digests)


def _rows(table: pd.DataFrame, subject: Subject, where: str) -> list[int]:
    """The table's row of each of a subject's stimuli, which all have an image."""
    position = {str(key): row for row, key in enumerate(table["stimulus_id"])}
    lost = [key for key in subject.ids if key not in position]
    if lost:
        raise DataError(
            f"{where}: found no row of {len(lost)} stimuli of subject {subject.name} (first {lost[0]!r}), expected all; "
            "make the stimuli again"
        )
    rows = [position[key] for key in subject.ids]
    paths = [str(table["path"].iloc[row]) for row in rows]
    bare = [key for key, path in zip(subject.ids, paths, strict=True) if not path or is_sound(path)]
    if bare:
        raise DataError(
            f"{where}: found {len(bare)} stimuli without image (first {bare[0]!r}), expected images; "
            "a core is trained on them: leave it out of the study"
        )
    return rows
