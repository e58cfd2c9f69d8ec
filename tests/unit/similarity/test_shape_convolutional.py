import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.similarity.shape import convolutional_distance, shape_distance, shift_distances


def maps(channels, seed=0, shape=(5, 4, 3)):
    return np.random.default_rng(seed).normal(size=(*shape, channels))


@pytest.mark.parametrize("kind", ["angular", "euclidean"])
@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("shape", [(5, 4, 3), (3, 5, 2), (4, 1, 6), (6, 1, 1)])
def test_every_shift_equals_the_metric_of_rolled_maps(shape, alpha, kind):
    x, y = maps(3, 0, shape), maps(4, 1, shape)
    _, height, width = shape
    expected = [
        [
            shape_distance(np.roll(x, (i - height // 2, j - width // 2), (1, 2)).reshape(-1, 3), y.reshape(-1, 4), alpha, kind)
            for j in range(width)
        ]
        for i in range(height)
    ]
    found = shift_distances(x, y, alpha, kind)
    assert found == pytest.approx(np.array(expected), abs=1e-8)
    assert convolutional_distance(x, y, alpha, kind) == pytest.approx(np.min(expected), abs=1e-8)


def test_one_shift_and_rotation_of_all_images_do_not_matter():
    x, y = maps(3), maps(3, 1)
    before = convolutional_distance(x, y)
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    assert convolutional_distance(np.roll(x, (1, 2), (1, 2)) @ turn, y) == pytest.approx(before, abs=1e-9)
    assert convolutional_distance(np.roll(x, (1, 2), (1, 2)), x) == pytest.approx(0, abs=1e-7)
    apart = x.copy()
    apart[0] = np.roll(apart[0], 1, axis=0)
    assert convolutional_distance(apart, x) > 0.1
    assert abs(convolutional_distance(x[:, ::-1], y) - before) > 1e-4


def test_wide_maps_and_tensors():
    x, y = maps(40, 0, (2, 3, 3)), maps(7, 1, (2, 3, 3))
    expected = shape_distance(np.roll(x, (-1, 1), (1, 2)).reshape(18, 40), y.reshape(18, 7))
    found = shift_distances(torch.as_tensor(x), torch.as_tensor(y))
    assert isinstance(found, torch.Tensor)
    assert found.shape == (3, 3)
    assert float(found[0, 2]) == pytest.approx(expected, abs=1e-9)
    assert convolutional_distance(np.ones((2, 3, 3, 2)), y) == np.pi / 2


def test_maps_of_other_sizes_are_refused():
    with pytest.raises(DataError, match=r"found maps of shape \(5, 4, 3, 2\) and \(5, 4, 4, 2\), expected"):
        shift_distances(maps(2), maps(2, 0, (5, 4, 4)))
    with pytest.raises(DataError, match="expected"):
        convolutional_distance(maps(2).reshape(60, 2), maps(2))
