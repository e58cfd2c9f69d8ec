import numpy as np
import pytest
import torch
from scipy.stats import rankdata

from isocortex.errors import DataError
from isocortex.similarity import compare_rdms, rdm, rsa
from isocortex.similarity.comparators import COMPARATORS
from isocortex.similarity.comparators.ranks import WeightedRanks, average_ranks
from isocortex.similarity.comparators.resampled import permuted_scores, weighted_scores

METHODS = sorted(COMPARATORS)


def naive(a, b, method):
    """Loops in float64; entries missing in either are left out."""
    keep = np.isfinite(a) & np.isfinite(b)
    a, b = a[keep], b[keep]
    n = len(a)
    if method == "tau_a":
        signs = [np.sign(a[i] - a[j]) * np.sign(b[i] - b[j]) for i in range(n) for j in range(i)]
        return sum(signs) / (n * (n - 1) / 2)
    if method in ("spearman", "rho_a"):
        a, b = rankdata(a), rankdata(b)
    if method == "rho_a":
        return 12 * ((a - a.mean()) * (b - b.mean())).sum() / (n**3 - n)
    if method != "cosine":
        a, b = a - a.mean(), b - b.mean()
    return (a @ b) / np.sqrt((a @ a) * (b @ b))


@pytest.fixture(params=[False, True], ids=["untied", "tied"])
def vectors(request):
    rng = np.random.default_rng(5)
    a, b = rng.random((3, 28)), rng.random((2, 28))
    return (np.round(a * 4), np.round(b * 3)) if request.param else (a, b)


@pytest.mark.parametrize("method", METHODS)
def test_tables_of_comparisons_equal_loops(vectors, method):
    a, b = vectors
    expected = [[naive(x, y, method) for y in b] for x in a]
    assert compare_rdms(a, b, method) == pytest.approx(np.array(expected), abs=1e-12)
    assert compare_rdms(a[0], b[1], method) == pytest.approx(expected[0][1], abs=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_a_pair_missing_anywhere_is_left_out(vectors, method):
    a, b = vectors[0].copy(), vectors[1].copy()
    a[0, 3] = b[1, 7] = np.nan
    keep = np.isfinite(a[0]) & np.isfinite(b[1])
    expected = naive(a[1][keep], b[0][keep], method)
    assert compare_rdms(a, b, method)[1, 0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_rdm_has_a_defined_answer(method):
    value = compare_rdms(np.full(10, 0.3), np.arange(10.0), method)
    if method in ("rho_a", "tau_a"):
        assert value == 0
    elif method == "cosine":
        assert 0 < value < 1
    else:
        assert np.isnan(value)


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


@pytest.mark.parametrize("method", METHODS)
def test_a_weighted_draw_equals_repeated_stimuli_without_their_own_pairs(method):
    rng = np.random.default_rng(2)
    n = 9
    brain, layers = rng.random((2, 36)), np.round(rng.random((3, 36)) * 5)
    counts = np.vstack([rng.multinomial(n, np.full(n, 1 / n), size=5), np.eye(9, dtype=int)[0] * 9])
    scores = weighted_scores(torch.as_tensor(brain), torch.as_tensor(layers), torch.as_tensor(counts), method).numpy()
    first, second = np.triu_indices(n, 1)
    for c, table in zip(counts[:-1], scores[:-1], strict=True):
        drawn = np.repeat(np.arange(n), c)
        square = np.full((n, n), np.nan)
        for s, x in enumerate(brain):
            for k, y in enumerate(layers):
                pair = []
                for v in (x, y):
                    square[first, second] = square[second, first] = v
                    np.fill_diagonal(square, np.nan)
                    pair.append(square[np.ix_(drawn, drawn)][first, second])
                assert table[s, k] == pytest.approx(naive(*pair, method), abs=1e-10)
    assert np.isnan(scores[-1]).all()


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
        assert scores[k] == pytest.approx(np.array(expected), abs=1e-12)
