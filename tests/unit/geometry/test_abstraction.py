"""Parallelism, generalisation across conditions and alignment with labels and inputs."""

from itertools import combinations, permutations, product

import numpy as np
import pytest
import torch
from sklearn.svm import SVC, LinearSVC

from isocortex.errors import DataError
from isocortex.geometry import GEOMETRY
from isocortex.geometry.abstraction import (
    ccgp,
    choose_dichotomies,
    condition_generalisation,
    parallelism,
    parallelism_score,
)
from isocortex.geometry.alignment import input_alignment, label_alignment
from isocortex.geometry.diffusion import diffusion_information
from isocortex.geometry.machine import squared_hinge


def cube(rng, *, each=10, units=8, noise=0.3):
    """Eight classes at the corners of a cube, as labels of their own."""
    code = np.array(list(product([0, 1], repeat=3)), dtype=float)
    member = np.repeat(np.arange(8), each)
    axes = np.linalg.qr(rng.normal(size=(units, 3)))[0].T
    return code[member] @ axes + noise * rng.normal(size=(8 * each, units)), member, code


def naive_score(a, b):
    best = -np.inf
    for partner in permutations(range(len(a))):
        coding = [b[j] - a[i] for i, j in enumerate(partner)]
        cosines = [u @ v / np.linalg.norm(u) / np.linalg.norm(v) for u, v in combinations(coding, 2)]
        best = max(best, np.mean(cosines))
    return best


@pytest.mark.parametrize("m", [2, 3, 4, 5])
def test_the_score_is_the_best_mean_cosine(m):
    rng = np.random.default_rng(m)
    a, b = rng.normal(size=(2, m, 6))
    assert parallelism_score(a, b) == pytest.approx(naive_score(a, b))
    assert parallelism_score(torch.as_tensor(b), torch.as_tensor(a)) == pytest.approx(naive_score(a, b))


def test_what_classes_are_called_changes_no_draw():
    x, member, _ = cube(np.random.default_rng(9), noise=1.0)
    member = member % 3  # of unequal sizes
    names = np.array(["b", "c", "a"])[member]
    assert diffusion_information(x, names, draws=1) == pytest.approx(diffusion_information(x, member, draws=1), abs=1e-12)


@pytest.mark.parametrize("name", ["parallelism", "ccgp"])
def test_a_subset_has_the_dichotomies_of_all_stimuli(name):
    x, member, _ = cube(np.random.default_rng(8), noise=1.0)
    options = {"dichotomies": 3, "per_side": 2}
    chosen = choose_dichotomies(8, 3, 2, 1)
    lost = next(c for c in range(8) if 0 < sum(c in (*a, *b) for a, b in chosen) < 3)
    masks = np.stack([member != lost, np.ones(80)]).astype(float)
    found = GEOMETRY[name].evaluate_subsets(x, masks, member, options, 1)
    own = []
    for a, b in (pair for pair in chosen if lost not in (*pair[0], *pair[1])):
        if name == "parallelism":
            own.append(naive_score(*([x[member == c].mean(0) for c in side] for side in (a, b))))
        else:
            rows = member != lost
            own.append(condition_generalisation(x[rows], member[rows], a, b, held_out=4))
    assert found[0] == pytest.approx(max(own))
    assert found[1] == pytest.approx({"parallelism": parallelism, "ccgp": ccgp}[name](x, member, seed=1, **options))


def test_corners_of_a_cube_are_parallel_along_its_axes():
    corners = np.array(list(product([0, 1], repeat=3)), dtype=float)
    assert parallelism_score(corners[:4], corners[4:]) == pytest.approx(1)
    odd = corners.sum(axis=1) % 2 == 1
    assert parallelism_score(corners[odd], corners[~odd]) < 0.5


def test_parallelism_of_labels_is_the_best_of_all_balanced_splits():
    x, member, _ = cube(np.random.default_rng(0))
    means = np.array([x[member == c].mean(axis=0) for c in range(8)])
    scores = []
    for a in combinations(range(8), 4):
        b = [k for k in range(8) if k not in a]
        if 0 in a:
            scores.append(naive_score(means[list(a)], means[b]))
    assert len(scores) == 35
    assert parallelism(x, np.array(list("abcdefgh"))[member]) == pytest.approx(max(scores))


