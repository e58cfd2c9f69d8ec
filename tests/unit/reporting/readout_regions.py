"""A synthetic region with readouts, twins, a core and fields, for the tests of pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray
from regions import Plan, make_region

from isocortex.inference.rows import new_row
from isocortex.reporting.region import Region

METHODS = ("linear", "factorized", "gaussian", "fwrf", "semantic", "semantic_identity", "semantic_shuffled")
# Score of each method in the best model; the others are lower throughout.
SCORES = dict(zip(METHODS, (0.30, 0.40, 0.39, 0.37, 0.46, 0.41, 0.36), strict=True))
LOWER = {"deep": 0.0, "shallow": 0.1, "seen": -0.2}
NEUROIDS = 12


def _row(subject: str, model: str, method: str, score: float, n_subjects: int, **values: Any) -> dict[str, Any]:
    full = {"ci_low": score - 0.05, "ci_high": score + 0.05, "null_mean": 0.001, "null_extreme95": 0.11, "calibrated": score}
    full |= {"ceiling_low": 0.6, "ceiling_high": 0.68, "normalized": 0.5, "p": 0.001, "q_region": 0.002, "note": "a note"}
    sizes = {"n_stimuli": 48, "n_neuroids": NEUROIDS, "n_repeats": 4, "n_subjects": 1 if subject != "all" else n_subjects}
    key = {"region": "IT", "subject": subject, "model": model, "method": method, "layer": "layer3", "score": score}
    return new_row(**{**full, **sizes, **key, "family": "readout", "is_chosen": True, **values})


def readout_cell(subjects: Sequence[str], model: str, methods: Sequence[str] = METHODS, degrees: float | None = 8.0) -> Any:
    """Draws around the scores, masks and fields that differ by method, gains that differ by subject."""
    rng = np.random.default_rng(3)
    everyone, total = [*subjects, "all"], NEUROIDS * len(subjects)
    shared = 0.03 * rng.normal(size=(1, 1, 200))
    drawn = np.array([SCORES[method] - LOWER[model] for method in methods])[:, None, None] + shared
    width = degrees or 1.0
    about = {"units": "degrees" if degrees else "image widths", "width": [width] * len(subjects)}
    data: dict[str, Any] = {
        "draws": (("method", "subject", "draw"), drawn + 0.01 * rng.normal(size=(len(methods), len(everyone), 200))),
        "rf": (("method", "neuroid", "y", "x"), rng.random((len(methods), total, 7, 7)).astype("f4")),
    }
    for name, values in (("x", 0.2 * width), ("y", -0.1 * width), ("size", 0.05 * width)):
        data[f"field_{name}"] = (("method", "neuroid"), values + 0.02 * width * rng.normal(size=(len(methods), total)), about)
    if "semantic" in methods:
        data["warp_gain"] = ("neuroid", 0.05 + 0.01 * rng.normal(size=total))
        values = {"median": 0.052, "ci_low": 0.031, "ci_high": 0.073, "p": 0.0004, "p_guide": 0.005, "n_guide": 199.0}
        data |= {f"warp_{key}": ("subject", np.full(len(everyone), value)) for key, value in values.items()}
    coords = {"method": list(methods), "subject": everyone, "neuroid_subject": ("neuroid", np.repeat(subjects, NEUROIDS))}
    return xarray.Dataset(data, coords=coords, attrs={"model": model, "family": "readout", "rows": "[]"})


def read_out(
    subjects: Sequence[str] = ("S1", "S2"),
    labels: dict[str, str] | None = None,
    methods: Sequence[str] = METHODS,
    degrees: float | None = 8.0,
    core: bool = True,
    plan: Plan | None = None,
) -> Region:
    """A region of the plan with readouts of three models, of which `seen` is contaminated, and a core of the region."""
    region = make_region(plan or Plan(subjects=subjects))
    everyone, n = [*subjects, "all"], len(subjects)
    rows, cells = [], {}
    for model, less in LOWER.items():
        saw = {"contaminated": True, "p": None, "q_region": None} if model == "seen" else {}
        rows += [_row(s, model, method, SCORES[method] - less, n, **saw) for method in methods for s in everyone]
        cells[f"{model}/readout"] = readout_cell(subjects, model, methods, degrees)
    if core:
        rows += [_row(s, "small", "factorized", 0.33, n, family="core", layer="core") for s in everyone]
    options = {
        **region.options,
        "models": {
            **region.options["models"],
            "seen": {"label": "seen"},
            **{k: {"label": v} for k, v in (labels or {}).items()},
        },
        "cores": {"small": {"label": "small core"}},
    }
    scores = [row for row in region.scores if row["model"] != "seen"]
    return replace(region, options=options, scores=[*scores, *rows], cells={**region.cells, **cells})
