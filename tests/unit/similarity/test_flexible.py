import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar, nnls
from scipy.stats import rankdata

from isocortex.errors import DataError
from isocortex.similarity import compare_rdms
from isocortex.similarity.comparators import COMPARATORS
from isocortex.similarity.comparators.resampled import weighted_scores
from isocortex.similarity.flexible import FITS, fit_interpolation, fit_selection, fit_weights, nnls_batch
from isocortex.similarity.midranks import midranks
from isocortex.similarity.paired import paired_scores, torch_ranks

N = 12
PAIRS = N * (N - 1) // 2
COMPARISONS = ["pearson", "cosine", "whitened_pearson", "whitened_cosine"]


def rdms(seed=0, n_layers=4, n_subjects=5, noise=0.5):
    """Layers, and subjects near a mixture of the first two."""
    rng = np.random.default_rng(seed)
    layers = rng.random((n_layers, PAIRS))
    return layers, 2 * layers[0] + layers[1] + noise * rng.normal(size=(n_subjects, PAIRS))


def prepared(vectors, compare):
    """Rows in which least squares is least squares: centred or not, whitened by the inverse root of V, built pair by pair."""
    v = np.atleast_2d(vectors)
    if compare.endswith("pearson"):
        v = v - v.mean(1, keepdims=True)
    if not compare.startswith("whitened"):
        return v
    pairs = [(i, j) for i in range(N) for j in range(i + 1, N)]
    contrast = np.zeros((PAIRS, N))
    for row, (i, j) in enumerate(pairs):
        contrast[row, i], contrast[row, j] = 1, -1
    values, vectors_ = np.linalg.eigh((contrast @ contrast.T) ** 2)
    return v @ vectors_ / np.sqrt(values)


def pooled_target(target, compare):
    y = prepared(target, compare)
    return (y / np.linalg.norm(y, axis=1, keepdims=True)).mean(0)


@pytest.mark.parametrize("shared", [0.0, 2.0, 30.0])
def test_many_small_problems_are_those_of_scipy(shared):
    rng = np.random.default_rng(1)
    a = rng.normal(size=(60, 30, 9)) + shared * rng.random((60, 30, 1))
    a *= 10.0 ** rng.integers(-4, 5, size=(60, 1, 9))  # units differ by layer
    y = np.einsum("bnl,l->bn", a, np.ones(9)) + rng.normal(size=(60, 30))
    weights = nnls_batch(a.transpose(0, 2, 1) @ a, np.einsum("bnl,bn->bl", a, y))
    scale = np.linalg.norm(a, axis=1)
    for x, goal, w, s in zip(a, y, weights, scale, strict=True):
        assert w * s == pytest.approx(nnls(x / s, goal)[0], rel=1e-6, abs=1e-6 * np.linalg.norm(goal))


@pytest.mark.parametrize("seed", range(5))
def test_collinear_layers_give_the_best_fit_and_end(seed):
    rng = np.random.default_rng(seed)
    a = rng.random((40, 4))
    a = np.column_stack([a, a[:, 0], a[:, 1] + a[:, 2], 3 * a[:, 3], np.zeros(40)])
    y = a[:, :4] @ [1.0, 0.5, -0.3, 2.0] + 0.1 * rng.normal(size=40)
    w = nnls_batch((a.T @ a)[None], (a.T @ y)[None])[0]
    assert (w >= 0).all()
    assert w[7] == 0
    assert np.linalg.norm(a @ w - y) == pytest.approx(nnls(a, y)[1], rel=1e-9)


def test_several_targets_share_their_layers():
    rng = np.random.default_rng(2)
    a, y = rng.random((20, 3)), rng.normal(size=(20, 5))
    w = nnls_batch(np.stack([a.T @ a] * 2), np.stack([(a.T @ y).T, -(a.T @ y).T]))
    for k in range(5):
        assert w[0, k] == pytest.approx(nnls(a, y[:, k])[0], abs=1e-12)
        assert w[1, k] == pytest.approx(nnls(a, -y[:, k])[0], abs=1e-12)


