"""Tables of an NWB file: columns by name, trials, and what is known of each neuroid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from isocortex.errors import DataError
from isocortex.recordings.arrays import as_text
from isocortex.recordings.neural.presentations import Presentations, identify, in_order, select

# What is written where a place is not known; NWB itself recommends "unknown".
NOWHERE = frozenset({"", "nan", "none", "null", "n/a", "unknown"})


@contextmanager
def opened(file: Path, where: str) -> Iterator[Any]:
    """The content of an NWB file, with the extensions that it brings along; arrays stay in the file.

    Raises `DataError` for a file that is not NWB in HDF5.
    """
    from pynwb import NWBHDF5IO

    if file.is_dir():
        raise DataError(f"{where}: {file.name} is a folder, expected NWB in one HDF5 file; export Zarr to HDF5 with pynwb")
    try:
        io: Any = NWBHDF5IO(file, "r", load_namespaces=True)  # pyright: ignore[reportCallIssue]  # its signature is made when run
        content = io.read()
    except Exception as error:
        # Any: a broken file shows itself as one of many errors, of h5py, hdmf and of the extensions.
        text = " ".join(str(error).split())[:200]
        raise DataError(f"{where}: {file.name} is not readable as NWB ({text}); fetch or make the file again") from error
    try:
        yield content
    finally:
        io.close()


def column(table: Any, name: str, where: str) -> np.ndarray:
    """One value per row of a table; a `DataError` where it has no such column, or several values per row."""
    if name == "id":
        return np.asarray(table.id[:])
    if name not in table.colnames:
        found = ", ".join(("id", *table.colnames))
        raise DataError(f"{where}: found no column {name!r}, expected one of {found}; correct the name")
    data = table[name]
    if hasattr(data, "target"):
        raise DataError(f"{where}: column {name!r} has several values per row, expected one; name another")
    return np.asarray(data.data[:])


def trials(nwb: Any, spec: Mapping[str, Any], stimuli: pd.DataFrame, where: str) -> Presentations:
    """The presentations that a table of trials tells.

    `spec` is a subject's entry: {trials: {table, onset, stimulus, where, drop}, session, run}.
    """
    options, where = spec["trials"], f"{where}, table {spec['trials']['table']}"
    table = _intervals(nwb, options["table"], where)
    named = options["stimulus"]
    names = [named] if isinstance(named, str) else list(named)
    wanted = [options["onset"], *names, *options["where"], *options["drop"]]
    wanted += [place["column"] for place in (spec.get("session"), spec.get("run")) if place and place.get("column")]
    columns = {name: column(table, name, where) for name in dict.fromkeys(wanted)}
    kept = select(columns, options["where"], options["drop"])
    columns = {name: values[kept] for name, values in columns.items()}
    n = int(kept.sum())
    default = str(nwb.session_id or nwb.identifier)
    return in_order(
        columns[options["onset"]].astype(np.float64),
        identify(columns, named, stimuli, where),
        _one_each(spec.get("session"), columns, n, default),
        _one_each(spec.get("run"), columns, n, "0"),
        where,
    )


def _intervals(nwb: Any, name: str, where: str) -> Any:
    if nwb.intervals is not None and name in nwb.intervals:
        return nwb.intervals[name]
    found = ", ".join(sorted(nwb.intervals or {})) or "none"
    raise DataError(f"{where}: no such table of trials, found {found}; correct 'trials: {{table: …}}'")


def _one_each(place: Mapping[str, Any] | None, columns: Mapping[str, np.ndarray], n: int, default: str) -> np.ndarray:
    """A label per presentation: a column's, or one for all."""
    if place and place.get("column"):
        return as_text(columns[place["column"]])
    return np.full(n, str(place["value"]) if place and place.get("value") is not None else default)


def check_places(places: np.ndarray, names: Sequence[str], policy: str, what: str, where: str) -> np.ndarray:
    """Which neuroids are kept, bool (n,); `places` (n,) is changed: "" stands where none is known.

    `policy` is refuse, drop or label; `what` names the column. Raises `DataError` for the first.
    """
    missing = np.asarray([text.strip().lower() in NOWHERE for text in places.tolist()], dtype=bool)
    places[missing] = ""
    if policy == "refuse" and missing.any():
        first = names[int(np.flatnonzero(missing)[0])]
        raise DataError(
            f"{where}: {int(missing.sum())} of {len(names)} have no {what} (first: {first}), expected a region of each; "
            "set unassigned: drop to leave them out, or label to keep them without one"
        )
    return ~missing if policy == "drop" else np.ones(len(names), dtype=bool)


def positions(electrodes: Any, rows: np.ndarray, unit: str) -> dict[str, np.ndarray]:
    """x, y and z of the electrodes in these rows (-1: none), float64 mm; NaN where the file has none."""
    scale = {"um": 1e-3, "mm": 1.0}[unit]
    found = {}
    for axis in ("x", "y", "z"):
        found[axis] = np.full(len(rows), np.nan)
        if electrodes is not None and axis in electrodes.colnames:
            values = np.asarray(electrodes[axis].data[:], dtype=np.float64)
            found[axis][rows >= 0] = values[rows[rows >= 0]] * scale
    return found


def counted(reasons: Sequence[str]) -> dict[str, int]:
    """How often each reason was given for leaving a neuroid out."""
    return dict(Counter(reason for reason in reasons if reason))
