"""Cross-validated predictions beside ridge regression solved for every fold, neuroid and penalty."""

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial.distance import pdist

from isocortex.errors import DataError
from isocortex.inference.nulls import permutations
from isocortex.similarity.metrics import METRICS
from isocortex.similarity.predictivity import linear_predictivity, prediction_rsa, reverse_predictivity, stimulus_folds
from isocortex.similarity.summaries import compare_systems
from isocortex.similarity.units import drawn_units

FUNCTIONS = {
    "linear_predictivity": linear_predictivity,
    "reverse_predictivity": reverse_predictivity,
    "prediction_rsa": prediction_rsa,
}
NAMES = sorted(FUNCTIONS)
DISTANCES = {
    "correlation": lambda x: pdist(x, "correlation"),
    "euclidean": lambda x: pdist(x, "sqeuclidean"),
    "cosine": lambda x: pdist(x, "cosine"),
}


def rho_a(a, b):
    ranks = [stats.rankdata(v) - (len(v) + 1) / 2 for v in (a, b)]
    return 12 * np.sum(ranks[0] * ranks[1]) / (len(a) ** 3 - len(a))


COMPARE = {
    "pearson": lambda a, b: np.corrcoef(a, b)[0, 1],
    "spearman": lambda a, b: stats.spearmanr(a, b).statistic,
    "rho_a": rho_a,
}


def related(n=40, p=6, q=5, seed=0):
    rng = np.random.default_rng(seed)
    x = 2.0 * rng.normal(size=(n, p)) + rng.normal(size=p)
    return x, x @ rng.normal(size=(p, q)) / p**0.5 + rng.normal(size=(n, q)), rng


def naive_predictions(x, y, folds=5):
    """Predictions and responses of each fold, from the n − 1 contrasts of training stimuli that have no mean."""
    for test in stimulus_folds(torch.as_tensor(x), folds):
        train = np.setdiff1d(np.arange(len(x)), test)
        known, new = x[train] - x[train].mean(0), x[test] - x[train].mean(0)
        n = len(train)
        contrasts = np.linalg.qr(np.c_[np.ones(n), np.eye(n)[:, 1:]])[0][:, 1:].T
        kernel, power = contrasts @ known @ known.T @ contrasts.T, np.sum(known**2) / n
        predicted = np.empty((len(test), y.shape[1]))
        for j in range(y.shape[1]):
            target, best = contrasts @ y[train, j], np.inf
            for alpha in 10.0 ** np.arange(8, -9, -1) * power:
                dual = np.linalg.inv(kernel + alpha * np.eye(n - 1))  # I − H = α(K + αI)⁻¹
                error = np.sum((dual @ target) ** 2) / np.trace(dual) ** 2
                if error < best:
                    best, predicted[:, j] = error, new @ known.T @ contrasts.T @ dual @ target
        yield predicted, y[test] - y[train].mean(0)


def naive_r(x, y, folds=5):
    z = []
    for predicted, observed in naive_predictions(x, y, folds):
        r = np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(predicted.T, observed.T, strict=True)])
        z.append(np.arctanh(r) - r / (2 * (len(observed) - 1)))
    return np.tanh(np.mean(z, axis=0)).mean()


def naive_rsa(x, y, rdm="correlation", compare="rho_a"):
    found = [COMPARE[compare](DISTANCES[rdm](a), DISTANCES[rdm](b)) for a, b in naive_predictions(x, y)]
    return np.mean(found)


@pytest.mark.parametrize(("p", "q"), [(6, 5), (60, 3), (32, 4)], ids=["narrow", "wide", "square"])
@pytest.mark.parametrize("folds", [2, 5])
def test_predictivity_is_of_ridge_in_every_fold(p, q, folds):
    x, y, _ = related(p=p, q=q)
    assert linear_predictivity(x, y, folds) == pytest.approx(naive_r(x, y, folds), abs=1e-6)
    assert reverse_predictivity(y, x, folds) == pytest.approx(naive_r(x, y, folds), abs=1e-6)
    assert linear_predictivity(torch.as_tensor(x), torch.as_tensor(y), folds) == pytest.approx(naive_r(x, y, folds), abs=1e-6)