def test_degenerate_problems_have_a_defined_answer():
    gram = np.eye(3)[None].repeat(4, axis=0)
    gram[2, 1, 1] = 0.0
    related = np.array([[-1.0, -2.0, -0.5], [0.0, 0.0, 0.0], [1.0, 1.0, -1.0], [1.0, np.nan, 1.0]])
    w = nnls_batch(gram, related)
    assert w[:2] == pytest.approx(np.zeros((2, 3)))
    assert w[2] == pytest.approx([1, 0, 0])
    assert np.isnan(w[3]).all()
    assert nnls_batch(np.full((1, 1, 1), 4.0), np.array([[2.0]]))[0, 0] == pytest.approx(0.5)
    tensor = nnls_batch(torch.eye(2)[None], torch.tensor([[1.0, -1.0]]))
    assert tensor.tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("compare", COMPARISONS)
@pytest.mark.parametrize("ridge", [0.0, 2.0])
def test_weights_are_those_of_least_squares_on_the_pairs(compare, ridge):
    layers, target = rdms(3)
    x, y = prepared(layers, compare), pooled_target(target, compare)
    wide, goal = np.hstack([x, np.sqrt(ridge) * np.eye(len(x))]), np.append(y, np.zeros(len(x)))
    expected, free = nnls(wide.T, goal)[0], np.linalg.lstsq(wide.T, goal)[0]
    assert fit_weights(layers, target, compare, ridge=ridge) == pytest.approx(expected / np.linalg.norm(expected), abs=1e-7)
    found = fit_weights(layers, target, compare, nonnegative=False, ridge=ridge)
    assert found == pytest.approx(free / np.linalg.norm(free), abs=1e-7)


@pytest.mark.parametrize("compare", ["pearson", "cosine"])
def test_weights_are_the_best_of_all_mixtures(compare):
    layers, target = rdms(4)

    def mean_score(w):
        return compare_rdms(target, w @ layers, compare).mean()

    best = mean_score(fit_weights(layers, target, compare))
    rng = np.random.default_rng(0)
    others = rng.dirichlet(np.ones(4) / 2, size=300)
    assert best > max(mean_score(w) for w in others)
    assert best > 1.01 * max(mean_score(w) for w in np.eye(4))


@pytest.mark.parametrize("compare", COMPARISONS)
@pytest.mark.parametrize("seed", range(6))
def test_the_best_interpolation_is_that_of_a_search(compare, seed):
    layers, target = rdms(seed, noise=3.0)
    x, y = prepared(layers, compare), pooled_target(target, compare)

    def value(w, k):
        mixed = w * x[k] + (1 - w) * x[k + 1]
        return mixed @ y / np.linalg.norm(mixed)

    searched = []
    for k in range(3):
        inside = minimize_scalar(lambda w, k=k: -value(w, k), bounds=(0, 1), method="bounded", options={"xatol": 1e-10})
        searched.append(max(-inside.fun, value(0, k), value(1, k)))
    found = fit_interpolation(layers, target, compare)
    assert found.sum() == pytest.approx(1)
    assert (found > 0).sum() <= 2
    assert np.ptp(np.flatnonzero(found)) <= 1
    assert found @ x @ y / np.linalg.norm(found @ x) == pytest.approx(max(searched), abs=1e-9)


def test_a_selection_is_the_closest_layer():
    layers, target = rdms(5)
    closest = np.argmax(compare_rdms(target, layers, "pearson").mean(0))
    assert fit_selection(layers, target).tolist() == np.eye(4)[closest].tolist()
    assert fit_selection(-layers, target[:1])[closest] == 0


def test_constant_layers_have_no_weight():
    layers, target = rdms(6)
    with_constant = np.vstack([np.full(PAIRS, 0.7), layers])
    for fit in (fit_weights, fit_interpolation, fit_selection):
        found = fit(with_constant, target)
        assert found[0] == 0
        assert found[1:] == pytest.approx(fit(layers, target))
        assert fit(np.full((2, PAIRS), 0.7), target).tolist() == [0, 0]
    assert fit_weights(with_constant, target, nonnegative=False)[1:] == pytest.approx(
        fit_weights(layers, target, nonnegative=False)
    )


def test_layers_that_are_not_positively_related_predict_nothing():
    layers = rdms(7)[0][:1]
    assert fit_weights(layers, -layers).tolist() == [0]
    assert fit_weights(layers, -layers, nonnegative=False) == pytest.approx([-1])
    assert fit_weights(layers, np.full(PAIRS, 2.0)).tolist() == [0]
    assert fit_interpolation(layers, -layers).tolist() == [1]


