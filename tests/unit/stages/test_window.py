"""A window's table: the numbers of the study's other stages on that window's responses, and what could not be computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from encoding_world import World

from isocortex.errors import DataError
from isocortex.inference.rows import SCORE_COLUMNS, to_rows
from isocortex.stages import compare, decode, encode, region, splits, summarise, window
from isocortex.storage.lazy import open_recording
from isocortex.storage.store import write_dataset_store
from isocortex.storage.tables import read_parquet, write_parquet

BINS = 4  # of 0.1 s; the second and third hold the signal, the last is silent
METRICS = {"rsa": {"rdm": "correlation", "compare": "rho_a"}}
DECODER = {"target": "half", "classifier": "lda", "folds": "stimulus", "groups": None, "penalty": "auto"}


class InTime(World):
    """Counts in four bins: noise, signal, signal, nothing."""

    def write_recording(self, subject: str, rng: np.random.Generator) -> None:
        clean = self.truth(rng)
        counts = rng.normal(size=(self.n, self.repeats, self.neuroids, BINS))
        counts[..., 1:3] += 2 * clean[:, None, :, None]
        counts[..., 3] = 0
        recording = xr.Dataset(
            {"response": (("presentation", "neuroid", "time"), counts.reshape(-1, self.neuroids, BINS).astype("f4"))},
            {
                "stimulus_id": ("presentation", np.repeat(self.ids, self.repeats)),
                "neuroid_id": ("neuroid", [f"{subject}-{index}" for index in range(self.neuroids)]),
                "time": ("time", np.arange(BINS) / 10),
                "time_end": ("time", np.arange(1, BINS + 1) / 10),
            },
            {"over_time": "sum"},
        )
        write_dataset_store(recording, f"{subject}.json", {"recording": subject})


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    world = InTime(n=36, repeats=3).build()
    table = read_parquet("stimuli.parquet")
    write_parquet(table.assign(half=np.where(world.maps_by_layer["b"][:, 0, 0, 0] > 0, "more", "less")), "stimuli.parquet")
    world.run_kernels()
    shared = world.cell_spec("encode")["options"]
    own = {name: shared.pop(name) for name in ("model", "contaminated", "layers")}
    del shared["encoders"]
    shared["inference"] |= {"draws": 100, "permutations": 99}
    return {
        "stage": "window",
        "inputs": {
            "recordings": {name: f"{name}.json" for name in world.subjects},
            "stimuli": {"all": "stimuli.parquet"},
            "splits": {name: f"splits-{name}.json" for name in world.subjects},
            "kernels": {"net": {"all": "kernels.json"}},
        },
        "output": "window.parquet",
        "options": {
            "region": "V4",
            "window": [0.1, 0.3],
            "parts": {
                "region": {
                    "region": "V4",
                    "study": "s",
                    "level": "patterns",
                    "subjects": {name: {"set": "all", "anywhere": []} for name in world.subjects},
                    "min_reliability": None,
                    "seed": 0,
                },
                "encode": {**shared, "encoders": {"ridge": {"alphas": "auto"}}},
                "compare": {**shared, "family": "rdm", "metrics": METRICS},
                "decode": {**shared, "decoders": {"half": DECODER}, "folds": 3, "fold_seed": 0},
                "summarise": {"study": "s", "region": "V4", "primary": "ridge", "confidence": 0.95, "generalise": "auto"},
            },
            "models": {"net": {key: own[key] for key in ("contaminated", "layers")}},
        },
    }


def scores(spec: dict[str, Any], at: list[float]) -> list[dict[str, Any]]:
    window.run({**spec, "options": {**spec["options"], "window": at}}, "cpu")
    return to_rows(read_parquet("window.parquet"))


def whole(spec: dict[str, Any], at: list[float]) -> list[dict[str, Any]]:
    """The same region by the stages themselves, as a study cut to this window would have it."""
    inputs, parts, net = spec["inputs"], spec["options"]["parts"], {"model": "net", "contaminated": [], "layers": None}
    own = {name: inputs[name] for name in ("recordings", "stimuli", "splits")}
    cut = {**parts["region"], "window": at}
    region.run({"stage": "region", "inputs": own, "output": "cut.nc", "options": cut}, "cpu")
    brain, kernels = {"brain": "cut.nc"}, {"kernels": inputs["kernels"]["net"]}
    made = {
        "net/encoding": (encode, {**brain, **kernels, "splits": inputs["splits"]}, {**parts["encode"], **net}),
        "net/rdm": (compare, {**brain, **kernels}, {**parts["compare"], **net}),
        "decoding": (decode, {**brain, "stimuli": inputs["stimuli"]}, {**parts["decode"], **net, "model": ""}),
        "net/decoding": (decode, {**brain, **kernels, "stimuli": inputs["stimuli"]}, {**parts["decode"], **net}),
    }
    cells = {}
    for name, (stage, read, options) in made.items():
        cells[name] = f"{name.replace('/', '-')}.nc"
        stage.run({"stage": "", "inputs": read, "output": cells[name], "options": options}, "cpu")
    outputs = {"scores": "scores.parquet", "comparisons": "comparisons.parquet"}
    tables = {"stage": "summarise", "inputs": {"cells": cells}, "output": outputs, "options": parts["summarise"]}
    summarise.run(tables, "cpu")
    return to_rows(read_parquet("scores.parquet"))


def key(row: dict[str, Any]) -> tuple[str, ...]:
    return row["method"], row["model"], row["subject"], row["layer"]


def test_the_numbers_are_those_of_a_study_cut_to_the_window(spec: dict[str, Any]) -> None:
    found, expected = scores(spec, [0.1, 0.3]), whole(spec, [0.1, 0.3])
    assert {row["method"] for row in found} == {"ridge", "rsa", "half"}
    assert {(row["time_start"], row["time_end"]) for row in found} == {(0.1, 0.3)}
    bare = [{**row, "time_start": None, "time_end": None} for row in found]
    assert sorted(bare, key=key) == sorted(expected, key=key)
    assert set(found[0]) == set(SCORE_COLUMNS)
    chosen = {row["method"]: row for row in found if row["is_chosen"] and row["subject"] == "all" and row["model"]}
    assert chosen["ridge"]["layer"] == "b"
    assert chosen["ridge"]["score"] > 0.8


def test_a_window_of_noise_has_no_signal(spec: dict[str, Any]) -> None:
    chosen = {row["method"]: row for row in scores(spec, [0.0, 0.1]) if row["is_chosen"] and row["subject"] == "all"}
    for method in ("ridge", "rsa"):
        assert chosen[method]["normalized"] is None, method
        assert "no reliable signal" in chosen[method]["note"], method


def test_a_silent_window_says_so_and_does_not_fail(spec: dict[str, Any]) -> None:
    (row,) = scores(spec, [0.3, 0.4])
    assert (row["family"], row["method"], row["score"]) == (window.NOT_COMPUTED, "", None)
    assert "region V4: no subject has a neuroid left (S1: 6 neuroids dropped: constant; S2" in row["note"]
    assert (row["time_start"], row["time_end"]) == (0.3, 0.4)


def test_what_one_metric_cannot_do_leaves_the_others(spec: dict[str, Any]) -> None:
    """In a window where one stimulus has the same count in every neuroid its correlation with others is undefined."""
    for name in ("S1", "S2"):
        recording = open_recording(f"{name}.json").load()
        recording["response"].values[:3, :, 1] = 2.0
        write_dataset_store(recording, f"{name}.json", {"recording": f"{name} with a flat pattern"})
        splits.run(InTime(n=36, repeats=3).splits_spec(name), "cpu")
    rows = scores(spec, [0.1, 0.2])
    assert {row["method"] for row in rows if row["score"] is not None} == {"ridge", "half"}
    (lost,) = [row for row in rows if row["family"] == window.NOT_COMPUTED]
    assert (lost["model"], lost["subject"]) == ("net", "all")
    assert "found 1 constant patterns of 36" in lost["note"]


def test_edges_that_no_bin_has_fail_by_name(spec: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"region V4, subject S1: window is \[0\.15, 0\.3\] s, expected edges of bins"):
        scores(spec, [0.15, 0.3])
    assert not Path("window.parquet").exists()
