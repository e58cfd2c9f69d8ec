"""Crossnobis and cross-validated Poisson distances against loops over pairs of stimuli and repeats."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.similarity.rdm import crossnobis, poisson, poisson_cv, rdm, to_square


def trials_of(n=6, repeats=4, p=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 1, p)) + rng.normal(size=(n, repeats, p)) + 20.0


def spd(p, seed=0):
    root = np.random.default_rng(seed).normal(size=(p, p))
    return root @ root.T + np.eye(p)


def missing(trials, seed=1, share=0.35):
    """Repeats that are absent at random, one of which in one neuroid only."""
    holes = trials.copy()
    holes[np.random.default_rng(seed).random(trials.shape[:2]) < share] = np.nan
    holes[0, 0, 1] = np.nan
    return holes


def naive_crossnobis(trials, metric=None):
    """Every ordered pair of repeats that both stimuli have, one by one."""
    n, repeats, p = trials.shape
    metric = np.eye(p) if metric is None else metric
    valid = np.isfinite(trials).all(2)
    values = []
    for i, j in combinations(range(n), 2):
        found = [
            (trials[i, a] - trials[j, a]) @ metric @ (trials[i, b] - trials[j, b]) / p
            for a, b in permutations(range(repeats), 2)
            if valid[i, a] and valid[i, b] and valid[j, a] and valid[j, b]
        ]
        values.append(np.mean(found) if found else np.nan)
    return np.array(values)


def left_out(trials, metric):
    """As it is usually written: the mean of the training repeats against the one left out."""
    n, repeats, p = trials.shape
    values = np.zeros(n * (n - 1) // 2)
    for test in range(repeats):
        train = np.delete(trials, test, axis=1).mean(1)
        for k, (i, j) in enumerate(combinations(range(n), 2)):
            values[k] += (train[i] - train[j]) @ metric @ (trials[i, test] - trials[j, test]) / p / repeats
    return values


@pytest.mark.parametrize("repeats", [2, 3, 7])
@pytest.mark.parametrize("p", [1, 5, 40])
def test_crossnobis_equals_loops_over_pairs_and_over_left_out_repeats(repeats, p):
    trials, metric = trials_of(repeats=repeats, p=p), spd(p)
    assert crossnobis(trials) == pytest.approx(naive_crossnobis(trials), rel=1e-9, abs=1e-12)
    found = crossnobis(trials, metric)
    assert found == pytest.approx(naive_crossnobis(trials, metric), rel=1e-9, abs=1e-9)
    assert found == pytest.approx(left_out(trials, metric), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_missing_repeats_leave_the_pairs_that_both_stimuli_have(seed):
    trials, metric = missing(trials_of(n=9), seed), spd(5)
    expected = naive_crossnobis(trials, metric)
    assert np.isnan(expected).any()
    assert np.isfinite(expected).any()
    np.testing.assert_allclose(crossnobis(trials, metric), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(poisson_cv(np.abs(trials)), naive_poisson_cv(np.abs(trials)), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("function", [crossnobis, poisson_cv])
def test_a_repeat_that_nobody_has_changes_nothing(function):
    trials = trials_of()
    padded = np.concatenate([trials, np.full((6, 2, 5), np.nan)], axis=1)  # takes the way of missing repeats
    assert function(padded) == pytest.approx(function(trials), rel=1e-12, abs=1e-13)


def test_a_precision_for_each_repeat():
    trials, metrics = missing(trials_of(n=7)), [spd(5, seed) for seed in range(4)]
    for holes in (trials, trials_of(n=7)):
        expected = []
        for i, j in combinations(range(7), 2):
            found = []
            for a, b in combinations(range(4), 2):
                between = np.linalg.inv((np.linalg.inv(metrics[a]) + np.linalg.inv(metrics[b])) / 2)
                found.append((holes[i, a] - holes[j, a]) @ between @ (holes[i, b] - holes[j, b]) / 5)
            expected.append(np.nanmean(found) if np.isfinite(found).any() else np.nan)
        np.testing.assert_allclose(crossnobis(holes, metrics), expected, rtol=1e-9, atol=1e-9)
    same = [spd(5)] * 4
    assert crossnobis(trials_of(), same) == pytest.approx(crossnobis(trials_of(), spd(5)), rel=1e-9)


def test_leading_axes_are_separate_problems():
    trials = np.stack([trials_of(seed=seed) for seed in range(6)]).reshape(2, 3, 6, 4, 5)
    own = np.stack([spd(5, seed) for seed in range(6)]).reshape(2, 3, 5, 5)
    holes = trials.copy()
    holes[1, 1, 2, 1:3] = np.nan
    found, shared, incomplete, counts = crossnobis(trials, own), crossnobis(trials), crossnobis(holes, own), poisson_cv(holes)
    for place in np.ndindex(2, 3):
        assert found[place] == pytest.approx(naive_crossnobis(trials[place], own[place]), rel=1e-9, abs=1e-9)
        assert shared[place] == pytest.approx(naive_crossnobis(trials[place]), rel=1e-9, abs=1e-9)
        np.testing.assert_allclose(incomplete[place], naive_crossnobis(holes[place], own[place]), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(counts[place], naive_poisson_cv(holes[place]), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("function", [crossnobis, poisson_cv])
def test_tensors_give_tensors_and_float32_is_computed_in_float64(function):
    trials = trials_of()
    tensor = function(torch.as_tensor(trials))
    assert isinstance(tensor, torch.Tensor)
    assert np.array_equal(tensor.numpy(), function(trials))
    narrow = function(trials.astype(np.float32))
    assert narrow.dtype == np.float64
    assert narrow == pytest.approx(function(trials), rel=1e-4, abs=1e-4)  # of inputs around 20 with seven digits


def test_equal_patterns_are_0_apart_on_average_and_stay_negative():
    rng = np.random.default_rng(0)
    trials = rng.normal(size=(400, 8, 2, 10))  # 400 data sets, in which no stimulus differs from another
    distances = crossnobis(trials)
    error = distances.std() / np.sqrt(400)
    assert abs(distances.mean()) < 4 * error
    assert 0.3 < (distances < 0).mean() < 0.7
    assert rdm(trials.mean(2), "euclidean").mean() == pytest.approx(1.0, abs=0.1)  # two of variance one, of two repeats each
    rates = poisson_cv(rng.poisson(5.0, size=(400, 8, 2, 10)))
    assert abs(rates.mean()) < 4 * rates.std() / np.sqrt(400)
    assert (rates < 0).any()


def test_the_distance_that_is_there_is_found():
    rng = np.random.default_rng(1)
    signal = rng.normal(size=(1, 5, 1, 12))
    truth = rdm(signal[0, :, 0], "euclidean")
    found = crossnobis(signal + 2.0 * rng.normal(size=(3000, 5, 3, 12)))
    assert found.mean(0) == pytest.approx(truth, abs=4 * found.std(0).max() / np.sqrt(3000))


def naive_poisson_cv(trials, prior_rate=1.0, prior_weight=0.1):
    n, repeats, _ = trials.shape
    valid = np.isfinite(trials).all(2)

    def rate(mean):
        return (mean + prior_rate * prior_weight) / (1 + prior_weight)

    def trained(i, b):
        others = [a for a in range(repeats) if a != b and valid[i, a]]
        return rate(trials[i, others].mean(0)) if others else None

    values = []
    for i, j in combinations(range(n), 2):
        found = []
        for b in range(repeats):
            first, second = trained(i, b), trained(j, b)
            if valid[i, b] and valid[j, b] and first is not None and second is not None:
                found.append(((first - second) * (np.log(rate(trials[i, b])) - np.log(rate(trials[j, b])))).mean())
        values.append(np.mean(found) if found else np.nan)
    return np.array(values)


@pytest.mark.parametrize("prior", [{}, {"prior_rate": 2.0, "prior_weight": 0.5}])
@pytest.mark.parametrize("repeats", [2, 5])
def test_poisson_distances_equal_loops(repeats, prior):
    counts = np.random.default_rng(0).poisson(2.0, size=(7, repeats, 6)).astype(float)
    assert poisson_cv(counts, **prior) == pytest.approx(naive_poisson_cv(counts, **prior), rel=1e-10, abs=1e-13)
    weight, rate = prior.get("prior_weight", 0.1), prior.get("prior_rate", 1.0)
    rates = (counts.mean(1) + rate * weight) / (1 + weight)
    expected = [((rates[i] - rates[j]) * np.log(rates[i] / rates[j])).mean() for i, j in combinations(range(7), 2)]
    assert poisson(counts.mean(1), **prior) == pytest.approx(expected, rel=1e-10, abs=1e-13)
    batch = np.stack([counts.mean(1), counts.mean(1) + 1])
    assert poisson(batch, **prior)[0] == pytest.approx(expected, rel=1e-10, abs=1e-13)
    # Cross-validated on repeats that are all alike it is the plain one.
    alike = np.repeat(counts[:, :1], 3, axis=1)
    assert poisson_cv(alike, **prior) == pytest.approx(poisson(counts[:, 0], **prior), rel=1e-10, abs=1e-13)


def test_stimuli_of_equal_counts_are_exactly_0_apart():
    counts = np.random.default_rng(0).poisson(3.0, size=(30, 200)).astype(float)
    counts[[4, 9]] = counts[1]
    square = to_square(poisson(counts))
    assert not square[np.ix_([1, 4, 9], [1, 4, 9])].any()
    assert np.count_nonzero(square) == 30 * 29 - 6


def test_what_are_no_counts_is_refused():
    counts = np.random.default_rng(0).poisson(3.0, size=(5, 2, 4)).astype(float)
    counts[0, 0, :2] = -1
    message = "found 2 negative values of 40, expected counts; choose rdm: euclidean"
    with pytest.raises(DataError, match=message):
        poisson_cv(counts)
    with pytest.raises(DataError, match=r"found \d+ negative values of 20, expected counts"):
        poisson(counts.mean(1) - 2.0)
    counts[0, 0, :2] = np.nan
    with pytest.raises(DataError, match="NaN or infinite"):
        poisson(counts[:, 0])
    with pytest.raises(ValueError, match=r"prior rate 0 and weight 0\.1, expected both above 0"):
        poisson(counts[:, 1], prior_rate=0)
    with pytest.raises(DataError, match=r"counts of shape \(4,\)"):
        poisson(counts[0, 1])
    with pytest.raises(DataError, match="found 2 stimuli, expected at least 3"):
        poisson(counts[:2, 1])


@pytest.mark.parametrize(("function", "name"), [(crossnobis, "crossnobis"), (poisson_cv, "Poisson RDM")])
def test_trials_that_cannot_be_cross_validated_are_refused(function, name):
    trials = trials_of()
    with pytest.raises(DataError, match=f"{name}: found 1 repeats, expected at least 2; choose rdm: euclidean"):
        function(trials[:, :1])
    with pytest.raises(DataError, match="found 2 stimuli, expected at least 3"):
        function(trials[:2])
    with pytest.raises(DataError, match=f"{name}: found trials of shape"):
        function(trials[0])
    trials[:, :, 2] = np.nan
    with pytest.raises(DataError, match=r"no stimulus with 2 repeats that are finite in every neuroid.*leave out neuroids"):
        function(trials)


def test_precisions_that_do_not_fit_are_refused():
    trials = trials_of()
    with pytest.raises(DataError, match=r"found 3 precisions of shapes \[\(5, 5\)\], expected 4 of \(5, 5\)"):
        crossnobis(trials, [np.eye(5)] * 3)
    with pytest.raises(DataError, match=r"singular.*make the precisions with noise_precision"):
        crossnobis(trials, [np.ones((5, 5))] * 4)
    with pytest.raises(DataError, match=r"precision of shape \(4, 4\)"):
        crossnobis(trials, np.eye(4))


def test_constant_patterns_are_0_apart():
    trials = np.full((4, 3, 5), 2.5)
    assert not crossnobis(trials).any()
    assert not poisson_cv(trials).any()
    assert not poisson(trials.mean(1)).any()
