"""Ratios without the bias of few stimuli, of units or of noise."""

from itertools import permutations

import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.geometry.crossvalidated import crossvalidated_spectrum, half_means, participation_ratio_cv
from isocortex.geometry.dimensionality import participation_ratio
from isocortex.geometry.unbiased import participation_ratio_corrected, participation_ratio_corrected_of_subsets, ratio


def naive_traces(a, b):
    """Means over all ordered quadruples of different stimuli."""
    quadruples = np.array(list(permutations(range(len(a)), 4)))
    one, two = (z[quadruples[:, 0]] - z[quadruples[:, 1]] for z in (a, b))
    three, four = (z[quadruples[:, 2]] - z[quadruples[:, 3]] for z in (a, b))
    squared = np.mean((one * two).sum(1) * (three * four).sum(1)) / 4
    return squared, np.mean((one * three).sum(1) * (two * four).sum(1)) / 4


def naive_single(x):
    return sum(naive_traces(unit[:, None], unit[:, None])[0] for unit in x.T)


def test_fewer_dimensions_than_one_are_no_value_and_one_is_one():
    line = np.arange(9.0)[:, None] * np.array([1.0, 2.0, -1.0])
    assert participation_ratio_corrected(line) == pytest.approx(1, abs=1e-12)
    assert participation_ratio_corrected(line) >= 1
    squared, power = (torch.tensor([2.0, 0.9, 3.0, -1.0, 1 - 1e-13]), torch.ones(5))
    assert ratio(squared.double(), power.double()).tolist() == pytest.approx([2, np.nan, 3, np.nan, 1], nan_ok=True)


def test_the_traces_are_the_means_over_quadruples():
    rng = np.random.default_rng(0)
    x = rng.gamma(1.0, size=(7, 2)) @ rng.uniform(1, 2, size=(2, 5)) + 0.1 * rng.normal(size=(7, 5)) + 9
    squared, power = naive_traces(x, x)
    assert participation_ratio_corrected(x) == pytest.approx(squared / power)
    single = naive_single(x)
    assert participation_ratio_corrected(x, units="sampled") == pytest.approx((squared - single) / (power - single))


def test_subsets_equal_their_own_ratio():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(14, 2)) @ rng.normal(size=(2, 6)) + 0.2 * rng.normal(size=(14, 6)) + 5
    masks = np.zeros((3, 14))
    for row in masks:
        row[rng.permutation(14)[:9]] = 1
    for units in ("fixed", "sampled"):
        own = [participation_ratio_corrected(x[m > 0], units=units) for m in masks]
        assert participation_ratio_corrected_of_subsets(x, masks, units=units) == pytest.approx(own)
        on_torch = participation_ratio_corrected_of_subsets(torch.as_tensor(x), torch.as_tensor(masks), units=units)
        assert on_torch.numpy() == pytest.approx(own)


def test_few_stimuli_show_all_the_dimensions_there_are():
    rng = np.random.default_rng(2)
    samples = [rng.normal(size=(15, 30)) for _ in range(300)]
    assert np.mean([participation_ratio(x) for x in samples]) < 12
    # The ratio of the means has no bias; that of each sample has little.
    assert np.median([participation_ratio_corrected(x) for x in samples]) == pytest.approx(30, rel=0.07)


def test_sampled_units_show_the_dimensions_of_their_population():
    """Units are random sums of 12 independent causes: 12 dimensions, of which 15 units show fewer."""
    rng = np.random.default_rng(3)
    found = {"fixed": [], "sampled": []}
    for _ in range(200):
        x = rng.normal(size=(80, 12)) @ rng.normal(size=(12, 15))
        for units, values in found.items():
            values.append(participation_ratio_corrected(x, units=units))
    assert np.median(found["fixed"]) < 8
    assert np.median(found["sampled"]) == pytest.approx(12, rel=0.07)


def planted(rng, *, n=40, repeats=2, dimensions=5, units=60, noise=1.5):
    signal = rng.normal(size=(n, dimensions)) @ np.linalg.qr(rng.normal(size=(units, dimensions)))[0].T * np.sqrt(units / 5)
    return signal, signal[:, None, :] + noise * rng.normal(size=(n, repeats, units))


