"""Neuroids from few units, beside the textbook's pursuit; groups of units, beside scikit-learn's and planted ones."""

import numpy as np
import pytest
import torch
from sklearn.cluster import SpectralCoclustering
from sklearn.linear_model import OrthogonalMatchingPursuit
from sklearn.metrics import adjusted_rand_score

from isocortex.errors import DataError
from isocortex.similarity.matching import sparse_curve, unit_correlations, unit_groups
from isocortex.similarity.matching.correlations import Beside, Part, halvings, parted, standardised
from isocortex.similarity.matching.sparse import pursuit
from isocortex.similarity.matching.spectral import MOST_GROUPS, co_clusters, group_agreement


@pytest.fixture
def rng():
    return np.random.default_rng(13)


def textbook(x, y, x_test, y_test, active):
    """R² of one neuroid by 1…active units: the unit that goes best with what is left, then least squares of all so far."""
    mean, scale = x.mean(0), np.linalg.norm(x - x.mean(0), axis=0)
    x, x_test = (x - mean) / scale, (x_test - mean) / scale
    y, y_test = y - y.mean(), y_test - y.mean()
    chosen, residual, found = [], y, []
    for _ in range(active):
        chosen.append(int(np.argmax(np.abs(x.T @ residual))))
        weights = np.linalg.lstsq(x[:, chosen], y, rcond=None)[0]
        residual = y - x[:, chosen] @ weights
        found.append(1 - np.sum((y_test - x_test[:, chosen] @ weights) ** 2) / np.sum(y_test**2))
    return found


def halves(x, y):
    for one, other in halvings(len(x)):
        yield x[one], y[one], x[other], y[other]
        yield x[other], y[other], x[one], y[one]


@pytest.mark.parametrize(("n", "p", "q"), [(40, 12, 5), (24, 60, 3), (30, 4, 2)], ids=["tall", "wide", "narrow"])
def test_the_curve_is_the_textbooks_neuroid_by_neuroid(rng, n, p, q):
    x = rng.normal(size=(n, p)) @ rng.normal(size=(p, p)) + 2
    y = x[:, :q] + x[:, 1 : q + 1] + rng.normal(size=(n, q))
    active = min(p, 6)
    expected = [
        [textbook(a, b[:, j], c, d[:, j], active) for j in range(q)] for a, b, c, d in halves(x, y)
    ]  # fmt: skip
    found = sparse_curve(x, y, active)
    assert found == pytest.approx(np.mean(expected, axis=(0, 1)), abs=1e-10)
    as_tensors = sparse_curve(torch.as_tensor(x), torch.as_tensor(y), active)
    assert isinstance(as_tensors, torch.Tensor)
    assert as_tensors.numpy() == pytest.approx(found, abs=1e-12)


def test_units_and_weights_are_scikit_learns(rng):
    x, y = rng.normal(size=(50, 20)), rng.normal(size=(50, 4))
    made, brain = (parted(standardised(z, np.arange(50), 1000))[0] for z in (x, y))
    found = pursuit(Beside(made[0], brain[0]), Beside(made[1], brain[1]), 4).numpy()
    for j in range(4):
        fit = OrthogonalMatchingPursuit(n_nonzero_coefs=4, fit_intercept=False).fit(made[0].z.numpy(), brain[0].z[:, j].numpy())
        truth = brain[1].seen_from(brain[0])[:, j].numpy()
        left = truth - made[1].seen_from(made[0]).numpy() @ fit.coef_
        assert found[3, j] == pytest.approx(1 - left @ left / (truth @ truth), abs=1e-10)


def test_neuroids_that_merge_units_take_as_many_as_were_merged(rng):
    x = rng.normal(size=(400, 50))
    y = x[:, :10] + x[:, 10:20] + x[:, 20:30]
    curve = sparse_curve(x, y, 6)
    assert curve[2:] == pytest.approx(np.ones(4), abs=1e-9)
    assert curve[:2] == pytest.approx([1 / 3, 2 / 3], abs=0.12)


def test_where_no_unit_is_left_the_curve_stays(rng):
    x, y = rng.normal(size=(20, 2)), rng.normal(size=(20, 3))
    curve = sparse_curve(x, y, 5)
    assert curve[1:] == pytest.approx(np.full(4, curve[1]), abs=0)
    twice = sparse_curve(np.repeat(x, 2, axis=1), y, 5)
    assert twice == pytest.approx(curve, abs=1e-9)
    few = sparse_curve(rng.normal(size=(6, 9)), rng.normal(size=(6, 1)), 4)
    assert few[1:] == pytest.approx(np.full(3, few[1]), abs=0)


def test_curves_of_what_has_none():
    once = np.eye(12)[:, :1]  # never varies in both halves
    assert np.isnan(sparse_curve(once, np.random.default_rng(0).normal(size=(12, 2)), 3)).all()
    with pytest.raises(DataError, match="matching: found 8 stimuli in x and 9 in y, expected the same stimuli"):
        sparse_curve(np.eye(8), np.eye(9))


