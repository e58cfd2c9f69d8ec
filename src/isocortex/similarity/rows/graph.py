"""Comparisons of graphs of near stimuli, by curvature: nodes, distributions, edges, communities."""

from __future__ import annotations

from isocortex.similarity.metric import Metric

_SOURCE = "Ollivier 2009, doi:10.1016/j.jfa.2008.11.001; Torbati et al. 2025; Ni et al. 2019, doi:10.1038/s41598-019-46380-9"
# Of the default, correlation distance.
_INVARIANCES = frozenset({"permutation", "isotropic_scale", "pattern_offset", "pattern_scale", "stimulus_order"})
_GRAPH = {
    "rdm": "correlation",
    "noise": "shrinkage_diag",
    "rule": "nearest",
    "shares": (0.05, 0.1, 0.2),
    "alpha": 0.5,
    "exp_power": 1.0,
    "max_stimuli": 120,
}


def _row(
    name: str, kind: str = "similarity", null: str = "permute_stimuli", low: float = -1.0, high: float = 1.0, **more: object
) -> Metric:
    return Metric(
        name=name,
        function=f"isocortex.similarity.ricci.rows:{name}",
        family="graph",
        level="rdm",
        kind=kind,
        range=(low, high),
        invariances=_INVARIANCES,
        is_metric=False,
        symmetric=True,
        null=null,
        # A graph of neighbours is ruined by copies of a stimulus.
        resample="subsample",
        cost="heavy",
        citation=_SOURCE,
        options={**_GRAPH, **more},
        summaries=f"isocortex.similarity.ricci.rows:{name}_summaries",
        normalised="rdm" if kind == "similarity" else "distance",
        picture="isocortex.similarity.ricci.rows:picture",
        deviation=None,
    )


GRAPH_ROWS = (
    _row("ricci"),
    _row("ricci_partial"),
    # Distributions do not know which stimulus is which: only rewiring is a null.
    _row("ricci_distribution", "distance", "rewire_weights", 0.0, float("inf"), of="edges", distance="wasserstein"),
    _row("ricci_edges"),
    # A flow takes many curvatures: one graph, not a sweep of them.
    _row("ricci_communities", shares=(0.1,), agreement="ami", iterations=20),
)
