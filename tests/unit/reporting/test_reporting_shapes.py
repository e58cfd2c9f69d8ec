"""Shapes on a region's page: moments beside the plug-in's null, noise beside the region itself, and the map of shapes."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from curved_regions import Curved, curved_region, curved_verdict
from regions import Plan, make_region, verdict_of

from isocortex.reporting.drawing import plain_style
from isocortex.reporting.figures.moments import moments_figure, moments_of
from isocortex.reporting.figures.placing import SIDE, placed
from isocortex.reporting.figures.shape_map import shape_map
from isocortex.reporting.figures.stochastic import distances, stochastic_figure
from isocortex.reporting.pages import region_page
from isocortex.reporting.shape_tables import noise_table, space_table
from isocortex.reporting.shapes import of_subject, sentences, spread_of
from isocortex.reporting.vocabulary import score_label

SHAPES = ("shape", "shape_moments", "stochastic_shape")
PLAN = Curved(methods=SHAPES)


def drawn(draw: Any, region: Any, method: str) -> Any:
    with plain_style():
        return draw(region, method, curved_verdict(region, method))


def mapped(region: Any) -> Any:
    with plain_style():
        return shape_map(region)


def page_of(region: Any) -> str:
    return region_page(region, {method: curved_verdict(region, method) for method in region.methods})


def without(region: Any, *names: str) -> Any:
    return replace(region, cells={key: cell.drop_vars(names, errors="ignore") for key, cell in region.cells.items()})


def texts(table: Any) -> list[list[str]]:
    return [[part.text for part in line.cells] for line in table.lines]


def test_the_page_has_every_figure_once(read):
    html = page_of(curved_region(PLAN))
    page = read(html)
    found = re.findall(r'<figure id="([^"]+)"', html)
    assert {"moments-shape_moments", "stochastic-stochastic_shape", "shape-map"} <= set(found)
    assert "moments-shape" not in found
    assert {"shapes", "table-shapes", "table-noise-stochastic_shape"} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    text = " ".join(page.text)
    assert text.count("Lower is closer") == 2
    assert "angle (rad)" in text
    assert html == page_of(curved_region(PLAN))


def test_a_region_without_shapes_says_nothing_of_them():
    plain = make_region()
    html = region_page(plain, dict.fromkeys(plain.methods, verdict_of(Plan())))
    for absent in ('id="shapes"', "table-noise", "Lower is closer", "self-distance"):
        assert absent not in html
    assert space_table(plain) is None
    assert mapped(plain) is None


def test_labels_are_text_wherever_they_stand(read):
    bad = "<script>alert(1)</script><img src=x onerror=alert(1)> \x07$"
    plan = replace(PLAN, models={"a": bad, "b": "<b>"}, layers=("<i>", "b&"), subjects=("<u>1", "S2", "S3"), label=bad)
    page = read(page_of(curved_region(plan)))
    assert page.tags.count("script") == 1
    assert not {"img", "i", "u"} & set(page.tags)
    assert page.handlers == []


@pytest.mark.parametrize(
    ("method", "options", "said"),
    [
        ("shape", {"kind": "angular"}, "angle (rad)"),
        ("shape", {"kind": "euclidean"}, "Euclidean shape distance"),
        ("ricci_distribution", {"distance": "kolmogorov_smirnov"}, "Kolmogorov–Smirnov distance"),
        ("ricci_communities", {"agreement": "ari"}, "adjusted Rand index"),
        ("stochastic_shape", {"distribution": "auto"}, "stochastic shape distance"),
        ("stochastic_shape", {"distribution": "energy"}, "energy distance"),
        ("rsa", {"compare": "rho_a"}, "ρ-a"),
    ],
)
def test_scores_are_named_by_what_the_options_make_of_them(method, options, said):
    assert score_label("rdm", options, method) == said


# --- moments -----------------------------------------------------------------------------------------------------------


def test_the_bound_holds_noise_and_bias():
    region = curved_region(PLAN)
    first, *others = moments_of(region, "shape_moments", curved_verdict(region, "shape_moments"))
    assert first.label == "Deep network"
    assert first.layer == "layer3"
    assert first.bounds == pytest.approx((0.55 - 1.96 * 0.05 - 0.08, 0.55 + 1.96 * 0.05 + 0.08))
    assert len(others) == 2
    drawing = drawn(moments_figure, region, "shape_moments")
    assert "Deep network 0.550 [0.372, 0.728], plug-in 0.720 over 0.310" in drawing.about


def test_the_plug_in_is_never_shown_without_its_null():
    region = curved_region(replace(PLAN, plug_in_null=np.nan))
    drawing = drawn(moments_figure, region, "shape_moments")
    assert "0.550" in drawing.about
    assert "0.720" not in drawing.svg
    assert "◆" not in drawing.svg
    assert "plug-in 0" not in drawing.about


def test_no_moments_no_figure():
    assert drawn(moments_figure, without(curved_region(PLAN), "moment"), "shape_moments") is None


# --- noise -------------------------------------------------------------------------------------------------------------


def test_both_distances_are_those_of_the_chosen_layer():
    region = curved_region(PLAN)
    found = distances(region, "stochastic_shape", curved_verdict(region, "stochastic_shape"))
    assert [model.label for model in found] == ["Deep network", "Shallow", "Random"]
    for place, model in enumerate(found):
        assert model.distance == pytest.approx({"deterministic": 0.4 - 0.1 * place, "stochastic": 0.5 + 0.3 * place})
        assert model.rank == {"deterministic": 3 - place, "stochastic": 1 + place}
        assert set(model.subjects) == {"S1", "S2", "S3"}


def test_the_self_distance_is_printed_and_what_lies_within_it_is_hollow():
    region = curved_region(PLAN)
    cell = region.cells["deep/stochastic"]
    own = cell["self_distance"].sel(subject="all").values
    low, middle, high = np.quantile(own, [0.025, 0.5, 0.975])
    drawing = drawn(stochastic_figure, region, "stochastic_shape")
    said = f"{middle:.3f} (95\u202f% from {low:.3f} to {high:.3f})"
    assert f"the region's distance to itself is {said} over 40 splits" in drawing.caption
    assert "24 conditions, 12 trials of each, 6 dimensions" in drawing.caption
    assert drawing.svg.count("within the region&#x27;s distance") + drawing.svg.count("within the region's distance") == 1
    html = page_of(region)
    assert said in html.replace("&#39;", "'")


def test_without_splits_the_caption_says_so():
    drawing = drawn(stochastic_figure, without(curved_region(PLAN), "self_distance", "shuffled"), "stochastic_shape")
    assert "its trials could not be split" in drawing.caption
    assert "Grey bar" not in drawing.caption


@pytest.mark.parametrize(("p", "said"), [(0.02, "in 3 of 3 subjects"), (0.4, "in none of 3 subjects")])
def test_the_shuffled_trials_have_their_say(p, said):
    region = curved_region(replace(PLAN, noise_p=p))
    *_, sentence = sentences(region, "stochastic_shape", curved_verdict(region, "stochastic_shape"))
    assert sentence.startswith(f"The noise that units share can be told from independent noise {said} (p: S1 {p:.3f}, S2 ")
    shuffled = region.cells["deep/stochastic"]["shuffled"].sel(subject="all").values
    assert f"away, and {np.median(shuffled):.3f} (95" in sentence


@pytest.mark.parametrize(("p", "said"), [(0.02, "can"), (0.4, "cannot")])
def test_one_subject_has_one_p(p, said):
    region = curved_region(replace(PLAN, noise_p=p, subjects=("S1",)))
    *_, sentence = sentences(region, "stochastic_shape", curved_verdict(region, "stochastic_shape"))
    assert sentence.startswith(f"The noise that units share {said} be told from independent noise (p = {p:.3f}): ")


@pytest.mark.parametrize(
    ("noise", "said"),
    [
        ("isotropic", "given isotropic noise, as much as the region has: its variance is 0.70"),
        ("none", "Models have no noise."),
    ],
)
def test_the_noise_that_models_are_given_is_said(noise, said):
    region = curved_region(PLAN)
    options = {**region.options, "methods": {"compare": {"stochastic_shape": {"noise": noise}}}}
    assert said in drawn(stochastic_figure, replace(region, options=options), "stochastic_shape").caption


def test_trials_that_could_not_be_shuffled_are_said():
    region = curved_region(replace(PLAN, noise_p=np.nan))
    assert sentences(region, "stochastic_shape", curved_verdict(region, "stochastic_shape"))[-1].startswith("No test says")
    bare = without(region, "noise_p")
    assert sentences(bare, "stochastic_shape", curved_verdict(bare, "stochastic_shape")) == ["Lower is closer."]


def test_the_table_has_every_subject_with_its_own_numbers():
    region = curved_region(PLAN)
    table = noise_table(region, "stochastic_shape", curved_verdict(region, "stochastic_shape"))
    assert table is not None
    found = texts(table)
    assert [row[0] for row in found] == ["all", "S1", "S2", "S3"]
    assert {len(row) for row in found} == {len(table.columns)}
    for row in found:
        values = region.cells["deep/stochastic"]["self_distance"].sel(subject=row[0]).values
        assert row[1] == f"{np.median(values):.3f}"
        # A mean of p is no p.
        assert row[5] == ("–" if row[0] == "all" else "0.020")
    assert noise_table(region, "shape", curved_verdict(region, "shape")) is None


def test_the_mean_over_subjects_stands_in_where_all_is_not_known():
    cell = curved_region(PLAN).cells["deep/stochastic"].copy(deep=True)
    cell["noise_p"][:] = [0.1, 0.3, np.nan, np.nan]
    assert of_subject(cell, "noise_p") == pytest.approx(0.2)
    assert np.isnan(of_subject(cell, "noise_p", "S3"))
    cell["noise_p"][-1] = 0.7
    assert of_subject(cell, "noise_p") == 0.7


def test_a_spread_of_nothing_is_missing():
    assert spread_of(np.array([np.nan])).n == 0
    assert spread_of(np.arange(101.0)).said() == "50.000 (95\u202f% from 2.500 to 97.500)"


# --- the map -----------------------------------------------------------------------------------------------------------


def test_the_map_has_subjects_layers_and_self_distances():
    region = curved_region(PLAN)
    drawing = mapped(region)
    tips = {tip.replace("&#10;", "\n") for tip in re.findall(r'data-tip="([^"]*)"', drawing.svg)}
    assert {"S1\nself-distance 0.200", "S2\nself-distance 0.200"} <= tips
    assert sum(tip.startswith("Deep network, layer") for tip in tips) >= 3
    for text in (
        "Shape distance",
        "Stochastic shape distance",
        "83\u202f% of squared distances",
        "variance of the subjects 0.021",
    ):
        assert text in drawing.caption
    assert drawing.svg.count("<svg") == 2


def test_a_metric_without_places_is_left_out():
    region = curved_region(PLAN)
    cell = region.cells["shapes"].copy(deep=True)
    cell["coordinates"][1] = np.nan
    cell["self_distance"][:] = np.nan
    cell["dispersion"][:] = np.nan
    drawing = mapped(replace(region, cells={**region.cells, "shapes": cell}))
    assert drawing.svg.count("<svg") == 1
    assert "Stochastic" not in drawing.caption
    assert "Fréchet" not in drawing.caption
    cell["coordinates"][:] = np.nan
    assert mapped(replace(region, cells={**region.cells, "shapes": cell})) is None


def test_the_table_of_shapes_names_the_nearest_layer():
    region = curved_region(PLAN)
    cell = region.cells["shapes"]
    table = space_table(region)
    found = texts(table)
    assert [row[0] for row in found] == ["Shape distance", "Stochastic shape distance"]
    subjects, layers = (np.flatnonzero(cell["kind"].values == kind) for kind in ("subject", "layer"))
    for row, distance in zip(found, cell["distance"].values, strict=True):
        away = distance[np.ix_(subjects, layers)].mean(axis=0)
        place = layers[away.argmin()]
        label = PLAN.models[str(cell["model"].values[place])]
        assert row[1] == f"{label}, {cell['layer'].values[place]}"
        assert row[2] == f"{away.min():.3f}"
        assert row[5] == "0.200"
    bare = texts(space_table(without(region, "self_distance", "dispersion", "shown")))
    assert [row[4:] for row in bare] == [["–", "–", "–"]] * 2


def test_names_on_the_map_cover_neither_marks_nor_each_other():
    rng = np.random.default_rng(1)
    points = [rng.uniform(60, 340, size=(3, 2)) for _ in range(14)]
    marks = np.concatenate(points)
    names = [f"model number {place}" for place in range(14)]
    found = placed(points, names, marks, marks)
    boxes = []
    for name, spot in zip(names, found, strict=True):
        if spot is None:
            continue
        x, y, anchor = spot
        left = x - 6.6 * len(name) * {"left": 0, "right": 1, "center": 0.5}[anchor]
        boxes.append((left, y - 7, left + 6.6 * len(name), y + 7))
    assert len(boxes) > 10
    for place, (left, bottom, right, top) in enumerate(boxes):
        assert 0 < left < right < SIDE
        assert 0 < bottom < top < SIDE
        assert not ((marks > (left, bottom)) & (marks < (right, top))).all(axis=1).any()
        for other in boxes[place + 1 :]:
            assert right <= other[0] or other[2] <= left or top <= other[1] or other[3] <= bottom
    crowded = placed([np.full((1, 2), 200.0)] * 40, ["the same name"] * 40, np.full((1, 2), 200.0), np.full((1, 2), 200.0))
    assert None in crowded
