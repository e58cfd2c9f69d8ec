"""From subjects to "all": the mean over subjects, its variance, and what pairs of models need to share it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from isocortex.inference.intervals import pair_variance, stimulus_variance

# From so many subjects on, subjects are a sample too; below, an interval says only what other stimuli would change.
ENOUGH_SUBJECTS = 6


@dataclass(frozen=True)
class Draws:
    """Draws of a score per subject, and, of statistics of pairs of stimuli, what `intervals.pair_variance` needs.

    `values` (D, S): bootstrap draws of stimuli, layers chosen anew; where the other parts are known, `fixed` and what the
    draw's choice changes in the score of the whole sample. `fixed` (D, S): with the layers of the whole sample. `linear`
    (D, S): the part of `fixed` that is linear in the multiplicities of stimuli. `influence` (n, S): of every stimulus on the
    score; subjects on stimuli of their own have rows of their own, zero for the others. These three are None where a score
    is a mean over stimuli, or nearly so. `regrouped` (B, S): scores in a bootstrap of subjects, who
    choose the layers anew, times their multiplicities; None where they are few, or a subject chooses alone.
    """

    values: np.ndarray
    fixed: np.ndarray | None = None
    linear: np.ndarray | None = None
    influence: np.ndarray | None = None
    regrouped: np.ndarray | None = None

    @property
    def main(self) -> np.ndarray:
        """The draws (D,) of the mean over subjects, stimuli resampled."""
        return self.values.mean(axis=1)

    def of(self, columns: list[int]) -> Draws:
        """Of some of the subjects."""
        return self._each(lambda part: part[:, columns])

    def minus(self, other: Draws) -> Draws:
        """Of a difference of two scores of the same subjects, paired; the shorter of two sets of draws says how many."""
        n = min(len(self.values), len(other.values))
        a, b = self._first(n), other._first(n)
        regrouped = a._regrouped_minus(b)
        if a.influence is None or b.influence is None or a.influence.shape != b.influence.shape:
            return Draws(a.values - b.values, regrouped=regrouped)
        parts = ((getattr(a, name), getattr(b, name)) for name in ("fixed", "linear", "influence"))
        return Draws(a.values - b.values, *(x - y for x, y in parts), regrouped=regrouped)

    def _regrouped_minus(self, other: Draws) -> np.ndarray | None:
        """None where it is not known of one of the models."""
        if self.regrouped is None or other.regrouped is None:
            return None
        n = min(len(self.regrouped), len(other.regrouped))
        return self.regrouped[:n] - other.regrouped[:n]

    def _first(self, n: int) -> Draws:
        cut = self._each(lambda part: part[:n])
        return Draws(cut.values, cut.fixed, cut.linear, self.influence, self.regrouped)

    def _each(self, change: Callable[[np.ndarray], np.ndarray]) -> Draws:
        parts = (self.fixed, self.linear, self.influence, self.regrouped)
        return Draws(change(self.values), *(None if part is None else change(part) for part in parts))

    def raw_variance(self, column: int | None = None) -> tuple[float, float]:
        """Variance over samples of stimuli of one subject's score, or of the mean (None), and the least that it may be."""

        def one(part: np.ndarray) -> np.ndarray:
            return part.mean(axis=1) if column is None else part[:, column]

        if self.fixed is None or self.linear is None or self.influence is None:
            return np.nan, 0.0
        return pair_variance(one(self.fixed), one(self.linear), one(self.influence))

    def variance(self, n_stimuli: int, column: int | None = None) -> float:
        """As `raw_variance`, not below its bound; with that of the choice of layers."""
        raw, least = self.raw_variance(column)
        values = self.main if column is None else self.values[:, column]
        if not np.isfinite(raw) or self.fixed is None:
            return float(stimulus_variance(values, n_stimuli))
        fixed = self.fixed.mean(axis=1) if column is None else self.fixed[:, column]
        v = max(raw, least)
        # Draws scatter more than samples do (`pair_variance`), and choose other layers more often in the same measure.
        return v + choice_variance(values, fixed) * min(v / max(float(stimulus_variance(fixed, n_stimuli)), 1e-300), 1.0)


def mean_of_scored(values: np.ndarray) -> np.ndarray:
    """Mean over subjects (S, …) of those that have values at all; of others that of all, NaN where one is missing."""
    scored = np.isfinite(values).reshape(len(values), -1).any(axis=1)
    return (values[scored] if scored.any() else values).mean(axis=0)


def joined(parts: list[Draws]) -> Draws:
    """Draws of subjects in groups, each on stimuli of its own; the shortest says how many."""
    if len(parts) == 1:
        return parts[0]
    n = min(len(part.values) for part in parts)
    values = np.concatenate([part.values[:n] for part in parts], axis=1)
    if any(part.influence is None for part in parts):
        return Draws(values)
    fixed, linear = (np.concatenate([getattr(p, name)[:n] for p in parts], axis=1) for name in ("fixed", "linear"))
    influences = [part.influence for part in parts if part.influence is not None]
    influence = np.zeros((sum(len(i) for i in influences), values.shape[1]))
    row = column = 0
    for own in influences:
        influence[row : row + len(own), column : column + own.shape[1]] = own
        row, column = row + len(own), column + own.shape[1]
    return Draws(values, fixed, linear, influence)


def choice_variance(values: np.ndarray, fixed: np.ndarray) -> float:
    """What choosing layers anew adds to the variance of draws (D,) whose layers are fixed; 0 where nothing is chosen."""
    differences = (values - fixed)[np.isfinite(values) & np.isfinite(fixed)]
    return float(differences.var()) if len(differences) else 0.0


def spread(scores: np.ndarray, draws: Draws, n_stimuli: int, generalise: str = "auto") -> tuple[float, int, str]:
    """Variance of the mean of scores (S,), its degrees of freedom, and what it generalises to.

    Few subjects are fixed. From six on the variance is A + T: A = Var(scores)/S, which holds the subjects and their interaction
    with stimuli; and T, the variance of stimuli that all subjects share, V − (mean of V_s − V)/(S − 1) with V of the mean and
    V_s of each subject. It is at least the variance over samples of stimuli. `generalise`: "auto" is this; "stimulus" keeps
    subjects fixed however many; "subject" keeps stimuli fixed, as they are where they are all that there are: then, if
    subjects are enough, the variance is A, or that of a bootstrap of subjects where these choose layers.
    """
    n_subjects = len(scores)
    over_stimuli = draws.variance(n_stimuli)
    if n_subjects < ENOUGH_SUBJECTS or generalise == "stimulus":
        return over_stimuli, n_stimuli - 1, "stimulus"
    if generalise == "subject":
        v = float(np.var(scores, ddof=1)) / n_subjects
        if draws.regrouped is not None:
            v = max(v, float(draws.regrouped.mean(axis=1).var()) * n_subjects / (n_subjects - 1))
        return v, n_subjects - 1, "subject"
    whole = draws.raw_variance()[0]
    own = np.array([draws.raw_variance(s)[0] for s in range(n_subjects)])
    if not np.isfinite(whole):
        whole = over_stimuli
        own = np.array([draws.variance(n_stimuli, s) for s in range(n_subjects)])
    shared = whole - (own.mean() - whole) / (n_subjects - 1)
    v = max(float(np.var(scores, ddof=1)) / n_subjects + max(float(shared), 0.0), over_stimuli)
    return v, min(n_subjects, n_stimuli) - 1, "stimulus and subject"
