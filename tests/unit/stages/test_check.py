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
    with pytest.raises(
        StudyError, match=r"study\.yaml: dataset\.files: 'objects81\.npz' has no url and was not found \(looked for "
    ):
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