@pytest.mark.parametrize("compare", sorted(COMPARE))
@pytest.mark.parametrize("rdm", sorted(DISTANCES))
def test_prediction_rsa_is_the_mean_over_folds_of_rsa(rdm, compare):
    x, y, _ = related(q=7, seed=1)
    assert prediction_rsa(x, y, rdm, compare) == pytest.approx(naive_rsa(x, y, rdm, compare), abs=1e-6)


@pytest.mark.parametrize("n", [8, 9, 12, 23, 50, 101])
def test_folds_part_all_stimuli_evenly_and_move_with_them(n):
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, 4)) + 5
    folds = stimulus_folds(torch.as_tensor(x), 5)
    assert sorted(np.concatenate(folds)) == list(range(n))
    sizes = [len(fold) for fold in folds]
    assert len(sizes) == min(5, n // 4)
    assert min(sizes) >= 4
    assert max(sizes) - min(sizes) <= 1
    order = rng.permutation(n)
    turned = 3.0 * x[order] @ np.linalg.qr(rng.normal(size=(4, 4)))[0] + 2.0
    moved = stimulus_folds(torch.as_tensor(turned), 5)
    assert [sorted(order[fold]) for fold in moved] == [sorted(fold) for fold in folds]


def test_folds_are_no_ranking_of_lengths():
    """Lengths of test and training stimuli are alike."""
    x = np.random.default_rng(0).normal(size=(400, 3))
    lengths = np.linalg.norm(x - x.mean(0), axis=1)
    means = [lengths[fold].mean() for fold in stimulus_folds(torch.as_tensor(x), 5)]
    assert np.ptp(means) < 6 * lengths.std() / 80**0.5
    assert np.ptp(means) > 1e-6


TRANSFORMS = {
    "rotation": lambda x, rng: x @ np.linalg.qr(rng.normal(size=(x.shape[1], x.shape[1])))[0],
    "permutation": lambda x, rng: x[:, rng.permutation(x.shape[1])],
    "isotropic_scale": lambda x, rng: 3.7 * x,
    "translation": lambda x, rng: x + rng.normal(size=x.shape[1]),
    "pattern_offset": lambda x, rng: x + 2 * rng.normal(size=(len(x), 1)),
    "pattern_scale": lambda x, rng: x * rng.uniform(0.2, 5, size=(len(x), 1)),
    "affine": lambda x, rng: x @ (np.eye(x.shape[1]) + 0.8 * rng.normal(size=(x.shape[1], x.shape[1]))),
}


@pytest.mark.parametrize("transform", sorted(TRANSFORMS))
@pytest.mark.parametrize("name", NAMES)
def test_declared_invariances_hold_and_undeclared_ones_fail(name, transform):
    x, y, rng = related(seed=2)
    change = abs(FUNCTIONS[name](TRANSFORMS[transform](x, rng), y) - FUNCTIONS[name](x, y))
    assert change < 1e-7 if transform in METRICS[name].invariances else change > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_a_common_order_does_not_matter_another_does_and_so_does_the_direction(name):
    x, y, rng = related(seed=3)
    order = rng.permutation(40)
    whole = FUNCTIONS[name](x, y)
    assert FUNCTIONS[name](x[order], y[order]) == pytest.approx(whole, abs=1e-9)
    assert abs(FUNCTIONS[name](x[order], y) - whole) > 1e-2
    assert abs(FUNCTIONS[name](y, x) - whole) > 1e-3
    assert FUNCTIONS[name](x, x) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_permuted_summaries_are_refits(name):
    """Folds move with the stimuli of the system that predicts, whichever of the two is permuted."""
    x, y, rng = related(seed=4)
    other = rng.normal(size=(40, 4))
    method, every = METRICS[name].summarised({}), np.arange(40)
    one, two, brain = (method.of(torch.as_tensor(z), every) for z in (x, other, y))
    orders = permutations(40, 3, 0)
    moved = [method.permuted(z, o) for o in orders for z in (one, two)]
    found = method.compare(moved, [method.permuted(brain, orders[2]), brain])
    expected = [
        [FUNCTIONS[name](z[o], y[orders[2]]), FUNCTIONS[name](z[o], y)] for o in orders for z in (x, other)
    ]  # fmt: skip
    assert found == pytest.approx(np.array(expected), abs=1e-7)
    again = method.permuted(method.permuted(one, orders[0]), orders[1])
    assert method.compare([again], [brain])[0, 0] == pytest.approx(FUNCTIONS[name](x[orders[0]][orders[1]], y), abs=1e-7)
    kept = np.sort(rng.permutation(40)[:31])
    drawn = method.compare([method.of(torch.as_tensor(x), kept)], [method.of(torch.as_tensor(y), kept)])
    assert drawn[0, 0] == pytest.approx(FUNCTIONS[name](x[kept], y[kept]), abs=1e-9)
    assert compare_systems(method, torch.as_tensor(x), torch.as_tensor(y)) == pytest.approx(FUNCTIONS[name](x, y), abs=1e-12)


def test_responses_that_fill_the_memory_are_taken_in_parts(monkeypatch):
    from isocortex.similarity.predictivity import rows

    x, y, _ = related(seed=5)
    method = METRICS["linear_predictivity"].summarised({})
    one, brain = (method.of(torch.as_tensor(z), np.arange(40)) for z in (x, y))
    moved = [method.permuted(one, o) for o in permutations(40, 7, 0)]
    whole = method.compare(moved, [brain])
    monkeypatch.setattr(rows, "_TOGETHER", 3 * 8.0 * rows._COPIES * y.size)
    assert method.compare(moved, [brain]) == pytest.approx(whole, abs=1e-12)


def test_units_are_drawn_alike_each_time():
    x, y, _ = related(p=30, seed=6)
    few = reverse_predictivity(x, y, units=10)
    assert few == reverse_predictivity(x, y, units=10)
    chosen = drawn_units(30, 10)
    assert len(set(chosen)) == 10
    assert few == pytest.approx(reverse_predictivity(x[:, chosen], y), abs=1e-12)
    assert abs(few - reverse_predictivity(x, y, units=30)) > 1e-4


def test_a_right_model_without_noise_has_the_root_of_the_reliability():
    rng = np.random.default_rng(7)
    signal = rng.normal(size=(500, 6)) * np.array([0.3, 0.6, 1, 1.5, 2, 0])
    trials = signal + rng.normal(size=(8, 500, 6))
    whole, first, second = trials.mean(0), trials[::2].mean(0), trials[1::2].mean(0)
    method = METRICS["linear_predictivity"].summarised({})
    order = rng.permutation(500)
    made = [method.permuted(method.of(torch.as_tensor(z), np.arange(500)), order) for z in (whole, first, second)]
    r = np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(first.T, second.T, strict=True)]).clip(0)
    found = method.noiseless(*made)
    assert found == pytest.approx(np.sqrt(2 * r / (1 + r)).mean(), abs=1e-12)
    # Of the neuroid without signal the root is anything from 0 to .3.
    truth = np.sum([np.corrcoef(signal[:, j], whole[:, j])[0, 1] for j in range(5)]) / 6
    last = np.sqrt(2 * r[5] / (1 + r[5])) / 6
    assert 0 <= last < 0.06
    assert found - last == pytest.approx(truth, abs=0.02)
    still = np.c_[whole, np.ones(500)], np.c_[first, np.ones(500)], np.c_[second, np.ones(500)]
    assert method.noiseless(*(method.of(torch.as_tensor(z), np.arange(500)) for z in still)) == pytest.approx(found, abs=1e-12)


