"""Which files of a data set belong together, and which of them a study fetches."""

from __future__ import annotations

import copy

import pytest

from isocortex.study import Study
from isocortex.study.jobs import Jobs
from isocortex.study.parts import parts

ENTRY = {
    "name": "mine",
    "base": "https://bucket.example/data/",
    "files": {"shared.npz": {"sha256": "0" * 64}, "folder": {"url": "https://elsewhere.example/x"}, "weights.pt": None},
    "stimuli": {
        "first": {"n": 3, "ids": {"path": "shared.npz", "key": "id"}, "images": {"path": "first.zip"}},
        "second": {"n": 3, "numbered": True},
    },
    "subjects": {
        name: {
            "adapter": "npz",
            "stimuli": "first" if name == "A" else "second",
            "path": f"{name}.npz",
            "dims": ["stimulus", "neuroid"],
            "neuroid": {"roi": {"path": "shared.npz", "key": "roi"}, "x": {"path": f"folder/{name}.npy"}},
        }
        for name in ("A", "B", "C")
    },
    "regions": {"V1": {"where": {"roi": ["V1"]}}},
}
MAPPING = {"study": "s", "dataset": ENTRY, "models": {"pixels": {"source": "pixels"}}}


def url(path: str) -> dict[str, str]:
    return {"url": f"https://bucket.example/data/{path}"}


def test_a_file_of_one_subject_or_set_is_a_part_of_its_own() -> None:
    found = parts({**ENTRY, "files": dict(ENTRY["files"])})
    assert found == {
        # Named by several, by nobody, or lying in a folder that several read.
        "common": {"shared.npz": {"sha256": "0" * 64}, "folder": {"url": "https://elsewhere.example/x"}, "weights.pt": {}}
        | {"weights.pt": url("weights.pt")},
        "stimuli-first": {"first.zip": url("first.zip")},
        "subject-A": {"A.npz": url("A.npz")},
        "subject-B": {"B.npz": url("B.npz")},
        "subject-C": {"C.npz": url("C.npz")},
    }


def test_without_a_base_only_listed_files_are_fetched() -> None:
    found = parts({**ENTRY, "base": None})
    assert found == {"common": {"shared.npz": {"sha256": "0" * 64}, "folder": ENTRY["files"]["folder"], "weights.pt": {}}}


@pytest.mark.parametrize(
    ("subjects", "wanted"),
    [
        (["A"], {"common", "subject-A", "stimuli-first"}),
        (["B"], {"common", "subject-B"}),
        (["A", "C"], {"common", "subject-A", "subject-C", "stimuli-first"}),
    ],
)
def test_a_study_fetches_what_its_subjects_need(subjects: list[str], wanted: set[str]) -> None:
    jobs = Jobs(Study.from_mapping(copy.deepcopy({**MAPPING, "subjects": subjects}))).by_stage
    assert {job.options["part"] for job in jobs["fetch"].values()} == wanted
    assert set(jobs["fetch"]) == {f"resources/mine/manifests/{part}.json" for part in wanted}
    for job in (*jobs["record"].values(), *jobs["stimuli"].values()):
        assert set(job.inputs["manifests"].values()) <= set(jobs["fetch"])


def test_another_choice_of_subjects_changes_no_part() -> None:
    one, two = (
        Jobs(Study.from_mapping(copy.deepcopy({**MAPPING, "subjects": s}))).by_stage["fetch"] for s in (["A"], ["A", "B"])
    )
    assert all(two[target].spec == job.spec for target, job in one.items())


def test_what_a_base_asks_for_stays_behind_the_path() -> None:
    found = parts({**ENTRY, "base": "openneuro://ds001499/?tag=1.3.1"})
    assert found["subject-A"] == {"A.npz": {"url": "openneuro://ds001499/A.npz?tag=1.3.1"}}


def test_an_atlas_by_name_is_a_part_of_its_own() -> None:
    dataset = copy.deepcopy(ENTRY)
    regions = {"Vis": {"atlas": {"name": "yeo_2011", "networks": 7}, "labels": ["1"]}, "V1": {}}
    jobs = Jobs(Study.from_mapping({**MAPPING, "dataset": dataset, "regions": regions})).by_stage
    (part,) = (job for job in jobs["fetch"].values() if job.options["part"].startswith("atlas-"))
    assert list(part.options["entry"]["files"].values()) == [{"url": "nilearn-atlas://yeo_2011?networks=7"}]
    cut, whole = jobs["region"]["results/s/Vis/brain.nc"], jobs["region"]["results/s/V1/brain.nc"]
    assert part.output in cut.inputs["manifests"].values()
    assert part.output not in whole.files
    common = next(job for job in jobs["fetch"].values() if job.options["part"] == "common")
    assert common.spec == Jobs(Study.from_mapping(copy.deepcopy(MAPPING))).by_stage["fetch"][common.target].spec
