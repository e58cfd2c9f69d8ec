"""`space` in a study: which job it makes, what reaches it, and what is refused before any job starts."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from isocortex import planning
from isocortex.errors import StudyError
from isocortex.study import Study
from isocortex.study.jobs import Jobs

TARGET = "results/small/space.nc"


@pytest.fixture
def asking(mapping: dict[str, Any]) -> dict[str, Any]:
    """The small study, whose V4 has no counts, and one more region that nobody asks for."""
    mapping["dataset"]["regions"]["IT"] = {"where": {"roi": ["IT"]}, "neuroids": {"S1": 7}}
    mapping["space"] = {"regions": ["V1", "V4"], "shape": {}, "stochastic_shape": {}}
    return mapping


def specs(mapping: dict[str, Any]) -> dict[str, str]:
    return {job.target: job.spec for job in Jobs(Study.from_mapping(mapping))}


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    old, new = specs(before), specs(after)
    return {target for target in new if old.get(target) != new[target]}


def test_the_job_reads_the_regions_it_names_and_the_index_reads_it(asking: dict[str, Any]) -> None:
    jobs = Jobs(Study.from_mapping(asking)).by_stage
    (job,) = jobs["space"].values()
    assert job.target == TARGET
    assert job.files == ["results/small/V1/brain.nc", "results/small/V4/brain.nc"]
    assert job.options["systems"] == [["V1", "S1"], ["V1", "S2"], ["V4", "S1"], ["V4", "S2"]]
    assert job.options["methods"]["shape"] == {"alpha": 1.0, "kind": "angular", "group": "orthogonal"}
    assert job.options["methods"]["stochastic_shape"] == {"distribution": "auto", "alpha": 1.0}
    assert job.options["halves"] == {"least_trials": 8, "blocks": 10, "splits": 20, "shuffles": 99}
    (index,) = jobs["index"].values()
    assert TARGET in index.files


def test_halves_are_the_same_where_only_the_shape_is_asked_for(asking: dict[str, Any]) -> None:
    asking["space"] = {"shape": {}}
    (job,) = Jobs(Study.from_mapping(asking)).by_stage["space"].values()
    assert list(job.options["methods"]) == ["shape"]
    assert job.options["halves"]["splits"] == 20
    assert ["IT", "S1"] in job.options["systems"]
    assert ["IT", "S2"] not in job.options["systems"]


def test_who_does_not_ask_gets_none(asking: dict[str, Any]) -> None:
    before = copy.deepcopy(asking)
    del before["space"]
    assert not Jobs(Study.from_mapping(before)).by_stage["space"]
    assert changed(before, asking) == {TARGET, "results/small/index.html"}


@pytest.mark.parametrize(
    "options",
    [
        {"shape": {"alpha": 0.5}},
        {"shape": {"kind": "euclidean"}},
        {"stochastic_shape": {"distribution": "energy"}},
        {"stochastic_shape": {"splits": 5}},
        {"least_units": 3},
    ],
)
def test_an_option_reaches_this_job_only(asking: dict[str, Any], options: dict[str, Any]) -> None:
    after = copy.deepcopy(asking)
    after["space"] |= options
    assert changed(asking, after) == {TARGET}


def test_draws_and_another_region_do_not_reach_it(asking: dict[str, Any]) -> None:
    after = copy.deepcopy(asking)
    after["inference"] = {"draws": 333}
    assert TARGET not in changed(asking, after)
    asking["regions"], after["regions"] = {"V1": {}, "V4": {}}, {"V1": {}, "V4": {}, "IT": {}}
    assert TARGET not in changed(asking, after)


def test_it_costs_more_for_more(asking: dict[str, Any]) -> None:
    def cost(**options: Any) -> planning.Cost:
        mapping = copy.deepcopy(asking)
        mapping["space"] |= options
        study = Study.from_mapping(mapping)
        return planning.cost(study, Jobs(study).by_stage["space"][TARGET])

    least = cost()
    assert 0 < least.seconds < 600
    assert 0 < least.memory_mb < 4000
    assert cost(stochastic_shape={"splits": 100}).seconds > least.seconds
    assert cost(stochastic_shape={"shuffles": 999}).seconds > least.seconds
    assert cost(stochastic_shape=None).seconds < least.seconds
    assert cost(regions="all").seconds > least.seconds


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"regions": ["V1", "V5"]}, r"space\.regions: unknown region 'V5'; expected one of V1, V4"),
        ({"regions": ["V1", "V1"]}, r"space: regions: found \['V1', 'V1'\], expected each once"),
        ({"regions": ["IT"]}, r"space: found 1 region of a subject \(IT of S1\), expected at least 2 to compare; add a region"),
        ({"shape": {"alpha": 1.5}}, r"space\.shape\.alpha: found 1\.5"),
        ({"shape": {"alpha": 0.5, "group": "permutation"}}, r"found 0\.5 with group: permutation, expected 1\.0; whitening"),
        ({"stochastic_shape": {"distribution": "normal"}}, r"space\.stochastic_shape\.distribution: found 'normal'"),
        ({"stochastic_shape": {"least_trials": 3}}, r"space\.stochastic_shape\.least_trials: found 3"),
        ({"shape": None, "stochastic_shape": None}, "space: found no distance; name one of shape, stochastic_shape, as shape"),
        ({"shapes": {}}, r"space: unknown key 'shapes'.*did you mean 'shape'"),
    ],
)
def test_options_that_cannot_be_are_refused(asking: dict[str, Any], options: dict[str, Any], text: str) -> None:
    asking["space"] |= options
    with pytest.raises(StudyError, match=text):
        Study.from_mapping(asking)


def test_other_stimuli_for_some_are_refused(asking: dict[str, Any]) -> None:
    asking["dataset"]["stimuli"]["more"] = asking["dataset"]["stimuli"]["all"]
    asking["dataset"]["subjects"]["S2"]["stimuli"] = "more"
    with pytest.raises(StudyError, match="space: found the stimulus sets all, more, expected one; name subjects that saw the"):
        Study.from_mapping(asking)


def test_rdms_are_refused(repository: Any) -> None:
    mapping = {
        "study": "x",
        "dataset": "cichy2014_rdm92",
        "models": {"face": {"source": "labels", "columns": ["face"]}},
        "space": {"shape": {}},
    }
    with pytest.raises(
        StudyError, match="space: cichy2014_rdm92 holds RDMs only, and shapes are of responses; leave space out"
    ):
        Study.from_mapping(mapping, catalogue=repository / "config/catalogue")
