"""Decoders against scikit-learn fold by fold, their folds, and what is degenerate."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from isocortex.encoding.classifiers import CLASSIFIERS
from isocortex.encoding.classifiers.logistic import fit_softmax
from isocortex.encoding.classifiers.problem import Problem
from isocortex.encoding.decoding import NONE, balanced_accuracy, decode, decode_cv, kernel_of_features, kernel_of_gram
from isocortex.encoding.decomposition import basis_of_kernel
from isocortex.encoding.label_folds import labelled, make_folds, resampled_units
from isocortex.errors import DataError
from isocortex.study import options

Split = dict[str, list[Any]]


def world(
    n: int, p: int, k: int, signal: float, seed: int = 0, shares: list[float] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, p) and class numbers (n,), every class present."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % k) if shares is None else np.sort(rng.choice(k, n, p=shares))
    x = rng.normal(size=(n, p)) * rng.uniform(0.5, 5, p) + 3
    x[np.arange(n), y % p] += signal * x.std(0)[y % p]
    order = rng.permutation(n)
    return x[order], y[order]


def z_scored(x: np.ndarray, train: list[int]) -> np.ndarray:
    """Features by training mean and sd, then of mean squared length 1, as penalties are measured."""
    z = (x - x[train].mean(0)) / x[train].std(0)
    z = np.clip(z, -np.sqrt(len(train) - 1), np.sqrt(len(train) - 1))
    return z / np.sqrt((z[train] ** 2).sum(1).mean())


def naive_ridge(z: np.ndarray, y: np.ndarray, train: list[int], test: list[int], penalty: float) -> np.ndarray:
    targets = np.stack([np.where(y[train] == c, len(train) / (y[train] == c).sum(), 0) - 1 for c in np.unique(y)], axis=1)
    return Ridge(penalty).fit(z[train], targets).predict(z[test]).argmax(1)


def naive_logistic(z: np.ndarray, y: np.ndarray, train: list[int], test: list[int], penalty: float) -> np.ndarray:
    strength = (2 if len(np.unique(y)) == 2 else 1) / penalty
    model = LogisticRegression(C=strength, class_weight="balanced", tol=1e-10, max_iter=100_000)
    return model.fit(z[train], y[train]).predict(z[test])


def naive_lda(z: np.ndarray, y: np.ndarray, train: list[int], test: list[int], _: float) -> np.ndarray:
    """scikit-learn's classifier, told the covariance that its Ledoit–Wolf finds for rows less their class means."""
    within = z[train].copy()
    for c in np.unique(y):
        within[y[train] == c] -= within[y[train] == c].mean(0)
    covariance, _ = ledoit_wolf(within, assume_centered=True)
    told = SimpleNamespace(fit=lambda _: None, covariance_=covariance, get_params=lambda deep=False: {})
    model = LinearDiscriminantAnalysis(
        "lsqr", covariance_estimator=told, priors=np.full(len(np.unique(y)), 1 / len(np.unique(y)))
    )
    return np.asarray(model.fit(z[train], y[train]).predict(z[test]))


NAIVE = {"ridge": naive_ridge, "logistic": naive_logistic, "lda": naive_lda}


def naive_decode(
    name: str, x: np.ndarray, y: np.ndarray, outer: list[Split], grid: list[float]
) -> tuple[np.ndarray, list[float]]:
    """Nested loops: the penalty by the balanced accuracy of all inner predictions, the larger one of equals."""
    predicted, penalties = np.full(len(y), NONE), []
    for split in outer:
        train, z = split["train"], z_scored(x, split["train"])
        best, score = grid[0], -1.0
        for penalty in grid if len(grid) > 1 else []:
            oof = np.full(len(y), NONE)
            for part in split["inner"]:
                oof[part] = NAIVE[name](z, y, [row for row in train if row not in part], part, penalty)
            found = balanced_accuracy_score(y[train], oof[train])
            best, score = (penalty, found) if found >= score - 1e-12 else (best, score)
        predicted[split["test"]] = NAIVE[name](z, y, train, split["test"], best)
        penalties.append(best)
    return predicted, penalties


