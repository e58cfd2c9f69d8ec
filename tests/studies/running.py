"""Run every job of a study in this process: the numbers of the workflow without its start-up times."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from isocortex.study import Study
from isocortex.study.catalogue import read_yaml
from isocortex.study.jobs import Jobs


def run_in_process(mapping: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch, *, pages: bool = False) -> Path:
    """Run the jobs of a study in `folder`, in the order of the graph; the folder of its results."""
    monkeypatch.chdir(folder)
    study = Study.from_mapping(mapping)
    for job in Jobs(study):
        if pages or job.stage not in ("report", "index"):
            importlib.import_module(f"isocortex.stages.{job.stage}").run(json.loads(job.spec), "cpu")
    return folder / "results" / study.name


def demo_mapping(repository: Path, seed: int) -> dict[str, Any]:
    """The demo with another seed: other crops, other voxels, other noise, other splits, and other networks."""
    # Through JSON, because what YAML anchors share would be changed once for every mention.
    mapping: dict[str, Any] = json.loads(json.dumps(read_yaml(repository / "config/config.yaml")))
    data = mapping["dataset"]
    for stimuli in data["stimuli"].values():
        stimuli["simulated"]["seed"] = seed
    for number, subject in enumerate(data["subjects"].values()):
        subject["seed"] = 1000 * seed + number
        for region in subject["regions"].values():
            if "options" in region:
                region["options"] = {**region["options"], "seed": region["options"]["seed"] + 100 * seed}
    for model in mapping["models"].values():
        if "options" in model:
            model["options"] = {**model["options"], "seed": model["options"]["seed"] + 100 * seed}
    mapping["splits"]["seed"] = seed
    mapping["inference"] = {**mapping.get("inference", {}), "seed": seed, "draws": 100, "permutations": 199}
    return mapping
