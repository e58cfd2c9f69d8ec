"""z-scores by training rows alone, and what a nearly silent unit may do to them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isocortex.encoding.kernels import z_scored
from isocortex.encoding.nested import outer_kernel
from isocortex.encoding.ridge import fit_outer
from isocortex.encoding.scores import foldwise_r
from isocortex.encoding.splits import make_splits


def test_training_rows_have_mean_zero_and_unit_variance() -> None:
    rng = np.random.default_rng(0)
    x, train = torch.as_tensor(rng.normal(3, 2, size=(30, 5))), torch.arange(20)
    z, constant = z_scored(x, train)
    assert constant == 0
    expected = (x - x[:20].mean(0)) / x[:20].std(0, correction=0)
    np.testing.assert_allclose(z, expected, atol=1e-12)


def test_a_column_without_variance_in_training_is_left_out() -> None:
    x = torch.as_tensor(np.random.default_rng(1).normal(size=(10, 3)))
    x[:6, 1] = 2.0
    z, constant = z_scored(x, torch.arange(6))
    assert (z.shape, constant) == ((10, 2), 1)


def test_no_training_score_is_ever_clipped() -> None:
    x = torch.zeros(12, 1, dtype=torch.float64)
    x[3] = 1.0  # the most extreme that a training row can be
    z, _ = z_scored(x, torch.arange(12))
    assert float(z.max()) == pytest.approx(np.sqrt(11))


def test_a_unit_silent_in_training_does_not_drown_the_held_out_stimuli() -> None:
    rng = np.random.default_rng(2)
    n, ids = 120, [f"s{k}" for k in range(120)]
    x = rng.normal(size=(n, 10))
    y = torch.as_tensor(x @ rng.normal(size=(10, 6)) + 0.3 * rng.normal(size=(n, 6)))
    split = make_splits(ids, test=0.25, folds=4, seed=0)["outer"][0]
    silent = np.zeros((n, 1))
    silent[split["train"][0]] = 1e-5  # a breath of activity on one training stimulus
    silent[split["test"][0]] = 1.0  # and a normal response to a held-out one

    def score(features: np.ndarray) -> float:
        z, _ = z_scored(torch.as_tensor(features), torch.as_tensor(split["train"]))
        fit = fit_outer(outer_kernel(z @ z.T, split), y, {"alphas": "auto"})
        return float(np.median(foldwise_r([fit.test.numpy()], [y[split["test"]].numpy()])))

    without, with_silent = score(x), score(np.hstack([x, silent]))
    assert without > 0.9
    assert with_silent > without - 0.2
