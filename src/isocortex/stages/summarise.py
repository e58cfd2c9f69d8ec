"""Stage `summarise`: the tables of a region from all its cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray

from isocortex.inference.agreement import agreement
from isocortex.inference.comparisons import Candidate, compare_cores, compare_models
from isocortex.inference.fdr import q_of_rows
from isocortex.inference.pooling import Draws
from isocortex.inference.rows import (
    AGREEMENT_COLUMNS,
    COMPARISON_COLUMNS,
    NOT_COMPARED,
    OWN_COMPARISONS,
    rows_from_json,
    to_frame,
)
from isocortex.storage.tables import open_tree, read_netcdf, write_parquet
from isocortex.study.readouts import TWINS


def run(spec: dict[str, Any], device: str = "auto") -> None:  # noqa: ARG001 (every stage has this signature)
    """Write `scores.parquet` and `comparisons.parquet` of one region, and `agreement.parquet` where it is asked for."""
    cells = [read_netcdf(path) for _, path in sorted(spec["inputs"]["cells"].items())]
    times = _times(spec["inputs"]["brain"]) if spec["inputs"].get("brain") else {}
    scores = with_q_region([{**row, **times} for cell in cells for row in rows_from_json(cell.attrs["rows"])])
    options = spec["options"]
    inference = float(options.get("confidence", 0.95)), options.get("generalise", "auto"), options.get("primary", "")
    comparisons = compare_cells(cells, options["region"], *inference)
    write_parquet(scores, spec["output"]["scores"])
    write_parquet(comparisons, spec["output"]["comparisons"])
    if "agreement" in spec["output"]:
        rows = [row for cell in cells for row in rows_from_json(cell.attrs["rows"])]
        table = agreement(rows, _drawn_means(cells), options["region"])
        write_parquet(to_frame(table, AGREEMENT_COLUMNS), spec["output"]["agreement"])


def _drawn_means(cells: list[xarray.Dataset]) -> dict[str, dict[str, np.ndarray]]:
    """Method → model → draws of its score, mean over subjects; a draw has the same place in all, and may be NaN."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for cell in cells:
        for row in rows_from_json(cell.attrs["rows"]):
            if row["is_chosen"] and row["subject"] == "all" and "draws" in cell and row["family"] not in NOT_COMPARED:
                drawn = cell["draws"].sel({"method": row["method"], "subject": "all"})
                sign = -1.0 if row["higher_is_closer"] is False else 1.0
                found.setdefault(row["method"], {})[row["model"]] = sign * _unpadded(drawn.values.astype(np.float64))
    return found


def _unpadded(draws: np.ndarray) -> np.ndarray:
    """Draws (D,) without the NaN behind the last one, which only fill a file's longest row."""
    known = np.flatnonzero(np.isfinite(draws))
    return draws[: known[-1] + 1] if len(known) else draws[:0]


def _times(brain: str) -> dict[str, float]:
    """The window that a region's responses are of, as columns; {} where they have no time, or subjects differ."""
    with open_tree(brain) as tree:
        found = {tuple(node.attrs.get(name) for name in ("time_start", "time_end")) for node in tree.children.values()}
    start, end = found.pop() if len(found) == 1 else (None, None)
    return {} if start is None or end is None else {"time_start": float(start), "time_end": float(end)}


def with_q_region(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The table of scores with `q_region`: per method and subject over models (the method decides the family of tests)."""
    frame = to_frame(rows)
    frame["q_region"] = q_of_rows(rows, ["region", "family", "method", "subject"])
    return frame


def compare_cells(
    cells: list[xarray.Dataset], region: str, confidence: float, generalise: str = "auto", primary: str = ""
) -> pd.DataFrame:
    """The table of all pairs of models per method, and of cores with the models' primary encoder and readouts; contaminated
    models are left out."""
    by_method: dict[tuple[str, str], list[Candidate]] = {}
    for cell in cells:
        rows = [row for row in rows_from_json(cell.attrs["rows"]) if row["is_chosen"] and row["family"] not in NOT_COMPARED]
        for family, method in dict.fromkeys((row["family"], row["method"]) for row in rows):
            candidate = _candidate(cell, method, [row for row in rows if row["method"] == method])
            if candidate is not None:
                by_method.setdefault((family, method), []).append(candidate)
    table = [
        row
        for (family, method), found in sorted(by_method.items(), key=lambda item: item[0][1])
        if family not in OWN_COMPARISONS
        for row in compare_models(found, region, method, confidence, generalise)
    ]
    cores = [one for (family, _), found in by_method.items() if family in OWN_COMPARISONS for one in found]
    table += compare_cores(cores, _beside_cores(by_method, primary), region, confidence, generalise) if cores else []
    return to_frame(table, COMPARISON_COLUMNS)


def _beside_cores(by_method: Mapping[tuple[str, str], list[Candidate]], primary: str) -> dict[str, list[Candidate]]:
    """What cores are compared with: the primary encoder, or the first where that is none, and readouts but for twins."""
    encoders = sorted(method for family, method in by_method if family == "encoding")
    chosen = [primary] if primary in encoders else encoders[:1]
    chosen += sorted(method for family, method in by_method if family == "readout" and method not in TWINS)
    found = {method: models for (family, method), models in by_method.items() if family in ("encoding", "readout")}
    return {method: found[method] for method in chosen}


def _candidate(cell: xarray.Dataset, method: str, rows: list[dict[str, Any]]) -> Candidate | None:
    """A model's draws, from a cell; None for a contaminated model or one without a score."""
    own = {row["subject"]: row for row in rows if row["subject"] != "all" and row["score"] is not None}
    summary = next((row for row in rows if row["subject"] == "all"), None)
    if summary is None or summary["contaminated"] or summary["score"] is None or not own:
        return None
    subjects = tuple(name for name in (str(s) for s in cell["subject"].values) if name in own)
    return Candidate(
        model=summary["model"],
        subjects=subjects,
        scores=np.array([own[name]["score"] for name in subjects]),
        draws=_draws(cell, method, list(subjects)),
        n_stimuli=int(summary["n_stimuli"] or 0),
    )


def _draws(cell: xarray.Dataset, method: str, subjects: list[str]) -> Draws:
    def read(name: str, axis: str) -> np.ndarray:
        found = cell[name].sel({"method": method, "subject": subjects}).transpose(axis, "subject").astype(np.float64)
        return np.asarray(found.dropna(axis, how="all").values)

    def known(name: str) -> bool:
        return name in cell and bool(np.isfinite(cell[name].sel({"method": method}).values).any())

    regrouped = read("regrouped", "group") if known("regrouped") else None
    if not known("influence"):
        return Draws(read("draws", "draw"), regrouped=regrouped)
    drawn = [read(name, "draw") for name in ("draws", "draws_fixed", "draws_linear")]
    return Draws(drawn[0], drawn[1], drawn[2], read("influence", "stimulus_left"), regrouped)
