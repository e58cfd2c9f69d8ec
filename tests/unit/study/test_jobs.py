"""The jobs of a study: what reaches them, and what does not."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from isocortex.study import Study
from isocortex.study.jobs import Jobs


def specs(mapping: dict[str, Any]) -> dict[str, str]:
    return {job.target: job.spec for job in Jobs(Study.from_mapping(mapping))}


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    old, new = specs(before), specs(after)
    return {target for target in new if old.get(target) != new[target]}


def test_every_input_is_made_by_a_job_or_is_watched(mapping: dict[str, Any]) -> None:
    mapping["geometry"] = ["participation_ratio"]
    mapping["readout"] = {"factorized": {}, "layers": {"net": ["a"]}}
    jobs = list(Jobs(Study.from_mapping(mapping)))
    made = {path for job in jobs for path in ([job.output] if isinstance(job.output, str) else job.output.values())}
    assert {path for job in jobs for path in job.files} <= made
    assert len(made) == len({job.target for job in jobs}) + 4  # two regions write two more tables each


def test_specs_are_json_without_absolute_paths(mapping: dict[str, Any]) -> None:
    for spec in specs(mapping).values():
        assert json.loads(spec)["stage"]
        assert ':"/' not in spec


def test_a_metrics_option_in_one_region_reaches_that_regions_cells_only(mapping: dict[str, Any]) -> None:
    after = copy.deepcopy(mapping)
    after["regions"] = {"V1": {"compare": {"rsa": {"compare": "tau_a"}}}, "V4": None}
    models = ("gabor", "net", "blank")
    assert changed(mapping, after) == {f"results/small/V1/{m}/rdm.nc" for m in models} | {"results/small/V1/report.html"}


def test_another_seed_of_the_splits_leaves_features_alone(mapping: dict[str, Any]) -> None:
    after = copy.deepcopy(mapping)
    after["splits"] = {"seed": 1}
    assert {target.split("/")[2] for target in changed(mapping, after)} == {"splits", "V1", "V4"}


def test_delays_reach_splits_and_encoders_only_where_given(mapping: dict[str, Any]) -> None:
    mapping["splits"] = {"kind": "run"}
    for job in Jobs(Study.from_mapping(mapping)):
        assert "delays" not in job.options
        assert "in_time" not in job.options
    after = copy.deepcopy(mapping)
    after["encode"] = {"ridge": {}}
    after["regions"] = {"V1": {"encode": {"delays": [1, 2]}}, "V4": None}
    models = ("gabor", "net", "blank")
    assert {target for target in changed(mapping, after) if not target.endswith("report.html")} == {
        *(f"results/small/V1/{model}/encoding.nc" for model in models),
        *(f"results/small/splits/{subject}.json" for subject in ("S1", "S2")),
    }
    jobs = Jobs(Study.from_mapping(after)).by_stage
    assert jobs["encode"]["results/small/V1/net/encoding.nc"].options["delays"] == [1, 2]
    assert jobs["splits"]["results/small/splits/S1.json"].options["in_time"] is True


def test_device_and_label_of_a_model_change_no_number(mapping: dict[str, Any]) -> None:
    after = copy.deepcopy(mapping)
    after["device"] = "cpu"
    after["models"]["gabor"]["label"] = "Gabor"
    assert {target.rsplit("/", 1)[1] for target in changed(mapping, after)} == {"report.html", "index.html"}


def test_two_studies_share_what_is_alike(mapping: dict[str, Any]) -> None:
    other = copy.deepcopy(mapping)
    other["study"] = "other"
    shared = {target for target in specs(mapping) if target.startswith("results/shared/")}
    assert shared == {target for target in specs(other) if target.startswith("results/shared/")}
    other["models"]["gabor"]["orientations"] = 4
    assert len(shared ^ {target for target in specs(other) if target.startswith("results/shared/")}) == 2


@pytest.mark.parametrize("stage", ["encode", "compare"])
def test_cells_know_nothing_of_other_regions(mapping: dict[str, Any], stage: str) -> None:
    for target, job in Jobs(Study.from_mapping(mapping)).by_stage[stage].items():
        other = "V4" if "/V1/" in target else "V1"
        assert f'"{other}"' not in job.spec
        assert f"/{other}/" not in job.spec


def test_the_command_redoes_one_region(mapping: dict[str, Any]) -> None:
    jobs = Jobs(Study.from_mapping(mapping, origin="config/studies/small.yaml"))
    assert jobs.command("V4") == "snakemake --configfile config/studies/small.yaml -R encode compare -- region_V4"


def test_what_is_cleaned_is_cleaned_for_all_that_fit_responses(mapping: dict[str, Any]) -> None:
    """Encoders, readouts and joint encoders of one page are scored on the same responses."""
    mapping |= {
        "splits": {"kind": "run"},
        "readout": {"factorized": {}, "layers": {"net": ["a"]}},
        "joint": {"both": {"of": ["gabor", "net"], "stacking": {}}},
        "encode": {"ridge": {}, "delays": [1, 2], "detrend": {"tr": 2.0}, "zscore_runs": True},
    }
    jobs = Jobs(Study.from_mapping(mapping)).by_stage
    cleaning = {"detrend": {"tr": 2.0, "window": 120.0, "order": 3}, "zscore_runs": True}
    for stage in ("encode", "readout", "joint"):
        assert jobs[stage]
        assert all(job.options["cleaning"] == cleaning for job in jobs[stage].values())
    for stage in ("encode", "joint"):
        assert all(job.options["delays"] == [1, 2] for job in jobs[stage].values())
    assert not any("delays" in job.options for job in jobs["readout"].values())


@pytest.mark.parametrize(
    ("metric", "asked"),
    [("rsa", False), ("ricci", False), ("shape", True), ("shape_moments", True), ("stochastic_shape", True)],
)
def test_kernels_are_decomposed_where_some_region_compares_patterns(mapping: dict[str, Any], metric: str, asked: bool) -> None:
    before = Jobs(Study.from_mapping(mapping)).by_stage["kernels"]
    mapping["regions"] = {"V1": {"compare": {metric: {}}}, "V4": None}
    found = Jobs(Study.from_mapping(mapping)).by_stage["kernels"]
    for target, job in found.items():
        added = {"coordinates": True} if asked else {}
        assert job.options == {**before[target].options, **added}
    assert len(found) == 3


def test_the_space_of_shapes_is_shown_and_has_no_rows(mapping: dict[str, Any]) -> None:
    mapping["compare"] = {"shape": {}, "rsa": {}}
    jobs = Jobs(Study.from_mapping(mapping)).by_stage
    for region in ("V1", "V4"):
        target = f"results/small/{region}/shapes.nc"
        assert set(jobs["shapes"][target].inputs["kernels"]) == set(mapping["models"])
        assert jobs["report"][f"results/small/{region}/report.html"].inputs["cells"]["shapes"] == target
        assert "shapes" not in jobs["summarise"][f"results/small/{region}/scores.parquet"].inputs["cells"]
        assert f"results/small/{region}/net/shape.nc" in jobs["compare"]
    mapping["compare"] = {"shape": {"group": "permutation"}}
    job = Jobs(Study.from_mapping(mapping)).by_stage["compare"]["results/small/V1/net/shape.nc"]
    assert list(job.inputs) == ["brain", "kernels", "features"]
