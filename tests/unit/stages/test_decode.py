"""decoding.nc: of a region and of a model's layers; labels that are missing, unknown columns, time and groups."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cell_inputs import common_options, stimulus_ids, subject_patterns, subject_rdm, write_brain, write_kernels

from isocortex.encoding.label_folds import make_folds
from isocortex.errors import DataError
from isocortex.inference.rows import SCORE_COLUMNS, rows_from_json
from isocortex.recordings.regions import Selection, build_patterns
from isocortex.stages import decode
from isocortex.stages.decode_tasks import TASKS
from isocortex.storage.tables import read_netcdf, read_parquet, read_tree, write_parquet

N = 48
IDS = stimulus_ids(N)
LABELS = np.array(["face", "house", "tool"])[np.arange(N) % 3]


def table(**columns: Any) -> pd.DataFrame:
    made = pd.DataFrame({"stimulus_id": IDS, "digest": "", "path": "", "row": -1, "caption": ""})
    return made.assign(**({"label": LABELS} | columns))


def patterns(seed: int, signal: float = 2.0, v: int = 12) -> np.ndarray:
    """Trials (n, 2, v) whose mean depends on the label."""
    rng = np.random.default_rng(seed)
    return signal * rng.normal(size=(3, v))[np.arange(N) % 3][:, None] + rng.normal(size=(N, 2, v))


class World:
    """Files of a region with some subjects, and of a model with three layers of which "b" knows the label."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.brain = write_brain(
            folder / "brain.nc", {name: subject_patterns(patterns(k), IDS) for k, name in enumerate(("S1", "S2"))}
        )
        self.stimuli(table())
        rng = np.random.default_rng(5)
        layers = {name: rng.normal(size=(N, 20)) for name in "abc"}
        layers["b"] += 1.5 * rng.normal(size=(3, 20))[np.arange(N) % 3]
        self.kernels = write_kernels(folder / "kernels.json", layers, IDS)

    def stimuli(self, frame: pd.DataFrame) -> None:
        write_parquet(frame, self.folder / "stimuli.parquet")

    def spec(self, model: str = "", subjects: tuple[str, ...] = ("S1", "S2"), **given: Any) -> dict[str, Any]:
        own = {name: given.pop(name) for name in list(given) if name in ("contaminated", "layers")}
        decoder = {"target": "label", "classifier": "lda", "folds": "stimulus", "groups": None, "penalty": "auto", **given}
        options = common_options(dict.fromkeys(subjects, "all"), model=model, permutations=99)
        inputs: dict[str, Any] = {"brain": str(self.brain), "stimuli": {"all": str(self.folder / "stimuli.parquet")}}
        if model:
            inputs["kernels"] = {"all": str(self.kernels)}
        options |= {"decoders": {"what": decoder}, "folds": 4, "fold_seed": 0, **own}
        return {"stage": "decode", "inputs": inputs, "output": str(self.folder / "decoding.nc"), "options": options}

    def run(self, **given: Any) -> tuple[Any, list[dict[str, Any]]]:
        decode.run(self.spec(**given), "cpu")
        data = read_netcdf(self.folder / "decoding.nc")
        return data, rows_from_json(data.attrs["rows"])


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def chosen(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["subject"]: row for row in rows if row["is_chosen"]}


@pytest.mark.parametrize("classifier", ["lda", "ridge", "logistic"])
def test_a_region_by_itself(world: World, classifier: str) -> None:
    data, rows = world.run(classifier=classifier)
    assert [(row["subject"], row["model"], row["layer"]) for row in rows] == [("S1", "", ""), ("S2", "", ""), ("all", "", "")]
    assert set(rows[0]) == set(SCORE_COLUMNS)
    for row in rows:
        assert (row["family"], row["method"], row["target"]) == ("decoding", "what", "label")
        assert row["score"] > 0.8
        assert row["p"] == pytest.approx(0.01)
        assert row["n_null"] == 99
        assert row["null_mean"] == pytest.approx(1 / 3, abs=0.06)
        assert row["ci_low"] <= row["score"] <= row["ci_high"] <= 1
        assert row["n_stimuli"] == N
        assert row["normalized"] is None
    assert [row["n_neuroids"] for row in rows] == [12, 12, 24]
    assert [row["n_dropped"] for row in rows] == [2, 2, 4]
    assert rows[0]["n_repeats"] == 2
    assert json.loads(data.attrs["classes"]) == {"what": ["face", "house", "tool"]}
    assert data["confusion"].dims == ("method", "subject", "truth", "predicted")
    assert data["confusion"].sel(subject="S1").values.sum() == N
    np.testing.assert_array_equal(data["confusion"].sel(subject="all"), data["confusion"].isel(subject=[0, 1]).sum("subject"))
    recall = np.diag(data["confusion"].values[0, 0]) / data["confusion"].values[0, 0].sum(1)
    assert rows[0]["score"] == pytest.approx(recall.mean())
    assert data["draws"].shape == (1, 3, 100)


