"""Whole pages: self-contained, escaped, repeatable, and every number the table's own."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from regions import Plan, make_region, verdict_of

from isocortex.reporting import pages
from isocortex.reporting.pages import index_page, region_page
from isocortex.reporting.study import Study

HOSTILE = "<script>alert(1)</script> \"'& </style> ]]> $\\frac{ 模型 \x07 {{ 7*7 }}"
FIGURES = {"ranking-ridge", "layers-ridge", "neuroids-ridge", "ranking-rsa", "layers-rsa", "rdm-rsa", "geometry-spectrum"}


def figures(html: str) -> set[str]:
    return set(re.findall(r'<figure id="([^"]+)"', html))


def test_every_figure_is_there_once(render, read):
    html = render()
    page = read(html)
    assert figures(html) == FIGURES
    assert page.tags.count("svg") == len(FIGURES)
    assert len(page.ids) == len(set(page.ids))


def test_a_readout_shows_where_its_neuroids_look(render):
    assert {"fields", "readouts"} <= figures(render(Plan(methods=("ridge", "factorized"))))


def test_nothing_is_fetched(render, read):
    page = read(render())
    allowed = ("#", "data:", "../index.html")
    assert [address for address in page.addresses if not address[2].startswith(allowed)] == []
    assert not {"iframe", "object", "embed", "form"} & set(page.tags)


def test_labels_are_text_wherever_they_stand(render, read):
    plan = Plan(
        label=HOSTILE, labels={"deep": HOSTILE, "shallow": "<img src=x onerror=alert(1)>"}, layers=("<b>", "a&b", "\x1b$")
    )
    plain, hostile = read(render(Plan(layers=("l1", "l2", "l3")))), read(render(plan))
    assert hostile.tags.count("script") == plain.tags.count("script") == 1
    assert hostile.tags.count("style") == plain.tags.count("style")
    assert "img" not in hostile.tags
    assert hostile.handlers == []
    assert "{{ 7*7 }}" in "".join(hostile.text)


def test_of_many_methods_only_the_first_is_unfolded(render, read, monkeypatch):
    assert "folded" not in render()
    monkeypatch.setattr(pages, "MANY", 1)
    html = render()
    first, second = html.split('id="method-rsa"')
    assert 'class="folded"' not in first
    assert second.count('class="folded"') == 1
    assert figures(html) == FIGURES
    read(html)


def test_the_same_region_gives_the_same_bytes(render):
    assert render() == render()


def test_every_row_of_the_table_is_on_the_page(render):
    plan = Plan()
    html, region = render(plan), make_region(plan)
    table = re.search(r'<table id="table-ranking-ridge".*?</table>', html, flags=re.DOTALL)[0]
    values = {float(value) for value in re.findall(r'data-value="([-\d.e]+)"', table)}
    for row in region.rows("ridge"):
        assert {
            row[key] for key in ("score", "calibrated", "normalized", "ceiling_low", "null_mean", "p", "q_region", "ci_low")
        } <= values


@pytest.mark.parametrize(
    ("plan", "absent", "said"),
    [
        (Plan(methods=("rsa",), level="rdm", geometry=False), "neuroids-ridge", "The recording holds RDMs only"),
        (Plan(truth={"deep": 0.5}), "none", "No two models could be compared"),
        (Plan(layers=("features",)), "layers-ridge", "Every model has one layer"),
        (Plan(subjects=("S1",)), "none", "nothing here generalises to other subjects"),
        (Plan(ceiling=None), "none", "Without repeats the neuroids have no reliability"),
        (Plan(missing=True), "ranking-ridge", "No model can be ranked"),
        (Plan(methods=(), geometry=False), "ranking-ridge", "No model was compared"),
    ],
    ids=["rdm", "one model", "one layer", "one subject", "no repeats", "all missing", "nothing"],
)
def test_pages_degrade_in_words(plan, absent, said, render, read):
    html = render(plan)
    assert absent not in figures(html)
    assert said in " ".join(" ".join(read(html).text).split())


def test_what_was_left_out_is_listed(render, read):
    text = " ".join(read(render()).text)
    assert "2 constant; 1 reliability below 0.1" in text
    assert "absent: no neuroid left" in text


def test_the_command_versions_and_digests_are_there(render, read):
    text = " ".join(read(render()).text)
    for part in (
        "snakemake --configfile config/studies/synthetic.yaml -R report -- region_IT",
        "numpy",
        "torch",
        "0123456789ab",
        "rho_a",
    ):
        assert part in text


def test_many_stimuli_and_neuroids_stay_small():
    plan = Plan(methods=("ridge", "rsa"), stimuli=400, neuroids=4000, geometry=False)
    region = make_region(plan)
    assert len(region_page(region, dict.fromkeys(region.methods, verdict_of(plan)))) < 3_000_000


def study(**changes: object) -> Study:
    plans = [Plan(region="V1", label=HOSTILE), Plan(region="IT", contaminated=("random",)), Plan(region="noise", label="noise")]
    regions = {plan.region: make_region(plan) for plan in plans}
    verdicts = {plan.region: verdict_of(plan, signal=plan.region != "noise", reason="noise") for plan in plans}
    pages = {name: f"{name}/report.html" for name in regions}
    q = {("V1", "ridge", "deep"): 0.0123}
    return replace(Study("A study", "ridge", regions, verdicts, pages, q), **changes)


def test_index_links_every_region_and_says_its_verdict(read):
    html = index_page(study())
    page, text = read(html), " ".join(read(html).text)
    assert {address for _, name, address in page.addresses if name == "href"} >= {
        "V1/report.html",
        "IT/report.html",
        "noise/report.html",
    }
    assert "No reliable signal in noise." in text
    assert "q = 0.012" in text
    assert figures(html) == {"overview"}
    assert page.tags.count("script") == 1


def test_index_fills_no_dot_where_nothing_can_be_claimed():
    found = study()
    assert found.silent == {"noise"}
    assert set(found.leading) == {"V1", "IT"}
    cells = {line.label: line.cells for line in found.heat().lines}
    assert {cell.share for cell in cells["noise"]} == {"no signal"}
    assert [cell.kind for cell in cells["Inferior temporal cortex"]] == ["leading", "", "aside", ""]


def test_an_empty_study_is_a_page(read):
    plan = Plan(methods=(), geometry=False)
    page = index_page(Study("Empty", "ridge", {"IT": make_region(plan)}, {"IT": None}, {"IT": "IT/report.html"}))
    assert "No model was compared" in " ".join(read(page).text)
