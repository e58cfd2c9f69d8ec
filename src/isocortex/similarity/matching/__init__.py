"""Matchings of units of two systems: one to one, shared out, one to many, many to many, and each other's best."""

from isocortex.similarity.matching.assignment import Bipartite, Semi, best_buddies, bipartite_match, semi_match
from isocortex.similarity.matching.correlations import unit_correlations
from isocortex.similarity.matching.sparse import sparse_curve
from isocortex.similarity.matching.spectral import Groupings, unit_groups
from isocortex.similarity.shape.permutation import SoftMatch, soft_matching

__all__ = [
    "Bipartite",
    "Groupings",
    "Semi",
    "SoftMatch",
    "best_buddies",
    "bipartite_match",
    "semi_match",
    "soft_matching",
    "sparse_curve",
    "unit_correlations",
    "unit_groups",
]
