"""A stage `features` to be run: a few images in an array, and a network of one convolution in a file beside the study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from isocortex.storage.images import image_digest
from isocortex.storage.tables import write_parquet

NETWORK = """
import torch
from torch import nn

def build(weights=None, slope=1.0):
    module = nn.Sequential()
    module.add_module("conv", nn.Conv2d(3, 2, 3, stride=2, padding=1))
    module.add_module("act", nn.LeakyReLU(slope, inplace=True))
    steps = torch.arange(54, dtype=torch.float32).reshape(2, 3, 3, 3)
    with torch.no_grad():
        module.conv.weight.copy_(torch.sin(steps))
        module.conv.bias.copy_(torch.tensor([0.5, -0.25]))
        if weights is not None:
            module.load_state_dict(torch.load(weights, weights_only=True))
    return module
"""
ENTRY = {
    "source": "callable",
    "call": "net.py:build",
    "layers": ["conv"],
    "preprocess": "unit",
    "batch": 2,
    "options": {"slope": 0.1},
}


def make_spec(folder: Path, n: int = 5) -> dict[str, Any]:
    """A stage's specification: images, a study folder with a network."""
    images = np.random.default_rng(0).integers(0, 256, (n, 6, 6, 3), dtype=np.uint8)
    np.savez(folder / "images.npz", images=images)
    frame = pd.DataFrame({
        "stimulus_id": [f"s{row}" for row in range(n)],
        "digest": [image_digest(image) for image in images],
        "path": "images.npz!images",
        "row": np.arange(n),
        "caption": "",
        "animal": np.arange(n) % 3 % 2,
    })  # fmt: skip
    write_parquet(frame, folder / "stimuli.parquet")
    (folder / "net.py").write_text(NETWORK)
    options = {
        "name": "d",
        "model": "m",
        "set": "all",
        "entry": ENTRY,
        "root": str(folder),
        "study_dir": str(folder),
        "maps": [],
    }
    return {
        "stage": "features",
        "inputs": {"stimuli": str(folder / "stimuli.parquet")},
        "output": str(folder / "out" / "all.json"),
        "options": options,
    }


def with_entry(spec: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The same with other keys of the model's entry."""
    return spec | {"options": spec["options"] | {"entry": spec["options"]["entry"] | changes}}
