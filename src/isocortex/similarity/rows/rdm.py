"""Comparisons of RDMs: RSA, topological RSA, geodesic RSA."""

from __future__ import annotations

from isocortex.similarity.metric import Metric

RDM_ROWS = (
    Metric(
        name="rsa",
        function="isocortex.similarity.rsa:rsa",
        family="rdm",
        level="rdm",
        kind="similarity",
        range=(-1.0, 1.0),
        # Of the default, correlation distance: a rotation of units changes a pattern's own mean, hence is not among them.
        invariances=frozenset({"permutation", "isotropic_scale", "pattern_offset", "pattern_scale", "stimulus_order"}),
        is_metric=False,
        symmetric=True,
        null="permute_stimuli",
        resample="pair_weights",
        cost="cheap",
        citation="Kriegeskorte et al. 2008, doi:10.3389/neuro.06.004.2008; Schütt et al. 2023, doi:10.7554/eLife.82566",
        options={"rdm": "correlation", "compare": "rho_a"},
        deviation=None,
        comparing="isocortex.similarity.rsa:comparators",
    ),
    Metric(
        name="trsa",
        function="isocortex.similarity.trsa.rows:trsa",
        family="rdm",
        level="rdm",
        kind="similarity",
        range=(-1.0, 1.0),
        invariances=frozenset({"permutation", "isotropic_scale", "pattern_offset", "pattern_scale", "stimulus_order"}),
        is_metric=False,
        symmetric=True,
        null="permute_stimuli",
        resample="pair_weights",
        cost="cheap",
        citation="Lin & Kriegeskorte 2024, doi:10.1073/pnas.2317881121",
        options={"rdm": "correlation", "transform": "rgtm", "thresholds": (0.2, 0.8), "compare": "pearson"},
        deviation=None,
        comparing="isocortex.similarity.trsa.rows:comparators",
    ),
    Metric(
        name="geodesic_rsa",
        function="isocortex.similarity.trsa.rows:geodesic_rsa",
        family="rdm",
        level="rdm",
        kind="similarity",
        range=(-1.0, 1.0),
        invariances=frozenset({"permutation", "isotropic_scale", "pattern_offset", "pattern_scale", "stimulus_order"}),
        is_metric=False,
        symmetric=True,
        null="permute_stimuli",
        # A graph of neighbours is ruined by copies of a stimulus.
        resample="subsample",
        cost="moderate",
        citation="Lin & Kriegeskorte 2024, doi:10.1073/pnas.2317881121",
        options={"rdm": "correlation", "edges": "p_shortest", "share": 0.2, "compare": "pearson"},
        deviation=None,
        comparing="isocortex.similarity.trsa.rows:geodesic_comparators",
    ),
)
