"""Numbers that compare two representations: arrays or tensors in, numbers out."""

from isocortex.similarity.comparators import compare_rdms
from isocortex.similarity.metrics import METRICS, Metric
from isocortex.similarity.rdm import rdm, rdm_from_gram, to_square, to_vector
from isocortex.similarity.rsa import rsa

__all__ = ["METRICS", "Metric", "compare_rdms", "rdm", "rdm_from_gram", "rsa", "to_square", "to_vector"]
