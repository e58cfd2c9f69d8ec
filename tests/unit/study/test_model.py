"""Every bad value ends in one line that says which key, what was found, and what is allowed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from isocortex.errors import StudyError
from isocortex.study import Study, load_study


def put(mapping: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split("/")
    for key in parents:
        mapping = mapping.setdefault(key, {})
    mapping[last] = value


BAD: list[tuple[str, Any, str]] = [
    ("encod", {}, "unknown key 'encod'; expected one of study, label"),
    ("encod", {}, "did you mean 'encode'?"),
    ("study", 3, "study: found 3 (int), should be a valid string"),
    ("study", "a/b", "study is 'a/b', expected 1 to 64 letters"),
    ("study", "shared", "study is 'shared', which is reserved"),
    ("dataset", "nowhere", "unknown data set of the catalogue 'nowhere'"),
    ("subjects", ["S9"], "subjects: unknown subject 'S9'; expected one of S1, S2"),
    ("subjects", [1], 'a subject is 1 (int), and ids are strings; quote it in the YAML, as "1"'),
    ("subjects", ["S1", "S1"], "expected each subject once"),
    ("regions", {"IT": None}, "regions: unknown region of mine 'IT'; expected one of V1, V4"),
    ("regions", {"x": {"of": "v4"}}, "did you mean 'V4'?"),
    ("regions", {"x": {"of": "V4", "any_of": ["V1"]}}, "regions.x: give at most one of of, any_of"),
    ("regions", {"V1": {"min_reliability": "high"}}, "regions.V1.min_reliability: found 'high' (str)"),
    ("regions", {"V1": {"min_reliability": 1.5}}, "regions.V1.min_reliability: found 1.5 (float), should be less than 1"),
    ("regions", {"V1": None, "v1": {"of": "V1"}}, "differ only in case"),
    ("regions", {"V1": {"compare": {"rsa": {"rdm": "cosin"}}}}, "regions.V1.compare.rsa.rdm: found 'cosin' (str)"),
    ("regions", {}, "regions: found none, expected at least one"),
    ("models", {}, "models: found {} (dict)"),
    ("models", {False: {"source": "gabor"}}, 'a model is False (bool), and ids are strings; quote it in the YAML, as "False"'),
    ("models/x", {}, "models.x: missing source; expected one of pixels, gabor"),
    ("models/x", {"source": "gabr"}, "models.x.source: unknown source 'gabr'"),
    ("models/x", {"source": "gabr"}, "did you mean 'gabor'?"),
    ("models/x", {"source": "gabor", "sise": 64}, "models.x: unknown key 'sise'"),
    ("models/x", {"source": "gabor", "size": 2}, "models.x.size: found 2 (int), should be greater than or equal to 16"),
    (
        "models/x",
        {"source": "callable", "call": "f", "layers": ["a"]},
        "expected 'package.module:function' or 'file.py:function'",
    ),
    ("models/x", {"source": "callable"}, "models.x.call: missing; this key is needed"),
    (
        "models/x",
        {"source": "timm", "layers": ["a@max"]},
        "models.x.layers: found 'a@max', expected @none @gap @mean @cls @last",
    ),
    ("models/x", {"source": "timm", "preprocess": "mine"}, "models.x.preprocess: found 'mine'"),
    ("models/x", {"source": "timm", "project": 0}, "models.x.project: found 0"),
    ("models/x", {"source": "transformers"}, "models.x.path: missing; this key is needed"),
    ("models/x", {"source": "precomputed"}, "give either path (one layer) or layers"),
    ("models/x", {"like": "gabor"}, "which has no weights, so it has no twin"),
    ("models/x", {"like": "nte"}, "models.x.like: unknown model 'nte'"),
    ("models/x", {"like": "x"}, "models.x.like: unknown model 'x'"),
    ("models/x", {"source": "gabor", "trained_on": ["mine/S7"]}, "models.x.trained_on: unknown subject 'mine/S7'"),
    ("splits/test", 1.5, "splits.test: found 1.5 (float), should be less than 1"),
    ("splits/folds", 1, "splits.folds: found 1 (int), should be greater than or equal to 2"),
    ("encode", {"ridge": {"alphas": [-1.0]}}, "encode.ridge.alphas: found"),
    ("encode", {"rigde": {}}, "encode: unknown key 'rigde'; expected one of ridge, "),
    ("encode", {"rigde": {}}, "did you mean 'ridge'?"),
    ("encode", {"ridge": {}, "delays": [1.5]}, "encode.delays.0: found 1.5 (float)"),
    ("encode", {"ridge": {}, "delays": []}, "encode.delays: found [] (list)"),
    ("encode", {"ridge": {}, "delays": [1, 1]}, "encode: delays: found [1, 1], expected each delay once"),
    ("encode", {"delays": [1]}, "encode: delays: found no encoder beside them; name one, as ridge: {}"),
    (
        "encode",
        {"ridge": {}, "delays": [1]},
        "encode.delays: found [1] with splits.kind: stimulus, expected kind: run or blocked",
    ),
    ("splits/kind", "runs", "splits.kind: found 'runs' (str), should be 'stimulus', 'blocked' or 'run'; did you mean 'run'?"),
    ("splits/gap", -1, "splits.gap: found -1 (int)"),
    ("splits/gap", 3, "splits: gap is 3 with kind: stimulus, expected kind: blocked; only blocks have neighbours"),
    ("splits", {"kind": "blocked", "groups": "object"}, "splits: groups go with kind: stimulus or run"),
    ("encode", 3, "encode: found 3 (int)"),
    ("geometry", ["ratio"], "geometry: unknown descriptor 'ratio'; expected one of participation_ratio"),
    ("readout", {"factorized": {}, "layers": {"nte": ["a"]}}, "readout.layers: unknown model 'nte'"),
    ("readout", {"factorized": {}, "layers": {"net": ["c"]}}, "readout.layers.net: unknown layer 'c'; expected one of a, b"),
    ("inference/primary", "pls", "inference.primary: unknown method 'pls'; expected one of ridge, rsa"),
    ("inference/seed", -1, "inference.seed: found -1 (int)"),
    ("inference/generalise", "galaxy", "inference.generalise: found 'galaxy' (str), should be 'auto', 'stimulus' or 'subject'"),
    ("device", "gpu", "device: found 'gpu', expected auto, cpu, cuda or cuda:<number>"),
    ("dataset/files", {"../x": None}, "expected a path inside the data set's folder"),
    ("dataset/subjects/S1/adapter", "npy", "dataset.subjects.S1.adapter: unknown adapter 'npy'"),
    ("dataset/subjects/S1/dims", ["neuroid"], "dataset.subjects.S1.dims: found"),
    ("dataset/subjects/S1/stimuli", "al", "dataset.subjects.S1.stimuli: unknown stimulus set 'al'; expected one of all"),
    ("dataset/level", "rdm", "rdm goes with level: rdm"),
    ("dataset", "brain_treebank", "brain_treebank.stimuli: missing; a data set that lists only files"),
    ("dataset/regions", {}, "dataset.regions: missing; a data set that lists only files"),
    (
        "dataset/stimuli/all",
        {"n": 3},
        "says only n; give ids, images, table, conditions, crossed, simulated, digits, or numbered: true",
    ),
]


@pytest.mark.parametrize(("path", "value", "text"), BAD)
def test_bad_value_is_told_in_one_line(mapping: dict[str, Any], path: str, value: Any, text: str) -> None:
    put(mapping, path, value)
    with pytest.raises(StudyError) as caught:
        Study.from_mapping(mapping, origin="mine.yaml", catalogue="config/catalogue")
    message = str(caught.value)
    assert message.startswith("mine.yaml: ")
    assert text in message
    assert "\n" not in message


def test_a_missing_key_is_named(mapping: dict[str, Any]) -> None:
    del mapping["models"]
    with pytest.raises(StudyError, match=r"^mine\.yaml: models: missing; this key is needed$"):
        Study.from_mapping(mapping, origin="mine.yaml")


def test_defaults_are_filled_in(mapping: dict[str, Any]) -> None:
    study = Study.from_mapping(mapping)
    splits = {"test": 0.2, "folds": 5, "groups": None, "seed": 0, "kind": "stimulus", "gap": 0, "near_duplicates": True}
    assert study.options.splits.model_dump() == splits
    assert study.delays("V1") is None
    assert list(study.regions) == ["V1", "V4"]
    assert study.encoders("V1") == {"ridge": {"alphas": "auto"}}
    assert study.primary == "ridge"
    assert study.stimulus_sets == {"all": ["S1", "S2"]}


def test_a_twin_takes_what_it_does_not_say(mapping: dict[str, Any]) -> None:
    mapping["models"]["net"]["trained_on"] = ["mine"]
    study = Study.from_mapping(mapping)
    assert study.models["blank"]["weights"] == "random"
    assert study.models["blank"]["seed"] == 3
    assert study.models["blank"]["layers"] == ["a", "b"]
    assert study.contaminated("net") == ["S1", "S2"]
    assert study.contaminated("blank") == []  # random weights have seen nothing


def test_options_of_one_region_leave_the_others(mapping: dict[str, Any]) -> None:
    mapping["regions"] = {"V1": {"compare": {"rsa": {"compare": "tau_a"}}}, "both": {"any_of": ["V1", "V4"]}}
    study = Study.from_mapping(mapping)
    defaults = {"noise": "shrinkage_diag", "model": "selected", "max_stimuli": 2000}
    assert study.metrics("V1")["rsa"] == {"rdm": "correlation", "compare": "tau_a", **defaults}
    assert study.metrics("both")["rsa"] == {"rdm": "correlation", "compare": "rho_a", **defaults}
    assert study.regions["both"].anywhere == [{"roi": ["V1"]}, {"roi": ["V4"]}]


def test_delays_are_no_encoder(mapping: dict[str, Any]) -> None:
    mapping["splits"] = {"kind": "run"}
    mapping["encode"] = {"ridge": {}, "delays": [1, 2, 3, 4]}
    mapping["regions"] = {"V1": None, "V4": {"encode": {"delays": [2]}}, "x": {"of": "V1", "encode": {"delays": None}}}
    study = Study.from_mapping(mapping)
    assert study.encoders("V1") == study.encoders("V4") == {"ridge": {"alphas": "auto"}}
    assert [study.delays(region) for region in ("V1", "V4", "x")] == [[1, 2, 3, 4], [2], None]


def test_contamination_of_one_subject(mapping: dict[str, Any]) -> None:
    mapping["models"]["net"]["trained_on"] = ["mine/S2", "elsewhere"]
    assert Study.from_mapping(mapping).contaminated("net") == ["S2"]


def test_rdms_alone_plan_no_encoders(mapping: dict[str, Any]) -> None:
    mapping["dataset"]["level"] = "rdm"
    mapping["dataset"]["subjects"] = {"S1": {"stimuli": "all", "adapter": "rdm", "rdms": {"V1": {"path": "a.npz", "key": "r"}}}}
    study = Study.from_mapping(mapping)
    assert study.encoders("V1") == {}
    assert study.descriptors() == {}
    assert study.primary == "rsa"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("study: [", "not valid YAML"),
        ("- 1", "found list, expected a mapping"),
        ("study: a\nstudy: b", "key 'study' stands twice"),
    ],
)
def test_unreadable_yaml(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(StudyError, match=message):
        load_study(path)


def test_missing_yaml(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"none\.yaml: no such file; give the path of a study's YAML"):
        load_study(tmp_path / "none.yaml")


def test_reading_a_study_loads_nothing_heavy() -> None:
    code = (
        "import sys, isocortex.study, isocortex.planning, isocortex.study.jobs, isocortex.study.code, isocortex.__main__;"
        "print([m for m in ('torch', 'xarray', 'pandas', 'numpy', 'zarr', 'scipy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
