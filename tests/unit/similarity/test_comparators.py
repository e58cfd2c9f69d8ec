import numpy as np
import pytest
import torch
from scipy.stats import rankdata

from isocortex.errors import DataError
from isocortex.similarity import compare_rdms, rdm, rsa
from isocortex.similarity.comparators import COMPARATORS, pooled
from isocortex.similarity.comparators.ranks import WeightedRanks, average_ranks
from isocortex.similarity.comparators.resampled import permuted_scores, weighted_scores

METHODS = sorted(COMPARATORS)
WEIGHTED = sorted(name for name, chosen in COMPARATORS.items() if chosen.weigh is not None)


def contrasts(n):
    first, second = np.triu_indices(n, 1)
    rows = np.arange(len(first))
    c = np.zeros((len(first), n))
    c[rows, first], c[rows, second] = 1, -1
    return c


def gram(v):
    n = round((1 + np.sqrt(1 + 8 * len(v))) / 2)
    square = np.zeros((n, n))
    square[np.triu_indices(n, 1)] = v
    square = square + square.T
    centre = np.eye(n) - 1 / n
    return -0.5 * centre @ square @ centre


def bures(a, b):
    a, b = gram(a), gram(b)
    values, vectors = np.linalg.eigh(a)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    product = np.linalg.eigvals(root @ b @ root).real
    return np.sqrt(np.clip(product, 0, None)).sum() / np.sqrt(np.trace(a) * np.trace(b))


def whitened(a, b, keep, centred):
    n = round((1 + np.sqrt(1 + 8 * len(keep))) / 2)
    c = contrasts(n)
    v = ((c @ c.T) ** 2)[np.ix_(keep, keep)]
    if centred:
        a, b = a - a.mean(), b - b.mean()
    x, y = np.linalg.solve(v, np.stack([a, b]).T).T
    return (a @ y) / np.sqrt((a @ x) * (b @ y))


def kendall(a, b, method):
    n = len(a)
    balance = sum(np.sign(a[i] - a[j]) * np.sign(b[i] - b[j]) for i in range(n) for j in range(i))
    if method == "tau_a":
        return balance / (n * (n - 1) / 2)
    free = [sum(v[i] != v[j] for i in range(n) for j in range(i)) for v in (a, b)]
    return balance / np.sqrt(free[0] * free[1])


def naive(a, b, method):
    """Loops in float64; entries missing in either are left out."""
    keep = np.isfinite(a) & np.isfinite(b)
    a, b = a[keep], b[keep]
    n = len(a)
    if method == "bures":
        return bures(a, b)
    if method.startswith("whitened"):
        return whitened(a, b, keep, method == "whitened_pearson")
    if method.startswith("tau"):
        return kendall(a, b, method)
    if method in ("spearman", "rho_a"):
        a, b = rankdata(a), rankdata(b)
    if method == "rho_a":
        return 12 * ((a - a.mean()) * (b - b.mean())).sum() / (n**3 - n)
    if method != "cosine":
        a, b = a - a.mean(), b - b.mean()
    return (a @ b) / np.sqrt((a @ a) * (b @ b))


@pytest.fixture(params=["untied", "tied", "negative"])
def vectors(request):
    """RDMs of eight stimuli: of different values, of few, and noisy about zero as cross-validated ones are."""
    rng = np.random.default_rng(5)
    a, b = rng.random((3, 28)), rng.random((2, 28))
    if request.param == "tied":
        return np.round(a * 4), np.round(b * 3)
    return (a - 0.2, b - 0.3) if request.param == "negative" else (a, b)


@pytest.mark.parametrize("method", METHODS)
def test_tables_of_comparisons_equal_loops(vectors, method):
    a, b = vectors
    expected = [[naive(x, y, method) for y in b] for x in a]
    # Square roots of eigenvalues that are zero but for rounding.
    close = {"abs": 1e-7} if method == "bures" else {"abs": 1e-12}
    assert compare_rdms(a, b, method) == pytest.approx(np.array(expected), **close)
    assert compare_rdms(a[0], b[1], method) == pytest.approx(expected[0][1], **close)
    tensors = compare_rdms(torch.as_tensor(a), torch.as_tensor(b), method)
    assert isinstance(tensors, torch.Tensor)
    assert tensors.numpy() == pytest.approx(np.array(expected), **close)


