"""Every entry of the catalogue: valid, with its files, its terms and the regions it promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from isocortex.errors import StudyError
from isocortex.study import Study
from isocortex.study.jobs import Jobs
from isocortex.study.parts import named_paths

FOLDER = Path(__file__).resolve().parents[3] / "config/catalogue"
# What an entry that only lists files says of itself, and why it cannot be analysed.
FILES_ONLY = {"brain_treebank"}
NAMES = sorted(file.stem for file in FOLDER.glob("*.yaml"))


def study(name: str, **more: Any) -> Study:
    mapping = {"study": "s", "dataset": name, "models": {"m": {"source": "precomputed", "path": "m.npy"}}, **more}
    return Study.from_mapping(mapping, catalogue=FOLDER)


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_stands_alone_in_a_file_of_its_name(name: str) -> None:
    entries = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    assert list(entries) == [name]
    for key in ("label", "licence", "citation"):
        assert entries[name][key], key


@pytest.mark.parametrize("name", [name for name in NAMES if name not in FILES_ONLY])
def test_an_entry_can_be_studied_and_all_it_names_is_fetched(name: str) -> None:
    found = study(name)
    assert found.regions
    jobs = Jobs(found).by_stage
    fetched = {path: file for job in jobs["fetch"].values() for path, file in job.options["entry"]["files"].items()}
    for job in (*jobs["record"].values(), *jobs["stimuli"].values()):
        for path in named_paths(job.options["entry"]):
            assert any(path == file or path.startswith(f"{file}/") for file in fetched), path
    for path, file in fetched.items():
        by_hand = (file or {}).get("manual") or found.dataset.manual
        checked = (file or {}).get("sha256")
        # Where no address is known it is said what a person has to fetch, or the digest tells which file is meant.
        assert (file or {}).get("url") or by_hand or checked, path


@pytest.mark.parametrize("name", sorted(FILES_ONLY & set(NAMES)))
def test_an_entry_of_files_only_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(StudyError, match="a data set that lists only files cannot be analysed"):
        study(name)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in FILES_ONLY])
def test_one_subject_is_fetched_without_the_files_of_the_others(name: str) -> None:
    every = study(name)
    subject = next(iter(every.subjects))
    one = Jobs(study(name, subjects=[subject])).by_stage["fetch"]
    assert set(one) <= set(Jobs(every).by_stage["fetch"])
    parts = {job.options["part"] for job in one.values()}
    assert {part for part in parts if part.startswith("subject-")} <= {f"subject-{subject}"}


def test_a_working_directory_without_a_catalogue_has_the_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mapping = {"study": "s", "dataset": "cichy2014_rdm92", "models": {"m": {"source": "precomputed", "path": "m.npy"}}}
    assert Study.from_mapping(mapping).dataset.name == "cichy2014_rdm92"
    (tmp_path / "config/catalogue").mkdir(parents=True)
    with pytest.raises(StudyError, match=r"unknown data set of the catalogue 'cichy2014_rdm92'; expected one of \(none\)"):
        Study.from_mapping(mapping)
