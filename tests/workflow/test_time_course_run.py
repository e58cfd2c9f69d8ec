"""A time course through Snakemake: a recording with bins of time, and what reruns when the windows change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas
import pytest

from isocortex.storage.tables import read_parquet, read_tree

N, REPEATS, NEUROIDS, BINS = 24, 2, 3, 4
EARLY, LATE = "V1/windows/0000_0200.parquet", "V1/windows/0200_0400.parquet"
# What follows from a table of a window.
LAST = {"report: V1/report.html", "index: index.html"}


def counts() -> dict[str, np.ndarray]:
    """Counts in four bins of 0.1 s, (stimulus, repeat, neuroid, time): noise alone before 0.2 s, then what `x` says."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(N, 3))
    drive = 20 + 6 * x @ np.linalg.qr(rng.normal(size=(3, NEUROIDS)))[0]
    rate = np.stack([np.full_like(drive, 20.0)] * 2 + [drive] * 2, axis=-1)
    trials = np.rint(rate[:, None] + rng.normal(size=(N, REPEATS, NEUROIDS, BINS)))
    return {"trials": trials, "x": x}


def changes(windows: list[list[float]]) -> dict[str, Any]:
    subject = {
        "adapter": "npz",
        "stimuli": "set",
        "path": "a.npz",
        "key": "trials",
        "dims": ["stimulus", "repeat", "neuroid", "time"],
        "time": {"start": 0.0, "step": 0.1},
        "over_time": "sum",
        "repeats": REPEATS,
    }
    dataset = {
        "name": "own",
        "root": "data",
        "files": {"a.npz": {}},
        "stimuli": {"set": {"n": N, "numbered": True}},
        "subjects": {"S1": subject},
        "regions": {"V1": {}},
    }
    return {
        "dataset": dataset,
        "subjects": ["S1"],
        "regions": {"V1": {}},
        "models": {"x": {"source": "precomputed", "path": "a.npz", "key": "x"}},
        "encode": {},
        "compare": {"rsa": {"rdm": "euclidean"}},
        "time": {"window": [0.0, 0.4], "course": {"windows": windows}},
    }


@pytest.fixture
def timed(workspace: Any) -> Any:
    (workspace.folder / "data").mkdir()
    np.savez(workspace.folder / "data/a.npz", allow_pickle=False, **counts())
    return workspace


def test_a_time_course_runs_and_new_windows_rerun_only_themselves(timed: Any) -> None:
    timed.study(**changes([[0.0, 0.2], [0.2, 0.4]]))
    done = timed.snakemake()
    assert done.returncode == 0, done.stderr[-3000:]
    results = timed.folder / "results/small"

    whole = read_tree(results / "V1/brain.nc")["S1"]
    expected = counts()["trials"].sum(axis=3).mean(axis=1)
    order = whole["stimulus_id"].to_numpy().astype(int).argsort()
    np.testing.assert_allclose(whole["response"].to_numpy()[order], expected, rtol=1e-6)

    early, late = read_parquet(results / EARLY), read_parquet(results / LATE)
    assert set(zip(early["time_start"], early["time_end"], strict=True)) == {(0.0, 0.2)}
    assert set(zip(late["time_start"], late["time_end"], strict=True)) == {(0.2, 0.4)}
    assert abs(score(early)) < 0.3 < 0.8 < score(late)
    page = (results / "V1/report.html").read_text()
    assert "Time course" in page

    timed.study(**changes([[0.2, 0.4], [0.1, 0.3]]))
    assert timed.planned() == {"window: V1/windows/0100_0300.parquet", *LAST}


def score(table: pandas.DataFrame) -> float:
    """The score of the only subject by RSA."""
    (row,) = table.loc[(table["method"] == "rsa") & (table["subject"] == "S1")].itertuples()
    return float(row.score)
