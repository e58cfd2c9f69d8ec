"""Stage `report`: from files to a page."""

from __future__ import annotations

from pathlib import Path

import pytest
from regions import Plan, write_region

from isocortex.errors import StoreError
from isocortex.stages import report


def test_the_page_is_made_from_files_and_repeats(tmp_path):
    spec = write_region(Plan(methods=("ridge", "rsa")), tmp_path)
    report.run(spec, "cpu")
    page = Path(spec["output"])
    first = page.read_bytes()
    assert "Inferior temporal cortex" in first.decode()
    assert b'href="../index.html"' in first
    report.run(spec, "cpu")
    assert page.read_bytes() == first
    assert [path.name for path in page.parent.iterdir() if "part" in path.name] == []


def test_a_missing_cell_is_named_and_nothing_is_written(tmp_path):
    spec = write_region(Plan(methods=("ridge",)), tmp_path)
    Path(spec["inputs"]["cells"]["deep/encoding"]).unlink()
    with pytest.raises(StoreError, match=r"deep/encoding\.nc: missing"):
        report.run(spec, "cpu")
    assert not Path(spec["output"]).exists()


def test_a_cell_that_is_no_netcdf_is_refused(tmp_path):
    spec = write_region(Plan(methods=("ridge",)), tmp_path)
    Path(spec["inputs"]["cells"]["deep/encoding"]).write_bytes(b"not netcdf")
    with pytest.raises(StoreError, match=r"deep/encoding\.nc: not readable as NetCDF"):
        report.run(spec, "cpu")
