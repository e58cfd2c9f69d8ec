"""Curvature as rows of METRICS: what is summarised of a graph, and how two summaries are compared.

Every summary is made at each of the `shares` of the sweep, and a value is the mean over them: the rule is fixed beforehand,
and no share is chosen by what it gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from isocortex.compute import as_tensor
from isocortex.similarity.rdm import rdm as make_rdm
from isocortex.similarity.rdm import to_square
from isocortex.similarity.ricci.bent import Bent, Remembered, bent
from isocortex.similarity.ricci.communities import AGREEMENTS, communities
from isocortex.similarity.ricci.flow import ricci_flows
from isocortex.similarity.ricci.graphs import Graph, sweep
from isocortex.similarity.ricci.ollivier import curvatures, node_curvature
from isocortex.similarity.ricci.picture import picture
from isocortex.similarity.summaries import Summaries, compare_systems

__all__ = [
    "picture",
    "ricci",
    "ricci_communities",
    "ricci_communities_summaries",
    "ricci_distribution",
    "ricci_distribution_summaries",
    "ricci_edges",
    "ricci_edges_summaries",
    "ricci_partial",
    "ricci_partial_summaries",
    "ricci_summaries",
]

# A spread below this part of the largest value is rounding: the values are equal.
_ROUNDING = 1e-9


def _square(system: Any, rows: np.ndarray) -> np.ndarray:
    whole = as_tensor(system).cpu().numpy()
    return np.ascontiguousarray(whole[np.ix_(rows, rows)])


@dataclass(frozen=True)
class _Sweep:
    """The graphs of a sweep and their curvature, by the options of a row; `known` is shared with the other rows of a job."""

    options: Mapping[str, Any]
    known: Remembered = field(default_factory=Remembered)

    def sharing(self, shared: dict[str, Any]) -> Self:
        """The same, with curvature that others made, or that is made for them."""
        return replace(self, known=shared.setdefault("curvature", Remembered()))

    @property
    def permuting(self) -> str:
        """A permutation is index arithmetic."""
        return "cheap"

    def graphs(self, square: np.ndarray) -> list[Graph]:
        return sweep(square, self.options["shares"], self.options["rule"])

    def curved(self, graphs: Sequence[Graph]) -> list[np.ndarray]:
        return curvatures(graphs, alpha=self.options["alpha"], exp_power=self.options["exp_power"])

    def bent(self, square: np.ndarray) -> list[Bent]:
        return bent(square, self.options, self.known)


def standardised(values: np.ndarray) -> np.ndarray:
    """Rows (K, n) with mean 0 and length 1; zeros where a row is constant."""
    away = values - values.mean(axis=1, keepdims=True)
    length = np.linalg.norm(away, axis=1, keepdims=True)
    flat = np.abs(away).max(axis=1, keepdims=True) <= _ROUNDING * np.maximum(np.abs(values).max(axis=1, keepdims=True), 1e-300)
    return np.where(flat | (length == 0), 0.0, away / np.where(length > 0, length, 1.0))


def ranked(values: np.ndarray) -> np.ndarray:
    """Mid-ranks of each row (K, n); values that rounding alone parts share one."""
    from scipy.stats import rankdata

    scale = np.maximum(np.abs(values).max(axis=1, keepdims=True), 1e-300)
    return rankdata(np.round(values / scale, 9), axis=1)


def mean_of_products(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
    """Mean over the sweep of inner products (A, B) of standardised rows (K, n); NaN where no share has variance in both."""
    x, y = np.stack(first), np.stack(second)
    products = x.reshape(len(x), -1) @ y.reshape(len(y), -1).T
    varies = [(rows != 0).any(axis=2).astype(np.float64) for rows in (x, y)]
    both = varies[0] @ varies[1].T
    return np.divide(products, both, out=np.full_like(products, np.nan), where=both > 0)


@dataclass(frozen=True)
class NodeCurvature(_Sweep):
    """Standardised ranks (K, n) of node curvature; `partial`: of what mean distance and degree leave of them."""

    partial: bool = False

    def of(self, system: Any, rows: np.ndarray) -> np.ndarray:
        square = _square(system, rows)
        found = self.bent(square)
        ranks = standardised(ranked(np.stack([one.nodes for one in found])))
        if not self.partial:
            return ranks
        mean = standardised(ranked(square.sum(axis=1)[None]))[0]
        density = standardised(ranked(np.stack([one.degrees for one in found]).astype(np.float64)))
        return standardised(np.stack([_without(row, [mean, dense]) for row, dense in zip(ranks, density, strict=True)]))

    def permuted(self, summary: np.ndarray, order: np.ndarray) -> np.ndarray:
        return summary[:, order]

    def compare(self, first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
        return mean_of_products(first, second)

    def pooled(self, summaries: Sequence[np.ndarray]) -> np.ndarray:
        """Ranks of the mean rank; of partial ranks, which are no ranks any more, their mean."""
        mean = np.mean(np.stack(summaries), axis=0)
        return standardised(mean if self.partial else ranked(mean))


def _without(row: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray:
    """What a least-squares fit of `others` and a constant leaves of a row (n,); zeros where rounding is all that is left."""
    design = np.stack([np.ones_like(row), *others], axis=1)
    left = row - design @ np.linalg.lstsq(design, row, rcond=None)[0]
    return left if np.abs(left).max() > 1e-8 * max(np.abs(row).max(), 1e-300) else np.zeros_like(row)


@dataclass(frozen=True)
class _Curved:
    """Sorted curvature at each share, with the graphs that it is of."""

    values: tuple[np.ndarray, ...]
    graphs: tuple[Graph, ...]


@dataclass(frozen=True)
class Distribution(_Sweep):
    """Distributions of the curvature of edges or nodes."""

    @property
    def permuting(self) -> str:
        """A rewired graph has another curvature."""
        return "heavy"

    def of(self, system: Any, rows: np.ndarray) -> _Curved:
        square = _square(system, rows)
        values = [getattr(one, self.options["of"]) for one in self.bent(square)]
        return _Curved(tuple(np.sort(k) for k in values), tuple(self.graphs(square)))

    def permuted(self, summary: _Curved, order: np.ndarray) -> _Curved:
        """Lengths moved over the edges of the fixed graph."""
        generator = np.random.default_rng(order.tolist())
        graphs = [Graph(g.n, g.edges, generator.permutation(g.lengths)) for g in summary.graphs]
        kappas = self.curved(graphs)
        if self.options["of"] == "nodes":
            kappas = [node_curvature(g, k) for g, k in zip(graphs, kappas, strict=True)]
        return _Curved(tuple(np.sort(k) for k in kappas), tuple(graphs))

    def compare(self, first: Sequence[_Curved], second: Sequence[_Curved]) -> np.ndarray:
        distance = DISTANCES[self.options["distance"]]
        return np.array(
            [[np.mean([distance(a, b) for a, b in zip(x.values, y.values, strict=True)]) for y in second] for x in first]
        )


def wasserstein(a: np.ndarray, b: np.ndarray) -> float:
    """W1 of two samples of numbers."""
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(a, b))


def kolmogorov_smirnov(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference of two sorted samples' distribution functions."""
    every = np.concatenate([a, b])
    below = [np.searchsorted(v, every, side="right") / len(v) for v in (a, b)]
    return float(np.abs(below[0] - below[1]).max())


