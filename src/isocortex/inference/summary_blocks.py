"""Subjects compared with a model's layers by summaries, with the ceiling that the metric's kind has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isocortex.inference import ceilings, nulls
from isocortex.inference.summary_tables import SummaryTable
from isocortex.inference.table_draws import Settings
from isocortex.similarity.summaries import Summaries

# Null values of a ceiling, by the cost of a permuted comparison.
_CEILING_NULL = {"cheap": 1000, "moderate": 200, "costly": 99, "heavy": 99}


@dataclass(frozen=True)
class SummaryBlock:
    """Systems of S subjects and L layers on the same stimuli, compared by `method`.

    `kind`: how a score is normalised (`scores.md` §2): "rdm", "pattern" or "distance". `null`, `resample` and `cost` as the row
    of METRICS declares. `repeats`: of each subject pairs of systems from two halves of its repeats; empty where it has none.
    `known` are summaries that were made already, as `SummaryTable` keeps them.
    """

    subjects: tuple[str, ...]
    stimulus_ids: tuple[str, ...]
    brain: Sequence[Any]
    layers: Sequence[Any]
    method: Summaries
    kind: str
    null: str = "permute_stimuli"
    resample: str = "subsample"
    cost: str = "costly"
    repeats: Sequence[Sequence[tuple[Any, Any]]] = ()
    known: dict[tuple[str, int, bytes], Any] = field(default_factory=dict)

    @property
    def variants(self) -> tuple[str, ...]:
        """A method has one form."""
        return ("",)

    @property
    def higher_is_closer(self) -> bool:
        """True for similarities."""
        return self.kind != "distance"

    def table(self) -> SummaryTable:
        """All subjects with all layers."""
        rewired = self.null == "rewire_weights"
        settings = (self.higher_is_closer, self.resample, self.cost, rewired, self.known)
        return SummaryTable(self.brain, self.layers, self.method, np.arange(len(self.stimulus_ids)), *settings)

    def ceiling(self, variant: int, masks: np.ndarray | None, settings: Settings) -> ceilings.Ceiling:  # noqa: ARG002
        """Of similarities that are normalised as RDMs are, from the other subjects; else from halves of the repeats."""
        if self.kind == "rdm" and len(self.subjects) > 1:
            return self._other_subjects(settings)
        if not self.repeats or not all(len(pairs) for pairs in self.repeats):
            return ceilings.none(len(self.subjects), "no repeats: no ceiling")
        return self._halves(masks, settings)

    def _other_subjects(self, settings: Settings) -> ceilings.Ceiling:
        summaries = self.table().subjects()
        every = np.arange(len(self.stimulus_ids))
        pool: Callable[[Sequence[Any]], Any] | None = getattr(self.method, "pooled", None)
        low = self._with_others(summaries, pool)
        high = np.full(len(low), np.nan)
        if pool is not None:
            high = np.asarray(self.method.compare([pool(summaries)], summaries))[0]
        n_null, s = _CEILING_NULL[self.method.permuting], len(summaries)
        orders = nulls.permutations(len(every), n_null * s, settings.seed).reshape(n_null, s, -1)
        null = np.stack([self._with_others([self.method.permuted(x, o) for x, o in zip(summaries, order, strict=True)], pool)
                         for order in orders])  # fmt: skip
        kind = "leave one subject out / own subject included" if pool else "mean over the other subjects, one by one"
        return ceilings.Ceiling(low, high, low, null, kind)

    def _with_others(self, summaries: Sequence[Any], pool: Callable[[Sequence[Any]], Any] | None) -> np.ndarray:
        """Each subject with the pool of the others, or the mean of its values with each of them: (S,)."""
        if pool is None:
            values = np.asarray(self.method.compare(summaries, summaries), dtype=np.float64)
            return (values.sum(axis=1) - values.diagonal()) / (len(values) - 1)
        others = [[x for k, x in enumerate(summaries) if k != s] for s in range(len(summaries))]
        return np.array([self.method.compare([pool(o)], [x])[0, 0] for o, x in zip(others, summaries, strict=True)])

    def _halves(self, masks: np.ndarray | None, settings: Settings) -> ceilings.Ceiling:
        values, null, observed = [], [], []
        for pairs in self.repeats:
            values.append(np.array([self._agreement(pair, masks, k) for k, pair in enumerate(pairs)]))
            a, b = (self.method.of(half, np.arange(len(self.stimulus_ids))) for half in pairs[0])
            order = nulls.permutations(len(self.stimulus_ids), _CEILING_NULL[self.method.permuting], settings.seed)
            null.append(np.asarray(self.method.compare([self.method.permuted(a, o) for o in order], [b]))[:, 0])
            # Tested as its null is made, on all stimuli, whatever halves of them the ceiling is taken on.
            observed.append(float(self.method.compare([a], [b])[0, 0]))
        found, tested = np.stack(null, axis=1), np.array(observed)
        if self.kind == "distance":
            low, high = np.array([np.quantile(v, 0.975) for v in values]), np.array([np.median(v) for v in values])
            kind = "half against half of the repeats: 97.5 % / median"
            return ceilings.Ceiling(low, high, tested, found, kind, higher_is_closer=False)
        # A noiseless model that is right has the root of the reliability: noise is in the region's own variance alone.
        low = self._root([np.quantile(v, 0.025) if self.kind == "pattern" else v.mean() for v in values])
        high, kind = self._root([v.mean() for v in values]), "√(Spearman–Brown) of split halves over repeats"
        return ceilings.Ceiling(low, high, tested, found, kind)

    def _root(self, agreement: Sequence[float]) -> np.ndarray:
        r = np.clip(agreement, 0.0, 1.0)
        return np.sqrt(2.0 * r / (1.0 + r))

    def _agreement(self, pair: tuple[Any, Any], masks: np.ndarray | None, k: int) -> float:
        """Half with half, on all stimuli or, as a cross-fitted score is, on the mean of both halves of these."""
        found = [self.method.compare(*([self.method.of(half, rows)] for half in pair))[0, 0] for rows in self._rows(masks, k)]
        return float(np.mean(found))

    def _rows(self, masks: np.ndarray | None, k: int) -> Iterator[np.ndarray]:
        if masks is None:
            yield np.arange(len(self.stimulus_ids))
            return
        mask = masks[k % len(masks)]
        yield from (np.flatnonzero(mask), np.flatnonzero(~mask))
