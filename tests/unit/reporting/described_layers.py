"""A synthetic region beside the layers of models, as the stages of geometry write them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray
from regions import Plan, make_region

from isocortex.inference.rows import new_row, rows_to_json
from isocortex.reporting.region import Region

DEPTHS = {"deep": ("stem", "block1", "block2", "block3", "head"), "shallow": ("stem", "head"), "pixels": ("pixels",)}
# Descriptor → value at the first and the last layer, of the region, and whether layers have a null.
VALUES = {
    "participation_ratio": (60.0, 4.0, 12.0, False),
    "two_nn": (9.0, 5.0, 6.5, True),
    "label_alignment": (-0.02, 0.4, 0.2, True),
}


def described(values: Mapping[str, tuple[float, float, float, bool]] = VALUES, stimuli: int = 48, **changes: Any) -> Region:
    """The synthetic region with rows of descriptors, and files of layers."""
    plan = Plan(**changes)
    region = make_region(plan)
    others = [row for row in region.scores if row.get("family") != "geometry"]
    rows = [
        row_of(name, own + 0.05 * own * k, own * 2, region=plan.region, subject=subject, stimuli=plan.stimuli, ceiling=0.9)
        for name, (_, _, own, _) in values.items()
        for k, subject in enumerate([*plan.subjects, "all"], start=-1)
    ]
    options = {**region.options, "methods": {**region.options["methods"], "geometry": {name: {} for name in values}}}
    files = {f"{model}/all": layers(model, names, values, stimuli) for model, names in DEPTHS.items()}
    return replace(region, options=options, scores=[*others, *rows], layers_geometry=files)


def layers(
    model: str,
    names: Sequence[str],
    values: Mapping[str, tuple[float, float, float, bool]],
    stimuli: int,
    refused: Mapping[str, str] | None = None,
) -> xarray.Dataset:
    rows = []
    for name, (first, last, _, null) in values.items():
        for layer, value in zip(names, np.linspace(first, last, len(names)), strict=True):
            rows.append(row_of(name, value, value + 3 if null else None, model=model, layer=layer, stimuli=stimuli))
    attrs = {"rows": rows_to_json(rows), "model": model, "set": "all"}
    if refused:
        attrs["refused"] = json.dumps(refused)
    return xarray.Dataset(coords={"descriptor": list(values), "layer": list(names)}, attrs=attrs)


def row_of(
    name: str, value: float, null: float | None, stimuli: int, ceiling: float | None = None, **columns: Any
) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if null is not None:
        said = {"null_mean": null, "null_extreme95": 0.9 * null, "null_kind": "permute_labels", "n_null": 99, "p": 0.01}
    if ceiling is not None:
        said |= {"ceiling_low": ceiling, "ceiling_high": ceiling + 0.05}
    return new_row(
        family="geometry",
        method=name,
        score=value,
        ci_low=value - 0.1 * abs(value),
        ci_high=value + 0.1 * abs(value),
        is_chosen=True,
        n_stimuli=stimuli,
        n_neuroids=100,
        **said,
        **columns,
    )
