import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.geometry import participation_ratio, spectrum
from isocortex.geometry.dimensionality import participation_ratio_of_subsets


def naive(x):
    values = np.linalg.eigvalsh(np.atleast_2d(np.cov(x, rowvar=False)))
    return values.sum() ** 2 / (values**2).sum()


@pytest.mark.parametrize("shape", [(20, 6), (6, 20), (8, 1)])
def test_the_participation_ratio_equals_that_of_the_eigenvalues(shape):
    x = np.random.default_rng(0).normal(size=shape) * np.arange(1, shape[1] + 1) + 50
    assert participation_ratio(x) == pytest.approx(naive(x))
    shares = spectrum(x)
    assert 1 / (shares**2).sum() == pytest.approx(naive(x))
    assert len(shares) == min(shape[0] - 1, shape[1])
    assert participation_ratio(torch.as_tensor(x)) == pytest.approx(naive(x))
    assert participation_ratio(np.stack([x, 2 * x])) == pytest.approx([naive(x)] * 2)


def test_planted_dimensions_are_found():
    rng = np.random.default_rng(1)
    axes = np.linalg.qr(rng.normal(size=(40, 5)))[0]
    assert participation_ratio(rng.normal(size=(3000, 5)) @ axes.T) == pytest.approx(5, rel=0.02)


def test_subsets_of_stimuli_equal_their_own_ratio():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(12, 30)) + 10
    masks = np.zeros((4, 12))
    for row in masks:
        row[rng.permutation(12)[:7]] = 1
    assert participation_ratio_of_subsets(x, masks) == pytest.approx([naive(x[m > 0]) for m in masks])


def test_what_does_not_vary_has_no_dimension():
    assert np.isnan(participation_ratio(np.full((5, 3), 1.7)))
    assert np.isnan(participation_ratio_of_subsets(np.full((5, 3), 1.7), np.ones((2, 5)))).all()
    assert np.isnan(spectrum(np.zeros((5, 3)))).all()
    with pytest.raises(DataError, match=r"found patterns of shape \(1, 3\), expected at least 2 stimuli"):
        participation_ratio(np.ones((1, 3)))
