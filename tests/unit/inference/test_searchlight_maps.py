"""Nulls of a searchlight against loops over permutations; what they find, and how often they find what is not there."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import binom

from isocortex.errors import DataError
from isocortex.inference import searchlight as module
from isocortex.inference.nulls import p_value, permutations
from isocortex.inference.searchlight import Field, Peaks, exceeding, flipped_maps, judge, permuted_maps, sign_flips
from isocortex.inference.searchlight_clusters import clusters, label
from isocortex.inference.searchlight_maps import Part, Plan, group_map, subject_map
from isocortex.inference.searchlight_summary import summary
from isocortex.recordings.grids import grid_of
from isocortex.similarity import rdm, to_square, to_vector
from isocortex.similarity.neighbourhoods import neighbourhoods
from isocortex.similarity.searchlight import searchlight

N = 12


def voxels(*shape: int, step: float = 2.0) -> np.ndarray:
    return step * np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(-1, 3).astype(float)


def part(seed: int, shape: tuple[int, ...] = (4, 4, 3), layers: int = 2, planted: float = 0.0, n: int = N) -> Part:
    """Noise on a grid; with `planted`, the first layer's patterns in a ball around the voxel (2, 2, 2)."""
    rng = np.random.default_rng(seed)
    points = voxels(*shape)
    features = np.random.default_rng(99).normal(size=(layers, n, 8))
    near = np.linalg.norm(points - 4.0, axis=1) <= 4.0
    signal = features[0] @ rng.normal(size=(8, len(points))) * near
    responses = rng.normal(size=(n, len(points))) + planted * signal
    rdms = torch.as_tensor(np.stack([rdm(one) for one in features]))
    return Part(torch.as_tensor(responses), points, neighbourhoods(points, 2.0, min_neuroids=5), rdms)


def naive_maps(one: Part, moves: np.ndarray, compare: str = "rho_a") -> np.ndarray:
    """(1 + P, C, L): a searchlight for every permutation of the model's stimuli."""
    square = to_square(one.layers.numpy())
    maps = []
    for move in [np.arange(moves.shape[1]), *moves]:
        moved = to_vector(square[:, move][:, :, move])
        maps.append(searchlight(one.responses.numpy(), one.hoods, moved, compare=compare))
    return np.stack(maps)


def field(one: Part, moves: np.ndarray) -> Field:
    return Field(one.responses, one.hoods, one.layers, moves)


def joined(blocks: Any) -> np.ndarray:
    """(1 + P, C, L)"""
    return torch.cat([scores for _, scores in blocks]).permute(1, 0, 2).numpy()


