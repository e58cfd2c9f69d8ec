from itertools import combinations, pairwise
from math import comb

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from isocortex.errors import DataError
from isocortex.similarity.shape import eigenmoments, moment_similarity, shape_similarity, similarity_from_covariance
from isocortex.similarity.shape.chains import traces_of_patterns
from isocortex.similarity.shape.polynomial import GRID_POINTS, best_uniform, square_root_polynomial
from isocortex.similarity.shape.spectral import scaled_moments, traces

GRID = np.linspace(0, 1, GRID_POINTS)


def pair(m, p, q=None, share=0.5, seed=0):
    rng = np.random.default_rng(seed)
    x, own = rng.normal(size=(m, p)), rng.normal(size=(m, q or p))
    own[:, : min(p, q or p)] *= np.sqrt(1 - share**2)
    own[:, : min(p, q or p)] += share * x[:, : q or p]
    return x, own


def chained(a, b, n_moments):
    """Means over increasing chains of stimuli, one chain after another."""
    found = []
    for p in range(1, n_moments + 1):
        total = 0.0
        for chain in combinations(range(len(a)), 2 * p):
            product = b[chain[-1], chain[0]]
            for k, (i, j) in enumerate(pairwise(chain)):
                product *= (b if k % 2 else a)[i, j]
            total += product
        found.append(total / comb(len(a), 2 * p))
    return found


def powers(a, b, n_moments):
    """tr((U T)^{p−1} U B) / C(M, 2p), one product after another."""
    u, t = np.triu(a, 1), np.triu(b, 1)
    found, chain = [], u
    for p in range(1, n_moments + 1):
        found.append(np.trace(chain @ b) / comb(len(a), 2 * p))
        chain = chain @ t @ u
    return np.array(found)


def test_eigenmoments_are_means_over_chains_of_stimuli():
    x, y = pair(9, 3, 4)
    assert eigenmoments(x @ x.T, y @ y.T, 4) == pytest.approx(np.array(chained(x @ x.T, y @ y.T, 4)))


@pytest.mark.parametrize("n_moments", [1, 2, 3, 4, 7, 8, 12])
@pytest.mark.parametrize(("m", "p", "q"), [(24, 3, 5), (64, 80, 9), (200, 6, 4), (330, 40, 30)])
def test_both_ways_to_moments_equal_powers_of_triangles(m, p, q, n_moments):
    x, y = pair(m, p, q)
    a, b = x @ x.T, y @ y.T
    expected = powers(a, b, n_moments)
    scale = powers(np.abs(a), np.abs(b), n_moments)
    np.testing.assert_array_less(np.abs(eigenmoments(a, b, n_moments) - expected), 1e-11 * scale)
    u, t = (torch.as_tensor(np.triu(z, 1)) for z in (a, b))
    sums = traces(u, t, n_moments).numpy()
    by_units = traces_of_patterns(torch.as_tensor(x)[None], torch.as_tensor(y)[None], n_moments)[0].numpy()
    counts = np.array([comb(m, 2 * k) for k in range(1, n_moments + 1)], dtype=float)
    np.testing.assert_array_less(np.abs(sums / counts - expected), 1e-11 * scale)
    np.testing.assert_array_less(np.abs(by_units / counts - expected), 1e-11 * scale)


def test_batches_scales_and_tensors():
    pairs = [pair(20, 3, seed=seed) for seed in range(3)]
    a, b = (torch.as_tensor(np.stack([z[k] @ z[k].T for z in pairs])) for k in range(2))
    kept = a.clone()
    found = eigenmoments(a, b, 5)
    assert isinstance(found, torch.Tensor)
    assert torch.equal(a, kept)
    for k in range(3):
        assert found[k].numpy() == pytest.approx(eigenmoments(a[k].numpy(), b[k].numpy(), 5), rel=1e-9)
    scaled = scaled_moments(a, b, 5, 2.0)
    assert scaled.numpy() == pytest.approx((found / 2.0 ** (2 * torch.arange(1, 6))).numpy(), rel=1e-9)


def test_eigenmoments_are_unbiased():
    cross = np.diag([0.9, 0.5, 0.2])
    rng = np.random.default_rng(0)
    found = []
    for _ in range(4000):
        x = rng.normal(size=(12, 3))
        y = x @ cross + rng.normal(size=(12, 3)) * np.sqrt(1 - np.diag(cross) ** 2)
        found.append(eigenmoments(x @ x.T, y @ y.T, 3))
    expected = [(np.diag(cross) ** (2 * p)).sum() for p in (1, 2, 3)]
    error = np.std(found, axis=0) / np.sqrt(len(found))
    np.testing.assert_array_less(np.abs(np.mean(found, axis=0) - expected), 4 * error)


