"""Stage `across`: the study's tests over regions × models."""

from __future__ import annotations

from typing import Any

import pandas as pd

from isocortex.inference.fdr import q_of_rows
from isocortex.inference.rows import INFERENCE_COLUMNS, to_frame, to_rows
from isocortex.storage.tables import read_parquet, write_parquet


def run(spec: dict[str, Any], device: str = "auto") -> None:  # noqa: ARG001 (every stage has this signature)
    """Write `inference.parquet`: the chosen rows of every region with `q_study`."""
    write_parquet(across([read_parquet(path) for _, path in sorted(spec["inputs"]["scores"].items())]), spec["output"])


def across(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """The chosen rows of all regions' scores, with `q_study` over regions × models per method and subject.

    Contaminated models are shown but not tested.
    """
    rows = [row for table in tables for row in to_rows(table) if row["is_chosen"]]
    frame = to_frame(rows, INFERENCE_COLUMNS)
    frame["q_study"] = q_of_rows(rows, ["family", "method", "subject"])
    return frame
