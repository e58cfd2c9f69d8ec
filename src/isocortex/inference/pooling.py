"""From subjects to "all": the mean over subjects, its variance, and the draws that pairs of models share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isocortex.inference.intervals import dual_variance, stimulus_variance, variance
from isocortex.inference.resampling import subject_counts

# From so many subjects on, subjects are resampled too; below, an interval says only what other stimuli would change.
ENOUGH_SUBJECTS = 6


@dataclass(frozen=True)
class Draws:
    """Draws (D,) of the mean over subjects: subjects and stimuli resampled, subjects alone, stimuli alone.

    The first two are None for fewer than `ENOUGH_SUBJECTS` subjects.
    """

    stimuli: np.ndarray
    subjects: np.ndarray | None = None
    both: np.ndarray | None = None

    @property
    def main(self) -> np.ndarray:
        """The draws that a table of draws shows."""
        return self.stimuli if self.both is None else self.both

    def minus(self, other: Draws) -> Draws:
        """Draws of a difference, paired; the shorter of two sets says how many."""
        n = min(len(self.stimuli), len(other.stimuli))

        def part(a: np.ndarray | None, b: np.ndarray | None) -> np.ndarray | None:
            return None if a is None or b is None else a[:n] - b[:n]

        return Draws(self.stimuli[:n] - other.stimuli[:n], part(self.subjects, other.subjects), part(self.both, other.both))


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over the last axis with multiplicities; a missing value that was drawn makes it NaN, one that was not does not."""
    drawn = np.where(weights > 0, values, 0.0)
    total = weights.sum(axis=-1)
    return (drawn * weights).sum(axis=-1) / np.where(total > 0, total, np.nan)


def pool(scores: np.ndarray, draws: np.ndarray, subjects: list[str], seed: int) -> Draws:
    """Draws of the mean over subjects from scores (S,) and stimulus draws (D, S) of each subject."""
    stimuli = draws.mean(axis=1)
    if len(subjects) < ENOUGH_SUBJECTS:
        return Draws(stimuli)
    counts = subject_counts(subjects, len(draws), seed)
    return Draws(stimuli, weighted_mean(np.broadcast_to(scores, draws.shape), counts), weighted_mean(draws, counts))


def spread(draws: Draws, n_subjects: int, n_stimuli: int) -> tuple[float, int, str]:
    """Variance of the mean over subjects, its degrees of freedom, and what it generalises to."""
    if draws.both is None or draws.subjects is None:
        return float(stimulus_variance(draws.stimuli, n_stimuli)), n_stimuli - 1, "stimulus"
    parts = [variance(d) for d in (draws.both, draws.subjects, draws.stimuli)]
    v = dual_variance(*parts, n_subjects=n_subjects, n_stimuli=n_stimuli)
    return float(v), min(n_subjects, n_stimuli) - 1, "stimulus and subject"
