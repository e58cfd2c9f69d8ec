"""`joint` of a study: what it may say, its jobs, and what reaches them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from isocortex import planning
from isocortex.errors import StudyError
from isocortex.study import Study, options
from isocortex.study.jobs import Jobs
from isocortex.study.pages import page_options

BOTH: dict[str, Any] = {"of": ["gabor", "net"], "banded": {}}


@pytest.fixture
def joined(mapping: dict[str, Any]) -> dict[str, Any]:
    """The small study with two joint encoders."""
    mapping["joint"] = {"low_and_high": {**BOTH}, "depth": {"of": ["net/b", "net/a"], "stacking": {}, "label": "Depth"}}
    return mapping


BAD: list[tuple[Any, str]] = [
    ({"x": {"banded": {}}}, "joint.x.of: missing; this key is needed"),
    ({"x": {"of": [], "banded": {}}}, "joint.x.of: found [] (list)"),
    ({"x": {"of": "net", "banded": {}}}, "joint.x.of: found 'net' (str)"),
    ({"x": {"of": ["net"]}}, "joint.x: found no method, expected banded or stacking; name one, as banded: {}"),
    ({"x": {"of": ["net"], "banded": None}}, "joint.x: found no method"),
    ({"x": {**BOTH, "bandit": {}}}, "joint.x: unknown key 'bandit'; expected one of of, label, banded, stacking"),
    ({"x": {**BOTH, "bandit": {}}}, "did you mean 'banded'?"),
    ({"x": {"of": ["net"], "banded": {"candidates": 0}}}, "joint.x.banded.candidates: found 0 (int)"),
    ({"x": {"of": ["net"], "banded": {"alphas": [0.0]}}}, "joint.x.banded.alphas: found"),
    ({"x": {"of": ["net"], "stacking": {"alphas": "auto"}}}, "joint.x.stacking: unknown key 'alphas'"),
    ({"x": {"of": ["gabor", "nte"], "banded": {}}}, "joint.x.of: unknown model 'nte'; expected one of gabor, net, blank"),
    ({"x": {"of": ["gabor", "nte"], "banded": {}}}, "did you mean 'net'?"),
    (
        {"x": {"of": ["gabor", "net/aa"], "banded": {}}},
        "joint.x.of: unknown layer 'net/aa'; expected one of net/a, net/b; did you mean 'net/a'?",
    ),
    ({"x": {"of": ["gabor", "net/"], "banded": {}}}, "joint.x.of: unknown layer 'net/'; expected one of net/a, net/b"),
    ({"x": {"of": ["net", "net/a"], "banded": {}}}, "joint.x.of: found 'net/a' beside 'net', expected every space once"),
    ({"x": {"of": ["net/a", "net"], "banded": {}}}, "joint.x.of: found 'net' beside 'net/a', expected every space once"),
    ({"x": {"of": ["gabor", "gabor"], "banded": {}}}, "joint.x.of: found 'gabor' beside 'gabor'"),
    (
        {"x": {"of": ["net/a"], "banded": {}}},
        "joint.x.of: found one space, 'net/a', expected two or more; name another model or layer",
    ),
    ({"net": BOTH}, "joint: found 'net', which is a model; choose another name"),
    ({"NET": BOTH}, "models and joint: 'net' and 'NET' differ only in case; rename one"),
    ({"a b": BOTH}, "joint: a joint encoder is 'a b', expected 1 to 64 letters"),
    ({1: BOTH}, "joint: a joint encoder is 1 (int), and ids are strings"),
]


@pytest.mark.parametrize(("value", "text"), BAD)
def test_bad_joint_encoders_are_told_in_one_line(mapping: dict[str, Any], value: Any, text: str) -> None:
    mapping["joint"] = value
    with pytest.raises(StudyError) as caught:
        Study.from_mapping(mapping, origin="mine.yaml")
    assert str(caught.value).startswith("mine.yaml: ")
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_it_is_no_method_that_answers(joined: dict[str, Any]) -> None:
    assert Study.from_mapping(joined).primary == "ridge"
    joined["inference"] = {"primary": "banded"}
    with pytest.raises(StudyError, match=r"inference\.primary: unknown method 'banded'"):
        Study.from_mapping(joined)
    joined["inference"], joined["decode"] = {}, {"stacking": {"target": "label"}}
    with pytest.raises(StudyError, match="a decoder is called 'stacking', as a method is"):
        Study.from_mapping(joined)


def test_defaults_are_filled_in(joined: dict[str, Any]) -> None:
    study = Study.from_mapping(joined)
    assert study.joint() == {
        "low_and_high": {
            "label": "low_and_high",
            "of": [{"model": "gabor", "layers": None}, {"model": "net", "layers": ["a", "b"]}],
            "methods": {"banded": {"candidates": 30, "alphas": "auto", "seed": 0}},
        },
        "depth": {
            "label": "Depth",
            "of": [{"model": "net", "layers": ["b"]}, {"model": "net", "layers": ["a"]}],
            "methods": {"stacking": {}},
        },
    }
    page = page_options(study, "V1")
    assert (page["joint"], page["joint_order"]) == (study.joint(), ["low_and_high", "depth"])
    assert options.JOINT == ("banded", "stacking")
    del joined["joint"]
    assert Study.from_mapping(joined).joint() == {}


def test_names_of_layers_may_hold_a_slash(mapping: dict[str, Any]) -> None:
    mapping["models"]["net"]["layers"] = ["a", "a/b"]
    mapping["joint"] = {"x": {"of": ["net/a/b", "net/a"], "banded": {}}}
    assert [item["layers"] for item in Study.from_mapping(mapping).joint()["x"]["of"]] == [["a/b"], ["a"]]


def test_rdms_alone_plan_no_joint_encoders(joined: dict[str, Any]) -> None:
    joined["dataset"]["level"] = "rdm"
    joined["dataset"]["subjects"] = {"S1": {"stimuli": "all", "adapter": "rdm", "rdms": {"V1": {"path": "a.npz", "key": "r"}}}}
    study = Study.from_mapping(joined)
    assert study.joint() == {}
    assert Jobs(study).by_stage["joint"] == {}


def test_every_region_and_joint_encoder_has_a_job(joined: dict[str, Any]) -> None:
    jobs = Jobs(Study.from_mapping(joined))
    made = jobs.by_stage["joint"]
    assert set(made) == {f"results/small/{region}/{name}/joint.nc" for region in ("V1", "V4") for name in joined["joint"]}
    one = made["results/small/V1/low_and_high/joint.nc"]
    assert one.inputs["kernels"] == {name: {"all": f"results/small/kernels/{name}/all.json"} for name in ("gabor", "net")}
    assert set(one.inputs["splits"]) == {"S1", "S2"}
    assert one.options["model"] == "low_and_high"
    assert "label" not in one.options
    assert "delays" not in one.options
    cells = jobs.by_stage["report"]["results/small/V1/report.html"].inputs["cells"]
    assert {"low_and_high/joint", "depth/joint"} <= set(cells)
    assert set(cells) == set(jobs.by_stage["summarise"]["results/small/V1/scores.parquet"].inputs["cells"])
    assert jobs.command("V4").endswith("-R encode joint compare -- region_V4")
    made_by = {path for job in jobs for path in ([job.output] if isinstance(job.output, str) else job.output.values())}
    assert {path for job in jobs for path in job.files} <= made_by


def test_delays_reach_the_joint_encoders(joined: dict[str, Any]) -> None:
    joined["splits"], joined["encode"] = {"kind": "run"}, {"ridge": {}, "delays": [1, 2]}
    for job in Jobs(Study.from_mapping(joined)).by_stage["joint"].values():
        assert job.options["delays"] == [1, 2]


def test_kernels_hold_what_joint_encoders_read(joined: dict[str, Any]) -> None:
    joined["encode"] = {}
    kernels = Jobs(Study.from_mapping(joined)).by_stage["kernels"]
    encode = {job.options["model"]: job.options["encode"] for job in kernels.values()}
    assert encode == {"gabor": True, "net": True, "blank": False}
    assert {job.options["model"] for job in kernels.values() if "splits" in job.inputs} == {"gabor", "net"}


def test_a_member_that_saw_the_data_contaminates_all(joined: dict[str, Any]) -> None:
    joined["models"]["net"]["trained_on"] = ["mine/S2"]
    joined["joint"]["clean"] = {"of": ["gabor", "blank"], "banded": {}}
    made = Jobs(Study.from_mapping(joined)).by_stage["joint"]
    seen = {job.options["model"]: job.options["contaminated"] for job in made.values()}
    assert seen == {"low_and_high": ["S2"], "depth": ["S2"], "clean": []}


def test_an_option_reaches_its_cells_and_a_label_the_page_only(joined: dict[str, Any]) -> None:
    before = {job.target: job.spec for job in Jobs(Study.from_mapping(joined))}

    def changed(**change: Any) -> set[str]:
        after = copy.deepcopy(joined)
        after["joint"]["low_and_high"] |= change
        new = {job.target: job.spec for job in Jobs(Study.from_mapping(after))}
        return {target.removeprefix("results/small/") for target in new if before[target] != new[target]}

    pages = {"V1/report.html", "V4/report.html"}
    assert changed(label="Low and high") == pages
    cells = {f"{region}/low_and_high/joint.nc" for region in ("V1", "V4")}
    assert changed(banded={"seed": 1}) == changed(of=["net", "gabor"]) == changed(stacking={}) == cells | pages


def test_costs_are_finite_and_grow(joined: dict[str, Any]) -> None:
    from isocortex.stages.joint import FIT_BYTES

    assert pytest.approx(FIT_BYTES / 1e6, abs=1) == planning.costs.JOINT_MB
    jobs = Jobs(Study.from_mapping(joined))
    for job in jobs.by_stage["joint"].values():
        small = planning.shapes_of(jobs.study, job)
        assert small.layers == (4 if job.options["model"] == "low_and_high" else 2)  # two of gabor's own, and two of net
        cost = planning.cost(jobs.study, job)
        assert 0 < cost.seconds < 3600
        assert 0 < cost.memory_mb < 4000
        for field in ("stimuli", "neuroids", "layers", "subjects"):
            large = planning.Shapes(**{**small.__dict__, field: getattr(small, field) * 4})
            assert planning.COSTS["joint"](large, job).seconds > planning.COSTS["joint"](small, job).seconds
