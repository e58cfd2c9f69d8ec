"""The rows of METRICS, a file for each family."""

from isocortex.similarity.rows.graph import GRAPH_ROWS
from isocortex.similarity.rows.kernel import KERNEL_ROWS
from isocortex.similarity.rows.linear import LINEAR_ROWS
from isocortex.similarity.rows.matching import MATCHING_ROWS
from isocortex.similarity.rows.neighbours import NEIGHBOUR_ROWS
from isocortex.similarity.rows.rdm import RDM_ROWS
from isocortex.similarity.rows.shape import SHAPE_ROWS
from isocortex.similarity.rows.stochastic import STOCHASTIC_ROWS

ROWS = (
    *RDM_ROWS, *GRAPH_ROWS, *SHAPE_ROWS, *STOCHASTIC_ROWS, *KERNEL_ROWS, *LINEAR_ROWS, *NEIGHBOUR_ROWS, *MATCHING_ROWS,
)  # fmt: skip

__all__ = ["ROWS"]
