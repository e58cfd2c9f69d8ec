"""False positives of cross-validated predictions on noise: refitted permutations against permuted fixed predictions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isocortex.encoding.kernels import z_scored
from isocortex.encoding.nested import fit_permuted, outer_kernel
from isocortex.encoding.ridge import fit_outer
from isocortex.encoding.scores import foldwise_r, pearson, r_of_moments
from isocortex.encoding.splits import make_splits
from isocortex.inference.nulls import p_value, permutations


def on_noise(n, n_features, folds, n_data, n_null, seed, alphas="auto"):
    """Noise responses, one data set per column, predicted by nested cross-validation from white features.

    Returns p values of refitted permutations, p values of fixed predictions permuted over all rows and within folds, and the
    mean pooled r of the data (all held-out predictions of all folds, as one r).
    """
    rng = np.random.default_rng(seed)
    x, y = torch.as_tensor(rng.normal(size=(n, n_features))), torch.as_tensor(rng.normal(size=(n, n_data)))
    outer = make_splits([f"s{index}" for index in range(n)], test=0.0, folds=folds, seed=seed)["outer"]
    orders = permutations(n, n_null, seed)
    predicted, moments = torch.empty_like(y), 0.0
    for split in outer:
        z, _ = z_scored(x, torch.as_tensor(split["train"]))
        kernel = outer_kernel(z @ z.T, split)
        predicted[kernel.test] = fit_outer(kernel, y, {"alphas": alphas}).test
        moments = moments + fit_permuted(fit_outer, kernel, y, orders, {"alphas": alphas})[1]
    tests = [torch.as_tensor(split["test"]) for split in outer]
    r = foldwise_r([predicted[rows] for rows in tests], [y[rows] for rows in tests]).numpy()
    refitted = r_of_moments(torch.as_tensor(moments)).numpy()
    pooled = pearson(predicted, y).numpy()
    anywhere = np.stack([pearson(predicted[torch.as_tensor(order)], y).numpy() for order in orders])
    inside = []
    for number in range(n_null):
        order = np.arange(n)
        for rows in tests:
            order[rows] = np.random.default_rng([seed, number]).permutation(rows)
        inside.append(pearson(predicted[torch.as_tensor(order)], y).numpy())
    p = [p_of(r, refitted), p_of(pooled, anywhere), p_of(pooled, np.stack(inside))]
    return *p, pooled.mean()


def p_of(values, null):
    return np.array([p_value(value, null[:, column]) for column, value in enumerate(values)])


CASES = [
    # n, features, folds, sets of 200, penalties
    (81, 20, 9, 10, "auto"),
    (81, 20, 9, 10, [20.0]),
    (500, 50, 5, 4, "auto"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("n", "n_features", "folds", "sets", "alphas"), CASES)
def test_refitted_permutations_keep_their_level(n, n_features, folds, sets, alphas):
    """At .05, for 81 and 500 stimuli. The pooled r of noise has a negative mean, the more so where penalties are chosen: with
    fixed predictions that mean makes p anything but uniform, and refitting takes it into the null."""
    made = [on_noise(n, n_features, folds, 200, 99, seed, alphas) for seed in range(sets)]
    p = np.concatenate([np.stack(one[:3]) for one in made], axis=1)
    bias = float(np.mean([one[3] for one in made]))
    shares, means = (p <= 0.05).mean(1), p.mean(1)
    print(f"\nn={n}, penalties {alphas}, {p.shape[1]} data sets: mean pooled r {bias:+.3f}")
    for name, share, mean in zip(("refitted", "fixed", "fixed, within folds"), shares, means, strict=True):
        print(f"  {name:<20} p <= .05 in {share:.3f}, mean p {mean:.3f}")
    # Data sets that share features are not independent: the error is that of the sets' own shares, if that is larger.
    own = np.array([(one[0] <= 0.05).mean() for one in made])
    error = max(own.std(ddof=1) / sets**0.5, (0.05 * 0.95 / p.shape[1]) ** 0.5)
    assert abs(shares[0] - 0.05) < 3 * error
    assert abs(means[0] - 0.505) < 0.04
    assert bias < -0.02
    if alphas == "auto":
        assert means[1] > means[0] + 0.1  # the bias, in a null that does not know of it
    else:
        assert shares[2] > shares[0] + 2 * error  # false positives of fixed predictions permuted within their folds


def test_noise_is_seldom_signal():
    """One quick set: the level is roughly kept, and no test that never rejects would pass."""
    refitted, _, _, bias = on_noise(81, 20, 9, 150, 59, 0)
    assert 0.005 < (refitted <= 0.05).mean() < 0.13
    assert bias < 0
