"""What every model source gives: named layers, a digest of what it is made of, and batches of features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import pandas as pd
import torch

from isocortex.errors import StudyError

Kind = Literal["images", "sounds", "table"]
# layer → {"activation": (batch, feature), and where asked "maps": (batch, channel, y, x)}, each float32: an array, or a tensor
# on the model's device.
Batch = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Context:
    """Where a model is built: folders in which its files are looked for, the stimulus table (set order), the device.

    degrees: width of the stimuli's images in degrees of visual angle, where it is known.
    """

    root: Path
    study_dir: Path = field(default_factory=Path)
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    model: str = "model"
    degrees: float | None = None

    def found(self, path: str) -> Path | None:
        """The file or folder `path` in the data set's folder, else beside the study, else None."""
        return next((folder / path for folder in (self.root, self.study_dir) if (folder / path).exists()), None)

    def find(self, path: str, key: str) -> Path:
        """As `found`. Raises `StudyError` where it is in neither."""
        if (place := self.found(path)) is not None:
            return place
        raise StudyError(
            f"models.{self.model}.{key}: found no {path!r} in {self.root} nor in {self.study_dir}; "
            "give a path relative to one of them"
        )


class Model(Protocol):
    """A model that can be asked for features.

    `input` says what `features` takes: "images" an iterable of uint8 (H, W, 3), "sounds" one of (samples (n,) float32, rate
    in Hz), "table" rows of the stimulus table whose index is the position in the set. `batch` is the number of stimuli per
    batch that it yields.
    """

    input: Kind
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
