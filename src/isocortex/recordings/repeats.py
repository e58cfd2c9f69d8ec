"""From presentations to trials: repeats of a stimulus side by side, padded with NaN where one is missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isocortex.errors import DataError

# Values that are averaged in float64 at a time.
BLOCK_VALUES = 1 << 22


def repeat_numbers(stimulus: np.ndarray) -> np.ndarray:
    """k for the k-th presentation (from 0) of its stimulus; `stimulus` is (n_presentations,) of ids or indices."""
    _, inverse = np.unique(stimulus, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    _, first, counts = np.unique(inverse[order], return_index=True, return_counts=True)
    numbers = np.empty(len(stimulus), dtype=np.int64)
    numbers[order] = np.arange(len(stimulus)) - np.repeat(first, counts)
    return numbers


def run_numbers(runs: np.ndarray) -> np.ndarray:
    """Runs as integers: their own numbers, else the order of their names; 0 where there is none."""
    try:
        return np.asarray([int(run) if run else 0 for run in runs], dtype=np.int64)
    except ValueError:
        return np.unique(runs, return_inverse=True)[1].astype(np.int64)


def presented(stimulus_ids: Sequence[str], shown: Sequence[str]) -> list[str]:
    """Those of `stimulus_ids`, in their order, that occur in `shown` (one id per presentation)."""
    seen = set(shown)
    return [stimulus for stimulus in stimulus_ids if stimulus in seen]


def trials(response: np.ndarray, shown: Sequence[str], stimulus_ids: Sequence[str]) -> np.ndarray:
    """Presentations as trials.

    Parameters
    ----------
    response : (n_presentations, n_neuroids); shown : the id of each presentation; stimulus_ids : the wanted stimuli, in order.

    Returns
    -------
    (n_stimuli, n_repeats, n_neuroids) of the same dtype, repeats in the order shown, NaN where a stimulus was shown less often.

    Raises
    ------
    DataError for a wanted stimulus that was never shown.
    """
    index, rows, counts = _presentations(shown, stimulus_ids)
    result = np.full((len(stimulus_ids), int(counts.max()), response.shape[1]), np.nan, dtype=response.dtype)
    result[index, repeat_numbers(index)] = response[rows]
    return result


def places(shown: Sequence[str], stimulus_ids: Sequence[str]) -> np.ndarray:
    """Where each trial of `trials` stands among the presentations: int64 (n_stimuli, n_repeats), -1 where there is none.

    `shown` is the id of each presentation; raises `DataError` for a wanted stimulus that was never shown.
    """
    index, rows, counts = _presentations(shown, stimulus_ids)
    result = np.full((len(stimulus_ids), int(counts.max())), -1, dtype=np.int64)
    result[index, repeat_numbers(index)] = rows
    return result


def _presentations(shown: Sequence[str], stimulus_ids: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the presentations of wanted stimuli: which stimulus, which place; and how many each stimulus has."""
    position = {stimulus: index for index, stimulus in enumerate(stimulus_ids)}
    index = np.asarray([position.get(stimulus, -1) for stimulus in shown], dtype=np.int64)
    rows = np.flatnonzero(index >= 0)
    index = index[rows]
    counts = np.bincount(index, minlength=len(stimulus_ids))
    if len(counts) == 0 or counts.min() == 0:
        missing = stimulus_ids[int(counts.argmin())] if len(counts) else "any"
        raise DataError(f"trials: no presentation of stimulus {missing!r}; leave it out of the split, or correct the recording")
    return index, rows, counts


def average(trial_responses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over valid repeats, and how many there are.

    `trial_responses` is (n_stimuli, n_repeats, n_neuroids) with NaN for a missing one; returns mean (n_stimuli, n_neuroids) in
    the same dtype (summed in float64; NaN where no repeat is valid) and counts (n_stimuli, n_neuroids).
    """
    n_stimuli, n_repeats, n_neuroids = trial_responses.shape
    mean = np.empty((n_stimuli, n_neuroids), dtype=trial_responses.dtype)
    counts = np.empty((n_stimuli, n_neuroids), dtype=np.int16)
    step = max(1, BLOCK_VALUES // max(1, n_repeats * n_neuroids))
    for start in range(0, n_stimuli, step):  # float64 copies of some stimuli at a time, not of all
        rows = slice(start, start + step)
        valid = np.isfinite(trial_responses[rows])
        counts[rows] = valid.sum(axis=1)
        total = np.where(valid, trial_responses[rows], 0).sum(axis=1, dtype=np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean[rows] = total / counts[rows]
    return mean, counts
