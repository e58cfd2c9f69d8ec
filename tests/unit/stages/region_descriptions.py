"""Regions with a known geometry, and what the stage says of them."""

import numpy as np
import pandas as pd
from cell_inputs import common_options, write_brain

from isocortex.inference.rows import rows_from_json
from isocortex.stages import geometry
from isocortex.storage.tables import read_netcdf, write_parquet

RATIO = {"participation_ratio": {}}


def ran(tmp_path, subjects, descriptors, tables=None, sets=None, **inference):
    brain = write_brain(tmp_path / "brain.nc", subjects)
    named = sets or dict.fromkeys(subjects, "all")
    options = {**common_options(named, model="", **inference), "descriptors": descriptors}
    inputs = {"brain": str(brain)}
    for name, table in (tables or {}).items():
        write_parquet(table, tmp_path / f"{name}.parquet")
        inputs.setdefault("stimuli", {})[name] = str(tmp_path / f"{name}.parquet")
    geometry.run({"inputs": inputs, "output": str(tmp_path / "g.nc"), "options": options}, "cpu")
    data = read_netcdf(tmp_path / "g.nc")
    return data, {(row["method"], row["subject"]): row for row in rows_from_json(data.attrs["rows"])}


def described(tmp_path, subjects):
    data, rows = ran(tmp_path, subjects, RATIO)
    return data, {subject: row for (_, subject), row in rows.items()}


def table_of(ids, **labels):
    fixed = {"stimulus_id": ids, "digest": "", "near": "", "path": "", "row": -1, "caption": ""}
    return pd.DataFrame({**fixed, **labels})


def of_classes(rng, classes, p=20, repeats=3):
    """Trials of stimuli whose means lie with their classes."""
    centres = 3 * rng.normal(size=(6, p))
    return centres[classes][:, None] + rng.normal(size=(len(classes), repeats, p))


def low_dimensional(rng, repeats, n=30, p=20):
    signal = rng.normal(size=(n, 3)) @ rng.normal(size=(3, p))
    return signal[:, None] + 0.5 * rng.normal(size=(n, repeats, p))


def data_of(trials):
    return np.nanmean(trials, axis=1).astype(np.float32).astype(np.float64)
