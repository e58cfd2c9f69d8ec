"""Shape distances of patterns, and the estimate of their similarity from few samples."""

from __future__ import annotations

import math

from isocortex.similarity.metric import Metric

SHAPE_ROWS = (
    Metric(
        name="shape",
        function="isocortex.similarity.shape.rows:shape",
        family="shape",
        level="patterns",
        kind="distance",
        range=(0.0, math.pi / 2),
        # Of the default, the angle after the best rotation.
        invariances=frozenset({"rotation", "permutation", "isotropic_scale", "translation", "stimulus_order"}),
        is_metric=True,
        symmetric=True,
        null="permute_stimuli",
        resample="subsample",
        cost="costly",
        citation="Williams et al. 2021, arXiv:2110.14739; Khosla & Williams 2024, arXiv:2311.09466",
        options={"alpha": 1.0, "kind": "angular", "group": "orthogonal"},
        summaries="isocortex.similarity.shape.rows:shape_summaries",
        deviation=0.1,
        normalised="distance",
    ),
    Metric(
        name="shape_moments",
        function="isocortex.similarity.shape.rows:shape_moments",
        family="shape",
        level="patterns",
        kind="similarity",
        # An unbiased estimate may leave [0, 1].
        range=(-math.inf, math.inf),
        invariances=frozenset({"rotation", "permutation", "isotropic_scale", "translation", "stimulus_order"}),
        is_metric=False,
        symmetric=True,
        null="permute_stimuli",
        resample="subsample",
        cost="heavy",
        citation="Pospisil et al. 2024, arXiv:2310.05742",
        options={"moments": 7, "bootstraps": 50, "balance": 1.0, "bias": 1.0, "max_stimuli": 200},
        summaries="isocortex.similarity.shape.rows:moment_summaries",
        deviation=0.09,
        normalised="pattern",
        picture="isocortex.similarity.shape.rows:picture",
    ),
)
