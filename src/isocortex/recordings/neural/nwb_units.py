"""Units of an NWB file: their regions, and their spikes in bins after each onset."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from isocortex.errors import DataError
from isocortex.recordings.arrays import as_text
from isocortex.recordings.neural.nwb_file import check_places, column, counted, positions
from isocortex.recordings.neural.presentations import select
from isocortex.recordings.neural.sorted_times import SortedTimes
from isocortex.recordings.neural.spikes import count_spikes, covered
from isocortex.storage.lazy import Read


def unit_neuroids(nwb: Any, spec: Mapping[str, Any], where: str) -> tuple[dict[str, np.ndarray], np.ndarray, dict[str, str]]:
    """Coordinates of the units that are kept, their rows in the table, and attributes (`dropped`: JSON, reason to number).

    `spec` is a subject's entry: {units: {region, electrode, where, limits, labels, unassigned}, position}.
    """
    options, table, where = spec["units"], nwb.units, f"{where}, units"
    if table is None:
        raise DataError(f"{where}: the file has no units, expected a table of them; give 'series' to read a signal")
    ids = as_text(column(table, "id", where))
    kept, reasons = _quality(table, options, where)
    electrode = _electrodes(nwb, table, options, where)
    labels = {name: as_text(column(table, name, where)) for name in (*options["where"], *options["labels"])}
    if options["region"] is not None:
        places = _places(nwb, table, options["region"], electrode, where)
        names = [f"unit {name}" for name in ids[kept]]
        mine = places[kept]
        assigned = check_places(mine, names, options["unassigned"], options["region"], where)
        places[kept] = mine
        reasons[np.flatnonzero(kept)[~assigned]] = f"no {options['region']}"
        labels[options["region"]] = places
    rows = np.flatnonzero(reasons == "")
    if not len(rows):
        raise DataError(f"{where}: none of {len(ids)} is left, expected some; loosen 'where', 'limits' or 'unassigned'")
    coords = {"neuroid_id": ids, **positions(nwb.electrodes, electrode, spec["position"]), **labels}
    return {name: values[rows] for name, values in coords.items()}, rows, {"dropped": json.dumps(counted(reasons.tolist()))}


def _quality(table: Any, options: Mapping[str, Any], where: str) -> tuple[np.ndarray, np.ndarray]:
    """Which units pass, and why others do not ("" for those that do)."""
    n = len(table.id)
    reasons = np.full(n, "", dtype=object)
    for name, allowed in options["where"].items():
        reasons[~select({name: column(table, name, where)}, {name: allowed}, {}) & (reasons == "")] = name
    for name, (low, high) in options["limits"].items():
        values = column(table, name, where)
        if values.dtype.kind not in "buif":
            raise DataError(f"{where}: column {name!r} holds {values.dtype}, expected numbers; use 'where' for text")
        values = values.astype(np.float64)
        inside = (values >= (-np.inf if low is None else low)) & (values <= (np.inf if high is None else high))
        reasons[~inside & (reasons == "")] = name
    return reasons == "", reasons


def _electrodes(nwb: Any, table: Any, options: Mapping[str, Any], where: str) -> np.ndarray:
    """The row of each unit's electrode in the table of electrodes; -1 where it has none."""
    name, n = options["electrode"], len(table.id)
    if nwb.electrodes is None or name not in table.colnames:
        return np.full(n, -1, dtype=np.int64)
    data = table[name]
    if hasattr(data, "target"):  # rows of the table, several per unit
        ends = np.asarray(data.data[:], dtype=np.int64)
        rows = np.asarray(data.target.data[:], dtype=np.int64)
        return np.asarray([_one(rows[start:end]) for start, end in zip(np.r_[0, ends[:-1]], ends, strict=True)], dtype=np.int64)
    known = {int(one): row for row, one in enumerate(nwb.electrodes.id[:])}
    named = np.asarray(data.data[:])
    if named.dtype.kind not in "uif":
        raise DataError(f"{where}: column {name!r} holds {named.dtype}, expected ids of electrodes; correct 'electrode'")
    return np.asarray([known.get(int(one), -1) if np.isfinite(one) else -1 for one in named], dtype=np.int64)


def _one(rows: np.ndarray) -> int:
    return int(rows[0]) if len(rows) == 1 else -2 if len(rows) else -1


def _places(nwb: Any, table: Any, region: str, electrode: np.ndarray, where: str) -> np.ndarray:
    """The region of each unit: its own column, or its electrode's."""
    if region in table.colnames:
        return as_text(column(table, region, where)).astype(object)
    if nwb.electrodes is None or region not in nwb.electrodes.colnames:
        found = ", ".join((*table.colnames, *(nwb.electrodes.colnames if nwb.electrodes is not None else ())))
        raise DataError(f"{where}: neither units nor electrodes have a column {region!r}, found {found}; correct 'region'")
    several = np.flatnonzero(electrode == -2)
    if len(several):
        first = as_text(column(table, "id", where))[several[0]]
        raise DataError(
            f"{where}: {len(several)} units are on several electrodes (first: unit {first}), expected the one of its peak; "
            "name the column that holds its id with 'electrode'"
        )
    places = as_text(column(nwb.electrodes, region, where))
    return np.asarray([places[row] if row >= 0 else "" for row in electrode], dtype=object)


def spike_reader(nwb: Any, file: Path, rows: np.ndarray, onsets: np.ndarray, edges: np.ndarray, sort: bool, where: str) -> Read:
    """Reads the counts (rows, columns, n_bins) of units: of each, only the spikes around the onsets that are asked for.

    NaN where a unit was not watched throughout (its `obs_intervals`). Raises `DataError`, now, for spikes out of order.
    """
    import h5py

    units, where = nwb.units, f"{where}, units"
    if "spike_times" not in units.colnames:
        raise DataError(f"{where}: found no spike_times, expected the spikes of each unit; give 'series' to read a signal")
    data = units["spike_times"].target.data
    name, ends = data.name, np.asarray(units["spike_times"].data[:], dtype=np.int64)
    starts = np.r_[0, ends[:-1]]
    ids = as_text(column(units, "id", where))
    trains = [SortedTimes(data, int(starts[row]), int(ends[row])) for row in rows]
    for train, row in zip(trains, rows, strict=True):
        if not sort:
            train.check(where, f"spike times of unit {ids[row]}", "set sort: true to order them")
    watched = [_watched(units, int(row)) for row in rows]

    def read(wanted: np.ndarray, columns: np.ndarray) -> np.ndarray:
        result = np.zeros((len(wanted), len(columns), len(edges) - 1), dtype=np.float32)
        moments = onsets[wanted]
        with h5py.File(file, "r") as content:
            array = content[name]
            for place, unit in enumerate(columns if len(moments) else ()):
                _, times = trains[unit].within(array, moments.min() + edges[0], moments.max() + edges[-1])
                result[:, place] = count_spikes(times, moments, edges)
                if watched[unit] is not None:
                    result[~covered(watched[unit], moments, edges), place] = np.nan
        return result

    return read


def _watched(units: Any, row: int) -> np.ndarray | None:
    """The intervals (n, 2) in which a unit was watched, seconds; None where the file does not say."""
    if "obs_intervals" not in units.colnames:
        return None
    return np.asarray(units["obs_intervals"][row], dtype=np.float64).reshape(-1, 2)
