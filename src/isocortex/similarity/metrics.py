"""METRICS: the table of all metrics, family by family."""

from __future__ import annotations

from isocortex.similarity.metric import INVARIANCES, Metric, Shown
from isocortex.similarity.rows import GRAPH_ROWS, RDM_ROWS, SHAPE_ROWS, STOCHASTIC_ROWS

METRICS: dict[str, Metric] = {row.name: row for row in (*RDM_ROWS, *GRAPH_ROWS, *SHAPE_ROWS, *STOCHASTIC_ROWS)}

__all__ = ["INVARIANCES", "METRICS", "Metric", "Shown"]
