"""Distances of noisy representations: what the noise of single trials adds to the shape of mean responses."""

from __future__ import annotations

import math

from isocortex.similarity.metric import Metric

STOCHASTIC_ROWS = (
    Metric(
        name="stochastic_shape",
        function="isocortex.similarity.stochastic_shape.rows:stochastic_shape",
        family="stochastic",
        level="trials",
        kind="distance",
        range=(0.0, math.inf),
        invariances=frozenset({"rotation", "permutation", "isotropic_scale", "translation", "stimulus_order"}),
        is_metric=True,
        symmetric=True,
        null="permute_stimuli",
        resample="subsample",
        cost="heavy",
        citation="Duong et al. 2023, arXiv:2211.11665",
        options={
            "distribution": "auto",
            "alpha": 1.0,
            "noise": "isotropic",
            "components": "auto",
            "least_trials": 8,
            "starts": 2,
            "blocks": 10,
            "max_stimuli": 200,
        },
        summaries="isocortex.similarity.stochastic_shape.rows:summaries",
        normalised="distance",
        picture="isocortex.similarity.stochastic_shape.rows:picture",
        deviation=None,
    ),
)
