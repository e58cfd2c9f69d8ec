import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from isocortex.inference import flexible_folds, flexible_resampling
from isocortex.inference.flexible_folds import assigned, cross_validated, fold_keys, mixture, n_folds
from isocortex.inference.flexible_resampling import left_out, permuted
from isocortex.similarity import compare_rdms, rdm, to_square, to_vector
from isocortex.similarity.comparators import comparator

N = 14
IDS = tuple(f"s{k:02d}" for k in range(N))


def made(seed=0, n=N, n_subjects=3, n_layers=3, noise=1.0, mix=(0.6, 0.4)):
    """Brain RDMs (S, N) near a mixture of the first layers' RDMs (L, N), all of random patterns."""
    rng = np.random.default_rng(seed)
    layers = np.array([rdm(rng.normal(size=(n, 20))) for _ in range(n_layers)])
    own = np.array([rdm(rng.normal(size=(n, 20))) for _ in range(n_subjects)])
    return torch.as_tensor(np.asarray(mix) @ layers[: len(mix)] + noise * own), torch.as_tensor(layers)


def vectors_of(square, copies):
    """Entries (…, M) of all pairs of the listed stimuli, without the pairs of a stimulus with itself."""
    pairs = [(a, b) for k, a in enumerate(copies) for b in copies[k + 1 :] if a != b]
    return np.array([[m[a, b] for a, b in pairs] for m in square])


def scaled(rows, centred):
    rows = rows - rows.mean(1, keepdims=True) if centred else rows
    return rows / np.sqrt((rows**2).mean(1, keepdims=True))


def naive_weights(x, y, kind):
    if kind == "weighted":
        return nnls(y.T, x)[0]
    if kind == "selected":
        return np.eye(len(y))[np.argmax(y @ x / np.linalg.norm(y, axis=1))]
    grid = [(k, w) for k in range(len(y) - 1) for w in np.linspace(0, 1, 4001)]
    mixed = np.array([w * y[k] + (1 - w) * y[k + 1] for k, w in grid])
    k, w = grid[int(np.argmax(mixed @ x / np.linalg.norm(mixed, axis=1)))]
    return w * np.eye(len(y))[k] + (1 - w) * np.eye(len(y))[k + 1]


def naive(brain, layers, counts, folds, method, kind="weighted"):
    """Loops over folds and subjects, with explicit copies of stimuli: the score (S,) of one draw."""
    centred = method != "cosine"
    square_brain, square_layers = to_square(brain.numpy()), to_square(layers.numpy())
    own = np.linalg.norm(layers.numpy() - layers.numpy().mean(1, keepdims=True) * centred, axis=1)
    values = []
    for fold in range(folds.max() + 1):
        copies = [
            [k for k in np.flatnonzero(part) for _ in range(counts[k])]
            for part in (folds == fold, (folds != fold) & (folds >= 0))
        ]
        test, train = copies
        x_train, y_train = vectors_of(square_brain, train), vectors_of(square_layers, train) / own[:, None]
        x_test, y_test = vectors_of(square_brain, test), vectors_of(square_layers, test) / own[:, None]
        if centred:
            y_train = y_train - y_train.mean(1, keepdims=True)
        fold_values = []
        for s in range(len(brain)):
            others = [k for k in range(len(brain)) if k != s] or [s]
            weights = naive_weights(scaled(x_train, centred)[others].mean(0), y_train, kind)
            predicted = sum(w * row for w, row in zip(weights, y_test, strict=True))  # copies of a pair stay equal
            fold_values.append(float(compare_rdms(x_test[s], predicted, method)) if weights.any() else np.nan)
        values.append(fold_values)
    return np.nanmean(values, axis=0)


def drawn(seed=0, n_draws=3):
    rng = np.random.default_rng(seed)
    counts = np.stack([np.bincount(rng.integers(0, N, N), minlength=N) for _ in range(n_draws)])
    return counts, assigned(rng.random(counts.shape), counts)


def test_folds_hold_equal_parts_of_the_stimuli_that_are_drawn():
    assert [n_folds(n) for n in (6, 11, 12, 23, 24, 39, 40, 1000)] == [2, 2, 3, 3, 4, 4, 5, 5]
    counts, folds = drawn(1, 50)
    for c, f in zip(counts, folds, strict=True):
        assert ((f >= 0) == (c > 0)).all()
        sizes = np.bincount(f[f >= 0])
        assert len(sizes) == n_folds((c > 0).sum())
        assert np.ptp(sizes) <= 1
        assert sizes.min() >= 3
    few = np.array([[3, 3, 3, 3, 2] + [0] * (N - 5)])
    assert (assigned(np.random.default_rng(0).random(few.shape), few) == -1).all()


