"""Stage `compare`: a region against every layer of a model, by the metrics of one family."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray

from isocortex.compute import resolve_device
from isocortex.errors import DataError
from isocortex.inference.metric_rows import Cell
from isocortex.inference.pooling import Draws
from isocortex.inference.rows import rows_to_json
from isocortex.inference.table_draws import Settings
from isocortex.similarity.metrics import METRICS
from isocortex.stages.compare_inputs import read_subjects
from isocortex.stages.compare_rdms import rdm_cell
from isocortex.stages.compare_summaries import summary_cell
from isocortex.stages.comparing import Comparing
from isocortex.storage.store import Store
from isocortex.storage.tables import read_tree, write_netcdf


def run(spec: dict[str, Any], device: str = "auto") -> None:
    """Write one cell, `<FAMILY>.nc`: rows, draws, layer profiles and what a page shows of brain and model."""
    options, inputs = spec["options"], spec["inputs"]
    job = Comparing(
        subjects=read_subjects(read_tree(inputs["brain"]), options, inputs["brain"]),
        kernels={name: Store(path) for name, path in inputs["kernels"].items()},
        features={name: Store(path) for name, path in inputs.get("features", {}).items()},
        options=options,
        plan=_plan(options["inference"]),
        device=resolve_device(device),
    )
    cells: dict[str, Cell] = {}
    pictures: list[xarray.Dataset] = []
    for method, given in options["metrics"].items():
        metric = METRICS[method]
        if metric.family != options["family"]:
            raise DataError(f"compare: metric {method!r} is of family {metric.family!r}, expected {options['family']!r}")
        make = summary_cell if metric.summaries else rdm_cell
        cells[method], picture = make(metric, {**metric.options, **given}, job)
        pictures.append(picture)
    write_netcdf(_dataset(cells, pictures), spec["output"])


def _plan(inference: dict[str, Any]) -> Settings:
    asked = inference.get("permutations", "auto")
    return Settings(
        draws=int(inference.get("draws", 1000)),
        permutations=None if asked == "auto" else int(asked),
        seed=int(inference.get("seed", 0)),
        confidence=float(inference.get("confidence", 0.95)),
        generalise=str(inference.get("generalise", "auto")),
    )


def _dataset(cells: dict[str, Cell], pictures: list[xarray.Dataset]) -> xarray.Dataset:
    subjects = next(iter(cells.values())).subjects
    # A layer without an RDM of one kind may have one of another: a method's missing layers are NaN.
    layers = list(dict.fromkeys(name for cell in cells.values() for name in cell.layers))
    profiles = np.full((len(cells), len(subjects) + 1, len(layers)), np.nan)
    chosen = np.empty((len(cells), len(subjects) + 1), dtype=np.int64)
    for k, cell in enumerate(cells.values()):
        places = np.array([layers.index(name) for name in cell.layers])
        profiles[k][:, places], chosen[k] = cell.layer_score, places[cell.chosen]
    variables: dict[str, Any] = {
        "layer_score": (("method", "subject", "layer"), profiles),
        "chosen": (("method", "subject"), chosen),
        **_drawn([cell.draws for cell in cells.values()]),
    }
    rows = [row for cell in cells.values() for row in cell.rows]
    shown = _merged(pictures, layers, subjects)
    return xarray.Dataset(
        {**variables, **shown.data_vars},
        coords={"method": list(cells), "subject": [*subjects, "all"], "layer": layers, **shown.coords},
        attrs={**shown.attrs, "rows": rows_to_json(rows)},
    )


def _merged(pictures: list[xarray.Dataset], layers: list[str], subjects: list[str]) -> xarray.Dataset:
    """What a page shows, of all methods: the first has the say where two show the same; "all" is the mean over subjects."""
    merged = xarray.Dataset()
    for picture in pictures:
        new = picture.drop_vars([name for name in picture.data_vars if name in merged and "method" not in picture[name].dims])
        # What is shown of stimuli is shown once, whatever part of them another method took.
        new = new.drop_vars([name for name in new.coords if name in merged.coords and name not in new.indexes])
        if "layer" in new.dims:
            new = new.reindex(layer=layers)
        if "subject" in new.dims:
            own = [name for name, values in new.data_vars.items() if "subject" in values.dims]
            known = [name for name in subjects if name in new["subject"].values]
            mean = new[own].sel(subject=known).mean("subject").expand_dims(subject=["all"])
            mean = mean.map(lambda values: values.where(not str(values.name).endswith("_p")))  # a mean of p is none
            new = xarray.merge([new.drop_vars(own).drop_vars("subject"), xarray.concat([new[own], mean], "subject")])
        attrs = {**new.attrs, **merged.attrs}
        merged = xarray.merge([merged, new], join="outer", compat="no_conflicts", combine_attrs="drop").assign_attrs(attrs)
    return merged


def _drawn(draws: list[Draws]) -> dict[str, Any]:
    """Draws of every subject and of "all", and what the variance of their differences needs; NaN where a method has less."""
    found: dict[str, Any] = {}
    for name, part, axis in (
        ("draws", "values", "draw"),
        ("draws_fixed", "fixed", "draw"),
        ("draws_linear", "linear", "draw"),
        ("influence", "influence", "stimulus_left"),
        ("regrouped", "regrouped", "group"),
    ):
        given = [getattr(one, part) for one in draws]
        if all(values is None for values in given):
            continue
        longest = max(
            len(one.values) if axis == "draw" else len(values)
            for one, values in zip(draws, given, strict=True)
            if values is not None
        )
        table = np.full((len(draws), draws[0].values.shape[1] + 1, longest), np.nan, dtype=np.float32)
        for k, values in enumerate(given):
            if values is not None:
                table[k, :-1, : len(values)], table[k, -1, : len(values)] = values.T, values.mean(axis=1)
        found[name] = (("method", "subject", axis), table)
    return found
