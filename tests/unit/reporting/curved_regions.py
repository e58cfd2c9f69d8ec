"""Synthetic regions with curvature, shapes and stochastic shapes, for the tests of pages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray
from regions import Plan, make_region

from isocortex.inference.rows import new_row, to_frame, to_rows
from isocortex.inference.verdict import Ranked, Verdict
from isocortex.reporting.region import Region

FAMILY = {
    "ricci": "graph",
    "ricci_partial": "graph",
    "ricci_distribution": "graph",
    "ricci_edges": "graph",
    "ricci_communities": "graph",
    "shape": "shape",
    "shape_moments": "shape",
    "stochastic_shape": "stochastic",
}
DISTANCES = ("ricci_distribution", "shape", "stochastic_shape")


@dataclass(frozen=True)
class Curved:
    """What a synthetic region holds; `scores` are by method and model, others are drawn."""

    methods: Sequence[str] = tuple(FAMILY)
    models: Mapping[str, str] = field(
        default_factory=lambda: {"deep": "Deep network", "shallow": "Shallow", "random": "Random"}
    )
    subjects: Sequence[str] = ("S1", "S2", "S3")
    layers: Sequence[str] = ("layer1", "layer2", "layer3")
    shares: Sequence[float] = (0.05, 0.1, 0.2)
    stimuli: int = 48
    ids: Sequence[str] = ()
    clusters: int = 4
    label: str = "Inferior temporal cortex"
    rows: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    plug_in_null: float = 0.31
    noise_p: float = 0.02
    seed: int = 0

    @property
    def names(self) -> list[str]:
        return list(self.ids) or [f"stim{place:03d}" for place in range(self.stimuli)]


def score_of(plan: Curved, method: str, model: str) -> float:
    """Models in order: the first is closest."""
    place = list(plan.models).index(model)
    return 0.3 + 0.15 * place if method in DISTANCES else 0.55 - 0.15 * place


def curved_region(plan: Curved | None = None) -> Region:
    """A region of the plan in memory, with its cells."""
    plan = plan or Curved()
    base = make_region(Plan(methods=(), geometry=False, subjects=plan.subjects, label=plan.label, stimuli=plan.stimuli))
    cells: dict[str, xarray.Dataset] = {}
    makers = {"graph": graph_cell, "shape": shape_cell, "stochastic": stochastic_cell}
    for family, make in makers.items():
        methods = [method for method in plan.methods if FAMILY[method] == family]
        if methods:
            cells |= {f"{model}/{family}": make(plan, methods, place) for place, model in enumerate(plan.models)}
    if {"shape", "stochastic_shape"} & set(plan.methods):
        cells["shapes"] = space_cell(plan, [name for name in ("shape", "stochastic_shape") if name in plan.methods])
    models = {model: {"label": label, "source": "callable"} for model, label in plan.models.items()}
    return replace(
        base,
        options={**base.options, "models": models, "primary": plan.methods[0], "methods": {"compare": {}}},
        scores=to_rows(to_frame(_rows(plan))),
        comparisons=[],
        cells=cells,
    )


def curved_verdict(region: Region, method: str) -> Verdict:
    """The verdict of the region's own rows: closest first."""
    rows = [row for row in region.rows(method) if row["score"] is not None and not row["contaminated"]]
    rows.sort(key=lambda row: row["score"] if region.is_distance(method) else -row["score"])
    ranking = [Ranked(row["model"], row["layer"], row["score"], row["normalized"], row["q_region"]) for row in rows]
    return Verdict(ranking[0].model if ranking else None, ranking, [], True, "")


def _rows(plan: Curved) -> list[dict[str, Any]]:
    rows = []
    for method in plan.methods:
        sign = -1.0 if method in DISTANCES else 1.0
        for model in plan.models:
            for subject in [*plan.subjects, "all"]:
                for layer in plan.layers:
                    score = score_of(plan, method, model)
                    common = {"family": FAMILY[method], "method": method, "model": model, "layer": layer, "subject": subject}
                    common |= {"region": "IT", "higher_is_closer": sign > 0, "n_stimuli": plan.stimuli, "n_neuroids": 40}
                    common |= {"n_repeats": 8, "n_subjects": len(plan.subjects) if subject == "all" else 1}
                    if layer != plan.layers[-1]:
                        rows.append(new_row(**common, score=score - 0.05 * sign))
                        continue
                    full = {"score": score, "ci_low": score - 0.05, "ci_high": score + 0.05, "p": 0.001, "q_region": 0.002}
                    full |= {"null_mean": 0.0 if sign > 0 else 1.1, "null_extreme95": 0.2 if sign > 0 else 0.9}
                    low = 0.6 if sign > 0 else 0.25
                    full |= {"ceiling_low": low, "ceiling_high": low + 0.08 * sign, "ceiling_p": 0.001}
                    full |= {"is_chosen": True, "normalized": 0.7, **plan.rows.get((method, model), {})}
                    rows.append(new_row(**common, **full))
    return rows