def objective(v, covariance, balance, weight):
    return (2 - balance) * v[:-1] @ covariance @ v[:-1] + balance * weight * v[-1] ** 2


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("reach", [1.3, 3.0])
@pytest.mark.parametrize("degree", [2, 4])
def test_polynomials_equal_those_of_a_general_solver(degree, reach, balance):
    rng = np.random.default_rng(degree)
    covariance = np.cov((np.cumsum(rng.normal(size=(40, degree)), axis=1)).T)
    weight, least = 30.0, best_uniform(degree)[0]
    found = square_root_polynomial(covariance, balance, weight, reach * least)
    basis = GRID[:, None] ** np.arange(1, degree + 1)
    limits = [
        {"type": "ineq", "fun": lambda v: v[-1] - (basis @ v[:-1] - np.sqrt(GRID))},
        {"type": "ineq", "fun": lambda v: v[-1] + (basis @ v[:-1] - np.sqrt(GRID))},
        {"type": "ineq", "fun": lambda v: reach * least - v[-1]},
    ]
    start = np.r_[square_root_polynomial(covariance, 2.0, weight, reach * least).coefficients, reach * least]
    theirs = minimize(
        objective, start, (covariance, balance, weight), "SLSQP", constraints=limits, options={"maxiter": 500, "ftol": 1e-13}
    )
    assert np.abs(basis @ found.coefficients - np.sqrt(GRID)).max() == pytest.approx(found.error, abs=1e-9)
    assert found.error <= reach * least * (1 + 1e-9)
    ours = objective(np.r_[found.coefficients, found.error], covariance, balance, weight)
    assert ours == pytest.approx(theirs.fun, rel=1e-5)


def test_the_nearest_polynomials_have_as_many_equal_errors_as_they_must():
    """Chebyshev: √x − p(x), p of n powers without constant, has its largest error n + 1 times, with signs in turn."""
    for degree in (1, 3, 6):
        error, _ = best_uniform(degree)
        made = square_root_polynomial(np.eye(degree), 2.0, 1.0, 1.0)
        apart = GRID[:, None] ** np.arange(1, degree + 1) @ made.coefficients - np.sqrt(GRID)
        signs = np.sign(apart[np.abs(apart) > error * (1 - 1e-6)])
        assert 1 + (np.diff(signs) != 0).sum() >= degree + 1
    assert best_uniform(1)[0] == pytest.approx((np.sqrt(2) - 1) / 2, abs=1e-5)


def test_the_dial_trades_variance_for_bias():
    x, y = pair(80, 8)
    found = [moment_similarity(x, y, balance=balance) for balance in (0.0, 0.5, 1.0, 1.5, 2.0)]
    assert (np.diff([f.sd for f in found]) >= 0).all()
    assert (np.diff([f.bias_bound for f in found]) <= 0).all()
    bounded = moment_similarity(x, y, balance=0.0, bias_fraction=0.15)
    assert bounded.bias_bound == pytest.approx(0.15, abs=1e-9)
    assert bounded.sd >= found[0].sd


def test_the_estimate_is_near_and_the_plug_in_is_above():
    rng = np.random.default_rng(0)
    for share in (0.0, 0.5):
        found = [moment_similarity(*pair(60, 20, share=share, seed=int(s))) for s in rng.integers(1 << 30, size=30)]
        bias = np.mean([f.estimate for f in found]) - share
        error = np.std([f.estimate for f in found]) / np.sqrt(30)
        assert abs(bias) < np.mean([f.bias_bound for f in found]) + 3 * error
        assert np.mean([f.plug_in for f in found]) > share + 0.1
        assert all(f.interval[0] <= f.estimate <= f.interval[1] for f in found)
        assert all(0 <= f.clipped <= 1 for f in found)


def test_float32_draws_give_the_answer_of_float64(monkeypatch):
    for m, p in ((60, 70), (60, 5)):
        x, y = pair(m, p)
        quick = moment_similarity(x, y)
        with monkeypatch.context() as patch:
            patch.setattr("isocortex.similarity.shape.moments._DRAWS", torch.float64)
            exact = moment_similarity(x, y)
        assert quick.estimate == pytest.approx(exact.estimate, abs=1e-4 * exact.sd)
        assert quick.sd == pytest.approx(exact.sd, rel=1e-4)
        assert quick.bias_bound == pytest.approx(exact.bias_bound, rel=1e-4)


def test_bootstraps_are_of_stimuli():
    """The covariance of moments of gathered Gram matrices, one draw after another."""
    x, y = pair(30, 4)
    x, y = x - x.mean(0), y - y.mean(0)
    drawn = np.random.default_rng(7).integers(30, size=(20, 30))
    moments = [powers((x @ x.T)[np.ix_(d, d)], (y @ y.T)[np.ix_(d, d)], 3) for d in drawn]
    expected = similarity_from_covariance(x, y, np.cov(np.array(moments).T))
    found = moment_similarity(x, y, 3, 20, seed=7)
    assert found.estimate == pytest.approx(expected.estimate, rel=1e-4)
    assert found.sd == pytest.approx(expected.sd, rel=1e-4)
    assert found.estimate == pytest.approx(
        found.coefficients @ (powers(x @ x.T, y @ y.T, 3) / found.scale ** (2 * np.arange(1, 4)))
        * found.scale / np.sqrt((x**2).sum() * (y**2).sum()) * 30
    )  # fmt: skip


