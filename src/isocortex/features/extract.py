"""Activations streamed into a store: what is there stays, what a store of other rows holds is copied, the rest computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import zarr
from tqdm import tqdm

from isocortex.errors import DataError
from isocortex.features.model import Batch, Model
from isocortex.storage.store import StoreWriter

DIMS = {"activation": ("stimulus", "feature"), "maps": ("stimulus", "channel", "y", "x")}
# Keys of an entry that change no stored number: layers are added to a store, the others only name the model.
NOT_RECIPE = ("layers", "label", "trained_on")


@dataclass(frozen=True)
class Request:
    """Which layers of a model to store, and of which of them the spatial maps too."""

    model: Model
    table: pd.DataFrame
    read: Callable[[int], np.ndarray]
    maps: tuple[str, ...] = ()

    @property
    def arrays(self) -> list[tuple[str, str]]:
        """(layer, array) pairs that the store must hold."""
        return [(layer, "activation") for layer in self.model.layers] + [(layer, "maps") for layer in self.maps]


def row_keys(table: pd.DataFrame, model: Model) -> list[str]:
    """One key per row: equal keys mean equal features, so that they are computed once."""
    names = table["stimulus_id"].astype(str)
    if model.input == "table":
        return [f"id:{name}" for name in names]
    return [digest or f"id:{name}" for digest, name in zip(table["digest"].astype(str), names, strict=True)]


def extract(writer: StoreWriter, request: Request) -> dict[str, int]:
    """Fill the store block by block and return the number of features per layer.

    A block is one batch and one chunk of rows, so that memory does not grow with the number of stimuli. Raises `DataError`
    naming layer and stimulus where a feature is not finite.
    """
    groups = assign_groups(writer, request.model.layers)
    first: dict[str, int] = {}
    for row, key in enumerate(writer.rows):
        first.setdefault(key, row)
    n, step = len(writer.rows), request.model.batch
    with tqdm(total=n, unit="stimulus", disable=None) as progress:
        for start in range(0, n, step):
            stop = min(n, start + step)
            missing = [(layer, name) for layer, name in request.arrays if not writer.has(groups[layer], name, start, stop)]
            if missing:
                _Block(writer, request, groups, start, stop, first).fill(missing)
            progress.update(stop - start)
    counts = {}
    for layer in request.model.layers:
        counts[layer] = int(_array(writer, groups[layer], "activation").shape[1])
        writer.group(groups[layer], layer=layer, n_features=counts[layer])
    return counts


def assign_groups(writer: StoreWriter, layers: Sequence[str]) -> dict[str, str]:
    """Layer → group name; a layer that the store (or its donor) holds keeps its group, a new one gets the next number."""
    roots = [writer.root]
    if writer.donor_rows:
        roots.append(zarr.open_group(writer.donor_directory, mode="r", zarr_format=3))
    known: dict[str, str] = {}
    for root in roots:
        for name, group in sorted(root.groups()):
            known.setdefault(str(group.attrs.get("layer")), name)
    following = max([int(name) for name in known.values()], default=-1) + 1
    for layer in layers:
        if layer not in known:
            known[layer] = f"{following:03d}"
            following += 1
    return {layer: known[layer] for layer in layers}


def layer_groups(sidecar: dict[str, Any]) -> dict[str, str]:
    """Layer → group of a finished store, in the order of the model's layers; layers of another study's request are left out."""
    groups = {attributes["layer"]: name for name, attributes in sidecar["groups"].items()}
    return {layer: groups[layer] for layer in sidecar["layers"]}


def _array(writer: StoreWriter, group: str, name: str) -> Any:
    return writer.root[f"{group}/{name}"]


@dataclass(frozen=True)
class _Block:
    """Rows start:stop of the store, and where each of them comes from."""

    writer: StoreWriter
    request: Request
    groups: dict[str, str]
    start: int
    stop: int
    first: dict[str, int]

    def fill(self, missing: list[tuple[str, str]]) -> None:
        """Write the missing arrays' rows."""
        donors = {pair: self.writer.donor(self.groups[pair[0]], pair[1]) for pair in missing}
        given = self.writer.donor_rows if all(donor is not None for donor in donors.values()) else {}
        rows = range(self.start, self.stop)
        origin = {row: self.first[self.writer.rows[row]] for row in rows}
        fresh = [row for row in rows if origin[row] == row]
        copied = [row for row in fresh if self.writer.rows[row] in given]
        computed = [row for row in fresh if self.writer.rows[row] not in given]
        batch = self._compute(computed, missing)
        for layer, name in missing:
            values: dict[int, np.ndarray] = {}
            if computed:
                values.update(zip(computed, batch[layer][name], strict=True))
            for row in copied:
                donor: Any = donors[layer, name]
                values[row] = np.asarray(donor[given[self.writer.rows[row]]])
            for row in rows:
                if row not in values:
                    earlier = origin[row]
                    known = values.get(earlier)
                    values[row] = np.asarray(_array(self.writer, self.groups[layer], name)[earlier]) if known is None else known
            self._write(layer, name, [values[row] for row in rows])

    def _compute(self, rows: list[int], missing: list[tuple[str, str]]) -> Batch:
        """Features of `rows`, those layers only that miss something."""
        if not rows:
            return {}
        model, wanted = self.request.model, list(dict.fromkeys(layer for layer, _ in missing))
        maps = [layer for layer, name in missing if name == "maps"]
        stimuli = self.request.table.iloc[rows] if model.input == "table" else self._images(rows)
        (batch,) = model.features(stimuli, wanted, maps)
        return batch

    def _images(self, rows: list[int]) -> Iterator[np.ndarray]:
        return (self.request.read(row) for row in rows)

    def _write(self, layer: str, name: str, values: list[np.ndarray]) -> None:
        shapes = {value.shape for value in values}
        group, n = self.groups[layer], len(self.writer.rows)
        self.writer.group(group, layer=layer)
        if self.start and f"{group}/{name}" in self.writer.root:
            shapes.add(tuple(_array(self.writer, group, name).shape[1:]))
        if len(shapes) > 1:
            raise DataError(
                f"layer {layer!r}: found shapes {' and '.join(map(str, sorted(shapes)))} for different stimuli, expected one; "
                "resize the images in preprocess, or pool"
            )
        block = np.stack(values).astype(np.float32, copy=False)
        bad = ~np.isfinite(block).reshape(len(block), -1).all(1)
        if bad.any():
            stimulus = self.request.table["stimulus_id"].iloc[self.start + int(np.argmax(bad))]
            raise DataError(
                f"layer {layer!r}: found NaN or infinite {name} for stimulus {stimulus!r}, expected numbers; mend the model"
            )
        self.writer.create(group, name, (n, *block.shape[1:]), "float32", self.request.model.batch, DIMS[name])
        self.writer.write(group, name, self.start, block)
