"""Pages in headless Chromium: no console line, no request, every figure drawn, tables that sort, two widths."""

from __future__ import annotations

import pytest
from chromium import check_page, look, screenshot
from joint_regions import joined
from readout_regions import read_out
from regions import Plan, make_region, verdict_of

from isocortex.reporting.pages import index_page, region_page
from isocortex.reporting.study import Study

HOSTILE = "<script>console.error('run')</script><img src=x onerror=console.error(1)>"
PLANS = {
    "full": Plan(methods=("ridge", "factorized", "rsa"), contaminated=("shallow",)),
    "rdm": Plan(methods=("rsa",), level="rdm", geometry=False),
    "missing": Plan(missing=True),
    "hostile": Plan(label=HOSTILE, labels={"deep": HOSTILE, "shallow": "long " * 40}, layers=(HOSTILE, "b")),
}


def write(plan: Plan, folder) -> object:
    region = make_region(plan)
    path = folder / "report.html"
    path.write_text(region_page(region, dict.fromkeys(region.methods, verdict_of(plan))), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", PLANS)
def test_a_region_page_opens_cleanly(name, tmp_path):
    path = write(PLANS[name], tmp_path)
    seen = check_page(path)
    assert len(seen.figures) == path.read_text().count("<figure ")
    assert seen.tables


def test_a_region_page_fits_a_telephone(tmp_path):
    check_page(write(PLANS["hostile"], tmp_path), width=500)


@pytest.mark.parametrize("width", [1200, 500])
def test_joint_encoders_open_cleanly(tmp_path, width):
    region = joined(label=HOSTILE, plan=Plan(subjects=("S1", "S2"), labels={"deep": "long " * 40}))
    path = tmp_path / "report.html"
    path.write_text(region_page(region, dict.fromkeys(region.methods, verdict_of(Plan()))), encoding="utf-8")
    seen = check_page(path, width)
    assert {"joint-both", "joint-depth"} <= {figure["id"] for figure in seen.figures}


@pytest.mark.parametrize("width", [1200, 500])
def test_readouts_open_cleanly(tmp_path, width):
    region = read_out(labels={"deep": HOSTILE, "shallow": "long " * 40})
    path = tmp_path / "report.html"
    path.write_text(region_page(region, dict.fromkeys(region.methods, verdict_of(Plan()))), encoding="utf-8")
    seen = check_page(path, width)
    assert {"readouts", "fields"} <= {figure["id"] for figure in seen.figures}
    assert {"table-readouts", "table-warp"} <= {table["id"] for table in seen.tables}


def test_the_index_opens_cleanly(tmp_path):
    plans = [Plan(region=name, label=name) for name in ("V1", "V4", "IT")]
    regions = {plan.region: make_region(plan) for plan in plans}
    verdicts = {plan.region: verdict_of(plan) for plan in plans}
    pages = {name: f"{name}/report.html" for name in regions}
    path = tmp_path / "index.html"
    path.write_text(index_page(Study("A study", "ridge", regions, verdicts, pages)), encoding="utf-8")
    seen = check_page(path)
    assert [figure["id"] for figure in seen.figures] == ["overview"]
    assert [table["id"] for table in seen.tables] == ["table-regions"]


def test_the_probe_sees_what_is_wrong(tmp_path):
    path = tmp_path / "bad.html"
    path.write_text("<!doctype html><body><script>console.error('broken')</script><figure id='f'></figure></body></html>")
    seen = look(path)
    assert any("broken" in line for line in seen.console)
    with pytest.raises(AssertionError, match="console says"):
        check_page(path)


def test_a_screenshot_is_a_picture(tmp_path):
    picture = screenshot(write(Plan(methods=("rsa",), level="rdm", geometry=False), tmp_path), tmp_path / "page.png", 600, 400)
    assert picture.read_bytes()[:4] == b"\x89PNG"
