"""Topological RSA (Lin & Kriegeskorte 2024): RDMs between two thresholds, along geodesics, compared and identified."""

from isocortex.similarity.trsa.comparators import geodesic_comparator, plane_comparators, trsa_comparator, weighted_plane
from isocortex.similarity.trsa.geodesic import geodesic, two_step
from isocortex.similarity.trsa.identify import curve, identify, identify_plane, identify_rows, nested
from isocortex.similarity.trsa.plane import compare_plane, grid, rgtm_plane
from isocortex.similarity.trsa.transforms import FAMILIES, family, gtm, rgtm, sigmoid

__all__ = [
    "FAMILIES",
    "compare_plane",
    "curve",
    "family",
    "geodesic",
    "geodesic_comparator",
    "grid",
    "gtm",
    "identify",
    "identify_plane",
    "identify_rows",
    "nested",
    "plane_comparators",
    "rgtm",
    "rgtm_plane",
    "sigmoid",
    "trsa_comparator",
    "two_step",
    "weighted_plane",
]
