"""The pictures that a core is trained on: read once, made small, and known by their digests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isocortex.encoding.cores.architecture import Architecture, prepare
from isocortex.errors import DataError
from isocortex.stages.subjects import Subject
from isocortex.storage.images import ImageReader
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

    Raises `DataError` for stimuli without image, or that are not in the set's table.
    """
    images: list[np.ndarray] = []
    place: dict[tuple[str, str], int] = {}
    rows: dict[str, np.ndarray] = {}
    digests: dict[str, list[str]] = {}
    with ImageReader(root) as reader:
        for name, subject in members.items():
            table = read_parquet(tables[subject.set_name]).set_index("stimulus_id")
            lost = [key for key in subject.ids if key not in table.index]
            if lost:
                raise DataError(
                    f"{tables[subject.set_name]}: found no row of {len(lost)} stimuli of subject {name} (first {lost[0]!r}), "
                    "expected all; make the stimuli again"
                )
            own = table.loc[subject.ids]
            digests[name] = [str(value) for value in own["digest"].fillna("")]
            bare = [key for key, path in zip(subject.ids, own["path"], strict=True) if not path]
            if bare:
                raise DataError(
                    f"{tables[subject.set_name]}: found {len(bare)} stimuli without image (first {bare[0]!r}), expected "
                    "images; a core is trained on them: leave it out of the study"
                )
            for key, path, row in zip(subject.ids, own["path"], own["row"], strict=True):
                if (subject.set_name, key) not in place:
                    place[subject.set_name, key] = len(images)
                    images.append(prepare(reader.read(path, int(row)), plan.size, plan.color))
            rows[name] = np.array([place[subject.set_name, key] for key in subject.ids])
    return Pictures(np.stack(images), rows, digests)
