"""Stage `index`: the page over all regions of a study."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import xarray

from isocortex.inference.rows import to_rows
from isocortex.inference.verdict import verdict
from isocortex.reporting.formatting import is_missing
from isocortex.reporting.pages import index_page
from isocortex.reporting.provenance import digests
from isocortex.reporting.region import Region
from isocortex.reporting.region_identification import RegionIdentification
from isocortex.reporting.space import Space
from isocortex.reporting.study import Study
from isocortex.storage.atomic import replacing
from isocortex.storage.tables import read_netcdf, read_parquet


def run(spec: dict[str, Any], device: str = "auto") -> None:  # noqa: ARG001 (every stage is called alike)
    """Write `index.html` from every region's tables and the study's q values."""
    inputs, options, output = spec["inputs"], spec["options"], Path(spec["output"])
    tables = {
        key: inputs[key] for key in ("inference", "scores", "comparisons", "region_identification", "space") if key in inputs
    }
    inference = to_rows(read_parquet(inputs["inference"]))
    regions, verdicts, pages = {}, {}, {}
    for name in options["region_order"]:  # a job's options are sorted by key, so the study's order comes as a list
        scores, comparisons = read_parquet(inputs["scores"][name]), read_parquet(inputs["comparisons"][name])
        regions[name] = Region(
            options={**options, "region": name, "label": options["regions"][name]},
            scores=to_rows(scores),
            comparisons=to_rows(comparisons),
            brain=xarray.DataTree(),
            cells={},
        )
        method = regions[name].leading
        verdicts[name] = verdict(scores, comparisons, method) if method else None
        pages[name] = quote(Path(os.path.relpath(inputs["reports"][name], output.parent)).as_posix())
    q = {
        (row["region"], row["method"], row["model"]): row["q_study"]
        for row in inference
        if row.get("is_chosen", True) and row.get("subject", "all") == "all" and not is_missing(row.get("q_study"))
    }
    page = index_page(
        Study(
            str(options.get("title") or options.get("study", "")),
            str(options.get("primary", "ridge")),
            regions,
            verdicts,
            pages,
            q,
            digests(tables),
            identification=_identification(inputs, options),
            space=_space(inputs, options),
        )
    )
    with replacing(output) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")


def _identification(inputs: dict[str, Any], options: dict[str, Any]) -> RegionIdentification | None:
    path = inputs.get("region_identification")
    return RegionIdentification(read_netcdf(path), options["regions"]) if path else None


def _space(inputs: dict[str, Any], options: dict[str, Any]) -> Space | None:
    path = inputs.get("space")
    return Space(read_netcdf(path), options["regions"]) if path else None
