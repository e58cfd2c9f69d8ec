"""Representational dissimilarity matrices: from patterns, their Gram matrix or repeats, and as vectors."""

from isocortex.similarity.rdm.counts import poisson, poisson_cv
from isocortex.similarity.rdm.crossvalidated import crossnobis
from isocortex.similarity.rdm.distances import RDMS, rdm, rdm_from_gram
from isocortex.similarity.rdm.estimators import ESTIMATORS, NOISES, Estimator, brain_rdm
from isocortex.similarity.rdm.heat import HeatGeodesic, alpha_decay_weights, heat_geodesic, heat_geodesic_from_weights
from isocortex.similarity.rdm.noise import noise_covariance, noise_precision, residuals_of_repeats
from isocortex.similarity.rdm.vectors import n_stimuli, to_square, to_vector

__all__ = [
    "ESTIMATORS",
    "NOISES",
    "RDMS",
    "Estimator",
    "HeatGeodesic",
    "alpha_decay_weights",
    "brain_rdm",
    "crossnobis",
    "heat_geodesic",
    "heat_geodesic_from_weights",
    "n_stimuli",
    "noise_covariance",
    "noise_precision",
    "poisson",
    "poisson_cv",
    "rdm",
    "rdm_from_gram",
    "residuals_of_repeats",
    "to_square",
    "to_vector",
]