def numbered(y: np.ndarray, keys: list[str] | None = None) -> Any:
    return labelled([f"s{row:03d}" for row in range(len(y))], y, keys)


def test_the_table_has_the_names_that_a_study_may_use() -> None:
    assert set(CLASSIFIERS) == set(options.CLASSIFIERS)


@pytest.mark.parametrize("name", ["ridge", "logistic", "lda"])
@pytest.mark.parametrize(
    ("n", "p", "k", "shares"), [(60, 8, 2, None), (45, 200, 3, None), (80, 12, 3, [0.6, 0.25, 0.15]), (40, 90, 2, [0.7, 0.3])]
)
def test_every_classifier_is_that_of_scikit_learn(name: str, n: int, p: int, k: int, shares: list[float] | None) -> None:
    x, y = world(n, p, k, 1.5, seed=n, shares=shares)
    data = numbered(y)
    outer = make_folds("stimulus", data, 4, seed=1)
    grid = [] if name == "lda" else [0.03, 0.3, 3.0, 30.0]
    expected, penalties = naive_decode(name, x, y, outer, grid or [0.0])
    found = decode([kernel_of_features(x)], y[None], k, outer, name, grid or None)
    np.testing.assert_array_equal(found.predicted[0, 0], expected)
    assert np.isnan(found.penalty).all() if name == "lda" else found.penalty[0, :, 0].tolist() == penalties


@pytest.mark.parametrize(("k", "p"), [(2, 10), (2, 200), (4, 60)])
@pytest.mark.parametrize("penalty", [0.01, 0.1, 1.0, 100.0])
def test_logistic_margins(k: int, p: int, penalty: float) -> None:
    x, y = world(70, p, k, 1.0, seed=3, shares=None if k == 2 else [0.4, 0.3, 0.2, 0.1])
    train, test = np.arange(50), np.arange(50, 70)
    z = z_scored(x, train.tolist())
    problem = Problem(
        basis_of_kernel(torch.as_tensor(z @ z.T), torch.as_tensor(train), torch.as_tensor(test)),
        torch.as_tensor(y[None, :50]),
        k,
        p,
    )
    fit = fit_softmax(problem, torch.tensor([penalty], dtype=torch.float64))
    margins = (problem.other @ fit.slopes[:, 0] + fit.intercepts[0]).numpy()
    model = LogisticRegression(C=(2 if k == 2 else 1) / penalty, class_weight="balanced", tol=1e-12, max_iter=100_000)
    expected = model.fit(z[train], y[train]).decision_function(z[test])
    found = margins[:, 1] - margins[:, 0] if k == 2 else margins - margins.mean(1, keepdims=True)
    expected = expected if k == 2 else expected - expected.mean(1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=2e-3 * np.abs(expected).max())


def test_where_classes_are_of_one_size_ridge_is_the_classifier_with_targets_of_one() -> None:
    x, y = world(48, 100, 3, 1.0)
    data = numbered(y)
    outer = make_folds("stimulus", data, 4)
    assert all((np.bincount(y[split["train"]]) == 12).all() for split in outer)
    found = decode([kernel_of_features(x)], y[None], 3, outer, "ridge", [0.7])
    for split in outer:
        z = z_scored(x, split["train"])
        expected = RidgeClassifier(alpha=0.7).fit(z[split["train"]], y[split["train"]]).predict(z[split["test"]])
        np.testing.assert_array_equal(found.predicted[0, 0, split["test"]], expected)


@pytest.mark.parametrize("name", list(CLASSIFIERS))
def test_many_labellings_are_each_what_they_are_alone(name: str) -> None:
    x, y = world(40, 15, 3, 1.0)
    outer = make_folds("stimulus", numbered(y), 4)
    rng = np.random.default_rng(0)
    labels = np.stack([y, *(rng.permutation(y) for _ in range(4)), np.roll(y, 3)])
    kernels = [kernel_of_features(x), kernel_of_features(rng.normal(size=(40, 9)))]
    together = decode(kernels, labels, 3, outer, name)
    for number, one in enumerate(labels):
        alone = decode(kernels, one[None], 3, outer, name)
        np.testing.assert_array_equal(together.predicted[:, number], alone.predicted[:, 0])
        np.testing.assert_array_equal(together.inner[:, :, number], alone.inner[:, :, 0])
        np.testing.assert_array_equal(together.chosen[:, number], alone.chosen[:, 0])


