"""Networks of a study: defaults, twins, the layers that only the source knows, and the files that are watched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from isocortex.study import Study
from isocortex.study import options as opt
from isocortex.study.jobs import Jobs
from isocortex.study.sources import asked_layers


@pytest.fixture
def studied(mapping: dict[str, Any], tmp_path: Path) -> Any:
    """A function models → study, beside whose YAML lie the models' files."""

    def build(models: dict[str, Any], **stimuli: Any) -> Study:
        mapping["models"] = models
        mapping["dataset"]["stimuli"]["all"] |= stimuli
        return Study.from_mapping(mapping, origin=tmp_path / "study.yaml")

    return build


def watched(study: Study, model: str) -> set[str]:
    (job,) = [job for job in Jobs(study) if job.stage == "features" and job.options["model"] == model]
    return {Path(path).name for path in job.watched}


def test_the_id_is_the_name_and_the_ladder_is_the_sources(studied: Any) -> None:
    study = studied({"resnet50": {"source": "torchvision"}, "v": {"source": "timm", "name": "vit_tiny", "layers": "auto"}})
    entry = study.models["resnet50"]
    assert (entry["name"], entry["weights"], entry["layers"], entry["pool"]) == ("resnet50", "DEFAULT", None, None)
    assert (entry["project"], entry["projection_seed"], entry["preprocess"]) == ("auto", 0, "model")
    assert study.models["v"]["name"] == "vit_tiny"
    assert asked_layers(Jobs(study).at, "v") is None
    named = studied({"resnet50": {"source": "torchvision", "layers": ["layer4@gap", "layer4@7"]}})
    assert asked_layers(Jobs(named).at, "resnet50") == ["layer4@gap", "layer4@7"]


def test_every_source_with_weights_has_a_twin_that_sees_as_it_does(studied: Any) -> None:
    assert set(opt.SOURCES_WITH_WEIGHTS) == {"callable", "torchvision", "timm", "transformers", "open_clip", "onnx"}
    twin = {"like": "a", "weights": "random", "seed": 3}
    study = studied({"a": {"source": "torchvision", "name": "resnet50", "weights": "IMAGENET1K_V1"}, "b": twin})
    entry = study.models["b"]
    assert (entry["name"], entry["weights"], entry["transforms"], entry["seed"]) == ("resnet50", "random", "IMAGENET1K_V1", 3)
    for source, needed in (("transformers", {"path": "x"}), ("onnx", {"path": "x"}), ("open_clip", {"name": "ViT-B-32"})):
        assert studied({"a": {"source": source, **needed}, "b": twin}).models["b"]["weights"] == "random"


def test_all_networks_say_how_they_are_projected() -> None:
    for name in opt.SOURCES_WITH_WEIGHTS:
        fields = opt.SOURCES[name].model_fields
        assert fields["project"].default == "auto"
        assert fields["projection_seed"].default == 0


def test_files_of_the_users_own_are_watched(studied: Any, tmp_path: Path) -> None:
    for path in (
        "hf/config.json",
        "hf/model.safetensors",
        "hf/preprocessor_config.json",
        "oc/open_clip_config.json",
        "w.safetensors",
    ):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(b"")
    for name in ("net.onnx", "net.onnx.data", "net.py"):
        (tmp_path / name).write_bytes(b"")
    study = studied({
        "hf": {"source": "transformers", "path": "hf"},
        "oc": {"source": "open_clip", "name": "oc"},
        "t": {"source": "timm", "name": "resnet18", "weights": "w.safetensors"},
        "o": {"source": "onnx", "path": "net.onnx"},
        "c": {"source": "callable", "call": "net.py:build", "layers": ["a"]},
        "hub": {"source": "torchvision", "name": "resnet18"},
    })  # fmt: skip
    assert watched(study, "hf") == {"config.json", "model.safetensors", "preprocessor_config.json"}
    assert watched(study, "oc") == {"open_clip_config.json"}
    assert watched(study, "t") == {"w.safetensors"}
    assert watched(study, "o") == {"net.onnx", "net.onnx.data"}
    assert watched(study, "c") == {"net.py"}
    assert watched(study, "hub") == set()


def test_degrees_reach_the_job_of_a_model_that_is_placed(studied: Any) -> None:
    models = {
        "placed": {"source": "torchvision", "name": "resnet18", "place": {"degrees": 8}},
        "as_it_is": {"source": "torchvision", "name": "resnet18"},
    }
    jobs = {job.options["model"]: job.options for job in Jobs(studied(models, degrees=4.0)) if job.stage == "features"}
    assert jobs["placed"]["degrees"] == 4.0
    assert jobs["placed"]["entry"]["place"] == {"degrees": 8.0, "background": "gray"}
    assert "degrees" not in jobs["as_it_is"]
