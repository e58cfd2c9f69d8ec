"""Synthetic regions for the tests of pages: numbers drawn from a seed, shaped like the real files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray

from isocortex.inference.rows import COMPARISON_COLUMNS, new_comparison, new_row, to_frame, to_rows
from isocortex.inference.verdict import Ranked, Verdict
from isocortex.reporting.region import Region
from isocortex.storage.tables import write_netcdf, write_parquet, write_tree

FAMILIES = {"ridge": "encoding", "factorized": "readout", "rsa": "rdm"}
LABELS = ("face", "house", "tool")


@dataclass(frozen=True)
class Plan:
    """What a synthetic region holds; `truth` are the scores of the models in order."""

    region: str = "IT"
    label: str = "Inferior temporal cortex"
    truth: Mapping[str, float] = field(default_factory=lambda: {"deep": 0.52, "shallow": 0.41, "random": 0.18, "pixels": 0.08})
    labels: Mapping[str, str] = field(default_factory=dict)
    subjects: Sequence[str] = ("S1", "S2", "S3")
    layers: Sequence[str] = ("layer1", "layer2", "layer3", "layer4")
    methods: Sequence[str] = ("ridge", "rsa")
    contaminated: Sequence[str] = ()
    ceiling: float | None = 0.6
    missing: bool = False
    geometry: bool = True
    level: str = "patterns"
    neuroids: int = 40
    stimuli: int = 48
    seed: int = 0


def verdict_of(
    plan: Plan, tied: Sequence[str] = (), signal: bool | None = True, reason: str = "", claim: bool = True
) -> Verdict:
    """The verdict that fits a plan; `claim=False` where no model is above chance."""
    models = [model for model in sorted(plan.truth, key=lambda name: -plan.truth[name]) if model not in plan.contaminated]
    if plan.missing or not models:
        return Verdict(None, [], [], None, reason or "no model was scored")
    best = models[0] if claim and signal else None
    ranking = [Ranked(model, "", plan.truth[model], None, 0.01) for model in models]
    return Verdict(best, ranking, list(tied), None if plan.ceiling is None else signal, reason)


def _row(plan: Plan, method: str, model: str, subject: str, **values: Any) -> dict[str, Any]:
    return new_row(
        dataset="synthetic",
        subject=subject,
        region=plan.region,
        model=model,
        family=FAMILIES[method],
        method=method,
        params_id="00000000",
        n_stimuli=plan.stimuli,
        n_neuroids=plan.neuroids,
        n_repeats=4 if plan.ceiling else 1,
        n_subjects=len(plan.subjects) if subject == "all" else 1,
        contaminated=model in plan.contaminated,
        seed=plan.seed,
        version="0",
        **values,
    )


def _scores(plan: Plan) -> list[dict[str, Any]]:
    rng = np.random.default_rng(plan.seed)
    rows = []
    for method in plan.methods:
        for model, truth in plan.truth.items():
            for subject in [*plan.subjects, "all"]:
                chosen = plan.layers[len(plan.layers) // 2]
                for layer in plan.layers:
                    score = (
                        None
                        if plan.missing
                        else truth - 0.05 * abs(plan.layers.index(layer) - len(plan.layers) // 2) + 0.02 * rng.normal()
                    )
                    if layer != chosen:
                        rows.append(_row(plan, method, model, subject, layer=layer, score=score))
                        continue
                    full: dict[str, Any] = {"is_chosen": True, "layer_votes": json.dumps({chosen: 4, plan.layers[0]: 1})}
                    if score is not None:
                        full |= {
                            "calibrated": score,
                            "ci_low": score - 0.06,
                            "ci_high": score + 0.06,
                            "ci_kind": "bootstrap",
                            "p": 0.001,
                            "q_region": 0.002,
                        }
                        full |= {"null_mean": 0.0, "null_extreme95": 0.09, "null_kind": "permute_stimuli", "n_null": 999}
                    if plan.ceiling and score is not None:
                        low, high = plan.ceiling, plan.ceiling + 0.07
                        full |= {"ceiling_low": low, "ceiling_high": high, "ceiling_p": 0.001, "normalized": (score / low) ** 2}
                    rows.append(_row(plan, method, model, subject, layer=layer, score=score, **full))
    if plan.geometry:
        common = {"region": plan.region, "family": "geometry", "method": "participation_ratio", "is_chosen": True}
        rows += [
            new_row(subject=subject, score=6.5, n_stimuli=plan.stimuli, n_subjects=1, **common)
            for subject in [*plan.subjects, "all"]
        ]
    return rows


def _comparisons(plan: Plan) -> list[dict[str, Any]]:
    models = [model for model in plan.truth if model not in plan.contaminated]
    pairs = [(first, second) for place, first in enumerate(models) for second in models[place + 1 :]]
    rows = []
    for method in plan.methods:
        for first, second in pairs:
            gap = plan.truth[second] - plan.truth[first]
            values = (
                {}
                if plan.missing
                else {"difference": gap, "ci_low": gap - 0.05, "ci_high": gap + 0.05, "p": 0.01, "q_region": 0.02}
            )
            sizes = {"n_stimuli": plan.stimuli, "n_subjects": len(plan.subjects)}
            rows.append(
                new_comparison(
                    region=plan.region,
                    method=method,
                    model_a=second,
                    model_b=first,
                    **{**values, "difference": values.get("difference"), **sizes},
                )
            )
    return rows


def _cells(plan: Plan) -> dict[str, xarray.Dataset]:
    rng = np.random.default_rng(plan.seed + 1)
    cells = {}
    subjects, names = [*plan.subjects, "all"], [f"s{place:03d}" for place in range(plan.stimuli)]
    for method in plan.methods:
        for model, truth in plan.truth.items():
            truth = np.nan if plan.missing else truth
            chosen = len(plan.layers) // 2
            depth = truth - 0.05 * np.abs(np.arange(len(plan.layers)) - chosen)
            profile = depth + 0.02 * rng.normal(size=(1, len(subjects), len(plan.layers)))
            data = {
                "layer_score": (("method", "subject", "layer"), profile),
                "chosen": (("method", "subject"), np.full((1, len(subjects)), chosen)),
            }
            coords = {"method": [method], "subject": subjects, "layer": list(plan.layers)}
            if FAMILIES[method] == "rdm":
                brain = _rdm(plan, rng, 1.0)
                data |= {
                    "brain_rdm": ("pair", brain),
                    "model_rdm": (
                        "pair",
                        (1 - max(truth, 0)) * _rdm(plan, rng, 0.0) + truth * brain if truth == truth else brain * np.nan,
                    ),
                }
                coords |= {"stimulus_id": ("stimulus", names)}
            else:
                data, coords = _encoding(plan, rng, truth, data, coords)
                if FAMILIES[method] == "readout":
                    data["rf"] = (("method", "neuroid", "y", "x"), rng.random((1, plan.neuroids * len(plan.subjects), 8, 8)))
            cells[f"{model}/{FAMILIES[method]}"] = xarray.Dataset(data, coords=coords, attrs={"set": "all", "rows": "[]"})
    if plan.geometry:
        spectrum = np.sort(rng.gamma(0.5, size=(len(plan.subjects), 20)))[:, ::-1]
        cells["geometry"] = xarray.Dataset(
            {"spectrum": (("subject", "component"), spectrum)}, coords={"subject": list(plan.subjects)}
        )
    return cells


def _encoding(plan: Plan, rng: np.random.Generator, truth: float, data: dict, coords: dict) -> tuple[dict, dict]:
    total = plan.neuroids * len(plan.subjects)
    reliability = rng.beta(4, 3, size=total) if plan.ceiling else np.full(total, np.nan)
    spread = truth + 0.12 * rng.normal(size=(1, total)) + (0.3 * (reliability - 0.57) if plan.ceiling else 0)
    data = {**data, "r": (("method", "neuroid"), spread), "reliability": ("neuroid", reliability)}
    owner = np.repeat(list(plan.subjects), plan.neuroids)
    return data, {
        **coords,
        "neuroid_subject": ("neuroid", owner),
        "neuroid_id": ("neuroid", [f"n{place}" for place in range(total)]),
    }


def _rdm(plan: Plan, rng: np.random.Generator, strength: float) -> np.ndarray:
    category = np.arange(plan.stimuli) % len(LABELS)
    first, second = np.triu_indices(plan.stimuli, 1)
    return 0.6 + strength * 0.3 * (category[first] != category[second]) + 0.15 * rng.normal(size=len(first))


def _brain(plan: Plan) -> xarray.DataTree:
    children = {}
    for subject in plan.subjects:
        if plan.level == "rdm":
            names = [f"s{place:03d}" for place in range(plan.stimuli)]
            square = (("stimulus", "stimulus_"), np.zeros((plan.stimuli, plan.stimuli)))
            children[subject] = xarray.Dataset(
                {"rdm": square},
                coords={"stimulus_id": ("stimulus", names)},
                attrs={"set": "all", "n_dropped": 0, "dropped": "{}"},
            )
            continue
        reliability = np.random.default_rng(5).beta(4, 3, plan.neuroids) if plan.ceiling else np.full(plan.neuroids, np.nan)
        children[subject] = xarray.Dataset(
            {
                "response": (("stimulus", "neuroid"), np.zeros((plan.stimuli, plan.neuroids), "f4")),
                "n_repeats": ("stimulus", np.full(plan.stimuli, 4 if plan.ceiling else 1)),
                "reliability": ("neuroid", reliability),
            },
            attrs={
                "set": "all",
                "n_dropped": 3,
                "dropped": json.dumps({"constant": 2, "reliability below 0.1": 1}),
                "dropped_ids": "[]",
            },
        )
    root = xarray.Dataset(attrs={"region": plan.region, "level": plan.level, "absent": json.dumps({"S9": "no neuroid left"})})
    return xarray.DataTree.from_dict({"/": root, **{f"/{name}": data for name, data in children.items()}})


def options(plan: Plan) -> dict[str, Any]:
    """The options of a report job."""
    return {
        "study": "synthetic",
        "title": "A synthetic study",
        "region": plan.region,
        "label": plan.label,
        "primary": "ridge",
        "level": plan.level,
        "models": {model: {"label": plan.labels.get(model, model), "source": "callable"} for model in plan.truth},
        "methods": {"encode": {"ridge": {"alphas": "auto"}}, "compare": {"rsa": {"rdm": "correlation", "compare": "rho_a"}}},
        "inference": {"confidence": 0.95, "seed": plan.seed},
        "command": f"snakemake --configfile config/studies/synthetic.yaml -R report -- region_{plan.region}",
    }


def make_region(plan: Plan | None = None) -> Region:
    """A region in memory."""
    plan = plan or Plan()
    return Region(
        options=options(plan),
        scores=to_rows(to_frame(_scores(plan))),
        comparisons=to_rows(to_frame(_comparisons(plan), COMPARISON_COLUMNS)),
        brain=_brain(plan),
        cells=_cells(plan),
        stimuli={"all": _stimuli(plan)},
        digests=[("results/synthetic/brain.nc", "0123456789ab")],
    )


def _stimuli(plan: Plan) -> pd.DataFrame:
    names = [f"s{place:03d}" for place in range(plan.stimuli)]
    return pd.DataFrame(
        {
            "stimulus_id": names,
            "digest": "",
            "path": "",
            "row": -1,
            "caption": names,
            "category": [LABELS[place % 3] for place in range(plan.stimuli)],
        }
    )


def write_region(plan: Plan, folder: Path) -> dict[str, Any]:
    """A region as the files that the stages read; gives the spec of its report job."""
    region = folder / plan.region
    cells = {}
    for name, cell in _cells(plan).items():
        cells[name] = str(region / f"{name}.nc")
        write_netcdf(cell, cells[name])
    write_tree(_brain(plan), region / "brain.nc")
    write_parquet(to_frame(_scores(plan)), region / "scores.parquet")
    write_parquet(to_frame(_comparisons(plan), COMPARISON_COLUMNS), region / "comparisons.parquet")
    write_parquet(_stimuli(plan), folder / "stimuli.parquet")
    inputs = {
        name: str(region / f"{name}{suffix}")
        for name, suffix in (("brain", ".nc"), ("scores", ".parquet"), ("comparisons", ".parquet"))
    }
    inputs |= {"cells": cells, "stimuli": {"all": str(folder / "stimuli.parquet")}}
    return {"stage": "report", "inputs": inputs, "output": str(region / "report.html"), "options": options(plan)}
