"""Judgements of people as dissimilarities, counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from pydantic import ValidationError

from isocortex.errors import DataError
from isocortex.recordings.adapters import judgements, triplets
from isocortex.recordings.behaviour.judgements import judgement_rdm
from isocortex.recordings.behaviour.pairs import fill_unseen, split_half
from isocortex.recordings.behaviour.triplets import triplet_rdm
from isocortex.study.adapters import ADAPTERS

IDS = ["cat", "dog", "car", "bus"]
# cat, dog | car twice, cat, car | dog once; car, bus | cat; dog, bus | car.
TRIPLETS = [["cat", "dog", "car"], ["dog", "cat", "car"], ["cat", "car", "dog"], ["car", "bus", "cat"], ["dog", "bus", "car"]]
# cat-dog 2 of 3, cat-car 1 of 4, cat-bus 0 of 1, dog-car 0 of 4, dog-bus 1 of 1, car-bus 1 of 2.
TRUTH = np.array([[0, 1 / 3, 3 / 4, 1], [1 / 3, 0, 1, 0], [3 / 4, 1, 0, 1 / 2], [1, 0, 1 / 2, 0]])
LOADERS = {"triplets": triplets.load, "judgements": judgements.load}


def recording(root: Path, adapter: str, ids: list[str] = IDS, **entry) -> xr.Dataset:
    options = ADAPTERS[adapter](adapter=adapter, stimuli="all", **entry).model_dump()
    return LOADERS[adapter](options, root, pd.DataFrame({"stimulus_id": ids}))


def table(root: Path, rows: list, columns: list[str]) -> str:
    pd.DataFrame(rows, columns=columns).to_csv(root / "t.csv", index=False)
    return "t.csv"


def test_triplets_from_a_table(tmp_path):
    found = recording(tmp_path, "triplets", path=table(tmp_path, TRIPLETS, ["a", "b", "odd"]))
    np.testing.assert_allclose(found["rdm"][0], TRUTH)
    assert found["region"].values.tolist() == ["behaviour"]
    assert found["note"].values[0].startswith("made from odd-one-out triplets")
    assert found["stimulus_id"].values.tolist() == IDS


def test_the_odd_one_in_a_column_of_its_own_and_one_subject_of_many(tmp_path):
    rows = [[*np.roll(row, turn), row[2], "S1"] for turn, row in enumerate(TRIPLETS)]
    rows.append(["cat", "dog", "bus", "cat", "S2"])
    path = table(tmp_path, rows, ["left", "middle", "right", "choice", "who"])
    entry = {"path": path, "columns": ["left", "middle", "right"], "odd": "choice", "region": "IT"}
    found = recording(tmp_path, "triplets", **entry, where={"who": ["S1"]})
    np.testing.assert_allclose(found["rdm"][0], TRUTH)
    assert found["region"].values.tolist() == ["IT"]
    pooled = recording(tmp_path, "triplets", **entry)
    assert pooled["rdm"][0, 0, 1].item() == pytest.approx(2 / 4)
    assert pooled["rdm"][0, 1, 3].item() == 0
    assert pooled["rdm"][0, 0, 3].item() == 1


@pytest.mark.parametrize("start", [0, 1])
def test_triplets_as_numbers(start, tmp_path):
    numbers = np.array([[IDS.index(name) + start for name in row] for row in TRIPLETS])
    np.save(tmp_path / "t.npy", numbers)
    found = recording(tmp_path, "triplets", path="t.npy", numbered_from=start)
    np.testing.assert_allclose(found["rdm"][0], TRUTH)


def test_pairs_that_nobody_saw_are_refused_or_filled(tmp_path):
    path = table(tmp_path, TRIPLETS[:3], ["a", "b", "odd"])
    message = r"triplets in t.csv: 3 of 6 pairs were never judged; take fewer stimuli, or say unseen: mean"
    with pytest.raises(DataError, match=message):
        recording(tmp_path, "triplets", path=path)
    whole = recording(tmp_path, "triplets", path=path, unseen="mean")
    assert str(whole["note"].item()).endswith("; 3 of 6 pairs were never judged and have the mean of the others")
    found = whole["rdm"][0].to_numpy()
    seen = [1 / 3, 2 / 3, 1]
    assert [found[0, 1], found[0, 2], found[1, 2]] == pytest.approx(seen)
    np.testing.assert_allclose(found[3, :3], np.mean(seen))
    assert np.diagonal(found).tolist() == [0] * 4
    with pytest.raises(DataError, match="here: found no judged pair of 2 stimuli"):
        fill_unseen(np.full((2, 2), np.nan), "mean", "here")


@pytest.mark.parametrize(
    ("rows", "entry", "message"),
    [
        ([["cat", "cat", "dog"]], {}, r"1 triplets hold a stimulus twice \(first: row 1\)"),
        ([["cat", "dog", "cow"]], {}, r"1 stimuli are not in the set \(first 'cow'\), expected its ids"),
        ([["0", "1", "4"]], {"numbered_from": 0}, r"\(first '4'\), expected numbers 0 to 3"),
        ([["0", "1", "2"]], {"numbered_from": 1}, r"\(first '0'\), expected numbers 1 to 4"),
        (TRIPLETS, {"where": {"a": ["nobody"]}}, "found no rows, expected some; correct 'where'"),
        (TRIPLETS, {"columns": ["a", "b", "c"]}, "no column 'c', found a, b, odd"),
    ],
)
def test_triplets_that_are_refused(rows, entry, message, tmp_path):
    with pytest.raises(DataError, match=message) as caught:
        recording(tmp_path, "triplets", path=table(tmp_path, rows, ["a", "b", "odd"]), **entry)
    assert "\n" not in str(caught.value)


def test_an_odd_one_that_was_not_shown_and_an_array_that_is_not_of_triplets(tmp_path):
    path = table(tmp_path, [["cat", "dog", "car", "bus"]], ["a", "b", "c", "choice"])
    with pytest.raises(DataError, match="row 1 has 'bus' as the odd one of cat, dog, car, expected one of the three"):
        recording(tmp_path, "triplets", path=path, columns=["a", "b", "c"], odd="choice")
    np.save(tmp_path / "t.npy", np.zeros((4, 2)))
    with pytest.raises(DataError, match=r"found shape \(4, 2\), expected \(trials, 3\), the odd one last"):
        recording(tmp_path, "triplets", path="t.npy", numbered_from=0)


RATINGS = [
    ["cat", "dog", 7, "J1"], ["dog", "cat", 5, "J1"], ["dog", "cat", 3, "J2"], ["cat", "car", 1, "J1"], ["car", "dog", 4, "J2"],
]  # fmt: skip


def test_ratings_of_similarity(tmp_path):
    path = table(tmp_path, RATINGS, ["i", "j", "value", "judge"])
    entry = {"path": path, "direction": "similarity", "range": [1, 7], "ids": IDS[:3]}
    found = recording(tmp_path, "judgements", **entry, judge="judge")
    # cat and dog: J1 says 6 of 1 to 7, which is 1 / 6; J2 says 3, which is 4 / 6; each counts once.
    np.testing.assert_allclose(found["rdm"][0], [[0, 5 / 12, 1], [5 / 12, 0, 0.5], [1, 0.5, 0]])
    assert found["note"].values.tolist() == ["made from ratings of similarity, mean of 2 judges"]
    alone = recording(tmp_path, "judgements", **entry)
    np.testing.assert_allclose(alone["rdm"][0, 0, 1], (0 + 2 / 6 + 4 / 6) / 3)
    one = recording(tmp_path, "judgements", **entry, judge="judge", where={"judge": ["J1"]}, unseen="mean")
    np.testing.assert_allclose(one["rdm"][0], [[0, 1 / 6, 1], [1 / 6, 0, 7 / 12], [1, 7 / 12, 0]])


def test_ratings_of_distance(tmp_path):
    path = table(tmp_path, RATINGS, ["i", "j", "value", "judge"])
    found = recording(tmp_path, "judgements", ids=IDS[:3], path=path, direction="distance", range=[0, 10])
    np.testing.assert_allclose(found["rdm"][0], [[0, 0.5, 0.1], [0.5, 0, 0.4], [0.1, 0.4, 0]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"range": [1, 6]}, r"judgements in t.csv: 1 ratings are beyond range 1 to 6 \(first 7\)"),
        ({"columns": ["i", "i"]}, r"5 rows rate a stimulus with itself \(first: row 1\)"),
        ({"value": "judge"}, r"column 'judge' has 5 cells that are no numbers \(first 'J1'\)"),
        ({"judge": "who"}, "no column 'who', found i, j, value, judge"),
        ({"where": {"i": ["cow"]}}, "found no rows, expected some"),
    ],
)
def test_ratings_that_are_refused(change, message, tmp_path):
    path = table(tmp_path, RATINGS, ["i", "j", "value", "judge"])
    with pytest.raises(DataError, match=message):
        recording(
            tmp_path, "judgements", **{"path": path, "direction": "similarity", "range": [1, 7], "ids": IDS[:3], **change}
        )


def test_options_that_are_refused():
    with pytest.raises(ValidationError, match=r"range is \[7, 1\], expected \[least, greatest\]"):
        ADAPTERS["judgements"](adapter="judgements", stimuli="all", path="t.csv", direction="similarity", range=[7, 1])
    with pytest.raises(ValidationError, match="odd is 'b', one of columns"):
        ADAPTERS["triplets"](adapter="triplets", stimuli="all", path="t.csv", odd="b")


def test_reliability_of_judges_who_agree_differ_or_are_alone(tmp_path):
    pairs = np.array([[0, 1], [0, 2], [1, 2], [0, 3]])
    values = np.array([0.1, 0.5, 0.9, 0.3])
    both = lambda rows, second: judgement_rdm(
        np.tile(pairs, (2, 1))[rows], np.concatenate([values, second])[rows], np.repeat([0, 1], 4)[rows], 4
    )
    judges = np.repeat(["J1", "J2"], 4)
    assert split_half(lambda rows: both(rows, values), judges) == pytest.approx(1)
    second = np.array([0.2, 0.3, 0.9, 0.6])
    r = np.corrcoef(values, second)[0, 1]
    assert split_half(lambda rows: both(rows, second), judges) == pytest.approx(2 * r / (1 + r))
    assert np.isnan(split_half(lambda rows: both(rows, second), np.full(8, "J1")))
    assert np.isnan(split_half(lambda rows: both(rows, np.full(4, 0.5)), judges))


def test_reliability_grows_with_what_triplets_know(tmp_path):
    rng = np.random.default_rng(0)
    place = np.linspace(0, 1, 8)

    def judged(noise: float) -> np.ndarray:
        rows = np.stack([rng.permutation(8)[:3] for _ in range(600)])
        sides = np.abs(place[rows[:, [1, 0, 0]]] - place[rows[:, [2, 2, 1]]]) + noise * rng.normal(size=rows.shape)
        odd = sides.argmin(axis=1)  # whoever is not of the nearest pair
        return np.stack([np.append(np.delete(row, k), row[k]) for row, k in zip(rows, odd, strict=True)])

    def reliability(found: np.ndarray) -> float:
        return split_half(lambda rows: triplet_rdm(found[rows], 8), np.arange(600))

    sure, unsure, blind = (reliability(judged(noise)) for noise in (0, 0.5, 100))
    assert sure > 0.9
    assert sure > unsure > blind
    assert abs(blind) < 0.5


def test_one_triplet_alone_has_no_reliability(tmp_path):
    path = table(tmp_path, TRIPLETS[:1], ["a", "b", "odd"])
    found = recording(tmp_path, "triplets", ids=IDS[:3], path=path)
    assert found["rdm"][0].to_numpy().tolist() == [[0, 0, 1], [0, 0, 1], [1, 1, 0]]
    assert np.isnan(found["reliability"].item())


def test_reliability_of_noise_is_near_nothing_and_above_minus_one():
    """Random halves of noise correlate at -1 now and then, where the formula for whole lengths has a pole."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(12):
        rows = np.array([rng.permutation(5)[:3] for _ in range(40)])
        found.append(split_half(lambda kept, rows=rows: triplet_rdm(rows[kept], 5), np.arange(40)))
    assert min(found) > -0.6
    assert abs(np.mean(found)) < 0.3
