import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.similarity import to_square, to_vector
from isocortex.similarity.trsa import curve, grid, identify, identify_plane, identify_rows, nested, plane, rgtm

PAIRS = np.vstack([grid(0.2), [[0.4, 0.4]]])


def measured(subjects=5, regions=3, n=9, noise=0.6, seed=0):
    """RDMs with a signature of their region and noise of their own, on scales of their own."""
    rng = np.random.default_rng(seed)
    pairs = n * (n - 1) // 2
    return rng.random((regions, pairs)) + noise * rng.standard_normal((subjects, regions, pairs)) + 3.0


@pytest.fixture(params=["whole", "missing cells"])
def vectors(request):
    values = measured()
    if request.param == "missing cells":
        values[0, 1] = values[3, 0] = values[3, 2] = np.nan
    return values


def far(x, c, distance):
    if distance == "correlation":
        return 1 - np.corrcoef(x, c)[0, 1]
    return np.sqrt(((x - c) ** 2).sum())


def naive(vectors, left_out, distance, without=()):
    """Regions found for each region of a subject from mean RDMs of the subjects that are not `without` either; −1: missing."""
    subjects, regions, _ = vectors.shape
    rest = [s for s in range(subjects) if s != left_out and s not in without]
    found = []
    for r in range(regions):
        if np.isnan(vectors[left_out, r]).all():
            found.append(-1)
            continue
        distances = []
        for q in range(regions):
            rows = [vectors[s, q] for s in rest if not np.isnan(vectors[s, q]).all()]
            distances.append(far(vectors[left_out, r], np.mean(rows, axis=0), distance) if rows else np.inf)
        found.append(int(np.argmin(distances)))
    return found


def naive_all(vectors, distance="euclidean"):
    return np.array([naive(vectors, s, distance) for s in range(len(vectors))])


def transformed(vectors, pair):
    result = vectors.copy()
    there = ~np.isnan(vectors).all(-1)
    result[there] = rgtm(vectors[there], *pair)
    return result


@pytest.mark.parametrize("distance", ["euclidean", "correlation"])
def test_identification_equals_loops(vectors, distance):
    found = identify(vectors, distance=distance)
    expected = naive_all(vectors, distance)
    np.testing.assert_array_equal(found.predicted, expected)
    there = expected >= 0
    right = expected == np.arange(3)
    np.testing.assert_array_equal(found.correct, np.where(there, right, -1))
    assert found.accuracy == pytest.approx(right[there].mean())
    assert 0.4 < found.accuracy < 1
    by_subject = [right[s][there[s]].mean() for s in range(5)]
    assert found.by_subject == pytest.approx(by_subject)
    assert found.by_region == pytest.approx([right[:, r][there[:, r]].mean() for r in range(3)])
    assert found.balanced == pytest.approx(np.mean(by_subject))


def test_a_transform_is_of_each_rdm_and_tensors_are_taken(vectors):
    found = identify(torch.as_tensor(vectors), lambda v: rgtm(v, 0.2, 0.6))
    np.testing.assert_array_equal(found.predicted, naive_all(transformed(vectors, (0.2, 0.6))))


def test_a_missing_entry_is_left_out_of_all(vectors):
    holed = vectors.copy()
    holed[1, 1, 4] = np.nan
    expected = naive_all(np.delete(vectors, 4, axis=2))
    np.testing.assert_array_equal(identify(holed).predicted, expected)


def test_rows_in_any_order_with_names(vectors):
    there = ~np.isnan(vectors).all(-1)
    s, r = there.nonzero()
    order = np.random.default_rng(1).permutation(len(s))
    regions, subjects = np.array(["FFA", "V1", "V4"]), np.array(["anna", "ben", "carl", "dora", "ed"])
    found, who, where = identify_rows(vectors[s, r][order], regions[r][order], subjects[s][order])
    assert (who.tolist(), where.tolist()) == (subjects.tolist(), regions.tolist())
    np.testing.assert_array_equal(found.predicted, naive_all(vectors))


@pytest.mark.parametrize("budget", [1e9, 1e3], ids=["one block", "blocks"])
@pytest.mark.parametrize("distance", ["euclidean", "correlation"])
def test_the_plane_equals_one_identification_after_another(vectors, distance, budget, monkeypatch):
    monkeypatch.setattr(plane, "_BLOCK_BYTES", {"cpu": budget})
    found = identify_plane(vectors, PAIRS, distance)
    for k, pair in enumerate(PAIRS):
        expected = naive_all(transformed(vectors, pair), distance)
        np.testing.assert_array_equal(found.predicted[k], expected)
        assert found.accuracy[k] == pytest.approx((expected == np.arange(3))[expected >= 0].mean())