def test_a_model_finds_the_layer_that_knows_the_label(world: World) -> None:
    data, rows = world.run(model="net")
    assert [(row["subject"], row["layer"]) for row in rows] == [(s, layer) for s in ("S1", "S2", "all") for layer in "abc"]
    found = chosen(rows)
    assert {row["layer"] for row in found.values()} == {"b"}
    assert found["all"]["score"] > 0.8
    assert found["S1"]["score"] == found["S2"]["score"] == found["all"]["score"]  # one set of stimuli, one answer
    assert "one set of stimuli: the same value for every subject" in found["all"]["note"]
    assert "not z-scored" in found["all"]["note"]
    assert "generalise" not in found["S1"]["note"]
    assert json.loads(found["all"]["layer_votes"])["b"] > 0.9
    assert all(row["p"] is None for row in rows if not row["is_chosen"])
    assert found["all"]["n_neuroids"] is None
    assert data["layer_score"].sel({"subject": "all", "method": "what"}).values.argmax() == 1


def test_layers_are_those_of_the_study_in_its_order(world: World) -> None:
    data, rows = world.run(model="net", layers=["c", "b"])
    assert data["layer"].values.tolist() == ["c", "b"]
    assert chosen(rows)["all"]["layer"] == "b"
    with pytest.raises(DataError, match=r"kernels\.json: found no layer 'z', expected one of \['a', 'b', 'c'\]; redo kernels"):
        world.run(model="net", layers=["z"])


def test_the_same_spec_gives_the_same_bytes(world: World) -> None:
    for model in ("", "net"):
        world.run(model=model)
        first = (world.folder / "decoding.nc").read_bytes()
        world.run(model=model)
        assert (world.folder / "decoding.nc").read_bytes() == first


def test_a_contaminated_model_is_shown_and_not_tested(world: World) -> None:
    _, rows = world.run(model="net", contaminated=["S1"])
    found = chosen(rows)
    assert [found[name]["contaminated"] for name in ("S1", "S2", "all")] == [True, False, True]
    assert [found[name]["p"] is None for name in ("S1", "S2", "all")] == [True, False, True]
    assert found["S1"]["score"] == found["S2"]["score"]


def test_stimuli_without_a_label_are_left_out_and_counted(world: World) -> None:
    labels = LABELS.astype(object)
    labels[[0, 5, 7]] = [None, "", np.nan]
    world.stimuli(table(label=labels))
    data, rows = world.run()
    assert rows[0]["n_stimuli"] == N - 3
    assert "3 of 48 stimuli have no label and are left out" in rows[0]["note"]
    assert data["confusion"].sel(subject="S1").values.sum() == N - 3


def test_numbers_are_labels_too(world: World) -> None:
    world.stimuli(table(label=np.where(np.arange(N) == 3, np.nan, np.arange(N) % 3)))
    data, rows = world.run()
    assert json.loads(data.attrs["classes"]) == {"what": ["0", "1", "2"]}
    assert rows[0]["score"] > 0.8


