"""Delays within runs: against loops over rows, as columns, as kernel, in NumPy and in torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from isocortex.encoding.delays import delayed, delayed_gram, fir
from isocortex.errors import DataError


def naive(x, delays, runs):
    """Row by row: the row `delay` places earlier among the rows of its own run."""
    n, p = x.shape
    result = np.zeros((n, p * len(delays)))
    for number, delay in enumerate(delays):
        for row in range(n):
            members = [other for other in range(n) if runs[other] == runs[row]]
            place = members.index(row) - delay
            if 0 <= place < len(members):
                result[row, number * p : (number + 1) * p] = x[members[place]]
    return result


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=14),
    st.lists(st.integers(-4, 4), min_size=1, max_size=4, unique=True),
    st.integers(1, 3),
)
def test_columns_and_kernel_equal_loops(runs, delays, p):
    x = np.random.default_rng(len(runs)).normal(size=(len(runs), p))
    expected = naive(x, delays, runs)
    np.testing.assert_array_equal(delayed(x, delays, runs), expected)
    np.testing.assert_allclose(delayed_gram(x @ x.T, delays, runs), expected @ expected.T, rtol=1e-12, atol=1e-12)


def test_nothing_crosses_from_run_to_run():
    x, runs = np.ones((6, 1)), ["a"] * 3 + ["b"] * 3
    assert delayed(x, [1], runs)[:, 0].tolist() == [0, 1, 1, 0, 1, 1]
    assert delayed(x, [-2], runs)[:, 0].tolist() == [1, 0, 0, 1, 0, 0]
    assert delayed(x, [1])[:, 0].tolist() == [0, 1, 1, 1, 1, 1]
    assert not delayed(x, [3], runs).any()


def test_kernel_of_many_features_is_that_of_the_wide_matrix():
    rng = np.random.default_rng(0)
    x, runs = rng.normal(size=(60, 400)), np.repeat([1, 2, 3], 20)
    wide = delayed(x, [1, 2, 3, 4], runs)
    assert np.abs(delayed_gram(x @ x.T, [1, 2, 3, 4], runs) - wide @ wide.T).max() < 1e-12 * np.abs(wide @ wide.T).max()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_tensors_stay_tensors_of_their_dtype(dtype, tolerance):
    x, runs = torch.randn(12, 3, dtype=dtype, generator=torch.Generator().manual_seed(0)), [0] * 5 + [1] * 7
    expected = naive(x.double().numpy(), [0, 2], runs)
    wide, kernel = delayed(x, [0, 2], runs), delayed_gram(x @ x.T, [0, 2], runs)
    assert wide.dtype == kernel.dtype == dtype
    np.testing.assert_array_equal(wide.double().numpy(), expected)
    np.testing.assert_allclose(kernel.double().numpy(), expected @ expected.T, rtol=tolerance, atol=10 * tolerance)


def test_the_input_is_left_as_it_was():
    x = np.random.default_rng(0).normal(size=(8, 2))
    gram = x @ x.T
    before = x.copy(), gram.copy()
    delayed(x, [0], None)
    delayed_gram(gram, [0, 1], None)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(gram, before[1])


def test_a_planted_response_comes_back_by_delay_feature_and_neuroid():
    rng = np.random.default_rng(1)
    runs, delays, planted = np.repeat(["a", "b", "c"], 100), [1, 2, 3], rng.normal(size=(3, 4, 5))
    x = rng.normal(size=(300, 4))
    wide = delayed(x, delays, runs)
    y = sum(wide[:, d * 4 : (d + 1) * 4] @ planted[d] for d in range(3))
    found = fir(Ridge(alpha=1e-8, fit_intercept=False).fit(wide, y).coef_.T, delays)
    np.testing.assert_allclose(found, planted, atol=1e-8)
    np.testing.assert_array_equal(fir(torch.as_tensor(planted.reshape(12, 5)), delays).numpy(), planted)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: delayed(np.ones((4, 2)), []), r"found \[\], expected different whole numbers"),
        (lambda: delayed(np.ones((4, 2)), [1, 1]), r"found \[1, 1\], expected different whole numbers of samples"),
        (lambda: delayed(np.ones((4, 2)), [1.5]), r"found \[1.5\], expected different whole numbers"),
        (lambda: delayed(np.ones((4, 2)), [1], ["a"]), r"runs: found labels of shape \(1,\), expected 4, one per row"),
        (lambda: delayed_gram(np.ones((4, 2)), [1]), r"Gram matrix of shape \(4, 2\), expected as many rows as columns"),
        (
            lambda: fir(np.ones((7, 2)), [1, 2]),
            r"coefficients of shape \(7, 2\), expected \(delays · features, neuroids\) for 2",
        ),
        (lambda: fir(np.ones(8), [1, 2]), r"coefficients of shape \(8,\), expected"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(DataError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
