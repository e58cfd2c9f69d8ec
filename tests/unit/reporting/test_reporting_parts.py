"""Numbers as text, RDMs as ranks, figures as SVG."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from regions import Plan, make_region, verdict_of
from scipy.spatial.distance import squareform

from isocortex.errors import StoreError
from isocortex.reporting import provenance
from isocortex.reporting.drawing import INK, axes, canvas, finish, plain_style
from isocortex.reporting.figures.layers import profiles
from isocortex.reporting.figures.rdms import blocks, by_category, ranks
from isocortex.reporting.formatting import interval, listing, number, p_phrase, p_value, percent, plural, shorten, span
from isocortex.reporting.tables import layer_cell, ranking_table


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (number(0.12345), "0.123"),
        (number(-0.5, 1), "\u22120.5"),
        (number(-0.0001), "0.000"),
        (number(float("nan")), "–"),
        (number(pd.NA), "–"),
        (number(float("inf")), "∞"),
        (interval(-0.1, 0.2, 1), "[\u22120.1, 0.2]"),
        (interval(None, None), "–"),
        (span(0.5, None), "0.500"),
        (span(None, float("nan")), "–"),
        (percent(1.04), "104\u202f%"),
        (p_value(0.00001), "<\u202f0.001"),
        (p_phrase("q", 0.0005), "q < 0.001"),
        (p_phrase("p", 0.05), "p = 0.050"),
        (plural(1, "stimulus"), "1 stimulus"),
        (plural(1200, "stimulus"), "1\u202f200 stimuli"),
        (listing(["a", "b", "c"]), "a, b and c"),
        (listing([]), ""),
        (shorten("a\nb\x00c"), "a b c"),
    ],
)
def test_text(text, expected):
    assert text == expected


def test_long_labels_are_cut_in_the_middle():
    assert shorten("x" * 20 + "y" * 20, 11) == "xxxxx…yyyyy"


def test_ranks_are_monotone_and_leave_missing_pairs_out():
    pairs = np.array([3.0, -1.0, 2.0, np.nan, 5.0, 4.0])
    square = ranks(pairs)
    assert np.isnan(np.diag(square)).all()
    upper = square[np.triu_indices(4, 1)]
    known = np.isfinite(pairs)
    assert (np.isfinite(upper) == known).all()
    assert (np.argsort(upper[known]) == np.argsort(pairs[known])).all()
    assert (upper[known].min(), upper[known].max()) == (0, 1)


def test_blocks_average_what_is_known():
    rng = np.random.default_rng(0)
    square = squareform(rng.random(15))
    np.fill_diagonal(square, np.nan)
    small = blocks(square, 3)
    expected = np.array([[np.nanmean(square[2 * i : 2 * i + 2, 2 * j : 2 * j + 2]) for j in range(3)] for i in range(3)])
    np.testing.assert_allclose(small, expected)
    assert blocks(square, 6) is square


def test_stimuli_are_sorted_by_the_first_label_with_few_values():
    table = pd.DataFrame({"stimulus_id": list("abcdef"), "caption": "x", "unique": range(6), "kind": list("pqpqpq")})
    order, groups, column = by_category(table, list("fedcba"))
    assert column == "kind"
    assert [list("qpqpqp")[place] for place in order] == list("qqqppp")
    assert groups == [("q", 0, 3), ("p", 3, 6)]
    assert by_category(None, ["a", "b"])[2] == ""
    assert by_category(table, ["a", "unknown"])[2] == ""


def test_profiles_agree_between_cell_and_table():
    region = make_region(Plan(methods=("ridge",)))
    layers, curves = profiles(region, "ridge", "deep")
    assert layers == ["layer1", "layer2", "layer3", "layer4"]
    assert set(curves) == {"S1", "S2", "S3", "all"}
    region = make_region(Plan(methods=("ridge",)))
    region.cells.clear()
    layers, curves = profiles(region, "ridge", "deep")
    assert curves["S2"]["layer3"] == region.row("ridge", "deep", "S2")["score"]


def test_figures_follow_the_page_and_do_not_share_ids():
    def draw(key: str) -> str:
        with plain_style():
            sheet = canvas(200, 100)
            axes(sheet, 10, 10, 100, 50).plot([0, 1], [0, 1], color=INK, gid=sheet.tip("<tip> & more"))
            return str(finish(sheet, key, "caption", 'about "this"').svg)

    first, second = draw("one"), draw("two")
    assert draw("one") == first
    assert f"var(--ink, {INK})" in first
    assert 'data-tip="&lt;tip&gt; &amp; more"' in first
    assert "<metadata" not in first
    assert "<style" not in first
    ids = [{part.split('"')[0] for part in text.split(' id="')[1:]} for text in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_votes_are_said_where_they_were_divided():
    def row(votes: object) -> dict:
        return {"layer": "a", "layer_votes": votes}

    assert layer_cell(row(json.dumps({"a": 3, "b": 1}))).text == "a (75\u202f%)"
    assert layer_cell(row(json.dumps({"a": 3}))).text == "a"
    assert layer_cell(row("")).text == "a"
    assert layer_cell(row("not json")).text == "a"


def test_ranking_table_puts_contaminated_models_last_without_a_rank():
    plan = Plan(contaminated=("deep",))
    table = ranking_table(make_region(plan), "ridge", verdict_of(plan))
    assert [line.cells[0].text for line in table.lines] == ["1", "2", "3", "–"]
    assert table.lines[-1].cells[1].text == "deep"
    assert table.lines[-1].kind == "aside"


def test_versions_come_from_what_is_installed():
    found = dict(provenance.versions())
    assert found["numpy"] == np.__version__
    assert list(found)[:2] == ["python", "isocortex"]


def test_a_missing_input_says_how_to_make_it(tmp_path):
    present = tmp_path / "a.txt"
    present.write_text("a")
    assert provenance.digests({"a": str(present), "more": {}})[0][1] == "ca978112ca1b"
    with pytest.raises(StoreError, match=r"gone\.nc: missing; make it with: snakemake -- .*gone\.nc"):
        provenance.digests({"cells": {"m/rdm": str(tmp_path / "gone.nc")}})


def test_nearly_equal_pictures_are_counted():
    from dataclasses import replace

    region = make_region()
    assert "nearly equal pictures" not in dict(provenance.settings(region))
    table = pd.DataFrame({"stimulus_id": ["a", "b", "c"], "near": ["a", "a", ""]})
    shown = replace(region, stimuli={"photos": table, "other": table.assign(near="")})
    said = dict(provenance.settings(shown))["nearly equal pictures"]
    assert said == "2 of 3 stimuli of photos, which share a fold with the other"
    apart = replace(shown, options={**region.options, "splits": {"near_duplicates": False}})
    assert dict(provenance.settings(apart))["nearly equal pictures"].endswith("which are divided like others")