def planted(rng, n, sizes, load=0.85, signs=True):
    """Units that share a signal with those of their group, and the groups: `sizes` pairs of how many in x and in y."""
    signal = rng.normal(size=(n, len(sizes)))
    groups = [np.repeat(np.arange(len(sizes)), [pair[side] for pair in sizes]) for side in (0, 1)]
    groups = [rng.permutation(labels) for labels in groups]
    turned = [rng.choice([-1, 1], len(labels)) if signs else np.ones(len(labels)) for labels in groups]
    made = [
        load * signal[:, labels] * turn + np.sqrt(1 - load**2) * rng.normal(size=(n, len(labels)))
        for labels, turn in zip(groups, turned, strict=True)
    ]
    return made, groups, turned


SIZES = {
    "even": [(4, 3)] * 6,
    "splits": [(1, 2)] * 8,
    "merges": [(3, 1)] * 8,
    "uneven": [(8, 1), (4, 2), (3, 5), (2, 2)],
    "two": [(5, 3), (4, 6)],
    "singles": [(1, 1)] * 12,
}


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES.keys())
def test_planted_groups_and_their_number_are_found(rng, sizes):
    (x, y), groups, turned = planted(rng, 200, sizes, 0.95)
    found = unit_groups(x, y)
    assert adjusted_rand_score(np.concatenate(groups), np.r_[found.x, found.y]) == 1
    for k in range(len(sizes)):
        sides = [(turn * signs)[labels == k] for turn, signs, labels in
                 zip(turned, (found.x_signs, found.y_signs), groups, strict=True)]  # fmt: skip
        assert len(set(np.concatenate(sides))) == 1


@pytest.mark.parametrize("name", ["even", "uneven", "two"])
def test_groups_of_a_given_number_are_scikit_learns(rng, name):
    (x, y), _, _ = planted(rng, 100, SIZES[name])
    c = unit_correlations(x, y)
    theirs = SpectralCoclustering(n_clusters=len(SIZES[name]), random_state=0).fit(c**2)
    found = co_clusters(c, len(SIZES[name]))
    assert adjusted_rand_score(np.r_[theirs.row_labels_, theirs.column_labels_], np.r_[found.x, found.y]) == 1


@pytest.mark.parametrize("wide", [False, True], ids=["n > p", "p > n"])
def test_a_unit_is_in_its_own_group(rng, wide):
    for groups in ("auto", 2, 7, MOST_GROUPS):
        x = rng.normal(size=(20, 60 if wide else 8))
        found = co_clusters(unit_correlations(x, x), groups)
        assert np.array_equal(found.x, found.y)
        assert np.array_equal(found.x_signs, found.y_signs)


def test_order_and_side_of_units_do_not_matter(rng):
    c = unit_correlations(rng.normal(size=(30, 14)), rng.normal(size=(30, 9)))
    rows, columns = rng.permutation(14), rng.permutation(9)
    for groups in ("auto", 4):
        whole = co_clusters(c, groups)
        moved, turned = co_clusters(c[rows][:, columns], groups), co_clusters(c.T, groups)
        assert adjusted_rand_score(np.r_[whole.x[rows], whole.y[columns]], np.r_[moved.x, moved.y]) == 1
        assert adjusted_rand_score(np.r_[whole.x, whole.y], np.r_[turned.y, turned.x]) == 1


def test_agreement_is_that_of_mean_responses_with_lone_groups_at_0(rng):
    (x, y), _, _ = planted(rng, 60, SIZES["uneven"], 0.7)
    halved = [parted(standardised(z, np.arange(60), 1000))[0] for z in (x, y)]
    matched, judged = Beside(halved[0][0], halved[1][0]), Beside(halved[0][1], halved[1][1])
    for groups in ("auto", 4, 7):
        found = co_clusters(matched.correlations, groups)
        values = []
        for k in set(found.x) | set(found.y):
            means = [
                np.mean(
                    [s * z for s, z, g in zip(signs, part.z.T.numpy(), labels, strict=True) if g == k] or [0 * part.z.T[0]], 0
                )
                for part, labels, signs in ((judged.x, found.x, found.x_signs), (judged.y, found.y, found.y_signs))
            ]
            values.append(np.corrcoef(*means)[0, 1] if all(np.any(m) for m in means) else 0.0)
        assert group_agreement(matched, judged, groups) == pytest.approx(np.mean(values), abs=1e-12)


def test_a_group_in_one_system_only_counts_as_0(monkeypatch, rng):
    from isocortex.similarity.matching import spectral

    x = Part.of(torch.as_tensor(rng.normal(size=(10, 3))))
    lone = spectral.Groupings(np.array([0, 1, 3]), np.array([0, 1, 1]), np.ones(3), np.ones(3))
    monkeypatch.setattr(spectral, "co_clusters", lambda *_: lone)
    mean = x.z[:, 1] + x.z[:, 2]
    expected = (1 + float(x.z[:, 1] @ mean / torch.linalg.vector_norm(mean)) + 0) / 3
    assert group_agreement(Beside(x, x), Beside(x, x)) == pytest.approx(expected, abs=1e-12)


def test_one_unit_is_one_group(rng):
    c = unit_correlations(rng.normal(size=(9, 1)), rng.normal(size=(9, 5)))
    for groups in ("auto", 3):
        found = co_clusters(c, groups)
        assert not found.x.any()
        assert not found.y.any()
        assert np.array_equal(found.x_signs * found.y_signs, np.sign(c[0]))
    assert not co_clusters(np.zeros((2, 3))).x.any()
