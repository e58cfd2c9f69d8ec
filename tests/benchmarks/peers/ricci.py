"""GraphRicciCurvature 0.6.1, one process, exact transport, in its own environment: `python ricci.py TASK in.npz out.npz`."""

from __future__ import annotations

import sys
import time

import networkx as nx
import numpy as np
from GraphRicciCurvature.OllivierRicci import OllivierRicci


def _timed(run, repeats):
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def _graph(n, edges, lengths):
    graph = nx.Graph()
    graph.add_nodes_from(range(int(n)))
    graph.add_weighted_edges_from((int(i), int(j), float(w)) for (i, j), w in zip(edges, lengths, strict=True))
    return graph


def _model(graph, alpha, power):
    return OllivierRicci(graph, alpha=float(alpha), method="OTD", exp_power=float(power), proc=1, verbose="ERROR")


def _of_edges(graph, edges, name):
    return np.array([graph[int(i)][int(j)][name] for i, j in edges])


def curvature(data):
    """Curvature of one graph."""
    graph = _graph(data["n"], data["edges"], data["lengths"])

    def run():
        model = _model(graph, data["alpha"], data["power"])
        model.compute_ricci_curvature()
        return model.G

    seconds, made = _timed(run, int(data["repeats"]))
    return {"seconds": seconds, "kappa": _of_edges(made, data["edges"], "ricciCurvature")}


def flow(data):
    """Lengths after Ricci flow; with `every` above 0, edges beyond (longest − 1) × .6 + 1 are removed that often."""
    graph = _graph(data["n"], data["edges"], data["lengths"])

    def cut(graph, weight):
        found = nx.get_edge_attributes(graph, weight)
        longest = (max(found.values()) - 1.0) * 0.6 + 1.0
        graph.remove_edges_from([edge for edge, w in found.items() if w > longest])
        return graph

    def run():
        model = _model(graph, 0.5, 1.0)
        options = {"surgery": (cut, int(data["every"]))} if data["every"] else {}
        model.compute_ricci_flow(iterations=int(data["iterations"]), **options)
        return model.G

    seconds, made = _timed(run, 2)
    edges = np.array(sorted(tuple(sorted(edge)) for edge in made.edges()))
    return {"seconds": seconds, "edges": edges, "lengths": _of_edges(made, edges, "weight")}


def many(data):
    """Curvatures of many graphs whose edges follow one another."""
    found = []
    for graph in range(int(data["graphs"])):
        mine = data["owner"] == graph
        edges = data["edges"][mine]
        model = _model(_graph(data["n"], edges, data["lengths"][mine]), 0.5, 1.0)
        model.compute_ricci_curvature()
        found.append(_of_edges(model.G, edges, "ricciCurvature"))
    return {"kappa": np.concatenate(found)}


TASKS = {"curvature": curvature, "flow": flow, "many": many}

if __name__ == "__main__":
    task, source, target = sys.argv[1:]
    with np.load(source) as file:
        inputs = {name: file[name] for name in file.files}
    np.savez(target, **TASKS[task](inputs))