def test_the_layer_is_chosen_without_the_test_stimuli() -> None:
    """Labels of test stimuli may be anything: neither the choice nor a prediction moves."""
    x, y = world(50, 6, 2, 3.0)
    rng = np.random.default_rng(1)
    kernels = [kernel_of_features(rng.normal(size=(50, 6))), kernel_of_features(x)]
    outer = make_folds("stimulus", numbered(y), 5)
    found = decode(kernels, y[None], 2, outer, "lda")
    assert (found.chosen == 1).all()
    for fold, split in enumerate(outer):
        other = y.copy()
        other[split["test"]] = 1 - other[split["test"]]
        again = decode(kernels, other[None], 2, [split], "lda")
        assert again.chosen[0, 0] == found.chosen[fold, 0]
        np.testing.assert_array_equal(again.inner[:, 0], found.inner[:, fold])
        np.testing.assert_array_equal(again.predicted[:, 0, split["test"]], found.predicted[:, 0, split["test"]])
        assert (found.out_of_fold[:, fold, split["test"]] == NONE).all()


def test_a_gram_of_raw_features_is_that_of_features_without_scaling() -> None:
    x, y = world(40, 60, 2, 1.0)
    outer = make_folds("stimulus", numbered(y), 4)
    known = decode([kernel_of_gram(x @ x.T, 60)], y[None], 2, outer, "lda")
    for split in outer:
        expected = naive_lda(x - x[split["train"]].mean(0), y, split["train"], split["test"], 0.0)
        np.testing.assert_array_equal(known.predicted[0, 0, split["test"]], expected)


def test_tensors_and_arrays_give_the_same() -> None:
    x, y = world(40, 12, 2, 1.0)
    names = np.array(["house", "face"])[y]
    array, tensor = (decode_cv(part, names, "ridge") for part in (x, torch.as_tensor(x)))
    single = decode_cv(torch.as_tensor(x, dtype=torch.float32), names, "ridge")
    assert array.score == tensor.score
    # One stimulus of forty may fall on the other side of a margin that float32 has rounded.
    assert single.score == pytest.approx(array.score, abs=1 / 20)
    assert array.classes == ["face", "house"]
    assert set(array.predicted) <= {"face", "house"}
    np.testing.assert_array_equal(array.confusion, confusion_matrix(names, array.predicted, labels=array.classes))
    assert array.score == pytest.approx(balanced_accuracy_score(names, array.predicted))


@pytest.mark.parametrize("name", list(CLASSIFIERS))
@pytest.mark.parametrize("p", [5, 300])
def test_separable_labels_are_found_and_noise_is_not(name: str, p: int) -> None:
    _, y = world(60, p, 3, 0.0)
    rng = np.random.default_rng(5)
    x = rng.normal(size=(60, p)) + 4 * rng.normal(size=(3, p))[y]
    names = np.array(["a", "b", "c"])[y]
    assert decode_cv(x, names, name).score > 0.95
    scores = [decode_cv(np.random.default_rng(seed).normal(size=(60, p)), names, name).score for seed in range(8)]
    assert abs(np.mean(scores) - 1 / 3) < 4 * np.sqrt(2 / 9 / 60 / 8)


def test_balanced_accuracy() -> None:
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(4, size=(7, 50)), rng.integers(4, size=(7, 50))
    expected = [balanced_accuracy_score(t, p) for t, p in zip(truth, predicted, strict=True)]
    np.testing.assert_allclose(balanced_accuracy(truth, predicted, 4), expected)
    weights = rng.integers(3, size=(6, 50))
    drawn = [balanced_accuracy_score(np.repeat(truth[0], w), np.repeat(predicted[0], w)) for w in weights]
    np.testing.assert_allclose(balanced_accuracy(truth[0], predicted[0], 4, weights), drawn)