def test_folds_follow_the_ids_and_not_their_order():
    order = np.random.default_rng(0).permutation(N)
    keys = fold_keys(IDS, 4, 3)
    assert (fold_keys([IDS[k] for k in order], 4, 3) == keys[:, order]).all()
    assert (fold_keys(IDS, 2, 3) == keys[:2]).all()
    assert (fold_keys(IDS, 4, 4) != keys).all()


@pytest.mark.parametrize("method", ["pearson", "cosine", "spearman", "rho_a", "tau_a"])
@pytest.mark.parametrize("n_subjects", [1, 3])
def test_draws_in_folds_equal_loops_over_copies(method, n_subjects):
    brain, layers = made(n_subjects=n_subjects)
    counts, folds = drawn()
    once = np.ones((2, N), dtype=np.int64)
    counts, folds = np.vstack([once, counts]), np.vstack([assigned(fold_keys(IDS, 2, 0), once), folds])
    found = cross_validated(mixture(brain, layers, comparator(method), "weighted"), counts, folds)
    expected = [naive(brain, layers, c, f, method) for c, f in zip(counts, folds, strict=True)]
    assert found.scores == pytest.approx(np.array(expected), abs=1e-9)
    assert found.shares.sum(-1) == pytest.approx(np.ones(found.scores.shape))


@pytest.mark.parametrize("kind", ["selected", "interpolated"])
@pytest.mark.parametrize("method", ["pearson", "cosine"])
def test_other_kinds_equal_loops_over_copies(kind, method):
    brain, layers = made(3, noise=0.5)
    counts, folds = drawn(2)
    found = cross_validated(mixture(brain, layers, comparator(method), kind), counts, folds)
    expected = [naive(brain, layers, c, f, method, kind) for c, f in zip(counts, folds, strict=True)]
    close = 1e-9 if kind == "selected" else 1e-4  # the loop searches a grid of 1/4000
    assert found.scores == pytest.approx(np.array(expected), abs=close)


def test_blocks_of_rows_and_of_products_change_nothing(monkeypatch):
    brain, layers = made()
    counts, folds = drawn(4, 5)
    model = mixture(brain, layers, comparator("rho_a"), "weighted")
    orders = np.argsort(np.random.default_rng(0).random((4, N)), axis=1)
    whole = cross_validated(model, counts, folds).scores, permuted(model, folds[:1], orders), left_out(model, folds[:1])
    for module in (flexible_folds, flexible_resampling):
        monkeypatch.setattr(module, "_BLOCK_BYTES", {"cpu": 3000.0})
    monkeypatch.setattr(flexible_folds, "_KEPT_BYTES", 0.0)
    parts = cross_validated(model, counts, folds).scores, permuted(model, folds[:1], orders), left_out(model, folds[:1])
    for a, b in zip(whole, parts, strict=True):
        assert a == pytest.approx(b, abs=1e-12)


@pytest.mark.parametrize("method", ["pearson", "cosine", "rho_a", "tau_a"])
@pytest.mark.parametrize("n_subjects", [1, 3])
def test_permutations_equal_scores_of_permuted_brains(method, n_subjects):
    brain, layers = made(5, n_subjects=n_subjects)
    orders = np.argsort(np.random.default_rng(1).random((3, N)), axis=1)
    once = np.ones((2, N), dtype=np.int64)
    folds = assigned(fold_keys(IDS, 2, 0), once)
    found = permuted(mixture(brain, layers, comparator(method), "weighted"), folds, orders)
    for order, values in zip(orders, found, strict=True):
        moved = to_vector(to_square(brain)[:, order][:, :, order])
        expected = np.mean([naive(moved, layers, once[0], row, method) for row in folds], axis=0)
        assert values == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("method", ["pearson", "rho_a"])
def test_scores_without_a_stimulus_equal_those_of_its_count_zero(method):
    brain, layers = made(6)
    once = np.ones((1, N), dtype=np.int64)
    folds = assigned(fold_keys(IDS, 1, 0), once)
    model = mixture(brain, layers, comparator(method), "weighted")
    found = left_out(model, folds)
    for k in range(N):
        without = folds[0].copy()
        without[k] = -1
        assert found[k] == pytest.approx(
            naive(brain, layers, once[0] - np.eye(N, dtype=np.int64)[k], without, method), abs=1e-9
        )


def test_copies_of_a_layer_change_no_prediction():
    brain, layers = made(16)
    counts, folds = drawn(3)
    models = [mixture(brain, rows, comparator("pearson"), "weighted") for rows in (layers, layers[[0, 0, 1, 2, 2]])]
    first, second = (cross_validated(model, counts, folds) for model in models)
    assert second.scores == pytest.approx(first.scores, abs=1e-6)
