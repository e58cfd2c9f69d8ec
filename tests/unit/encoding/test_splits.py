"""Splits: whole, disjoint, balanced, of ids alone, and refused where they cannot test anything."""

from __future__ import annotations

import hashlib
import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocortex.encoding.splits import joined, make_splits
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


def runs_of(*lengths):
    return [f"run{number}" for number, length in enumerate(lengths) for _ in range(length)]


def test_runs_change_nothing_where_stimuli_are_split():
    plain = make_splits(ids(30), groups=[f"g{i // 2}" for i in range(30)])
    timed = make_splits(ids(30), groups=[f"g{i // 2}" for i in range(30)], kind="stimulus", runs=runs_of(15, 15))
    assert (plain["runs"], timed["runs"]) == (None, runs_of(15, 15))
    assert {**timed, "runs": None} == plain
    text = json.dumps({"stimulus_ids": plain["stimulus_ids"], "outer": plain["outer"]}, sort_keys=True, separators=(",", ":"))
    assert plain["digest"] == hashlib.sha256(text.encode()).hexdigest()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(4, 7), min_size=5, max_size=9), st.sampled_from([0.0, 0.25]), st.integers(2, 4), st.integers(0, 3))
def test_runs_are_never_divided(lengths, test, folds, seed):
    runs = runs_of(*lengths)
    split = make_splits(ids(len(runs)), test=test, folds=folds, seed=seed, kind="run", runs=runs)
    check_whole(split, len(runs))
    assert len(split["outer"]) == (1 if test else folds)
    for outer in split["outer"]:
        assert 2 <= len(outer["inner"]) <= folds
        for part in [outer["test"], *outer["inner"], *split["halves"]["first"]]:
            inside = {runs[index] for index in part}
            assert [index for index in range(len(runs)) if runs[index] in inside] == part


def test_one_run_out_of_each():
    split = make_splits(ids(40), test=0.0, folds=4, kind="run", runs=runs_of(10, 10, 10, 10), digests=["blank"] * 40)
    assert sorted(len(outer["test"]) for outer in split["outer"]) == [10, 10, 10, 10]
    assert [len(outer["inner"]) for outer in split["outer"]] == [3, 3, 3, 3]
    assert split["n_groups_shared"] == 4


def test_groups_join_runs():
    groups = [""] * 9 + ["g", "g"] + [""] * 29
    split = make_splits(ids(40), test=0.25, folds=2, kind="run", runs=runs_of(10, 10, 10, 10), groups=groups)
    assert len(set(split["groups"])) == 3
    for outer in split["outer"]:
        for part in [outer["test"], *outer["inner"]]:
            assert len(set(part) & {0, 10}) in (0, 2)


