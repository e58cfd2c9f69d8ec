"""Where the shared oracles and recordings lie; absent elsewhere, never in CI."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

# torchvision's compiled operators need the CUDA build of torch; its networks do not, and import once these two are known.
TORCHVISION = torch.library.Library("torchvision", "DEF")
if not torch.cuda.is_available():
    TORCHVISION.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    TORCHVISION.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("ISOCORTEX_SHARED", ROOT.parent / "shared"))


def _shared(folder: str) -> Path:
    path = SHARED / folder
    if not path.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"{path} is absent, and in CI it must be there")
        pytest.skip(f"{path} is absent: set ISOCORTEX_SHARED to the folder that holds it")
    return path


@pytest.fixture(scope="session")
def oracles() -> Path:
    """Inputs and reference outputs of other implementations."""
    return _shared("oracles")


@pytest.fixture(scope="session")
def mirror() -> Path:
    """Real recordings, laid out as `<dataset>/<path>`."""
    return Path(os.environ["ISOCORTEX_MIRROR"]) if os.environ.get("ISOCORTEX_MIRROR") else _shared("data")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def catalogued(repository: Path) -> Callable[[str], dict[str, Any]]:
    """The entry of a data set of the catalogue, as it is written there."""
    return lambda name: yaml.safe_load((repository / f"config/catalogue/{name}.yaml").read_text(encoding="utf-8"))[name]
