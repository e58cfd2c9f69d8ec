"""What the guide's chapter on fMRI shows is what the code takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from isocortex.study import Study
from isocortex.study.adapters import ADAPTERS
from isocortex.study.parts import parts

CHAPTER = re.compile(r"^# fMRI\n(.*?)(?=^# |\Z)", flags=re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def blocks() -> list[dict[str, Any]]:
    guide = Path(__file__).parents[3] / "docs/recordings.md"
    chapter = CHAPTER.search(guide.read_text(encoding="utf-8"))
    assert chapter is not None
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", chapter[1], flags=re.DOTALL)]


def test_every_entry_is_taken(blocks: list[dict[str, Any]]) -> None:
    entries = [block for block in blocks if "adapter" in block]
    assert {"bids", "glmsingle", "surface", "cifti"} <= {entry["adapter"] for entry in entries}
    for entry in entries:
        ADAPTERS[entry["adapter"]].model_validate(entry)


def test_a_set_of_openneuro_names_its_files(blocks: list[dict[str, Any]]) -> None:
    study = Study.from_mapping(next(block for block in blocks if "study" in block))
    files = parts(study.dataset_entry)["subject-CSI1"]
    run = "sub-CSI1/ses-01/func/sub-CSI1_ses-01_task-5000scenes_run-01_"
    assert files[f"{run}events.tsv"]["url"] == f"openneuro://ds001499/{run}events.tsv"
    name = f"derivatives/fmriprep/{run}space-T1w_desc-preproc_bold.nii.gz"
    assert files[name]["url"] == f"openneuro://ds001499/{name}"
    assert "derivatives/rois/sub-CSI1/PPA.nii.gz" in files
    assert len(files) == 2 * 3 * 4 + 1
