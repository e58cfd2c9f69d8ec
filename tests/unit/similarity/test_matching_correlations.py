"""Correlations of units, the units that are taken, and the halves of stimuli they are matched on and judged by."""

import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.similarity.matching import unit_correlations
from isocortex.similarity.matching.correlations import FEWEST_IN_HALF, N_HALVINGS, directions, halvings, parted, standardised


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def every(n):
    return np.arange(n)


def test_correlations_are_those_of_numpy(rng):
    x, y = rng.normal(size=(20, 4)) * 3 + 5, rng.normal(size=(20, 6))
    expected = np.corrcoef(x.T, y.T)[:4, 4:]
    assert unit_correlations(x, y) == pytest.approx(expected, abs=1e-13)
    found = unit_correlations(torch.as_tensor(x), torch.as_tensor(y))
    assert isinstance(found, torch.Tensor)
    assert found.numpy() == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.eye(4)[:, :2], np.eye(5)[:, :2], "matching: found 4 stimuli in x and 5 in y, expected the same stimuli"),
        (np.c_[np.eye(4)[:, 0], np.full(4, 0.1)], np.eye(4), "matching: found 1 units of x that are constant; leave them out"),
        (np.eye(4), np.c_[np.eye(4), [0, 1, np.nan, 2]], "matching: found NaN or infinite values in y, expected finite ones"),
        (np.arange(4.0), np.eye(4), r"matching: found x of shape \(4,\), expected \(stimuli >= 2, units >= 1\)"),
    ],
    ids=["stimuli", "constant", "nan", "shape"],
)
def test_what_has_no_correlations_is_refused(x, y, message):
    with pytest.raises(DataError, match=message):
        unit_correlations(x, y)


@pytest.mark.parametrize("n", [6, 7, 24, 101])
def test_halvings_are_fixed_and_part_the_stimuli(n):
    found = halvings(n)
    assert len(found) == N_HALVINGS >= 2
    for one, other in found:
        assert np.array_equal(np.sort(np.r_[one, other]), every(n))
        assert min(len(one), len(other)) == n // 2 >= FEWEST_IN_HALF
    assert not np.array_equal(found[0][0], found[1][0])
    halvings.cache_clear()
    assert all(np.array_equal(a, b) for old, new in zip(found, halvings(n), strict=True) for a, b in zip(old, new, strict=True))


def test_units_that_vary_are_kept_with_mean_0_and_length_1(rng):
    x = rng.normal(size=(30, 5)) * [1, 1e-9, 1e9, 1, 1] + [0, 1e-3, 1, 1e8, 0]
    x[:, 4] = 0.1
    rows = np.sort(rng.permutation(30)[:20])
    found = standardised(x, rows, 1000).numpy()
    moved = x[rows, :4] - x[rows, :4].mean(0)
    assert found == pytest.approx(moved / np.linalg.norm(moved, axis=0), abs=1e-6)


def test_of_more_units_some_are_drawn_that_vary_always_the_same(rng):
    x = rng.normal(size=(10, 300))
    dead = rng.permutation(300)[:200]
    x[:, dead] = 3.0
    found = standardised(x, every(10), 60).numpy()
    assert found.shape == (10, 60)
    assert np.array_equal(found, standardised(torch.as_tensor(x), every(10), 60).numpy())
    alive = standardised(np.delete(x, dead, axis=1), every(10), 100).numpy()
    places = [np.flatnonzero((np.abs(alive - unit[:, None]) < 1e-12).all(0)).item() for unit in found.T]
    assert len(set(places)) == 60
    assert standardised(x, every(10), 150).shape == (10, 100)
    other = standardised(rng.normal(size=(10, 300)), every(10), 60)
    assert other.shape == (10, 60)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.eye(5), "found 5 stimuli, expected at least 6, 3 in each half; show more, or leave matchings out"),
        (np.ones((8, 3)), "found no unit that varies over 8 stimuli, expected at least one; leave it out"),
        (np.zeros((8, 0)), "found no unit that varies over 8 stimuli, expected at least one; leave it out"),
        (np.full((8, 3), np.inf), "found NaN or infinite values in a unit, expected finite ones; leave those units out"),
    ],
    ids=["few", "constant", "none", "infinite"],
)
def test_a_system_without_units_to_match_is_refused(x, message):
    with pytest.raises(DataError, match=f"matching: {message}"):
        standardised(x, every(len(x)), 1000)


def test_a_unit_that_varies_in_one_half_alone_is_left_out_of_that_halving(rng):
    x = rng.normal(size=(12, 3))
    x[1:, 1] = 0.0  # fires once: in one half of each halving only
    made = parted(standardised(x, every(12), 1000))
    assert [part.raw.shape for half in made for part in half] == [(6, 2)] * 2 * N_HALVINGS
    silent = parted(standardised(x[:, 1:2], every(12), 1000))
    assert list(directions(silent, made)) == []
    pairs = list(directions(made, made))
    assert len(pairs) == 2 * N_HALVINGS
    assert all(a.x.raw is not b.x.raw for a, b in pairs)


def test_a_half_seen_from_the_other_has_that_ones_mean_and_length(rng):
    x = standardised(rng.normal(size=(12, 3)), every(12), 1000)
    (one, other), *_ = parted(x)
    a, b = (x[torch.as_tensor(places)].numpy() for places in halvings(12)[0])
    mean, length = a.mean(0), np.linalg.norm(a - a.mean(0), axis=0)
    assert one.z.numpy() == pytest.approx((a - mean) / length, abs=1e-14)
    assert other.seen_from(one).numpy() == pytest.approx((b - mean) / length, abs=1e-14)