def test_subjects_with_other_classes_share_one_table(world: World) -> None:
    ids = stimulus_ids(N, "t")
    write_brain(world.brain, {"S1": subject_patterns(patterns(0), IDS), "S2": subject_patterns(patterns(1), ids, "other")})
    write_parquet(table(stimulus_id=ids, label=np.where(LABELS == "face", "body", LABELS)), world.folder / "other.parquet")
    spec = world.spec()
    spec["inputs"]["stimuli"]["other"] = str(world.folder / "other.parquet")
    spec["options"]["subjects"] = {"S1": "all", "S2": "other"}
    decode.run(spec, "cpu")
    data = read_netcdf(world.folder / "decoding.nc")
    assert json.loads(data.attrs["classes"])["what"] == ["body", "face", "house", "tool"]
    sums = data["confusion"].sel({"method": "what"}).sum("predicted").values
    assert sums.tolist() == [[0, 16, 16, 16], [16, 0, 16, 16], [16, 16, 32, 32]]


def test_decoders_with_other_numbers_of_classes_lie_in_one_file(world: World) -> None:
    world.stimuli(table(animate=np.where(LABELS == "face", "yes", "no")))
    spec = world.spec()
    spec["options"]["decoders"]["animate"] = {**spec["options"]["decoders"]["what"], "target": "animate", "classifier": "ridge"}
    decode.run(spec, "cpu")
    data = read_netcdf(world.folder / "decoding.nc")
    assert data["method"].values.tolist() == ["what", "animate"]
    assert np.isfinite(data["confusion"].sel({"method": "animate", "subject": "S1"}).values).sum() == 4
    assert {row["params_id"] for row in rows_from_json(data.attrs["rows"])} == {
        row["params_id"] for row in rows_from_json(data.attrs["rows"])[::3]
    }
    assert len({row["params_id"] for row in rows_from_json(data.attrs["rows"])}) == 2


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"target": "labels"},
            r"^decoder what, region 'V4', subject 'S1': target, found no column 'labels' in the stimulus table, ",
        ),
        ({"target": "caption"}, r"expected one of \['label'\]; name one of these"),
        ({"folds": "grouped", "groups": "object"}, r"groups, found no column 'object' in the stimulus table"),
    ],
)
def test_a_column_that_is_not_there_is_named(world: World, given: dict[str, Any], text: str) -> None:
    with pytest.raises(DataError, match=text) as caught:
        world.run(**given)
    assert "\n" not in str(caught.value)
    assert not (world.folder / "decoding.nc").exists()


def test_a_class_that_is_too_small_is_named(world: World) -> None:
    world.stimuli(table(label=["rare"] * 2 + ["common"] * (N - 2)))
    with pytest.raises(DataError, match="decoder what, region 'V4', subject 'S1': found 1 training stimuli of class 'rare'"):
        world.run()
    with pytest.raises(DataError, match="subject 'S1', model 'net': found 1 training stimuli of class 'rare'"):
        world.run(model="net")


def test_groups_are_held_out_whole(world: World) -> None:
    """Objects of four pictures each, one label per object: only labels of whole objects are permuted."""
    world.stimuli(table(object=[f"o{row % 12}" for row in range(N)]))
    _, rows = world.run(folds="grouped", groups="object")
    assert rows[0]["null_kind"].startswith("permute_stimuli: labels of whole groups")
    assert rows[0]["ci_kind"].startswith("bootstrap over 12 groups of stimuli")
    assert rows[0]["generalise"] == "category"
    assert rows[0]["score"] > 0.8


@pytest.mark.parametrize("column", ["digest", "near"])
def test_copies_of_a_picture_share_a_fold(world: World, monkeypatch: pytest.MonkeyPatch, column: str) -> None:
    world.stimuli(table(**{column: [f"d{row % 24}" for row in range(N)]}))
    held: list[Any] = []

    def watched(kind: str, data: Any, *rest: Any) -> Any:
        outer = make_folds(kind, data, *rest)
        held.extend((set(data.units[split["train"]]), set(data.units[split["test"]])) for split in outer)
        return outer

    monkeypatch.setattr("isocortex.inference.decoding.make_folds", watched)
    world.run()
    assert held
    assert not any(train & test for train, test in held)


