"""`searchlight` of a study: what it may say, its jobs, and what reaches them."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from isocortex import planning
from isocortex.errors import StudyError
from isocortex.study import Study
from isocortex.study.jobs import Jobs
from isocortex.study.pages import page_options

MODELS = ("gabor", "net", "blank")


@pytest.fixture
def searched(mapping: dict[str, Any]) -> dict[str, Any]:
    mapping["searchlight"] = {"rsa": {}}
    return mapping


def jobs(mapping: dict[str, Any]) -> dict[str, Any]:
    return Jobs(Study.from_mapping(mapping)).by_stage["searchlight"]


def test_no_searchlight_no_jobs(mapping: dict[str, Any]) -> None:
    assert jobs(mapping) == {}


def test_a_job_per_region_and_model_with_every_default(searched: dict[str, Any]) -> None:
    found = jobs(searched)
    assert set(found) == {f"results/small/{region}/{model}/searchlight.nc" for region in ("V1", "V4") for model in MODELS}
    job = found["results/small/V4/net/searchlight.nc"]
    assert job.options["methods"] == {
        "rsa": {
            "rdm": "correlation",
            "compare": "rho_a",
            "radius": 6.0,
            "min_neuroids": 10,
            "correct": "max",
            "permutations": 1000,
            "cluster_p": 0.001,
            "cluster_by": "mass",
            "connectivity": 26,
            "common_space": False,
        }
    }
    assert job.options["inference"] == {"seed": 0}
    assert set(json.loads(job.spec)["inputs"]) == {"brain", "kernels"}
    assert '"V1"' not in job.spec
    study = Study.from_mapping(searched)
    page = Jobs(study).by_stage["report"]["results/small/V4/report.html"]
    assert "results/small/V4/net/searchlight.nc" in page.files
    assert page_options(study, "V4")["methods"]["searchlight"] == job.options["methods"]
    assert "compare searchlight -- region_V4" in Jobs(study).command("V4")


def test_a_region_has_its_own_options_and_draws_reach_no_map(searched: dict[str, Any]) -> None:
    before = {target: job.spec for target, job in jobs(searched).items()}
    after = copy.deepcopy(searched)
    after["regions"] = {"V1": {"searchlight": {"rsa": {"radius": 9.0}}}, "V4": None}
    after["inference"] = {"draws": 200, "permutations": 99}
    changed = {target for target, job in jobs(after).items() if before[target] != job.spec}
    assert changed == {f"results/small/V1/{model}/searchlight.nc" for model in MODELS}
    after["inference"]["seed"] = 1
    assert {job.spec for job in jobs(after).values()}.isdisjoint(before.values())


def test_one_region_alone_can_be_searched(mapping: dict[str, Any]) -> None:
    mapping["regions"] = {"V1": {"searchlight": {"rsa": {"nearest": 30}}}, "V4": None}
    assert {target.split("/")[2] for target in jobs(mapping)} == {"V1"}


def test_a_layer_is_the_models_own(searched: dict[str, Any]) -> None:
    searched["searchlight"] = {"rsa": {"layer": {"net": "b"}}}
    layers = {target.split("/")[3]: job.options["methods"]["rsa"].get("layer") for target, job in jobs(searched).items()}
    assert layers == {"gabor": None, "net": "b", "blank": None}
    searched["models"] = {name: searched["models"][name] for name in ("net", "blank")}
    searched["searchlight"] = {"rsa": {"layer": "a"}}
    assert {job.options["methods"]["rsa"]["layer"] for job in jobs(searched).values()} == {"a"}


BAD: list[tuple[dict[str, Any], str]] = [
    ({"rsa": {"radius": 0.0}}, "searchlight.rsa.radius: found 0.0 (float)"),
    ({"rsa": {"compare": "tau_a"}}, "searchlight.rsa.compare: found 'tau_a' (str)"),
    ({"rsa": {"rdm": "crossnobis"}}, "searchlight.rsa.rdm: found 'crossnobis' (str)"),
    ({"cka": {}}, "searchlight: unknown key 'cka'; expected one of rsa"),
    ({"rsa": {"raduis": 5.0}}, "searchlight.rsa: unknown key 'raduis'"),
    ({"rsa": {"raduis": 5.0}}, "did you mean 'radius'?"),
    ({"rsa": {"nearest": 5}}, "searchlight.rsa: nearest: found 5, expected at least min_neuroids, 10"),
    (
        {"rsa": {"correct": "cluster", "permutations": 500}},
        "searchlight.rsa: permutations: found 500, expected at least 999 for a cluster_p of 0.001",
    ),
    ({"rsa": {"connectivity": 8}}, "searchlight.rsa.connectivity: found 8 (int)"),
    (
        {"rsa": {"layer": {"nte": "a"}}},
        "searchlight.rsa.layer: unknown model 'nte'; expected one of gabor, net, blank; did you mean 'net'?",
    ),
    ({"rsa": {"layer": {"net": "c"}}}, "searchlight.rsa.layer.net: unknown layer of net 'c'; expected one of a, b"),
    ({"rsa": {"layer": "c"}}, "searchlight.rsa.layer: unknown layer of net 'c'; expected one of a, b"),
]


@pytest.mark.parametrize(("value", "text"), BAD)
def test_bad_searchlights_are_told_in_one_line(mapping: dict[str, Any], value: dict[str, Any], text: str) -> None:
    mapping["searchlight"] = value
    with pytest.raises(StudyError) as caught:
        Study.from_mapping(mapping)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_999_permutations_are_enough_for_a_thousandth(searched: dict[str, Any]) -> None:
    searched["searchlight"]["rsa"] = {"correct": "cluster", "permutations": 999}
    assert len(jobs(searched)) == 6


def test_a_bad_option_of_one_region_is_told_before_any_job(mapping: dict[str, Any]) -> None:
    mapping["regions"] = {"V1": {"searchlight": {"rsa": {"radius": "wide"}}}}
    with pytest.raises(StudyError, match=r"regions\.V1\.searchlight\.rsa\.radius: found 'wide' \(str\)"):
        Study.from_mapping(mapping)


def test_rdms_alone_are_not_searched(searched: dict[str, Any]) -> None:
    dataset = searched["dataset"]
    dataset["level"] = "rdm"
    place = {"path": "a.npz", "key": "rdm"}
    dataset["subjects"] = {"S1": {"stimuli": "all", "adapter": "rdm", "rdms": {"V1": place, "V4": place}}}
    dataset["regions"] = {"V1": {}, "V4": {}}
    assert jobs(searched) == {}


def test_the_plan_grows_with_what_a_map_is_made_of(searched: dict[str, Any]) -> None:
    study = Study.from_mapping(searched)
    job = next(iter(Jobs(study).by_stage["searchlight"].values()))
    small = planning.shapes_of(study, job)
    first = planning.COSTS["searchlight"](small, job)
    assert 0 < first.seconds < 600
    assert 0 < first.memory_mb < 4000
    for key in ("stimuli", "neuroids", "subjects"):
        large = planning.COSTS["searchlight"](planning.Shapes(**{**small.__dict__, key: getattr(small, key) * 100}), job)
        assert large.seconds > first.seconds
    searched["searchlight"] = {"rsa": {"permutations": 100_000}}
    more = next(iter(jobs(searched).values()))
    assert planning.COSTS["searchlight"](small, more).seconds > first.seconds
    searched["searchlight"] = {"rsa": {"common_space": True}}
    both = next(iter(jobs(searched).values()))
    assert planning.COSTS["searchlight"](small, both).seconds > first.seconds


def test_the_plan_bounds_memory_by_what_the_map_is_bounded_by() -> None:
    from isocortex.inference import searchlight

    assert pytest.approx(searchlight.PERMUTED_BYTES / 1e6, rel=1e-3) == planning.costs.PERMUTED_MB
    assert pytest.approx(searchlight.PLACES_BYTES / 1e6, rel=1e-3) == planning.costs.PLACES_MB
