"""Stage `index`: the page over all regions."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from regions import Plan, write_region

from isocortex.inference.rows import INFERENCE_COLUMNS, to_frame, to_rows
from isocortex.stages import index
from isocortex.storage.tables import read_parquet, write_parquet


def spec_of(folder: Path, names: list[str]) -> dict:
    specs = {name: write_region(Plan(region=name, label=f"Region {name}"), folder) for name in names}
    rows = [row for spec in specs.values() for row in to_rows(read_parquet(spec["inputs"]["scores"])) if row["is_chosen"]]
    frame = to_frame([{**row, "q_study": 0.0345} for row in rows], INFERENCE_COLUMNS)
    assert isinstance(frame, pd.DataFrame)
    write_parquet(frame, folder / "inference.parquet")
    inputs = {kind: {name: spec["inputs"][kind] for name, spec in specs.items()} for kind in ("scores", "comparisons")}
    return {
        "stage": "index",
        "inputs": {
            "inference": str(folder / "inference.parquet"),
            **inputs,
            "reports": {name: spec["output"] for name, spec in specs.items()},
        },
        "output": str(folder / "index.html"),
        "options": {
            "study": "s",
            "title": "Titled",
            "primary": "ridge",
            "regions": {name: f"Region {name}" for name in names},
            "region_order": names,
            "models": {},
        },
    }


def test_the_index_is_made_from_files_and_repeats(tmp_path):
    spec = spec_of(tmp_path, ["V1", "IT"])
    index.run(spec, "cpu")
    page = Path(spec["output"]).read_text()
    for part in ('href="V1/report.html"', 'href="IT/report.html"', "Titled", "q = 0.035", "Region IT"):
        assert part in page
    index.run(spec, "cpu")
    assert Path(spec["output"]).read_text() == page
