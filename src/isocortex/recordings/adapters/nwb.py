"""Neurodata Without Borders: spikes, fields or fluorescence around the trials of a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from isocortex.recordings.neural.bins import bin_edges, time_coords
from isocortex.recordings.neural.nwb_file import opened, trials
from isocortex.recordings.neural.nwb_series import find_series, series_neuroids, series_reader
from isocortex.recordings.neural.nwb_units import spike_reader, unit_neuroids
from isocortex.recordings.paths import inside
from isocortex.storage.lazy import lazy_response


def load(spec: Mapping[str, Any], root: Path, stimuli_table: pd.DataFrame) -> xr.Dataset:
    """The recording of one NWB file (HDF5; https://nwb-schema.readthedocs.io).

    Parameters
    ----------
    spec : {path, trials: {table, onset, stimulus, where, drop}, window: [start, end], bin, units: {…} or series: {…}, position,
        session, run}. `window` and `bin` are seconds after the onset of a trial; `position` is the unit of x, y and z in the
        table of electrodes. Options of units and series: `isocortex.study.adapters.nwb`.
    root : the data set's folder.
    stimuli_table : the stimulus set; its ids, or the labels that `stimulus` names, say which stimulus a trial showed.

    Returns
    -------
    Dataset with `response` (presentation, neuroid, time) float32, read from the file when it is indexed: counts of spikes (NaN
    where a unit was not observed), or means of a signal in the unit of attribute `unit` (NaN where it was not recorded).
    Attribute `dropped` is JSON: how many neuroids were left out, by reason.

    Raises
    ------
    DataError for tables, columns or stimuli that are not there, trials without onset, neuroids without region, unsorted times.
    """
    where = f"NWB file {spec['path']}"
    file = inside(root, spec["path"], where)
    edges = bin_edges(spec["window"], spec["bin"])
    with opened(file, where) as nwb:
        shown = trials(nwb, spec, stimuli_table, where)
        if spec.get("series"):
            series = find_series(nwb, spec["series"], where)
            where = f"{where}, series {spec['series']['name']}"
            coords, kept, attrs = series_neuroids(series, spec, where)
            over_time, read = "mean", series_reader(series, file, kept, shown.onset, edges, where)
        else:
            coords, kept, attrs = unit_neuroids(nwb, spec, where)
            over_time, read = "sum", spike_reader(nwb, file, kept, shown.onset, edges, spec["units"]["sort"], where)
    neuroids = {name: ("neuroid", _plain(values)) for name, values in coords.items()}
    return xr.Dataset(
        {"response": lazy_response((len(shown.onset), len(kept), len(edges) - 1), read)},
        coords={**shown.coords(), **neuroids, **time_coords(edges)},
        attrs={"over_time": over_time, **attrs},
    )


def _plain(values: np.ndarray) -> np.ndarray:
    return values.astype(str) if values.dtype.hasobject else values