DISTANCES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "wasserstein": wasserstein,
    "kolmogorov_smirnov": kolmogorov_smirnov,
}


@dataclass(frozen=True)
class SharedEdges(_Sweep):
    """Adjacency (K, n, n) of each share's graph."""

    def of(self, system: Any, rows: np.ndarray) -> np.ndarray:
        graphs = self.graphs(_square(system, rows))
        found = np.zeros((len(graphs), len(rows), len(rows)), dtype=bool)
        for k, g in enumerate(graphs):
            found[k, g.edges[:, 0], g.edges[:, 1]] = found[k, g.edges[:, 1], g.edges[:, 0]] = True
        return found

    def permuted(self, summary: np.ndarray, order: np.ndarray) -> np.ndarray:
        return summary[:, order][:, :, order]

    def compare(self, first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
        upper = np.triu_indices(first[0].shape[1], 1)
        total = np.zeros((len(first), len(second)))
        for k in range(len(first[0])):
            x, y = (np.stack([s[k][upper] for s in side]).astype(np.float32) for side in (first, second))
            sizes = x.sum(1, dtype=np.float64)[:, None], y.sum(1, dtype=np.float64)[None]
            # What a random order of the nodes gives on average, whatever the graphs: the score is 0 by chance.
            by_chance = sizes[0] * sizes[1] / len(upper[0])
            most = 0.5 * (sizes[0] + sizes[1]) - by_chance
            above = (x @ y.T).astype(np.float64) - by_chance
            total += np.divide(above, most, out=np.full_like(above, np.nan), where=most > 0)
        return total / len(first[0])


@dataclass(frozen=True)
class Communities(_Sweep):
    """Labels (K, n) of the communities that Ricci flow leaves."""

    @property
    def permuting(self) -> str:
        """Labels are counted anew."""
        return "costly"

    def of(self, system: Any, rows: np.ndarray) -> np.ndarray:
        settings = {key: self.options[key] for key in ("iterations", "alpha", "exp_power")}
        flows = ricci_flows(self.graphs(_square(system, rows)), **settings)
        return np.stack([communities(flow.graph) for flow in flows])

    def permuted(self, summary: np.ndarray, order: np.ndarray) -> np.ndarray:
        return summary[:, order]

    def compare(self, first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
        agree = alike(self.options["agreement"])
        return np.array([[np.mean([agree(a, b) for a, b in zip(x, y, strict=True)]) for y in second] for x in first])


def alike(kind: str) -> Callable[[np.ndarray, np.ndarray], float]:
    """Agreement of labels, 1 for the same communities: variation of information as 1 − VI / log n.

    0 where one side is all one community: it has nothing to agree in, though the formulas call two such partitions equal.
    """
    agree = AGREEMENTS[kind]

    def value(a: np.ndarray, b: np.ndarray) -> float:
        if not a.any() or not b.any():
            return 0.0
        found = float(agree(a, b))
        return 1.0 - found / float(np.log(len(a))) if kind == "vi" else found

    return value


# --- rows --------------------------------------------------------------------------------------------------------------


def ricci_summaries(options: Mapping[str, Any]) -> Summaries:
    return NodeCurvature(options)


def ricci_partial_summaries(options: Mapping[str, Any]) -> Summaries:
    return NodeCurvature(options, partial=True)


def ricci_distribution_summaries(options: Mapping[str, Any]) -> Summaries:
    return Distribution(options)


def ricci_edges_summaries(options: Mapping[str, Any]) -> Summaries:
    return SharedEdges(options)


def ricci_communities_summaries(options: Mapping[str, Any]) -> Summaries:
    return Communities(options)


def _row(make: Callable[[Mapping[str, Any]], Summaries], x: Any, y: Any, name: str, given: Mapping[str, Any]) -> float:
    from isocortex.similarity.metrics import METRICS

    options = {**METRICS[name].options, **given}
    systems = (to_square(as_tensor(make_rdm(values, options["rdm"]))) for values in (x, y))
    return compare_systems(make(options), *systems)


def ricci(x: Any, y: Any, **options: Any) -> float:
    """Spearman correlation of the node curvature of `x` (n_stimuli, n_features) and `y` (n_stimuli, n_neuroids).

    Options as `study.options.comparing.Ricci`; raises as `rdm` and `graph_from_rdm`. NaN where one has constant
    curvature.
    """
    return _row(ricci_summaries, x, y, "ricci", options)


def ricci_partial(x: Any, y: Any, **options: Any) -> float:
    """As `ricci`, of what ranks of mean distance and of degree leave of the ranks of each system's curvature."""
    return _row(ricci_partial_summaries, x, y, "ricci_partial", options)


def ricci_distribution(x: Any, y: Any, **options: Any) -> float:
    """Distance of the distributions of curvature, of edges or nodes: W1, or the Kolmogorov–Smirnov distance."""
    return _row(ricci_distribution_summaries, x, y, "ricci_distribution", options)


def ricci_edges(x: Any, y: Any, **options: Any) -> float:
    """Edges that both graphs have, of the mean number that each has, beyond chance: 1 for one graph, 0 for unrelated ones."""
    return _row(ricci_edges_summaries, x, y, "ricci_edges", options)


def ricci_communities(x: Any, y: Any, **options: Any) -> float:
    """Agreement of the communities of Ricci flow."""
    return _row(ricci_communities_summaries, x, y, "ricci_communities", options)
