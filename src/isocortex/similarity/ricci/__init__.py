"""Ricci curvature of graphs of RDMs: Ollivier's with exact transport, Forman's, Ricci flow, and its communities."""

from isocortex.similarity.ricci.communities import AGREEMENTS, agreement, communities
from isocortex.similarity.ricci.flow import Flow, Surgery, ricci_flow, ricci_flows
from isocortex.similarity.ricci.forman import forman
from isocortex.similarity.ricci.graphs import Graph, graph_from_adjacency, graph_from_rdm, sweep
from isocortex.similarity.ricci.ollivier import curvature, curvatures, lin_lu_yau, node_curvature
from isocortex.similarity.transport import w1

__all__ = [
    "AGREEMENTS",
    "Flow",
    "Graph",
    "Surgery",
    "agreement",
    "communities",
    "curvature",
    "curvatures",
    "forman",
    "graph_from_adjacency",
    "graph_from_rdm",
    "lin_lu_yau",
    "node_curvature",
    "ricci_flow",
    "ricci_flows",
    "sweep",
    "w1",
]
