"""Stochastic shape metrics (Duong et al. 2023): distances of systems whose responses vary from trial to trial."""

from isocortex.similarity.stochastic_shape.bures import bures_squared
from isocortex.similarity.stochastic_shape.energy import energy_shape
from isocortex.similarity.stochastic_shape.estimation import (
    Matched,
    conditions_with,
    fit_gaussians,
    matched,
    most_components,
    on_axes,
    pooled_axes,
)
from isocortex.similarity.stochastic_shape.gaussian import Gaussians, gaussian_distances, gaussian_shape
from isocortex.similarity.stochastic_shape.measures import Measure
from isocortex.similarity.stochastic_shape.noise import with_noise
from isocortex.similarity.stochastic_shape.nulls import (
    Tested,
    condition_null,
    exchange_test,
    noise_test,
    self_distance,
    shuffled,
    split_halves,
)
from isocortex.similarity.stochastic_shape.search import Search, Shape

__all__ = [
    "Gaussians",
    "Matched",
    "Measure",
    "Search",
    "Shape",
    "Tested",
    "bures_squared",
    "condition_null",
    "conditions_with",
    "energy_shape",
    "exchange_test",
    "fit_gaussians",
    "gaussian_distances",
    "gaussian_shape",
    "matched",
    "most_components",
    "noise_test",
    "on_axes",
    "pooled_axes",
    "self_distance",
    "shuffled",
    "split_halves",
    "with_noise",
]
