"""The fold-wise r against its definition, and why it is not the Fisher mean of the folds' r."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isocortex.encoding.scores import fisher_mean, foldwise_r, pearson, weighted_foldwise

FOLDS, SIZE = 9, 9


def naive(predicted: list[np.ndarray], observed: list[np.ndarray]) -> np.ndarray:
    """Centre within each fold, put the folds one after the other, correlate."""
    x = np.concatenate([part - part.mean(0) for part in predicted])
    y = np.concatenate([part - part.mean(0) for part in observed])
    return np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(x.T, y.T, strict=True)])


def test_against_the_definition() -> None:
    rng = np.random.default_rng(0)
    predicted = [rng.normal(size=(n, 4)) + 50 * k for k, n in enumerate((5, 9, 12))]
    observed = [rng.normal(size=(n, 4)) - 20 * k for k, n in enumerate((5, 9, 12))]
    np.testing.assert_allclose(foldwise_r(predicted, observed), naive(predicted, observed), atol=1e-12)
    np.testing.assert_allclose(foldwise_r(predicted[:1], observed[:1]), pearson(predicted[0], observed[0]), atol=1e-12)


def test_a_neuroid_without_variance_in_any_fold_is_nan() -> None:
    rng = np.random.default_rng(1)
    predicted = [rng.normal(size=(6, 2)) for _ in range(3)]
    observed = [rng.normal(size=(6, 2)) for _ in range(3)]
    for k, part in enumerate(observed):
        part[:, 0] = k  # constant within every fold, though not over all
    found = foldwise_r(predicted, observed)
    assert np.isnan(found).tolist() == [True, False]


def test_predicting_each_training_mean_is_no_skill() -> None:
    """Held-out means lean away from training means, which makes a pooled r negative; within folds nothing is left."""
    rng = np.random.default_rng(2)
    y = rng.normal(size=(FOLDS * SIZE, 1))
    folds = np.arange(len(y)).reshape(FOLDS, SIZE)
    predicted = [np.full((SIZE, 1), np.delete(y, fold).mean()) for fold in folds]
    assert np.corrcoef(np.concatenate(predicted)[:, 0], y[folds.ravel(), 0])[0, 1] < -0.1
    assert np.isnan(foldwise_r(predicted, [y[fold] for fold in folds])).all()


def coverage(truth: float, n_samples: int, n_draws: int) -> dict[str, tuple[float, float]]:
    """Mean estimate and coverage of the 95 % bootstrap interval, for both ways of putting nine folds of nine together."""
    rng = np.random.default_rng(3)
    found: dict[str, list[tuple[float, bool]]] = {"fisher": [], "within": []}
    for _ in range(n_samples):
        x = rng.normal(size=(FOLDS, SIZE, 1))
        y = truth * x + np.sqrt(1 - truth**2) * rng.normal(size=x.shape)
        weights = torch.as_tensor(
            rng.multinomial(FOLDS * SIZE, np.full(FOLDS * SIZE, 1 / (FOLDS * SIZE)), n_draws), dtype=torch.float64
        )
        parts = weights.split(SIZE, dim=1)
        tx, ty = torch.as_tensor(x), torch.as_tensor(y)
        draws = {
            "within": weighted_foldwise(list(tx), list(ty), list(parts)),
            "fisher": fisher_mean(
                torch.stack([weighted_foldwise([a], [b], [w]) for a, b, w in zip(tx, ty, parts, strict=True)])
            ),
        }
        estimate = {
            "within": foldwise_r(list(x), list(y))[0],
            "fisher": float(fisher_mean(np.array([pearson(a, b) for a, b in zip(x, y, strict=True)]))[0]),
        }
        for name, drawn in draws.items():
            low, high = np.nanquantile(drawn.numpy(), [0.025, 0.975])
            found[name].append((estimate[name], bool(low <= truth <= high)))
    return {name: tuple(np.mean(values, axis=0)) for name, values in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize("truth", [0.0, 0.3, 0.6])
def test_coverage_of_both(truth: float) -> None:
    found = coverage(truth, n_samples=1000, n_draws=300)
    print("\n", truth, {name: f"mean {mean:.3f} coverage {cover:.3f}" for name, (mean, cover) in found.items()})
    mean, cover = found["within"]
    assert abs(mean - truth) < 0.015
    assert 0.92 <= cover <= 0.98


def test_small_folds_spoil_the_fisher_mean() -> None:
    found = coverage(0.6, n_samples=120, n_draws=150)
    assert abs(found["within"][0] - 0.6) < abs(found["fisher"][0] - 0.6)
