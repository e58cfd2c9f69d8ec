"""Scores against naive forms, and draws by matrix products against repeated rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isocortex.encoding.ceilings import half_factor, split_half_ceiling, step_up
from isocortex.encoding.scores import (
    fev_single_trials,
    fisher_mean,
    foldwise_r,
    normalized_score,
    pearson,
    r2_score,
    region_median,
    signed_explained,
    weighted_foldwise,
)

RNG = np.random.default_rng(0)


def test_pearson_is_that_of_numpy_and_constant_is_nan():
    x, y = RNG.normal(size=(2, 30, 5))
    expected = [np.corrcoef(x[:, column], y[:, column])[0, 1] for column in range(5)]
    np.testing.assert_allclose(pearson(x, y), expected)
    y[:, 2], x[:, 3] = 1e6, 0.1
    assert np.isnan(pearson(x, y)).tolist() == [False, False, True, True, False]


def one_fold(x, y, weights):
    return weighted_foldwise([torch.as_tensor(x)], [torch.as_tensor(y)], [weights])


def test_fisher_mean_and_folds():
    r = np.array([[0.1, 0.5, np.nan], [0.9, np.nan, np.nan]])
    np.testing.assert_allclose(fisher_mean(r), [np.tanh(np.arctanh(r[:, 0]).mean()), 0.5, np.nan])
    x, y = RNG.normal(size=(2, 20, 3))
    np.testing.assert_allclose(foldwise_r([x], [y]), pearson(x, y))


def test_r2_uses_training_means():
    y, mean = RNG.normal(size=(20, 2)) + 3, np.array([2.0, 0.0])
    assert r2_score([np.tile(mean, (20, 1))], [y], [mean]) == pytest.approx([0, 0])
    assert r2_score([y], [y], [mean]) == pytest.approx([1, 1])


def test_weighted_r_is_r_of_repeated_rows():
    x, y = RNG.normal(size=(2, 25, 4)) + 100
    counts = RNG.multinomial(25, np.full(25, 1 / 25), size=6)
    drawn = one_fold(x, y, torch.as_tensor(counts, dtype=torch.float64))
    for row, count in enumerate(counts):
        index = np.repeat(np.arange(25), count)
        np.testing.assert_allclose(drawn[row].numpy(), pearson(x[index], y[index]), atol=1e-9)
    folds = [slice(0, 10), slice(10, 25)]
    parts = [[torch.as_tensor(part[fold]) for fold in folds] for part in (x, y)]
    weights = [torch.as_tensor(counts[:, fold], dtype=torch.float64) for fold in folds]
    by_fold = weighted_foldwise(*parts, weights)
    index = [np.repeat(np.arange(25)[fold], counts[0, fold]) for fold in folds]
    np.testing.assert_allclose(by_fold[0].numpy(), foldwise_r([x[i] for i in index], [y[i] for i in index]), atol=1e-9)


def test_a_draw_without_variance_is_nan():
    x = torch.as_tensor(RNG.normal(size=(5, 2)))
    assert torch.isnan(one_fold(x, x, torch.tensor([[5.0, 0, 0, 0, 0]], dtype=torch.float64))).all()


def test_region_median():
    r = torch.tensor([[1.0, 3.0, 2.0, 4.0], [1.0, torch.nan, 2.0, torch.nan], [torch.nan] * 4])
    np.testing.assert_allclose(region_median(r).numpy(), [2.5, 1.5, np.nan])
    assert region_median(torch.tensor([0.3])) == pytest.approx(0.3)


def test_normalized_is_signed():
    assert normalized_score(np.array([0.5, -0.5, np.nan]), np.array([0.5, 0.5, 0.9])) == 0
    assert normalized_score(np.array([0.5]), np.array([0.25])) == 1
    assert np.isnan(normalized_score(np.array([0.5]), np.array([-0.1])))


def test_share_explained_keeps_the_sign_and_has_none_without_signal():
    r, reliability = np.array([0.5, -0.5, 0.1, 0.2, np.nan]), np.array([0.5, 0.5, 0.0, -0.2, 0.5])
    np.testing.assert_allclose(signed_explained(r, reliability), [0.5, -0.5, np.nan, np.nan, np.nan])
    noise = np.array([np.corrcoef(RNG.normal(size=(2, 50)))[0, 1] for _ in range(4000)])
    assert abs(np.median(signed_explained(noise, np.full(4000, 0.3)))) < 0.01
    assert np.median(noise**2 / 0.3) > 0.02  # what the sign takes away


def test_fev_of_the_truth_is_one_and_of_noise_is_missing():
    clean = RNG.normal(size=(400, 1))
    trials = clean[:, None] + RNG.normal(size=(400, 5, 1))
    trials[RNG.random((400, 5)) < 0.2] = np.nan
    assert fev_single_trials(trials, clean) == pytest.approx([1], abs=0.1)
    assert np.isnan(fev_single_trials(RNG.normal(size=(40, 5, 1)), np.zeros((40, 1)))).all()
    assert np.isnan(fev_single_trials(clean[:, None], clean)).all()


def test_step_up_is_odd_and_spearman_brown():
    r = np.array([-0.5, 0.0, 0.5, 1.0])
    np.testing.assert_allclose(step_up(r, 2), [-2 / 3, 0, 2 / 3, 1])


@pytest.mark.parametrize("ragged", [False, True])
def test_ceiling_is_the_correlation_with_the_truth(ragged):
    rng = np.random.default_rng(3)
    clean = rng.normal(size=(600, 30))
    trials = clean[:, None] + 1.5 * rng.normal(size=(600, 5, 30))
    if ragged:
        trials[rng.random((600, 5)) < 0.3] = np.nan
        trials[:, 0] = np.nan_to_num(trials[:, 0])
    keep = (~np.isnan(trials[:, :, 0])).sum(1) >= 2
    trials, clean = trials[keep], clean[keep]
    ceiling = split_half_ceiling(trials, 0, n_splits=20, n_permutations=99)
    reached = np.median(pearson(np.nanmean(trials, 1), clean))
    assert ceiling.ref == pytest.approx(reached, abs=0.02)
    assert ceiling.low < ceiling.ref
    assert ceiling.p == 0.01
    assert normalized_score(pearson(np.nanmean(trials, 1), clean), ceiling.reliability) == pytest.approx(1, abs=0.03)


def test_stimuli_shown_once_lower_the_ceiling_of_all():
    rng = np.random.default_rng(4)
    clean = rng.normal(size=(900, 30))
    trials = clean[:, None] + 1.5 * rng.normal(size=(900, 4, 30))
    trials[300:, 1:] = np.nan
    mean = np.nanmean(trials, 1)
    ceiling = split_half_ceiling(trials, 0, n_splits=20, n_permutations=99)
    assert ceiling.n_stimuli == 300
    assert ceiling.ref == pytest.approx(np.median(pearson(mean, clean)), abs=0.02)
    assert split_half_ceiling(trials[:300], 0, n_splits=20, n_permutations=99).ref > ceiling.ref + 0.1


def test_noise_has_no_ceiling_and_its_test_is_uniform():
    p, ref = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        ceiling = split_half_ceiling(rng.normal(size=(12, 4, 5)), seed, n_splits=6, n_permutations=49)
        p.append(ceiling.p)
        ref.append(ceiling.ref)
    assert abs(np.mean(ref)) < 0.06
    assert abs(np.mean(p) - 0.5) < 0.12
    assert np.mean(np.array(p) <= 0.05) < 0.15


def test_one_repeat_has_none():
    assert split_half_ceiling(RNG.normal(size=(20, 1, 3)), 0) is None
    assert half_factor(np.ones((5, 4), dtype=bool)) == 2
    assert half_factor(np.ones((5, 3), dtype=bool)) == 3
