"""Jobs of geometry: of each region by itself, of the layers once for all, and what a page reads of both."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from isocortex.errors import StudyError
from isocortex.geometry import GEOMETRY
from isocortex.planning import cost
from isocortex.study import Study, code
from isocortex.study.jobs import Jobs

TABLE = {"path": "a.csv", "id": "id", "labels": ["kind"]}
LAYERS = {f"results/small/geometry/{model}/all.nc" for model in ("gabor", "net", "blank")}


@pytest.fixture
def described(mapping: dict[str, Any]) -> dict[str, Any]:
    mapping["geometry"] = ["participation_ratio", "two_nn"]
    return mapping


def jobs(mapping: dict[str, Any]) -> Jobs:
    return Jobs(Study.from_mapping(mapping))


def test_layers_are_described_once_and_every_page_reads_them(described: dict[str, Any]) -> None:
    found = jobs(described).by_stage
    assert set(found["geometry_layers"]) == LAYERS
    job = found["geometry_layers"]["results/small/geometry/net/all.nc"]
    assert job.inputs == {"kernels": "results/small/kernels/net/all.json"}
    assert job.options["layers"] == ["a", "b"]
    assert list(job.options["descriptors"]) == ["participation_ratio", "two_nn"]
    assert "V1" not in job.spec
    for region in ("V1", "V4"):
        assert set(found["report"][f"results/small/{region}/report.html"].inputs["geometry_layers"].values()) == LAYERS
        tables = found["summarise"][f"results/small/{region}/scores.parquet"].inputs["cells"]
        assert LAYERS.isdisjoint(tables.values())
        assert tables["geometry"] == f"results/small/{region}/geometry.nc"


def test_only_labels_need_the_stimulus_tables(described: dict[str, Any]) -> None:
    for stage in ("geometry", "geometry_layers"):
        assert not any("stimuli" in job.inputs for job in jobs(described).by_stage[stage].values())
    described["dataset"]["stimuli"]["all"] = {"n": 20, "table": TABLE}
    described["geometry"] = {"label_alignment": {"target": "kind"}}
    for stage in ("geometry", "geometry_layers"):
        for job in jobs(described).by_stage[stage].values():
            assert list(job.inputs["stimuli"]) == ["all"]


@pytest.mark.parametrize("name", [name for name, row in GEOMETRY.items() if row.needs == "labels"])
def test_a_column_that_no_set_has_is_told(described: dict[str, Any], name: str) -> None:
    described["dataset"]["stimuli"]["all"] = {"n": 20, "table": TABLE}
    described["geometry"] = {name: {"target": "kinds"}}
    said = f"geometry.{name}.target: unknown label of the stimulus set 'all' 'kinds'; expected one of kind"
    with pytest.raises(StudyError) as caught:
        Study.from_mapping(described)
    assert str(caught.value).startswith(said)
    described["dataset"]["stimuli"]["all"] = {"n": 20, "simulated": {}}  # only its table knows
    assert list(Study.from_mapping(described).descriptors()) == [name]


def test_nothing_is_described_where_nothing_is_asked(mapping: dict[str, Any]) -> None:
    found = jobs(mapping).by_stage
    assert found["geometry"] == found["geometry_layers"] == {}
    assert "geometry_layers" not in found["report"]["results/small/V1/report.html"].inputs


def test_an_option_reaches_geometry_and_pages_only(described: dict[str, Any]) -> None:
    after = copy.deepcopy(described)
    after["geometry"] = {"participation_ratio": {}, "two_nn": {"discard": 0.2}}
    old, new = ({job.target: job.spec for job in jobs(one)} for one in (described, after))
    regions = {f"results/small/{region}/{file}" for region in ("V1", "V4") for file in ("geometry.nc", "report.html")}
    assert {target for target in new if old[target] != new[target]} == LAYERS | regions


@pytest.mark.parametrize("key", ["regions", "models"])
def test_geometry_is_no_name_of_a_region_or_a_model(mapping: dict[str, Any], key: str) -> None:
    if key == "regions":
        mapping["dataset"]["regions"]["geometry"] = {"where": {"roi": ["V1"]}}
        mapping["regions"] = {"geometry": {}}
    else:
        mapping["models"]["geometry"] = {"source": "gabor"}
    with pytest.raises(StudyError, match="'geometry', which is reserved"):
        Study.from_mapping(mapping)


def test_layers_of_wider_models_and_more_stimuli_cost_more(described: dict[str, Any]) -> None:
    small = Study.from_mapping(described)
    described["dataset"]["stimuli"]["all"]["n"] = 2000
    large = Study.from_mapping(described)
    for stage in ("geometry", "geometry_layers"):
        before, after = (cost(one, next(iter(Jobs(one).by_stage[stage].values()))) for one in (small, large))
        assert before.seconds < after.seconds
        assert before.memory_mb < after.memory_mb


@pytest.mark.parametrize("method", ["two_nn", "persistence_h1"])
def test_the_code_of_a_descriptor_reruns_geometry_only(method: str) -> None:
    """Its module is in the closure of both stages where it is asked for, of no other stage and of no other descriptor."""
    module = code.METHOD_MODULES[method]
    for stage in ("geometry", "geometry_layers"):
        assert module in code.closure([f"isocortex.stages.{stage}", module])
        assert module not in code.closure([f"isocortex.stages.{stage}", code.METHOD_MODULES["participation_ratio"]])
    for stage in set(code.STAGES) - {"geometry", "geometry_layers"}:
        found = code.closure([f"isocortex.stages.{stage}"])
        assert not [name for name in found if name.startswith("isocortex.geometry.")], stage
