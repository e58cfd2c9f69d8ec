"""`time` in a study: windows and their jobs, what reaches them, and what is refused before any job starts."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from isocortex import planning
from isocortex.errors import StudyError
from isocortex.stages.window import cell_jobs
from isocortex.study import Study
from isocortex.study.jobs import Jobs
from isocortex.study.options.time import window_name

COURSE = {"start": 0.0, "stop": 0.2, "width": 0.1, "step": 0.05}
NAMES = ["0000_0100", "0050_0150", "0100_0200"]


@pytest.fixture
def timed(mapping: dict[str, Any]) -> dict[str, Any]:
    """The small study with a time course, a decoder, two encoders and metrics of two families."""
    mapping["dataset"]["stimuli"]["all"] = {"n": 20, "table": {"path": "t.csv", "id": "id", "labels": ["kind"]}}
    mapping["encode"] = {"ridge": {}, "pls": {}}
    mapping["compare"] = {"rsa": {}, "ricci": {}}
    mapping["decode"] = {"what": {"target": "kind"}}
    mapping["time"] = {"course": COURSE}
    return mapping


def jobs_of(mapping: dict[str, Any]) -> Jobs:
    return Jobs(Study.from_mapping(copy.deepcopy(mapping)))


def test_a_job_for_each_region_and_window_and_the_page_reads_them(timed: dict[str, Any]) -> None:
    jobs = jobs_of(timed).by_stage
    assert list(jobs["window"]) == [
        f"results/small/{region}/windows/{name}.parquet" for region in ("V1", "V4") for name in NAMES
    ]
    assert [job.options["window"] for job in jobs["window"].values()][:3] == [[0.0, 0.1], [0.05, 0.15], [0.1, 0.2]]
    page = jobs["report"]["results/small/V4/report.html"]
    assert page.inputs["windows"] == {name: f"results/small/V4/windows/{name}.parquet" for name in NAMES}
    assert " window -- region_V4" in page.options["command"]
    job = jobs["window"]["results/small/V1/windows/0050_0150.parquet"]
    kernels = {f"results/small/kernels/{model}/all.json" for model in ("gabor", "net", "blank")}
    assert kernels | {"results/small/splits/S1.json", "results/small/splits/S2.json"} < set(job.files)
    assert len([path for path in job.files if "/recordings/" in path]) == 2
    assert not any("brain.nc" in path for path in job.files)
    assert job.options["methods"] == ["pls", "ridge", "rsa"]


def test_cells_in_a_window_have_the_options_of_the_regions_own(timed: dict[str, Any]) -> None:
    jobs = jobs_of(timed).by_stage
    (job,) = [job for job in jobs["window"].values() if job.target.endswith("V1/windows/0000_0100.parquet")]
    found = {
        (stage, model): one
        for stage, model, one in cell_jobs({"inputs": job.inputs, "options": job.options}, "results/small/V1/brain.nc")
    }
    files = {"encode": "encoding", "compare": "rdm", "decode": "decoding"}
    assert len(found) == 3 + 3 + 4
    for (stage, model), one in found.items():
        path = f"results/small/V1/{model}/{files[stage]}.nc" if model else "results/small/V1/decoding.nc"
        own = jobs[stage][path]
        assert one["options"] == own.options, (stage, model)
        assert own.inputs.items() <= one["inputs"].items(), (stage, model)
    whole = jobs["region"]["results/small/V1/brain.nc"]
    assert job.options["parts"]["region"] == {key: value for key, value in whole.options.items() if key != "window"}
    assert job.options["parts"]["summarise"] == jobs["summarise"]["results/small/V1/scores.parquet"].options


def test_without_a_course_nothing_is_added(timed: dict[str, Any]) -> None:
    with_course = {job.target: job.spec for job in jobs_of(timed)}
    del timed["time"]
    jobs = jobs_of(timed)
    assert jobs.by_stage["window"] == {}
    without = {job.target: job.spec for job in jobs}
    reports = {target for target, spec in without.items() if with_course[target] != spec}
    assert reports == {"results/small/V1/report.html", "results/small/V4/report.html"}
    assert set(with_course) - set(without) == {
        f"results/small/{region}/windows/{name}.parquet" for region in ("V1", "V4") for name in NAMES
    }


def test_methods_of_a_course_are_those_named(timed: dict[str, Any]) -> None:
    timed["time"] = {"course": {"windows": [[-0.1, 0.0], [0.0, 0.25]], "methods": ["ridge", "what"]}}
    jobs = jobs_of(timed).by_stage["window"]
    assert [target.rpartition("/")[2] for target in jobs][:2] == ["-0100_0000.parquet", "0000_0250.parquet"]
    parts = next(iter(jobs.values())).options["parts"]
    assert set(parts) == {"region", "encode", "decode", "summarise"}
    assert list(parts["encode"]["encoders"]) == ["ridge"]
    assert list(parts["decode"]["decoders"]) == ["what"]
    timed["encode"]["pls"] = {"components": 3}
    again = jobs_of(timed).by_stage["window"]
    assert [job.spec for job in again.values()] == [job.spec for job in jobs.values()]


def test_a_window_is_planned_as_the_sum_of_its_parts(timed: dict[str, Any]) -> None:
    study = Study.from_mapping(timed)
    jobs = Jobs(study).by_stage
    start = 4.0  # seconds of a command's imports, once for a window
    whole = planning.cost(study, jobs["region"]["results/small/V1/brain.nc"]).seconds
    files = ("encoding", "rdm", "decoding")
    cells = [f"V1/{model}/{file}" for model in ("gabor", "net", "blank") for file in files] + ["V1/decoding"]
    every = {job.target: job for job in Jobs(study)}
    parts = sum(planning.cost(study, every[f"results/small/{cell}.nc"]).seconds - start for cell in cells)
    window = planning.cost(study, jobs["window"]["results/small/V1/windows/0000_0100.parquet"])
    assert window.seconds == pytest.approx(start + whole + parts, rel=0.5)
    assert window.memory_mb >= max(planning.cost(study, every[f"results/small/{cell}.nc"]).memory_mb for cell in cells) * 0.8


@pytest.mark.parametrize(
    ("time", "message"),
    [
        (
            {"window": [0.2, 0.1]},
            r"time: found window \[0\.2, 0\.1\], expected \[start, end\] in seconds with start before end",
        ),
        ({"window": [0.0, 0.0505]}, r"found window \[0\.0, 0\.0505\], expected edges of whole milliseconds"),
        ({"course": {"start": 0.0, "width": 0.1}}, r"time\.course: stop: missing; expected start, stop and width in seconds"),
        ({"course": {**COURSE, "windows": [[0.0, 0.1]]}}, r"time\.course: give windows, or start, stop and width, not both"),
        ({"course": {**COURSE, "stop": 0.05}}, r"found no window of 0\.1 s between start 0 and stop 0\.05"),
        ({"course": {"windows": [[0.0, 0.1], [0.0, 0.1]]}}, r"expected each window once"),
        (
            {"course": {**COURSE, "methods": ["rsb"]}},
            r"time\.course\.methods: unknown .* 'rsb'; expected one of pls, ridge, rsa, what; did you mean 'rsa'",
        ),
        (
            {"course": {**COURSE, "methods": ["ricci"]}},
            r"time\.course\.methods: unknown encoder, metric of RDMs or decoder 'ricci'",
        ),
        ({"course": {**COURSE, "wide": 1}}, r"time\.course.*wide"),
    ],
)
def test_what_makes_no_window_is_refused(timed: dict[str, Any], time: dict[str, Any], message: str) -> None:
    timed["time"] = time
    with pytest.raises(StudyError, match=message) as raised:
        Study.from_mapping(timed)
    assert "\n" not in str(raised.value)


def test_rdms_have_no_time(mapping: dict[str, Any]) -> None:
    mapping["dataset"] |= {"level": "rdm", "regions": {"V1": None}}
    for entry in mapping["dataset"]["subjects"].values():
        entry.clear()
        entry |= {"adapter": "rdm", "stimuli": "all", "rdms": {"V1": {"path": "a.npz", "key": "rdm"}}}
    mapping |= {"compare": {"rsa": {}}, "time": {"course": COURSE}}
    with pytest.raises(StudyError, match="time: mine holds RDMs only, which have no bins of time; leave time out"):
        Study.from_mapping(mapping)


def test_windows_are_named_by_their_edges_in_milliseconds() -> None:
    assert [window_name(w) for w in ([0.0, 0.05], [-0.2, -0.15], [1.2, 12.0])] == ["0000_0050", "-0200_-0150", "1200_12000"]


def test_single_presentations_are_decoded_from_regions_only(timed: dict[str, Any]) -> None:
    timed["decode"]["trial"] = {"target": "kind", "unit": "presentation", "folds": "blocked"}
    jobs = jobs_of(timed).by_stage
    own = jobs["decode"]["results/small/V1/decoding.nc"]
    assert list(own.options["decoders"]) == ["what", "trial"]
    assert list(jobs["decode"]["results/small/V1/net/decoding.nc"].options["decoders"]) == ["what"]
    job = jobs["window"]["results/small/V1/windows/0000_0100.parquet"]
    found = [
        (model, list(one["options"]["decoders"]))
        for stage, model, one in cell_jobs({"inputs": job.inputs, "options": job.options}, "brain.nc")
        if stage == "decode"
    ]
    assert found == [("", ["what", "trial"]), *((model, ["what"]) for model in ("gabor", "net", "blank"))]
    del timed["decode"]["what"]
    jobs = jobs_of(timed).by_stage
    assert list(jobs["decode"]) == ["results/small/V1/decoding.nc", "results/small/V4/decoding.nc"]
    window = jobs["window"]["results/small/V1/windows/0000_0100.parquet"]
    stages = [(stage, model) for stage, model, _ in cell_jobs({"inputs": window.inputs, "options": window.options}, "b")]
    assert [model for stage, model in stages if stage == "decode"] == [""]
