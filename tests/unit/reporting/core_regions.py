"""A synthetic region with cores, for the tests of pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray
from regions import Plan, make_region

from isocortex.inference.rows import new_comparison, new_row
from isocortex.reporting.region import Region


def cell(subjects: Sequence[str], score: float, color: bool = True, seeds: int = 3) -> xarray.Dataset:
    """Networks that differ by their place, a control near zero, curves that end at other epochs."""
    rng, places = np.random.default_rng(0), [*subjects, "all"]
    curves = np.full((2, seeds, 12), np.nan)
    for seed in range(seeds):
        epochs = np.arange(1, 9 + seed)
        curves[0, seed, : len(epochs)] = 1 - 0.06 * epochs
        curves[1, seed, : len(epochs)] = 1 - 0.05 * epochs + 0.003 * epochs**2
    data = {
        "seed_score": (("seed", "subject"), score - 0.05 + 0.01 * np.arange(seeds)[:, None] + np.zeros(len(places))),
        "control_score": ("subject", np.linspace(-0.02, 0.02, len(places))),
        "best_epoch": ("seed", np.nanargmin(curves[1], axis=1)),
        "history_train": (("seed", "epoch"), curves[0]),
        "history_validation": (("seed", "epoch"), curves[1]),
        "filters": (("filter", "channel", "filter_y", "filter_x"), rng.normal(size=(20, 3 if color else 1, 5, 5))),
    }
    return xarray.Dataset(data, {"method": ["factorized"], "subject": places}, {"family": "core", "model": "net"})


def cored(label: str = "Three layers", subjects: Sequence[str] = ("S1", "S2"), **change: Any) -> Region:
    """A region of models and two cores: one that is compared with them, one without normalized score and comparison."""
    region = make_region(Plan(subjects=tuple(subjects), **change))
    common = {"family": "core", "layer": "core", "region": "IT", "method": "factorized", "is_chosen": True, "n_stimuli": 48}
    rows = []
    for name, score in (("mine", 0.61), ("second", 0.52)):
        for subject in (*subjects, "all"):
            values = {"ci_low": score - 0.1, "ci_high": score + 0.1, "null_mean": 0.001, "null_extreme95": 0.12, "p": 0.001}
            known = {"normalized": 0.7, "ceiling_low": 0.8, "ceiling_high": 0.85} if name == "mine" else {}
            sizes = {
                "n_neuroids": 40,
                "n_subjects": len(subjects) if subject == "all" else 1,
                "n_repeats": 4,
                "q_region": 0.002,
            }
            note = "mean of 3 networks, one alone r = 0.550 ± 0.010; trained on shuffled responses r = 0.020"
            rows.append(new_row(**common, **values, **known, **sizes, model=name, subject=subject, score=score, note=note))
    pairs = [
        new_comparison(
            region="IT", method="core/ridge", model_a="mine", model_b=row["model"], difference=0.1, ci_low=0.04, ci_high=0.16,
            p=0.002, q_region=0.004, n_stimuli=48, n_subjects=2,
        )
        for row in region.rows("ridge")
    ]  # fmt: skip
    pairs.append(
        new_comparison(region="IT", method="core", model_a="mine", model_b="second", difference=0.09, p=0.2, n_stimuli=48)
    )
    options = {
        **region.options,
        "cores": {"mine": {"label": label, "core": {}}, "second": {"label": "second"}},
        "core_order": ["mine", "second"],
    }
    return replace(
        region,
        options=options,
        scores=[*rows, *region.scores],  # before the models': a core's readout must not give its name to theirs
        cells={**region.cells, "mine/core": cell(subjects, 0.61), "second/core": cell(subjects, 0.52, color=False, seeds=1)},
        comparisons=[*region.comparisons, *pairs],
    )
