"""`decode` of a study: what it may say, its jobs, and what reaches them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from isocortex import planning
from isocortex.errors import StudyError
from isocortex.study import Study, options
from isocortex.study.jobs import Jobs
from isocortex.study.pages import page_options

TABLE = {"path": "a.csv", "id": "id", "labels": ["label", "object"]}


@pytest.fixture
def labelled(mapping: dict[str, Any]) -> dict[str, Any]:
    """The small study with a table of labels and one decoder."""
    mapping["dataset"]["stimuli"]["all"] = {"n": 20, "table": TABLE}
    mapping["decode"] = {"category": {"target": "label"}}
    return mapping


BAD: list[tuple[Any, str]] = [
    ({"category": {}}, "decode.category.target: missing; this key is needed"),
    ({"category": {"target": "label", "clasifier": "lda"}}, "decode.category: unknown key 'clasifier'; expected one of target"),
    ({"category": {"target": "label", "clasifier": "lda"}}, "did you mean 'classifier'?"),
    ({"category": {"target": "label", "classifier": "svm"}}, "decode.category.classifier: found 'svm' (str)"),
    ({"category": {"target": "label", "folds": 5}}, "decode.category.folds: found 5 (int)"),
    ({"category": {"target": "label", "folds": "grouped"}}, "groups: missing; folds: grouped needs the column whose values"),
    ({"category": {"target": "label", "groups": "object"}}, "groups: found 'object' with folds: stimulus"),
    ({"category": {"target": "label", "classifier": "lda", "penalty": [1.0]}}, "penalty: found with classifier: lda"),
    ({"category": {"target": "label", "penalty": [0.0]}}, "decode.category.penalty: found"),
    (
        {"category": {"target": "labels"}},
        "decode.category.target: unknown label of the stimulus set 'all' 'labels'; expected one of",
    ),
    ({"category": {"target": "labels"}}, "did you mean 'label'?"),
    ({"category": {"target": "label", "folds": "grouped", "groups": "thing"}}, "decode.category.groups: unknown label"),
    ({"a b": {"target": "label"}}, "a decoder is 'a b', expected 1 to 64 letters"),
    ({"ridge": {"target": "label"}}, "a decoder is called 'ridge', as a method is; choose another name"),
    ({1: {"target": "label"}}, "a decoder is 1 (int), and ids are strings"),
]


@pytest.mark.parametrize(("value", "text"), BAD)
def test_bad_decoders_are_told_in_one_line(labelled: dict[str, Any], value: Any, text: str) -> None:
    labelled["decode"] = value
    with pytest.raises(StudyError) as caught:
        Study.from_mapping(labelled, origin="mine.yaml")
    assert str(caught.value).startswith("mine.yaml: decode")
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_set_without_labels_has_none_to_decode(mapping: dict[str, Any]) -> None:
    mapping["decode"] = {"category": {"target": "label"}}
    with pytest.raises(StudyError, match=r"unknown label of the stimulus set 'all' 'label'; expected one of \(none\)"):
        Study.from_mapping(mapping)
    mapping["dataset"]["stimuli"]["all"] = {"n": 20, "simulated": {}}  # only its table knows
    assert list(Study.from_mapping(mapping).decoders()) == ["category"]


def test_defaults_are_filled_in(labelled: dict[str, Any]) -> None:
    study = Study.from_mapping(labelled)
    assert study.decoders() == {
        "category": {
            "target": "label",
            "classifier": "logistic",
            "unit": "stimulus",
            "above": None,
            "folds": "stimulus",
            "groups": None,
            "penalty": "auto",
        }
    }
    assert study.primary == "ridge"
    assert page_options(study, "V1")["methods"]["decode"] == study.decoders()
    del labelled["decode"]
    assert Study.from_mapping(labelled).decoders() == {}
    assert options.CLASSIFIERS == ("logistic", "ridge", "lda")


def test_rdms_alone_plan_no_decoders(labelled: dict[str, Any]) -> None:
    labelled["dataset"]["level"] = "rdm"
    labelled["dataset"]["subjects"] = {
        "S1": {"stimuli": "all", "adapter": "rdm", "rdms": {"V1": {"path": "a.npz", "key": "r"}}}
    }
    study = Study.from_mapping(labelled)
    assert study.decoders() == {}
    assert Jobs(study).by_stage["decode"] == {}


def test_a_region_and_each_model_have_a_job(labelled: dict[str, Any]) -> None:
    jobs = Jobs(Study.from_mapping(labelled))
    models = ("gabor", "net", "blank")
    expected = {f"results/small/{region}/decoding.nc" for region in ("V1", "V4")}
    expected |= {f"results/small/{region}/{model}/decoding.nc" for region in ("V1", "V4") for model in models}
    assert set(jobs.by_stage["decode"]) == expected
    own, net = (jobs.by_stage["decode"][f"results/small/V1/{part}decoding.nc"] for part in ("", "net/"))
    assert "kernels" not in own.inputs
    assert own.options["model"] == ""
    assert net.inputs["kernels"] == {"all": "results/small/kernels/net/all.json"}
    cells = jobs.by_stage["report"]["results/small/V1/report.html"].inputs["cells"]
    assert {"decoding", "net/decoding"} <= set(cells)
    assert jobs.command("V4").endswith("-R encode decode compare -- region_V4")
    for job in jobs.by_stage["decode"].values():
        cost = planning.cost(jobs.study, job)
        assert 0 < cost.seconds < 3600
        assert 0 < cost.memory_mb < 4000


def test_a_decoder_added_reaches_its_cells_and_what_reads_them(labelled: dict[str, Any]) -> None:
    before = {job.target: job.spec for job in Jobs(Study.from_mapping(labelled))}
    after = copy.deepcopy(labelled)
    after["decode"]["which"] = {"target": "object", "classifier": "lda"}
    new = {job.target: job.spec for job in Jobs(Study.from_mapping(after))}
    changed = {target for target in new if before[target] != new[target]}
    assert {target.rsplit("/", 1)[1] for target in changed} == {"decoding.nc", "report.html"}


def test_folds_of_the_splits_reach_the_decoders(labelled: dict[str, Any]) -> None:
    labelled["splits"] = {"folds": 7, "seed": 3}
    for job in Jobs(Study.from_mapping(labelled)).by_stage["decode"].values():
        assert (job.options["folds"], job.options["fold_seed"]) == (7, 3)
