"""The study's page with identification, in headless Chromium."""

from __future__ import annotations

import pytest
from chromium import check_page
from identified_regions import identification
from regions import Plan, make_region, verdict_of

from isocortex.reporting.pages import index_page
from isocortex.reporting.region_identification import RegionIdentification
from isocortex.reporting.study import Study

HOSTILE = "<script>console.error('run')</script>"


@pytest.mark.parametrize("width", [1200, 500])
def test_identification_opens_cleanly(tmp_path, width):
    names = ("V1", "V4", "IT")
    found = RegionIdentification(identification(names, noise=(0.0, 0.3, 0.6, 0.9, 1.2)), {"IT": HOSTILE, "V4": "long " * 40})
    regions = {name: make_region(Plan(region=name, label=name)) for name in names}
    verdicts = {name: verdict_of(Plan(region=name)) for name in names}
    pages = {name: f"{name}/report.html" for name in names}
    path = tmp_path / "index.html"
    path.write_text(index_page(Study("A study", "ridge", regions, verdicts, pages, identification=found)), encoding="utf-8")
    seen = check_page(path, width)
    keys = {"region-identification-curves", "region-identification-matrix", "region-identification-map"}
    assert keys <= {figure["id"] for figure in seen.figures}
    assert "table-region-identification" in {table["id"] for table in seen.tables}
