"""`identify_regions` in a study: which job it makes, what reaches it, and what is refused before any job starts."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from isocortex import planning
from isocortex.errors import StudyError
from isocortex.study import Study
from isocortex.study.jobs import Jobs

TARGET = "results/small/region_identification.nc"


@pytest.fixture
def asking(mapping: dict[str, Any]) -> dict[str, Any]:
    """The small study with three subjects, who have both regions, and one more region that nobody asks for."""
    subjects, regions = mapping["dataset"]["subjects"], mapping["dataset"]["regions"]
    subjects["S3"] = copy.deepcopy(subjects["S1"])
    regions["V1"]["neuroids"] = {"S1": 5, "S2": 6, "S3": 5}
    regions["IT"] = {"where": {"roi": ["IT"]}}
    mapping["identify_regions"] = {"regions": ["V1", "V4"], "stimuli": [5, 20]}
    return mapping


def specs(mapping: dict[str, Any]) -> dict[str, str]:
    return {job.target: job.spec for job in Jobs(Study.from_mapping(mapping))}


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    old, new = specs(before), specs(after)
    return {target for target in new if old.get(target) != new[target]}


def test_the_job_reads_the_regions_it_names_and_the_index_reads_it(asking: dict[str, Any]) -> None:
    jobs = Jobs(Study.from_mapping(asking)).by_stage
    (job,) = jobs["identify_regions"].values()
    assert job.target == TARGET
    assert job.files == ["results/small/V1/brain.nc", "results/small/V4/brain.nc"]
    assert list(job.options["statistics"]) == ["rsa", "rsa_rank", "topology", "geometry", "trsa"]
    (index,) = jobs["index"].values()
    assert TARGET in index.files


def test_who_does_not_ask_gets_none(asking: dict[str, Any]) -> None:
    before = copy.deepcopy(asking)
    del before["identify_regions"]
    assert not Jobs(Study.from_mapping(before)).by_stage["identify_regions"]
    assert changed(before, asking) == {TARGET, "results/small/index.html"}


@pytest.mark.parametrize(
    "options", [{"stimuli": [5, 10]}, {"noise": [0, 0.5]}, {"subsets": 10}, {"rdm": "cosine"}, {"statistics": {"rsa": {}}}]
)
def test_an_option_reaches_this_job_only(asking: dict[str, Any], options: dict[str, Any]) -> None:
    after = copy.deepcopy(asking)
    after["identify_regions"] |= options
    assert changed(asking, after) == {TARGET}


def test_draws_and_another_region_do_not_reach_it(asking: dict[str, Any]) -> None:
    after = copy.deepcopy(asking)
    after["inference"] = {"draws": 333}
    assert TARGET not in changed(asking, after)
    asking["regions"], after["regions"] = {"V1": {}, "V4": {}}, {"V1": {}, "V4": {}, "IT": {}}
    assert TARGET not in changed(asking, after)


def test_a_subject_more_reaches_it(asking: dict[str, Any]) -> None:
    after = copy.deepcopy(asking)
    subjects = after["dataset"]["subjects"]
    subjects["S4"] = copy.deepcopy(subjects["S1"])
    after["dataset"]["regions"]["V1"]["neuroids"]["S4"] = 5
    assert TARGET in changed(asking, after)


def test_it_costs_more_for_more(asking: dict[str, Any]) -> None:
    def cost(**options: Any) -> planning.Cost:
        mapping = copy.deepcopy(asking)
        mapping["identify_regions"] |= options
        study = Study.from_mapping(mapping)
        return planning.cost(study, Jobs(study).by_stage["identify_regions"][TARGET])

    least = cost(subsets=50)
    assert 0 < least.seconds < 600
    assert 0 < least.memory_mb < 4000
    assert cost(subsets=400).seconds > least.seconds
    assert cost(subsets=50, noise=[0, 0.5]).seconds > least.seconds
    assert cost(subsets=50, stimuli=[5]).seconds < least.seconds
    assert cost(subsets=50, statistics={"rsa": {}}).seconds < least.seconds


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"regions": ["V1", "V5"]}, r"identify_regions\.regions: unknown region 'V5'; expected one of V1, V4"),
        ({"regions": ["V1", "V1"]}, r"identify_regions: regions: found \['V1', 'V1'\], expected each once"),
        ({"stimuli": [5, 21]}, r"identify_regions\.stimuli: found 21, expected at most 20, the stimuli of 'all'"),
        (
            {"stimuli": [2]},
            r"identify_regions\.stimuli: found \[2\] \(list\), should be 'all' or should be greater than or equal to 3",
        ),
        ({"noise": [-0.1]}, r"identify_regions\.noise\.0: found -0\.1"),
        ({"statistics": {"trsa": {"step": 0.07}}}, "found 0.07, expected a whole part of 1, as 0.05"),
        ({"statistics": {}}, "identify_regions: statistics: found none; name one, as rsa: {}"),
        ({"statistics": {"tsra": {}}}, r"identify_regions\.statistics: unknown key 'tsra'.*did you mean 'trsa'"),
    ],
)
def test_options_that_cannot_be_are_refused(asking: dict[str, Any], options: dict[str, Any], text: str) -> None:
    asking["identify_regions"] |= options
    with pytest.raises(StudyError, match=text):
        Study.from_mapping(asking)


def test_one_region_is_refused(asking: dict[str, Any]) -> None:
    asking["identify_regions"], asking["regions"] = {}, {"V1": {}}
    with pytest.raises(
        StudyError, match=r"identify_regions\.regions: found 1 region \(V1\), expected at least 2 to tell apart"
    ):
        Study.from_mapping(asking)


def test_two_subjects_are_refused(asking: dict[str, Any]) -> None:
    asking["subjects"] = ["S1", "S2"]
    with pytest.raises(
        StudyError, match="identify_regions: found 2 subjects with all of V1, V4, expected at least 3, because one is"
    ):
        Study.from_mapping(asking)


def test_other_stimuli_for_some_are_refused(asking: dict[str, Any]) -> None:
    asking["dataset"]["stimuli"]["more"] = asking["dataset"]["stimuli"]["all"]
    asking["dataset"]["subjects"]["S2"]["stimuli"] = "more"
    with pytest.raises(
        StudyError, match="identify_regions: found the stimulus sets all, more, expected one; name subjects that saw"
    ):
        Study.from_mapping(asking)
