"""Stage `identify_models`: from `brain.nc` and known models to `identification.nc`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from cell_inputs import stimulus_ids, subject_patterns, write_brain

from isocortex.identification import Identified, Known, Plan, identify_models, region_noise
from isocortex.stages import identify_models as stage
from isocortex.stages.compare_inputs import Subject, subject_trials
from isocortex.stages.identified_subjects import merged
from isocortex.stages.known_layers import known_dataset, read_known
from isocortex.storage.store import StoreWriter
from isocortex.storage.tables import read_netcdf, write_netcdf

N, UNITS, KINDS = 40, 30, ("a", "b", "c", "d")


def layers_of(kind: str, seed: int, n: int = N) -> dict[str, np.ndarray]:
    """Two layers of a network: what all of its kind say of the stimuli, seen by units of its own."""
    found = {}
    for layer in ("first", "second"):
        shared = np.random.default_rng([*f"{kind}{layer}".encode()]).standard_normal((n, 6))
        mixed = shared @ np.random.default_rng([seed, *f"{kind}{layer}".encode()]).standard_normal((6, UNITS))
        found[layer] = np.tanh(mixed).astype(np.float32)
    return found


def trials_of(seed: int, noise: float, repeats: int = 3, n: int = N) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 1, 12)) + noise * rng.standard_normal((n, repeats, 12))


def write_features(path: Path, layers: dict[str, np.ndarray], ids: list[str]) -> str:
    writer = StoreWriter(path, {"test": 1}, ids)
    for k, (name, x) in enumerate(layers.items()):
        writer.group(f"{k:03d}", layer=name, n_features=x.shape[1])
        writer.create(f"{k:03d}", "activation", x.shape, "float32", len(ids), ("stimulus", "feature"))
        writer.write(f"{k:03d}", "activation", 0, x)
    writer.finish(stimulus_ids=ids, layers=list(layers), n_features={name: x.shape[1] for name, x in layers.items()})
    return str(path)


def spec_of(folder: Path, subjects: dict[str, np.ndarray], **options: Any) -> dict[str, Any]:
    ids = stimulus_ids(N)
    found = {(kind, f"{kind}-{seed}"): layers_of(kind, seed) for kind in KINDS for seed in (0, 1)}
    write_netcdf(known_dataset(ids, found), folder / "known.nc")
    kinds = [{"kind": k, "instances": [{"instance": f"{k}-{s}", "of_study": False} for s in (0, 1)]} for k in KINDS]
    kinds.append({"kind": "mine", "instances": [{"instance": "mine", "of_study": True}]})
    given = {
        "region": "A", "study": "small", "subjects": dict.fromkeys(subjects, "all"), "kinds": kinds, "layers": {"mine": None},
        "methods": {"ridge": {}, "rsa": {}},
        "plan": {"worlds": 24, "stimuli": [0.5, 1], "noise": [0, 1], "neuroids": [1], "measurements": ["units", "voxels"]},
        "max_units": 500, "max_neuroids": 500, "seed": 5,
    }  # fmt: skip
    brain = write_brain(folder / "brain.nc", {name: subject_patterns(x, ids[: len(x)]) for name, x in subjects.items()})
    features = {"mine": {"all": write_features(folder / "mine.json", layers_of("mine", 0), ids)}}
    return {
        "stage": "identify_models",
        "inputs": {"brain": str(brain), "known": {"all": str(folder / "known.nc")}, "features": features},
        "output": str(folder / "identification.nc"),
        "options": {**given, **options},
    }


def run(spec: dict[str, Any]) -> xr.Dataset:
    stage.run(json.loads(json.dumps(spec, sort_keys=True)), "cpu")  # options come sorted by key
    return read_netcdf(spec["output"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    subjects = {"S1": trials_of(1, 0.3), "S2": trials_of(2, 0.3)}
    return run(spec_of(tmp_path_factory.mktemp("identify_models"), subjects))


def test_kinds_that_differ_are_told_apart(made: xr.Dataset) -> None:
    assert made["method"].values.tolist() == ["ridge", "rsa"]
    assert made["kind"].values.tolist() == [*KINDS, "mine"]
    assert made["truth"].values.tolist() == list(KINDS)
    assert float(made["chance"]) == pytest.approx(1 / 4)
    assert (made["rate"] > 0.8).all()
    assert made["n_worlds"].values.tolist() == [24, 24]
    assert json.loads(made.attrs["kinds"])["mine"] == ["mine"]


def test_the_same_job_gives_the_same_worlds_and_another_seed_others(made: xr.Dataset, tmp_path: Path) -> None:
    subjects = {"S1": trials_of(1, 0.3), "S2": trials_of(2, 0.3)}
    xr.testing.assert_identical(run(spec_of(tmp_path, subjects)), made)
    other = run(spec_of(tmp_path, subjects, seed=6))
    assert not np.array_equal(other["score"].values, made["score"].values)


def test_worlds_are_shared_by_subjects(made: xr.Dataset) -> None:
    assert made["subject"].values.tolist() == ["S1", "S2"]
    np.testing.assert_allclose(made["rate_subject"].mean("subject"), made["rate"], rtol=1e-12)


def test_one_subject_is_the_function_itself(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, {"S1": trials_of(1, 0.8)})
    found = run(spec)
    with xr.open_datatree(spec["inputs"]["brain"], engine="h5netcdf") as tree:
        data = tree["S1"].to_dataset().load()
    ids = tuple(str(name) for name in data["stimulus_id"].values)
    trials = subject_trials(Subject("S1", "all", ids, data))
    assert trials is not None
    known = read_known(spec["inputs"], spec["options"], "all", ids)
    plan = Plan(24, (0.5, 1.0), (0.0, 1.0), (1.0,), ("units", "voxels"), 5)
    expected = identify_models(known, region_noise(trials), {"ridge": {}, "rsa": {}}, plan).to_dataset()
    np.testing.assert_array_equal(found["score"].values, expected["score"].values)
    np.testing.assert_array_equal(found["sweep_rate"].values, expected["sweep_rate"].values)


def test_two_subjects_are_both_functions_in_turn(tmp_path: Path, made: xr.Dataset) -> None:
    halved = {"worlds": 12, "stimuli": [0.5, 1], "noise": [0, 1], "neuroids": [1], "measurements": ["units", "voxels"]}
    parts = []
    for place, (name, trials) in enumerate({"S1": trials_of(1, 0.3), "S2": trials_of(2, 0.3)}.items()):
        folder = tmp_path / name
        folder.mkdir()
        parts.append(run(spec_of(folder, {name: trials}, plan=halved, seed=5 + place)))
    for place, part in enumerate(parts):
        np.testing.assert_array_equal(made["score"].values[:, place::2], part["score"].values)
        np.testing.assert_array_equal(made["world_kind"].values[place::2], part["world_kind"].values)
    for name in ("sweep_rate", "rate"):
        mean = np.mean([part[name].values for part in parts], axis=0)
        np.testing.assert_allclose(made[name].values, mean, rtol=1e-12)
    assert made["sweep_n"].values.tolist() == np.sum([part["sweep_n"].values for part in parts], axis=0).tolist()


def test_the_same_job_gives_the_same_file(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, {"S1": trials_of(1, 0.8)}, methods={"rsa": {}})
    xr.testing.assert_identical(run(spec), run(spec))


def test_a_subject_without_repeats_is_left_out_and_named(tmp_path: Path) -> None:
    found = run(spec_of(tmp_path, {"S1": trials_of(1, 0.3), "S2": trials_of(2, 0.3, repeats=1)}, methods={"rsa": {}}))
    assert found["subject"].values.tolist() == ["S1"]
    assert json.loads(found.attrs["refused"]) == {"S2": "no repeats: its noise is not known"}
    assert found["n_worlds"].values.tolist() == [24]


def test_no_repeats_at_all_is_no_error_and_said(tmp_path: Path) -> None:
    found = run(spec_of(tmp_path, {"S1": trials_of(1, 0.3, repeats=1)}))
    assert not found.data_vars
    assert json.loads(found.attrs["refused"]) == {"S1": "no repeats: its noise is not known"}


def test_a_method_that_cannot_be_asked_says_why(tmp_path: Path) -> None:
    found = run(spec_of(tmp_path, {"S1": trials_of(1, 0.3)}, methods={"rsa": {}, "pls": {}}))
    assert found["method"].values.tolist() == ["rsa"]
    assert "no fast form" in json.loads(found.attrs["skipped"])["pls"]


def test_a_level_with_too_few_stimuli_is_left_out_with_a_note(tmp_path: Path) -> None:
    plan = {"worlds": 8, "stimuli": [0.1, 1], "noise": [1], "neuroids": [1], "measurements": ["units"]}
    found = run(spec_of(tmp_path, {"S1": trials_of(1, 0.3)}, plan=plan, methods={"rsa": {}}))
    assert found["level"].values[found["axis"].values == "stimuli"].tolist() == [1.0]
    assert json.loads(found.attrs["dropped"]) == [
        "stimuli: 0.1: found 4 stimuli, expected at least 12, of which two halves are made"
    ]


def test_a_subject_with_too_few_stimuli_is_left_out_and_named(tmp_path: Path) -> None:
    few = trials_of(2, 0.3, n=11)
    found = run(spec_of(tmp_path, {"S1": trials_of(1, 0.3), "S2": few}, methods={"rsa": {}}))
    assert found["subject"].values.tolist() == ["S1"]
    said = "found 11 stimuli, expected at least 12, of which two halves are made"
    assert json.loads(found.attrs["refused"]) == {"S2": said}
    alone = run(spec_of(tmp_path, {"S2": few}, methods={"rsa": {}}))
    assert not alone.data_vars
    assert json.loads(alone.attrs["refused"]) == {"S2": said}


def test_many_neuroids_are_drawn_by_the_seed(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, {"S1": trials_of(1, 0.3)}, methods={"rsa": {}}, max_neuroids=5)
    found = run(spec)
    assert found.attrs["n_neuroids"] == 5
    assert found.attrs["all_neuroids"] == 12
    xr.testing.assert_identical(found, run(spec))
    other = run(spec_of(tmp_path, {"S1": trials_of(1, 0.3)}, methods={"rsa": {}}, max_neuroids=5, seed=6))
    assert not np.allclose(other["score"], found["score"])


def identified(methods: dict[str, Any], n: int = N, seed: int = 5, **plan: Any) -> Identified:
    known = [Known(kind, str(s), layers_of(kind, s, n)) for kind in KINDS for s in (0, 1)]
    made = Plan(**{"worlds": 24, "stimuli": (0.5,), "noise": (), "neuroids": (), "seed": seed, **plan})
    return identify_models(known, region_noise(trials_of(seed, 0.3, n=n)), methods, made)


def test_subjects_with_other_numbers_of_worlds_and_levels_are_cut_to_what_all_have() -> None:
    # Half of 22 stimuli are too few; six of twelve neuroids are a sweep, all of six are as measured.
    parts = [identified({"rsa": {}}, neuroids=(0.5,)), identified({"rsa": {}}, n=22, seed=6, neuroids=(1.0,))]
    parts[1] = replace(parts[1], points=tuple(replace(p, level=0.5) if p.axis == "neuroids" else p for p in parts[1].points))
    assert [len(parts[k].outcomes["rsa"][place].scores) for k, place in ((0, 2), (1, 1))] == [6, 24]
    found = merged(parts, Plan(worlds=48), ["S1", "S2"])
    assert [(p.axis, p.worlds) for p in found.points] == [("measured", 48), ("neuroids", 12), ("alone", 12)]
    assert [len(outcome.scores) for outcome in found.outcomes["rsa"]] == [48, 12, 12]
    first, second = (part.outcomes["rsa"][place].scores for part, place in zip(parts, (2, 1), strict=True))
    np.testing.assert_array_equal(found.outcomes["rsa"][1].scores[::2], first)
    np.testing.assert_array_equal(found.outcomes["rsa"][1].scores[1::2], second[:6])
    assert found.dropped == ("subject S2: stimuli: 0.5: found 11 stimuli, expected at least 12, of which two halves are made",)
    assert found.to_dataset()["sweep_n"].values.tolist() == [[12]]


def test_reasons_name_the_subject_unless_all_have_them() -> None:
    parts = [identified({"rsa": {}, "pls": {}}), identified({"rsa": {}, "pls": {}}, seed=6)]
    parts[1] = replace(parts[1], skipped={**parts[1].skipped, "rsa": "identification: no candidate has a score"})
    found = merged(parts, Plan(worlds=48), ["S1", "S2"])
    assert found.skipped["rsa"] == "subject S2: no candidate has a score"
    assert found.skipped["pls"] == parts[0].skipped["pls"]
    assert not found.outcomes
