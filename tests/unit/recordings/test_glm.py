"""Estimates of a run: noiseless signals give their coefficients back, and nilearn's own model and plain loops agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from isocortex.errors import DataError
from isocortex.recordings.fmri.events import check_within, clean_confounds, clean_events, events_of_volumes
from isocortex.recordings.fmri.glm import estimates, presentations

TR, VOLUMES, NEUROIDS = 2.0, 90, 5
PLAIN = {"standardize": "none", "noise": "ols", "high_pass": 0.01}


@pytest.fixture
def events() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "onset": [10.0, 31.0, 50.0, 74.5, 96.0, 121.0],
            "duration": [4.0, 4.0, 2.0, 4.0, 4.0, 2.0],
            "trial_type": ["a", "b", "a", "c", "b", "c"],
        }
    )


def regressor(events: pd.DataFrame, hrf: str | None = "glover") -> np.ndarray:
    """What nilearn predicts of events of one kind."""
    from nilearn.glm.first_level import compute_regressor

    blocks = np.stack([events["onset"], events["duration"], np.ones(len(events))])
    return np.asarray(compute_regressor(blocks, hrf, np.arange(VOLUMES) * TR)[0])[:, 0]


def drifts() -> np.ndarray:
    """The cosines of 180 s up to 0.01 Hz, by their formula, and the constant."""
    at = np.arange(VOLUMES)
    slow = [np.cos(np.pi / VOLUMES * (at + 0.5) * k) for k in range(1, int(2 * VOLUMES * TR * 0.01) + 1)]
    return np.stack([*slow, np.ones(VOLUMES)], axis=1)


def noisy(seed: int = 0) -> np.ndarray:
    return 100 + np.random.default_rng(seed).normal(size=(VOLUMES, NEUROIDS)).cumsum(axis=0)


@pytest.mark.parametrize("hrf", ["glover", "spm", "none"])
def test_a_signal_made_of_trials_gives_their_coefficients_back(events: pd.DataFrame, hrf: str) -> None:
    rng = np.random.default_rng(1)
    truth, slow = rng.normal(size=(6, NEUROIDS)), rng.normal(size=(4, NEUROIDS))
    columns = np.stack([regressor(events.iloc[[k]], None if hrf == "none" else hrf) for k in range(6)], axis=1)
    signals = 100 + columns @ truth + drifts() @ slow
    found = estimates(signals, events, TR, {**PLAIN, "model": "lsa", "hrf": hrf}, None, "run 1")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, truth, atol=1e-4)


@pytest.mark.parametrize("noise", ["ols", "ar1"])
def test_a_signal_made_of_conditions_gives_theirs(events: pd.DataFrame, noise: str) -> None:
    truth = np.random.default_rng(2).normal(size=(3, NEUROIDS))
    columns = np.stack([regressor(events.loc[events["trial_type"] == name]) for name in "abc"], axis=1)
    found = estimates(50 + columns @ truth, events, TR, {**PLAIN, "model": "condition", "noise": noise}, None, "run 1")
    np.testing.assert_allclose(found, truth, atol=1e-4)
    assert presentations(events, "condition").to_numpy().tolist() == [[10.0, "a"], [31.0, "b"], [74.5, "c"]]
    assert presentations(events, "lsa")["trial_type"].tolist() == ["a", "b", "a", "c", "b", "c"]


def test_a_derivative_takes_up_a_delay_and_is_no_estimate(events: pd.DataFrame) -> None:
    truth = np.random.default_rng(3).normal(size=(6, NEUROIDS))
    columns = np.stack([regressor(events.iloc[[k]], "spm") for k in range(6)], axis=1)
    options = {**PLAIN, "model": "lsa", "hrf": "spm + derivative"}
    np.testing.assert_allclose(estimates(9 + columns @ truth, events, TR, options, None, "run 1"), truth, atol=1e-4)


def test_separate_models_are_those_of_a_plain_loop(events: pd.DataFrame) -> None:
    signals = noisy()
    columns = np.stack([regressor(events.iloc[[k]]) for k in range(6)], axis=1)
    expected = []
    for k in range(6):
        design = np.column_stack([columns[:, k], np.delete(columns, k, axis=1).sum(axis=1), drifts()])
        expected.append(np.linalg.lstsq(design, signals, rcond=None)[0][0])
    found = estimates(signals, events, TR, {**PLAIN, "model": "lss"}, None, "run 1")
    np.testing.assert_allclose(found, expected, atol=1e-4)
    together = estimates(signals, events, TR, {**PLAIN, "model": "lsa"}, None, "run 1")
    assert np.abs(found - together).max() > 1e-3


def test_one_trial_alone_has_no_others(events: pd.DataFrame) -> None:
    one, signals = events.iloc[[2]].reset_index(drop=True), noisy()
    expected = np.linalg.lstsq(np.column_stack([regressor(one), drifts()]), signals, rcond=None)[0][[0]]
    np.testing.assert_allclose(estimates(signals, one, TR, {**PLAIN, "model": "lss"}, None, "run 1"), expected, atol=1e-4)


def test_a_finite_response_is_the_mean_of_its_delays(events: pd.DataFrame) -> None:
    first = [5, 16, 25, 37, 48, 60]  # 31, 74.5 and 121 s are 15.5, 37.25 and 60.5 volumes
    weights = np.random.default_rng(4).normal(size=(6, 3, NEUROIDS))
    signals = np.full((VOLUMES, NEUROIDS), 20.0)
    for k, start in enumerate(first):
        for place, delay in enumerate((1, 2, 4)):
            signals[start + delay] += weights[k, place]
    options = {**PLAIN, "model": "lsa", "hrf": "fir", "fir_delays": [1, 2, 4], "drift": None}
    np.testing.assert_allclose(estimates(signals, events, TR, options, None, "run 1"), weights.mean(axis=1), atol=1e-4)


@pytest.mark.parametrize("noise", ["ols", "ar1"])
def test_conditions_are_those_of_nilearn_itself(events: pd.DataFrame, noise: str) -> None:
    from nibabel import Nifti1Image
    from nilearn.glm.first_level import FirstLevelModel

    signals = noisy(5)
    image = Nifti1Image(np.ascontiguousarray(signals.T[:, None, None, :]), np.eye(4))
    mask = Nifti1Image(np.ones((NEUROIDS, 1, 1), dtype=np.uint8), np.eye(4))
    model = FirstLevelModel(
        t_r=TR, mask_img=mask, noise_model=noise, hrf_model="glover", signal_scaling=0, minimize_memory=False
    )
    model.fit(image, events=events)
    maps: list[Any] = [model.compute_contrast(name, output_type="effect_size") for name in "abc"]
    named = [one.get_fdata()[:, 0, 0] for one in maps]
    options = {"model": "condition", "hrf": "glover", "noise": noise, "standardize": "percent"}
    np.testing.assert_allclose(estimates(signals, events, TR, options, None, "run 1"), named, rtol=1e-3, atol=1e-4)


def test_confounds_are_taken_out(events: pd.DataFrame) -> None:
    truth = np.random.default_rng(6).normal(size=(3, NEUROIDS))
    moved = np.random.default_rng(7).normal(size=(VOLUMES, 2))
    columns = np.stack([regressor(events.loc[events["trial_type"] == name]) for name in "abc"], axis=1)
    signals = 30 + columns @ truth + 5 * moved[:, :1]
    options = {**PLAIN, "model": "condition"}
    table = pd.DataFrame(moved, columns=["x", "y"]).assign(same=1.0)
    np.testing.assert_allclose(estimates(signals, events, TR, options, table, "run 1"), truth, atol=1e-4)
    assert np.abs(estimates(signals, events, TR, options, None, "run 1") - truth).max() > 0.1


def test_a_neuroid_without_signal_is_missing_and_changes_no_other(events: pd.DataFrame) -> None:
    signals = noisy(8)
    whole = estimates(signals, events, TR, {"model": "lsa"}, None, "run 1")
    signals[:, 1], signals[3, 2], signals[:, 3] = 7.0, np.nan, -signals[:, 3]
    found = estimates(signals, events, TR, {"model": "lsa"}, None, "run 1")
    assert np.isnan(found[:, 1:4]).all()
    np.testing.assert_allclose(found[:, [0, 4]], whole[:, [0, 4]], atol=1e-5)


def test_units_of_signals(events: pd.DataFrame) -> None:
    signals = noisy(9)
    of = lambda how: estimates(signals, events, TR, {**PLAIN, "model": "lsa", "standardize": how}, None, "run 1")
    np.testing.assert_allclose(of("percent"), of("none") / signals.mean(axis=0) * 100, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(of("zscore"), of("none") / signals.std(axis=0), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"onset": 180.0},
            r"run 1: event 'c' starts at 180 s, expected before 180 s, the end of the run \(90 volumes, 2 s apart\)",
        ),
        ({"onset": -30.0}, r"event 'c' starts at -30 s, expected before 180 s"),
        (
            {"onset": 179.9},
            r"run 1: presentation 6 changes no volume of the run, expected some; it starts too late: leave it out",
        ),
        ({"onset": 96.0, "duration": 4.0}, r"a design of 11 columns \(rank 10\) for 90 volumes cannot tell them apart"),
    ],
)
def test_events_that_cannot_be_estimated_are_refused(events: pd.DataFrame, change: dict[str, Any], text: str) -> None:
    for name, value in change.items():
        events.loc[5, name] = value
    with pytest.raises(DataError, match=text) as caught:
        estimates(noisy(), events, TR, {**PLAIN, "model": "lsa", "high_pass": 0.012}, None, "run 1")
    assert "\n" not in str(caught.value)


def test_a_run_of_nothing_and_a_design_of_too_much_are_refused(events: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=r"run 1: all values are NaN, expected numbers; leave the run out"):
        estimates(np.full((VOLUMES, 2), np.nan), events, TR, PLAIN, None, "run 1")
    short = events.assign(onset=np.arange(6.0), duration=1.0)
    with pytest.raises(
        DataError, match=r"a design of 7 columns .* for 7 volumes .*; say model: lss or condition, fewer confounds"
    ):
        estimates(noisy()[:7], short, TR, {**PLAIN, "drift": None}, None, "run 1")


def test_events_of_a_table() -> None:
    table = pd.DataFrame(
        {"onset": [9.0, 2, "n/a", 5], "duration": [1, 2, 3, 0], "image": [3.0, 7.0, np.nan, 12.0], "trial_type": list("abrb")}
    )
    found = clean_events(table, "events", column="image", leave_out=["12"])
    assert found.to_numpy().tolist() == [[2.0, 2.0, "7"], [9.0, 1.0, "3"]]
    assert clean_events(table.drop(index=2), "events", leave_out=["a"])["trial_type"].tolist() == ["b", "b"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"onset": None}, r"^e: no column 'onset', found duration, trial_type; correct the name or the file"),
        ({"duration": None}, r"no column 'duration', found onset, trial_type"),
        ({"trial_type": None}, r"no column 'trial_type', found onset, duration"),
        ({"onset": [1.0, np.nan]}, r"event 2 has onset nan, expected seconds; correct the file"),
        ({"duration": ["x", 1]}, r"event 1 has duration x, expected seconds"),
        ({"duration": [-1.0, 1]}, r"a duration is -1 s, expected 0 or more"),
        (
            {"trial_type": ["rest", ""]},
            r"no event is left of 2, expected some; correct leave_out, column 'trial_type' or the file",
        ),
    ],
)
def test_tables_without_events_are_refused(change: dict[str, Any], text: str) -> None:
    table = pd.DataFrame({"onset": [0.0, 2.0], "duration": [1.0, 1.0], "trial_type": ["a", "b"]})
    for name, value in change.items():
        table = table.drop(columns=name) if value is None else table.assign(**{name: value})
    with pytest.raises(DataError, match=text):
        clean_events(table, "e", leave_out=["rest"])


def test_labels_of_volumes_are_events() -> None:
    found = events_of_volumes(["rest", "face", "face", "cat", "rest", "face"], 2.5, "e", ["rest"])
    assert found.to_numpy().tolist() == [[2.5, 5.0, "face"], [7.5, 2.5, "cat"], [12.5, 2.5, "face"]]
    check_within(found, 6, 2.5, "e")


def test_confounds_of_a_table() -> None:
    table = pd.DataFrame({"fd": [np.nan, 0.5, 0.1], "x": [1.0, 2, 3], "gap": [1.0, np.nan, 3]})
    assert clean_confounds(table, ["x", "fd"], 3, "c").to_numpy().tolist() == [[1, 0.5], [2, 0.5], [3, 0.1]]
    for columns, n, text in (
        (["x"], 4, r"^c: found 3 rows, expected 4, one per volume; name the confounds of this run"),
        (["z"], 3, r"no column 'z', found fd, x, gap"),
        (["gap"], 3, r"column 'gap' has values that are not numbers, expected none; leave it out"),
    ):
        with pytest.raises(DataError, match=text):
            clean_confounds(table, columns, n, "c")