@pytest.mark.parametrize("compare", ["rho_a", "pearson"])
@pytest.mark.parametrize("pieces", [False, True])
def test_permuted_maps_are_those_of_a_loop(compare: str, pieces: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if pieces:
        monkeypatch.setattr(module, "PERMUTED_BYTES", 2e4)
        monkeypatch.setattr(module, "PLACES_BYTES", 3e4)
    one, moves = part(0), permutations(N, 20, 3)
    blocks = list(permuted_maps([field(one, moves)], "correlation", compare))
    assert (len(blocks) > 1) == pieces
    np.testing.assert_allclose(joined(blocks), naive_maps(one, moves, compare), rtol=0, atol=1e-13)


def test_p_is_counted_and_the_best_layer_is_chosen_in_every_permutation() -> None:
    one, moves = part(1, planted=1.0), permutations(N, 60, 0)
    maps = naive_maps(one, moves)
    found = judge(permuted_maps([field(one, moves)], "correlation", "rho_a"))
    best = maps.max(-1)
    np.testing.assert_allclose(found.score, best[0], atol=1e-13)
    assert found.layer.tolist() == maps[0].argmax(-1).tolist()
    np.testing.assert_allclose(found.layer_score, maps[0], atol=1e-13)
    np.testing.assert_allclose(found.p, p_value(best[0], best[1:]))
    np.testing.assert_allclose(found.largest, best[1:].max(1), atol=1e-13)
    expected = [(1 + sum(top >= score - 1e-12 for top in best[1:].max(1))) / 61 for score in best[0]]
    np.testing.assert_allclose(found.p_max, expected)
    assert found.peaks is None
    # A single layer's null is lower: without the choice inside, the best of two would look better than it is.
    assert (
        judge(permuted_maps([Field(one.responses, one.hoods, one.layers[:1], moves)], "correlation", "rho_a")).largest
    ).mean() < (found.largest.mean())


def test_a_place_without_a_score_has_no_p_and_is_in_no_maximum() -> None:
    one, moves = part(2), permutations(N, 30, 0)
    inside = one.hoods.members[one.hoods.starts[3] : one.hoods.starts[4]]
    one.responses[4, inside] = 1.0
    found = judge(permuted_maps([field(one, moves)], "correlation", "rho_a"), 0.1)
    maps = naive_maps(one, moves).max(-1)
    assert np.isnan(found.score[3])
    assert np.isnan([found.p[3], found.p_max[3]]).all()
    assert found.layer[3] == -1
    np.testing.assert_allclose(found.largest, np.nanmax(maps[1:], axis=1), atol=1e-13)
    assert found.peaks is not None
    assert 3 not in found.peaks.places


def naive_peaks(maps: np.ndarray, forming: float) -> dict[tuple[int, int], float]:
    """Of maps (M, C): those with a rank of at most forming · M, and the excess over the first that has a higher one."""
    allowed = int(forming * len(maps) + 1e-9)
    found = {}
    for place, values in enumerate(maps.T):
        threshold = np.sort(values)[::-1][allowed]
        found |= {(k, place): value - threshold for k, value in enumerate(values) if (values >= value).sum() <= allowed}
    return found


def test_what_forms_clusters_is_ranked_among_all_maps() -> None:
    one, moves = part(3, planted=1.0), permutations(N, 99, 0)
    found = judge(permuted_maps([field(one, moves)], "correlation", "rho_a"), 0.05).peaks
    assert found is not None
    expected = naive_peaks(naive_maps(one, moves).max(-1), 0.05)
    assert dict.fromkeys(zip(found.maps.tolist(), found.places.tolist(), strict=True)) == dict.fromkeys(expected)
    for k, place, excess in zip(found.maps, found.places, found.excess, strict=True):
        assert excess == pytest.approx(expected[k, place], abs=1e-12)
    ties = torch.ones((1, 10, 1), dtype=torch.float64)
    empty = judge(iter([(slice(0, 1), ties)]), 0.2)
    assert empty.peaks is not None
    assert len(empty.peaks.maps) == 0
    assert empty.p.tolist() == [1.0]


def flood(points: set[tuple[int, ...]], connectivity: int) -> list[set[tuple[int, ...]]]:
    """Connected components by hand: neighbours differ by one in up to 1, 2 or 3 directions."""
    reach = {6: 1, 18: 2, 26: 3}[connectivity]
    steps = [step for step in product((-1, 0, 1), repeat=3) if 0 < sum(map(abs, step)) <= reach]
    rest, found = set(points), []
    while rest:
        queue, seen = [rest.pop()], set()
        while queue:
            here = queue.pop()
            seen.add(here)
            near = {tuple(a + b for a, b in zip(here, step, strict=True)) for step in steps} & rest
            rest -= near
            queue += near
        found.append(seen)
    return found


@pytest.mark.parametrize("connectivity", [6, 18, 26])
def test_components_are_those_of_a_flood(connectivity: int) -> None:
    rng = np.random.default_rng(connectivity)
    points = np.argwhere(rng.random((6, 7, 5)) < 0.2) + np.array([3, 0, 11])
    numbers = label(points, connectivity)
    found = {frozenset(map(tuple, points[numbers == k].tolist())) for k in np.unique(numbers)}
    assert found == {frozenset(one) for one in flood(set(map(tuple, points.tolist())), connectivity)}
    assert numbers.min() == 1


@pytest.mark.parametrize("weigh", ["size", "mass"])
def test_clusters_are_those_of_a_loop_over_maps(weigh: str) -> None:
    one, moves = part(4, (5, 4, 4), planted=0.8), permutations(N, 99, 0)
    found = judge(permuted_maps([field(one, moves)], "correlation", "rho_a"), 0.05)
    assert found.peaks is not None
    places = one.coordinates[one.hoods.centres]
    made = clusters(found.peaks, grid_of(places), 100, 6, weigh)  # type: ignore[arg-type]
    above = naive_peaks(naive_maps(one, moves).max(-1), 0.05)
    voxel = {place: tuple((places[place] / 2).astype(int).tolist()) for place in range(len(places))}
    weights = []
    for k in range(100):
        mine = {voxel[place]: (excess if weigh == "mass" else 1.0) for (number, place), excess in above.items() if number == k}
        weights.append(sorted((sum(mine[one] for one in component) for component in flood(set(mine), 6)), reverse=True))
    np.testing.assert_allclose(made.weight, weights[0])
    np.testing.assert_allclose(made.largest, [max(own, default=0.0) for own in weights[1:]])
    largest = [max(own, default=0.0) for own in weights[1:]]
    np.testing.assert_allclose(made.p, [(1 + sum(top >= one - 1e-12 for top in largest)) / 100 for one in weights[0]])
    for number, weight in enumerate(made.weight, start=1):
        own = np.flatnonzero(made.label == number)
        assert sum(above[0, place] if weigh == "mass" else 1.0 for place in own) == pytest.approx(weight)
    np.testing.assert_allclose(made.p_of_places[made.label == 0], 1.0)


def test_a_map_without_peaks_has_no_clusters() -> None:
    none = np.empty(0, dtype=np.int64)
    made = clusters(Peaks(none, none, np.empty(0)), grid_of(voxels(2, 2, 2)), 4)  # type: ignore[arg-type]
    assert made.weight.tolist() == made.p.tolist() == []
    assert made.label.tolist() == [0] * 8
    assert made.p_of_places.tolist() == [1.0] * 8
    assert made.largest.tolist() == [0.0] * 3


def test_counting_of_the_null_is_that_of_p() -> None:
    rng = np.random.default_rng(0)
    null, observed = np.round(rng.normal(size=50), 1), np.round(rng.normal(size=30), 1)  # with ties
    observed[3] = np.nan
    np.testing.assert_allclose(exceeding(observed, null), p_value(observed, np.tile(null[:, None], 30)))


# --- maps of subjects --------------------------------------------------------------------------------------------------

PLAN = Plan(permutations=99)


def test_a_planted_blob_is_found_where_it_is() -> None:
    one = part(5, (7, 7, 6), planted=2.0, n=20)
    centres = one.hoods.centres
    inside = np.linalg.norm(one.coordinates[centres] - 4.0, axis=1)
    for plan in (PLAN, Plan(permutations=99, correct="cluster", cluster_p=0.02)):
        found = subject_map(one, plan)
        assert found.neuroids.tolist() == centres.tolist()
        assert (found.corrected[inside <= 2.0] < 0.05).all()
        assert (found.corrected[inside > 8.0] >= 0.05).mean() > 0.9  # neighbourhoods reach 2 mm out of the ball of 4 mm
        said = summary(found, ["first", "second"], tested=True)
        assert said["n_significant"] == int((found.corrected < 0.05).sum()) > 6
        assert said["peak"]["layer"] == "first"
        assert np.linalg.norm(np.array(said["peak"]["xyz"]) - 4.0) <= 4.0
        assert said["peak"]["p_corrected"] == pytest.approx(0.01)
        assert (said["null_kind"], said["n_null"]) == ("permute_stimuli, layer chosen anew", 99)
    assert said["clusters"][0]["p"] < 0.05
    assert said["clusters"][0]["n_centres"] >= 7
    assert said["clusters"][0]["peak"] == said["peak"]
    untested = summary(found, ["first", "second"], tested=False)
    assert untested["n_significant"] is untested["peak"]["p"] is untested["null_extreme95"] is None
    assert untested["clusters"] == []


def test_the_mean_map_of_few_subjects_permutes_all_of_them_alike() -> None:
    parts = [part(seed, planted=0.5) for seed in (6, 7, 8)]
    # The second has other neuroids at the end and in another order.
    order = np.random.default_rng(0).permutation(len(parts[1].coordinates))[:-5]
    points = parts[1].coordinates[order]
    hoods = neighbourhoods(points, 2.0, min_neuroids=5)
    parts[1] = Part(parts[1].responses[:, order], points, hoods, parts[1].layers)
    found = group_map(parts, PLAN)
    moves = permutations(N, 99, 0)
    maps, places = [], []
    for one in parts:
        maps.append(naive_maps(one, moves))
        places.append([tuple(row) for row in one.coordinates[one.hoods.centres].tolist()])
    common = [place for place in places[0] if place in places[1]]
    assert [tuple(row) for row in found.coordinates.tolist()] == common
    assert 0 < len(common) < len(places[0])
    mean = np.mean([own[:, [at.index(place) for place in common]] for own, at in zip(maps, places, strict=True)], axis=0)
    best = mean.max(-1)
    np.testing.assert_allclose(found.map.score, best[0], atol=1e-13)
    np.testing.assert_allclose(found.map.p, p_value(best[0], best[1:]))
    np.testing.assert_allclose(found.map.largest, best[1:].max(1), atol=1e-13)
    assert found.null_kind == "permute_stimuli, layer chosen anew"
    assert set(found.neuroids.tolist()) == {-1}


def test_six_subjects_flip_their_signs() -> None:
    parts = [part(seed, layers=1, planted=0.6) for seed in range(6)]
    found = group_map(parts, PLAN)
    maps = np.stack([searchlight(one.responses.numpy(), one.hoods, one.layers.numpy())[:, 0] for one in parts])
    signs = [row for row in product((1, -1), repeat=6) if -1 in row]
    null = np.array([np.mean([s * own for s, own in zip(row, maps, strict=True)], axis=0) for row in signs])
    np.testing.assert_allclose(found.map.score, maps.mean(0), atol=1e-13)
    np.testing.assert_allclose(found.map.p, p_value(maps.mean(0), null))
    np.testing.assert_allclose(np.sort(found.map.largest), np.sort(null.max(1)), atol=1e-13)
    assert (found.null_kind, len(found.map.largest)) == ("flip_subjects", 63)
    # 64 maps reach no p of .001: clusters then need permuted stimuli.
    assert group_map(parts, Plan(permutations=999, correct="cluster")).null_kind == "permute_stimuli"


def test_flips_are_all_or_random_and_never_the_observed_one() -> None:
    every = sign_flips(5, 31, 0)
    assert len({tuple(row) for row in every.tolist()}) == 31
    assert (every < 0).any(1).all()
    some = sign_flips(12, 500, 1)
    assert some.shape == (500, 12)
    np.testing.assert_array_equal(some[:100], sign_flips(12, 100, 1))
    assert abs(some.mean()) < 0.05
    maps = torch.as_tensor(np.random.default_rng(0).normal(size=(3, 4, 2)))
    [(_, scores)] = flipped_maps(maps, np.array([[1.0, -1.0, -1.0]]))
    np.testing.assert_allclose(scores[:, 1], (maps[0] - maps[1] - maps[2]) / 3)


def test_what_has_no_grid_or_no_common_place_is_refused() -> None:
    one = part(9)
    rng = np.random.default_rng(0)
    scattered = rng.uniform(0, 10, (48, 3))
    apart = Part(one.responses, scattered, neighbourhoods(scattered, 4.0, min_neuroids=5), one.layers)
    with pytest.raises(DataError, match="found positions on no regular grid, expected voxels for correct: cluster; give"):
        subject_map(apart, Plan(permutations=999, correct="cluster"))
    assert subject_map(apart, PLAN).grid is None
    with pytest.raises(DataError, match="found no place that all of 2 subjects have, expected positions of one space"):
        group_map([one, apart], PLAN)


# --- how often noise is significant ------------------------------------------------------------------------------------


def rejections(n_worlds: int, plan: Plan) -> int:
    """Of maps of noise with two layers, how many have a place with a family-wise p of at most .05."""
    return sum(bool((subject_map(part(1000 + k), plan).corrected <= 0.05).any()) for k in range(n_worlds))


@pytest.mark.parametrize("plan", [Plan(permutations=99), Plan(permutations=99, correct="cluster", cluster_p=0.05)])
def test_noise_is_significant_somewhere_in_a_twentieth_of_maps(plan: Plan) -> None:
    n = 200
    low, high = binom.interval(0.999, n, 0.05)
    # Clusters come in few sizes, so that their p's tie, and the test errs on the safe side.
    assert (low if plan.correct == "max" else 0) <= rejections(n, plan) <= high


@pytest.mark.slow
@pytest.mark.parametrize("plan", [Plan(permutations=199), Plan(permutations=199, correct="cluster", cluster_p=0.02)])
def test_noise_is_significant_somewhere_in_a_twentieth_of_many_maps(plan: Plan) -> None:
    n = 2000
    low, high = binom.interval(0.999, n, 0.05)
    found = rejections(n, plan)
    print(f"searchlight, {plan.correct}: {found} of {n} maps of noise are significant somewhere")
    assert (low if plan.correct == "max" else 0) <= found <= high
