"""Series of an NWB file (fields, fluorescence): channels or cells, and their means in bins after each onset."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from isocortex.errors import DataError
from isocortex.recordings.arrays import as_text
from isocortex.recordings.neural.bins import check_width, for_samples, mean_in_bins
from isocortex.recordings.neural.nwb_file import check_places, column, counted, positions
from isocortex.recordings.neural.sorted_times import SortedTimes
from isocortex.storage.lazy import Read


def find_series(nwb: Any, options: Mapping[str, Any], where: str) -> Any:
    """The series that {module, name} names; a container that holds one series stands for it. Raises `DataError` for none."""
    place = f"module {options['module']!r}" if options["module"] else "acquisition"
    if options["module"] and options["module"] not in nwb.processing:
        found = ", ".join(sorted(nwb.processing)) or "none"
        raise DataError(f"{where}: found no {place}, expected one of {found}; correct 'series: {{module: …}}'")
    held = nwb.processing[options["module"]].data_interfaces if options["module"] else nwb.acquisition
    name, _, inner = options["name"].partition("/")
    if name not in held:
        found = ", ".join(sorted(held)) or "none"
        raise DataError(f"{where}: found no series {name!r} in {place}, expected one of {found}; correct 'series: {{name: …}}'")
    found = held[name]
    if hasattr(found, "data"):
        return found
    parts = {child.name: child for child in found.children if hasattr(child, "data")}
    if len(parts) == 1 and not inner:
        return next(iter(parts.values()))
    if inner not in parts:
        raise DataError(
            f"{where}: {name!r} holds {', '.join(sorted(parts)) or 'no series'}, expected one; name it as {name}/<series>"
        )
    return parts[inner]


def series_neuroids(
    series: Any, spec: Mapping[str, Any], where: str
) -> tuple[dict[str, np.ndarray], np.ndarray, dict[str, str]]:
    """Coordinates of the channels that are kept, their columns in the data, and attributes (`dropped`, `unit`)."""
    options = spec["series"]
    if len(series.data.shape) != 2:
        raise DataError(f"{where}: data have shape {series.data.shape}, expected (time, channel); choose another series")
    n = series.data.shape[1]
    region = getattr(series, "electrodes", None) or getattr(series, "rois", None)
    table = region.table if region is not None else None
    rows = np.asarray(region.data[:], dtype=np.int64) if region is not None else np.full(n, -1)
    if len(rows) != n:
        raise DataError(f"{where}: the series has {n} channels and names {len(rows)}, expected as many; make the file again")
    ids = as_text(np.asarray(table.id[:])[rows]) if table is not None else np.arange(n).astype(str)
    own = table if getattr(series, "electrodes", None) is not None else None
    coords: dict[str, np.ndarray] = {"neuroid_id": ids, **positions(own, rows, spec["position"])}
    for name in dict.fromkeys(filter(None, (options["region"], *options["labels"]))):
        if table is None:
            raise DataError(f"{where}: the series names no electrodes or cells, expected a table with {name!r}; leave it out")
        coords[name] = as_text(column(table, name, where))[rows].astype(object)
    kept = np.ones(n, dtype=bool)
    if options["region"]:
        names = [f"channel {one}" for one in ids]
        kept = check_places(coords[options["region"]], names, options["unassigned"], options["region"], where)
    dropped = counted([f"no {options['region']}"] * int((~kept).sum()))
    attrs = {"dropped": json.dumps(dropped), "unit": str(series.unit)}
    return {name: values[kept] for name, values in coords.items()}, np.flatnonzero(kept), attrs


def series_reader(series: Any, file: Path, kept: np.ndarray, onsets: np.ndarray, edges: np.ndarray, where: str) -> Read:
    """Reads means (rows, columns, n_bins) of a series in its own unit: of each presentation only the samples of its window.

    NaN in bins for which there are no samples, before and after the recording or in a gap. Raises `DataError`, now, for times
    that do not rise, and bins narrower than the time between samples.
    """
    import h5py

    name, scale, shift = series.data.name, _scale(series)[kept], float(series.offset)
    n_samples = series.data.shape[0]
    clock, period = _clock(series, n_samples, where)
    check_width(edges, period, where)
    times_name = series.timestamps.name if series.timestamps is not None else None
    early = for_samples(edges, period)

    def read(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        result = np.empty((len(rows), len(columns), len(edges) - 1), dtype=np.float32)
        with h5py.File(file, "r") as content:
            data: Any = content[name]
            stamps = content[times_name] if times_name else None
            for place, onset in enumerate(onsets[rows]):
                first, times = clock(stamps, onset + early[0], onset + early[-1])
                inside = slice(*np.searchsorted(times, (onset + early[0], onset + early[-1])))
                values = np.asarray(data[first + inside.start : first + inside.stop])[:, kept[columns]]
                result[place] = mean_in_bins(values * scale[columns] + shift, times[inside], onset + early)
        return result

    return read


def _scale(series: Any) -> np.ndarray:
    """What each channel's stored numbers are multiplied by."""
    each = getattr(series, "channel_conversion", None)
    scale = np.full(series.data.shape[1], float(series.conversion))
    return scale if each is None else scale * np.asarray(each[:], dtype=np.float64)


def _clock(series: Any, n_samples: int, where: str) -> tuple[Any, float]:
    """How samples between two moments are found, (array, begin, end) to (first, times), and the seconds between two."""
    if series.timestamps is None:
        start, rate = float(series.starting_time or 0.0), float(series.rate)

        def even(_: Any, begin: float, end: float) -> tuple[int, np.ndarray]:
            first = min(max(int(np.floor((begin - start) * rate)) - 1, 0), n_samples)
            last = min(max(int(np.ceil((end - start) * rate)) + 1, first), n_samples)
            return first, start + np.arange(first, last) / rate

        return even, 1 / rate
    if len(series.timestamps) != n_samples:
        raise DataError(
            f"{where}: found {len(series.timestamps)} timestamps of {n_samples} samples, expected as many; make the file again"
        )
    times = SortedTimes(series.timestamps, strict=True)
    times.check(where, "timestamps", "correct the clock of the recording")
    some = np.diff(np.asarray(series.timestamps[:4096], dtype=np.float64))
    return times.within, float(np.median(some)) if len(some) else 0.0
