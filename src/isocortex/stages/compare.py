"""Stage `compare`: a region against every layer of a model, by the metrics of one family."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray

from isocortex.compute import resolve_device
from isocortex.errors import DataError
from isocortex.inference.metric_rows import Cell
from isocortex.inference.pooling import Draws, mean_of_scored
from isocortex.inference.rows import rows_to_json
from isocortex.inference.table_draws import Settings
from isocortex.similarity.metrics import METRICS
from isocortex.stages.compare_inputs import read_subjects
from isocortex.stages.compare_rdms import rdm_cell
from isocortex.stages.compare_subjects import on_common_stimuli, with_neuroids
from isocortex.stages.compare_summaries import summary_cell
from isocortex.stages.compare_systems import NotComparableError
from isocortex.stages.comparing import Comparing
from isocortex.storage.store import Store
from isocortex.storage.tables import read_tree, write_netcdf


def run(spec: dict[str, Any], device: str = "auto") -> None:
    """Write one cell, `<FAMILY>.nc`: rows, draws, layer profiles and what a page shows of brain and model.

    A metric that no subject has enough neuroids for, or that has nothing to compare in this model, has no rows, and its reason
    stands in the attribute `refused`.
    """
    options, inputs = spec["options"], spec["inputs"]
    read = Comparing(
        subjects=read_subjects(read_tree(inputs["brain"]), options, inputs["brain"]),
        kernels={name: Store(path) for name, path in inputs["kernels"].items()},
        features={name: Store(path) for name, path in inputs.get("features", {}).items()},
        options=options,
        plan=_plan(options["inference"]),
        device=resolve_device(device),
        confounders={
            model: {name: Store(path) for name, path in kernels.items()}
            for model, kernels in inputs.get("confounders", {}).items()
        },
    )
    job = on_common_stimuli(read)
    cells: dict[str, Cell] = {}
    refused: dict[str, str] = {}
    pictures: list[xarray.Dataset] = []
    for method, given in options["metrics"].items():
        metric = METRICS[method]
        if metric.family != options["family"]:
            raise DataError(f"compare: metric {method!r} is of family {metric.family!r}, expected {options['family']!r}")
        make = summary_cell if metric.summaries else rdm_cell
        settings = {**metric.options, **given}
        able, lost = with_neuroids(job, settings)
        if not able.subjects:
            refused[method] = "; ".join(lost.values())
            continue
        try:
            cells[method], picture = make(metric, settings, able)
        except NotComparableError as error:
            refused[method] = str(error).removeprefix("compare: ")
            continue
        pictures.append(picture)
    found = _dataset(cells, pictures, [subject.name for subject in job.subjects]) if cells else _nothing()
    write_netcdf(found.assign_attrs(refused=json.dumps(refused)) if refused else found, spec["output"])


def _plan(inference: dict[str, Any]) -> Settings:
    asked = inference.get("permutations", "auto")
    return Settings(
        draws=int(inference.get("draws", 1000)),
        permutations=None if asked == "auto" else int(asked),
        seed=int(inference.get("seed", 0)),
        confidence=float(inference.get("confidence", 0.95)),
        generalise=str(inference.get("generalise", "auto")),
    )


def _nothing() -> xarray.Dataset:
    return xarray.Dataset(attrs={"rows": rows_to_json([])})


def _dataset(cells: dict[str, Cell], pictures: list[xarray.Dataset], every: list[str]) -> xarray.Dataset:
    # A subject that one method left out may be in another: its values are NaN.
    subjects = [name for name in every if any(name in cell.subjects for cell in cells.values())]
    # A layer without an RDM of one kind may have one of another: a method's missing layers are NaN.
    layers = list(dict.fromkeys(name for cell in cells.values() for name in cell.layers))
    profiles = np.full((len(cells), len(subjects) + 1, len(layers)), np.nan)
    chosen = np.zeros((len(cells), len(subjects) + 1), dtype=np.int64)
    columns = [[*(subjects.index(name) for name in cell.subjects), len(subjects)] for cell in cells.values()]
    for k, cell in enumerate(cells.values()):
        places = [layers.index(name) for name in cell.layers]
        profiles[k][np.ix_(columns[k], places)], chosen[k, columns[k]] = cell.layer_score, np.array(places)[cell.chosen]
    variables: dict[str, Any] = {
        "layer_score": (("method", "subject", "layer"), profiles),
        "chosen": (("method", "subject"), chosen),
        **_drawn([cell.draws for cell in cells.values()], columns),
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


def _drawn(draws: list[Draws], columns: list[list[int]]) -> dict[str, Any]:
    """Draws of every subject and of "all", and what the variance of their differences needs; NaN where a method has less.

    `columns` are the places of each method's subjects among all subjects, and that of "all".
    """
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
        table = np.full((len(draws), max(map(max, columns)) + 1, longest), np.nan, dtype=np.float32)
        for k, values in enumerate(given):
            if values is not None:
                table[k, columns[k], : len(values)] = np.vstack([values.T, mean_of_scored(values.T)])
        found[name] = (("method", "subject", axis), table)
    return found
