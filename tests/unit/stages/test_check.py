"""`isocortex check`: what can be known to be wrong before anything is computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from isocortex.errors import StudyError
from isocortex.stages.check import check
from isocortex.study.catalogue import read_yaml

NETWORK = """
from torch import nn

def build(weights=None, width=3):
    net = nn.Sequential()
    net.add_module("first", nn.Conv2d(3, width, 3))
    net.add_module("second", nn.ReLU())
    return net
"""


@pytest.fixture
def study(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The 81 objects with two models beside the study."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ISOCORTEX_MIRROR", raising=False)
    (tmp_path / "net.py").write_text(NETWORK)
    mapping = read_yaml(repository / "config/studies/objects81.yaml")
    mapping["models"]["net"] = {"source": "callable", "call": "net.py:build", "layers": ["first", "second"]}
    return mapping


def written(mapping: dict[str, Any]) -> str:
    Path("study.yaml").write_text(yaml.safe_dump(mapping, sort_keys=False))
    return "study.yaml"


def mirror_here(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mirror/objects81").mkdir(parents=True)
    Path("mirror/objects81/objects81.npz").write_bytes(b"")
    monkeypatch.setenv("ISOCORTEX_MIRROR", "mirror")


def test_a_sound_study_is_described(study: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    mirror_here(monkeypatch)
    study["models"]["net"]["trained_on"] = ["objects81"]
    said = check(written(study))
    for part in ("study.yaml: fine", "EVC, OPA, PPA", "net (callable)", "primary    ridge", "net was trained on data of S1"):
        assert part in said


def test_own_files_must_be_there(study: dict[str, Any]) -> None:
    place = r"study\.yaml: dataset\.files: 'objects81\.npz' was not found \(looked for resources/objects81/objects81\.npz\)"
    with pytest.raises(StudyError, match=rf"{place} and has no url; set ISOCORTEX_MIRROR"):
        check(written(study))
    study["dataset"]["manual"] = "ask the authors for\n objects81.npz"
    with pytest.raises(StudyError, match=rf"{place} and must be fetched by hand: ask the authors for objects81\.npz; set"):
        check(written(study))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"layers": ["first", "secnd"]}, "models.net.layers: found 'secnd', not in the module; nearest of 2: second"),
        ({"call": "nat.py:build"}, "nat.py"),
        ({"call": "net.py:make"}, "found no function 'make'"),
        ({"options": {"depth": 2}}, "failed with TypeError"),
        ({"weights": "w.pt"}, "models.net.weights: no file 'w.pt' beside the study"),
    ],
)
def test_a_model_that_cannot_be_built(
    study: dict[str, Any], monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], text: str
) -> None:
    mirror_here(monkeypatch)
    study["models"]["net"] |= change
    with pytest.raises(StudyError) as caught:
        check(written(study))
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_activations_must_be_there(study: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    mirror_here(monkeypatch)
    study["models"]["theirs"] = {"source": "precomputed", "path": "none.npz"}
    with pytest.raises(StudyError, match=r"models\.theirs\.path: no file 'none\.npz' beside the study"):
        check(written(study))


def test_a_network_of_a_library_is_built_without_weights_and_its_ladder_is_told(
    study: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror_here(monkeypatch)
    study["models"] = {
        "resnet18": {"source": "torchvision"},
        "vit": {"source": "timm", "name": "vit_tiny_patch16_224", "layers": ["blocks.3@cls", "blocks.11"]},
        "blank": {"like": "resnet18", "weights": "random"},
    }
    said = check(written(study))
    ladder = ", ".join(f"layer{stage}.{block}" for stage in (1, 2, 3, 4) for block in (0, 1))
    assert f"  layers     resnet18: {ladder}, avgpool" in said
    assert f"  layers     blank: {ladder}, avgpool" in said
    assert "vit:" not in said


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"source": "torchvision", "name": "resnet18", "layers": ["layer5"]}, "found 'layer5', not in the module"),
        ({"source": "timm", "name": "resnet18", "layers": ["layer1.9@gap"]}, "found 'layer1.9@gap', not in the module"),
        ({"source": "timm", "name": "resnet18", "weights": "mine"}, "models.x.weights: found 'mine', neither a file in"),
        ({"source": "onnx", "path": "net.onnx"}, "models.x.path: found no 'net.onnx'"),
        ({"source": "transformers", "path": "./hf"}, "models.x.path: found no './hf'"),
        ({"source": "torchvision", "name": "resnet18", "place": {"degrees": 8}}, "x.place: how many degrees the images of"),
    ],
)  # fmt: skip
def test_a_network_of_a_library_that_cannot_be_built(
    study: dict[str, Any], monkeypatch: pytest.MonkeyPatch, entry: dict[str, Any], text: str
) -> None:
    mirror_here(monkeypatch)
    study["models"] = {"x": entry}
    with pytest.raises(StudyError) as caught:
        check(written(study))
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_readout_reads_a_layer_of_the_ladder(study: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    mirror_here(monkeypatch)
    study["models"] = {"resnet18": {"source": "torchvision"}}
    study["readout"] = {"factorized": {}, "layers": {"resnet18": ["layer3.2"]}}
    with pytest.raises(StudyError, match=r"readout\.layers\.resnet18: unknown layer 'layer3\.2'; expected one of layer1\.0"):
        check(written(study))
