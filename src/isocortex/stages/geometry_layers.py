"""Stage `geometry_layers`: descriptors of each layer of a model on a stimulus set, once for all regions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas
import torch
import xarray

from isocortex.compute import resolve_device
from isocortex.errors import DataError
from isocortex.geometry.descriptor import Descriptor
from isocortex.geometry.descriptors import GEOMETRY
from isocortex.inference.description_rows import description_row
from isocortex.inference.descriptions import Description, Plan, Representation, describe
from isocortex.inference.rows import rows_to_json
from isocortex.similarity.coordinates import coordinates, coordinates_of
from isocortex.stages.describing import plan_of, reason_of, reasons, tables_of, with_labels
from isocortex.storage.store import Store
from isocortex.storage.tables import write_netcdf

WHOLE_SET = "on all stimuli of the set that the model was given"
NO_NULL = "no null: one of the same spectrum has the same value, and units of a layer come as rotated"


def run(spec: dict[str, Any], device: str = "auto") -> None:
    """Write `geometry/<model>/<set>.nc`: rows, and values and draws by descriptor and layer.

    A layer is what its kernel says: patterns up to a rotation of its units. A descriptor that needs repeats or labels that
    there are none of has no rows, and its reason stands in the attribute `refused`.
    """
    options, inputs = spec["options"], spec["inputs"]
    store, table = Store(inputs["kernels"]), tables_of(inputs).get(options["set"])
    asked = options["descriptors"]
    found: dict[str, dict[str, Description]] = {name: {} for name in asked}
    lost: dict[str, dict[str, str]] = {name: {} for name in asked}
    widths: dict[str, int] = {}
    for layer, given, width in _layers(store, options, resolve_device(device)):
        widths[layer] = width
        for name in asked:
            try:
                found[name][layer] = _described(GEOMETRY[name], asked[name] or {}, given, table, plan_of(options["inference"]))
            except DataError as error:
                lost[name][layer] = reason_of(error, GEOMETRY[name])
    written = _dataset({name: of for name, of in found.items() if of}, widths, options)
    refused = {name: reasons(why) for name, why in lost.items() if why}
    write_netcdf(written.assign_attrs(refused=json.dumps(refused)) if refused else written, spec["output"])


def _layers(store: Store, options: dict[str, Any], device: torch.device) -> Iterator[tuple[str, Representation, int]]:
    """Name, patterns and number of features of each layer, in the study's order: a store may have taken layers in later."""
    ids = tuple(str(name) for name in store.sidecar["stimulus_ids"])
    groups = {attributes["layer"]: (group, attributes) for group, attributes in sorted(store.groups.items())}
    for layer in options.get("layers") or groups:
        if layer not in groups:
            raise DataError(f"{store.path}: found no layer {layer!r}, expected one of {list(groups)}; redo kernels")
        group, attributes = groups[layer]
        if f"{group}/coordinates/zarr.json" in store.sidecar["files"]:
            patterns = torch.as_tensor(np.asarray(store.read(group, "coordinates")), device=device)
        else:
            patterns = coordinates(torch.as_tensor(np.asarray(store.read(group, "gram")), device=device))
        # Of a layer that says the same of all stimuli only rounding is left: equal patterns, and no geometry.
        patterns = coordinates_of(patterns, torch.arange(len(ids), device=device))
        yield layer, Representation(ids, patterns), int(attributes["n_features"])


def _described(
    descriptor: Descriptor, asked: dict[str, Any], given: Representation, table: pandas.DataFrame | None, plan: Plan
) -> Description:
    if not descriptor.of_layers:
        raise DataError(f"geometry: {descriptor.name}: a layer has no repeats, so that it is of regions only")
    if "rotation" not in descriptor.invariances:
        raise DataError(f"geometry: {descriptor.name}: minds rotations of units, and layers are known up to one")
    if own := descriptor.chosen(descriptor.of_own_axes, asked):
        raise DataError(f"geometry: {descriptor.name}: {own} minds rotations of units, and layers are known up to one")
    of = with_labels(descriptor, given, asked, table, descriptor.name)
    return describe(descriptor, asked, of, plan, null=descriptor.layer_null, halves=False)


def _dataset(found: dict[str, dict[str, Description]], widths: dict[str, int], options: dict[str, Any]) -> xarray.Dataset:
    layers = list(widths)
    longest = max((len(item.draws) for of in found.values() for item in of.values()), default=0)
    draws = np.full((len(found), len(layers), longest), np.nan, dtype=np.float32)
    values = np.full((len(found), len(layers)), np.nan)
    rows: list[dict[str, Any]] = []
    for k, (name, of) in enumerate(found.items()):
        for j, layer in enumerate(layers):
            if layer in of:
                draws[k, j, : len(of[layer].draws)], values[k, j] = of[layer].draws, of[layer].value
                rows.append(_row(GEOMETRY[name], layer, of[layer], widths[layer], options))
    return xarray.Dataset(
        {"value": (("descriptor", "layer"), values), "draws": (("descriptor", "layer", "draw"), draws)},
        coords={"descriptor": list(found), "layer": layers},
        attrs={"rows": rows_to_json(rows), "model": options["model"], "set": options["set"]},
    )


def _row(descriptor: Descriptor, layer: str, found: Description, width: int, options: dict[str, Any]) -> dict[str, Any]:
    notes = [WHOLE_SET, "" if found.null_kind else NO_NULL]
    return description_row(
        descriptor,
        options["descriptors"][descriptor.name] or {},
        found,
        options["inference"],
        notes,
        dataset=options["dataset"],
        model=options["model"],
        layer=layer,
        n_neuroids=width,
    )
