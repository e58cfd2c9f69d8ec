"""How often the truth is named, how far ahead it is, and what it is taken for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri
from scipy.stats import binom

CONFIDENCE = 0.95
VERDICTS = ("can tell", "only some", "cannot tell", "too few worlds to say")
# Worlds below which no verdict is given, and how often a guess may pass for knowing.
LEAST_WORLDS, LEVEL = 20, 0.025


def named(scores: np.ndarray) -> np.ndarray:
    """Which candidate each world is taken for: shares (w, K) that sum to 1, of the highest of scores (w, K).

    t candidates that tie have 1/t each. One without a score is never named, unless none has one.
    """
    values = np.where(np.isfinite(scores), scores, -np.inf)
    best = values == values.max(axis=1, keepdims=True)
    return best / best.sum(axis=1, keepdims=True)


def judged(scores: np.ndarray) -> np.ndarray:
    """Which worlds (w,) have any score (w, K): the others say nothing of a method, and are no guesses."""
    return np.asarray(np.isfinite(scores).any(axis=1))


def ranks(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Rank (w,) of the truth among scores (w, K), 1 for the highest, the mean of their ranks for those that tie."""
    values = np.where(np.isfinite(scores), scores, -np.inf)
    own = values[np.arange(len(truth)), truth][:, None]
    return 1.0 + (values > own).sum(axis=1) + 0.5 * ((values == own).sum(axis=1) - 1)


def others(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Score (w,) of the truth, and scores (w, K − 1) of the others."""
    mask = np.ones(scores.shape, dtype=bool)
    mask[np.arange(len(truth)), truth] = False
    return scores[~mask], scores[mask].reshape(len(scores), -1)


def wilson(hits: float, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's interval (1927, doi:10.1080/01621459.1927.10502953) of a rate; hits of ties may be fractions. NaN for n = 0."""
    if n == 0:
        return float("nan"), float("nan")
    z = float(ndtri(0.5 + confidence / 2.0))
    rate = hits / n
    middle = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * float(np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2)))
    # The limits of 0 and of 1 are themselves but for rounding.
    return max(min(middle - half, rate), 0.0), min(max(middle + half, rate), 1.0)


@dataclass(frozen=True)
class Rate:
    """How often the truth is named in n worlds, and within what limits that is known."""

    rate: float
    low: float
    high: float
    n: int


def rate_of(scores: np.ndarray, truth: np.ndarray) -> Rate:
    """The rate of worlds whose truth has the highest score, of those with any; NaN where there are none.

    Worlds are the samples: the interval is that of other worlds of the same kinds, not of other kinds of model. Truths take
    turns, so that the rate varies less than that of independent worlds, and the interval is rather too wide.
    """
    known = judged(scores)
    scores, truth = scores[known], truth[known]
    if not len(scores):
        return Rate(float("nan"), float("nan"), float("nan"), 0)
    hits = float(named(scores)[np.arange(len(truth)), truth].sum())
    return Rate(hits / len(scores), *wilson(hits, len(scores)), len(scores))


@dataclass(frozen=True)
class Standing:
    """Means over worlds.

    `rank`: of the truth. `margin`: its score less the best of the others', with its standard error `margin_sem` over worlds.
    `index`: (s_true − mean s_false) / (|s_true| + |mean s_false|). `true`, `false`: mean scores.
    """

    rank: float
    margin: float
    margin_sem: float
    index: float
    true: float
    false: float


def standing(scores: np.ndarray, truth: np.ndarray) -> Standing:
    """How the truth stands among scores (w, K); worlds in which it or all others have no score are left out of means."""
    own, rest = others(scores, truth)
    known = np.isfinite(own) & np.isfinite(rest).any(axis=1)
    asked = judged(scores)
    rank = float(ranks(scores[asked], truth[asked]).mean()) if asked.any() else float("nan")
    if not known.any():
        return Standing(rank, *(float("nan"),) * 5)
    own, rest = own[known], np.where(np.isfinite(rest[known]), rest[known], np.nan)
    margin, false = own - np.nanmax(rest, axis=1), np.nanmean(rest, axis=1)
    size = np.abs(own) + np.abs(false)
    index = np.divide(own - false, size, out=np.zeros_like(own), where=size > 0)
    sem = float(margin.std(ddof=1) / np.sqrt(len(margin))) if len(margin) > 1 else float("nan")
    return Standing(rank, float(margin.mean()), sem, float(index.mean()), float(own.mean()), float(false.mean()))


def confusion(scores: np.ndarray, truth: np.ndarray, kinds: int) -> np.ndarray:
    """Share (K, K) of the worlds of each truth (rows) that each kind (columns) is named in; NaN for a kind that is no truth."""
    known = judged(scores)
    scores, truth = scores[known], truth[known]
    shares, found = named(scores), np.full((kinds, kinds), np.nan)
    for kind in np.unique(truth):
        found[kind] = shares[truth == kind].mean(axis=0)
    return found


def beyond_chance(n: int, chance: float) -> float:
    """The least share of n worlds that a guess has in at most 2.5 % of cases, by the binomial distribution; above 1 if none."""
    return (float(binom.isf(LEVEL, n, chance)) + 1.0) / n


def verdict(found: Rate, table: np.ndarray, chance: float) -> str:
    """In words, whether the method can name models; `chance` is the most that one can have which knows nothing.

    "too few worlds to say": fewer than 20. "cannot tell": as many right or more would come of guesses in more than 2.5 % of
    cases. "can tell": even the lower limit of the rate's interval would not, and every kind that is ever the truth is named as
    itself more often than as any other. "only some": what is between.
    """
    if found.n < LEAST_WORLDS:
        return "too few worlds to say"
    least = beyond_chance(found.n, chance)
    # Shares of hits are sums of fractions: what is equal but for rounding is reached.
    if found.rate < least - 1e-9:
        return "cannot tell"
    asked = np.flatnonzero(np.isfinite(table).all(axis=1))
    right = all(table[k, k] > np.delete(table[k], k).max() for k in asked)
    return "can tell" if right and found.low >= least else "only some"
