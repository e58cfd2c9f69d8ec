"""Ricci curvature and flow beside GraphRicciCurvature 0.6.1: time, ratio and agreement in one run, on the same graphs.

`python tests/benchmarks/ricci.py curvature flow` runs some rows. The peer runs in one process: more would start anew each time.
"""

from __future__ import annotations

import os
import platform
import sys
import time

import numpy as np
import torch
from encoders import row, timed
from peer import run_peer

from isocortex.similarity.ricci import (
    Graph,
    Surgery,
    curvature,
    curvatures,
    graph_from_adjacency,
    graph_from_rdm,
    ricci_flow,
)


def nearest(n: int, k: int | None, features: int = 10, seed: int = 0) -> Graph:
    """The graph of squared distances of n Gaussian patterns."""
    x = np.random.default_rng(seed).standard_normal((n, features))
    return graph_from_rdm(((x[:, None] - x[None]) ** 2).sum(-1), k=k)


def arrays(graph: Graph) -> dict[str, np.ndarray]:
    return {"n": np.array(graph.n), "edges": graph.edges, "lengths": graph.lengths}


def set_threads(many: int) -> int:
    """Torch on so many threads; how many it had."""
    had = torch.get_num_threads()
    torch.set_num_threads(many)
    return had


def _curvature(n: int, k: int, features: int, repeats: int) -> None:
    graph = nearest(n, k, features)
    given = {"alpha": np.array(0.5), "power": np.array(1.0), "repeats": np.array(repeats)}
    theirs = run_peer("ricci.py", "curvature", {**arrays(graph), **given})
    curvature(graph)  # compiled code is read from its cache
    had = set_threads(1)
    for threads in sorted({1, had}):
        set_threads(threads)
        seconds, found = timed(lambda: curvature(graph), 5)
        agreement = f"{seconds * 1e3:.1f} ms, largest difference {np.abs(found - theirs['kappa']).max():.1e}"
        row(
            f"curvature, {n} nodes, {len(graph.edges)} edges, {threads} cores",
            seconds,
            float(theirs["seconds"]),
            "5",
            agreement,
        )


def small() -> None:
    _curvature(100, 10, 10, 5)


def large() -> None:
    _curvature(300, 20, 10, 3)


def medium() -> None:
    """About 3282 edges."""
    _curvature(400, 11, 9, 3)


def dense() -> None:
    """A tenth of all stimuli is near, as it is by default."""
    _curvature(515, None, 10, 1)


def _flow(name: str, graph: Graph, iterations: int, every: int) -> None:
    given = {"iterations": np.array(iterations), "every": np.array(every)}
    theirs = run_peer("ricci.py", "flow", {**arrays(graph), **given})
    surgery = Surgery(every, 0.6) if every else None
    seconds, found = timed(lambda: ricci_flow(graph, iterations, surgery=surgery))
    if np.array_equal(found.graph.edges, theirs["edges"]):
        differ = np.abs(found.graph.lengths - theirs["lengths"])
        agreement = f"{seconds * 1e3:.1f} ms, largest difference {differ.max():.1e}"
    else:
        agreement = f"{len(found.graph.edges)} edges are left, {len(theirs['edges'])} to the peer"
    row(f"{name}, {len(graph.edges)} edges", seconds, float(theirs["seconds"]), "5", agreement)


def flow() -> None:
    _flow("flow, 10 iterations, 100 nodes", nearest(100, 10), 10, 0)


def surgery() -> None:
    _flow("flow with surgery, 10 iterations, 200 nodes", nearest(200, 10, seed=1), 10, 3)


def weighted() -> None:
    """A hundred random graphs; in half of them, some edges are longer than the way round."""
    rng = np.random.default_rng(5)
    graphs = []
    for g in range(100):
        x = rng.standard_normal((24, 3))
        far = ((x[:, None] - x[None]) ** 2).sum(-1) ** (0.5 if g % 2 else 1.0)
        graph = graph_from_rdm(far, k=int(rng.integers(2, 8)), lengths="given")
        graphs.append(graph_from_adjacency(graph.matrix()))
    owner = np.repeat(np.arange(100), [len(graph.edges) for graph in graphs])
    edges, lengths = np.concatenate([g.edges for g in graphs]), np.concatenate([g.lengths for g in graphs])
    given = {"graphs": np.array(100), "n": np.array(24), "owner": owner, "edges": edges, "lengths": lengths}
    theirs = run_peer("ricci.py", "many", given)
    seconds, found = timed(lambda: np.concatenate(curvatures(graphs)))
    row(
        f"100 weighted graphs, {len(edges)} edges",
        seconds,
        None,
        "",
        f"largest difference {np.abs(found - theirs['kappa']).max():.1e}",
    )


def many() -> None:
    """A hundred graphs of 515 stimuli, ours alone, and ten of them on one core."""
    graphs = [nearest(515, None, seed=seed) for seed in range(100)]
    had = torch.get_num_threads()
    for count, threads in ((10, 1), (100, had)):
        set_threads(threads)
        edges = sum(len(graph.edges) for graph in graphs[:count])
        start = time.perf_counter()
        curvatures(graphs[:count])
        seconds = time.perf_counter() - start
        agreement = f"{edges} edges, {seconds / edges * 1e6:.0f} µs each"
        row(f"curvature of {count} graphs of 515 nodes, {threads} cores", seconds, None, "", agreement)


ROWS = {
    "small": small,
    "curvature": medium,
    "large": large,
    "dense": dense,
    "flow": flow,
    "surgery": surgery,
    "weighted": weighted,
    "many": many,
}


def main(wanted: list[str]) -> None:
    threads = torch.get_num_threads()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {threads} threads, torch {torch.__version__}")
    print(f"{'':<58} {'ours, s':>8} {'peer, s':>9} {'ratio':>7} {'goal':>6}")
    for name in wanted or ROWS:
        ROWS[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
