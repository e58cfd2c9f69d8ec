"""`identify_models` in a study: which jobs it makes, what reaches them, and what is refused before any job starts."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from isocortex import planning
from isocortex.errors import StudyError
from isocortex.identification import MEASUREMENTS as COMPUTED
from isocortex.planning import identification
from isocortex.planning.sizes import Shapes
from isocortex.study import Study
from isocortex.study.identify_models import asked_methods, planned_kinds
from isocortex.study.jobs import Jobs
from isocortex.study.known_kinds import FAMILIES, default_kinds
from isocortex.study.options.identification import MEASUREMENTS

KNOWN, V1, V4 = "results/small/known_models/all.nc", "results/small/V1/identification.nc", "results/small/V4/identification.nc"
SEEDED = {"source": "callable", "call": "isocortex.features.seeded:build", "options": {"channels": 4}, "seeds": [0, 1]}


@pytest.fixture
def asking(mapping: dict[str, Any]) -> dict[str, Any]:
    mapping["identify_models"] = {}
    mapping["encode"], mapping["compare"] = {"ridge": {}}, {"rsa": {}, "trsa": {}}
    return mapping


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """Targets whose specification differs, or that only one of the two has."""
    first, second = ({job.target: job.spec for job in Jobs(Study.from_mapping(given))} for given in (before, after))
    return {target for target in {*first, *second} if first.get(target) != second.get(target)}


def test_measurements_are_those_that_are_computed() -> None:
    assert tuple(COMPUTED) == MEASUREMENTS


def test_default_kinds_are_families_of_two_and_every_model_of_the_study(asking: dict[str, Any]) -> None:
    kinds = planned_kinds(Study.from_mapping(asking))
    assert list(kinds) == [*FAMILIES, "gabor", "net", "blank"]
    assert len(FAMILIES) == 8
    assert all(len(kinds[name]) == 2 and None not in kinds[name].values() for name in FAMILIES)
    assert all(kinds[name] == {name: None} for name in ("gabor", "net", "blank"))
    seeds = [entry["options"]["seed"] for name in FAMILIES for entry in kinds[name].values() if entry]
    assert len(set(seeds)) == 16
    assert len({entry["options"]["channels"] for entry in default_kinds().values()}) >= 2
    assert len({entry["options"]["depth"] for entry in default_kinds().values()}) >= 3


def test_a_model_called_as_a_family_keeps_its_name(asking: dict[str, Any]) -> None:
    asking["models"]["deep"] = {"source": "pixels"}
    kinds = planned_kinds(Study.from_mapping(asking))
    assert kinds["deep"] == {"deep": None}
    assert len(kinds["deep-family"]) == 2


def test_seeds_go_to_the_function_or_to_the_weights(asking: dict[str, Any]) -> None:
    asking["identify_models"]["kinds"] = {
        "thin": SEEDED, "blanks": {"like": "net", "weights": "random", "seeds": [5, 6]}, "pair": {"models": ["net", "gabor"]},
    }  # fmt: skip
    kinds = planned_kinds(Study.from_mapping(asking))
    thin, blanks = list(kinds["thin"].values()), list(kinds["blanks"].values())
    assert [entry and entry["options"] for entry in thin] == [{"channels": 4, "seed": 0}, {"channels": 4, "seed": 1}]
    assert [entry and (entry["weights"], entry["seed"], entry["call"]) for entry in blanks] == [
        ("random", 5, "mine.py:build"),
        ("random", 6, "mine.py:build"),
    ]
    assert kinds["pair"] == {"net": None, "gabor": None}


def test_one_job_for_known_models_and_one_for_each_region_which_its_page_waits_for(asking: dict[str, Any]) -> None:
    jobs = Jobs(Study.from_mapping(asking)).by_stage
    (known,) = jobs["known"].values()
    assert known.target == KNOWN
    assert [(item["kind"], item["instance"]) for item in known.options["instances"]][:2] == [
        ("rectified", "rectified-1000"),
        ("rectified", "rectified-1001"),
    ]
    assert list(jobs["identify_models"]) == [V1, V4]
    job = jobs["identify_models"][V1]
    assert {KNOWN, "results/small/V1/brain.nc"} <= set(job.files)
    assert list(job.options["methods"]) == ["ridge", "rsa", "trsa"]
    assert [item["kind"] for item in json.loads(job.spec)["options"]["kinds"]][:3] == ["rectified", "saturating", "shallow"]
    assert V1 in jobs["report"]["results/small/V1/report.html"].files
    without = copy.deepcopy(asking)
    del without["identify_models"]
    assert changed(without, asking) == {
        KNOWN, V1, V4, "results/small/V1/report.html", "results/small/V4/report.html",
    }  # fmt: skip


def test_only_models_of_the_study_need_no_known_job(asking: dict[str, Any]) -> None:
    asking["models"]["raw"] = {"source": "pixels"}
    asking["identify_models"]["kinds"] = {"one": {"models": ["gabor", "net"]}, "two": {"models": ["blank", "raw"]}}
    jobs = Jobs(Study.from_mapping(asking)).by_stage
    assert not jobs["known"]
    assert "known" not in jobs["identify_models"][V1].inputs


@pytest.mark.parametrize(
    ("options", "targets"),
    [
        ({"worlds": 40}, {V1, V4}),
        ({"noise": [0, 1]}, {V1, V4}),
        ({"methods": ["rsa"]}, {V1, V4}),
        ({"max_units": 50}, {KNOWN, V1, V4}),
        ({"max_neuroids": 50}, {V1, V4}),
    ],
    ids=["worlds", "noise", "methods", "units", "neuroids"],
)
def test_options_reach_the_jobs(asking: dict[str, Any], options: dict[str, Any], targets: set[str]) -> None:
    after = copy.deepcopy(asking)
    after["identify_models"] = options
    assert changed(asking, after) == targets


def test_it_costs_more_for_more(asking: dict[str, Any]) -> None:
    def cost(stage: str, **options: Any) -> planning.Cost:
        mapping = copy.deepcopy(asking)
        mapping["identify_models"] = options
        study = Study.from_mapping(mapping)
        return planning.cost(study, next(iter(Jobs(study).by_stage[stage].values())))

    least = cost("identify_models", worlds=40)
    assert 0 < least.seconds < 600
    assert 0 < least.memory_mb < 4000
    assert cost("identify_models", worlds=400).seconds > least.seconds
    assert cost("identify_models", worlds=40, max_neuroids=10_000).seconds >= least.seconds
    assert cost("identify_models", worlds=40, methods=["rsa"]).seconds < least.seconds
    two = {"a": SEEDED, "b": {**SEEDED, "seeds": [2, 3]}}
    assert cost("known", kinds=two).seconds < cost("known").seconds
    assert cost("known", kinds=two, max_units=50).disk_mb < cost("known", kinds=two).disk_mb


KINDS = "identify_models.kinds"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"kinds": {"a": {"models": ["nett"]}, "b": SEEDED}}, rf"{KINDS}\.a\.models: unknown model 'nett'.*did you mean 'net'"),
        ({"kinds": {"a": {"models": ["net", "net"]}, "b": SEEDED}}, rf"{KINDS}\.a\.models: found .*expected each once"),
        ({"kinds": {"a": {"like": "nett", "seeds": [0]}, "b": SEEDED}}, rf"{KINDS}\.a\.like: unknown model 'nett'"),
        ({"kinds": {"a": {**SEEDED, "seeds": [1, 1]}, "b": SEEDED}}, rf"{KINDS}\.a\.seeds: found \[1, 1\], expected each once"),
        ({"kinds": {"a": {"source": "gabor"}, "b": SEEDED}}, rf"{KINDS}\.a\.seeds: found None, expected whole numbers"),
        ({"kinds": {"a": {"source": "gabor", "seeds": [0, 1]}, "b": SEEDED}}, rf"{KINDS}\.a\.seeds: .*that no seed changes"),
        ({"kinds": {"a": {"models": ["net"]}, "b": SEEDED}}, rf"{KINDS}: found 1 kinds with two instances \(b\), expected at"),
        ({"kinds": {"a b": SEEDED, "b": SEEDED}}, rf"{KINDS}: a kind is 'a b', expected 1 to 64 letters"),
        ({"kinds": {"a": {"models": ["net", "gabor"]}, "b": {"models": ["net", "blank"]}}},
         rf"{KINDS}\.b: found instance 'net', which kind 'a' has, too; expected each in one kind"),
        ({"kinds": {"default": {}, "deep": {**SEEDED, "seeds": [7, 8]}}}, rf"{KINDS}: found kind 'deep' twice"),
        ({"kinds": {"default": {}, "net": {**SEEDED, "seeds": [7, 8]}}}, rf"{KINDS}: found kind 'net' twice, .*; rename"),
        ({"kinds": {"a": SEEDED, "b": {**SEEDED, "options": {"channels": 8}, "seeds": [1, 2]}}},
         rf"{KINDS}\.b\.seeds: found 1, which kind 'a' of the same network has, too, and with it its weights"),
        ({"methods": ["rsaa"]}, r"identify_models\.methods: unknown method 'rsaa'; .*did you mean 'rsa'"),
        ({"noise": [1, 1]}, r"identify_models: noise: found \[1, 1\], expected each once"),
        ({"stimuli": [2]}, r"identify_models\.stimuli\.0: found 2"),
        ({"worlds": 3}, r"identify_models\.worlds: found 3"),
    ],
    ids=["model", "twice", "like", "seeds", "none", "fixed", "few", "id", "shared", "family", "namesake", "weights",
         "method", "noise", "stimuli", "worlds"],
)  # fmt: skip
def test_options_that_cannot_be_are_refused(asking: dict[str, Any], options: dict[str, Any], text: str) -> None:
    asking["identify_models"] = options
    with pytest.raises(StudyError, match=text):
        Study.from_mapping(asking)


def test_rdms_without_responses_are_refused(asking: dict[str, Any]) -> None:
    asking["dataset"]["level"] = "rdm"
    asking["dataset"]["regions"] = {"V1": {}}
    asking["dataset"]["subjects"] = {"S1": {"stimuli": "all", "adapter": "rdm", "rdms": {"V1": {"path": "a.npz", "key": "r"}}}}
    with pytest.raises(StudyError, match="identify_models: mine holds RDMs only, and noise is known of responses; leave"):
        Study.from_mapping(asking)


def test_known_is_no_id_of_a_region(asking: dict[str, Any]) -> None:
    asking["dataset"]["regions"]["known_models"] = {"where": {"roi": ["V2"]}}
    with pytest.raises(StudyError, match="'known_models', which is reserved"):
        Study.from_mapping(asking)


def test_models_of_a_kind_beside_the_default_ones_are_in_that_kind_alone(asking: dict[str, Any]) -> None:
    asking["identify_models"]["kinds"] = {"default": {}, "pair": {"models": ["net", "gabor"]}}
    kinds = planned_kinds(Study.from_mapping(asking))
    assert list(kinds) == [*FAMILIES, "blank", "pair"]
    asking["identify_models"]["kinds"] = {"default": {}, "net": {"models": ["net", "gabor"]}}
    assert list(planned_kinds(Study.from_mapping(asking))) == [*FAMILIES, "blank", "net"]


def test_methods_are_looked_for_in_the_regions_that_are_asked(asking: dict[str, Any]) -> None:
    asking["regions"] = {"V1": {}, "V4": {"compare": {"cka": {}}}}
    asking["identify_models"] = {"regions": ["V1"], "methods": ["cka"]}
    with pytest.raises(StudyError, match=r"identify_models\.methods: unknown method 'cka'"):
        Study.from_mapping(asking)
    asking["identify_models"]["regions"] = ["V4"]
    assert Study.from_mapping(asking)


def test_delays_reach_the_encoders_that_are_asked(asking: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study.from_mapping(asking)
    assert asked_methods(study, "V1")["ridge"] == {"alphas": "auto"}
    monkeypatch.setattr(Study, "delays", lambda *_: [1, 2])
    assert asked_methods(study, "V1")["ridge"] == {"alphas": "auto", "delays": [1, 2]}
    assert "delays" not in asked_methods(study, "V1")["rsa"]


def test_more_neuroids_cost_more_up_to_those_that_are_drawn(asking: dict[str, Any]) -> None:
    job = Jobs(Study.from_mapping(asking)).by_stage["identify_models"][V1]
    one = dict.fromkeys(("layers", "features", "subjects", "outer", "folds", "draws"), 1)
    sizes = {"stimuli": 400, "repeats": 4, "test": 0.0, **one}
    seconds = [identification.identify_models(Shapes(neuroids=v, **sizes), job).seconds for v in (40, 400, 500, 5000)]
    assert seconds[0] < seconds[1] < seconds[2] == seconds[3]
