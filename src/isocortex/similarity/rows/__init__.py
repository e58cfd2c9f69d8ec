"""The rows of METRICS, a file for each family."""

from isocortex.similarity.rows.graph import GRAPH_ROWS
from isocortex.similarity.rows.rdm import RDM_ROWS
from isocortex.similarity.rows.shape import SHAPE_ROWS
from isocortex.similarity.rows.stochastic import STOCHASTIC_ROWS

__all__ = ["GRAPH_ROWS", "RDM_ROWS", "SHAPE_ROWS", "STOCHASTIC_ROWS"]