def test_a_class_without_stimuli_is_left_out() -> None:
    truth, predicted = np.array([0, 0, 2, 2]), np.array([0, 1, 2, 2])
    assert balanced_accuracy(truth, predicted, 3) == pytest.approx(0.75)
    weights = np.array([[1, 0, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_array_equal(balanced_accuracy(truth, predicted, 3, weights), [1.0, np.nan])


@pytest.mark.parametrize("name", list(CLASSIFIERS))
def test_a_class_that_a_labelling_lacks_is_never_said(name: str) -> None:
    """A shifted labelling may leave a training set without a class."""
    x, y = world(40, 10, 2, 1.0)
    outer = make_folds("stimulus", numbered(y), 4)
    found = decode([kernel_of_features(x)], np.stack([y, np.where(y == 1, 2, 0)]), 3, outer, name)
    assert set(found.predicted[0, 0]) <= {0, 1}
    assert set(found.predicted[0, 1]) <= {0, 2}
    np.testing.assert_array_equal(found.predicted[0, 1] == 2, found.predicted[0, 0] == 1)


@pytest.mark.parametrize("name", list(CLASSIFIERS))
def test_constant_and_missing_neuroids_change_nothing(name: str) -> None:
    x, y = world(40, 10, 2, 1.0)
    missing = np.full((40, 2), 7.0)
    missing[3, 1] = np.nan
    first, second = (decode_cv(part, y, name) for part in (x, np.concatenate([x, missing], axis=1)))
    np.testing.assert_array_equal(first.predicted, second.predicted)
    assert np.isfinite(decode_cv(x[:, :1], y, name).score)  # one neuroid


@pytest.mark.parametrize("name", list(CLASSIFIERS))
def test_without_variance_there_is_no_score(name: str) -> None:
    y = np.arange(40) % 2
    found = decode_cv(np.ones((40, 3)), y, name)
    assert np.isnan(found.score)
    assert set(found.predicted) == {""}
    assert found.confusion.sum() == 0
    layers = [kernel_of_gram(np.ones((40, 40)), 5), kernel_of_features(world(40, 5, 2, 3.0)[0])]
    outer = make_folds("stimulus", numbered(y), 4)
    assert (decode(layers, y[None], 2, outer, name).chosen == 1).all()  # a layer without variance is never chosen


@pytest.mark.parametrize("name", list(CLASSIFIERS))
def test_classes_without_any_spread(name: str) -> None:
    y = np.arange(24) % 3
    assert decode_cv(np.eye(3)[y], y, name).score == 1.0


def test_stimulus_folds_spread_the_classes_and_do_not_depend_on_the_order() -> None:
    y = np.array([0] * 30 + [1] * 11)
    data = numbered(y)
    outer = make_folds("stimulus", data, 5, seed=2)
    tested = np.concatenate([split["test"] for split in outer])
    assert sorted(tested) == list(range(41))
    assert {len(split["test"]) for split in outer} <= {8, 9}
    for split in outer:
        assert np.bincount(y[split["test"]])[0] == 6
        assert sorted(np.concatenate(split["inner"])) == split["train"]
        assert not set(split["test"]) & set(split["train"])
    order = np.random.default_rng(0).permutation(41)
    again = make_folds("stimulus", labelled([data.ids[row] for row in order], y[order]), 5, seed=2)
    assert {frozenset(data.ids[row] for row in split["test"]) for split in outer} == {
        frozenset(data.ids[order[row]] for row in split["test"]) for split in again
    }
    assert make_folds("stimulus", data, 5, seed=3) != outer


def test_groups_and_copies_of_a_picture_are_never_divided() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(9, size=70)
    y = rng.integers(2, size=70)
    keys = [f"g{group}" if group else "" for group in groups]
    data = numbered(y, keys)
    assert len(data.unit_names) == 8 + (groups == 0).sum()  # an empty key stands alone
    for split in make_folds("grouped", data, 4):
        assert not set(data.units[split["train"]]) & set(data.units[split["test"]])
        for part in split["inner"]:
            rest = sorted(set(split["train"]) - set(part))
            assert not set(data.units[rest]) & set(data.units[part])


def test_two_groups_choose_penalties_within_the_one_that_is_left() -> None:
    x, y = world(40, 6, 2, 2.0)
    found = make_folds("grouped", numbered(y, ["one"] * 20 + ["two"] * 20), 5)
    assert [split["test"] for split in found] == [list(range(20)), list(range(20, 40))] or len(found) == 2
    assert all(len(split["inner"]) == 5 for split in found)
    assert np.isfinite(decode_cv(x, y, "ridge", kind="grouped", groups=["one"] * 20 + ["two"] * 20).score)


def test_blocks_are_contiguous_and_stop_at_the_borders_of_runs() -> None:
    y = np.arange(50) % 2
    one = make_folds("blocked", numbered(y, ["time"] * 50), 5)
    assert [split["test"] for split in one] == [list(range(start, start + 10)) for start in range(0, 50, 10)]
    runs = ["a"] * 7 + ["b"] * 13 + ["c"] * 20 + ["d"] * 10
    found = make_folds("blocked", numbered(y, runs), 5)
    assert [{runs[row] for row in split["test"]} for split in found] == [{"a"}, {"b"}, {"c"}, {"d"}]
    fewer = make_folds("blocked", numbered(y, runs), 2)
    assert [{runs[row] for row in split["test"]} for split in fewer] == [{"a", "b"}, {"c", "d"}]
    for split in found:
        assert all((np.diff(np.searchsorted(split["train"], part)) == 1).all() for part in split["inner"])


def test_a_bootstrap_draws_what_belongs_together() -> None:
    y = np.arange(100) % 2
    assert len(resampled_units("stimulus", numbered(y))[1]) == 100
    units, names, _ = resampled_units("blocked", numbered(y, ["a"] * 40 + ["b"] * 60))
    assert np.bincount(units).tolist() == [10] * 10
    assert len(set(names)) == 10
    units, names, kind = resampled_units("grouped", numbered(y, [f"g{row // 4}" for row in range(100)]))
    assert (len(names), kind) == (25, "groups of stimuli")
    np.testing.assert_array_equal(units, np.arange(100) // 4)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda x: decode_cv(x[:2], ["a", "b"], "ridge"),
            r"found 0 training stimuli of class 'b' with fold 1 of 2 \(stimulus\)",
        ),
        (lambda x: decode_cv(x, ["a"] * 40), "found 1 class among 40 stimuli with a label, expected at least 2"),
        (
            lambda x: decode_cv(x, ["a"] * 38 + ["b"] * 2),
            r"found 1 training stimuli of class 'b' with fold \d of 5 \(stimulus\) held out, expected at least 2; join classes",
        ),
        (lambda x: decode_cv(x, ["a"] * 20 + ["b"] * 20, kind="blocked", folds=2), "found 0 training stimuli of class 'a'"),
        (
            lambda x: decode_cv(x, ["a", "b"] * 20, kind="grouped", groups=["g"] * 40),
            r"found 1 fold \(grouped\), expected at least 2",
        ),
        (lambda x: decode_cv(x, ["a", "b"] * 20, "svm"), "classifier, found 'svm', expected one of"),
        (lambda x: decode_cv(x, ["a", "b"] * 20, kind="shuffled"), "folds, found 'shuffled', expected one of"),
        (lambda x: decode_cv(x, ["a", "b"] * 20, "ridge", penalties=[0.0]), "expected positive numbers"),
        (lambda x: decode_cv(x, ["a", "b"] * 20, "lda", penalties=[1.0]), "which sets its own shrinkage"),
        (lambda x: decode_cv(x, ["a", "b"]), r"found x \(40, 4\) and 2 labels, expected \(stimuli, features\)"),
    ],
)
def test_refusals_say_what_to_do(call: Any, text: str) -> None:
    with pytest.raises(DataError, match=text) as caught:
        call(np.random.default_rng(0).normal(size=(40, 4)))
    assert "\n" not in str(caught.value)
