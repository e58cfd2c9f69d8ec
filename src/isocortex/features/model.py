"""What every model source gives: named layers, a digest of what it is made of, and batches of features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd
import torch

from isocortex.errors import StudyError

# layer → {"activation": (batch, feature) float32, and where asked "maps": (batch, channel, y, x) float32}
Batch = dict[str, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Context:
    """Where a model is built: folders in which its files are looked for, the stimulus table (set order), the device."""

    root: Path
    study_dir: Path = field(default_factory=Path)
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    model: str = "model"

    def find(self, path: str, key: str) -> Path:
        """The file `path` in the data set's folder, else beside the study. Raises `StudyError` where it is in neither."""
        for folder in (self.root, self.study_dir):
            if (folder / path).exists():
                return folder / path
        raise StudyError(
            f"models.{self.model}.{key}: found no {path!r} in {self.root} nor in {self.study_dir}; "
            "give a path relative to one of them"
        )


class Model(Protocol):
    """A model that can be asked for features.

    `input` says what `features` takes: "images" an iterable of uint8 (H, W, 3), "table" rows of the stimulus table whose index
    is the position in the set. `batch` is the number of stimuli per batch that it yields.
    """

    input: Literal["images", "table"]
    layers: tuple[str, ...]
    digest: str
    batch: int

    def features(self, stimuli: Any, layers: Sequence[str], maps: Sequence[str] = ()) -> Iterator[Batch]:
        """Batches of features of `stimuli`, all `layers` in one pass; `maps` names those whose spatial maps are wanted too."""
        ...


def batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of at most `size` consecutive items."""
    batch: list[Any] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def refuse_maps(layers: Sequence[str], source: str) -> None:
    """Raise `StudyError` where a readout wants spatial maps of a source that has none."""
    if layers:
        raise StudyError(
            f"readout.layers: found {layers[0]!r} of a {source} model, expected a convolutional layer; leave it out"
        )
