"""Matchings of units: one to one, shared out, one to many, many to many, and each other's best."""

from __future__ import annotations

import math

from isocortex.similarity.metric import Metric

# Correlations of units do not mind the scale of each, hence not that of all. Halves of the stimuli go by their places, so that
# another order, even of both systems, is another estimate.
_INVARIANCES = frozenset({"permutation", "isotropic_scale", "translation"})


def _row(
    name: str,
    citation: str,
    low: float = -1.0,
    *,
    symmetric: bool = True,
    cost: str = "costly",
    deviation: float = 0.03,
    **options: object,
) -> Metric:
    return Metric(
        name=name,
        function=f"isocortex.similarity.matching.rows:{name}",
        family="matching",
        level="units",
        kind="similarity",
        range=(low, 1.0),
        invariances=_INVARIANCES,
        is_metric=False,
        symmetric=symmetric,
        null="permute_stimuli",
        resample="subsample",
        cost=cost,
        citation=citation,
        options={"units": 1000, "max_stimuli": 2000, **options},
        summaries=f"isocortex.similarity.matching.rows:{name}_summaries",
        normalised="halves",
        deviation=deviation,
    )


_CONVERGENT = "Li et al. 2016, arXiv:1511.07543"

MATCHING_ROWS = (
    _row("one_to_one", _CONVERGENT, symmetric=False, deviation=0.37),
    _row("soft_matching", "Khosla & Williams 2024, arXiv:2311.09466", deviation=0.37),
    _row("one_to_many", _CONVERGENT, -math.inf, symmetric=False, cost="heavy", deviation=0.16, active=5),
    _row("many_to_many", _CONVERGENT, cost="heavy", deviation=0.4, groups="auto"),
    _row("best_buddies", "Dravid et al. 2023, arXiv:2306.09346", symmetric=False, deviation=0.4, top=1),
)
