"""Voxels from an affine or from positions, and what is none."""

from __future__ import annotations

import numpy as np
import pytest

from isocortex.errors import DataError
from isocortex.recordings.grids import grid_of

TURN = np.array([[0.0, -1.8, 0.0, 90.0], [1.8, 0.0, 0.0, -126.0], [0.0, 0.0, 2.5, -72.0], [0.0, 0.0, 0.0, 1.0]])


def some_voxels() -> np.ndarray:
    return np.argwhere(np.random.default_rng(0).random((5, 6, 4)) < 0.5)


def test_an_affine_with_a_turn_gives_the_voxels_back() -> None:
    voxels = some_voxels()
    points = voxels @ TURN[:3, :3].T + TURN[:3, 3]
    grid = grid_of(points.astype(np.float32), TURN.ravel().tolist(), [64, 64, 30])
    assert grid is not None
    assert grid.index.tolist() == voxels.tolist()
    assert (grid.shape, grid.given) == ((64, 64, 30), True)
    np.testing.assert_array_equal(grid.affine, TURN)
    assert grid_of(points, TURN.ravel().tolist()).shape == tuple(voxels.max(0) + 1)  # type: ignore[union-attr]
    volume = grid.volume(np.r_[np.nan, np.arange(1.0, len(voxels))])
    assert volume.dtype == np.float32
    assert [volume[tuple(voxel)] for voxel in voxels] == list(range(len(voxels)))
    assert volume.sum() == sum(range(len(voxels)))


def test_a_grid_is_seen_in_positions() -> None:
    voxels = some_voxels()
    points = voxels * [2.0, 2.0, 3.3] + [-30.0, 11.5, 0.1]
    for given in (points, points.astype(np.float32), np.round(points, 2)):
        grid = grid_of(given)
        assert grid is not None
        assert not grid.given
        np.testing.assert_allclose(grid.affine[:3, :3], np.diag([2.0, 2.0, 3.3]), rtol=1e-5)
        np.testing.assert_allclose(grid.index @ grid.affine[:3, :3].T + grid.affine[:3, 3], points, atol=0.03)
    flat = grid_of(points * [1, 1, 0])
    assert flat is None  # several neuroids at one position
    one_slice = points[voxels[:, 2] == 1]
    assert grid_of(one_slice).affine[2, 2] == pytest.approx(2.0)  # type: ignore[union-attr]


def test_what_lies_on_no_grid_has_none() -> None:
    rng = np.random.default_rng(1)
    assert grid_of(rng.uniform(0, 50, (40, 3))) is None
    assert grid_of(np.round(rng.uniform(0, 200, (400, 3)), 1)) is None  # tenths of a millimetre are no voxels
    assert grid_of(np.zeros((1, 3))) is None


def test_an_affine_that_does_not_fit_is_told_in_one_line() -> None:
    points = some_voxels() @ TURN[:3, :3].T + TURN[:3, 3]
    affine = TURN.ravel().tolist()
    cases = [
        (points + 0.3, affine, None, rf"here: found {len(points)} of {len(points)} neuroids off the voxels of its affine"),
        (points, affine, [3, 6, 4], r"neuroids outside a volume of shape \(3, 6, 4\); correct x, y, z, affine or shape"),
        (np.r_[points, points[:2]], affine, None, "found 2 neuroids in the voxel of another, expected one each"),
        (points, affine[:9], None, "expected 16 numbers of a matrix with an inverse"),
        (points, [0.0] * 16, None, "expected 16 numbers of a matrix with an inverse"),
    ]
    for given, matrix, shape, text in cases:
        with pytest.raises(DataError, match=text) as caught:
            grid_of(given, matrix, shape, "here")
        assert "\n" not in str(caught.value)
