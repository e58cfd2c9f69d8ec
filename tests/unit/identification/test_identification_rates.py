"""Names, ranks, intervals, margins and verdicts of scores that are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, norm, rankdata

from isocortex.identification.rates import Rate, beyond_chance, confusion, named, ranks, rate_of, standing, verdict, wilson

SCORES = np.array([[3.0, 1.0, 2.0], [1.0, 1.0, 0.0], [np.nan, -1.0, -2.0], [np.nan, np.nan, np.nan], [0.0, 2.0, 1.0]])
TRUTH = np.array([0, 1, 0, 2, 2])


def test_ties_share_a_name_and_what_has_no_score_is_not_named() -> None:
    third = 1 / 3
    assert np.allclose(named(SCORES), [[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [third, third, third], [0, 1, 0]])
    # The fourth world has no score at all, and does not count.
    assert rate_of(SCORES, TRUTH).rate == pytest.approx((1 + 0.5 + 0 + 0) / 4)
    assert rate_of(SCORES, TRUTH).n == 4
    assert np.allclose(ranks(SCORES, TRUTH), [1, 1.5, 3, 2, 2])


def test_ranks_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    scores, truth = rng.integers(0, 4, (50, 8)).astype(float), rng.integers(0, 8, 50)
    expected = [rankdata(-row)[t] for row, t in zip(scores, truth, strict=True)]
    assert np.array_equal(ranks(scores, truth), expected)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (10, 10), (3.5, 24), (120, 200)], ids=["none", "all", "ties", "many"])
def test_the_interval_ends_where_the_score_test_does(hits: float, n: int) -> None:
    """Limits p of Wilson solve |hits/n − p| = z √(p(1 − p)/n)."""
    z = norm.ppf(0.975)
    for limit in wilson(hits, n):
        assert (hits / n - limit) ** 2 == pytest.approx(z**2 * limit * (1 - limit) / n, abs=1e-14)
    assert wilson(hits, n)[0] <= hits / n <= wilson(hits, n)[1]


def test_no_worlds_have_no_rate() -> None:
    found = rate_of(np.empty((0, 3)), np.empty(0, dtype=int))
    assert found.n == 0
    assert np.isnan([found.rate, found.low, found.high, *wilson(0.0, 0)]).all()


def test_margins_and_indices_by_hand() -> None:
    scores = np.array([[0.5, 0.3, 0.1], [0.2, 0.6, np.nan], [np.nan, 0.1, 0.1]])
    found = standing(scores, np.array([0, 0, 0]))
    assert found.margin == pytest.approx((0.2 - 0.4) / 2)
    assert found.margin_sem == pytest.approx(np.std([0.2, -0.4], ddof=1) / np.sqrt(2))
    assert found.index == pytest.approx(((0.5 - 0.2) / 0.7 + (0.2 - 0.6) / 0.8) / 2)
    assert (found.true, found.false) == (pytest.approx(0.35), pytest.approx(0.4))
    nothing = standing(np.full((2, 3), np.nan), np.array([0, 1]))
    assert np.isnan([nothing.rank, nothing.margin, nothing.margin_sem, nothing.index]).all()


def test_confusions_sum_to_one_for_kinds_that_are_truths() -> None:
    found = confusion(SCORES, np.array([0, 0, 0, 2, 2]), 3)
    assert np.allclose(found[0], [0.5, 0.5, 0.0])
    assert np.isnan(found[1]).all()
    assert found[2].sum() == pytest.approx(1.0)


_GOOD, _MIXED = np.array([[0.8, 0.2], [0.3, 0.7]]), np.array([[1.0, 0.0], [0.6, 0.4]])


@pytest.mark.parametrize(
    ("rate", "low", "table", "expected"),
    [
        (0.75, 0.68, _GOOD, "can tell"),
        (0.7, 0.63, _MIXED, "only some"),
        # Guesses are right in 115 of 200 worlds or more in 2 % of cases, in 114 in 2.8 %.
        (0.575, 0.5, _GOOD, "only some"),
        (0.62, 0.55, _GOOD, "only some"),
        (0.57, 0.5, _GOOD, "cannot tell"),
        (0.3, 0.2, _MIXED, "cannot tell"),
    ],
    ids=["all", "one is taken for another", "just beyond", "not surely", "chance", "below"],
)
def test_verdicts(rate: float, low: float, table: np.ndarray, expected: str) -> None:
    assert verdict(Rate(rate, low, 1.0, 200), table, 0.5) == expected


@pytest.mark.parametrize(("n", "chance"), [(24, 0.125), (100, 0.125), (200, 0.5)], ids=["heavy", "costly", "two kinds"])
def test_verdicts_go_by_the_exact_tail_of_guesses(n: int, chance: float) -> None:
    least = round(beyond_chance(n, chance) * n)
    tails = [binomtest(hits, n, chance, alternative="greater").pvalue for hits in (least - 1, least)]
    assert tails[1] <= 0.025 < tails[0]


def test_few_worlds_say_nothing() -> None:
    assert verdict(Rate(1.0, 0.83, 1.0, 19), _GOOD, 0.5) == "too few worlds to say"
    assert verdict(Rate(1.0, 0.83, 1.0, 20), _GOOD, 0.5) == "can tell"


def test_worlds_without_any_score_do_not_count() -> None:
    scores, truth = np.array([[1.0, 0.0], [np.nan, np.nan], [0.0, 1.0], [np.nan, np.nan]]), np.array([0, 0, 0, 1])
    assert (rate_of(scores, truth).rate, rate_of(scores, truth).n) == (0.5, 2)
    assert standing(scores, truth).rank == 1.5
    table = confusion(scores, truth, 2)
    assert np.array_equal(table[0], [0.5, 0.5])
    assert np.isnan(table[1]).all()
    assert np.isnan(rate_of(scores[1:2], truth[1:2]).rate)
