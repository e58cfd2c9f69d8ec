"""Canonical correlations: of all dimensions, of principal components, and weighted by what they account for."""

from isocortex.similarity.cca.canonical import canonical_correlations, projection_weighted
from isocortex.similarity.cca.rows import cca, pwcca, svcca

__all__ = ["canonical_correlations", "cca", "projection_weighted", "pwcca", "svcca"]
