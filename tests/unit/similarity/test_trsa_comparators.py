import pickle

import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.similarity import compare_rdms, to_square, to_vector
from isocortex.similarity.comparators import COMPARATORS, pooled
from isocortex.similarity.comparators.resampled import permuted_scores, weighted_scores
from isocortex.similarity.trsa import (
    geodesic,
    geodesic_comparator,
    gtm,
    plane_comparators,
    repeated,
    rgtm,
    sigmoid,
    trsa_comparator,
    weighted_plane,
)

LEVELS = [(0.2, 0.8), (0.0, 1.0), (0.45, 0.5), (0.3, 0.3)]
CASES = [(name, lower, upper) for name in ("gtm", "rgtm") for lower, upper in LEVELS] + [("sigmoid", 0.2, 0.8)]
TRANSFORMS = {"gtm": gtm, "rgtm": rgtm, "sigmoid": lambda d, *_: sigmoid(d)}


@pytest.fixture(params=["untied", "tied", "heavily tied"])
def rdms(request):
    values = np.random.default_rng(2).random((5, 36))
    values = {"tied": np.round(values * 6), "heavily tied": np.round(values * 1.5) - 0.7}.get(request.param, values)
    return values[:2], values[2:]


@pytest.fixture
def counts():
    rng = np.random.default_rng(3)
    drawn = rng.multinomial(9, np.full(9, 1 / 9), size=6)
    return np.vstack([drawn, np.ones(9, dtype=int), [4, 4, 1] + [0] * 6, np.eye(9, dtype=int)[0] * 9])


def compared(a, b, compare):
    if compare == "pearson":
        a, b = a - a.mean(), b - b.mean()
    length = np.sqrt((a @ a) * (b @ b))
    return a @ b / length if length > 1e-12 else np.nan


def repeated_stimuli(d, counts):
    """The RDM of stimuli that are present as often as counted, without the pairs of a stimulus with itself."""
    drawn = np.repeat(np.arange(len(counts)), counts)
    square = to_square(d)
    np.fill_diagonal(square, np.nan)
    entries = to_vector(square[np.ix_(drawn, drawn)])
    return entries[~np.isnan(entries)]


@pytest.fixture(params=["loops", "tensors, one block", "tensors, blocks"])
def _route(request, monkeypatch):
    if request.param.startswith("tensors"):  # as on a GPU
        monkeypatch.setattr(repeated, "by_loops", repeated.by_tensors)
        monkeypatch.setattr(repeated, "block_bytes", lambda _: 1e9 if "one" in request.param else 1e3)


@pytest.mark.usefixtures("_route")
@pytest.mark.parametrize("compare", ["pearson", "cosine"])
@pytest.mark.parametrize(("name", "lower", "upper"), CASES)
def test_a_draw_equals_the_transform_of_repeated_stimuli(rdms, counts, name, lower, upper, compare):
    brain, layers = rdms
    chosen = trsa_comparator(name, lower, upper, compare)
    found = weighted_scores(torch.as_tensor(brain), torch.as_tensor(layers), torch.as_tensor(counts), chosen).numpy()
    assert np.isnan(found[-1]).all()
    for c, table in zip(counts[:-1], found[:-1], strict=True):
        made = [[TRANSFORMS[name](repeated_stimuli(row, c), lower, upper) for row in rows] for rows in rdms]
        expected = np.array([[compared(a, b, compare) for b in made[1]] for a in made[0]])
        assert table == pytest.approx(expected, abs=1e-12, nan_ok=True)
    whole = compare_rdms(brain, layers, chosen)
    assert found[6] == pytest.approx(whole, abs=1e-12, nan_ok=True)  # every stimulus once


@pytest.mark.parametrize("compare", ["pearson", "cosine"])
@pytest.mark.parametrize("transform", ["gtm", "rgtm"])
def test_draws_of_the_plane_equal_those_of_each_comparator(rdms, counts, transform, compare):
    brain, layers = (torch.as_tensor(part) for part in rdms)
    drawn = torch.as_tensor(counts)
    found = weighted_plane(brain, layers, drawn, LEVELS, transform, compare)
    for table, chosen in zip(found, plane_comparators(LEVELS, transform, compare), strict=True):
        expected = weighted_scores(brain, layers, drawn, chosen)
        np.testing.assert_allclose(table.numpy(), expected.numpy(), atol=1e-14)


