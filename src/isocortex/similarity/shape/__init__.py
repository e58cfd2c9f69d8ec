"""Shape metrics: distances of systems after the best alignment, the space they make, and similarity from few stimuli."""

from isocortex.similarity.shape.alignment import Alignment, cross_validated_distance
from isocortex.similarity.shape.convolutional import convolutional_distance, shift_distances
from isocortex.similarity.shape.factors import factor, factor_distances, factor_from_gram
from isocortex.similarity.shape.linear import shape_distance
from isocortex.similarity.shape.moments import MomentSimilarity, moment_similarity, shape_similarity, similarity_from_covariance
from isocortex.similarity.shape.permutation import SoftMatch, soft_matching
from isocortex.similarity.shape.space import Embedding, Mean, embed, frechet_mean, pairwise
from isocortex.similarity.shape.spectral import eigenmoments

__all__ = [
    "Alignment",
    "Embedding",
    "Mean",
    "MomentSimilarity",
    "SoftMatch",
    "convolutional_distance",
    "cross_validated_distance",
    "eigenmoments",
    "embed",
    "factor",
    "factor_distances",
    "factor_from_gram",
    "frechet_mean",
    "moment_similarity",
    "pairwise",
    "shape_distance",
    "shape_similarity",
    "shift_distances",
    "similarity_from_covariance",
    "soft_matching",
]
