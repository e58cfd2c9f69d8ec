"""Files of bdpy (Kamitani lab): a table of samples × columns, and what each column is.

Format (github.com/KamitaniLab/bdpy, bdpy/bdata/bdata.py): `dataset` (samples, columns), `metadata/key` (keys,) and
`metadata/value` (keys, columns), in which 1 says that a column is of a key; older files say `dataSet` and `metaData`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isocortex.errors import DataError

FORMS = (("dataset", "metadata"), ("dataSet", "metaData"))


@dataclass(frozen=True)
class BData:
    """An opened file: values of the metadata (keys, columns) by key, and the samples, which are read in parts."""

    file: Path
    where: str
    name: str
    n_samples: int
    metadata: dict[str, np.ndarray]

    def columns(self, key: str) -> np.ndarray:
        """Indices of the columns that are of `key`."""
        if key not in self.metadata:
            raise DataError(
                f"{self.where}: no key {key!r}, found {', '.join(list(self.metadata)[:12])}; the file is of another data set"
            )
        return np.flatnonzero(self.metadata[key] == 1)

    def column(self, key: str) -> np.ndarray:
        """The one column of `key` (samples,), float64."""
        found = self.columns(key)
        if len(found) != 1:
            raise DataError(f"{self.where}: {len(found)} columns are of {key!r}, expected one; the file is of another data set")
        return self.read(0, self.n_samples, found)[:, 0]

    def read(self, start: int, stop: int, columns: np.ndarray) -> np.ndarray:
        """Samples `start` to `stop` of some columns."""
        import h5py

        with h5py.File(self.file, "r") as opened:
            data: Any = opened[self.name]
            if len(columns) == 1:
                return np.asarray(data[start:stop, int(columns[0]) : int(columns[0]) + 1], dtype=np.float64)
            return np.asarray(data[start:stop], dtype=np.float64)[:, columns]


def open_bdata(file: Path, where: str) -> BData:
    """The metadata of a file. Raises `DataError` for a file of another form."""
    import h5py

    try:
        with h5py.File(file, "r") as opened:
            form = next(((data, meta) for data, meta in FORMS if data in opened and meta in opened), None)
            if form is None:
                raise DataError(f"{where}: found {', '.join(opened)}, expected dataset and metadata; it is no file of bdpy")
            keys = [
                key.decode() if isinstance(key, bytes) else str(key) for key in np.asarray(opened[f"{form[1]}/key"]).ravel()
            ]
            values = np.asarray(opened[f"{form[1]}/value"], dtype=np.float64)
            data: Any = opened[form[0]]
            shape = data.shape
    except OSError as error:
        text = " ".join(str(error).split())[:150]
        raise DataError(f"{where}: not readable as HDF5 ({text}); fetch it again") from error
    if len(shape) != 2 or values.shape != (len(keys), shape[1]):
        raise DataError(
            f"{where}: metadata have shape {values.shape}, expected ({len(keys)}, {shape[-1]}), keys × columns; fetch it again"
        )
    return BData(file, where, form[0], int(shape[0]), dict(zip(keys, values, strict=True)))