def test_the_population_value_is_found_where_stimuli_are_many():
    rng = np.random.default_rng(8)
    x, noise = rng.normal(size=(1000, 8)), rng.normal(size=(1000, 6))
    signal = x @ rng.normal(size=(8, 6)) / 8**0.5
    expected = np.mean(signal.std(0) / np.sqrt(signal.var(0) + noise.var(0)))
    assert linear_predictivity(x, signal + noise) == pytest.approx(expected, abs=0.02)
    # From eighty it falls short by what is unlearnt, and small folds do not make up for it.
    found = [linear_predictivity(x[k : k + 80], (signal + noise)[k : k + 80], 10) for k in range(0, 960, 80)]
    assert expected - 0.08 < np.mean(found) < expected + 0.02


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("n", "p"), [(50, 10), (50, 100), (20, 6)])
def test_noise_predicts_nothing_on_average(name, n, p):
    """Of pooled predictions r would be about -.1 here."""
    rng = np.random.default_rng(9)
    found = [FUNCTIONS[name](rng.normal(size=(n, p)), rng.normal(size=(n, 6))) for _ in range(60)]
    assert abs(np.mean(found)) < 3 * np.std(found) / 60**0.5


def test_planted_geometries_are_predicted_and_offsets_of_folds_are_not():
    rng = np.random.default_rng(10)
    shared = rng.normal(size=(60, 5))
    x, y = (shared @ rng.normal(size=(5, 40)) + 0.5 * rng.normal(size=(60, 40)) for _ in range(2))
    assert prediction_rsa(x, y) > 0.7
    # A mean of responses is no geometry.
    assert prediction_rsa(x, y + 10 * rng.normal(size=40)) == pytest.approx(prediction_rsa(x, y), abs=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_degenerate_systems_have_one_answer(name):
    x, y, _ = related(seed=11)
    whole = FUNCTIONS[name](x, y)
    if name != "prediction_rsa":  # a neuroid is left out; a pattern has one neuroid more
        silent = [np.c_[x, np.full(40, 2.0)], np.c_[y, np.full(40, 2.0)]]
        assert FUNCTIONS[name](silent[0], y) == pytest.approx(whole, abs=1e-9)
        assert FUNCTIONS[name](x, silent[1]) == pytest.approx(whole, abs=1e-9)
    assert -1 <= FUNCTIONS[name](np.r_[x, x], np.r_[y, y]) <= 1
    assert -1 <= FUNCTIONS[name](np.random.default_rng(0).normal(size=(40, 300)), y) <= 1
    with pytest.raises(DataError, match=f"{name}: found the same pattern for all 40 stimuli, expected some that differ"):
        FUNCTIONS[name](np.ones_like(x), y)
    with pytest.raises(DataError, match=f"{name}: found 2 stimuli, expected at least 8, for two folds of 4"):
        FUNCTIONS[name](x[:2], y[:2])
    with pytest.raises(DataError, match=f"{name}: found 40 stimuli in x and 30 in y, expected the same stimuli"):
        FUNCTIONS[name](x, y[:30])
    y[3, 1] = np.inf
    with pytest.raises(DataError, match=f"{name}: found NaN or infinite values in y, expected finite ones"):
        FUNCTIONS[name](x, y)


def test_what_varies_in_one_stimulus_alone_predicts_nothing():
    x, y = np.zeros((20, 3)), np.random.default_rng(12).normal(size=(20, 4))
    x[7, 1] = 1.0
    # Its fold's fit is without variance, and in the others all test stimuli are alike.
    assert linear_predictivity(x, y) == 0.0
    assert prediction_rsa(x, y) == 0.0
    assert linear_predictivity(y, x) == pytest.approx(0.0, abs=1e-12)


def test_one_neuroid_has_no_rdm_of_correlations():
    x, y, _ = related(seed=13)
    with pytest.raises(DataError, match="constant patterns of"):
        prediction_rsa(x, y[:, :1])
    assert -1 <= prediction_rsa(x, y[:, :1], "euclidean") <= 1
