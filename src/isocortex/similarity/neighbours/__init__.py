"""Nearest neighbours that two representations have in common."""

from isocortex.similarity.neighbours.knn import neighbour_weights
from isocortex.similarity.neighbours.lists import cycle_knn, directed_cknna, lcs_knn
from isocortex.similarity.neighbours.rows import cknna, mutual_knn

__all__ = ["cknna", "cycle_knn", "directed_cknna", "lcs_knn", "mutual_knn", "neighbour_weights"]
