"""Regions by place in a study: what is planned, which files the job reads, and what is refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from isocortex.errors import StudyError
from isocortex.study import Study
from isocortex.study.jobs import Jobs
from isocortex.study.regions import RegionPlan

MASK = {"kind": "mask", "threshold": 0, "space": None}


def planned(mapping: dict[str, Any], regions: dict[str, Any], origin: Path | None = None) -> dict[str, RegionPlan]:
    return Study.from_mapping(copy.deepcopy({**mapping, "regions": regions}), origin=origin).regions


def test_places_alone_are_cut_out_of_all_neuroids(mapping: dict[str, Any]) -> None:
    plan = planned(mapping, {"ball": {"sphere": {"center": [1, 2.5, -3], "radius": 8}}})["ball"]
    assert plan.anywhere == [{}]
    assert plan.places == [[{"kind": "spheres", "spheres": [{"center": [1, 2.5, -3], "radius": 8, "space": None}]}]]
    assert plan.sources == []
    assert plan.subjects == ["S1", "S2"]


def test_bounds_choose_among_the_neuroids_of_the_region_of_that_name(mapping: dict[str, Any]) -> None:
    """`V1: {at_least: …}` is V1's better neuroids, as `V1: {min_reliability: …}` is; under another name it needs `of`."""
    bound = {"kind": "at_least", "bounds": {"ncsnr": 0.2}}
    plan = planned(mapping, {"V1": {"at_least": {"ncsnr": 0.2}}, "best": {"at_least": {"ncsnr": 0.2}}})
    assert plan["V1"].anywhere == [{"roi": ["V1"]}]
    assert plan["best"].anywhere == [{}]
    assert plan["V1"].places == plan["best"].places == [[bound]]


def test_a_region_is_cut_by_all_that_is_given(mapping: dict[str, Any]) -> None:
    entry = {"of": "V1", "where": {"side": ["l"]}, "mask": "rois/m.nii", "at_least": {"ncsnr": 0.2}, "at_most": {"z": 10}}
    plan = planned(mapping, {"V1": {}, "cut": entry})
    assert plan["V1"].places == []
    assert plan["cut"].anywhere == [{"roi": ["V1"], "side": ["l"]}]
    assert plan["cut"].places == [
        [
            {**MASK, "image": {"path": "rois/m.nii"}},
            {"kind": "at_least", "bounds": {"ncsnr": 0.2}},
            {"kind": "at_most", "bounds": {"z": 10}},
        ]
    ]
    assert plan["V1"].neuroids == {"S1": 5, "S2": 6}
    assert plan["cut"].neuroids == {}  # not known before the recording is read


def test_regions_of_the_data_set_bring_their_places_into_a_union(mapping: dict[str, Any]) -> None:
    mapping["dataset"]["regions"]["IT"] = {"mask": {"path": "it.nii", "threshold": 0.5, "space": "T1w"}}
    plan = planned(mapping, {"both": {"any_of": ["V4", "IT"], "at_least": {"r": 0.1}}})["both"]
    bound = {"kind": "at_least", "bounds": {"r": 0.1}}
    assert plan.anywhere == [{"roi": ["V4"]}, {}]
    assert plan.places == [[bound], [{**MASK, "threshold": 0.5, "space": "T1w", "image": {"path": "it.nii"}}, bound]]


def test_an_atlas_by_its_name_has_its_space_and_its_folder(mapping: dict[str, Any]) -> None:
    atlas = {"name": "schaefer_2018", "n_rois": 400, "networks": 7}
    plan = planned(mapping, {"vis": {"atlas": atlas, "labels": ["Vis_1"]}, "any": {"atlas": "aal", "labels": ["a"]}})
    folder = "atlases/schaefer_2018-400-7"
    assert plan["vis"].places == [
        [
            {
                "kind": "atlas",
                "labels": ["Vis_1"],
                "image": {"path": f"{folder}/atlas.nii.gz"},
                "table": {"index": "index", "name": "name", "place": {"path": f"{folder}/labels.tsv"}},
                "space": "MNI152NLin6Asym",
            }
        ]
    ]
    assert plan["any"].places[0][0]["space"] == "MNIColin27"


