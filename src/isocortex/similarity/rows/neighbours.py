"""Comparisons of neighbourhoods, and of similarities to stimuli that serve as anchors."""

from __future__ import annotations

import math

from isocortex.similarity.metric import Metric

_COSINES = frozenset({"rotation", "permutation", "isotropic_scale", "pattern_scale", "stimulus_order"})


def _row(name: str, module: str, citation: str, options: dict[str, object], **settings: object) -> Metric:
    given: dict[str, object] = {
        "level": "patterns",
        "range": (-1.0, 1.0),
        "invariances": _COSINES,
        "cost": "moderate",
        **settings,
    }
    home = f"isocortex.similarity.{module}"
    return Metric(
        name=name,
        function=f"{home}:{name}",
        family="neighbours",
        kind="similarity",
        is_metric=False,
        symmetric=True,
        null="permute_stimuli",
        # A copy of a stimulus is its own nearest neighbour.
        resample="subsample",
        citation=citation,
        options={**options, "max_stimuli": 2000},
        summaries=f"{home}:{name}_summaries",
        normalised="halves",
        **given,  # type: ignore[arg-type]
    )


_PLATONIC = "Huh et al. 2024, arXiv:2405.07987"

NEIGHBOUR_ROWS = (
    _row("mutual_knn", "neighbours.rows", _PLATONIC, {"neighbours": 10}, range=(0.0, 1.0), deviation=0.24),
    # So many neighbours are another neighbourhood among 50 stimuli than among thousands.
    # A debiased value, of neighbours that two systems share over those of each, has no bounds.
    _row("cknna", "neighbours.rows", _PLATONIC, {"neighbours": 10}, range=(-math.inf, math.inf), deviation=0.35),
    _row("relative", "relative", "Moschella et al. 2023, arXiv:2209.15430", {"anchors": "auto"}),
    _row(
        "relative_product",
        "relative",
        "Cannistraci et al. 2024, arXiv:2310.01211",
        {"anchors": "auto", "similarities": ("cosine", "euclidean", "manhattan", "chebyshev"), "units": 1000},
        level="units",
        # What none of the similarities minds; the size of each space takes a common scale out.
        invariances=frozenset({"permutation", "isotropic_scale", "stimulus_order"}),
        cost="costly",
    ),
)
