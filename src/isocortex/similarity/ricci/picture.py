"""What a page draws of curvature: both graphs at one share of the sweep, their communities, and the score at every share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from isocortex.similarity.ricci.bent import Remembered, bent
from isocortex.similarity.ricci.communities import AGREEMENTS, communities
from isocortex.similarity.ricci.flow import ricci_flows
from isocortex.similarity.ricci.graphs import Graph, sweep
from isocortex.similarity.scaling import classical_scaling
from isocortex.similarity.summaries import Summaries, sharing

if TYPE_CHECKING:
    import xarray

    from isocortex.similarity.metric import Shown

_SYSTEMS = ("brain", "model")
# Steps of the flow where no metric of communities is asked for: its own default.
ITERATIONS = 20


def picture(shown: Shown) -> xarray.Dataset:
    """The score at every share; of the first metric of a family also both graphs, which are the same for all.

    These are of the mean brain, over the subjects with the first one's stimuli, and of the layer chosen for all, at the middle
    share: curvature, edges, communities, places.
    """
    import xarray

    shares = [float(share) for share in shown.options["shares"]]
    scores = xarray.Dataset(
        {"share_score": (("method", "share"), _at_every_share(shown, shares)[None])},
        coords={"method": [shown.method], "share": shares},
    )
    if not shown.first:
        return scores
    graphs = _graphs(shown, shares)
    return scores.merge(graphs).assign_attrs(graphs.attrs)


def _graphs(shown: Shown, shares: list[float]) -> xarray.Dataset:
    import xarray

    alike = [s for s, ids in zip(shown.brain, shown.stimulus_ids, strict=True) if ids == shown.stimulus_ids[0]]
    layer = int(shown.chosen[-1])
    systems = torch.stack([torch.as_tensor(s) for s in alike]).mean(0), torch.as_tensor(shown.layers[0][layer])
    squares = [system.cpu().numpy() for system in systems]
    known = shown.shared.setdefault("curvature", Remembered())
    curved = [bent(square, shown.options, known) for square in squares]
    middle = len(shares) // 2
    graphs = [sweep(square, shares[middle : middle + 1], shown.options["rule"])[0] for square in squares]
    # The steps of the flow are those of the metric of communities, where that is asked for, too.
    steps = int(shown.family.get("ricci_communities", {}).get("iterations", ITERATIONS))
    flows = ricci_flows(graphs, iterations=steps, alpha=shown.options["alpha"], exp_power=shown.options["exp_power"])
    groups = [communities(flow.graph) for flow in flows]
    common = _common(*graphs)
    edges = _edges([(graph, found[middle].edges) for graph, found in zip(graphs, curved, strict=True)], common)
    nodes = np.array([[one.nodes for one in found] for found in curved], dtype=np.float32)
    places = [classical_scaling(square)[0].astype(np.float32) for square in squares]
    data = xarray.Dataset(
        {
            "node_curvature": (("system", "share", "stimulus"), nodes),
            **{name: ("edge", values) for name, values in edges.items()},
            "community": (("system", "stimulus"), np.array(groups, dtype=np.int64)),
            "place": (("system", "stimulus", "axis"), np.stack(places)),
        },
        coords={
            "system": list(_SYSTEMS),
            "share": shares,
            "stimulus_id": ("stimulus", list(shown.stimulus_ids[0])),
        },
    )
    return data.assign_attrs(
        shown_share=shares[middle],
        shown_layer=shown.names[layer],
        agreement=json.dumps({kind: round(float(agree(*groups)), 6) for kind, agree in AGREEMENTS.items()}),
        edges_shared=float(common[0].sum() / (len(common[0]) + len(common[1]) - common[0].sum())),
    )


def _common(a: Graph, b: Graph) -> tuple[np.ndarray, np.ndarray]:
    """Which edges of either graph the other has, too."""
    first, second = (g.edges[:, 0] * g.n + g.edges[:, 1] for g in (a, b))
    return np.isin(first, second), np.isin(second, first)


def _edges(both: list[tuple[Graph, np.ndarray]], common: tuple[np.ndarray, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        "edge_system": np.concatenate([np.full(len(g.edges), k, dtype=np.int64) for k, (g, _) in enumerate(both)]),
        "edge_first": np.concatenate([g.edges[:, 0] for g, _ in both]),
        "edge_second": np.concatenate([g.edges[:, 1] for g, _ in both]),
        "edge_curvature": np.concatenate([kappa for _, kappa in both]).astype(np.float32),
        "edge_length": np.concatenate([g.lengths for g, _ in both]).astype(np.float32),
        "edge_shared": np.concatenate(common).astype(np.int64),
    }


def _at_every_share(shown: Shown, shares: list[float]) -> np.ndarray:
    """The score of "all" at each share by itself, every subject in the layer chosen for it."""
    from isocortex.similarity.metrics import METRICS

    found = np.empty(len(shares))
    for place, share in enumerate(shares):
        method = sharing(METRICS[shown.method].summarised({**shown.options, "shares": [share]}), shown.shared)
        found[place] = np.mean([_score(method, shown, s) for s in range(len(shown.subjects))])
    return found


def _score(method: Summaries, shown: Shown, subject: int) -> float:
    every = np.arange(len(shown.brain[subject]))
    layer: Any = shown.layers[subject][int(shown.chosen[subject])]
    return float(method.compare([method.of(layer, every)], [method.of(shown.brain[subject], every)])[0, 0])
