"""Rows of matchings: held-out values, what they mind and do not, what identical and unrelated systems get, and refusals."""

import itertools

import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.inference import nulls
from isocortex.inference.summary_tables import SummaryTable
from isocortex.similarity import METRICS
from isocortex.similarity.matching.assignment import shared_out
from isocortex.similarity.matching.correlations import halvings
from isocortex.similarity.metric import INVARIANCES
from isocortex.similarity.summaries import compare_systems

NAMES = ("one_to_one", "soft_matching", "one_to_many", "many_to_many", "best_buddies")
N = 24


def arrays(seed=0, n=N, p=5, q=7):
    rng = np.random.default_rng(seed)
    x = 2.0 * rng.normal(size=(n, p)) + rng.normal(size=p)
    return x, x @ rng.normal(size=(p, q)) / 2 + 0.5 * rng.normal(size=(n, q)), rng


def value(name, x, y, **options):
    return METRICS[name].bind()(x, y, **options)


def halves(n):
    for one, other in halvings(n):
        yield one, other
        yield other, one


def correlations(x, y):
    return np.array([[np.corrcoef(a, b)[0, 1] for b in y.T] for a in x.T])


def matched_by_hand(c, judged):
    best = max(itertools.permutations(range(c.shape[1]), c.shape[0]), key=lambda js: sum(c[i, j] for i, j in enumerate(js)))
    return np.sum([judged[i, j] for i, j in enumerate(best)]) / c.shape[1]


def buddies_by_hand(c, judged):
    pairs = [(i, j) for i, j in np.ndindex(c.shape) if c[i, j] == c[i].max() == c[:, j].max()]
    return np.mean([judged[p] for p in pairs]) * len({j for _, j in pairs}) / c.shape[1]


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        ("one_to_one", matched_by_hand),
        ("soft_matching", lambda c, judged: (shared_out(c) * judged).sum()),
        ("best_buddies", buddies_by_hand),
    ],
    ids=["one_to_one", "soft_matching", "best_buddies"],
)
def test_values_are_matched_on_one_half_and_judged_by_the_other(name, by_hand):
    x, y, _ = arrays()
    expected = np.mean([by_hand(correlations(x[a], y[a]), correlations(x[b], y[b])) for a, b in halves(N)])
    assert value(name, x, y) == pytest.approx(expected, abs=1e-12)
    assert value(name, torch.as_tensor(x), torch.as_tensor(y)) == pytest.approx(expected, abs=1e-12)


TRANSFORMS = {
    "rotation": lambda x, rng: x @ np.linalg.qr(rng.normal(size=(x.shape[1], x.shape[1])))[0],
    "permutation": lambda x, rng: x[:, rng.permutation(x.shape[1])],
    "isotropic_scale": lambda x, rng: 3.7 * x,
    "translation": lambda x, rng: x + rng.normal(size=x.shape[1]),
    "pattern_offset": lambda x, rng: x + rng.normal(size=(len(x), 1)),
    "pattern_scale": lambda x, rng: x * rng.uniform(0.2, 5, size=(len(x), 1)),
    "affine": lambda x, rng: x @ (np.eye(x.shape[1]) + 0.8 * rng.normal(size=(x.shape[1], x.shape[1]))),
    "stimulus_order": None,
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("transform", sorted(TRANSFORMS))
def test_declared_invariances_hold_and_undeclared_ones_fail(name, transform):
    assert set(TRANSFORMS) == INVARIANCES
    x, y, rng = arrays(p=9)  # as many active units as there are would be a regression, which no rotation changes
    if transform == "stimulus_order":
        order = rng.permutation(N)
        moved = value(name, x[order], y[order])
    else:
        moved = value(name, TRANSFORMS[transform](x, rng), y)
        if transform in METRICS[name].invariances:
            assert value(name, x, TRANSFORMS[transform](y, rng)) == pytest.approx(value(name, x, y), abs=1e-9)
    change = abs(moved - value(name, x, y))
    assert change < 1e-9 if transform in METRICS[name].invariances else change > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_many_units_in_another_order_have_the_same_value(name):
    x, y, rng = arrays(3, 60, 40, 30)
    found = value(name, x, y)
    assert value(name, x[:, rng.permutation(40)], y[:, rng.permutation(30)]) == pytest.approx(found, abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_symmetry_is_as_declared(name):
    x, y, _ = arrays()
    change = abs(value(name, x, y) - value(name, y, x))
    assert change < 1e-9 if METRICS[name].symmetric else change > 1e-3
    low, high = METRICS[name].range
    assert low <= value(name, x, y) <= high


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("n", "p"), [(24, 6), (12, 40), (6, 3), (30, 1)], ids=["n > p", "p > n", "fewest", "one unit"])
def test_identical_systems_get_1(name, n, p):
    x = np.random.default_rng(1).normal(size=(n, p))
    assert value(name, x, x) == pytest.approx(1.0, abs=1e-9)
    # Copies, constants, and units that fire once change nothing.
    more = np.c_[x, x[:, :1], np.full(n, 0.3), np.eye(n)[:, 0]]
    assert value(name, more, more) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("p", [10, 100])
def test_unrelated_noise_gets_0_once_its_null_is_taken_away(name, p):
    method = METRICS[name].summarised({})
    left = []
    for seed in range(60 if p == 10 else 20):
        rng = np.random.default_rng([seed, p])
        x, y = (method.of(rng.normal(size=(50, p)), np.arange(50)) for _ in range(2))
        null = method.compare([method.permuted(x, rng.permutation(50)) for _ in range(3)], [y])
        left.append(method.compare([x], [y])[0, 0] - null.mean())
    error = np.std(left, ddof=1) / np.sqrt(len(left))
    assert abs(np.mean(left)) < 3.5 * error < 0.06


@pytest.mark.parametrize("name", ["one_to_one", "soft_matching", "many_to_many", "best_buddies"])
def test_units_that_go_together_by_r_get_r(name):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(2000, 20))
    y = (0.6 * x + 0.8 * rng.normal(size=x.shape))[:, rng.permutation(20)]
    assert value(name, x, y) == pytest.approx(0.6, abs=0.02)


