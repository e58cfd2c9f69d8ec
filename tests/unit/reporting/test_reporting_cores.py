"""The section on cores: sentences, tables and figures of numbers that are planted; no ranking; escaped labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from core_regions import cored
from regions import Plan, make_region, verdict_of

from isocortex.reporting.cores import beside_cores, core_differences, core_entries, core_rows, core_tables, sentences
from isocortex.reporting.figures.cores import curves_figure, filters_figure, scores_figure
from isocortex.reporting.pages import region_page
from isocortex.reporting.provenance import settings
from isocortex.reporting.recorded import missing

HOSTILE = "<script>alert(1)</script>"


def texts(table: Any) -> list[list[str]]:
    return [[part.text for part in line.cells] for line in table.lines]


def test_cores_are_no_models_that_are_ranked() -> None:
    region, plain = (
        cored(methods=("ridge", "factorized", "rsa")),
        make_region(Plan(subjects=("S1", "S2"), methods=("ridge", "factorized", "rsa"))),
    )
    assert region.methods == plain.methods
    assert region.family("factorized") == "readout"
    assert region.rows("factorized") == plain.rows("factorized")
    assert region.row("factorized", "mine") is None
    assert [model for model, _ in region.datasets("factorized")] == [model for model, _ in plain.datasets("factorized")]
    assert [row["model"] for row in core_rows(region)] == ["mine", "second"]  # in the study's order
    assert cored().methods == ["ridge", "rsa"]  # a core's readout is no method of models, even where it comes first
    assert core_entries(make_region()) == []
    assert core_tables(make_region()) == []
    assert core_differences(make_region()) is None


def test_one_sentence_sets_a_core_beside_the_best_model() -> None:
    region = cored()
    best = beside_cores(region)[0]
    said = sentences(region)
    assert said[0] == (
        "The core Three layers explains 70\u202f% of the explainable variance, median r 0.61 [0.510, 0.710], beside "
        f"{best['model']}'s {best['score']:.2f} (Ridge encoding): difference 0.100 [0.040, 0.160], p = 0.002."
    )
    assert said[1] == "One network alone reaches 0.57 on average, 0.56 to 0.58; trained on shuffled responses one reaches 0.02."
    assert said[2].startswith("The core second explains median r 0.52 [0.420, 0.620], beside")
    assert said[2].endswith("; that was tested on other stimuli, so the difference is not tested.")
    assert said[3] == "It is one network; trained on shuffled responses one reaches 0.02."


def test_contaminated_models_are_named_and_not_compared() -> None:
    region = cored(contaminated=("deep",))
    assert beside_cores(region)[-1]["model"] == "deep"
    said = sentences(region)
    assert "beside shallow's" in said[0]
    assert [text.startswith("deep reaches 0.5") for text in said] == [False] * 4 + [True]
    assert said[4].endswith("was trained on data of this study, and is not compared with a core, which saw no test stimulus.")


def test_a_core_without_a_score_says_so() -> None:
    region = cored()
    rows = [{**row, "score": None} if row["family"] == "core" else row for row in region.scores]
    empty = replace(region, scores=rows)
    assert sentences(empty)[0] == "Three layers has no score: its predictions or the responses are constant."
    assert scores_figure(empty) is not None


def test_tables() -> None:
    region = cored()
    whole, single = core_tables(region)
    assert texts(whole)[0][:5] == ["Three layers", "Factorized readout", "0.610", "[0.510, 0.710]", "–"]
    assert len(whole.columns) == len(whole.lines[0].cells)
    assert "mean of 3 networks" in whole.lines[0].cells[1].tip
    assert [row[:2] for row in texts(single)] == [
        ["S1", "Three layers"],
        ["S1", "second"],
        ["S2", "Three layers"],
        ["S2", "second"],
    ]
    assert len(single.columns) == len(single.lines[0].cells)
    found = core_differences(region)
    assert found is not None
    assert texts(found)[0][0] == "Three layers"
    assert texts(found)[0][2:7] == ["Ridge encoding", "0.100", "[0.040, 0.160]", "0.002", "0.004"]
    assert texts(found)[-1][:4] == ["Three layers", "second", "a core", "0.090"]
    assert len(core_tables(cored(subjects=("S1",)))) == 1


def test_figures_hold_every_network_and_the_control() -> None:
    region = cored()
    scores, curves = scores_figure(region), curves_figure(region)
    assert scores is not None
    assert curves is not None
    for text in ("network 1\nr 0.560", "network 3\nr 0.580", "shuffled responses\nr 0.020", "p = 0.001"):
        assert text.replace("\n", "&#10;") in scores.svg or text in scores.svg
    assert "Three layers 0.61" in scores.about
    assert "Yellow" in scores.caption
    assert curves.svg.count("validation") >= 4  # a dot for each network of both
    one, grey = (filters_figure(entry) for entry in core_entries(region))
    assert one is not None
    assert grey is not None
    assert one.svg.count("<image") == grey.svg.count("<image") == 20
    assert "20 filters of the first layer" in one.caption


@pytest.mark.parametrize("label", ["Three layers", HOSTILE])
def test_the_page(label: str, read: Callable[[str], Any]) -> None:
    plan = Plan(subjects=("S1", "S2"))
    region = cored(label)
    page = region_page(region, {method: verdict_of(plan) for method in region.methods})
    parsed = read(page)
    assert "cores" in parsed.ids
    assert len(set(parsed.ids)) == len(parsed.ids)
    assert HOSTILE not in page.replace("&lt;", "")
    text = " ".join(parsed.text)
    assert "Response-optimised core" in text
    assert f"The core {label} explains" in text
    assert "response-optimised cores" in dict(settings(region))
    plain = region_page(make_region(plan), {method: verdict_of(plan) for method in ("ridge", "rsa")})
    assert 'id="cores"' not in plain


def test_rdms_alone_say_that_no_core_was_trained() -> None:
    region = make_region(Plan(level="rdm", methods=("rsa",)))
    asked = replace(region, options={**region.options, "cores": {"mine": {"label": "mine"}}})
    text = "A response-optimised core is trained on responses, so none was trained here."
    assert text in missing(asked)
    assert text not in missing(region)
    assert text not in missing(cored())
