import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.similarity.trsa import compare_plane, grid, plane, rgtm, rgtm_plane


@pytest.fixture(params=[False, True], ids=["untied", "tied"])
def rdms(request):
    values = np.random.default_rng(7).random((5, 36))
    return np.round(values * 6) if request.param else values


@pytest.fixture(params=[1e9, 1e3], ids=["one block", "blocks"])
def blocked(request, monkeypatch):
    monkeypatch.setattr(plane, "_BLOCK_BYTES", {"cpu": request.param})


def naive(a, b, compare):
    if compare == "pearson":
        a, b = a - a.mean(), b - b.mean()
    length = np.sqrt((a @ a) * (b @ b))
    return a @ b / length if length > 0 else np.nan


def test_the_grid_has_every_pair_once_widest_first():
    found = grid(0.25)
    assert found.tolist() == [
        [0, 1], [0, 0.75], [0.25, 1], [0, 0.5], [0.25, 0.75], [0.5, 1], [0, 0.25], [0.25, 0.5], [0.5, 0.75], [0.75, 1],
    ]  # fmt: skip
    assert grid(0.25, equal=True)[10:].tolist() == [[0, 0], [0.25, 0.25], [0.5, 0.5], [0.75, 0.75], [1, 1]]
    assert len(grid()) == 210
    with pytest.raises(DataError, match=r"found a grid step of 0\.3, expected a whole part of 1"):
        grid(0.3)


@pytest.mark.usefixtures("blocked")
def test_the_plane_equals_one_transform_after_another(rdms):
    pairs = grid(0.1, equal=True)
    found = rgtm_plane(rdms.reshape(5, 1, -1), pairs)
    assert found.shape == (len(pairs), 5, 1, 36)
    for (lower, upper), table in zip(pairs, found[:, :, 0], strict=True):
        np.testing.assert_array_equal(table, rgtm(rdms, lower, upper))


@pytest.mark.usefixtures("blocked")
@pytest.mark.parametrize("compare", ["pearson", "cosine"])
def test_comparisons_over_the_plane_equal_loops(rdms, compare):
    pairs = grid(0.1, equal=True)
    found = compare_plane(rdms[:2], rdms[2:], pairs, compare)
    for (lower, upper), table in zip(pairs, found, strict=True):
        x, y = rgtm(rdms[:2], lower, upper), rgtm(rdms[2:], lower, upper)
        expected = [[naive(a, b, compare) for b in y] for a in x]
        assert table == pytest.approx(np.array(expected), abs=1e-13, nan_ok=True)
    single = compare_plane(torch.as_tensor(rdms[0]), torch.as_tensor(rdms[2:]), pairs, compare)
    assert single.numpy() == pytest.approx(found[:, 0], nan_ok=True)


def test_a_missing_entry_is_left_out_of_all_before_the_ranks():
    rdms = np.random.default_rng(1).random((3, 21))
    rdms[0, 2] = rdms[2, 9] = np.nan
    kept = np.delete(rdms, [2, 9], axis=1)
    expected = compare_plane(kept[:2], kept[2:], grid(0.2))
    assert compare_plane(rdms[:2], rdms[2:], grid(0.2)) == pytest.approx(expected, abs=0)


def test_an_rdm_without_variance_has_no_correlation():
    found = compare_plane(np.full(10, 0.3), np.arange(10.0), [(0.2, 0.8)])
    assert np.isnan(found).all()


def test_wrong_input_is_refused():
    with pytest.raises(DataError, match="found RDMs with 10 and 6 pairs, expected equal"):
        compare_plane(np.ones(10), np.ones(6), [(0, 1)])
    with pytest.raises(DataError, match="found 2 pairs with a value"):
        compare_plane(np.array([1.0, 2.0, np.nan]), np.ones(3), [(0, 1)])
    with pytest.raises(DataError, match=r"found thresholds of shape \(2,\), expected \(n_pairs, 2\)"):
        rgtm_plane(np.ones(3), (0, 1))
    with pytest.raises(DataError, match=r"found thresholds \(0.9, 0.1\)"):
        rgtm_plane(np.ones(3), [(0.9, 0.1)])
    with pytest.raises(ValueError, match="found compare 'spearman', expected one of"):
        compare_plane(np.ones(3), np.ones(3), [(0, 1)], "spearman")
