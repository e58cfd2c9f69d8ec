"""METRICS: what each metric is and what may be done with it. Ceilings, nulls, intervals and pages are written over it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from isocortex.similarity.comparators import Comparator


@dataclass(frozen=True)
class Metric:
    """One way to compare two representations.

    `function` is "module:name" of a function (x, y, **options) of two arrays (n_stimuli, n_features), bound when used.
    `invariances` hold exactly; every other transformation of INVARIANCES changes the value. `options` are its defaults.
    `null`, `resample` and `cost` are the names of `scores.md` for the generic inference; of a row of level "rdm" the
    comparators themselves may be dearer, or have no pair weights. `comparing`: of such a row "module:name" of a function
    (options) → comparators, of which the inference chooses one where there are several.
    """

    name: str
    function: str
    family: str
    level: str
    kind: str
    range: tuple[float, float]
    invariances: frozenset[str]
    is_metric: bool
    symmetric: bool
    null: str
    resample: str
    cost: str
    citation: str
    options: dict[str, Any]
    comparing: str = ""

    def bind(self) -> Callable[..., float]:
        """The function itself."""
        return _bound(self.function)

    def comparators(self, options: Mapping[str, Any]) -> tuple[Comparator, ...]:
        """How RDMs are compared with these options, defaults filled in."""
        return tuple(_bound(self.comparing)({**self.options, **options}))

    @property
    def higher_is_closer(self) -> bool:
        """True for similarities, False for distances."""
        return self.kind == "similarity"


def _bound(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


# Transformations that a metric may be invariant to.
INVARIANCES = frozenset(
    {"rotation", "permutation", "isotropic_scale", "translation", "pattern_offset", "pattern_scale", "affine", "stimulus_order"}
)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
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
            comparing="isocortex.similarity.trsa.rows:geodesic_comparators",
        ),
    )
}
