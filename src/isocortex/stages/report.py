"""Stage `report`: a region's page from its tables, cells and recording."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from isocortex.inference.rows import to_rows
from isocortex.inference.verdict import verdict
from isocortex.reporting.pages import region_page
from isocortex.reporting.provenance import digests
from isocortex.reporting.region import Region
from isocortex.reporting.time_course import over_windows
from isocortex.storage.atomic import replacing
from isocortex.storage.tables import read_netcdf, read_parquet, read_tree


def run(spec: dict[str, Any], device: str = "auto") -> None:  # noqa: ARG001 (every stage is called alike)
    """Write `report.html`; see `Region` for what it is made from."""
    inputs, options = spec["inputs"], spec["options"]
    found = digests(inputs)
    scores, comparisons = read_parquet(inputs["scores"]), read_parquet(inputs["comparisons"])
    region = Region(
        options=options,
        scores=to_rows(scores),
        comparisons=to_rows(comparisons),
        brain=read_tree(inputs["brain"]),
        cells={name: read_netcdf(path) for name, path in sorted((inputs.get("cells") or {}).items())},
        stimuli={name: read_parquet(path) for name, path in sorted((inputs.get("stimuli") or {}).items())},
        digests=found,
        files={name: inputs[name] for name in ("scores", "comparisons")},
        agreement=to_rows(read_parquet(inputs["agreement"])) if "agreement" in inputs else (),
        identified=read_netcdf(inputs["identification"]) if inputs.get("identification") else None,
        course=over_windows([to_rows(read_parquet(path)) for path in (inputs.get("windows") or {}).values()]),
        layers_geometry={name: read_netcdf(path) for name, path in (inputs.get("geometry_layers") or {}).items()},
    )
    verdicts = {method: verdict(scores, comparisons, method) for method in region.methods}
    output = Path(spec["output"])
    index = Path(os.path.relpath(output.parent.parent / "index.html", output.parent)).as_posix()
    page = region_page(region, verdicts, index)
    with replacing(output) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")