def test_repeats_show_the_signal_s_dimensions_and_not_the_noise_s():
    rng = np.random.default_rng(4)
    trials = [planted(rng)[1] for _ in range(60)]
    assert np.mean([participation_ratio(t.mean(axis=1)) for t in trials]) > 8
    assert np.median([participation_ratio_cv(t) for t in trials]) == pytest.approx(5, rel=0.05)
    spectra = np.mean([crossvalidated_spectrum(t) for t in trials], axis=0)
    # Signal of variance 60 on five axes; noise of 1.1 in each of 60 units' means.
    assert spectra.sum() == pytest.approx(60, rel=0.05)
    assert spectra[5:].sum() < 0.06 * spectra.sum()
    plain = np.mean([np.linalg.svd(m - m.mean(0))[1] ** 2 / 39 for m in (t.mean(axis=1) for t in trials)], axis=0)
    assert plain[5:].sum() > 0.4 * plain.sum()


def test_noise_alone_has_a_spectrum_of_about_zero():
    rng = np.random.default_rng(5)
    spectra = np.array([crossvalidated_spectrum(rng.normal(size=(20, 2, 10))) for _ in range(400)])
    assert np.abs(spectra.mean(axis=0)).max() < 4 * spectra.std(axis=0).max() / 20


@pytest.mark.parametrize("repeats", [2, 3, 4])
def test_two_halves_equal_quadruples_and_projections(repeats):
    trials = planted(np.random.default_rng(6), n=7, repeats=repeats, dimensions=2, units=9, noise=0.3)[1]
    pairs = [tuple(half.numpy() for half in pair) for pair in half_means(torch.as_tensor(trials), 20)]
    assert len(pairs) == {2: 1, 3: 3, 4: 3}[repeats]
    for a, b in pairs:
        assert (a + b * (1 if repeats != 3 else 0.5)) == pytest.approx(
            (lambda m: m - m.mean(0))(trials.sum(axis=1)) / ((repeats + 1) // 2)
        )
    squared, power = np.mean([naive_traces(a, b) for a, b in pairs], axis=0)
    assert participation_ratio_cv(trials) == pytest.approx(squared / power)
    values = []
    for a, b in [*pairs, *(pair[::-1] for pair in pairs)]:
        axes = np.linalg.svd(a)[2][:6]
        values.append([np.cov(a @ v, b @ v)[0, 1] for v in axes])
    expected = np.mean(values, axis=0)
    assert crossvalidated_spectrum(trials) == pytest.approx(expected)
    assert participation_ratio_cv(trials, estimator="spectrum") == pytest.approx(expected.sum() ** 2 / (expected**2).sum())


def test_repeats_that_are_missing_leave_no_half_empty():
    trials = planted(np.random.default_rng(7), n=10, repeats=3, units=8)[1]
    trials[0, 1] = trials[1, 0] = trials[2, :2] = np.nan
    for a, b in half_means(torch.as_tensor(trials), 20):
        assert a.shape == b.shape == (9, 8)
        assert bool(torch.isfinite(a).all() & torch.isfinite(b).all())
    complete = np.delete(trials, [0, 1, 2], axis=0)
    swapped = participation_ratio_cv(complete[:, [2, 0, 1]])
    assert participation_ratio_cv(complete) == pytest.approx(swapped)


def test_many_repeats_are_split_as_often_as_asked_and_the_same_each_time():
    trials = planted(np.random.default_rng(8), repeats=10, n=8, units=6)[1]
    assert len(list(half_means(torch.as_tensor(trials), 7))) == 7
    assert participation_ratio_cv(trials, splits=7) == pytest.approx(participation_ratio_cv(trials, splits=7), rel=1e-9)


def test_what_cannot_be_had_is_said():
    assert np.isnan(participation_ratio_corrected(np.ones((6, 3))))
    assert np.isnan(participation_ratio_cv(np.ones((6, 2, 3))))
    with pytest.raises(DataError, match="found 3 stimuli, expected at least 4 to correct for"):
        participation_ratio_corrected(np.ones((3, 3)))
    with pytest.raises(DataError, match="found units 'all', expected one of fixed, sampled"):
        participation_ratio_corrected(np.ones((6, 3)), units="all")
    with pytest.raises(DataError, match="found 0 stimuli with two repeats, expected at least 4; leave part"):
        participation_ratio_cv(np.ones((6, 1, 3)))
    with pytest.raises(DataError, match=r"found trials of shape \(6, 3\), expected stimuli × repeats × units"):
        participation_ratio_cv(np.ones((6, 3)))
    with pytest.raises(DataError, match="found estimator 'pca', expected one of unbiased, spectrum"):
        participation_ratio_cv(np.ones((6, 2, 3)), estimator="pca")
