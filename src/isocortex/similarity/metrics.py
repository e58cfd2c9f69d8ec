"""METRICS: the table of all metrics, family by family."""

from __future__ import annotations

from isocortex.similarity.metric import INVARIANCES, Metric, Shown
from isocortex.similarity.rows import ROWS

METRICS: dict[str, Metric] = {row.name: row for row in ROWS}

__all__ = ["INVARIANCES", "METRICS", "Metric", "Shown"]
