"""Predictions of one system from another by cross-validated ridge regression, and what is made of them."""

from isocortex.similarity.predictivity.folds import stimulus_folds
from isocortex.similarity.predictivity.rows import linear_predictivity, prediction_rsa, reverse_predictivity

__all__ = ["linear_predictivity", "prediction_rsa", "reverse_predictivity", "stimulus_folds"]