def test_the_job_reads_files_of_the_study_and_of_the_data_set(mapping: dict[str, Any], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "mine.nii").write_bytes(b"")
    table = {"path": "names.csv", "index": "number", "name": "label"}
    regions = {"V1": {}, "A": {"mask": "mine.nii"}, "B": {"atlas": {"path": "a.nii", "table": table}, "labels": ["x"]}}
    study = Study.from_mapping({**mapping, "regions": regions}, origin=tmp_path / "config" / "study.yaml")
    found = {job.options["region"]: job for job in Jobs(study).by_stage["region"].values()}
    assert "places" not in found["V1"].options
    assert "manifests" not in found["V1"].inputs
    assert found["A"].options["places"] == [[{**MASK, "image": {"file": "config/mine.nii"}}]]
    assert found["A"].watched == ("config/mine.nii",)
    assert "config/mine.nii" in found["A"].files
    assert found["B"].options["places"][0][0]["image"] == {"path": "a.nii"}
    assert found["B"].options["places"][0][0]["table"]["place"] == {"path": "names.csv"}
    assert found["B"].options["root"] == "resources/mine"
    assert found["B"].inputs["manifests"]["common"].startswith("resources/mine/")
    assert found["B"].watched == ()


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (
            {"of": "V1", "where": {"roi": ["V4"]}},
            r"regions\.x\.where\.roi: found \['V4'\], expected some of \['V1'\], which is all",
        ),
        ({"atlas": "aal"}, r"regions\.x: atlas: found without labels; give both"),
        ({"labels": ["a"]}, r"regions\.x: labels: found without atlas; give both"),
        ({"atlas": "ale", "labels": ["a"]}, r"regions\.x\.atlas\.name: found 'ale'"),
        ({"atlas": {}, "labels": ["a"]}, r"regions\.x\.atlas: give name .* or path .*, one of them"),
        ({"atlas": {"name": "aal", "n_rois": 100}, "labels": ["a"]}, r"n_rois: found with aal, which has version"),
        ({"atlas": {"path": "a.nii", "version": "1"}, "labels": ["a"]}, r"version: found with path, a file has none"),
        (
            {"atlas": {"name": "aal", "table": {"path": "t.csv"}}, "labels": ["a"]},
            r"table: found with name: aal, which brings its",
        ),
        ({"atlas": "juelich", "labels": ["a"]}, r"image: missing with name: juelich, .* say maxprob-thr25-2mm"),
        (
            {"atlas": {"name": "harvard_oxford", "image": "cort-prob-1mm"}, "labels": ["a"]},
            r"image: found 'cort-prob-1mm', expected one of most probable labels, say cort-maxprob-thr25-2mm",
        ),
        ({"sphere": {"center": [0, 0], "radius": 3}}, r"regions\.x\.sphere\.center: found"),
        ({"sphere": {"center": [0, 0, 0], "radius": 0}}, r"regions\.x\.sphere\.radius"),
        (
            {"sphere": {"center": [0, 0, 0], "radius": 1}, "spheres": [{"center": [0, 0, 0], "radius": 1}]},
            r"regions\.x: give sphere or spheres, not both",
        ),
        ({"at_least": {}}, r"regions\.x\.at_least"),
    ],
)
def test_what_is_refused_before_any_job(mapping: dict[str, Any], entry: dict[str, Any], text: str) -> None:
    with pytest.raises(StudyError, match=text):
        planned(mapping, {"x": entry})


def test_rdms_have_no_places(mapping: dict[str, Any]) -> None:
    mapping["dataset"]["level"] = "rdm"
    for subject in mapping["dataset"]["subjects"].values():
        subject.clear()
        subject.update(stimuli="all", adapter="rdm", rdms={"V1": {"path": "a.npz", "key": "r"}})
    with pytest.raises(StudyError, match=r"regions\.V1: mine holds RDMs only, so its regions have no neuroids to cut by place"):
        planned(mapping, {"V1": {"of": "V1", "mask": "m.nii"}})


def test_a_threshold_needs_stimuli_that_are_not_tested(mapping: dict[str, Any]) -> None:
    mapping["splits"] = {"test": 0}
    with pytest.raises(StudyError, match=r"regions\.V1\.min_reliability: found 0\.3 with splits\.test: 0, which tests all "):
        planned(mapping, {"V1": {"min_reliability": 0.3}})
    assert planned(mapping, {"V1": {"at_least": {"ncsnr": 0.3}}})["V1"].places
    mapping["splits"] = {"test": 0.2}
    assert planned(mapping, {"V1": {"min_reliability": 0.3}})["V1"].min_reliability == 0.3


def test_groups_may_be_several_columns(mapping: dict[str, Any]) -> None:
    mapping["splits"] = {"groups": ["object", "video"], "near_duplicates": False}
    splits = Study.from_mapping(mapping).options.splits
    assert splits.groups == ["object", "video"]
    assert not splits.near_duplicates


def test_an_atlas_by_its_name_is_fetched_with_the_data_set(mapping: dict[str, Any]) -> None:
    mapping["regions"] = {"V1": {}, "vis": {"atlas": {"name": "yeo_2011", "networks": 17}, "labels": ["a"]}}
    jobs = Jobs(Study.from_mapping(mapping)).by_stage["fetch"].values()
    files = {path: file for job in jobs for path, file in job.options["entry"]["files"].items()}
    assert files["atlases/yeo_2011-17"] == {"url": "nilearn-atlas://yeo_2011?networks=17"}
    del mapping["regions"]["vis"]
    jobs = Jobs(Study.from_mapping(mapping)).by_stage["fetch"].values()
    assert not any("atlases" in path for job in jobs for path in job.options["entry"]["files"])
