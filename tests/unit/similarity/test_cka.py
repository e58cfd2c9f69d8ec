"""Centred kernel alignment beside loops over stimuli, its bias, and what the inference does with its summaries."""

import itertools

import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.similarity.cka import cka, gaussian_kernel, hsic
from isocortex.similarity.cka.hsic import double_centred, products_of_patterns, u_centred
from isocortex.similarity.cka.rows import Narrow, summaries
from isocortex.similarity.ordered import Grams, Ordered, inner_products, ordered
from isocortex.similarity.summaries import compare_systems

ESTIMATORS = ["biased", "debiased"]
OPTIONS = [{"kernel": kernel, "estimator": estimator} for kernel in ("linear", "rbf") for estimator in ESTIMATORS]
EVERY = [*OPTIONS, {"batch": 7}, {"batch": 8, "kernel": "rbf"}, {"batch": 8, "estimator": "biased"}]
NAMED = ["-".join(str(v) for v in options.values()) for options in EVERY]


def pair(n=24, p=5, q=7, seed=0):
    rng = np.random.default_rng(seed)
    x = 2.0 * rng.normal(size=(n, p)) + rng.normal(size=p)
    return x, x @ rng.normal(size=(p, q)) / 2 + rng.normal(size=(n, q)), rng


def naive_kernel(x, kernel, bandwidth=1.0):
    if kernel == "linear":
        return np.array([[a @ b for b in x] for a in x])
    distances = np.array([[np.sum((a - b) ** 2) for b in x] for a in x])
    return np.exp(-distances / (2 * bandwidth**2 * np.median(distances)))


