"""A synthetic region with joint encoders, for the tests of pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray
from regions import Plan, make_region

from isocortex.inference.joint import OF_GROUPS, SHARES
from isocortex.inference.rows import new_comparison, new_row
from isocortex.reporting.region import Region

METHODS = ("banded", "stacking")


def cell(groups: Sequence[str], spaces: Sequence[str], subjects: Sequence[str], methods: Sequence[str] = METHODS) -> Any:
    """Shares that differ by place; those of the second group are negative, S2 has no noise-corrected ones."""
    places = [*subjects, "all"]
    data: dict[str, Any] = {}
    for number, name in enumerate(SHARES):
        dims = ("method", "subject", "group") if name in OF_GROUPS else ("method", "subject")
        shape = (len(methods), len(places), len(groups))[: len(dims)]
        value = np.full(shape, 0.3 - 0.05 * number) + 0.01 * np.arange(len(places)).reshape((1, -1, 1)[: len(dims)])
        if name == "unique":
            value[..., 1] = -0.02
        for key, shift in (("", 0.0), ("_low", -0.04), ("_high", 0.04)):
            data[f"{name}{key}"] = (dims, value + shift)
            corrected = 2 * (value + shift)
            corrected[:, 1] = np.nan
            data[f"{name}_corrected{key}"] = (dims, corrected)
    weights = np.full((len(methods), len(places), len(groups)), 1 / len(groups))
    data["group_weight"] = (("method", "subject", "group"), weights)
    coords = {"method": list(methods), "subject": places, "group": list(groups), "space": list(spaces)}
    return xarray.Dataset(data, coords=coords)


def joined(
    subjects: Sequence[str] = ("S1", "S2"), label: str = "Both", methods: Sequence[str] = METHODS, plan: Plan | None = None
) -> Region:
    """A region of the plan with two joint encoders: of two models, and of the layers of one that saw the data."""
    region = make_region(plan or Plan(subjects=subjects))
    common = {"family": "joint", "layer": "joint", "region": "IT", "is_chosen": True, "n_stimuli": 48, "n_neuroids": 40}
    rows = []
    for name, score in (("depth", 0.61), ("both", 0.52)):
        for method in methods:
            for subject in (*subjects, "all"):
                known = {"p": 0.01, "q_region": 0.02} if name == "both" else {"contaminated": True}
                values = {"ci_low": score - 0.1, "ci_high": score + 0.1, "null_mean": 0.001, "null_extreme95": 0.12}
                shares = {"normalized": 0.7, "n_subjects": 1 if subject != "all" else len(subjects), "note": "a note"}
                chosen = {"model": name, "method": method, "subject": subject, "score": score}
                rows.append(new_row(**common, **known, **values, **shares, **chosen))
    pair = {"region": "IT", "method": methods[0], "model_a": "both", "model_b": "third", "difference": 0.1, "p": 0.04}
    cells = {
        "both/joint": cell(["deep", "pixels"], ["deep/layer1", "deep/layer2", "pixels/pixels"], subjects, methods),
        "depth/joint": cell(["pixels", "b", "c"], ["deep/pixels", "deep/b", "deep/c"], subjects, methods),
    }
    options = {
        **region.options,
        "joint": {"both": {"label": label, "of": []}, "depth": {"label": "depth", "of": []}},
        "joint_order": ["depth", "both"],
    }
    if plan is None:
        options["models"] = {**options["models"], "deep": {"label": "Deep network", "source": "callable"}}
    return replace(
        region,
        options=options,
        scores=[*region.scores, *rows],
        cells={**region.cells, **cells},
        comparisons=[*region.comparisons, new_comparison(**pair)],
    )
