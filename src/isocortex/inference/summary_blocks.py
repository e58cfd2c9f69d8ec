"""Subjects compared with a model's layers by summaries, with the ceiling that the metric's kind has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from isocortex.errors import DataError
from isocortex.inference import ceilings, nulls
from isocortex.inference.summary_tables import SummaryTable
from isocortex.inference.table_draws import Settings
from isocortex.similarity.summaries import Summaries

# Null values of a ceiling, by the cost of a permuted comparison.
_CEILING_NULL = {"cheap": 1000, "moderate": 200, "costly": 99, "heavy": 99}


def _root(agreement: float) -> float:
    """A noiseless model that is right has the root of the reliability: noise is in the region's own variance alone."""
    r = float(np.clip(agreement, 0.0, 1.0))
    return float(np.sqrt(2.0 * r / (1.0 + r)))


def _quantile(q: float) -> Callable[[np.ndarray], float]:
    return lambda values: float(np.quantile(values, q))


def _unknown(_: np.ndarray) -> float:
    return float("nan")


_OF_HALVES = "√(Spearman–Brown) of split halves over repeats"
# By the kind of a score: what its ceilings are called, and how the lower and the upper one come from halves of the repeats.
_CEILINGS: dict[str, tuple[str, Callable[[np.ndarray], float], Callable[[np.ndarray], float]]] = {
    "rdm": (_OF_HALVES, lambda v: _root(v.mean()), lambda v: _root(v.mean())),
    "pattern": (_OF_HALVES, lambda v: _root(np.quantile(v, 0.025)), lambda v: _root(v.mean())),
    "distance": ("half against half of the repeats: 97.5 % / median", _quantile(0.975), _quantile(0.5)),
    # No identity takes two halves to the whole: what they agree in is less than what a right model would reach.
    "halves": ("half against half of the repeats: 2.5 %", _quantile(0.025), _unknown),
}
_NOISELESS = {
    "pattern": ("a right model without noise, from halves of the repeats", _quantile(0.025), lambda v: float(v.mean())),
}


@dataclass(frozen=True)
class SummaryBlock:
    """Systems of S subjects and L layers on the same stimuli, compared by `method`.

    `kind`: how a score is normalised (`scores.md` §2): "rdm", "pattern", "distance", "halves" (a lower ceiling only) or
    "corrected" (no ceiling). `null`, `resample` and `cost` as the row
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

    @property
    def fewest(self) -> int:
        """The fewest stimuli that a half of them may have."""
        return getattr(self.method, "fewest", 0)

    def table(self) -> SummaryTable:
        """All subjects with all layers."""
        rewired = self.null == "rewire_weights"
        settings = (self.higher_is_closer, self.resample, self.cost, rewired, self.known)
        return SummaryTable(self.brain, self.layers, self.method, np.arange(len(self.stimulus_ids)), *settings)

    def reason(self, subject: int, masks: np.ndarray | None) -> str:
        """Why a subject has no score, on all stimuli or, of `masks`, on halves of them; empty where the method cannot say."""
        note: Callable[[Any], str] | None = getattr(self.method, "note", None)
        if note is None:
            return ""
        parts = [np.arange(len(self.stimulus_ids))] if masks is None else [np.flatnonzero(k) for m in masks for k in (m, ~m)]
        table = self.table()
        found = [text for rows in parts if (text := note(table.part(rows).subjects()[subject]))]
        if not found:
            return ""
        return found[0] if masks is None else f"{found[0]} ({len(found)} of {len(parts)} halves of the stimuli)"

    def ceiling(self, variant: int, masks: np.ndarray | None, settings: Settings) -> ceilings.Ceiling:  # noqa: ARG002
        """Of similarities that are normalised as RDMs are, from the other subjects; else from halves of the repeats."""
        if self.kind == "corrected":
            return ceilings.none(len(self.subjects), "noise is taken out of the score itself: no ceiling")
        if self.kind == "rdm" and len(self.subjects) > 1:
            return self._other_subjects(settings)
        if not self.repeats or not all(len(pairs) for pairs in self.repeats):
            return ceilings.none(len(self.subjects), "no repeats: no ceiling")
        try:
            return self._halves(masks, settings)
        except DataError as error:
            # A half of the repeats may lack what the whole has: a response to every stimulus, neuroids that vary.
            return ceilings.none(len(self.subjects), f"no ceiling of halves of the repeats: {error}")

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
        noiseless = getattr(self.method, "noiseless", None) if self.kind == "pattern" else None
        # A method that knows of an identity across halves, but not with these options, is bounded from below alone.
        named = "halves" if self.kind == "pattern" and noiseless is None and hasattr(self.method, "noiseless") else self.kind
        every = np.arange(len(self.stimulus_ids))
        for subject, pairs in enumerate(self.repeats):
            of_subject = partial(self._noiseless, noiseless, subject) if noiseless else self._agreement
            values.append(np.array([of_subject(pair, masks, k) for k, pair in enumerate(pairs)]))
            a, b = (self.method.of(half, every) for half in pairs[0])
            order = nulls.permutations(len(every), _CEILING_NULL[self.method.permuting], settings.seed)
            null.append(np.asarray(self.method.compare([self.method.permuted(a, o) for o in order], [b]))[:, 0])
            # Tested as its null is made, on all stimuli, whatever halves of them the ceiling is taken on.
            observed.append(float(self.method.compare([a], [b])[0, 0]))
        kind, low, high = (_NOISELESS if noiseless else _CEILINGS)[named]
        found, tested = np.stack(null, axis=1), np.array(observed)
        lowest, highest = (np.array([bound(v) for v in values]) for bound in (low, high))
        return ceilings.Ceiling(lowest, highest, tested, found, kind, higher_is_closer=self.higher_is_closer)

    def _noiseless(
        self,
        score: Callable[[Any, Any, Any], float],
        subject: int,
        pair: tuple[Any, Any],
        masks: np.ndarray | None,
        k: int,
    ) -> float:
        """What a right model without noise would score against the subject, by two halves of its repeats."""
        systems = (self.brain[subject], *pair)
        return float(np.mean([score(*(self.method.of(x, rows) for x in systems)) for rows in self._rows(masks, k)]))

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
