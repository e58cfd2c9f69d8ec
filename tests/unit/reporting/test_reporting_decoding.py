"""The section on decoding: sources and layers, what is not tested, and which labels are confused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray
from regions import Plan, make_region, verdict_of

from isocortex.inference.rows import new_row
from isocortex.reporting.decoding import decoded_rows, decoding_tables
from isocortex.reporting.drawing import plain_style
from isocortex.reporting.figures.decoding import confusion_figures
from isocortex.reporting.pages import region_page
from isocortex.reporting.region import Region

HOSTILE = "<script>alert(1)</script>"


def cell(classes: list[str], counts: np.ndarray, subjects: tuple[str, ...]) -> xarray.Dataset:
    tables = np.stack([counts] * len(subjects) + [len(subjects) * counts]).astype(float)
    return xarray.Dataset(
        {"confusion": (("method", "subject", "truth", "predicted"), tables[None])},
        coords={"method": ["category"], "subject": [*subjects, "all"]},
        attrs={"classes": json.dumps({"category": classes})},
    )


def decoded(subjects: tuple[str, ...] = ("S1", "S2"), classes: tuple[str, ...] = ("face", "house", "tool")) -> Region:
    """A region of the plan with one decoder; model `deep` chose a layer, `shallow` saw the data."""
    plan = Plan(subjects=subjects, contaminated=("shallow",))
    region = make_region(plan)
    common = {"family": "decoding", "method": "category", "target": "label", "n_stimuli": 48, "is_chosen": True, "region": "IT"}
    rows = []
    for model, score, layer in (
        ("", 0.71, ""),
        ("shallow", 0.9, "layer1"),
        ("deep", 0.55, "layer2"),
        ("pixels", 0.6, "layer1"),
    ):
        tested = {} if model == "shallow" else {"p": 0.01, "q_region": 0.02}
        for subject in (*subjects, "all"):
            values = {
                "score": score,
                "ci_low": score - 0.1,
                "ci_high": score + 0.1,
                "null_mean": 0.334,
                "null_extreme95": 0.452,
            }
            votes = json.dumps({layer: 0.8, "layer4": 0.2}) if model == "deep" else ""
            chosen = {"model": model, "layer": layer, "layer_votes": votes, "contaminated": model == "shallow"}
            rows.append(new_row(**common, **values, **tested, **chosen, subject=subject))
    counts = 10 * np.eye(len(classes)) + 3
    cells = {"decoding": cell(list(classes), counts, subjects)}
    cells |= {f"{model}/decoding": cell(list(classes), counts, subjects) for model in ("deep", "shallow", "pixels")}
    options: dict[str, Any] = {**region.options}
    options["methods"] = {
        **options["methods"],
        "decode": {"category": {"target": "label", "classifier": "lda", "folds": "stimulus"}},
    }
    return replace(region, options=options, scores=[*region.scores, *rows], cells={**region.cells, **cells})


def test_decoders_are_no_methods_that_rank_models() -> None:
    region = decoded()
    assert region.methods == ["ridge", "rsa"]
    assert region.leading == "ridge"


def test_the_region_comes_first_and_what_saw_the_data_last() -> None:
    rows = [row for row in decoded_rows(decoded()) if row["subject"] == "all"]
    assert [row["model"] for row in rows] == ["", "pixels", "deep", "shallow"]
    table = decoding_tables(decoded())[0]
    text = [[part.text for part in line.cells] for line in table.lines]
    assert text[0][:6] == ["category", "Inferior temporal cortex", "–", "label", "lda", "0.710"]
    assert text[0][6:] == ["[0.610, 0.810]", "0.334, 0.452", "0.010", "0.020", "3", "48"]
    assert table.caption.endswith("Held out together for category: single stimuli, of responses averaged by stimulus.")
    assert text[2][1:3] == ["deep", "layer2 (80\u202f%)"]
    assert [line.kind for line in table.lines] == ["", "", "", "aside"]
    assert text[3][8:10] == ["–", "–"]
    assert table.lines[3].cells[1].note == "trained on data of this study: shown, not tested"
    assert len(table.columns) == len(table.lines[0].cells)


@pytest.mark.parametrize(
    ("folds", "said"),
    [
        ("blocked", "category: blocks of time, of single presentations."),
        ("random", "score too high where neighbouring trials share drift or label), of single presentations."),
    ],
)
def test_the_table_says_what_is_held_out_together(folds: str, said: str) -> None:
    region = decoded()
    region.options["methods"]["decode"]["category"] |= {"folds": folds, "unit": "presentation"}
    assert decoding_tables(region)[0].caption.endswith(said)


def test_subjects_have_a_table_of_their_own_where_there_are_several() -> None:
    tables = decoding_tables(decoded())
    assert [table.key for table in tables] == ["table-decoding", "table-decoding-subjects"]
    assert [line.cells[1].text for line in tables[1].lines[:2]] == ["S1", "S2"]
    assert len(decoding_tables(decoded(subjects=("S1",)))) == 1
    assert decoding_tables(make_region()) == []


def test_the_page_shows_the_section_once(read: Callable[[str], Any]) -> None:
    region = decoded(classes=("face", HOSTILE, "tool"))
    html = region_page(region, dict.fromkeys(region.methods, verdict_of(Plan())))
    page = read(html)
    assert {"decoding", "table-decoding", "table-decoding-subjects", "confusion-category"} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert page.tags.count("script") == 1
    assert "method-category" not in page.ids
    plain = make_region()
    assert 'id="decoding"' not in region_page(plain, dict.fromkeys(plain.methods, verdict_of(Plan())))


def test_confusions_are_shares_of_each_true_label() -> None:
    with plain_style():
        [drawing] = confusion_figures(decoded())
    assert drawing.key == "confusion-category"
    assert "about the balanced accuracy" in drawing.caption
    assert drawing.about == "Confusion of labels: face 68\u202f%; house 68\u202f%; tool 68\u202f%"
    assert drawing.svg.count("0.68") == 3
    assert drawing.svg.count("0.16") == 6


@pytest.mark.parametrize(("n", "written"), [(16, True), (40, False)])
def test_many_classes_are_drawn_without_numbers(n: int, written: bool) -> None:
    with plain_style():
        [drawing] = confusion_figures(decoded(classes=tuple(f"a label with a long name {k}" for k in range(n))))
    assert ("0.05" in drawing.svg) == written


def test_nothing_is_drawn_where_nothing_was_decoded() -> None:
    region = decoded()
    empty = cell(["a", "b"], np.zeros((2, 2)), ("S1",))
    assert confusion_figures(replace(region, cells={"decoding": empty})) == []
    assert confusion_figures(replace(region, cells={})) == []
