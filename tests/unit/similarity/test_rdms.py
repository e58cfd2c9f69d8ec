import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.similarity import rdm, rdm_from_gram, to_square, to_vector
from isocortex.similarity.rdm import n_stimuli


def naive(x, method):
    n, p = x.shape
    values = []
    for i in range(n):
        for j in range(i + 1, n):
            a, b = x[i], x[j]
            if method == "euclidean":
                values.append(((a - b) ** 2).sum() / p)
            elif method == "correlation":
                values.append(1 - np.corrcoef(a, b)[0, 1])
            else:
                values.append(1 - a @ b / np.sqrt((a @ a) * (b @ b)))
    return np.array(values)


@pytest.mark.parametrize("method", ["euclidean", "correlation", "cosine"])
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_rdms_from_patterns_and_from_grams_equal_loops(method, offset):
    x = np.random.default_rng(0).normal(size=(7, 11)) + offset
    expected = naive(x, method)
    assert rdm(x, method) == pytest.approx(expected, rel=1e-7, abs=1e-9 if offset else 1e-12)
    loss = 1e-7 if offset else 1e-12  # a Gram of uncentred features has lost these digits already
    assert rdm_from_gram(x @ x.T, x.mean(1), 11, method) == pytest.approx(expected, rel=1e-6, abs=loss)


def test_batches_and_tensors_go_through():
    x = np.random.default_rng(1).normal(size=(2, 3, 5, 6))
    vectors = rdm(x)
    assert vectors.shape == (2, 3, 10)
    assert vectors[1, 2] == pytest.approx(naive(x[1, 2], "correlation"))
    tensor = rdm(torch.as_tensor(x))
    assert isinstance(tensor, torch.Tensor)
    assert np.array_equal(tensor.numpy(), vectors)
    square = to_square(vectors)
    assert np.array_equal(to_vector(square), vectors)
    assert np.array_equal(square, square.swapaxes(-1, -2))
    assert n_stimuli(10) == 5
    with pytest.raises(ValueError, match="found 9 entries"):
        n_stimuli(9)


def test_patterns_without_direction_are_counted_and_refused():
    x = np.random.default_rng(0).normal(size=(5, 4))
    x[[1, 3]] = 2.5
    with pytest.raises(DataError, match="found 2 constant patterns of 5, expected none; leave those stimuli out"):
        rdm(x)
    with pytest.raises(DataError, match="found 2 constant patterns of 5"):
        rdm_from_gram(x @ x.T, x.mean(1), 4)
    assert np.isfinite(rdm(x, "euclidean")).all()
    x[1] = 0
    with pytest.raises(DataError, match="found 1 patterns of zeros of 5"):
        rdm(x, "cosine")


@pytest.mark.parametrize("n", [1, 2])
def test_fewer_than_three_stimuli_are_refused(n):
    with pytest.raises(DataError, match=f"found {n} stimuli, expected at least 3"):
        rdm(np.random.default_rng(0).normal(size=(n, 4)))


def test_missing_values_and_unknown_methods_are_refused():
    x = np.random.default_rng(0).normal(size=(4, 4))
    with pytest.raises(ValueError, match="found method 'manhattan'"):
        rdm(x, "manhattan")
    x[0, 0] = np.nan
    with pytest.raises(DataError, match="NaN or infinite"):
        rdm(x)
