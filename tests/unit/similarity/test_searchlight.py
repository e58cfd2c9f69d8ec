"""Neighbourhoods, and the searchlight against a loop over centres."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist

from isocortex.errors import DataError
from isocortex.similarity import compare_rdms, rdm
from isocortex.similarity import searchlight as module
from isocortex.similarity.neighbourhoods import neighbourhoods
from isocortex.similarity.searchlight import searchlight, searchlight_rdms

METRICS = {"correlation": "correlation", "euclidean": "sqeuclidean", "cosine": "cosine"}


def voxels(*shape: int, step: float = 2.0) -> np.ndarray:
    return step * np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(-1, 3)


def members(hoods: Any, row: int) -> list[int]:
    return hoods.members[hoods.starts[row] : hoods.starts[row + 1]].tolist()


# --- neighbourhoods ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", [2.0, 3.0, 4.5, 6.0])
def test_neighbourhoods_are_those_of_a_loop(radius: float) -> None:
    points = np.concatenate([voxels(4, 3, 5), np.random.default_rng(0).uniform(0, 8, (20, 3))])
    hoods = neighbourhoods(points, radius)
    assert hoods.centres.tolist() == list(range(len(points)))
    for row, point in enumerate(points):
        assert members(hoods, row) == np.flatnonzero(np.linalg.norm(points - point, axis=1) <= radius * (1 + 1e-7)).tolist()


def test_a_voxel_at_the_radius_is_inside_in_single_precision_too() -> None:
    affine = np.float32(1.8) * voxels(5, 5, 5, step=1.0).astype(np.float32) - np.float32(93.6)
    assert neighbourhoods(affine, 5.4).sizes.tolist() == neighbourhoods(voxels(5, 5, 5, step=1.0), 3.0).sizes.tolist()


@pytest.mark.parametrize("nearest", [1, 4, 7, 200])
def test_the_nearest_are_those_of_a_sort_that_keeps_the_order(nearest: int) -> None:
    points = voxels(4, 4, 4)  # many are equally far
    hoods = neighbourhoods(points, nearest=nearest)
    for row, point in enumerate(points):
        order = np.argsort(np.round(((points - point) ** 2).sum(1)), kind="stable")
        assert members(hoods, row) == np.sort(order[:nearest]).tolist()


def test_small_neighbourhoods_are_left_out_and_some_can_be_taken() -> None:
    points = voxels(4, 4, 4)
    every = neighbourhoods(points, 2.0)
    large = neighbourhoods(points, 2.0, min_neuroids=7)
    assert large.sizes.tolist() == [7] * 8
    assert large.centres.tolist() == [row for row in range(64) if len(members(every, row)) == 7]
    some = every.take(np.array([5, 63, 5]))
    assert some.centres.tolist() == [5, 63, 5]
    assert [members(some, row) for row in range(3)] == [members(every, row) for row in (5, 63, 5)]
    assert every.padded(np.array([0, 21]), -1).shape == (2, 7)
    assert len(every.take(np.array([], dtype=int))) == 0


def test_bad_positions_are_told_in_one_line() -> None:
    points = voxels(3, 3, 3)
    points[4, 1] = np.nan
    with pytest.raises(DataError, match="found 1 of 27 neuroids without a position, expected x, y and z of all") as caught:
        neighbourhoods(points, 2.0)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match=r"coordinates of shape \(27, 2\), expected \(n_neuroids, 3\)"):
        neighbourhoods(points[:, :2], 2.0)
    with pytest.raises(DataError, match="at most 7 neuroids in a neighbourhood, expected 8; take a larger radius"):
        neighbourhoods(voxels(3, 3, 3), 2.0, min_neuroids=8)
    for arguments in ({}, {"radius": 2.0, "nearest": 3}, {"radius": -1.0}):
        with pytest.raises(ValueError, match="expected one of them, above 0"):
            neighbourhoods(voxels(2, 2, 2), **arguments)


# --- maps --------------------------------------------------------------------------------------------------------------


def world(seed: int = 0, n: int = 11, layers: int = 3) -> tuple[np.ndarray, Any, np.ndarray]:
    rng = np.random.default_rng(seed)
    points = voxels(4, 3, 4)
    return (
        rng.normal(2.0, 1.0, (n, len(points))),
        neighbourhoods(points, 3.0, min_neuroids=6),
        rng.random((layers, n * (n - 1) // 2)),
    )


@pytest.mark.parametrize("method", METRICS)
def test_rdms_are_those_of_scipy_centre_by_centre(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    responses, hoods, _ = world()
    monkeypatch.setitem(module._BLOCK_BYTES, "cpu", 3e4)  # several batches
    found = np.full((len(hoods), 55), np.nan)
    batches = list(searchlight_rdms(torch.as_tensor(responses), hoods, method))
    for rows, vectors in batches:
        found[rows] = vectors.numpy()
    assert len(batches) > 3
    for row in range(len(hoods)):
        inside = responses[:, members(hoods, row)]
        scale = inside.shape[1] if method == "euclidean" else 1
        np.testing.assert_allclose(found[row], pdist(inside, METRICS[method]) / scale, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(found[row], rdm(inside, method), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("compare", ["rho_a", "spearman", "pearson", "cosine"])
def test_a_map_is_that_of_a_loop(compare: str) -> None:
    responses, hoods, layers = world(1)
    expected = [compare_rdms(rdm(responses[:, members(hoods, row)]), layers, compare) for row in range(len(hoods))]
    found = searchlight(responses, hoods, layers, compare=compare)
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)
    tensor = searchlight(torch.as_tensor(responses), hoods, torch.as_tensor(layers), compare=compare)
    np.testing.assert_array_equal(tensor.numpy(), found)
    single = searchlight(responses.astype(np.float32), hoods, layers, compare=compare)
    # Patterns rounded to seven digits: distances move by as much, and a rank or two with them.
    np.testing.assert_allclose(single, expected, rtol=0, atol=1e-6 if compare in ("pearson", "cosine") else 1e-3)


def test_equal_patterns_tie_at_zero() -> None:
    responses, hoods, layers = world(2)
    responses[3] = responses[7]
    responses[5] = responses[7]
    for rows, vectors in searchlight_rdms(torch.as_tensor(responses), hoods, "correlation"):
        assert (vectors == 0).sum(1).tolist() == [3] * len(rows)
    one = searchlight(responses, hoods, layers, compare="spearman")[4]
    np.testing.assert_allclose(one, compare_rdms(rdm(responses[:, members(hoods, 4)]), layers, "spearman"), atol=1e-13)


@pytest.mark.parametrize(("method", "value"), [("correlation", 0.1), ("cosine", 0.0), ("euclidean", np.nan)])
def test_a_neighbourhood_without_an_rdm_is_missing_and_no_other(method: str, value: float) -> None:
    responses, hoods, layers = world(3)
    whole = searchlight(responses, hoods, layers, method)
    inside = members(hoods, 5)
    responses[2, inside] = value  # one pattern without a direction, or no value
    found = searchlight(responses, hoods, layers, method)
    assert np.isnan(found[5]).all()
    apart = [row for row in range(len(hoods)) if not set(members(hoods, row)) & set(inside)]
    np.testing.assert_array_equal(found[apart], whole[apart])
    if method != "euclidean":
        assert np.isnan(found).all(1).sum() == sum(set(members(hoods, row)) <= set(inside) for row in range(len(hoods)))


def test_a_constant_neuroid_adds_nothing_to_euclidean_distances_but_counts() -> None:
    responses, hoods, _ = world(4)
    responses[:, members(hoods, 0)[0]] = 3.0
    [first] = [v[rows == 0] for rows, v in searchlight_rdms(torch.as_tensor(responses), hoods, "euclidean") if 0 in rows]
    np.testing.assert_allclose(first[0], pdist(responses[:, members(hoods, 0)], "sqeuclidean") / len(members(hoods, 0)))


def test_what_cannot_be_mapped_is_refused() -> None:
    responses, hoods, layers = world(5)
    with pytest.raises(DataError, match="found 10 stimuli and RDMs with 55 pairs, expected 45 pairs; use the same stimuli"):
        searchlight(responses[:10], hoods, layers)
    with pytest.raises(DataError, match=r"found compare 'tau_a', expected one that is an inner product: .*rho_a"):
        searchlight(responses, hoods, layers, compare="tau_a")
    with pytest.raises(DataError, match="found 2 stimuli, expected at least 3"):
        searchlight(responses[:2], hoods, layers[:, :1])
    with pytest.raises(ValueError, match="found rdm 'crossnobis', expected one of"):
        searchlight(responses, hoods, layers, "crossnobis")