def test_one_layer_twice():
    layers, target = rdms(8, n_layers=2)
    twice = layers[[0, 0, 1]]
    for fit in (fit_weights, fit_interpolation):
        once, found = fit(layers, target), fit(twice, target)
        once, found = (w / w.sum() for w in (once, found))
        assert [found[0] + found[1], found[2]] == pytest.approx(once)
    assert fit_weights(twice, target, nonnegative=False)[:2] == pytest.approx(
        fit_weights(twice, target, nonnegative=False)[[1, 0]]
    )


def test_missing_entries_are_left_out_of_all():
    layers, target = rdms(9)
    layers[1, 3], target[0, 7] = np.nan, np.nan
    keep = np.isfinite(layers).all(0) & np.isfinite(target).all(0)
    assert fit_weights(layers, target) == pytest.approx(fit_weights(layers[:, keep], target[:, keep]))
    with pytest.raises(
        DataError, match="found 64 of 66 pairs with a value in all RDMs, expected no missing one under a whitened"
    ):
        fit_weights(layers, target, "whitened_cosine")


def test_wrong_input_is_refused():
    layers, target = rdms()
    with pytest.raises(DataError, match="found RDMs with 66 and 65 pairs, expected equal; use the same stimuli for both"):
        fit_weights(layers, target[:, 1:])
    with pytest.raises(DataError, match="found 2 of 2 pairs with a value in all RDMs, expected at least 3"):
        fit_selection(layers[:, :2], target[:, :2])
    with pytest.raises(ValueError, match="found comparison 'rho_a', expected one of"):
        fit_interpolation(layers, target, "rho_a")


def test_every_kind_fits_batches_with_their_targets():
    rng = np.random.default_rng(10)
    x, y = torch.as_tensor(rng.normal(size=(3, 5, 40))), torch.as_tensor(rng.normal(size=(3, 2, 40)))
    gram, related = x @ x.mT, y @ x.mT
    for fit in FITS.values():
        together = fit(gram, related)
        for b in range(3):
            for k in range(2):
                alone = fit(gram[b : b + 1], related[b : b + 1, k : k + 1])[0, 0]
                assert together[b, k].numpy() == pytest.approx(alone.numpy())


@pytest.mark.parametrize("method", sorted(COMPARATORS))
@pytest.mark.parametrize("tied", [False, True])
def test_pairs_of_rdms_are_compared_as_with_all(method, tied):
    rng = np.random.default_rng(11)
    a, b = rng.random((3, 2, 21)), rng.random((3, 2, 21))
    a, b = (np.round(3 * v) if tied else v for v in (a, b))
    a[0, 0], a, b = 1.0, torch.as_tensor(a), torch.as_tensor(b)
    chosen = COMPARATORS[method]
    counts = torch.tensor([[1, 1, 1, 1, 1, 1, 1], [0, 2, 1, 0, 3, 1, 0], [0, 4, 0, 3, 0, 0, 0]])
    if chosen.weigh is None:
        counts = counts.clamp_max(1)
    found = paired_scores(a, b, counts, method).numpy()
    for k in range(2):
        for s in range(2):
            if chosen.weigh is not None:
                expected = weighted_scores(a[k, s : s + 1], b[k, s : s + 1], counts[k : k + 1], method)[0, 0, 0]
            else:
                rows = torch.nonzero(counts[k])[:, 0]
                first, second = torch.triu_indices(7, 7, 1)
                kept = torch.isin(first, rows) & torch.isin(second, rows)
                expected = chosen.compare(a[k, s : s + 1, kept], b[k, s : s + 1, kept])[0, 0]
            assert found[k, s] == pytest.approx(float(expected), abs=1e-12, nan_ok=True)
    assert np.isnan(found[2]).all()


def test_ranks_are_the_same_on_every_device():
    rng = np.random.default_rng(12)
    values, weights = np.round(rng.random((4, 3, 30)) * 9), rng.integers(0, 3, (4, 30))
    expected = torch_ranks(torch.as_tensor(values), torch.as_tensor(weights, dtype=torch.float64)[:, None])
    assert (midranks(values, weights) == expected.numpy()).all()
    copies = np.repeat(np.arange(30), weights[0])
    assert midranks(values, weights)[0, 1][copies] == pytest.approx(rankdata(values[0, 1][copies]))
    assert midranks(np.full((1, 1, 3), np.nan), np.ones((1, 3))).shape == (1, 1, 3)
