"""Activations streamed into a store: what is there stays, what a store of other rows holds is copied, the rest computed."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import torch

from isocortex.compute import as_tensor
from isocortex.errors import DataError
from isocortex.features.ahead import ahead
from isocortex.features.blocks import Block, Pair, Rows, rows_of, rows_per_chunk
from isocortex.features.half import fits_half
from isocortex.features.model import Model
from isocortex.features.progress import progress
from isocortex.features.projection import Projections
from isocortex.storage.store import StoreWriter

DIMS = {"activation": ("stimulus", "feature"), "maps": ("stimulus", "channel", "y", "x")}
# Keys of an entry that change no stored number: layers are added to a store, the others only name the model or its batches.
NOT_RECIPE = ("layers", "label", "trained_on", "batch")
AUTO_FEATURES = 6000  # of a layer that is projected: squared distances keep within 4 %


@dataclass(frozen=True)
class Storing:
    """How features are kept: in float16 where it holds them (`half`), and in at most `project` numbers per layer."""

    half: bool = False
    project: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Request:
    """Which layers of a model to store, of which of them the spatial maps too, and how; `read` gives the stimulus of a row."""

    model: Model
    table: pd.DataFrame
    read: Callable[[int], Any]
    maps: tuple[str, ...] = ()
    storing: Storing = field(default_factory=Storing)

    @property
    def arrays(self) -> list[Pair]:
        """(layer, array) pairs that the store must hold."""
        return [(layer, "activation") for layer in self.model.layers] + [(layer, "maps") for layer in self.maps]


def row_keys(table: pd.DataFrame, by_id: bool = False) -> list[str]:
    """One key per row: equal keys mean equal features, so that they are computed once. By its digest, or by its id."""
    names = table["stimulus_id"].astype(str)
    if by_id:
        return [f"id:{name}" for name in names]
    return [digest or f"id:{name}" for digest, name in zip(table["digest"].astype(str), names, strict=True)]


def layer_groups(sidecar: dict[str, Any]) -> dict[str, str]:
    """Layer → group of a finished store, in the order of the model's layers; layers of another study's request are left out."""
    groups = {attributes["layer"]: name for name, attributes in sidecar["groups"].items()}
    return {layer: groups[layer] for layer in sidecar["layers"]}


def extract(writer: StoreWriter, request: Request) -> dict[str, int]:
    """Fill the store and return the number of features per layer; see `Extraction`."""
    return Extraction(writer, request).run()


class Extraction:
    """Fills a store block by block: a block is one chunk of rows, so that memory does not grow with the number of stimuli.

    Stimuli are read, and prepared where the model says how (`prepare`), by threads ahead of the model; the model's values are
    projected where they are, and stored in float16 until one does not fit: then that array is float32, and its earlier rows
    are computed again, so that the type depends on the stimuli and not on their order.
    """

    def __init__(self, writer: StoreWriter, request: Request) -> None:
        self.writer, self.request, self.model = writer, request, request.model
        self.rows: Rows = rows_of(writer, self.model.layers, "float16" if request.storing.half else "float32")
        self.step = rows_per_chunk(writer) or self.model.batch
        self.projections = Projections(request.storing.project, request.storing.seed) if request.storing.project else None
        self._blocks = self.rows.blocks(request.arrays, self.step)

    @property
    def computed(self) -> list[int]:
        """The rows that the model will be asked for."""
        return [row for block in self._blocks for row in block.computed]

    def run(self) -> dict[str, int]:
        """Fill the store; the number of features per layer.

        Raises `DataError` naming layer and stimulus where the model gives a value that is not finite.
        """
        n, computed, start = len(self.writer.rows), 0, time.perf_counter()
        with progress(n, n - _length(self._blocks)) as bar:
            while self._blocks:
                self._pass(bar)
                computed += len(self.computed)
                # Arrays that became float32 on the way lack their earlier rows.
                self._blocks = self.rows.blocks(self.request.arrays, self.step)
                bar.total += _length(self._blocks)
        if computed:
            self.writer.took(computed, time.perf_counter() - start)
        return {layer: self._describe(layer) for layer in self.model.layers}

    def _pass(self, bar: Any) -> None:
        if self.model.input == "table":
            for block in self._blocks:
                self._fill(block, self.request.table.iloc[list(block.computed)])
                bar.update(block.stop - block.start)
            return
        # A model's own preparation of a stimulus need not wait for the device.
        prepare: Callable[[Any], Any] = getattr(self.model, "prepare", _as_it_is)
        ready = lambda row: prepare(self.request.read(row))
        with closing(ahead(ready, self.computed, 2 * self.step)) as stimuli:
            for block in self._blocks:
                self._fill(block, list(islice(stimuli, len(block.computed))))
                bar.update(block.stop - block.start)

    def _fill(self, block: Block, stimuli: Any) -> None:
        computed = self._compute(block, stimuli) if block.computed else {}
        for pair in block.missing:
            values = self._gather(block, pair, computed.get(pair, []))
            if values is not None:
                self._write(block, pair, values)

    def _compute(self, block: Block, stimuli: Any) -> dict[Pair, list[np.ndarray]]:
        """Values of `block.computed`, row by row, of what is missing."""
        wanted = list(dict.fromkeys(layer for layer, _ in block.missing))
        maps = [layer for layer, name in block.missing if name == "maps"]
        found: dict[Pair, list[np.ndarray]] = {pair: [] for pair in block.missing}
        projections = self.projections
        for batch in self.model.features(stimuli, wanted, maps):
            for layer, name in block.missing:
                values = as_tensor(batch[layer][name], dtype=torch.float32)
                self._check(block.computed[len(found[layer, name]) :], values, (layer, name))
                if name == "activation" and projections is not None:
                    values = projections(layer, values)
                found[layer, name].extend(values.cpu().numpy())
        return found

    def _check(self, rows: tuple[int, ...], values: torch.Tensor, pair: Pair) -> None:
        bad = ~torch.isfinite(values).flatten(1).all(1)
        if bool(bad.any()):
            stimulus = self.request.table["stimulus_id"].iloc[rows[int(bad.int().argmax())]]
            raise DataError(
                f"layer {pair[0]!r}: found NaN or infinite {pair[1]} for stimulus {stimulus!r}, expected numbers; "
                "mend the model"
            )

    def _gather(self, block: Block, pair: Pair, computed: list[np.ndarray]) -> list[np.ndarray] | None:
        """The values of all rows of a block; None where an array that became float32 lacks some as yet."""
        group, first, keys = self.rows.groups[pair[0]], self.rows.first, self.writer.rows
        parts = dict(zip(block.computed, computed, strict=True))
        copied = [row for row in range(block.start, block.stop) if first[row] == row and row not in parts]
        if copied:
            donor = self.rows.donor(pair)
            if donor is None or not all(donor.holds(group, pair[1], keys[row]) for row in copied):
                return None
            parts.update(zip(copied, donor.take(group, pair[1], [keys[row] for row in copied]), strict=True))
        earlier = sorted({first[row] for row in range(block.start, block.stop)} - set(parts))
        if earlier:
            if not all(self.rows.has(pair, row, row + 1) for row in earlier):
                return None
            parts.update(zip(earlier, self.writer.take(group, pair[1], earlier), strict=True))
        return [parts[first[row]] for row in range(block.start, block.stop)]

    def _write(self, block: Block, pair: Pair, values: list[np.ndarray]) -> None:
        (layer, name), group, n = pair, self.rows.groups[pair[0]], len(self.writer.rows)
        found = self.writer.find(group, name)
        shapes = {value.shape for value in values} | ({found.shape[1:]} if found is not None and block.start else set())
        if len(shapes) > 1:
            raise DataError(
                f"layer {layer!r}: found shapes {' and '.join(map(str, sorted(shapes)))} for different stimuli, expected one; "
                "resize the images in preprocess, or pool"
            )
        rows, dtype = np.stack(values), self.rows.dtype(pair)
        if dtype == "float16" and not fits_half(rows):
            dtype = "float32"
        if found is None:
            self.writer.group(group, layer=layer, **self._units(layer))
        self.writer.create(group, name, (n, *rows.shape[1:]), dtype, self.step, DIMS[name])
        if dtype == "float16" or all(value.dtype == np.float32 for value in values):
            self.writer.write(group, name, block.start, rows.astype(dtype, copy=False))
        # Else some of the rows were copied in float16, and the block's turn comes again.

    def _units(self, layer: str) -> dict[str, int]:
        """Of a projected layer, its dimensions and the units it had; the donor knows where nothing was computed."""
        group, donor = self.rows.groups[layer], self.writer.donor
        if self.projections is not None and layer in self.projections.units:
            return {"projected": self.projections.k, "n_units": self.projections.units[layer]}
        attributes: Any = donor.root[group].attrs if donor is not None and group in donor.root else {}
        return {name: int(attributes[name]) for name in ("projected", "n_units") if name in attributes}

    def _describe(self, layer: str) -> int:
        """Say of a layer's group what its arrays are; the number of its features."""
        group = self.rows.groups[layer]
        arrays = {name: found for name in DIMS if (found := self.writer.find(group, name)) is not None}
        n_features = int(arrays["activation"].shape[1])
        dtypes = {name: str(array.dtype) for name, array in arrays.items()}
        self.writer.group(group, layer=layer, n_features=n_features, dtype=dtypes)
        return n_features


def _length(blocks: list[Block]) -> int:
    return sum(block.stop - block.start for block in blocks)


def _as_it_is(stimulus: Any) -> Any:
    return stimulus