def _common(plan: Curved, methods: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    subjects = [*plan.subjects, "all"]
    shape = (len(methods), len(subjects), len(plan.layers))
    data = {
        "layer_score": (("method", "subject", "layer"), np.full(shape, 0.3) + 0.05 * np.arange(len(plan.layers))),
        "chosen": (("method", "subject"), np.full(shape[:2], len(plan.layers) - 1)),
    }
    return data, {"method": list(methods), "subject": subjects, "layer": list(plan.layers)}


def one_graph(plan: Curved, rng: np.random.Generator, system: int, centres: np.ndarray) -> dict[str, np.ndarray]:
    """Nodes at places around centres, the nearest joined; a few nodes of the model are in another cluster."""
    n = len(plan.names)
    owner = np.arange(n) % plan.clusters
    moved = np.where(rng.random(n) < 0.08, rng.integers(0, plan.clusters, n), owner) if system else owner
    places = centres[moved] + rng.normal(size=(n, 2))
    away = np.linalg.norm(places[:, None] - places[None], axis=-1) + 1e9 * np.eye(n)
    nearest = np.argsort(away, axis=1)[:, : max(2, round(0.1 * n))]
    ends = np.unique(np.sort(np.stack([np.repeat(np.arange(n), nearest.shape[1]), nearest.ravel()], 1), axis=1), axis=0)
    curvature = np.where(moved[ends[:, 0]] == moved[ends[:, 1]], 0.35, -0.25) + 0.1 * rng.normal(size=len(ends))
    return {
        "places": places,
        # The model's communities have other numbers than the brain's.
        "community": (moved + 1) % plan.clusters if system else moved,
        "system": np.full(len(ends), system),
        "ends": ends,
        "curvature": curvature,
        "length": away[ends[:, 0], ends[:, 1]],
        "node": np.bincount(ends.ravel(), np.repeat(curvature, 2), n) / np.maximum(1, np.bincount(ends.ravel(), minlength=n)),
    }


def graph_cell(plan: Curved, methods: Sequence[str], place: int = 0) -> xarray.Dataset:
    """Clusters of points whose nearest neighbours are joined; edges between clusters have negative curvature."""
    rng = np.random.default_rng(plan.seed + place)
    data, coords = _common(plan, methods)
    centres = rng.normal(size=(plan.clusters, 2)) * 3
    both = [one_graph(plan, rng, system, centres) for system in range(2)]
    edges = {name: np.concatenate([found[name] for found in both]) for name in ("system", "ends", "curvature", "length")}
    common = set.intersection(*(set(map(tuple, found["ends"].tolist())) for found in both))
    shared = [tuple(end) in common for end in edges["ends"].tolist()]
    node = np.stack([found["node"] for found in both])[:, None] + 0.02 * np.arange(len(plan.shares))[:, None]
    sweep = [
        [score_of(plan, method, list(plan.models)[place]) + 0.02 * k for k in range(len(plan.shares))] for method in methods
    ]
    data |= {
        "node_curvature": (("system", "share", "stimulus"), node),
        "edge_system": ("edge", edges["system"]),
        "edge_first": ("edge", edges["ends"][:, 0]),
        "edge_second": ("edge", edges["ends"][:, 1]),
        "edge_curvature": ("edge", edges["curvature"]),
        "edge_length": ("edge", edges["length"]),
        "edge_shared": ("edge", np.array(shared, dtype="i1")),
        "community": (("system", "stimulus"), np.stack([found["community"] for found in both])),
        "place": (("system", "stimulus", "axis"), np.stack([found["places"] for found in both])),
        "share_score": (("method", "share"), np.asarray(sweep)),
    }
    coords |= {"system": ["brain", "model"], "share": list(plan.shares), "stimulus_id": ("stimulus", plan.names)}
    attrs = {"set": "all", "shown_share": plan.shares[len(plan.shares) // 2], "shown_layer": plan.layers[-1], "rows": "[]"}
    attrs |= {"agreement": json.dumps({"ami": 0.41, "ari": 0.3, "vi": 1.25}), "edges_shared": 0.37}
    return xarray.Dataset(data, coords=coords, attrs=attrs)


def shape_cell(plan: Curved, methods: Sequence[str], place: int = 0) -> xarray.Dataset:
    """Moments whose last layer is chosen: estimate, sd, bias bound, plug-in and its null."""
    data, coords = _common(plan, methods)
    if "shape_moments" in methods:
        values = np.array([0.55 - 0.15 * place, 0.05, 0.08, 0.72 - 0.1 * place, plan.plug_in_null])
        moment = np.zeros((5, len(coords["subject"]), len(plan.layers))) + values[:, None, None]
        moment[:, -1] = np.nan  # the stage knows subjects, and no mean of them
        data["moment"] = (("quantity", "subject", "layer"), moment)
        coords["quantity"] = ["estimate", "sd", "bias_bound", "plug_in", "plug_in_null"]
    return xarray.Dataset(data, coords=coords, attrs={"set": "all", "rows": "[]"})


def stochastic_cell(plan: Curved, methods: Sequence[str], place: int = 0) -> xarray.Dataset:
    """The order of models differs with and without noise; the first model lies within the region's self-distance."""
    rng = np.random.default_rng(plan.seed)
    data, coords = _common(plan, methods)
    n = len(coords["subject"])
    distance = np.empty((2, n, len(plan.layers)))
    distance[0] = 0.4 - 0.1 * place
    distance[1] = 0.5 + 0.3 * place
    distance += 0.03 * np.arange(n)[:, None] - 0.03 * (n - 1)
    data |= {
        "distance": (("part", "subject", "layer"), distance),
        "self_distance": (("subject", "split"), 0.5 + 0.05 * rng.normal(size=(n, 40))),
        "shuffled": (("subject", "shuffle"), 0.75 + 0.04 * rng.normal(size=(n, 99))),
        "noise_p": ("subject", np.full(n, plan.noise_p)),
    }
    attrs = {
        "kind": "gaussian",
        "dims": 6,
        "conditions": 24,
        "trials": 12,
        "alpha": 1.0,
        "noise_ratio": 0.7,
        "set": "all",
        "rows": "[]",
    }
    return xarray.Dataset(data, coords={**coords, "part": ["deterministic", "stochastic"]}, attrs=attrs)


def space_cell(plan: Curved, metrics: Sequence[str]) -> xarray.Dataset:
    """Subjects near each other, layers of models on the way to them."""
    rng = np.random.default_rng(plan.seed + 5)
    systems = [(name, "subject", "", "", name) for name in plan.subjects]
    systems += [(f"{model}/{layer}", "layer", model, layer, "") for model in plan.models for layer in plan.layers]
    places = []
    for _, kind, model, layer, _ in systems:
        if kind == "subject":
            places.append(0.12 * rng.normal(size=2))
            continue
        angle, depth = 2 * list(plan.models).index(model), len(plan.layers) - list(plan.layers).index(layer)
        places.append(0.35 * depth * np.array([np.cos(angle), np.sin(angle)]) + 0.05 * rng.normal(size=2))
    coordinates = np.stack([np.array(places) * (1 + place) for place in range(len(metrics))])
    distance = np.linalg.norm(coordinates[:, :, None] - coordinates[:, None], axis=-1)
    own = np.array([0.2 if kind == "subject" else np.nan for _, kind, *_ in systems])
    columns = [list(column) for column in zip(*systems, strict=True)]
    return xarray.Dataset(
        {
            "kind": ("system", columns[1]),
            "model": ("system", columns[2]),
            "layer": ("system", columns[3]),
            "subject": ("system", columns[4]),
            "distance": (("metric", "system", "system_"), distance),
            "coordinates": (("metric", "system", "axis"), coordinates),
            "shown": ("metric", np.full(len(metrics), 0.83)),
            "dispersion": ("metric", np.full(len(metrics), 0.021)),
            "self_distance": (("metric", "system"), np.tile(own, (len(metrics), 1))),
        },
        coords={"system": columns[0], "metric": list(metrics)},
    )
