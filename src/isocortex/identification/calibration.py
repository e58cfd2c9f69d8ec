"""How sure a method may say it is: probabilities of the candidates from their scores, and whether they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isocortex.identification.rates import named
from isocortex.identification.worlds import stream

FOLDS = 5
BINS = 10
# Draws of outcomes that the stated probabilities hold for.
_DRAWS = 2000
_CALIBRATION = 100  # a stream of random numbers of its own
# Softmaxes that are tried: scores that differ by a typical spread are so many powers of e apart. Then finer ones.
_FLATTEST, _STEEPEST, _STEPS = 0.01, 200.0, 100
_ROUNDS, _FINER = 3, 21


@dataclass(frozen=True)
class Calibration:
    """Stated probabilities and what came of them.

    `stated` (w, K): probabilities of candidates, from the temperature of other worlds. `temperature`: of all worlds together.
    `ece`: mean over bins of as many worlds of |mean probability of the named one − share of worlds where it is right|;
    `ece_expected` and `ece_limit`: the mean and 95 % quantile of the same for outcomes that the probabilities hold for.
    `bins` (B, 3): mean probability, share that is right, number of worlds.
    """

    stated: np.ndarray
    temperature: float
    ece: float
    ece_expected: float
    ece_limit: float
    bins: np.ndarray


def calibrate(scores: np.ndarray, truth: np.ndarray, groups: Sequence[object], seed: int = 0) -> Calibration:
    """Softmax of scores (w, K) by a temperature that worlds with other networks as truth have fitted.

    `groups` (w,): the network that is the truth of each world; worlds of one are in one fold. Everything is NaN with
    fewer than two.
    """
    values, numbers = _filled(scores), _numbers(groups)
    n_groups = int(numbers.max(initial=-1)) + 1
    rng = stream(seed, _CALIBRATION)
    if n_groups < 2:
        nothing = float("nan")
        return Calibration(np.full(scores.shape, np.nan), nothing, nothing, nothing, nothing, np.full((0, 3), np.nan))
    fold = (rng.permutation(n_groups) % min(FOLDS, n_groups))[numbers]
    stated = np.empty(values.shape)
    for number in range(int(fold.max()) + 1):
        held = fold == number
        stated[held] = softmax(values[held], slope(values[~held], truth[~held]))
    whole = slope(values, truth)
    sure = stated.max(axis=1)
    hit = named(scores)[np.arange(len(truth)), truth]
    error, bins = expected_error(sure, hit)
    chance = _errors_that_hold(sure, rng)
    limits = float(np.mean(chance)), float(np.quantile(chance, 0.95))
    return Calibration(stated, 1.0 / whole if whole > 0 else float("inf"), error, *limits, bins)


def expected_error(stated: np.ndarray, hit: np.ndarray, bins: int = BINS) -> tuple[float, np.ndarray]:
    """Expected calibration error (Naeini et al. 2015) in bins of equally many worlds, and the bins (B, 3).

    `stated` (w,): probability of the named candidate; `hit` (w,): 1 where it is the truth, a share where several tie.
    """
    parts = np.array_split(np.argsort(stated, kind="stable"), min(bins, len(stated)))
    table = np.array([(stated[part].mean(), np.asarray(hit, dtype=np.float64)[part].mean(), len(part)) for part in parts])
    return float((table[:, 2] * np.abs(table[:, 0] - table[:, 1])).sum() / table[:, 2].sum()), table


def _errors_that_hold(stated: np.ndarray, rng: np.random.Generator, bins: int = BINS) -> np.ndarray:
    """`expected_error` of outcomes drawn with the stated probabilities (w,), again and again."""
    parts = np.array_split(np.sort(stated, kind="stable"), min(bins, len(stated)))
    errors = np.zeros(_DRAWS)
    for part in parts:
        errors += np.abs((rng.random((_DRAWS, len(part))) < part).mean(axis=1) - part.mean()) * len(part)
    return errors / len(stated)


def softmax(scores: np.ndarray, slope: float) -> np.ndarray:
    """Probabilities (w, K), proportional to exp(slope · score)."""
    raised = np.exp(slope * (scores - scores.max(axis=1, keepdims=True)))
    return raised / raised.sum(axis=1, keepdims=True)


def slope(scores: np.ndarray, truth: np.ndarray) -> float:
    """One over the temperature under which confidence in the named one is most likely; 0 if scores (w, K) tell nothing.

    The likelihood is that of the named one being right or wrong. That of the truth among all candidates would suit each of
    these better, but where worlds differ in how much scores tell, it leaves too little confidence in the named one: in
    simulations with 4000 worlds its calibration error is up to twice as large. One world more, half right and half wrong,
    keeps the slope finite where the named one is always right.
    """
    spread = float(scores.std(axis=1).mean())
    if spread <= 0:
        return 0.0
    hit = named(scores)[np.arange(len(truth)), truth]

    def likelihood(at: float) -> float:
        raised = np.exp(at * (scores - scores.max(axis=1, keepdims=True)))
        total = raised.sum(axis=1)
        right = -np.log(total)
        wrong = np.log(np.maximum(total - 1.0, np.finfo(float).tiny)) + right
        return float((hit * right + (1.0 - hit) * wrong).sum() + 0.5 * (right + wrong).mean())

    grid = np.concatenate([[0.0], np.geomspace(_FLATTEST, _STEEPEST, _STEPS) / spread])
    best = 0
    for finer in range(1 + _ROUNDS):
        if finer:
            grid = np.linspace(grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)], _FINER)
        best = int(np.argmax([likelihood(float(at)) for at in grid]))
    return float(grid[best])


def _filled(scores: np.ndarray) -> np.ndarray:
    """Candidates without a score have the lowest of their world; worlds without any, 0."""
    finite = np.isfinite(scores)
    least = np.where(finite, scores, np.inf).min(axis=1, keepdims=True)
    return np.where(finite, scores, np.where(np.isfinite(least), least, 0.0))


def _numbers(groups: Sequence[object]) -> np.ndarray:
    """Groups by number, in the order in which they first come."""
    place = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    return np.array([place[group] for group in groups])
