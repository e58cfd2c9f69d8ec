"""What a page says of a searchlight's map: how much of it is significant, where it peaks, and its clusters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from isocortex.inference.searchlight_maps import Result

ALPHA = 0.05
MOST_CLUSTERS = 10


def summary(result: Result, layers: Sequence[str], *, tested: bool) -> dict[str, Any]:
    """JSON of a map: n_centres, n_scored, n_significant (family-wise p < .05), peak, clusters (the ten heaviest), null_kind,
    n_null, null_extreme95 (of the largest score of a map), correct. p's are None where nothing was tested."""
    found, score = result.map, result.map.score
    scored = np.isfinite(score)
    largest = found.largest[np.isfinite(found.largest)]
    return {
        "n_centres": len(score),
        "n_scored": int(scored.sum()),
        "n_significant": int((result.corrected[scored] < ALPHA).sum()) if tested else None,
        "median_neuroids": float(np.median(result.sizes)),
        "peak": _peak(result, np.flatnonzero(scored), layers, tested=tested),
        "clusters": _clusters(result, layers) if tested else [],
        "correct": "max" if result.clusters is None else "cluster",
        "null_kind": result.null_kind,
        "n_null": len(found.largest),
        "null_extreme95": float(np.quantile(largest, 0.95)) if len(largest) and tested else None,
    }


def _peak(result: Result, rows: np.ndarray, layers: Sequence[str], *, tested: bool) -> dict[str, Any] | None:
    """The place with the largest score among some."""
    if len(rows) == 0:
        return None
    row = rows[int(np.argmax(result.map.score[rows]))]
    return {
        "score": float(result.map.score[row]),
        "xyz": [float(value) for value in result.coordinates[row]],
        "layer": layers[int(result.map.layer[row])],
        "p": float(result.map.p[row]) if tested else None,
        "p_corrected": float(result.corrected[row]) if tested else None,
    }


def _clusters(result: Result, layers: Sequence[str]) -> list[dict[str, Any]]:
    if result.clusters is None:
        return []
    return [
        {
            "n_centres": int((result.clusters.label == number).sum()),
            "weight": float(weight),
            "p": float(p),
            "peak": _peak(result, np.flatnonzero(result.clusters.label == number), layers, tested=True),
        }
        for number, weight, p in zip(range(1, MOST_CLUSTERS + 1), result.clusters.weight, result.clusters.p, strict=False)
    ]