def test_units_split_and_merged_are_found_by_those_that_can():
    rng = np.random.default_rng(6)
    x = rng.normal(size=(300, 10))
    split = 0.8 * np.repeat(x, 2, axis=1) + 0.6 * rng.normal(size=(300, 20))
    together = np.hypot(0.8, 0.6 / np.sqrt(2))
    assert value("soft_matching", x, split) == pytest.approx(0.8, abs=0.03)
    assert value("soft_matching", split, x) == pytest.approx(0.8, abs=0.03)
    assert value("many_to_many", x, split) == pytest.approx(0.8 / together, abs=0.02)
    assert value("one_to_many", x, split, active=1) == pytest.approx(0.64, abs=0.04)
    assert value("one_to_many", split, x, active=2) == pytest.approx((0.8 / together) ** 2, abs=0.04)
    # Half of the split units have a buddy: the other half go with a unit whose best is their twin.
    assert value("best_buddies", x, split) == pytest.approx(0.4, abs=0.03)
    assert value("best_buddies", split, x, top=2) == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("name", NAMES)
def test_the_null_varies_and_is_the_functions(name):
    x, y, _ = arrays()
    orders = nulls.permutations(N, 8, 0)
    made = SummaryTable([torch.as_tensor(y)], [torch.as_tensor(x)], METRICS[name].summarised({}), np.arange(N), True)
    found = made.permuted((orders, np.arange(N)[None]))[:, 0, 0]
    assert np.std(found) > 1e-3
    assert found == pytest.approx([value(name, x[order], y) for order in orders], abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_draws_and_halves_are_the_function_of_their_stimuli(name):
    x, y, rng = arrays()
    x[:, 0] = np.eye(N)[:, 5]  # varies on some of the stimuli
    kept = np.setdiff1d(np.sort(rng.permutation(N)[:18]), [5])
    counts = np.zeros((1, N), dtype=np.int64)
    counts[0, kept] = 2
    method = METRICS[name].summarised({})
    made = SummaryTable([torch.as_tensor(y)], [torch.as_tensor(x)], method, np.arange(N), True)
    assert made.drawn(counts)[0, 0, 0] == pytest.approx(value(name, x[kept], y[kept]), abs=1e-9)
    mask = np.isin(np.arange(N), kept)
    assert made.halves(mask[None], np.arange(N)[None])[0, 0, 0, 0] == pytest.approx(value(name, x[kept], y[kept]), abs=1e-9)
    assert compare_systems(method, torch.as_tensor(x), torch.as_tensor(y)) == value(name, x, y)


@pytest.mark.parametrize("name", NAMES)
def test_lists_are_compared_pair_by_pair(name):
    method = METRICS[name].summarised({})
    first = [method.of(np.random.default_rng(k).normal(size=(20, 3 + k)), np.arange(20)) for k in range(3)]
    second = [method.of(np.random.default_rng(9 + k).normal(size=(20, 4)), np.arange(20)) for k in range(2)]
    found = method.compare(first, second)
    assert found == pytest.approx(np.array([[method.compare([a], [b])[0, 0] for b in second] for a in first]), abs=1e-12)
    assert (len(first[0]), method.permuting) == (20, METRICS[name].cost)


@pytest.mark.parametrize("name", NAMES)
def test_degenerate_systems_have_one_answer(name):
    x, y, rng = arrays()
    one = value(name, x, y[:, :1]), value(name, x[:, :1], y[:, :1])
    assert np.isfinite(one).all()
    assert np.isfinite(value(name, np.repeat(x[:8], 3, axis=0), np.repeat(y[:8], 3, axis=0)))
    assert value(name, np.c_[x, np.full(N, 7.0)], y) == pytest.approx(value(name, x, y), abs=1e-12)
    assert np.isfinite(value(name, x[:6], y[:6]))
    # A unit that fires once varies in one half alone: nothing can be matched there and judged here.
    assert np.isnan(value(name, np.eye(N)[:, :1], y))
    with pytest.raises(DataError, match="matching: found 2 stimuli, expected at least 6, 3 in each half"):
        value(name, x[:2], y[:2])
    with pytest.raises(DataError, match="matching: found no unit that varies over 24 stimuli"):
        value(name, np.ones((N, 3)), y)
    with pytest.raises(
        DataError, match=rf"{name}: found arrays of shapes \(24, 5\) and \(20, 7\), expected \(stimuli, units\)"
    ):
        value(name, x, y[:20])
    drawn = value(name, rng.normal(size=(N, 30)), y, units=10)
    assert np.isfinite(drawn)


def test_no_pair_of_buddies_is_0_and_the_number_of_groups_is_an_option():
    x, y, _ = arrays(2)
    assert value("many_to_many", x, y, groups=2) != value("many_to_many", x, y, groups=4)
    assert value("best_buddies", x, y, top=3) != value("best_buddies", x, y)
    assert value("one_to_many", x, y, active=1) != value("one_to_many", x, y, active=5)


def test_a_narrow_layer_is_not_preferred_for_having_few_units_to_match():
    """Two of the region's own twenty neuroids are no better than all of them with noise; the wide layer loses nothing."""
    rng = np.random.default_rng(8)
    y = rng.normal(size=(400, 20))
    wide = np.c_[0.8 * y + 0.6 * rng.normal(size=y.shape), rng.normal(size=(400, 10))]
    assert value("one_to_one", y[:, :2], y) == pytest.approx(2 / 20, abs=1e-9)
    assert value("one_to_one", wide, y) == pytest.approx(0.8, abs=0.02)
    assert value("one_to_one", y, y[:, :2]) == pytest.approx(1.0, abs=1e-9)


def test_one_neuroid_that_is_badly_fitted_does_not_decide_one_to_many():
    """By a unit each; the outlier is a neuroid that one half predicts with a slope that fails by far on the other."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(60, 6))
    y = 0.8 * x + 0.6 * rng.normal(size=x.shape)
    fits = []
    for a, b in halves(60):
        r = correlations(x[a], y[a])
        best = np.abs(r).argmax(axis=0)
        slope = [np.cov(x[a][:, i], y[a][:, j])[0, 1] / x[a][:, i].var(ddof=1) for j, i in enumerate(best)]
        predicted = y[a].mean(0) + slope * (x[b][:, best] - x[a][:, best].mean(0))
        fits.append(1 - ((y[b] - predicted) ** 2).sum(0) / ((y[b] - y[a].mean(0)) ** 2).sum(0))
    assert value("one_to_many", x, y, active=1) == pytest.approx(np.mean(np.median(fits, axis=1)), abs=1e-9)
    first, second = next(iter(halvings(60)))
    wild = y[:, 0].copy()
    wild[first], wild[second] = 100 * x[first, 0], -x[second, 0]  # a neuroid that turns round between the halves
    spoilt = np.c_[y, wild]
    assert value("one_to_many", x, spoilt, active=1) > 0.4
