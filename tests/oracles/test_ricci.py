"""Ricci curvature, flow and communities beside GraphRicciCurvature 0.6.1, transport beside POT."""

import json

import numpy as np
import pytest

from isocortex.similarity.ricci import (
    Graph,
    Surgery,
    agreement,
    communities,
    curvature,
    forman,
    graph_from_adjacency,
    node_curvature,
    ricci_flow,
    w1,
)

LETTERS = ["a", "b"]


@pytest.fixture
def load(oracles):
    index = json.loads((oracles / "metrics" / "index.json").read_text())

    def read(name):
        with np.load(oracles / "metrics" / f"{name}.npz") as file:
            return dict(file), index[name]["params"], {"rel": index[name]["rtol"], "abs": index[name]["atol"]}

    return read


def scaled(matrix):
    """As the reference was given it: lengths divided by their mean."""
    graph = graph_from_adjacency(matrix)
    return Graph(graph.n, graph.edges, graph.lengths / graph.lengths.mean())


def test_transport(load):
    data, _, close = load("ot_w1_a")
    found = [w1(a, b, cost) for a, b, cost in zip(data["in_a"], data["in_b"], data["in_C"], strict=True)]
    assert np.array(found) == pytest.approx(data["out_w1"], **close)
    assert (np.array(found) <= data["out_sinkhorn_cost"] + 1e-12).all()  # an entropic plan is dearer


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("kind", ["unw", "dist", "sqdist"])
def test_curvature_of_edges_and_nodes(load, letter, kind):
    data, params, close = load(f"orc_curvature_{letter}")
    graph = scaled(data[f"in_A_{kind}"])
    np.testing.assert_array_equal(graph.edges, data["out_edges"])
    for alpha, power in params["combos"]:
        name = f"out_{kind}_a{round(100 * alpha)}_e{power}"
        kappa = curvature(graph, alpha, power)
        assert kappa == pytest.approx(data[name], **close)
        assert node_curvature(graph, kappa) == pytest.approx(data[f"{name}_node"], **close)


@pytest.mark.parametrize("letter", LETTERS)
def test_average_transport(load, letter):
    data, _, close = load(f"orc_curvature_{letter}")
    found = curvature(scaled(data["in_A_unw"]), 0.5, 0, transport="average")
    assert found == pytest.approx(data["out_unw_ATD_a50"], **close)


@pytest.mark.parametrize("letter", LETTERS)
def test_forman_curvatures(load, letter):
    data, _, close = load(f"orc_curvature_{letter}")
    graph, weighted = scaled(data["in_A_unw"]), scaled(data["in_A_dist"])
    for method in ("1d", "augmented", "balanced"):
        assert forman(graph, method) == pytest.approx(data[f"out_forman_{method}"], **close)
    for method in ("1d", "augmented"):
        assert forman(weighted, method, weighted=True) == pytest.approx(data[f"out_forman_{method}_dist"], **close)


@pytest.mark.parametrize("letter", ["a", "b", "c"])
def test_flow_surgery_and_communities(load, letter):
    data, params, close = load(f"orc_flow_{letter}")
    graph = graph_from_adjacency(data["in_A"])
    np.testing.assert_array_equal(graph.edges, data["out_edges"])
    options = {"step": params["step"], "alpha": params["alpha"], "exp_power": params["exp_power"]}
    iterations = sorted(int(name.removeprefix("out_weight_it")) for name in data if name.startswith("out_weight_it"))
    for count in iterations:
        flow = ricci_flow(graph, count, **options)
        assert flow.graph.lengths == pytest.approx(data[f"out_weight_it{count}"], **close)
        assert flow.curvature == pytest.approx(data[f"out_curv_it{count}"], **close)
    found = communities(flow.graph, params["drop_threshold"], params["cutoff_step"])
    assert agreement(found, data["out_community"], "vi") == 0
    after = ricci_flow(graph, iterations[-1], surgery=Surgery(every=3, share=0.6), **options)
    np.testing.assert_array_equal(after.graph.edges, data["out_surgery_edges"])
    assert after.graph.lengths == pytest.approx(data["out_surgery_weight"], **close)
