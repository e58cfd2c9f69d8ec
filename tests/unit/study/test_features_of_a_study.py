"""Where features lie, and what makes them anew."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from isocortex.study import Study
from isocortex.study.jobs import Jobs
from isocortex.study.recipes import RECIPES


def place(mapping: dict[str, Any], model: str = "net", **changes: Any) -> str:
    after = copy.deepcopy(mapping)
    after["models"][model] |= changes
    return Jobs(Study.from_mapping(after)).at.features(model, "all")


@pytest.mark.parametrize(
    "changes",
    [
        {"layers": ["a"]},
        {"layers": ["a", "b", "c@gap"]},
        {"layers": "auto"},
        {"batch": 7},
        {"label": "Net"},
        {"trained_on": ["mine"]},
    ],
)
def test_what_changes_no_stored_number_keeps_the_store(mapping: dict[str, Any], changes: dict[str, Any]) -> None:
    assert place(mapping, **changes) == place(mapping)


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": "other.pt"},
        {"call": "mine.py:other"},
        {"pool": "gap"},
        {"preprocess": "unit"},
        {"project": 100},
        {"project": "none"},
        {"projection_seed": 1},
        {"options": {"width": 2}},
        {"seed": 2},
    ],
)
def test_what_does_has_a_store_of_its_own(mapping: dict[str, Any], changes: dict[str, Any]) -> None:
    assert place(mapping, **changes) != place(mapping)


def test_layers_of_every_network_are_added_and_files_of_given_ones_are_another_store(mapping: dict[str, Any]) -> None:
    for entry in (
        {"source": "torchvision", "name": "resnet18", "weights": "random"},
        {"source": "timm", "name": "resnet18", "weights": "random"},
        {"source": "transformers", "path": "clip"},
        {"source": "onnx", "path": "net.onnx"},
    ):
        mapping["models"]["new"] = entry
        assert place(mapping, "new", layers=["a"]) == place(mapping, "new", layers=["a", "b"]) == place(mapping, "new")
    mapping["models"]["given"] = {"source": "precomputed", "layers": {"a": {"path": "a.npz"}}}
    assert place(mapping, "given") != place(mapping, "given", layers={"a": {"path": "b.npz"}})


def test_a_raised_recipe_renames_all_stores(mapping: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    before = place(mapping)
    monkeypatch.setitem(RECIPES, "features", RECIPES["features"] + 1)
    assert place(mapping) != before


def test_files_that_a_model_is_made_of_are_inputs_of_its_job(
    mapping: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that Snakemake makes features anew when one is edited; whether they changed, the store's recipe says."""
    monkeypatch.chdir(tmp_path)
    for name in ("mine.py", "w.pt", "given.npz"):
        (tmp_path / name).write_bytes(b"1")
    mapping["models"]["given"] = {"source": "precomputed", "path": "given.npz"}
    jobs = {job.options["model"]: job for job in Jobs(Study.from_mapping(mapping)).by_stage["features"].values()}
    assert {"mine.py", "w.pt"} <= set(jobs["net"].files)
    assert "mine.py" in jobs["blank"].files
    assert "w.pt" not in jobs["blank"].files
    assert "given.npz" in jobs["given"].files
    assert not [file for file in jobs["gabor"].files if file.endswith((".py", ".pt"))]