@pytest.mark.parametrize("method", METHODS)
def test_single_precision_is_compared_in_double(vectors, method):
    a, b = (v.astype(np.float32) for v in vectors)
    assert compare_rdms(a, b, method) == pytest.approx(compare_rdms(a.astype(float), b.astype(float), method), abs=1e-12)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "bures"])
def test_a_pair_missing_anywhere_is_left_out(vectors, method):
    a, b = vectors[0].copy(), vectors[1].copy()
    a[0, 3] = b[1, 7] = a[2, 7] = np.nan
    missing = np.isin(np.arange(28), [3, 7])
    expected = naive(np.where(missing, np.nan, a[1]), b[0], method)
    assert compare_rdms(a, b, method)[1, 0] == pytest.approx(expected, abs=1e-12)


def test_bures_needs_every_pair():
    a = np.r_[np.nan, np.arange(1.0, 10)]
    with pytest.raises(DataError, match="found 1 pairs without a value, expected none for compare: bures"):
        compare_rdms(a, np.arange(10.0), "bures")


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_rdm_has_a_defined_answer(method):
    value = compare_rdms(np.full(10, 0.3), np.arange(10.0), method)
    if method in ("rho_a", "tau_a"):
        assert value == 0
    elif method in ("cosine", "whitened_cosine", "bures"):  # all distances equal is a geometry like others
        assert 0 < value < 1
    else:
        assert np.isnan(value)


@pytest.mark.parametrize("method", METHODS)
def test_an_rdm_of_zeros_has_a_defined_answer(method):
    value = compare_rdms(np.zeros(10), np.arange(10.0), method)
    assert value == 0 if method in ("rho_a", "tau_a") else np.isnan(value)


@pytest.mark.parametrize("method", METHODS)
def test_three_stimuli_are_enough_and_two_are_not(method):
    a, b = np.array([0.2, 0.9, 0.4]), np.array([0.3, 0.5, 0.6])
    assert compare_rdms(a, b, method) == pytest.approx(naive(a, b, method), abs=1e-7)
    with pytest.raises(DataError, match="found 1 pairs with a value"):
        compare_rdms(np.ones(1), np.ones(1), method)


@pytest.mark.parametrize("method", METHODS)
def test_a_stimulus_shown_twice_is_compared_like_any_other(method):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(6, 4)), rng.normal(size=(6, 9))
    twice = np.r_[np.arange(6), 0]
    a, b = rdm(x[twice], "euclidean"), rdm(y[twice], "euclidean")
    assert compare_rdms(a, b, method) == pytest.approx(naive(a, b, method), abs=1e-7)


def test_wrong_shapes_and_names_are_refused():
    with pytest.raises(DataError, match="found RDMs with 10 and 6 pairs, expected equal"):
        compare_rdms(np.ones(10), np.ones(6))
    with pytest.raises(DataError, match="found 2 pairs with a value"):
        compare_rdms(np.array([1.0, 2.0, np.nan]), np.arange(3.0))
    with pytest.raises(ValueError, match="found comparator 'kendall'"):
        compare_rdms(np.ones(3), np.ones(3), "kendall")


def test_rsa_takes_arrays_and_tensors():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 5)), rng.normal(size=(8, 9))
    value = rsa(x, y)
    assert value == pytest.approx(naive(rdm(x), rdm(y), "rho_a"))
    assert rsa(torch.as_tensor(x), torch.as_tensor(y)) == pytest.approx(value)
    assert rsa(x, y, rdm="euclidean", compare="pearson") == pytest.approx(
        naive(rdm(x, "euclidean"), rdm(y, "euclidean"), "pearson")
    )


def test_ranks_with_weights_are_ranks_of_the_copies():
    x = torch.tensor([0.3, 0.1, 0.3, 0.2, 0.9], dtype=torch.float64)
    assert average_ranks(x).tolist() == rankdata(x.numpy()).tolist()
    weights = np.array([[2, 1, 0, 3, 1], [1, 1, 1, 1, 1], [0, 0, 4, 1, 0]])
    ranks = WeightedRanks(x)(torch.as_tensor(weights, dtype=torch.float64)).numpy()
    for w, r in zip(weights, ranks, strict=True):
        copies = np.repeat(np.arange(5), w)
        expected = rankdata(x.numpy()[copies])
        assert r[copies] == pytest.approx(expected)


