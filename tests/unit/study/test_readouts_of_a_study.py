"""Readouts of a study: the localiser's layer is found, its maps are stored, and what is wrong is told in one line."""

from __future__ import annotations

from typing import Any

import pytest

from isocortex.encoding import READOUTS
from isocortex.errors import StudyError
from isocortex.study import Study
from isocortex.study.jobs import Jobs
from isocortex.study.readouts import GUIDED, TWINS, guide_of, stored_maps

OTHER = {"source": "callable", "call": "mine.py:other", "layers": ["p", "q"], "trained_on": ["mine/S2"]}


@pytest.fixture
def guided(mapping: dict[str, Any]) -> dict[str, Any]:
    mapping["models"]["other"] = dict(OTHER)
    mapping["readout"] = {
        "factorized": {},
        "semantic": {"guide": {"model": "other", "layer": "q"}},
        "layers": {"net": ["a", "b"]},
    }
    return mapping


def test_twins_are_not_called_as_a_method_is() -> None:
    assert GUIDED in READOUTS
    assert not set(TWINS) & set(READOUTS)
    assert set(TWINS.values()) == {GUIDED}


def test_a_guide_is_an_input_and_its_maps_are_stored(guided: dict[str, Any]) -> None:
    study = Study.from_mapping(guided)
    jobs = Jobs(study)
    job = jobs.by_stage["readout"]["results/small/V1/net/readout.nc"]
    assert job.inputs["guide"] == {"all": jobs.at.features("other", "all")}
    assert job.options["guide"] == {"model": "other", "layer": "q", "contaminated": ["S2"]}
    assert set(job.options["readouts"]) == {"factorized", "semantic"}
    assert "guide" not in job.options["readouts"]["semantic"]
    assert job.options["degrees"] == {"all": None}
    assert {model: stored_maps(study, model) for model in study.models} == {
        "gabor": [],
        "net": ["a", "b"],
        "blank": [],
        "other": ["q"],
    }
    for model in ("net", "other"):
        assert jobs.by_stage["features"][jobs.at.features(model, "all")].options["maps"] == stored_maps(study, model)


def test_the_last_readout_layer_guides_where_none_is_named(guided: dict[str, Any]) -> None:
    guided["readout"] |= {"semantic": {}, "layers": {"net": ["a", "b"], "blank": ["a"]}}
    study = Study.from_mapping(guided)
    assert guide_of(study, "V1", "net") == {"model": "net", "layer": "b"}
    assert guide_of(study, "V1", "blank") == {"model": "blank", "layer": "a"}
    assert guide_of(study, "V1", "other") is None
    assert stored_maps(study, "other") == []
    guided["readout"].pop("semantic")
    study = Study.from_mapping(guided)
    assert guide_of(study, "V1", "net") is None
    job = Jobs(study).by_stage["readout"]["results/small/V1/net/readout.nc"]
    assert "guide" not in job.inputs
    assert "guide" not in job.options


def test_a_region_may_look_elsewhere(guided: dict[str, Any]) -> None:
    guided["regions"] = {"V1": None, "V4": {"readout": {"semantic": {"guide": {"model": "net", "layer": "a"}}}}}
    study = Study.from_mapping(guided)
    assert guide_of(study, "V1", "net") == {"model": "other", "layer": "q"}
    assert guide_of(study, "V4", "net") == {"model": "net", "layer": "a"}
    assert stored_maps(study, "other") == ["q"]


def test_degrees_reach_the_job(guided: dict[str, Any]) -> None:
    guided["dataset"]["stimuli"]["all"]["degrees"] = 8.4
    job = Jobs(Study.from_mapping(guided)).by_stage["readout"]["results/small/V1/net/readout.nc"]
    assert job.options["degrees"] == {"all": 8.4}


def test_a_changed_readout_changes_readouts_only(guided: dict[str, Any]) -> None:
    before = {job.target: job.spec for job in Jobs(Study.from_mapping(guided))}
    guided["readout"]["factorized"] = {"epochs": 7}
    after = {job.target: job.spec for job in Jobs(Study.from_mapping(guided))}
    changed = {target for target in before if before[target] != after[target]}
    regions = ("V1", "V4")
    cells = {f"results/small/{region}/net/readout.nc" for region in regions}
    assert changed == cells | {f"results/small/{region}/report.html" for region in regions}


@pytest.mark.parametrize(
    ("readout", "said"),
    [
        ({"semantic": {"guide": {"model": "othr", "layer": "q"}}}, "readout.semantic.guide.model: unknown model 'othr'; "),
        ({"semantic": {"guide": {"model": "othr", "layer": "q"}}}, "did you mean 'other'?"),
        (
            {"semantic": {"guide": {"model": "other", "layer": "r"}}},
            "readout.semantic.guide.layer: unknown layer of other 'r'; expected one of p, q",
        ),
        ({"semantic": {"guide": {"model": "other"}}}, "readout.semantic.guide.layer: missing; this key is needed"),
        ({"layers": {}}, "readout.layers: missing beside factorized; name the layers whose maps are read, as layers: {gabor: "),
    ],
)
def test_what_is_wrong_is_told_in_one_line(guided: dict[str, Any], readout: dict[str, Any], said: str) -> None:
    guided["readout"] |= readout
    with pytest.raises(StudyError) as caught:
        Study.from_mapping(guided, origin="mine.yaml")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