@pytest.mark.parametrize("budget", [1e9, 1e3], ids=["one block", "blocks"])
@pytest.mark.parametrize("distance", ["euclidean", "correlation"])
def test_thresholds_are_chosen_without_the_subject(vectors, distance, budget, monkeypatch):
    monkeypatch.setattr(plane, "_BLOCK_BYTES", {"cpu": budget})
    found = nested(vectors, PAIRS, distance)
    made = [transformed(vectors, pair) for pair in PAIRS]
    for s in range(5):
        inner = []
        for x in made:
            right = [
                region == r
                for t in range(5) if t != s
                for r, region in enumerate(naive(x, t, distance, without=(s,))) if region >= 0
            ]  # fmt: skip
            inner.append(np.mean(right))
        assert found.inner[s] == pytest.approx(inner)
        best = inner.index(max(inner))
        assert found.chosen[s] == best
        assert found.predicted[s].tolist() == naive(made[best], s, distance)
    assert found.votes.tolist() == np.bincount(found.chosen, minlength=len(PAIRS)).tolist()
    right = found.correct[found.correct >= 0]
    assert found.accuracy == pytest.approx(right.mean())


def test_a_held_out_subject_has_no_part_in_its_choice():
    vectors = measured(noise=0.9)
    other = vectors.copy()
    other[2] = np.random.default_rng(9).random(other[2].shape)
    np.testing.assert_array_equal(nested(vectors, PAIRS).inner[2], nested(other, PAIRS).inner[2])
    assert (nested(vectors, PAIRS).inner[1] != nested(other, PAIRS).inner[1]).any()


def test_regions_that_are_equally_near_are_told_apart_by_their_order():
    vectors = np.repeat(measured(regions=1), 3, axis=1)
    assert (identify(vectors).predicted == 0).all()
    assert (identify_plane(vectors, PAIRS).predicted == 0).all()
    assert nested(vectors, PAIRS).accuracy == pytest.approx(1 / 3)
    assert identify(np.ones((3, 2, 6)), distance="correlation").accuracy == 0.5


def test_a_region_of_one_subject_cannot_be_found():
    vectors = measured()
    vectors[1:, 2] = np.nan
    found = identify(vectors)
    np.testing.assert_array_equal(found.predicted, naive_all(vectors))
    assert found.correct[0, 2] == 0
    assert np.isnan(identify(np.where(np.arange(3)[:, None] == 1, np.nan, measured())).by_region[1])


STATISTICS = [None, (0.0, 1.0), (0.4, 0.6), lambda v: v**0.5, (0.3, 0.3)]


@pytest.mark.parametrize("budget", [1e9, 1e3], ids=["one block", "blocks"])
def test_curves_are_identifications_of_subsets_of_stimuli(vectors, budget, monkeypatch):
    monkeypatch.setattr(plane, "_BLOCK_BYTES", {"cpu": budget})
    orders = np.stack([np.random.default_rng(seed).permutation(9) for seed in range(4)])
    vectors = np.abs(vectors)
    found = curve(vectors, [4, 7], orders, STATISTICS)
    assert found.shape == (5, 2, 4, 5, 3)
    np.testing.assert_array_equal(found, curve(vectors, [4, 7], [orders[:, :4], orders[:, :7]], STATISTICS))
    for place, size in enumerate((4, 7)):
        for k, order in enumerate(orders):
            part = to_vector(to_square(vectors)[..., order[:size], :][..., order[:size]])
            for row, statistic in enumerate(STATISTICS):
                made = transformed(part, statistic) if isinstance(statistic, tuple) else statistic(part) if statistic else part
                predicted = naive_all(made)
                expected = np.where(predicted >= 0, predicted == np.arange(3), -1)
                np.testing.assert_array_equal(found[row, place, k], expected)


def test_wrong_input_is_refused():
    x = measured()
    with pytest.raises(DataError, match="found 1 subjects and 3 regions, expected at least 2 and 2"):
        identify(x[:1])
    with pytest.raises(DataError, match="found 2 subjects and 3 regions, expected at least 3 and 2"):
        nested(x[:2], PAIRS)
    with pytest.raises(DataError, match=r"found RDMs of shape \(3, 36\), expected"):
        identify_plane(x[0], PAIRS)
    with pytest.raises(DataError, match="found no pair of stimuli with a value in all RDMs"):
        identify(np.full((3, 2, 6), np.nan))
    with pytest.raises(ValueError, match="found distance 'cosine', expected one of"):
        identify(x, distance="cosine")
    with pytest.raises(DataError, match="found 2 RDMs of region V1 of subject a, expected one; average them"):
        identify_rows(x[0], ["V1", "V1", "V2"], ["a", "a", "a"])
    with pytest.raises(DataError, match="found 3 RDMs, 2 regions and 3 subjects, expected one each per row"):
        identify_rows(x[0], ["V1", "V2"], ["a", "a", "a"])
    with pytest.raises(DataError, match="found subsets of 3 stimuli for size 4, expected 4 different ones of 9"):
        curve(x, [4], np.arange(3)[None], [None])
    holed = x.copy()
    holed[0, 0, 0] = np.nan
    with pytest.raises(DataError, match="found NaN in a measured RDM, expected whole RDMs"):
        curve(holed, [4], np.arange(9)[None], [None])
