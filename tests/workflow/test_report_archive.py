"""`snakemake --report` packs the pages into one archive."""

from __future__ import annotations

import zipfile
from typing import Any

import pytest


@pytest.mark.xdist_group("finished")
def test_report_holds_the_pages(finished: Any) -> None:
    archive = finished.folder / "report.zip"
    done = finished.snakemake("--report", str(archive))
    assert done.returncode == 0, done.stderr[-2000:]
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
        text = b"".join(opened.read(name) for name in names if name.endswith((".html", ".js")))
    assert any(name.endswith("report.html") for name in names)
    for page in ("report.html", "index.html"):
        assert page.encode() in text
    for region in ("A", "B"):
        assert f'"region": "{region}"'.encode() in text or f'"region":"{region}"'.encode() in text
