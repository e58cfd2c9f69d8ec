"""What a page draws of curvature: both graphs at one share of the sweep, their communities, and the score at every share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from isocortex.similarity.ricci.communities import AGREEMENTS, communities
from isocortex.similarity.ricci.flow import ricci_flows
from isocortex.similarity.ricci.graphs import Graph, sweep
from isocortex.similarity.ricci.ollivier import curvatures, node_curvature
from isocortex.similarity.summaries import Summaries

if TYPE_CHECKING:
    import xarray

    from isocortex.similarity.metric import Shown

_SYSTEMS = ("brain", "model")


def picture(shown: Shown) -> xarray.Dataset:
    """Of the mean brain and the layer chosen for all: curvature, edges, communities, places; scores at every share.

    The mean is over the subjects with the first one's stimuli. The graphs are those of the middle share.
    """
    import xarray

    alike = [s for s, ids in zip(shown.brain, shown.stimulus_ids, strict=True) if ids == shown.stimulus_ids[0]]
    brain = torch.stack([torch.as_tensor(s) for s in alike]).mean(0).cpu().numpy()
    layer = int(shown.chosen[-1])
    model = torch.as_tensor(shown.layers[0][layer]).cpu().numpy()
    shares = [float(share) for share in shown.options["shares"]]
    middle = len(shares) // 2
    graphs = [sweep(square, shares, shown.options["rule"]) for square in (brain, model)]
    bending = {key: shown.options[key] for key in ("alpha", "exp_power")}
    kappas = [curvatures(found, **bending) for found in graphs]
    nodes = [[node_curvature(g, k) for g, k in zip(*pair, strict=True)] for pair in zip(graphs, kappas, strict=True)]
    both = [(found[middle], kappa[middle]) for found, kappa in zip(graphs, kappas, strict=True)]
    flows = ricci_flows([graph for graph, _ in both], iterations=int(shown.options.get("iterations", 20)), **bending)
    groups = [communities(flow.graph) for flow in flows]
    common = _common(both[0][0], both[1][0])
    edges = _edges(both, common)
    return xarray.Dataset(
        {
            "node_curvature": (("system", "share", "stimulus"), np.array(nodes, dtype=np.float32)),
            **{name: ("edge", values) for name, values in edges.items()},
            "community": (("system", "stimulus"), np.array(groups, dtype=np.int64)),
            "place": (("system", "stimulus", "axis"), np.stack([_places(square) for square in (brain, model)])),
            "share_score": (("method", "share"), _at_every_share(shown, shares)[None]),
        },
        coords={
            "method": [shown.method],
            "system": list(_SYSTEMS),
            "share": shares,
            "stimulus_id": ("stimulus", list(shown.stimulus_ids[0])),
        },
        attrs={
            "shown_share": shares[middle],
            "shown_layer": shown.names[layer],
            "agreement": json.dumps({kind: round(float(agree(*groups)), 6) for kind, agree in AGREEMENTS.items()}),
            "edges_shared": float(common[0].sum() / (len(common[0]) + len(common[1]) - common[0].sum())),
        },
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


def _places(square: np.ndarray) -> np.ndarray:
    """Two coordinates of each stimulus (n, 2): classical scaling of dissimilarities as squared distances, signs fixed."""
    centred = square - square.mean(axis=0, keepdims=True)
    centred = -0.5 * (centred - centred.mean(axis=1, keepdims=True))
    values, vectors = np.linalg.eigh(0.5 * (centred + centred.T))
    axes = vectors[:, [-1, -2]] * np.sqrt(np.maximum(values[[-1, -2]], 0.0))
    heaviest = np.abs(axes).argmax(axis=0)
    return (axes * np.where(axes[heaviest, [0, 1]] < 0, -1.0, 1.0)).astype(np.float32)


def _at_every_share(shown: Shown, shares: list[float]) -> np.ndarray:
    """The score of "all" at each share by itself, every subject in the layer chosen for it."""
    from isocortex.similarity.metrics import METRICS

    found = np.empty(len(shares))
    for place, share in enumerate(shares):
        method: Summaries = METRICS[shown.method].summarised({**shown.options, "shares": [share]})
        found[place] = np.mean([_score(method, shown, s) for s in range(len(shown.subjects))])
    return found


def _score(method: Summaries, shown: Shown, subject: int) -> float:
    every = np.arange(len(shown.brain[subject]))
    layer: Any = shown.layers[subject][int(shown.chosen[subject])]
    return float(method.compare([method.of(layer, every)], [method.of(shown.brain[subject], every)])[0, 0])
