"""Splits: whole, disjoint, balanced, of ids alone, and refused where they cannot test anything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocortex.encoding.splits import make_splits
from isocortex.errors import DataError


def ids(n):
    return [f"s{index:03d}" for index in range(n)]


def check_whole(split, n):
    for outer in split["outer"]:
        assert sorted(outer["train"] + outer["test"]) == list(range(n))
        assert sorted(index for part in outer["inner"] for index in part) == outer["train"]
        assert outer["train"] == sorted(outer["train"])


def by_name(split):
    names = split["stimulus_ids"]
    return [
        ({names[i] for i in outer["test"]}, [{names[i] for i in part} for part in outer["inner"]]) for outer in split["outer"]
    ]


@settings(max_examples=25, deadline=None)
@given(st.integers(20, 60), st.integers(2, 4), st.sampled_from([0.0, 0.2, 0.3]), st.integers(0, 5))
def test_every_stimulus_has_its_place(n, folds, test, seed):
    split = make_splits(ids(n), test=test, folds=folds, seed=seed)
    check_whole(split, n)
    sizes = [len(outer["test"]) for outer in split["outer"]]
    assert len(sizes) == (1 if test else folds)
    assert sizes[0] == round(test * n) if test else max(sizes) - min(sizes) <= 1
    for outer in split["outer"]:
        inner = [len(part) for part in outer["inner"]]
        assert max(inner) - min(inner) <= 1


def test_order_of_rows_changes_nothing():
    names = ids(30)
    order = np.random.default_rng(0).permutation(30)
    groups = np.array([f"g{index // 3}" for index in range(30)])
    for test in (0.0, 0.2):
        first = make_splits(names, test=test, folds=3, groups=groups.tolist())
        second = make_splits([names[i] for i in order], test=test, folds=3, groups=groups[order].tolist())
        assert by_name(first) == by_name(second)


def test_seed_and_stimuli_make_the_digest():
    first = make_splits(ids(30), seed=0)
    assert first == make_splits(ids(30), seed=0)
    assert first["digest"] != make_splits(ids(30), seed=1)["digest"]
    assert first["digest"] != make_splits(ids(31), seed=0)["digest"]


@pytest.mark.parametrize("test", [0.0, 0.25])
def test_groups_and_equal_pictures_never_straddle(test):
    groups = [f"g{index // 4}" if index < 32 else "" for index in range(40)]
    digests = ["" for _ in range(40)]
    digests[0] = digests[39] = "same picture"
    split = make_splits(ids(40), test=test, folds=3, groups=groups, digests=digests)
    check_whole(split, 40)
    assert split["n_groups_shared"] == 8
    assert split["groups"][0] == split["groups"][39]
    for outer in split["outer"]:
        for part in [outer["test"], *outer["inner"], *split["halves"]["first"]]:
            units = {split["groups"][index] for index in part}
            assert sum(unit in units for unit in split["groups"]) == len(part)


def test_halves_are_halves():
    split = make_splits(ids(31))
    assert len(split["halves"]["first"]) == 20
    assert {len(half) for half in split["halves"]["first"]} <= {15, 16}
    assert len({tuple(half) for half in split["halves"]["first"]}) > 15


@pytest.mark.parametrize(
    ("n", "options", "message"),
    [
        (30, {"folds": 1}, "folds, found 1, expected at least 2"),
        (1, {}, "found 1 stimulus with responses, expected at least 10"),
        (8, {}, r"found 6 training stimuli of 8, expected at least 10 \(2 × folds\)"),
        (9, {"test": 0.0}, "found 7 training stimuli of 9, expected at least 10"),
        (30, {"test": 1.2}, "test, found 1.2, expected a share"),
        (30, {"groups": ["a"] * 10 + ["b"] * 20, "test": 0.0}, "found 2 groups of stimuli, expected at least 5, one per fold"),
        (30, {"groups": ["a"]}, "groups, found 1 labels, expected 30"),
    ],
)
def test_refusals(n, options, message):
    with pytest.raises(DataError, match=message) as caught:
        make_splits(ids(n), **options)
    assert "\n" not in str(caught.value)


def test_an_id_twice_is_refused():
    with pytest.raises(DataError, match="'s001' occurs more than once"):
        make_splits([*ids(20), "s001"])
