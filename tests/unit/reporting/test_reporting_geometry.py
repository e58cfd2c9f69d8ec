"""Geometry on a page: profiles along depth, the region across them, and every number in a table."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from described_layers import DEPTHS, VALUES, described, layers
from regions import Plan, make_region, verdict_of

from isocortex.reporting import geometry
from isocortex.reporting.drawing import plain_style
from isocortex.reporting.figures.geometry_profiles import depth, profiles_figure
from isocortex.reporting.pages import region_page
from isocortex.reporting.region import Region


def drawn(region: Region) -> str:
    with plain_style():
        found = profiles_figure(region)
    assert found is not None
    return str(found.svg)


def page(region: Region) -> str:
    return region_page(region, dict.fromkeys(region.methods, verdict_of(Plan())))


def panel(svg: str, name: str) -> str:
    return next(part for part in svg.split("<svg")[1:] if f'id="geometry-{name}-figure' in part)


def heights(svg: str, name: str, tip: str) -> list[float]:
    """Mean heights of what shows a tip."""
    found = re.findall(rf'data-tip="{re.escape(tip)}[^"]*"[^>]*>(.*?)</g>', panel(svg, name), flags=re.DOTALL)
    lines = [re.search(r' d="M ([\d.-]+) ([\d.-]+)|<use [^>]*y="([\d.-]+)"', part) for part in found]
    places = [re.search(r'<use[^>]* y="([\d.-]+)"', part) for part in found]
    return [float(place[1]) if place else float(line[2]) for place, line in zip(places, lines, strict=True) if place or line]


def test_each_descriptor_is_a_panel_with_a_line_per_model_and_the_region_across():
    svg = drawn(described())
    for name in VALUES:
        assert f'id="geometry-{name}-figure' in svg
        tips = re.findall(r'data-tip="([^"]*)"', panel(svg, name))
        for model, names in DEPTHS.items():
            assert [tip.split("&#10;")[1] for tip in tips if tip.startswith(model)] == list(names)
        assert sum(tip.startswith("region, all subjects") for tip in tips) == 1
        assert sum(bool(re.match(r"S\d", tip)) for tip in tips) == 3
        assert sum(tip.startswith("null: ") for tip in tips) == 1
    assert 'id="geometry-key-figure' in svg


def test_values_stand_at_their_heights():
    """On a logarithmic axis equal ratios are equal distances, on the plain one equal differences; larger is further up."""
    region = described()
    svg = drawn(region)
    for name, scale in (("participation_ratio", np.log), ("two_nn", np.asarray), ("label_alignment", np.asarray)):
        rows = geometry.series(region, name)[0].rows
        values = scale([row["score"] for row in rows.values()])
        places = np.array(heights(svg, name, "deep"))
        steps = np.diff(places) / np.diff(values)
        assert len(places) == 5
        assert steps == pytest.approx(np.full(4, steps[0]), rel=1e-3)
        assert steps[0] < 0


def test_depth_runs_from_the_first_layer_to_the_last_and_one_layer_is_in_the_middle():
    assert [depth(k, 3) for k in range(3)] == [0.0, 0.5, 1.0]
    assert depth(0, 1) == 0.5


def test_layers_are_named_where_all_models_call_them_alike():
    region = described()
    same = {name: region.layers_geometry[name] for name in ("deep/all", "pixels/all")}
    assert "block2" in re.sub(r'data-tip="[^"]*"', "", drawn(replace(region, layers_geometry=same)))
    assert "first layer" in drawn(region)
    assert "block2" not in re.sub(r'data-tip="[^"]*"', "", drawn(region))


def test_every_number_is_in_a_table():
    region = described()
    own, of_layers = geometry.geometry_table(region), geometry.layers_table(region)
    assert own is not None
    assert of_layers is not None
    assert len(own.lines) == 3 * 4
    assert len(of_layers.lines) == 3 * sum(map(len, DEPTHS.values()))
    first = next(line for line in own.lines if line.cells[0].text.startswith("Two nearest") and line.cells[1].text == "all")
    row = geometry.mean_row(region, "two_nn")
    assert row is not None
    values = [cell.value for cell in first.cells[2:7]]
    assert values == [row[key] for key in ("score", "ci_low", "null_mean", "p", "ceiling_low")]
    assert first.cells[4].tip == "permute labels, 99 draws"
    spectrum = next(line for line in of_layers.lines if line.cells[0].text == "Participation ratio")
    assert [cell.text for cell in spectrum.cells[5:7]] == ["–", "–"]


def test_models_stand_in_the_studys_order_and_sets_are_named_where_there_are_several():
    region = described()
    assert geometry.models(region) == ["deep/all", "shallow/all", "pixels/all"]
    assert [line.label for line in geometry.series(region, "two_nn")] == ["deep", "shallow", "pixels"]
    more = {**region.layers_geometry, "deep/more": region.layers_geometry["deep/all"]}
    found = geometry.series(replace(region, layers_geometry=more), "two_nn")
    assert [line.label for line in found] == ["deep, all", "deep, more", "shallow, all", "pixels, all"]


def test_other_stimuli_than_the_regions_are_said():
    assert not any("mind the difference" in said for said in geometry.sentences(described()))
    said = geometry.sentences(described(stimuli=96))
    assert "Layers are described on 96 stimuli" in said[0]
    assert "the region on the 48 that its subjects saw" in said[0]


def test_what_layers_have_no_value_of_is_said_once():
    region = described()
    why = {"participation_ratio_cv": "a layer has no repeats"}
    files = {f"{model}/all": layers(model, names, VALUES, 48, why) for model, names in DEPTHS.items()}
    said = geometry.sentences(replace(region, layers_geometry=files))
    assert said[-1] == "Participation ratio, cross-validated: no value for layers (a layer has no repeats)."
    one = {**region.layers_geometry, "deep/all": files["deep/all"]}
    assert "no value for layers of deep (" in geometry.sentences(replace(region, layers_geometry=one))[-1]


def test_the_page_holds_profiles_spectrum_and_tables(read):
    html = page(described())
    found = read(html)
    assert {"geometry", "geometry-profiles", "geometry-spectrum", "table-geometry", "table-geometry-layers"} <= set(found.ids)
    assert len(found.ids) == len(set(found.ids))
    assert html == page(described())


def test_a_region_without_layers_has_no_profiles_and_a_study_without_geometry_no_section():
    alone = page(make_region())
    assert 'id="table-geometry"' in alone
    assert "geometry-profiles" not in alone
    assert "table-geometry-layers" not in alone
    assert 'id="geometry"' not in page(make_region(Plan(geometry=False)))


def test_the_signal_of_the_region_alone_stands_beside_layers_that_have_no_noise():
    values = {**VALUES, "participation_ratio_cv": (0.0, 0.0, 7.0, False)}
    region = described(values)
    files = {f"{model}/all": layers(model, names, VALUES, 48) for model, names in DEPTHS.items()}
    svg = drawn(replace(region, layers_geometry=files))
    assert "region, cross-validated" in panel(svg, "participation_ratio")
    assert "region, cross-validated" not in panel(svg, "two_nn")
    assert "geometry-participation_ratio_cv-figure" not in svg
    assert "cross-validated over repeats" in svg
    assert "cross-validated over repeats" not in drawn(described())


def test_values_of_zero_and_below_keep_a_plain_axis():
    svg = drawn(described({"label_alignment": (-0.5, 40.0, 0.3, True)}))
    places = np.array(heights(svg, "label_alignment", "deep"))
    assert np.diff(places) == pytest.approx(np.full(4, np.diff(places)[0]), rel=1e-3)