@pytest.mark.parametrize(("classes", "number"), [(4, 3), (5, 15), (6, 10), (7, 70), (8, 35), (9, 315)])
def test_dichotomies_are_all_different_balanced_and_counted(classes, number):
    m = classes // 2
    found = choose_dichotomies(classes, 1000, 4, 0)
    assert len({frozenset(pair) for pair in found}) == len(found) == number
    assert all(len(a) == len(b) == m and not set(a) & set(b) for a, b in found)


def test_of_many_dichotomies_some_are_drawn():
    found = choose_dichotomies(40, 12, 4, 3)
    assert len(set(found)) == 12
    assert found == choose_dichotomies(40, 12, 4, 3) != choose_dichotomies(40, 12, 4, 4)
    assert {len(side) for pair in found for side in pair} == {4}
    with pytest.raises(DataError, match="found 6 conditions per side, expected 2 to 5"):
        choose_dichotomies(40, 12, 6, 3)


@pytest.mark.parametrize(("n", "units", "c"), [(40, 3, 0.1), (40, 3, 30.0), (60, 100, 1.0), (60, 1, 1e3), (30, 60, 1e4)])
def test_the_machine_is_at_the_minimum_and_that_of_libsvm(n, units, c):
    rng = np.random.default_rng(n + units)
    x, penalties = rng.normal(size=(n, units)), c * rng.uniform(0.5, 2, n)
    sign = np.where(x[:, 0] + rng.normal(size=n) > 0, 1.0, -1.0)
    gram = x @ x.T
    beta, offset = squared_hinge(gram, sign, penalties)
    f = gram @ beta + offset
    # Where the gradient is none: β = 2c y max(0, 1 − yf), and Σβ = 0.
    scale = np.abs(beta).max()
    assert beta == pytest.approx(2 * penalties * sign * np.maximum(0, 1 - sign * f), abs=1e-6 * scale)
    assert beta.sum() == pytest.approx(0, abs=1e-8 * scale)
    # A hard margin with 1/2c on the diagonal is the same problem.
    theirs = SVC(C=1e12, kernel="precomputed", tol=1e-6).fit(gram + np.diag(0.5 / penalties), sign)
    expected = gram[:, theirs.support_] @ theirs.dual_coef_[0] + theirs.intercept_[0]
    assert f == pytest.approx(expected, abs=1e-3 * np.abs(expected).max())


def naive_generalisation(x, member, a, b, c):
    centred = x - x.mean(axis=0)
    centred /= np.sqrt(np.square(centred).sum(axis=1).mean())
    accuracy = []
    for out in product(a, b):
        train = np.isin(member, [*a, *b]) & ~np.isin(member, out)
        # A large constant feature: its weight, the intercept, is then hardly shrunk.
        machine = LinearSVC(C=c, dual=False, intercept_scaling=100.0, tol=1e-8).fit(centred[train], np.isin(member, b)[train])
        accuracy += [np.mean(machine.predict(centred[member == k]) == (k in b)) for k in out]
    return np.mean(accuracy)


@pytest.mark.parametrize("c", [0.5, 10.0])
def test_generalisation_is_that_of_a_linear_machine_on_patterns(c):
    x, member, code = cube(np.random.default_rng(1), noise=0.6)
    for variable in range(3):
        a, b = (tuple(np.flatnonzero(code[:, variable] == side).tolist()) for side in (0, 1))
        expected = naive_generalisation(x, member, a, b, c)
        # One of the 320 decisions may lie within what the solvers differ by.
        assert condition_generalisation(x, member, a, b, c=c) == pytest.approx(expected, abs=1.01 / 320)


def test_planted_axes_generalise_and_mixed_ones_do_not():
    x, member, code = cube(np.random.default_rng(2), noise=0.1)
    first = [tuple(np.flatnonzero(code[:, 0] == side).tolist()) for side in (0, 1)]
    odd = [tuple(np.flatnonzero(code.sum(axis=1) % 2 == side).tolist()) for side in (0, 1)]
    assert condition_generalisation(x, member, *first) == 1
    assert condition_generalisation(x, member, *odd) < 0.5
    few = condition_generalisation(x, member, *odd, held_out=3)
    assert few != condition_generalisation(x, member, *odd)