def naive_hsic(k, l_, estimator):
    """tr(KHLH)/(n − 1)², or the estimator of Song et al. as they write it."""
    n = len(k)
    if estimator == "biased":
        h = np.eye(n) - 1 / n
        return np.trace(k @ h @ l_ @ h) / (n - 1) ** 2
    k, l_ = k - np.diag(np.diag(k)), l_ - np.diag(np.diag(l_))
    one = np.ones(n)
    total = np.trace(k @ l_) + (one @ k @ one) * (one @ l_ @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * one @ k @ l_ @ one
    return total / (n * (n - 3))


def quadruples(k, l_):
    """The unbiased HSIC as a mean over all pairs, triples and quadruples of different stimuli."""
    n = len(k)
    mean = dict.fromkeys((2, 3, 4), 0.0)
    for i, j in itertools.permutations(range(n), 2):
        mean[2] += k[i, j] * l_[i, j] / (n * (n - 1))
    for i, j, q in itertools.permutations(range(n), 3):
        mean[3] += k[i, j] * l_[i, q] / (n * (n - 1) * (n - 2))
    for i, j, q, r in itertools.permutations(range(n), 4):
        mean[4] += k[i, j] * l_[q, r] / (n * (n - 1) * (n - 2) * (n - 3))
    return mean[2] + mean[4] - 2 * mean[3]


def naive_cka(x, y, kernel="linear", estimator="debiased", bandwidth=1.0, batch=None):
    parts = [np.arange(len(x))] if batch is None else np.split(np.arange(len(x)), range(batch, len(x), batch))
    sums = np.zeros(3)
    for part in parts:
        m = len(part)
        if m < 4:
            continue
        k, l_ = naive_kernel(x[part], kernel, bandwidth), naive_kernel(y[part], kernel, bandwidth)
        weight = {"biased": (m - 1) ** 2, "debiased": m * (m - 3)}[estimator]
        sums += weight * np.array([naive_hsic(a, b, estimator) for a, b in ((k, l_), (k, k), (l_, l_))])
    return sums[0] / np.sqrt(sums[1] * sums[2])


@pytest.mark.parametrize("options", EVERY, ids=NAMED)
@pytest.mark.parametrize(("n", "p", "q"), [(24, 5, 7), (11, 30, 40), (60, 3, 40)], ids=["tall", "wide", "mixed"])
def test_alignment_is_that_of_loops(options, n, p, q):
    x, y, _ = pair(n, p, q)
    expected = naive_cka(x, y, **options)
    assert cka(x, y, **options) == pytest.approx(expected, abs=1e-10)
    assert cka(torch.as_tensor(x), torch.as_tensor(y), **options) == pytest.approx(expected, abs=1e-10)
    assert cka(y, x, **options) == pytest.approx(expected, abs=1e-10)
    assert cka(x, x, **options) == pytest.approx(1.0, abs=1e-12)
    assert isinstance(cka(x, y, **options), float)


def test_hsic_is_a_mean_over_different_stimuli():
    x, y, _ = pair(7, 3, 4)
    k, l_ = naive_kernel(x, "linear"), naive_kernel(y, "rbf")
    expected = quadruples(k, l_)
    assert naive_hsic(k, l_, "debiased") == pytest.approx(expected, rel=1e-10)
    assert hsic(k, l_) == pytest.approx(expected, rel=1e-10)
    assert hsic(k, l_, "biased") == pytest.approx(naive_hsic(k, l_, "biased"), rel=1e-12)
    stacked = hsic(torch.as_tensor(np.stack([k, l_])), torch.as_tensor(np.stack([l_, l_])))
    assert stacked.numpy() == pytest.approx([expected, quadruples(l_, l_)], rel=1e-10)


def test_centred_kernels_have_rows_without_a_sum_and_move_with_their_stimuli():
    x, _, rng = pair(12)
    k, order = torch.as_tensor(x @ x.T), torch.as_tensor(rng.permutation(12))
    for centre in (double_centred, u_centred):
        made = centre(k)
        assert made.sum(0).abs().max() < 1e-10
        assert torch.allclose(centre(k[order][:, order]), made[order][:, order], atol=1e-12)
    assert not u_centred(k).diagonal().any()
    noisy = k + torch.diag(torch.as_tensor(rng.uniform(1, 9, size=12)))
    assert torch.allclose(u_centred(noisy), u_centred(k), atol=1e-12)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_patterns_give_the_products_of_their_kernels(estimator):
    x, y, _ = pair()
    x, y = (torch.as_tensor(z - z.mean(0)) for z in (x, y))
    centre = {"biased": double_centred, "debiased": u_centred}[estimator]
    expected = (centre(x @ x.T) * centre(y @ y.T)).sum()
    assert float(products_of_patterns(x, y, estimator)) == pytest.approx(float(expected), rel=1e-12)


def test_gaussian_kernel_takes_the_median_of_all_squared_distances():
    x = np.array([[0.0], [1.0], [3.0]])
    # Squared distances 0 0 0 1 1 4 4 9 9: the fifth is 1.
    assert gaussian_kernel(x @ x.T, 2.0) == pytest.approx(np.exp(-((x - x.T) ** 2) / 8.0))
    assert gaussian_kernel(x @ x.T, scale=5.0) == pytest.approx(np.exp(-((x - x.T) ** 2) / 10.0))
    assert gaussian_kernel(np.diag([1.0, 1.0])) == pytest.approx(np.array([[1, np.exp(-1)], [np.exp(-1), 1]]))


@pytest.mark.parametrize("options", EVERY, ids=NAMED)
@pytest.mark.parametrize("p", [3, 30], ids=["narrow", "wide"])
def test_summaries_permute_and_draw_as_the_function(options, p):
    x, y, rng = pair(24, p)
    method = summaries(options)
    layer, brain = torch.as_tensor(x), torch.as_tensor(y)
    every, rows = np.arange(24), np.sort(rng.permutation(24)[:15])
    one, two = rng.permutation(24), rng.permutation(24)
    moved = method.permuted(method.permuted(method.of(layer, every), one), two)
    expected = [cka(x[one][two], y, **options), cka(x[rows], y[rows], **options), cka(x, y, **options)]
    assert method.compare([moved], [method.of(brain, every)])[0, 0] == pytest.approx(expected[0], abs=1e-10)
    assert method.compare([method.of(layer, rows)], [method.of(brain, rows)])[0, 0] == pytest.approx(expected[1], abs=1e-10)
    both = method.compare([moved, method.of(layer, every)], [method.of(brain, every), method.of(layer, every)])
    assert both[:, 0] == pytest.approx([expected[0], expected[2]], abs=1e-10)
    assert both[1, 1] == pytest.approx(1.0, abs=1e-12)
    assert compare_systems(method, layer, brain) == pytest.approx(expected[2], abs=1e-10)


def test_narrow_systems_beside_wide_ones():
    x, y, rng = pair(40, 3, 60)
    method, every = summaries({}), np.arange(40)
    narrow, wide = (method.of(torch.as_tensor(z), every) for z in (x, y))
    assert isinstance(narrow, Narrow)
    assert isinstance(wide, Ordered)
    order = rng.permutation(40)
    found = method.compare([narrow, wide], [method.permuted(narrow, order), method.permuted(wide, order)])
    expected = [[naive_cka(a, b[order]) for b in (x, y)] for a in (x, y)]
    assert found == pytest.approx(np.array(expected), abs=1e-12)


def test_products_are_those_of_any_chunks(monkeypatch):
    _, _, rng = pair()
    made = [ordered(torch.as_tensor(rng.normal(size=(6, 6)))) for _ in range(5)]
    made[2] = made[2].permuted(rng.permutation(6))
    expected = [[float((a.flat() * b.flat()).sum()) for b in made] for a in made[:4]]
    for left, right in ((2, 3), (1, 1), (3, 2)):
        monkeypatch.setattr("isocortex.similarity.ordered._LEFT_BYTES", left * 8.0 * 36)
        monkeypatch.setattr("isocortex.similarity.ordered._RIGHT_BYTES", right * 8.0 * 36)
        assert inner_products(made[:4], made).numpy() == pytest.approx(np.array(expected), rel=1e-12)


def test_gram_matrices_are_kept_only_while_they_fit(monkeypatch):
    monkeypatch.setattr("isocortex.similarity.ordered._KEPT_BYTES", 20000.0)
    grams = Grams("cka", 4)
    rows = np.arange(3, 15)
    x = [torch.as_tensor(pair(16, 40, seed=k)[0]) for k in range(4)]
    for system in (*x, *x):
        moved = system[rows] - system[rows].mean(0)
        assert torch.allclose(grams.of(system, rows), moved @ moved.T, atol=1e-10)
    assert 1 <= len(grams.kept) < 4
    # The same place in memory read otherwise is another system.
    square = torch.as_tensor(pair(16, 16)[0])
    assert not torch.allclose(grams.of(square, rows), grams.of(square.mT, rows))
    monkeypatch.setattr("isocortex.similarity.ordered._KEPT_BYTES", 2000.0)
    fresh = Grams("cka", 4)
    assert torch.allclose(fresh.of(x[0], rows), grams.of(x[0], rows), atol=1e-10)
    assert not fresh.kept


@pytest.mark.parametrize("p", [10, 100, 1000])
def test_noise_has_no_debiased_alignment_and_a_biased_one(p):
    rng = np.random.default_rng(p)
    values = {name: [] for name in ("debiased", "biased", "rbf", "batch")}
    for _ in range(20):
        x, y = rng.normal(size=(2, 50, p))
        values["debiased"].append(cka(x, y))
        values["biased"].append(cka(x, y, estimator="biased"))
        values["rbf"].append(cka(x, y, kernel="rbf"))
        values["batch"].append(cka(x, y, batch=10))
    means = {name: np.mean(v) for name, v in values.items()}
    assert abs(means["debiased"]) < 0.03
    assert abs(means["rbf"]) < 0.03
    assert abs(means["batch"]) < 0.06
    assert means["biased"] == pytest.approx(p / (p + 50), abs=0.05)


@pytest.mark.parametrize("p", [10, 100, 1000])
def test_alignment_is_that_of_the_population(p):
    """With signal and noise planted, |Σ_xy|² / (|Σ_x| |Σ_y|) of the covariances that made them; its bias is of order 1/n."""
    rng = np.random.default_rng(p)
    found, expected = [], []
    for _ in range(15):
        a, b = rng.normal(size=(2, 4, p)) / np.sqrt(p)
        s = rng.normal(size=(400, 4))
        x, y = (s @ m + rng.normal(size=(400, p)) / np.sqrt(p) for m in (a, b))
        found.append(cka(x, y))
        own = [np.sum((m.T @ m + np.eye(p) / p) ** 2) for m in (a, b)]
        expected.append(np.sum((a.T @ b) ** 2) / np.sqrt(own[0] * own[1]))
    assert np.mean(found) == pytest.approx(np.mean(expected), abs=0.02)


@pytest.mark.parametrize("options", [{}, {"batch": 20}], ids=["whole", "batch"])
@pytest.mark.parametrize(("p", "noise"), [(3, 1.5), (200, 6.0)], ids=["narrow", "wide"])
def test_ceilings_are_what_a_right_model_without_noise_scores(options, p, noise):
    rng = np.random.default_rng(0)
    method, every = summaries(options), np.arange(80)
    right, ceiling = [], []
    for _ in range(40):
        signal = rng.normal(size=(80, 4)) @ rng.normal(size=(4, p))
        halves = signal + noise * rng.normal(size=(2, 80, p))
        whole, first, second, model = (method.of(torch.as_tensor(z), every) for z in (halves.mean(0), *halves, signal))
        right.append(method.compare([model], [whole])[0, 0])
        ceiling.append(method.noiseless(whole, first, second))
    assert np.mean(ceiling) == pytest.approx(np.mean(right), abs=0.02)
    assert np.mean(right) < 0.95


def test_other_estimators_have_no_identity_across_halves():
    for options in ({"estimator": "biased"}, {"kernel": "rbf"}, {"kernel": "rbf", "batch": 8}):
        assert summaries(options).noiseless is None


def test_a_ceiling_stays_between_zero_and_one():
    x, _, rng = pair(24, 40)
    method, every = summaries({}), np.arange(24)
    whole, other = (method.of(torch.as_tensor(z), every) for z in (x, rng.normal(size=(24, 40))))
    assert method.noiseless(whole, whole, whole) == 1.0
    moved = [method.noiseless(whole, other, method.permuted(other, rng.permutation(24))) for _ in range(20)]
    assert min(moved) == 0.0


def test_degenerate_systems_have_one_answer():
    x, y, rng = pair()
    silent = np.c_[x, np.full(24, 3.0)]
    assert cka(silent, y) == pytest.approx(cka(x, y), abs=1e-12)
    copies = x.copy()
    copies[5] = copies[4]
    assert cka(copies, y) == pytest.approx(naive_cka(copies, y), abs=1e-12)
    with pytest.raises(DataError, match="cka: found the same pattern for all 24 stimuli, expected some that differ"):
        cka(np.tile(x[:1], (24, 1)), y)
    for wide in (x, rng.normal(size=(24, 50))):
        with pytest.raises(DataError, match="cka: found the same pattern for all 6 stimuli"):
            flat = torch.as_tensor(np.r_[np.tile(wide[:1], (6, 1)), wide[6:]])
            summaries({}).of(flat, np.arange(6))
    with pytest.raises(DataError, match=r"cka: found patterns of shape \(3, 5\), expected \(stimuli >= 4, units >= 1\)"):
        cka(x[:3], y[:3], batch=5)
    with pytest.raises(DataError, match="cka: found 3 stimuli, expected at least 4; compare needs more stimuli"):
        cka(x[:3], y[:3])
    with pytest.raises(DataError, match="cka: found 2 stimuli, expected at least 3"):
        cka(x[:2], y[:2], estimator="biased")
    with pytest.raises(DataError, match="cka: found 24 stimuli in x and 20 in y, expected the same stimuli"):
        cka(x, y[:20])
    with pytest.raises(DataError, match="cka: found NaN or infinite values, expected finite ones"):
        cka(np.where(x > 3, np.nan, x), y)
    with pytest.raises(DataError, match="cka: found a median distance of 0, expected stimuli that differ; leave copies out"):
        cka(np.r_[np.ones((20, 5)), x[:4]], y, kernel="rbf")
    with pytest.raises(DataError, match="hsic: found 3 stimuli, expected at least 4"):
        hsic(np.eye(3), np.eye(3))


def test_unknown_names_are_refused():
    x, y, _ = pair()
    with pytest.raises(ValueError, match=r"cka: found kernel 'cubic', expected one of \['linear', 'rbf'\]"):
        cka(x, y, kernel="cubic")
    with pytest.raises(ValueError, match=r"cka: found estimator 'best', expected one of \['biased', 'debiased'\]"):
        cka(x, y, estimator="best")


def test_a_kernel_without_variance_has_no_alignment():
    """Stimuli equally far from each other have a kernel that U-centring takes away."""
    x, _, _ = pair(6)
    kernel = ordered(u_centred(torch.eye(6, dtype=torch.float64)))
    other = ordered(u_centred(torch.as_tensor(x @ x.T)))
    assert np.isnan(summaries({}).compare([kernel], [other])[0, 0])