@settings(max_examples=25, deadline=None)
@given(st.integers(60, 90), st.integers(0, 4), st.sampled_from([0.0, 0.2]), st.integers(2, 3), st.integers(0, 4))
def test_blocks_are_contiguous_and_apart(n, gap, test, folds, seed):
    runs = runs_of(n // 2, n - n // 2)
    split = make_splits(ids(n), test=test, folds=folds, seed=seed, kind="blocked", runs=runs, gap=gap)

    def apart(first, second):
        return all(runs[a] != runs[b] or abs(a - b) > gap for a in first for b in second)

    if not test:
        assert sorted(index for outer in split["outer"] for index in outer["test"]) == list(range(n))
    for outer in split["outer"]:
        assert outer["test"] == list(range(outer["test"][0], outer["test"][-1] + 1))
        assert len(outer["test"]) == round(0.2 * n) or not test
        assert apart(outer["train"], outer["test"])
        assert sorted(index for part in outer["inner"] for index in part) == outer["train"] == sorted(outer["train"])
        for number, part in enumerate(outer["inner"]):
            assert all(apart(part, other) for other in outer["inner"][:number])
            # Contiguous but for the hole where the test block was.
            holes = [pair for pair in itertools.pairwise(part) if pair[1] != pair[0] + 1]
            assert all(set(range(a + 1, b)) & set(outer["test"]) for a, b in holes)
        # No more is left out than the gaps need: two sides of the test block, one seam per pair of inner folds.
        assert n - len(outer["test"]) - len(outer["train"]) <= gap * (2 + folds - 1)
    for first, second in zip(split["halves"]["first"], split["halves"]["second"], strict=True):
        assert apart(first, second)
        assert second
        if not gap:
            assert sorted(first + second) == list(range(n))


def test_blocks_move_with_the_seed():
    starts = {make_splits(ids(60), kind="blocked", seed=seed)["outer"][0]["test"][0] for seed in range(12)}
    assert len(starts) > 6
    split = make_splits(ids(60), kind="blocked", seed=3)
    assert split == make_splits(ids(60), kind="blocked", seed=3)
    assert split["digest"] != make_splits(ids(60), kind="blocked", seed=3, gap=2)["digest"]
    assert len({tuple(half) for half in split["halves"]["first"]}) > 10


@pytest.mark.parametrize(
    ("n", "options", "message"),
    [
        (30, {"kind": "runs"}, "kind, found 'runs', expected one of stimulus, blocked, run"),
        (30, {"kind": "run"}, "kind run, found no runs, expected a run for every stimulus"),
        (30, {"kind": "run", "runs": ["a"] * 29}, "runs, found 29 labels, expected 30, one per stimulus"),
        (30, {"kind": "run", "runs": ["a"] * 29 + [""]}, "kind run, found no run for stimulus 's029', expected one for every"),
        (30, {"kind": "run", "runs": ["a"] * 15 + ["b"] * 15}, "found 2 runs .* expected at least 3, one to test"),
        (
            30,
            {"kind": "run", "runs": runs_of(10, 10, 10), "test": 0.0},
            "found 3 runs, expected at least 5, one per fold; lower `splits: folds` or use kind: blocked",
        ),
        (
            30,
            {"kind": "run", "runs": runs_of(10, 10, 10), "test": 0.7},
            "found 1 training runs beside 2 tested, expected at least 2",
        ),
        (30, {"kind": "run", "runs": runs_of(10, 10, 10), "gap": 2}, "gap, found 2 with kind run, expected 0"),
        (30, {"gap": 1}, "gap, found 1 with kind stimulus, expected 0, or from 0 with kind blocked"),
        (30, {"kind": "blocked", "gap": -1}, "gap, found -1 with kind blocked"),
        (30, {"kind": "blocked", "groups": ["a"] * 30}, "groups, found with kind blocked, which would divide them"),
        (30, {"kind": "blocked", "gap": 8}, "training stimuli of 30 beside blocks of 6 and gaps of 8, expected at least 10"),
        (12, {"kind": "blocked", "test": 0.4}, "found 7 training stimuli of 12 beside blocks of 5 and gaps of 0"),
    ],
)
def test_refusals_in_time(n, options, message):
    with pytest.raises(DataError, match=message) as caught:
        make_splits(ids(n), **options)
    assert "\n" not in str(caught.value)


def test_near_duplicates_share_a_fold_and_are_counted() -> None:
    ids = [f"s{k:02d}" for k in range(40)]
    near = [""] * 40
    near[3] = near[21] = near[30] = "s03"
    near[5] = "s99"  # whose first is not among these stimuli: alone
    split = make_splits(ids, near=near)
    assert split["n_near"] == 3
    assert split["n_groups_shared"] == 1
    assert split["groups"][3] == split["groups"][21] == split["groups"][30]
    apart = make_splits(ids)
    assert apart["n_near"] == 0
    assert len(set(apart["groups"])) == 40
    for seed in range(8):
        outer = make_splits(ids, test=0, near=near, seed=seed)["outer"]
        assert sum({3, 21, 30} <= set(fold["test"]) for fold in outer) == 1
        assert sum(bool({3, 21, 30} & set(fold["test"])) for fold in outer) == 1


def test_labels_of_several_columns_join_in_chains() -> None:
    objects, videos = ["dog", "dog", "cat", "cat", "", "owl"], ["1", "2", "2", "", "", "3"]
    labels = joined(list("abcdef"), {"object": objects, "video": videos})
    assert labels[0] == labels[1] == labels[2] == labels[3]
    assert len(set(labels)) == 3
