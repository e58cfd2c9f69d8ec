"""Decoding of single presentations: rows in their order, whole sessions, numbers as classes, and what is warned of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from cell_inputs import common_options, write_brain
from pydantic import ValidationError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from isocortex.encoding.label_folds import make_folds
from isocortex.errors import DataError
from isocortex.inference.rows import rows_from_json
from isocortex.recordings.adapters.steinmetz import load
from isocortex.recordings.regions import Selection, build_patterns
from isocortex.stages import decode
from isocortex.stages.decode_tasks import TASKS
from isocortex.storage.tables import read_netcdf, write_parquet
from isocortex.study.options.encoding import Decoder

DECODER = {"target": "right", "above": 0, "unit": "presentation", "classifier": "logistic", "folds": "blocked"}
PENALTY = 3.0
SHOWN = ["b", "a", "c", "a", "b", "a", "c", "b"]  # the sessions are of four presentations each
RIGHT = {"a": 0.0, "b": 0.5, "c": None}


def small(folder: Path, **columns: Any) -> tuple[decode.Subject, np.ndarray]:
    values = np.arange(16, dtype="f4").reshape(8, 2) ** 2
    values[5, 1] = np.nan
    recording = xr.Dataset(
        {"response": (("presentation", "neuroid"), values)},
        {
            "stimulus_id": ("presentation", SHOWN),
            "neuroid_id": ("neuroid", ["x", "y"]),
            "session": ("presentation", ["s1"] * 4 + ["s2"] * 4),
            "run": ("presentation", np.zeros(8, int)),
        },
    )
    table = pd.DataFrame({"stimulus_id": list(RIGHT), "digest": "", "right": RIGHT.values()}).assign(**columns)
    write_parquet(table, folder / "t.parquet")
    write_brain(folder / "b.nc", {"S": build_patterns(recording, Selection("V1", "S", "all", list(RIGHT), [{}]))})
    inputs = {"brain": str(folder / "b.nc"), "stimuli": {"all": str(folder / "t.parquet")}}
    return decode._subjects(inputs, common_options({"S": "all"}))[0], values


def test_rows_are_presentations_in_their_order_within_sessions(tmp_path: Path) -> None:
    subject, values = small(tmp_path)
    task = TASKS["presentation"](subject, {**DECODER, "groups": None}, "here")
    # The two of c have no label, and the sixth lacks a neuroid.
    assert task.data.ids == ["b/0", "a/1", "a/3", "b/4", "b/7"]
    assert [task.data.classes[k] for k in task.data.labels] == ["right > 0", "right ≤ 0", "right ≤ 0", "right > 0", "right > 0"]
    assert task.data.unit_names == ["time/s1/0", "time/s2/0"]
    assert task.data.units.tolist() == [0, 0, 0, 1, 1]
    assert task.unlabelled == 2
    np.testing.assert_array_equal(decode._responses(subject, task), values[[0, 1, 3, 4, 7]])


def test_what_is_held_out_together(tmp_path: Path) -> None:
    subject, _ = small(tmp_path, half=["p", "q", "q"])
    units = {
        folds: TASKS["presentation"](subject, {**DECODER, "folds": folds, "groups": groups}, "here").data.units.tolist()
        for folds, groups in (("random", None), ("stimulus", None), ("grouped", "half"))
    }
    assert units == {"random": [0, 1, 2, 3, 4], "stimulus": [0, 1, 1, 0, 0], "grouped": [0, 1, 1, 0, 0]}


def test_numbers_are_asked_for_by_name(tmp_path: Path) -> None:
    subject, _ = small(tmp_path, right=["low", "0.5", ""])
    with pytest.raises(DataError, match="here: above is 0, but column 'right' holds 'low', expected numbers; leave above out"):
        TASKS["presentation"](subject, {**DECODER, "groups": None}, "here")
    bare = decode.Subject(subject.name, subject.set_name, subject.data.drop_vars("trials"), subject.table)
    with pytest.raises(DataError, match=r"found no single presentations in brain\.nc, expected trials; use unit: stimulus"):
        TASKS["presentation"](bare, {**DECODER, "groups": None}, "here")


def test_above_makes_two_classes_of_stimuli_too(tmp_path: Path) -> None:
    subject, _ = small(tmp_path)
    task = TASKS["stimulus"](subject, {"target": "right", "above": 0.1, "folds": "stimulus", "groups": None}, "here")
    assert (task.data.ids, task.data.classes) == (["a", "b"], ["right > 0.1", "right ≤ 0.1"])
    assert task.data.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"folds": "random"}, "folds: found random with unit: stimulus, expected unit: presentation, or folds: stimulus"),
        (
            {"unit": "presentation", "folds": "random", "groups": "x"},
            "groups: found 'x' with folds: random, expected",
        ),
    ],
)
def test_options_that_do_not_go_together(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Decoder(target="right", **given)


def real(folder: Path, source: Path, session: str, folds: str) -> tuple[dict[str, Any], decode.Subject, Any]:
    """The row of VISp in one session: is there a grating on the right, from the counts of 0 to 0.4 s; its part; its task."""
    contrasts = [(left, right) for left in (0, 0.25, 0.5, 1) for right in (0, 0.25, 0.5, 1)]
    table = pd.DataFrame(contrasts, columns=["contrast_left", "contrast_right"])
    table.insert(0, "stimulus_id", [f"c{k:02d}" for k in range(16)])
    write_parquet(table.assign(digest=""), folder / "t.parquet")
    recording = load({"path": f"session{session}.npz", "bin": 0.1}, source / "steinmetz2019", table)
    part = build_patterns(recording, Selection("VISp", session, "all", table["stimulus_id"].tolist(), [{"area": ["VISp"]}]))
    write_brain(folder / "b.nc", {session: part})
    options = {**common_options({session: "all"}, model="", permutations=99), "folds": 5, "fold_seed": 0}
    given = {**DECODER, "target": "contrast_right", "folds": folds, "groups": None, "penalty": [PENALTY]}
    options["decoders"] = {"right": given}
    inputs = {"brain": str(folder / "b.nc"), "stimuli": {"all": str(folder / "t.parquet")}}
    decode.run({"stage": "decode", "inputs": inputs, "output": str(folder / "d.nc"), "options": options}, "cpu")
    cell = read_netcdf(folder / "d.nc")
    (row,) = [row for row in rows_from_json(cell.attrs["rows"]) if row["subject"] == session]
    assert json.loads(cell.attrs["classes"]) == {"right": ["contrast_right > 0", "contrast_right ≤ 0"]}
    assert row["n_stimuli"] == recording.sizes["presentation"]
    (subject,) = decode._subjects(inputs, options)
    return row, subject, TASKS["presentation"](subject, given, "here")


def by_sklearn(subject: decode.Subject, task: Any, folds: str, weight: str | None) -> float:
    """Balanced accuracy of scikit-learn's logistic regression on the same presentations and folds, units z-scored, C = 0.01."""
    x, y = decode._responses(subject, task).astype(float), task.data.labels
    predicted = np.zeros_like(y)
    for split in make_folds(folds, task.data, 5):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight=weight, max_iter=500))
        predicted[split["test"]] = model.fit(x[split["train"]], y[split["train"]]).predict(x[split["test"]])
    return float(balanced_accuracy_score(y, predicted))