def test_noise_that_two_repeats_do_not_share_falls_out():
    rng = np.random.default_rng(1)
    found, naive = [], []
    for _ in range(30):
        x, y = pair(100, 6, share=0.8, seed=int(rng.integers(1 << 30)))
        a, b = (z + 0.7 * rng.normal(size=(2, 100, 6)) for z in (x, y))
        found.append(moment_similarity(a, b, 5))
        naive.append(moment_similarity(a[0], b[0], 5).estimate)
    error = np.std([f.estimate for f in found]) / np.sqrt(30)
    assert abs(np.mean([f.estimate for f in found]) - 0.8) < np.mean([f.bias_bound for f in found]) + 3 * error
    assert np.mean(naive) < 0.65


def test_rotation_scale_and_means_do_not_matter():
    x, y = pair(40, 5)
    before = moment_similarity(x, y, 5)
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(5, 5)))[0]
    after = moment_similarity(3 * x @ turn + 2, 0.1 * y - 1, 5)
    assert after.estimate == pytest.approx(before.estimate, rel=1e-4)
    assert after.sd == pytest.approx(before.sd, rel=1e-3)
    assert shape_similarity(3 * x @ turn + 2, y) == pytest.approx(shape_similarity(x, y))
    assert abs(shape_similarity(x + 2, y, centre=False) - shape_similarity(x, y)) > 1e-3
    mixed = x @ np.random.default_rng(3).normal(size=(5, 5))
    assert abs(shape_similarity(mixed, y) - shape_similarity(x, y)) > 1e-3


def test_one_unit_unequal_widths_and_tensors():
    x, y = pair(50, 1, 7, share=0.6)
    values = np.linalg.svd((x - x.mean(0)).T @ (y - y.mean(0)), compute_uv=False)
    expected = values.sum() / np.sqrt(((x - x.mean(0)) ** 2).sum() * ((y - y.mean(0)) ** 2).sum())
    assert shape_similarity(x, y) == pytest.approx(expected)
    kept = x.copy()
    found = moment_similarity(x, y, 4)
    np.testing.assert_array_equal(x, kept)
    assert np.isfinite([found.estimate, found.sd, found.bias_bound]).all()
    assert moment_similarity(torch.as_tensor(x), torch.as_tensor(y), 4).estimate == pytest.approx(found.estimate, rel=1e-6)
    assert moment_similarity(x[:2], y[:2], 1, 5).n_moments == 1


def test_duplicate_stimuli_have_an_estimate():
    x, y = pair(20, 3)
    place = np.repeat(np.arange(10), 2)
    found = moment_similarity(x[place], y[place], 4)
    assert np.isfinite([found.estimate, found.sd]).all()


def test_wrong_input_is_refused():
    x, y = pair(30, 5)
    with pytest.raises(DataError, match=r"found no polynomial of 4 moments within .* raise bias_fraction by a factor of"):
        moment_similarity(x, y, 4, bias_fraction=0.01)
    with pytest.raises(DataError, match="found 16 moments of 30 stimuli, expected 1 to 15"):
        moment_similarity(x, y, 16)
    with pytest.raises(DataError, match="found 17 moments of 60 stimuli, expected 1 to 16"):
        moment_similarity(*pair(60, 3), 17)
    with pytest.raises(DataError, match="found 8 bootstraps, expected more than the 8 moments"):
        moment_similarity(x, y, bootstraps=8)
    with pytest.raises(ValueError, match="found balance 3, expected 0"):
        moment_similarity(x, y, balance=3)
    with pytest.raises(ValueError, match="found bias_fraction 0, expected above 0"):
        moment_similarity(x, y, bias_fraction=0)
    with pytest.raises(DataError, match="found no variance of x, expected some; leave the system out"):
        moment_similarity(np.ones((30, 2)), y)
    with pytest.raises(DataError, match="found no variance of y that repeats share"):
        shape_similarity(np.stack([x, x]), np.stack([y, -y]))
    with pytest.raises(DataError, match=r"expected \(M, N\) of both or two repeats"):
        moment_similarity(np.stack([x, x]), y)
    with pytest.raises(DataError, match="found patterns of x and y whose covariance is zero throughout"):
        moment_similarity(np.array([[1.0], [-1], [1], [-1]]), np.array([[1.0], [1], [-1], [-1]]), 1)
    with pytest.raises(DataError, match=r"found a covariance of shape \(2, 3\), expected finite"):
        similarity_from_covariance(x, y, np.ones((2, 3)))
    with pytest.raises(DataError, match=r"found Gram matrices of shape \(30, 5\) and \(30, 5\), expected both"):
        eigenmoments(x, y, 2)
