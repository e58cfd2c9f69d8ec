"""Curvature on a region's page: distributions, the sweep, both graphs, and whether it says more than mean distance."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from curved_regions import Curved, curved_region, curved_verdict, graph_cell, score_of

from isocortex.reporting.drawing import plain_style
from isocortex.reporting.figures.beside import look
from isocortex.reporting.figures.curvature import RULE_OF_SCORE, curvature_figure, sweep_figure
from isocortex.reporting.figures.curved_graph import NODES, fitted, follow, graph_figure
from isocortex.reporting.figures.placing import SIDE, apart, free_places
from isocortex.reporting.pages import region_page
from isocortex.reporting.shapes import beyond, sentences

GRAPHS = ("ricci", "ricci_partial", "ricci_distribution", "ricci_edges", "ricci_communities")
HOSTILE = "<script>alert(1)</script> \"'& $x$ ]]> 模型 \x07"


def drawn(draw: Any, region: Any, method: str = "ricci") -> Any:
    with plain_style():
        return draw(region, method, curved_verdict(region, method))


def page_of(region: Any) -> str:
    return region_page(region, {method: curved_verdict(region, method) for method in region.methods})


def with_cell(region: Any, name: str, cell: Any) -> Any:
    return replace(region, cells={**region.cells, name: cell})


def test_the_graphs_are_drawn_once_and_every_method_has_its_sweep(read):
    html = page_of(curved_region(Curved(methods=GRAPHS)))
    page = read(html)
    found = set(re.findall(r'<figure id="([^"]+)"', html))
    assert {"curvature-ricci", "graph-ricci"} <= found
    assert {f"sweep-{method}" for method in GRAPHS[1:]} <= found
    assert not {f"graph-{method}" for method in GRAPHS[1:]} & found
    assert len(page.ids) == len(set(page.ids))
    assert "<image" not in html
    assert html == page_of(curved_region(Curved(methods=GRAPHS)))


def test_methods_have_their_names_and_say_which_way_is_closer(read):
    text = " ".join(read(page_of(curved_region(Curved(methods=GRAPHS)))).text)
    for name in ("Ricci curvature beyond mean distance", "Curvature distributions", "Shared edges", "Ricci-flow communities"):
        assert name in text
    assert "Spearman ρ of node curvature" in text
    assert text.count("Lower is closer") == 1
    assert sentences(curved_region(), "ricci_edges", curved_verdict(curved_region(), "ricci_edges"))[0].endswith("(nats) 1.25.")


def test_labels_are_text_wherever_they_stand(read):
    plan = Curved(methods=GRAPHS, stimuli=20, ids=[f"{HOSTILE}{place}" for place in range(20)])
    plain = read(page_of(curved_region(plan)))
    hostile = read(
        page_of(curved_region(replace(plan, label=HOSTILE, models={"deep": HOSTILE, "b": "<b>"}, layers=("<i>", "b&"))))
    )
    assert hostile.tags.count("script") == plain.tags.count("script") == 1
    assert not {"i", "img"} & set(hostile.tags)
    assert hostile.handlers == []


# --- beyond mean distance ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"score": 0.31, "p": 0.002, "q_region": 0.004}, "curvature adds something beyond mean distance and density"),
        (
            {"score": 0.02, "p": 0.4, "q_region": 0.4},
            "adds nothing beyond mean distance and density that can be told from chance",
        ),
        ({"score": 0.1, "p": 0.03, "q_region": 0.09}, "adds nothing beyond mean distance and density"),
        ({"score": 0.31, "ceiling_p": 0.3}, "cannot be shown to add anything beyond mean distance and density"),
        ({"score": None}, "cannot be said: no score is left without them"),
        ({"score": 0.31, "ceiling_low": None, "ceiling_p": None}, "there is no ceiling"),
    ],
    ids=["adds", "nothing", "only without correction", "no signal", "no score", "no ceiling"],
)
def test_one_sentence_says_what_curvature_adds(row, said):
    plan = Curved(methods=GRAPHS, rows={("ricci_partial", "deep"): row})
    region = curved_region(plan)
    [sentence] = beyond(region, "ricci", curved_verdict(region, "ricci"))
    assert said in sentence
    assert sentence.count(". ") == 0
    assert sentence.endswith(".")


def test_the_sentence_has_both_scores_and_both_ceilings():
    partial = {"score": 0.123, "p": 0.04, "q_region": 0.045, "ceiling_low": 0.345, "ceiling_high": 0.456, "ceiling_p": 0.012}
    region = curved_region(Curved(methods=GRAPHS, rows={("ricci_partial", "deep"): partial}))
    [sentence] = sentences(region, "ricci", curved_verdict(region, "ricci"))
    assert "ρ is 0.123 (p = 0.040, q = 0.045), against 0.550 (p = 0.001, q = 0.002) without" in sentence
    assert "ceiling is then 0.345 to 0.456 (p = 0.012), against 0.600 to 0.680 (p = 0.001) without" in sentence


def test_without_the_partial_score_the_page_says_that_it_is_not_known():
    region = curved_region(Curved(methods=("ricci",)))
    assert "is not known: ricci_partial was not asked for" in beyond(region, "ricci", curved_verdict(region, "ricci"))[0]


# --- distributions and sweep -------------------------------------------------------------------------------------------


def test_histograms_hold_every_node_and_edge_of_the_shown_share():
    plan = Curved(methods=GRAPHS)
    region = curved_region(plan)
    drawing = drawn(curvature_figure, region)
    cell = graph_cell(plan, GRAPHS)
    sizes = {"node": plan.stimuli, "edge": int((cell["edge_system"] == 0).sum())}
    for name, size in sizes.items():
        tips = re.findall(rf"{plan.label}\s+{name} curvature [^\"]*?(\d+) {name}s", drawing.svg.replace("&#10;", "\n"))
        assert sum(map(int, tips)) == size
    brain = cell["node_curvature"].isel(system=0, share=1)
    assert f"median node curvature {float(brain.median()):.3f} in {plan.label}" in drawing.about
    assert RULE_OF_SCORE in drawing.caption
    assert "each stimulus joined to the 10\u202f% nearest" in drawing.caption


def test_the_sweep_has_every_model_and_leaves_unknown_shares_out():
    region = curved_region(Curved(methods=GRAPHS))
    score = score_of(Curved(), "ricci_edges", "deep")
    drawing = drawn(sweep_figure, region, "ricci_edges")
    assert f"{score:.2f} at 5\u202f%, {score + 0.02:.2f} at 10\u202f%" in drawing.about
    for label in ("Deep network", "Shallow", "Random"):
        assert drawing.svg.count(f'data-tip="{label}') == 3
    cell = region.cells["deep/graph"].copy(deep=True)
    cell["share_score"][GRAPHS.index("ricci_edges"), 0] = np.nan
    assert drawn(sweep_figure, with_cell(region, "deep/graph", cell), "ricci_edges").svg.count('data-tip="Deep network') == 2
    cell["share_score"][:] = np.nan
    bare = curved_region(Curved(methods=GRAPHS, models={"deep": "Deep network"}))
    assert drawn(sweep_figure, with_cell(bare, "deep/graph", cell), "ricci_edges") is None


def test_a_rule_by_pairs_is_said():
    region = curved_region(Curved(methods=GRAPHS))
    options = {**region.options, "methods": {"compare": {"ricci": {"rule": "shortest"}}}}
    assert "the 10\u202f% shortest of all pairs joined" in drawn(graph_figure, replace(region, options=options)).caption


@pytest.mark.parametrize("absent", ["node_curvature", "place", "edge_curvature", "community", "share_score"])
def test_nothing_is_drawn_of_what_is_absent(absent):
    region = curved_region(Curved(methods=("ricci",)))
    cells = {name: cell.drop_vars(absent) if name.endswith("/graph") else cell for name, cell in region.cells.items()}
    region = replace(region, cells=cells)
    found = set(re.findall(r'<figure id="(curvature|graph)-ricci"', page_of(region)))
    left = {"node_curvature": set(), "share_score": {"curvature", "graph"}}
    assert found == left.get(absent, {"curvature"})
    if absent in ("edge_curvature", "share_score"):
        assert drawn(curvature_figure, region).svg.count("<svg") == 2


# --- graphs ------------------------------------------------------------------------------------------------------------


def test_every_node_has_its_name_and_the_bridges_their_ends():
    plan = Curved(methods=("ricci",))
    drawing = drawn(graph_figure, curved_region(plan))
    tips = re.findall(r'data-tip="([^"]*)"', drawing.svg)
    for name in plan.names:
        assert sum(tip.startswith((f"{name}&#10;", f"{name}\n")) for tip in tips) == 2
    assert any(re.match(r"stim\d+ – stim\d+\s+curvature \u2212", tip.replace("&#10;", "\n")) for tip in tips)
    assert "37\u202f% of edges" in drawing.caption
    assert "4 communities" in drawing.about


def test_too_many_edges_are_counted_and_the_page_stays_small():
    for n in (300, NODES, NODES + 1, 1000):
        drawing = drawn(graph_figure, curved_region(Curved(methods=("ricci",), stimuli=n, models={"deep": "Deep"})))
        assert len(drawing.svg) < 400_000
        assert re.search(r"Drawn are the shortest and the most curved edges: (1\u202f500|800|1\u202f000) of", drawing.caption)


def test_communities_of_the_model_follow_those_of_the_region():
    first = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    second = np.array([5, 5, 5, 3, 3, 5, 9, 7])
    assert follow(first, second).tolist()[:6] == [0, 0, 0, 1, 1, 0]
    assert sorted(follow(first, second).tolist()[6:]) == [2, 3]
    assert follow(first, first).tolist() == first.tolist()


def test_written_names_overlap_nothing():
    rng = np.random.default_rng(0)
    pixels, height = fitted(rng.normal(size=(60, 2)))
    names = [f"stimulus {place}" for place in range(60)]
    found = free_places(pixels, (8.0, height), list(range(60)), names)
    assert found
    boxes = []
    for node, (x, y), anchor in found:
        wide = 6.6 * len(names[node])
        left = x - wide * {"left": 0, "right": 1, "center": 0.5}[anchor]
        boxes.append((left, y - 7, left + wide, y + 7))
    for place, (left, bottom, right, top) in enumerate(boxes):
        assert 0 <= left < right <= SIDE
        assert 0 <= bottom < top <= height
        inside = (pixels[:, 0] > left) & (pixels[:, 0] < right) & (pixels[:, 1] > bottom) & (pixels[:, 1] < top)
        assert not inside.any()
        for other in boxes[place + 1 :]:
            assert right <= other[0] or other[2] <= left or top <= other[1] or other[3] <= bottom


def test_names_are_moved_apart_and_keep_their_order():
    found = apart([0.0, 1.0, 50.0, 0.5], 10)
    assert np.diff(np.sort(found)).min() >= 10 - 1e-9
    assert np.argsort(found).tolist() == [0, 3, 1, 2]
    assert found[2] == 50
    assert found[[0, 1, 3]].mean() == pytest.approx(0.5)


def test_sixty_four_communities_have_looks_of_their_own():
    assert len({look(place) for place in range(64)}) == 64


def test_a_cell_without_agreement_is_a_page():
    region = curved_region(Curved(methods=("ricci_edges",)))
    cell = region.cells["deep/graph"]
    attrs = {key: value for key, value in cell.attrs.items() if key not in ("agreement", "edges_shared", "shown_layer")}
    region = with_cell(region, "deep/graph", cell.drop_attrs().assign_attrs(attrs))
    assert sentences(region, "ricci_edges", curved_verdict(region, "ricci_edges")) == []
    assert "graph-ricci_edges" in page_of(region)
    assert json.loads(cell.attrs["agreement"])["ami"] == 0.41