def test_a_comparator_compares_transformed_rdms(rdms):
    a, b = rdms
    for name, lower, upper in CASES:
        for compare in ("pearson", "cosine"):
            chosen = trsa_comparator(name, lower, upper, compare)
            made = [TRANSFORMS[name](part, lower, upper) for part in rdms]
            expected = compare_rdms(*made, compare)
            assert compare_rdms(a, b, chosen) == pytest.approx(expected, abs=1e-14, nan_ok=True)
            np.testing.assert_array_equal(chosen.transform(torch.as_tensor(a)).numpy(), made[0])
            assert (chosen.base, chosen.pool) == (compare, COMPARATORS[compare].pool)


def test_a_pool_is_of_transformed_rdms():
    rng = np.random.default_rng(4)
    subjects = torch.as_tensor(rng.random((3, 28)) ** [[1], [4], [9]])
    chosen = trsa_comparator("gtm", 0.2, 0.6)
    mean = pooled(chosen.transform(subjects), chosen.pool)
    z = [(row - row.mean()) / row.std() for row in gtm(subjects.numpy(), 0.2, 0.6)]
    assert mean.numpy() == pytest.approx(np.mean(z, axis=0), abs=1e-14)


def test_permutations_of_stimuli_move_transformed_rdms():
    rng = np.random.default_rng(5)
    brain, layers = torch.as_tensor(rng.random((2, 28))), torch.as_tensor(rng.random((3, 28)))
    still, order = torch.arange(8)[None], torch.as_tensor(rng.permutation(8))
    moved = to_vector(to_square(layers)[:, order][:, :, order])
    for chosen in (trsa_comparator(), trsa_comparator("gtm", 0.1, 0.4, "cosine"), geodesic_comparator(p=0.4)):
        found = permuted_scores(brain, layers, (order[None], still), chosen)
        np.testing.assert_allclose(found[0].numpy(), chosen.compare(brain, moved).numpy(), atol=1e-13)


def test_geodesic_comparators_rank_paths_and_take_subsamples():
    rng = np.random.default_rng(6)
    a, b = rng.random((2, 45)), rng.random((2, 45))
    chosen = geodesic_comparator("k_nearest", k=3)
    expected = [[compared(x, y, "pearson") for y in geodesic(b, "k_nearest", k=3)] for x in geodesic(a, "k_nearest", k=3)]
    assert compare_rdms(a, b, chosen) == pytest.approx(np.array(expected), abs=1e-13)
    a[0, 3] = np.nan
    with pytest.raises(DataError, match=r"found 1 pairs without a value, expected none for compare: geodesic\(k_nearest,3\)"):
        compare_rdms(a, b, chosen)
    with pytest.raises(ValueError, match=r"'geodesic\(k_nearest,3\)/pearson' has no weighted form; take subsamples"):
        weighted_scores(torch.as_tensor(a), torch.as_tensor(b), torch.ones((1, 10)), chosen)


def test_names_say_what_is_compared_and_comparators_travel():
    found = [trsa_comparator(), trsa_comparator("sigmoid", compare="cosine"), geodesic_comparator(p=0.1)]
    assert [chosen.name for chosen in found] == [
        "rgtm(0.2,0.8)/pearson", "sigmoid(10,0.5)/cosine", "geodesic(p_shortest,0.1)/pearson",
    ]  # fmt: skip
    assert [chosen.ranks for chosen in (*found, trsa_comparator("gtm"))] == [True, True, True, False]
    v = torch.rand(2, 28, dtype=torch.float64)
    for chosen in found:
        there = pickle.loads(pickle.dumps(chosen))  # to a worker
        assert torch.equal(there.prepare(v), chosen.prepare(v))


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="found transform 'ramp', expected one of"):
        trsa_comparator("ramp")
    with pytest.raises(ValueError, match="found compare 'rho_a', expected one of"):
        trsa_comparator(compare="rho_a")
    with pytest.raises(DataError, match=r"found thresholds \(0.5, 0.4\)"):
        trsa_comparator(lower=0.5, upper=0.4)
    with pytest.raises(ValueError, match="found keep 'far', expected one of"):
        geodesic_comparator("far")
