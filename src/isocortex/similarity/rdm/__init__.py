"""Representational dissimilarity matrices: from patterns, from their Gram matrix, and as vectors."""

from isocortex.similarity.rdm.distances import RDMS, rdm, rdm_from_gram
from isocortex.similarity.rdm.vectors import n_stimuli, to_square, to_vector

__all__ = ["RDMS", "n_stimuli", "rdm", "rdm_from_gram", "to_square", "to_vector"]