def test_pools_are_means_in_the_scale_of_the_comparator():
    rows = np.random.default_rng(4).random((4, 15))
    z = (rows - rows.mean(1, keepdims=True)) / rows.std(1, keepdims=True)
    rms = rows / np.sqrt((rows**2).mean(1, keepdims=True))
    ranks = np.stack([rankdata(row) for row in rows])
    for how, expected in {"z": z, "rms": rms, "rank": ranks}.items():
        assert pooled(torch.as_tensor(rows), how).numpy() == pytest.approx(expected.mean(0), abs=1e-12)
    assert {name: chosen.pool for name, chosen in COMPARATORS.items() if not chosen.ranks} == {
        "pearson": "z",
        "whitened_pearson": "z",
        "cosine": "rms",
        "whitened_cosine": "rms",
        "bures": "rms",
    }


def drawn(v, counts, n):
    """The RDM of repeated stimuli, their own pairs missing."""
    square = np.full((n, n), np.nan)
    first, second = np.triu_indices(n, 1)
    square[first, second] = square[second, first] = v
    copies = np.repeat(np.arange(n), counts)
    return square[np.ix_(copies, copies)][np.triu_indices(len(copies), 1)]


@pytest.mark.parametrize("method", WEIGHTED)
@pytest.mark.parametrize("n", [5, 9])
def test_a_weighted_draw_equals_repeated_stimuli_without_their_own_pairs(method, n):
    rng = np.random.default_rng(2)
    pairs = n * (n - 1) // 2
    brain, layers = rng.random((2, pairs)) - 0.2, np.round(rng.random((3, pairs)) * 5)
    # Common draws, one stimulus only, most copies of one, as many of one as of the others and two, and all once.
    counts = [*rng.multinomial(n, np.full(n, 1 / n), size=5), np.eye(n, dtype=int)[0] * n]
    counts += [np.r_[n + 1, 1, 1, 1, np.zeros(n - 4, int)], np.r_[4, 1, 1, np.zeros(n - 3, int)], np.ones(n, int)]
    tensors = (torch.as_tensor(v) for v in (brain, layers, np.array(counts)))
    scores = weighted_scores(*tensors, method).numpy()
    for c, table in zip(counts, scores, strict=True):
        if (c > 0).sum() < 3:
            assert np.isnan(table).all()
            continue
        expected = [[naive(drawn(x, c, n), drawn(y, c, n), method) for y in layers] for x in brain]
        assert table == pytest.approx(np.array(expected), abs=1e-10, nan_ok=True)


@pytest.mark.parametrize("method", WEIGHTED)
def test_draws_of_constant_and_of_incomplete_rdms(method):
    brain = np.stack([np.full(15, 0.3), np.r_[np.nan, np.arange(14.0)], np.arange(15.0)])
    counts = torch.tensor([[1, 2, 1, 0, 1, 1], [1, 1, 1, 1, 1, 1]])
    scores = weighted_scores(torch.as_tensor(brain), torch.as_tensor(brain), counts, method).numpy()
    assert np.isnan(scores[:, 1]).all()
    assert np.isnan(scores[:, :, 1]).all()
    if method in ("rho_a", "tau_a"):
        assert (scores[:, 0, [0, 2]] == 0).all()
    elif method.endswith("cosine"):
        assert scores[:, 0, 0] == pytest.approx(1)
    else:
        assert np.isnan(scores[:, 0]).all()


def test_bures_is_not_weighted():
    ones = torch.ones((1, 3), dtype=torch.float64)
    with pytest.raises(ValueError, match="'bures' has no weighted form; take subsamples"):
        weighted_scores(ones, ones, torch.ones((1, 3)), "bures")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_layers", [1, 4])
def test_permuted_scores_equal_comparing_permuted_rdms(method, n_layers):
    rng = np.random.default_rng(3)
    n = 8
    brain, layers = rng.random((2, 28)), np.round(rng.random((n_layers, 28)) * 6)
    moves = [np.argsort(rng.random((k, n)), axis=1) for k in (3, 2)]
    arguments = (torch.as_tensor(brain), torch.as_tensor(layers), (torch.as_tensor(moves[0]), torch.as_tensor(moves[1])))
    scores = permuted_scores(*arguments, method).numpy()
    first, second = np.triu_indices(n, 1)

    def moved(v, p):
        square = np.zeros((n, n))
        square[first, second] = square[second, first] = v
        return square[np.ix_(p, p)][first, second]

    for k, (p, q) in enumerate((p, q) for p in moves[0] for q in moves[1]):
        expected = [[naive(moved(x, q), moved(y, p), method) for y in layers] for x in brain]
        assert scores[k] == pytest.approx(np.array(expected), abs=1e-7 if method == "bures" else 1e-12)
