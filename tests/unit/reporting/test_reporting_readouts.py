"""The section on readouts: who stands beside whom, what is said of the warp, and where neuroids look."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from readout_regions import LOWER, METHODS, SCORES, read_out
from regions import Plan, make_region, verdict_of

from isocortex.reporting.figures.fields import fields_figure, panels
from isocortex.reporting.figures.readouts import readouts_figure
from isocortex.reporting.pages import region_page
from isocortex.reporting.readout_differences import differences, differences_table, sentences
from isocortex.reporting.readouts import beside, gains, gains_table, readout_tables
from isocortex.reporting.vocabulary import METHODS as LABELS
from isocortex.study.options import READOUTS
from isocortex.study.readouts import TWINS

HOSTILE = "<script>alert(1)</script> \"'& $\\frac{ 模型 \x07"


def page(region: Any) -> str:
    return region_page(region, dict.fromkeys(region.methods, verdict_of(Plan())))


def texts(table: Any) -> list[list[str]]:
    return [[part.text for part in line.cells] for line in table.lines]


def test_every_readout_and_twin_has_a_name() -> None:
    assert {*READOUTS, *TWINS} <= set(LABELS)


def test_models_stand_in_the_order_of_their_best_readout_and_what_saw_the_data_comes_last() -> None:
    found = beside(read_out())
    assert list(found) == ["deep", "shallow", "small", "seen"]
    assert [row["method"] for row in found["deep"]] == ["ridge", *METHODS]
    assert [row["method"] for row in found["seen"]] == list(METHODS)  # no encoder was run of it
    assert [(row["family"], row["method"]) for row in found["small"]] == [("core", "factorized")]
    assert beside(make_region()) == {}


def test_twins_are_no_methods_that_rank_models() -> None:
    region = read_out()
    assert set(region.methods) == {"ridge", "rsa", *METHODS} - set(TWINS)
    html = page(region)
    assert 'id="method-semantic"' in html
    assert 'id="method-semantic_identity"' not in html


def test_the_table_holds_every_row() -> None:
    region = read_out()
    whole, single = readout_tables(region)
    found = texts(whole)
    assert len(found) == 8 + 8 + 1 + 7
    assert found[0][:2] == ["deep", "Ridge encoding"]
    assert found[1][:5] == ["deep", "Linear readout", "layer3", "0.300", "[0.250, 0.350]"]
    assert found[16][:2] == ["small core", "Factorized readout"]
    kinds = {(row[0], row[1]): line.kind for row, line in zip(found, whole.lines, strict=True)}
    assert kinds["deep", "Semantic spatial transformer"] == kinds["small core", "Factorized readout"] == ""
    assert {kinds["deep", LABELS[twin]] for twin in TWINS} == {"aside"}
    assert {kind for (model, _), kind in kinds.items() if model == "seen"} == {"aside"}
    assert [row[0] for row in texts(single)] == ["S1"] * 24 + ["S2"] * 24
    assert {len(line.cells) for table in (whole, single) for line in table.lines} == {len(whole.columns), len(single.columns)}
    assert readout_tables(make_region()) == []
    assert len(readout_tables(read_out(subjects=("S1",)))) == 1


def test_the_gain_of_the_warp_and_what_is_said_of_it() -> None:
    region = read_out()
    assert [(gain.model, gain.tested) for gain in gains(region)] == [("deep", True), ("shallow", True), ("seen", False)]
    table = gains_table(region)
    assert table is not None
    assert texts(table)[0] == ["deep", "0.052", "[0.031, 0.073]", "<\u202f0.001", "0.005", "199"]
    assert texts(table)[2][3:5] == ["–", "–"]
    said = " ".join(sentences(region))
    assert (
        "deep: the warp adds 0.052 in r, median over neuroids (95\u202f% interval [0.031, 0.073], p < 0.001); with the "
        "localiser's images shuffled at the test, the same network does worse (p = 0.005, 199 orders)." in said
    )
    assert "seen:" not in said


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"median": -0.05, "ci_low": -0.08, "ci_high": -0.02, "p": 0.001}, "the warp takes 0.050 in r, median over neuroids"),
        (
            {"median": 0.01, "ci_low": -0.02, "ci_high": 0.04, "p": 0.5},
            "the warp adds nothing that can be told from zero: 0.010",
        ),
    ],
)
def test_a_warp_that_adds_nothing_is_said_to(values: dict[str, float], said: str) -> None:
    region = read_out()
    cell = region.cells["deep/readout"]
    changed = cell.assign({f"warp_{key}": ("subject", np.full(3, value)) for key, value in values.items()})
    text = " ".join(sentences(replace(region, cells={**region.cells, "deep/readout": changed})))
    assert said in text
    low, high = (values["ci_low"], values["ci_high"]) if values["p"] > 0.05 else (0.02, 0.08)
    assert f"[{low:.3f}, {high:.3f}]".replace("-", "−") in text


def test_readouts_of_a_model_are_compared_in_pairs() -> None:
    region = read_out()
    found = {(one.model, one.first, one.second): one for one in differences(region)}
    # Five readouts without their twins, of the two models that saw no data: ten pairs each.
    assert {model for model, _, _ in found} == {"deep", "shallow"}
    assert len(found) == 20
    one = found["deep", "linear", "semantic"]
    assert one.difference == pytest.approx(SCORES["linear"] - SCORES["semantic"])
    assert one.low < one.difference < one.high < 0
    assert one.q >= one.p
    assert found["deep", "factorized", "gaussian"].q > 0.05
    table = differences_table(region)
    assert table is not None
    assert texts(table)[3][:4] == ["deep", "Linear readout", "Semantic spatial transformer", "−0.160"]
    said = " ".join(sentences(region))
    assert (
        "deep: Semantic spatial transformer is highest, 0.460; lower beyond the error of the difference: Linear readout" in said
    )


def test_an_encoder_scored_on_the_same_stimuli_is_compared_too() -> None:
    region = read_out(subjects=("S1", "S2"), plan=Plan(subjects=("S1", "S2")))
    encoder = region.cells["deep/encoding"]
    rng = np.random.default_rng(0)
    drawn = encoder.assign(draws=(("method", "subject", "draw"), 0.5 + 0.03 * rng.normal(size=(1, 3, 200))))
    found = differences(replace(region, cells={**region.cells, "deep/encoding": drawn}))
    assert ("deep", "ridge", "linear") in {(one.model, one.first, one.second) for one in found}
    # On other stimuli nothing is paired.
    scores = [{**row, "n_stimuli": 24} if row["method"] == "ridge" else row for row in region.scores]
    apart = differences(replace(region, cells={**region.cells, "deep/encoding": drawn}, scores=scores))
    assert "ridge" not in {one.first for one in apart}


def test_the_figure_shows_what_the_table_says() -> None:
    region = read_out()
    drawing = readouts_figure(region)
    assert drawing is not None
    for rows in beside(region).values():
        for row in rows:
            assert f"{LABELS[row['method']]} {row['score']:.3f}" in drawing.about
    svg = str(drawing.svg)
    assert svg.count("trained on data of this study") == len(METHODS)
    for text in ("Hollow", "Yellow", "Grey", "Orange"):
        assert text in drawing.caption
    assert "Orange" not in readouts_figure(without_seen(region)).caption
    assert readouts_figure(make_region()) is None


def without_seen(region: Any) -> Any:
    cells = {name: cell for name, cell in region.cells.items() if not name.startswith("seen")}
    return replace(region, scores=[row for row in region.scores if row["model"] != "seen"], cells=cells)


@pytest.mark.parametrize(("degrees", "units"), [(8.0, "degrees"), (None, "image widths")])
def test_fields_are_drawn_on_the_image(degrees: float | None, units: str) -> None:
    region = read_out(degrees=degrees)
    found = panels(region)
    assert [(row[0].model, [one.method for one in row]) for row in found] == [
        (model, ["linear", "factorized", "gaussian", "fwrf", "semantic"]) for model in LOWER
    ]
    assert (found[0][0].units, found[0][0].widths) == (units, (degrees or 1.0,))
    cell = region.cells["deep/readout"].sel({"method": "linear"})
    np.testing.assert_allclose(found[0][0].mask, cell["rf"].values.mean(0), rtol=1e-6)
    drawing = fields_figure(region)
    assert drawing is not None
    middle = float(np.median(cell["field_x"]))
    assert f"deep, Linear readout: median centre {middle:.2f}" in drawing.about
    assert f"in {units} from the middle of the image" in drawing.caption


def test_fields_that_are_missing_are_not_drawn() -> None:
    region = read_out()
    cells = {name: cell for name, cell in region.cells.items() if name == "deep/readout"}
    bare = cells["deep/readout"].drop_vars(["field_x", "field_y", "field_size"])
    drawing = fields_figure(replace(region, cells={"deep/readout": bare}))
    assert drawing is not None
    assert "circle" not in drawing.caption
    empty = bare.assign(rf=bare["rf"] * np.nan)
    assert fields_figure(replace(region, cells={"deep/readout": empty})) is None


def test_many_models_and_neuroids_stay_small() -> None:
    region = read_out()
    cell = region.cells["deep/readout"]
    big = cell.isel(neuroid=np.arange(400) % cell.sizes["neuroid"])
    cells = {f"m{place}/readout": big.assign_attrs(model=f"m{place}") for place in range(8)}
    drawing = fields_figure(replace(region, cells=cells, scores=[]))
    assert drawing is not None
    assert "Not drawn: m6, m7." in drawing.caption
    assert len(drawing.svg) < 1_500_000


def test_the_page_shows_the_section_once(read: Callable[[str], Any]) -> None:
    html = page(read_out(labels={"deep": HOSTILE, "shallow": "long " * 40}))
    found = read(html)
    wanted = {"readouts", "fields", "table-readouts", "table-readouts-subjects", "table-warp", "table-readout-differences"}
    assert wanted <= set(found.ids)
    assert found.tags.count("script") == 1
    assert re.findall(r'<figure id="(readouts|fields)"', html) == ["readouts", "fields"]
    assert 'id="readouts"' not in page(make_region(Plan(methods=("ridge",), geometry=False)))