def test_blocks_follow_the_order_of_presentation_and_its_sessions(world: World) -> None:
    """The table is sorted by name; the recording says when each stimulus was shown, and in which session."""
    import xarray as xr

    rng = np.random.default_rng(3)
    order = rng.permutation(N)
    recording = xr.Dataset(
        {"response": (("presentation", "neuroid"), patterns(0).mean(1)[order])},
        coords={
            "stimulus_id": ("presentation", np.array(IDS)[order]),
            "neuroid_id": ("neuroid", [f"n{k}" for k in range(12)]),
            "session": ("presentation", np.repeat(["a", "b", "c"], N // 3)),
            "run": ("presentation", np.zeros(N, int)),
        },
    )
    part = build_patterns(recording, Selection("V4", "S1", "all", IDS, [{}]))
    write_brain(world.brain, {"S1": part})
    subject = decode._subjects(world.spec()["inputs"], world.spec(subjects=("S1",))["options"])[0]
    task = TASKS["stimulus"](subject, {"target": "label", "folds": "blocked", "groups": None}, "")
    assert task.data.ids == np.array(IDS)[order].tolist()
    assert np.bincount(task.data.units).tolist() == [16, 16, 16]
    np.testing.assert_array_equal(np.array(task.data.classes)[task.data.labels], LABELS[order])
    np.testing.assert_array_equal(task.rows, order)
    _, rows = world.run(subjects=("S1",), folds="blocked")
    assert rows[0]["null_kind"].startswith("shift_session")
    assert "blocks of consecutive stimuli" in rows[0]["ci_kind"]
    assert rows[0]["generalise"] == "time"


def test_one_stretch_of_time_has_as_many_shifts_as_stimuli_less_one(world: World) -> None:
    _, rows = world.run(folds="blocked")
    assert rows[0]["n_null"] == N - 1
    assert "all 47 shifts of the labels are in the null: p is 0.021 or more" in rows[0]["note"]


def test_a_column_of_the_table_gives_the_blocks(world: World) -> None:
    world.stimuli(table(run=np.repeat(np.arange(6), 8), half=np.repeat(["x", "y"], 24)))
    spec = world.spec(subjects=("S1",))
    subject = decode._subjects(spec["inputs"], spec["options"])[0]
    found = TASKS["stimulus"](subject, {"target": "label", "folds": "blocked", "groups": None}, "")
    assert len(found.data.unit_names) == 6
    named = TASKS["stimulus"](subject, {"target": "label", "folds": "blocked", "groups": "half"}, "")
    assert len(named.data.unit_names) == 2


def test_rdms_have_no_responses_to_decode(world: World) -> None:
    write_brain(world.brain, {"S1": subject_rdm(np.zeros((N, N)), IDS)}, level="rdm")
    with pytest.raises(DataError, match="found no responses, expected level: patterns; leave decode out"):
        world.run()


def test_stimuli_that_a_table_or_a_model_lacks_are_named(world: World) -> None:
    write_kernels(world.folder / "kernels.json", {"a": np.eye(N)[1:]}, IDS[1:])
    with pytest.raises(
        DataError, match=r"model 'net' lacks 1 stimuli \(first 's0000'\), expected all; redo features and kernels"
    ):
        world.run(model="net")
    world.stimuli(read_parquet(world.folder / "stimuli.parquet").iloc[2:])
    with pytest.raises(DataError, match=r"found 2 stimuli that the stimulus table lacks \(first 's0000'\), expected all"):
        world.run()
    with pytest.raises(DataError, match=r"found none of the subjects \['S9'\], expected one; redo region"):
        world.run(subjects=("S9",))


def test_a_region_says_when_its_stimuli_were_shown(tmp_path: Path) -> None:
    """Session and run are kept where each stimulus has one; the file of a region holds them."""
    import xarray as xr

    shown = ["b", "a", "c", "a", "b", "c"]
    recording = xr.Dataset(
        {"response": (("presentation", "neuroid"), np.random.default_rng(0).normal(size=(6, 3)).astype("f4"))},
        coords={
            "stimulus_id": ("presentation", shown),
            "neuroid_id": ("neuroid", ["x", "y", "z"]),
            "session": ("presentation", ["s"] * 6),
            "run": ("presentation", [1, 1, 1, 2, 2, 2]),
        },
    )
    part = build_patterns(recording, Selection("V4", "S1", "all", ["a", "b", "c"], [{}]))
    write_brain(tmp_path / "brain.nc", {"S1": part})
    found = read_tree(tmp_path / "brain.nc")["S1"].to_dataset()
    assert found["first_shown"].values.tolist() == [1, 0, 2]
    assert found["session"].values.tolist() == ["s"] * 3
    assert "run" not in found.coords
