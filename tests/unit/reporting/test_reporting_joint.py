"""The section on joint encoders: what is shown of them, what of their parts, and what is not ranked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from joint_regions import cell, joined
from regions import Plan, make_region, verdict_of

from isocortex.reporting.figures.joint import joint_figure
from isocortex.reporting.joint import joint_differences, joint_entries, joint_rows, joint_table, share_tables
from isocortex.reporting.pages import region_page
from isocortex.reporting.provenance import settings

HOSTILE = "<script>alert(1)</script>"


def texts(table: Any) -> list[list[str]]:
    return [[part.text for part in line.cells] for line in table.lines]


def entry(region: Any, name: str) -> Any:
    return next(one for one in joint_entries(region) if one.name == name)


def test_joint_encoders_are_no_methods_that_rank_models() -> None:
    region = joined()
    assert region.methods == ["ridge", "rsa"]
    assert region.leading == "ridge"
    assert [row["model"] for row in joint_rows(region)] == ["both", "both", "depth", "depth"]  # what saw the data comes last


def test_the_table_of_joint_encoders() -> None:
    table = joint_table(joined())
    assert table is not None
    found = texts(table)
    assert found[0] == [
        "Both", "Banded ridge", "Deep network, pixels", "0.520", "[0.420, 0.620]", "70\u202f%", "0.001, 0.120", "0.010",
        "0.020", "48\u202f/\u202f40\u202f/\u202f2",
    ]  # fmt: skip
    assert [row[1] for row in found] == ["Banded ridge", "Stacked ridge"] * 2
    # Layers keep their names, even where a model is called alike.
    assert found[2][2] == "pixels, b, c"
    assert found[2][7:9] == ["–", "–"]
    assert [line.kind for line in table.lines] == ["", "", "aside", "aside"]
    assert table.lines[2].cells[0].note == "a member was trained on data of this study: shown, not tested"
    assert len(table.columns) == len(table.lines[0].cells)
    assert joint_table(make_region()) is None
    assert joint_entries(make_region()) == []


def test_pairs_of_joint_encoders_are_shown_by_method() -> None:
    [(method, table)] = joint_differences(joined())
    assert (method, table.key) == ("Banded ridge", "table-differences-banded")
    assert texts(table)[0][:2] == ["Both", "third"]


def test_the_division_of_the_variance() -> None:
    region = joined()
    tables = share_tables(region, entry(region, "both"))
    assert [table.key for table in tables] == ["table-joint-both", "table-joint-both-subjects"]
    found = texts(tables[0])
    assert [row[:2] for row in found[:4]] == [
        ["Banded ridge", "all together"],
        ["Banded ridge", "only Deep network"],
        ["Banded ridge", "only pixels"],
        ["Banded ridge", "shared"],
    ]
    assert found[0][2:] == ["0.320", "[0.280, 0.360]", "0.640", "[0.560, 0.720]", "–", "–", "–"]
    assert found[1][6:] == ["0.170", "0.120", "0.50"]
    assert found[2][2:4] == ["−0.020", "[−0.060, 0.020]"]
    assert found[3][2] == "0.220"
    of_subjects = texts(tables[1])
    assert [row[0] for row in of_subjects] == ["S1"] * 8 + ["S2"] * 8
    assert of_subjects[8][5:7] == ["–", "–"]  # S2 has no ceiling
    for table in tables:
        assert {len(line.cells) for line in table.lines} == {len(table.columns)}
    depth = share_tables(region, entry(region, "depth"))[0]
    assert [row[1] for row in texts(depth)[:5]] == ["all together", "only pixels", "only b", "only c", "shared by two or more"]


def test_one_subject_and_one_method_need_no_columns() -> None:
    region = joined(subjects=("S1",), methods=("banded",))
    [table] = share_tables(region, entry(region, "both"))
    assert [column.label for column in table.columns][:2] == ["part", "R²"]
    drawing = joint_figure(region, entry(region, "both"))
    assert drawing is not None
    assert "Grey" not in drawing.caption
    assert "Stacked" not in drawing.about


def test_the_figure_says_what_is_negative_and_why_nothing_is_clipped() -> None:
    region = joined()
    drawing = joint_figure(region, entry(region, "both"))
    assert drawing is not None
    assert drawing.key == "joint-both"
    for text in ("Nothing is clipped", "negative where a space only adds noise", "95\u202f% interval", "Grey: single subjects"):
        assert text in drawing.caption
    assert "Banded ridge: all together 0.320, only Deep network 0.270, only pixels −0.020, shared 0.220" in drawing.about
    assert "subject S2" in drawing.svg
    for name in ("--ink", "--accent", "--second"):
        assert f"var({name}," in drawing.svg


def test_nothing_is_drawn_of_nothing() -> None:
    region = joined()
    empty = cell(["a", "b"], ["a/1", "b/1"], ("S1",))
    empty = empty.assign({name: empty[name] * np.nan for name in empty.data_vars})
    bare = replace(region, cells={"both/joint": empty})
    assert joint_figure(bare, entry(bare, "both")) is None
    assert texts(share_tables(bare, entry(bare, "both"))[0])[0][2] == "–"
    # Another stage's cell under the name of a joint encoder is none of its own.
    assert joint_entries(replace(region, cells={"both/joint": empty.drop_vars("unique")})) == []


@pytest.mark.parametrize("label", ["Both", HOSTILE])
def test_the_page_shows_the_section_once(read: Callable[[str], Any], label: str) -> None:
    region = joined(label=label)
    html = region_page(region, dict.fromkeys(region.methods, verdict_of(Plan())))
    page = read(html)
    wanted = {"joint", "table-joint", "joint-both", "joint-depth", "table-joint-both", "table-joint-both-subjects"}
    assert wanted <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert page.tags.count("script") == 1
    assert "method-banded" not in page.ids
    assert "Several spaces together" in "".join(page.text)
    assert "joint encoders" in dict(settings(region))
    plain = make_region()
    assert 'id="joint"' not in region_page(plain, dict.fromkeys(plain.methods, verdict_of(Plan())))