def test_the_right_grating_in_primary_visual_cortex(tmp_path: Path, mirror: Path) -> None:
    """Seen by others with blocks of time: .86 in session 12, .48 in session 08, where random folds say .61; shifted labels .50.

    Theirs is a regression that does not weigh classes: on our presentations, in our order and folds, it gives these numbers
    (random folds are dealt otherwise: to within .05). Ours weighs them, as balanced accuracy does, and is scikit-learn's that
    does: C = 0.01 is our penalty of about 200 / units.
    """
    cases = {
        (s, folds): real(tmp_path, mirror, s, folds) for s, folds in (("12", "blocked"), ("08", "blocked"), ("08", "random"))
    }
    seen = {("12", "blocked"): 0.86, ("08", "blocked"): 0.48, ("08", "random"): 0.61}
    for (session, folds), (row, subject, task) in cases.items():
        assert by_sklearn(subject, task, folds, None) == pytest.approx(seen[session, folds], abs=0.05), (session, folds)
        assert row["score"] == pytest.approx(by_sklearn(subject, task, folds, "balanced"), abs=0.03), (session, folds)
    twelve, eight, mixed = (row for row, _, _ in cases.values())
    shown = cases["12", "blocked"][2].data.ids
    assert [int(name.rpartition("/")[2]) for name in shown] == list(range(len(shown)))
    assert mixed["score"] > eight["score"]
    for row in (twelve, eight):
        assert row["null_mean"] == pytest.approx(0.5, abs=0.05)
        assert row["null_kind"].startswith("shift_session")
        assert "too high" not in row["note"]
    assert twelve["p"] == pytest.approx(0.01)
    assert "folds: random put neighbouring presentations into training and test" in mixed["note"]
    assert "single presentations: n_stimuli counts these" in mixed["note"]
    assert mixed["generalise"] == "presentation"
