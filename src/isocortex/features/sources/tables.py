"""The sources without images: activations that the user has (`precomputed`), and label columns (`labels`)."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from isocortex.errors import DataError, StudyError
from isocortex.features.model import Batch, Context, refuse_maps
from isocortex.storage.arrays import open_array
from isocortex.storage.atomic import digest_file, digest_json

TABLE_BATCH = 1024


@dataclass(frozen=True)
class Source:
    """Features of one layer: `array` (row, …) and, for the i-th stimulus of the set, the row `rows[i]`."""

    array: Any
    rows: np.ndarray


class TableModel:
    """Layers whose features stand in arrays, row by row."""

    input: Literal["table"] = "table"
    batch = TABLE_BATCH

    def __init__(self, sources: dict[str, Source], digest: str, kind: str) -> None:
        self.layers, self.digest, self._sources, self._kind = tuple(sources), digest, sources, kind

    def features(self, stimuli: pd.DataFrame, layers: Sequence[str], maps: Sequence[str] = ()) -> Iterator[Batch]:
        """Batches of the rows of `stimuli`, whose index is the position in the set."""
        refuse_maps(maps, self._kind)
        for start in range(0, len(stimuli), self.batch):
            positions = stimuli.index[start : start + self.batch].to_numpy()
            yield {layer: {"activation": _take(self._sources[layer], positions)} for layer in layers}


def _take(source: Source, positions: np.ndarray) -> np.ndarray:
    """Rows of an array-like as (row, feature) float32; read as one slice, because Zarr reads slices and not lists."""
    rows = source.rows[positions]
    first, last = int(rows.min()), int(rows.max()) + 1
    block = np.asarray(source.array[first:last])[rows - first]
    return block.reshape(len(rows), -1).astype(np.float32)


def build_precomputed(entry: dict[str, Any], context: Context) -> TableModel:
    """The model of an entry {path, key, ids} (layer `activation`, or the key's name) or {layers: {name: {path, key, ids}}}.

    Rows stand in set order, or are matched by the array `ids` of the same file. Raises `DataError` where the number of rows
    differs from the set's, an id is absent, or the values are not numbers.
    """
    places = entry.get("layers") or {entry.get("key") or "activation": entry}
    sources, digests = {}, {}
    for layer, place in places.items():
        path = context.find(str(place["path"]), "path")
        sources[layer] = _open_source(path, place, context.table)
        digests[layer] = _digest(path)
    ids = context.table["stimulus_id"].tolist()
    return TableModel(sources, digest_json([digests, ids]), "precomputed")


def _open_source(path: Path, place: dict[str, Any], table: pd.DataFrame) -> Source:
    array, n = open_array(path, place.get("key")), len(table)
    where = f"{path}" + (f" key {place['key']}" if place.get("key") else "")
    if len(array.shape) == 0 or array.dtype.kind not in "fiub":
        raise DataError(
            f"{where}: found {array.dtype} {tuple(array.shape)}, expected numbers (stimulus, feature); store them so"
        )
    if not place.get("ids"):
        if array.shape[0] != n:
            raise DataError(f"{where}: found {array.shape[0]} rows, expected {n}, one per stimulus in set order; or name ids:")
        return Source(array, np.arange(n))
    ids = [_text(value) for value in np.asarray(open_array(path, place["ids"])[:]).tolist()]
    if len(ids) != array.shape[0]:
        raise DataError(f"{where}: found {array.shape[0]} rows and {len(ids)} ids, expected as many; mend {place['ids']}")
    if len(set(ids)) < len(ids):
        raise DataError(f"{where}: found an id twice in {place['ids']}, expected each once; mend the file")
    row = {identity: index for index, identity in enumerate(ids)}
    missing = [identity for identity in table["stimulus_id"].astype(str) if identity not in row]
    if missing:
        raise DataError(
            f"{where}: found no row for {len(missing)} of {n} ids (first {missing[0]!r}), expected all; mend {place['ids']}"
        )
    return Source(array, np.array([row[identity] for identity in table["stimulus_id"].astype(str)], dtype=np.int64))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _digest(path: Path) -> str:
    """Digest of a file, or of all files of a Zarr directory."""
    if path.is_file():
        return digest_file(path)
    return digest_json({str(file.relative_to(path)): digest_file(file) for file in sorted(path.rglob("*")) if file.is_file()})


def build_labels(entry: dict[str, Any], context: Context) -> TableModel:
    """The model of an entry {columns}: label columns of the stimulus table as one layer, `labels`.

    Raises `StudyError` for a column that is not there, `DataError` for one with gaps or with one value only.
    """
    table, columns = context.table, [str(column) for column in entry["columns"]]
    known = [
        str(column) for column in table.columns if column not in ("stimulus_id", "digest", "near", "path", "row", "caption")
    ]
    for column in columns:
        if column not in known:
            near = difflib.get_close_matches(column, known, n=1, cutoff=0.0)
            hint = f"; nearest {near[0]!r} of {', '.join(known)}" if near else "; the stimulus table has no label columns"
            raise StudyError(f"models.{context.model}.columns: found {column!r}, expected a label column{hint}")
    values = np.concatenate([encode_column(pd.Series(table[column]), column) for column in columns], axis=1)
    digest = digest_json([columns, values.tolist(), table["stimulus_id"].tolist()])
    return TableModel({"labels": Source(values, np.arange(len(table)))}, digest, "labels")


def encode_column(column: pd.Series, name: str) -> np.ndarray:
    """(stimulus, k) float32: one column 0/1 for two values, as it stands if it is a fraction, else one column per value."""
    if column.isna().any():
        raise DataError(
            f"stimuli: label {name!r} is missing for {int(column.isna().sum())} of {len(column)} stimuli; fill it in"
        )
    values = column.to_numpy()
    if values.dtype.kind == "f" and not np.equal(np.mod(values, 1), 0).all():
        return values.astype(np.float32)[:, None]
    levels, codes = np.unique(values.astype(str), return_inverse=True)
    if len(levels) < 2:
        raise DataError(f"stimuli: label {name!r} has the one value {str(levels[0])!r}, expected at least two; leave it out")
    if len(levels) == 2:
        return codes.astype(np.float32)[:, None]
    return np.eye(len(levels), dtype=np.float32)[codes]
