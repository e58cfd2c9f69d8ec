"""Alignment of populations from samples of their units: beside loops over pairs of units, and of planted populations."""

import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.similarity.cka import cka, cka_of_samples, hsic


def pair(n, p, q):
    rng = np.random.default_rng(0)
    x = 2.0 * rng.normal(size=(n, p)) + rng.normal(size=p)
    return x, x @ rng.normal(size=(p, q)) / 2 + rng.normal(size=(n, q))


def naive_samples(x, y, sampled):
    """Every pair of units by itself."""

    def products(a, b, different):
        kept = [(i, j) for i in range(a.shape[1]) for j in range(b.shape[1]) if not (different and i == j)]
        values = [hsic(np.outer(a[:, i], a[:, i]), np.outer(b[:, j], b[:, j])) for i, j in kept]
        return np.mean(values)

    scale = products(x, x, "x" in sampled) * products(y, y, "y" in sampled)
    return products(x, y, False) / np.sqrt(scale)


@pytest.mark.parametrize("sampled", [("x", "y"), ("y",), ()], ids=["both", "brain", "none"])
def test_samples_of_units_are_compared_without_pairs_of_a_unit_with_itself(sampled):
    x, y = pair(10, 4, 6)
    expected = naive_samples(x, y, sampled)
    assert cka_of_samples(x, y, sampled) == pytest.approx(expected, rel=1e-9)
    assert cka_of_samples(torch.as_tensor(x), torch.as_tensor(y), sampled) == pytest.approx(expected, rel=1e-9)
    if not sampled:
        assert expected == pytest.approx(cka(x, y), rel=1e-9)


def test_few_units_tell_of_their_population():
    """Two samples of one population are alike, and two of others as much as these, where plain alignment falls short."""
    rng = np.random.default_rng(0)
    plain, corrected, whole = [], [], []
    for _ in range(30):
        s, u, v = rng.normal(size=(3, 100, 8))
        mixed = [np.tanh((s @ rng.normal(size=(8, 1000)) + own @ rng.normal(size=(8, 1000))) / 3) for own in (u, v)]
        a, b, c = mixed[0][:, :30], mixed[0][:, 30:60], mixed[1][:, :30]
        a = a + 0.3 * rng.normal(size=a.shape)
        plain.append([cka(a, b), cka(a, c)])
        corrected.append([cka_of_samples(a, b), cka_of_samples(a, c)])
        whole.append([1.0, cka(*mixed)])
    assert np.mean(corrected, 0) == pytest.approx(np.mean(whole, 0), abs=0.06)
    assert (np.mean(plain, 0) < np.mean(whole, 0) - 0.15).all()


def test_what_cannot_be_compared_is_refused():
    x, y = pair(24, 5, 7)
    with pytest.raises(DataError, match="cka: found 1 unit, expected at least 2 of a sampled system"):
        cka_of_samples(x, y[:, :1])
    with pytest.raises(ValueError, match=r"cka: found sampled \['z'\], expected some of \['x', 'y'\]"):
        cka_of_samples(x, y, ("z",))
    with pytest.raises(DataError, match=r"cka: found patterns of shape \(3, 5\), expected \(stimuli >= 4, units >= 1\)"):
        cka_of_samples(x[:3], y[:3])
    # Units that have nothing in common have no population to speak of.
    rng = np.random.default_rng(1)
    values = [cka_of_samples(rng.normal(size=(24, 2)), y) for _ in range(20)]
    assert 0 < np.isnan(values).sum() < 20