def test_the_best_dichotomy_is_taken_because_the_mean_over_all_is_a_half():
    x, member, _ = cube(np.random.default_rng(3), each=6, noise=0.3)
    classes = np.arange(8) % 4
    for labels in (classes[member], member % 6):
        sides = choose_dichotomies(len(np.unique(labels)), 100, 4, 0)
        every = [condition_generalisation(x, labels, a, b) for a, b in sides]
        assert np.mean(every) == pytest.approx(0.5)
        assert ccgp(x, labels, dichotomies=100, held_out=100) == max(every)
        named = np.array(list("abcdef"))[labels]
        assert ccgp(torch.as_tensor(x), named, dichotomies=100, held_out=100) == max(every)


def test_planted_classes_generalise_beyond_labels_by_chance():
    rng = np.random.default_rng(3)
    x, member, _ = cube(rng, each=6, noise=0.3)
    chance = [ccgp(x, rng.permutation(member), held_out=1) for _ in range(5)]
    assert ccgp(x, member, held_out=1) > max(chance)
    assert ccgp(x, member) > 0.95


def test_too_few_classes_and_sides_are_said():
    x, member, _ = cube(np.random.default_rng(4))
    for function in (parallelism, ccgp):
        with pytest.raises(DataError, match="found 3 classes in the labels, expected at least 4, two conditions on each side"):
            function(x, member % 3)
    with pytest.raises(DataError, match="found 2 and 3 conditions, expected as many on both sides, 2 to 5"):
        parallelism_score(x[:2], x[:3])
    with pytest.raises(DataError, match=r"found the side \[1, 9\], expected at least 2 of the labels \[0, 1, 2"):
        condition_generalisation(x, member, [1, 9], [2, 3])
    with pytest.raises(DataError, match="found patterns that do not vary, expected some that do"):
        ccgp(np.ones((8, 3)), np.arange(8))


def test_patterns_of_class_alone_are_aligned_and_noise_is_not():
    labels = np.repeat(list("abcd"), [5, 7, 9, 11])
    hot = (labels[:, None] == np.unique(labels)).astype(float)
    for estimator in ("debiased", "biased"):
        assert label_alignment(3 * hot - 2, labels, estimator=estimator) == pytest.approx(1)
    rng = np.random.default_rng(5)
    noise = [rng.normal(size=(32, 200)) for _ in range(100)]
    assert abs(np.mean([label_alignment(x, labels) for x in noise])) < 0.02
    assert np.mean([label_alignment(x, labels, estimator="biased") for x in noise]) > 0.2


def test_alignment_is_the_cosine_of_centred_kernels_and_of_quadruples():
    rng = np.random.default_rng(6)
    x, pixels = rng.normal(size=(7, 4)) + 3, rng.uniform(size=(7, 3, 2))
    flat = pixels.reshape(7, -1)
    h = np.eye(7) - 1 / 7
    k, q = (h @ z @ z.T @ h for z in (x, flat))
    expected = np.sum(k * q) / np.linalg.norm(k) / np.linalg.norm(q)
    assert input_alignment(x, pixels, estimator="biased") == pytest.approx(expected)
    quads = np.array(list(permutations(range(7), 4)))

    def product_of(u, v):
        inner = [np.sum((z[quads[:, 0]] - z[quads[:, 1]]) * (z[quads[:, 2]] - z[quads[:, 3]]), axis=1) for z in (u, v)]
        return np.mean(inner[0] * inner[1])

    debiased = product_of(x, flat) / np.sqrt(product_of(x, x) * product_of(flat, flat))
    assert input_alignment(torch.as_tensor(x), pixels) == pytest.approx(debiased)
    assert np.isnan(input_alignment(np.ones((7, 2)), pixels))


def test_what_cannot_be_aligned_is_said():
    x = np.ones((6, 2))
    with pytest.raises(DataError, match="found 6 classes of 6 stimuli, expected at least 2, and several of one"):
        label_alignment(x, range(6))
    with pytest.raises(DataError, match="found estimator 'plain', expected one of biased, debiased"):
        label_alignment(x, [0, 0, 0, 1, 1, 1], estimator="plain")
    with pytest.raises(DataError, match="found 6 patterns and 5 inputs, expected as many of both, at least 4"):
        input_alignment(x, x[:5])
